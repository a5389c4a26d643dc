/*
 * storage/wal_format.h: constants and the hash of the log's on-disk form, for writer and reader.
 */
#ifndef RDB_STORAGE_WAL_FORMAT_H
#define RDB_STORAGE_WAL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "storage/storage_int.h"

#define WAL_SEGMENT_MAGIC 0x52574753u /* "SGWR" */
#define WAL_BLOCK_MAGIC 0x52574b42u   /* "BKWR" */
enum { WAL_FORMAT = 1, WAL_PATH_BYTES = 25 };

/*
 * Blocks take whole multiples of this, whatever the file asks for: the log must be readable where the alignment for direct
 * I/O is another, or where there is none. It is a file system's page, so less would save nothing.
 */
enum { WAL_BLOCK_ALIGN = 4096 };

/* XXH3-64. Blocks are hashed with their checksum field zero. */
uint64_t wal_hash(const void *p, size_t len);
/* Bytes on disk of a block with so many of payload. */
static inline uint32_t wal_block_bytes(uint32_t payload)
{
    return (WAL_BLOCK_HEADER_BYTES + payload + WAL_BLOCK_ALIGN - 1) / WAL_BLOCK_ALIGN * WAL_BLOCK_ALIGN;
}
void wal_segment_path(uint64_t number, char out[WAL_PATH_BYTES]);
/* Parses "<16 hex digits>.wal"; false for any other name. */
_Bool wal_segment_number(const char *name, uint64_t *out_number);

#endif
