/*
 * types/io.h: input and output functions of one type each, for the dispatch of io.c. Private.
 */
#ifndef RDB_TYPES_IO_H
#define RDB_TYPES_IO_H

#include "types/func.h"

typedef Status TypeInFn(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out_value);
typedef Status TypeOutFn(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb);

/* datetime_io.c */
TypeInFn date_in, time_in, timetz_in, timestamp_in, timestamptz_in, interval_in;
TypeOutFn date_out, time_out, timetz_out, timestamp_out, timestamptz_out, interval_out;
TypeInFn datetime_recv; /* all of them */
TypeOutFn datetime_send;

/* num_io.c */
TypeInFn numeric_in, numeric_recv;
TypeOutFn numeric_out, numeric_send;

static inline void put_be16(StrBuf *sb, uint16_t v)
{
    char b[2];
    store_be16(b, v);
    strbuf_append(sb, b, sizeof b);
}
static inline void put_be32(StrBuf *sb, uint32_t v)
{
    char b[4];
    store_be32(b, v);
    strbuf_append(sb, b, sizeof b);
}
static inline void put_be64(StrBuf *sb, uint64_t v)
{
    char b[8];
    store_be64(b, v);
    strbuf_append(sb, b, sizeof b);
}

/* 08P01 unless the message has exactly `want` bytes (too many: 22P03). */
STATUS recv_size(Error *err, Str bytes, size_t want);

#endif
