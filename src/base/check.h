/*
 * base/check.h: assertions.
 *
 * ASSERT stays on in release builds: it guards arguments, state and results whose violation would mean that the
 * process is about to write wrong data. It logs and aborts, also in the embedded library: corrupt state must never
 * reach the disk. ASSERT_SLOW is for checks that walk a whole page, list or tree; it is on in debug and test builds.
 *
 * Data from disk or network is never asserted: it is checked and answered with a status.
 */
#ifndef RDB_BASE_CHECK_H
#define RDB_BASE_CHECK_H

#include <stddef.h>

/* Writes "ASSERT failed: cond (file:line, func)" to standard error and aborts. Takes no lock, allocates nothing. */
_Noreturn void rdb_assert_failed(const char *cond, const char *file, int line, const char *func);

#define ASSERT(cond) (__builtin_expect(!!(cond), 1) ? (void)0 : rdb_assert_failed(#cond, __FILE__, __LINE__, __func__))

#ifdef RDB_SLOW_CHECKS
#define ASSERT_SLOW(cond) ASSERT(cond)
#else
#define ASSERT_SLOW(cond) ((void)sizeof(!!(cond)))
#endif

#define STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#define UNREACHABLE() rdb_assert_failed("unreachable", __FILE__, __LINE__, __func__)

/* Result must be used. Every function that returns a Status carries it, through STATUS below in status.h. */
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
