/*
 * os/clock.c: clocks, sleep and entropy; virtual or seeded on a scheduled thread.
 */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "os/os_int.h"

/* Where the virtual wall clock starts: 2026-01-01 00:00:00 UTC. */
static const int64_t VIRTUAL_WALL_BASE_US = INT64_C(1767225600) * 1000000;

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    ASSERT(rc == 0);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t os_monotonic_us(void)
{
    return sched_on() ? sched_now_us() : read_clock(CLOCK_MONOTONIC);
}

int64_t os_wall_us(void)
{
    return sched_on() ? VIRTUAL_WALL_BASE_US + sched_now_us() : read_clock(CLOCK_REALTIME);
}

void os_sleep_us(int64_t us)
{
    if (sched_on()) {
        sched_point("sleep");
        if (us > 0) {
            sched_block("sleep", NULL, us);
        }
        return;
    }
    if (us <= 0) {
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + us % 1000000 * 1000;
    until.tv_sec += (time_t)(us / 1000000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    /* An absolute time, so that signals do not lengthen the sleep. */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

void os_random_bytes(void *p, size_t len)
{
    if (sched_on()) {
        sched_random_bytes(p, len);
        return;
    }
    char *to = p;
    while (len > 0) {
        ssize_t n = getrandom(to, len, 0);
        if (n < 0) {
            ASSERT(errno == EINTR); /* since Linux 3.17 it cannot fail otherwise */
            continue;
        }
        to += n;
        len -= (size_t)n;
    }
}
