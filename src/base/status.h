/*
 * base/status.h: the one error model.
 *
 * A function that can fail returns a Status and must be checked. Where a person or client may see the failure, the
 * details (message, detail, hint, position, object names) go into an Error object that the caller passes down; the
 * object has all its storage inline, so reporting never allocates and never fails (texts that do not fit are cut at a
 * UTF-8 boundary). Status value, SQLSTATE and default text come from one table, errcodes.def.
 *
 * The first error wins: err_set on an object that already holds an error keeps the first one (clean-up paths may fail
 * too), and returns the status it was given.
 */
#ifndef RDB_BASE_STATUS_H
#define RDB_BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

typedef enum Status {
#define ERRCODE(name, sqlstate, text) name,
#include "base/errcodes.def"
#undef ERRCODE
    STATUS_COUNT
} Status;

#define STATUS MUST_CHECK Status

enum { ERROR_TEXT_BYTES = 3840 };

/*
 * One error. `status` ST_OK means "no error". All texts point into `text` or are NULL. Plain data: may be copied only
 * with err_copy (the pointers are internal).
 */
typedef struct Error {
    Status status;
    char sqlstate[6]; /* five characters and a zero; may differ from the table's for user-raised errors */
    int32_t position; /* 1-based character position in the statement text, 0 = none */
    const char *message;
    const char *detail;
    const char *hint;
    const char *context;
    const char *schema_name;
    const char *table_name;
    const char *column_name;
    const char *datatype_name;
    const char *constraint_name;
    const char *routine; /* the R field; pgjdbc reads "RevalidateCachedQuery" there */
    uint32_t used;       /* bytes of text used */
    bool later_ignored;  /* a later err_set was not recorded: the detail and hint that follow are not this error's */
    char text[ERROR_TEXT_BYTES];
} Error;

/* The five-character SQLSTATE and the default text of a status; static strings. */
const char *status_sqlstate(Status st);
const char *status_text(Status st);
const char *status_name(Status st); /* "ST_DISK_FULL" */

void err_clear(Error *err);
void err_copy(Error *to, const Error *from);

/*
 * Record an error with a formatted message; NULL fmt takes the table's default text. `err` may be NULL (nothing is
 * recorded). Returns st, so that `return err_set(...)` reads naturally. st must not be ST_OK.
 */
Status err_set(Error *err, Status st, const char *fmt, ...) PRINTF_LIKE(3, 4);
Status err_setv(Error *err, Status st, const char *fmt, va_list ap);

/*
 * Add to the error recorded last by err_set; calls without effect when err is NULL or holds no error, or when the
 * field is already set. err_detail and err_hint also have none after an err_set that was not recorded because an
 * earlier error stands: they belong to the later one.
 */
void err_detail(Error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_hint(Error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_context(Error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
void err_position(Error *err, int32_t position);
void err_object(Error *err, const char *schema_name, const char *table_name, const char *column_name,
                const char *constraint_name); /* NULL = leave */
void err_datatype(Error *err, const char *schema_name, const char *datatype_name);
void err_routine(Error *err, const char *routine);

#endif
