/*
 * bind/scope_error.h: the words for names that mean nothing. Private.
 */
#ifndef RDB_BIND_SCOPE_ERROR_H
#define RDB_BIND_SCOPE_ERROR_H

#include "bind/bind_int.h"

/* 42P01 missing FROM-clause entry, or an entry that cannot be seen from here. */
Status scope_missing_table(Binder *b, Scope *s, Str schema, Str name, int32_t location);
/* 42703, with the nearest names as hint; table NULL: an unqualified name. */
Status scope_missing_column(Binder *b, Scope *s, const char *table, const char *name, int32_t location);

#endif
