/*
 * base/log.h: the log's front end. A Log hangs off an engine; where lines go (standard error or a file, text or JSON)
 * is its sink's business. A line is formatted into a fixed buffer and handed to the sink whole, so lines of several
 * threads never mix. Logging never fails and never blocks on anything but the sink's write.
 */
#ifndef RDB_BASE_LOG_H
#define RDB_BASE_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/status.h"

typedef enum LogLevel { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERROR, LOG_FATAL, LOG_PANIC } LogLevel;
typedef enum LogFormat { LOG_TEXT, LOG_JSON } LogFormat;

typedef struct Log {
    _Atomic int min_level;
    LogFormat format;
    /* Writes one complete line (with its newline). Called from any thread. */
    void (*write_line)(void *sink, const char *line, size_t len);
    void *sink;
    /* Wall clock in microseconds since 1970, supplied by os (tests supply their own). */
    int64_t (*now_us)(void *clock);
    void *clock;
} Log;

/* `log` may be NULL everywhere: nothing is written. */
void log_line(Log *log, LogLevel level, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Logs message, detail and hint of an error, with its SQLSTATE. */
void log_error(Log *log, LogLevel level, const Error *err, const char *doing);
const char *log_level_name(LogLevel level);

#endif
