/*
 * base/log.c: formats a log line into a buffer on the stack and hands it to the sink.
 *
 * Text: `2026-01-02 03:04:05.678901 UTC WARNING  message`. JSON: one object a line with "time", "level", "message".
 * Control characters of the message are escaped in both, so that one call is one line whatever a client sent.
 */
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

enum { LINE_BYTES = 8192, MESSAGE_BYTES = 4096 + 1024 };

typedef struct Line {
    size_t len;
    char p[LINE_BYTES];
} Line;

/* Bytes kept for what ends a line. */
enum { LINE_TAIL = 8 };

const char *log_level_name(LogLevel level)
{
    static const char *const NAMES[] = {"DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"};
    ASSERT((size_t)level < ARRAY_LEN(NAMES));
    return NAMES[level];
}

PRINTF_LIKE(2, 3)
static void put(Line *line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t room = LINE_BYTES - LINE_TAIL - line->len;
    int n = vsnprintf(line->p + line->len, room, fmt, ap);
    va_end(ap);
    line->len += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

/* Appends text with control characters (and for JSON quotes and backslashes) escaped; stops when the line is full. */
static void put_escaped(Line *line, const char *text, LogFormat format)
{
    for (const char *c = text; *c != 0; c++) {
        if (line->len + 8 >= LINE_BYTES - LINE_TAIL) {
            line->len = utf8_complete(line->p, line->len);
            return;
        }
        unsigned char u = (unsigned char)*c;
        if (u == '\n') {
            put(line, "\\n");
        } else if (u < 0x20 || u == 0x7f) {
            put(line, format == LOG_JSON ? "\\u%04x" : "\\x%02x", u);
        } else if (format == LOG_JSON && (u == '"' || u == '\\')) {
            put(line, "\\%c", u);
        } else {
            line->p[line->len++] = *c;
        }
    }
}

/* Time in UTC, whatever TZ says. */
static void put_time(Line *line, Log *log)
{
    int64_t now_us = log->now_us == NULL ? 0 : log->now_us(log->clock);
    int64_t seconds = now_us / 1000000 - (now_us % 1000000 < 0);
    int micros = (int)(now_us - seconds * 1000000);
    time_t t = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL) {
        memset(&tm, 0, sizeof tm);
    }
    put(line,
        log->format == LOG_JSON ? "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" : "%04d-%02d-%02d %02d:%02d:%02d.%06d UTC",
        tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, micros);
}

static void write_message(Log *log, LogLevel level, const char *sqlstate, const char *message)
{
    Line line;
    line.len = 0;
    if (log->format == LOG_JSON) {
        put(&line, "{\"time\":\"");
        put_time(&line, log);
        put(&line, "\",\"level\":\"%s\"", log_level_name(level));
        if (sqlstate != NULL) {
            put(&line, ",\"sqlstate\":\"%s\"", sqlstate);
        }
        put(&line, ",\"message\":\"");
        put_escaped(&line, message, LOG_JSON);
        memcpy(line.p + line.len, "\"}\n", 3);
        line.len += 3;
    } else {
        put_time(&line, log);
        put(&line, " %-7s  ", log_level_name(level));
        if (sqlstate != NULL) {
            put(&line, "%s: ", sqlstate);
        }
        put_escaped(&line, message, LOG_TEXT);
        line.p[line.len++] = '\n';
    }
    log->write_line(log->sink, line.p, line.len);
}

static bool wanted(Log *log, LogLevel level)
{
    /* Relaxed: a new level may take effect a line late. */
    return log != NULL && (int)level >= atomic_load_explicit(&log->min_level, memory_order_relaxed);
}

void log_line(Log *log, LogLevel level, const char *fmt, ...)
{
    if (!wanted(log, level)) {
        return;
    }
    char message[MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (n < 0) {
        snprintf(message, sizeof message, "%s", fmt);
    } else if ((size_t)n >= sizeof message) {
        message[utf8_complete(message, sizeof message - 1)] = 0;
    }
    write_message(log, level, NULL, message);
}

void log_error(Log *log, LogLevel level, const Error *err, const char *doing)
{
    if (!wanted(log, level)) {
        return;
    }
    char message[MESSAGE_BYTES];
    const char *text = err->message == NULL ? status_text(err->status) : err->message;
    int n =
        snprintf(message, sizeof message, "%s%s%s%s%s%s%s%s%s", doing == NULL ? "" : doing, doing == NULL ? "" : ": ",
                 text, err->detail == NULL ? "" : " DETAIL: ", err->detail == NULL ? "" : err->detail,
                 err->hint == NULL ? "" : " HINT: ", err->hint == NULL ? "" : err->hint,
                 err->context == NULL ? "" : " CONTEXT: ", err->context == NULL ? "" : err->context);
    if (n >= (int)sizeof message) {
        message[utf8_complete(message, sizeof message - 1)] = 0;
    }
    write_message(log, level, err->sqlstate, message);
}
