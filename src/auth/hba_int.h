/*
 * auth/hba_int.h: what the files of the host rules share.
 */
#ifndef RDB_AUTH_HBA_INT_H
#define RDB_AUTH_HBA_INT_H

#include "auth/hba.h"
#include "base/map.h"

struct HbaRules {
    Arena arena; /* tokens, messages, name */
    Budget *budget;
    const char *name;
    VEC(HbaLine) lines;
};

/* A field: tokens separated by commas. */
typedef struct HbaField {
    HbaToken *tokens;
    uint32_t count;
} HbaField;

enum { HBA_FIELDS_MAX = 16, HBA_WORD_BYTES_MAX = 255 /* as PostgreSQL */ };

/* The fields of one line. */
typedef struct HbaFields {
    HbaField field[HBA_FIELDS_MAX];
    uint32_t count;
    uint32_t line;
    const char *error; /* NULL = good */
} HbaFields;

typedef struct HbaScanner {
    Arena *arena;
    Str text;
    size_t at;
    uint32_t line; /* of `at` */
} HbaScanner;

/* The next line that is not empty. ST_END: no more. ST_OUT_OF_MEMORY. */
STATUS hba_scan_line(HbaScanner *s, HbaFields *out);

#endif
