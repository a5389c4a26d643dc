/*
 * base/check.c: the end of a failed assertion.
 */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void rdb_assert_failed(const char *cond, const char *file, int line, const char *func)
{
    char text[512];
    int n = snprintf(text, sizeof text, "ASSERT failed: %s (%s:%d, %s)\n", cond, file, line, func);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    /* write(2), not stdio: another thread may hold stderr's lock. */
    ssize_t ignored = write(STDERR_FILENO, text, len);
    (void)ignored;
    abort();
}
