/*
 * base/status.c: the status table and the error object.
 *
 * All texts of an Error lie one after the other in err->text. The long ones (message, detail, hint, context) leave
 * room for the names that follow them, and the message leaves room for a detail.
 */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

/* The message may take up to MESSAGE_MAX bytes; message, detail, hint and context leave NAMES_RESERVE of the text. */
enum { MESSAGE_MAX = 2048, NAMES_RESERVE = 640 };

typedef struct StatusEntry {
    const char *name;
    const char *text;
    char sqlstate[6];
} StatusEntry;

static const StatusEntry TABLE[STATUS_COUNT] = {
#define ERRCODE(name, sqlstate, text) [name] = {#name, text, sqlstate},
#include "base/errcodes.def"
#undef ERRCODE
};

static const StatusEntry *entry(Status st)
{
    ASSERT((unsigned)st < STATUS_COUNT);
    return &TABLE[st];
}

const char *status_sqlstate(Status st)
{
    return entry(st)->sqlstate;
}

const char *status_text(Status st)
{
    return entry(st)->text;
}

const char *status_name(Status st)
{
    return entry(st)->name;
}

/* The text itself is left as it is: only what `used` covers means anything. */
void err_clear(Error *err)
{
    err->status = ST_OK;
    memcpy(err->sqlstate, "00000", 6);
    err->position = 0;
    err->message = err->detail = err->hint = err->context = NULL;
    err->schema_name = err->table_name = err->column_name = NULL;
    err->datatype_name = err->constraint_name = err->routine = NULL;
    err->used = 0;
    err->later_ignored = false;
}

static const char *rebase(const Error *from, const char *p, Error *to)
{
    return p == NULL ? NULL : to->text + (p - from->text);
}

void err_copy(Error *to, const Error *from)
{
    if (to == from) {
        return;
    }
    to->status = from->status;
    memcpy(to->sqlstate, from->sqlstate, sizeof to->sqlstate);
    to->position = from->position;
    to->used = from->used;
    to->later_ignored = from->later_ignored;
    memcpy(to->text, from->text, from->used);
    to->message = rebase(from, from->message, to);
    to->detail = rebase(from, from->detail, to);
    to->hint = rebase(from, from->hint, to);
    to->context = rebase(from, from->context, to);
    to->schema_name = rebase(from, from->schema_name, to);
    to->table_name = rebase(from, from->table_name, to);
    to->column_name = rebase(from, from->column_name, to);
    to->datatype_name = rebase(from, from->datatype_name, to);
    to->constraint_name = rebase(from, from->constraint_name, to);
    to->routine = rebase(from, from->routine, to);
}

/*
 * Takes up to `room` bytes of text (with the zero) for the n bytes at p; fewer, cut at a character, when they do not
 * fit. NULL when not even an empty text fits.
 */
static const char *put_text(Error *err, const char *p, size_t n, size_t room)
{
    if (room == 0) {
        return NULL;
    }
    char *to = err->text + err->used;
    n = utf8_clip(p, n, room - 1);
    memmove(to, p, n);
    to[n] = 0;
    err->used += (uint32_t)n + 1;
    return to;
}

/* Formats in place. Where vsnprintf cut inside a character, the rest of that character goes too. */
PRINTF_LIKE(3, 0)
static const char *put_format(Error *err, size_t room, const char *fmt, va_list ap)
{
    if (room == 0) {
        return NULL;
    }
    char *to = err->text + err->used;
    int n = vsnprintf(to, room, fmt, ap);
    if (n < 0) {
        return put_text(err, fmt, strlen(fmt), room);
    }
    size_t len = (size_t)n < room ? (size_t)n : utf8_complete(to, room - 1);
    return put_text(err, to, len, room);
}

/* Bytes that a long text may still take. */
static size_t long_room(const Error *err)
{
    size_t limit = ERROR_TEXT_BYTES - NAMES_RESERVE;
    return err->used < limit ? limit - err->used : 0;
}

Status err_setv(Error *err, Status st, const char *fmt, va_list ap)
{
    ASSERT(st != ST_OK);
    if (err == NULL) {
        return st;
    }
    if (err->status != ST_OK) {
        err->later_ignored = true;
        return st;
    }
    err_clear(err);
    err->status = st;
    memcpy(err->sqlstate, status_sqlstate(st), sizeof err->sqlstate);
    if (fmt == NULL) {
        err->message = put_text(err, status_text(st), strlen(status_text(st)), MESSAGE_MAX);
    } else {
        err->message = put_format(err, MESSAGE_MAX, fmt, ap);
    }
    return st;
}

Status err_set(Error *err, Status st, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    err_setv(err, st, fmt, ap);
    va_end(ap);
    return st;
}

static bool holds_error(const Error *err)
{
    return err != NULL && err->status != ST_OK;
}

void err_detail(Error *err, const char *fmt, ...)
{
    if (holds_error(err) && err->detail == NULL && !err->later_ignored) {
        va_list ap;
        va_start(ap, fmt);
        err->detail = put_format(err, long_room(err), fmt, ap);
        va_end(ap);
    }
}

void err_hint(Error *err, const char *fmt, ...)
{
    if (holds_error(err) && err->hint == NULL && !err->later_ignored) {
        va_list ap;
        va_start(ap, fmt);
        err->hint = put_format(err, long_room(err), fmt, ap);
        va_end(ap);
    }
}

void err_context(Error *err, const char *fmt, ...)
{
    if (holds_error(err) && err->context == NULL) {
        va_list ap;
        va_start(ap, fmt);
        err->context = put_format(err, long_room(err), fmt, ap);
        va_end(ap);
    }
}

void err_position(Error *err, int32_t position)
{
    if (holds_error(err) && err->position == 0) {
        err->position = position;
    }
}

static void put_name(Error *err, const char **field, const char *name)
{
    if (name != NULL && *field == NULL) {
        *field = put_text(err, name, strlen(name), ERROR_TEXT_BYTES - err->used);
    }
}

void err_object(Error *err, const char *schema_name, const char *table_name, const char *column_name,
                const char *constraint_name)
{
    if (holds_error(err)) {
        put_name(err, &err->schema_name, schema_name);
        put_name(err, &err->table_name, table_name);
        put_name(err, &err->column_name, column_name);
        put_name(err, &err->constraint_name, constraint_name);
    }
}

void err_datatype(Error *err, const char *schema_name, const char *datatype_name)
{
    if (holds_error(err)) {
        put_name(err, &err->schema_name, schema_name);
        put_name(err, &err->datatype_name, datatype_name);
    }
}

void err_routine(Error *err, const char *routine)
{
    if (holds_error(err)) {
        put_name(err, &err->routine, routine);
    }
}
