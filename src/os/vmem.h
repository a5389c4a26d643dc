/*
 * os/vmem.h: large memory straight from the kernel, for the buffer pool's frames and the WAL ring.
 */
#ifndef RDB_OS_VMEM_H
#define RDB_OS_VMEM_H

#include "base/mem.h"

/*
 * Zeroed pages, aligned to 2 MiB where bytes >= 2 MiB (else 4 KiB), huge pages advised where the system has them. Charged to the
 * budget; NULL = 53200.
 */
MUST_CHECK void *vmem_alloc(Budget *b, size_t bytes);
void vmem_free(Budget *b, void *p, size_t bytes);

#endif
