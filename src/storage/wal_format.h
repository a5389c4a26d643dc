/*
 * storage/wal_format.h: constants and the hash of the log's on-disk form, for writer and reader.
 */
#ifndef RDB_STORAGE_WAL_FORMAT_H
#define RDB_STORAGE_WAL_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#define WAL_SEGMENT_MAGIC 0x52574753u /* "SGWR" */
#define WAL_BLOCK_MAGIC 0x52574b42u   /* "BKWR" */
enum { WAL_FORMAT = 1, WAL_PATH_BYTES = 25 };

/* XXH3-64. Blocks are hashed with their checksum field zero. */
uint64_t wal_hash(const void *p, size_t len);
void wal_segment_path(uint64_t number, char out[WAL_PATH_BYTES]);
/* Parses "<16 hex digits>.wal"; false for any other name. */
_Bool wal_segment_number(const char *name, uint64_t *out_number);

#endif
