/*
 * os/thread.c: starting and joining threads, their numbers and stacks.
 *
 * The one piece of process-wide state is the set of thread numbers in use: numbers are dense over all threads of the
 * process, also over those that an embedding program made, so no engine can own them.
 *
 * A thread's bookkeeping is not charged to a budget: it is bounded by the number of threads, and its stack, which is
 * larger by orders of magnitude, is the kernel's to account.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_int.h"

enum { THREAD_STACK_BYTES = 8 * 1024 * 1024, NAME_BYTES = 16 };

struct OsThread {
    pthread_t thread;
    void (*fn)(void *arg);
    void *arg;
    SyncHooks *hooks;
    SchedTask *task;
    char name[NAME_BYTES];
};

/* Bit i of word w is set while number 64 w + i is in use. */
enum { INDEX_WORDS = OS_THREADS_MAX / 64 };
static _Atomic uint64_t index_used[INDEX_WORDS];

/* Number plus one, 0 = none yet. Thread-local by its meaning. */
static _Thread_local unsigned index_plus_one;

static void release_index(void)
{
    if (index_plus_one > 0) {
        unsigned i = index_plus_one - 1;
        index_plus_one = 0;
        /* Release: what this thread did under the number happens before what the next one does. */
        atomic_fetch_and_explicit(&index_used[i / 64], ~(UINT64_C(1) << (i % 64)), memory_order_release);
    }
}

/* Takes the lowest free number. */
static unsigned take_index(void)
{
    for (unsigned w = 0; w < INDEX_WORDS; w++) {
        uint64_t used = atomic_load_explicit(&index_used[w], memory_order_relaxed);
        while (used != UINT64_MAX) {
            unsigned bit = (unsigned)__builtin_ctzll(~used);
            /* Acquire pairs with release_index. */
            if (atomic_compare_exchange_weak_explicit(&index_used[w], &used, used | UINT64_C(1) << bit,
                                                      memory_order_acquire, memory_order_relaxed)) {
                return w * 64 + bit;
            }
        }
    }
    UNREACHABLE(); /* more than OS_THREADS_MAX threads */
}

/* Threads that os_thread_start did not make give their number back through a thread-specific key's destructor. */
static pthread_key_t index_key;
static pthread_once_t index_key_once = PTHREAD_ONCE_INIT;

static void index_destructor(void *unused)
{
    (void)unused;
    release_index();
}

static void make_index_key(void)
{
    int rc = pthread_key_create(&index_key, index_destructor);
    ASSERT(rc == 0);
}

unsigned os_thread_index(void)
{
    if (UNLIKELY(index_plus_one == 0)) {
        pthread_once(&index_key_once, make_index_key);
        index_plus_one = take_index() + 1;
        pthread_setspecific(index_key, &index_plus_one); /* any value but NULL */
    }
    return index_plus_one - 1;
}

static void *thread_main(void *p)
{
    OsThread *t = p;
    pthread_setname_np(pthread_self(), t->name);
    if (t->task != NULL) {
        sched_task_enter(t->task);
    }
    sync_hooks_enter(t->hooks);
    t->fn(t->arg);
    sync_hooks_enter(NULL);
    /* Before the next scheduled thread runs: else its number would depend on how fast this one dies. */
    release_index();
    if (sched_on()) {
        sched_task_exit();
    }
    return NULL;
}

static int create_thread(OsThread *t)
{
    pthread_attr_t attr;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    rc = pthread_create(&t->thread, &attr, thread_main, t);
    pthread_attr_destroy(&attr);
    return rc;
}

Status os_thread_start(const char *name, void (*fn)(void *arg), void *arg, Error *err, OsThread **out_thread)
{
    OsThread *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    t->fn = fn;
    t->arg = arg;
    t->hooks = sync_hooks_current();
    strncpy(t->name, name, NAME_BYTES - 1);
    if (sched_on()) {
        t->task = sched_task_new(t->name);
        if (t->task == NULL) {
            free(t);
            return err_set(err, ST_OUT_OF_MEMORY, NULL);
        }
    }
    int rc = create_thread(t);
    if (rc != 0) {
        sched_task_drop(t->task);
        free(t);
        char text[128];
        return err_set(err, ST_SYSTEM_ERROR, "could not start thread \"%s\": %s", name,
                       strerror_r(rc, text, sizeof text));
    }
    *out_thread = t;
    if (sched_on()) {
        sched_point("thread start");
    }
    return ST_OK;
}

void os_thread_join(OsThread *t)
{
    if (t == NULL) {
        return;
    }
    if (sched_on() && t->task != NULL) {
        sched_point("join");
        while (!sched_is_done(t->task)) {
            sched_block("join", t->task, -1);
        }
    }
    int rc = pthread_join(t->thread, NULL);
    ASSERT(rc == 0);
    free(t);
}

void os_yield(void)
{
    if (sched_on()) {
        sched_yield_point("yield");
    } else {
        sched_yield();
    }
}

void os_cpu_relax(void)
{
    if (sched_on()) {
        sched_yield_point("relax");
    } else {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("isb");
#endif
    }
}

unsigned os_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return (unsigned)CPU_COUNT(&set);
    }
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (unsigned)n;
}

/* The lowest usable address of the calling thread's stack; NULL = unknown. */
static const char *find_stack_bottom(void)
{
    pthread_attr_t attr;
    if (pthread_getattr_np(pthread_self(), &attr) != 0) {
        return NULL;
    }
    void *bottom = NULL;
    size_t bytes = 0;
    size_t guard = 0;
    int rc = pthread_attr_getstack(&attr, &bottom, &bytes);
    pthread_attr_getguardsize(&attr, &guard);
    pthread_attr_destroy(&attr);
    return rc == 0 ? (const char *)bottom + guard : NULL;
}

bool os_stack_ok(size_t reserve)
{
    /* Thread-local by its meaning; found once, since it costs a system call or more. */
    static _Thread_local const char *stack_bottom;
    static _Thread_local bool stack_known;
    if (UNLIKELY(!stack_known)) {
        stack_bottom = find_stack_bottom();
        stack_known = true;
    }
    const char *here = __builtin_frame_address(0);
    return (uintptr_t)here > (uintptr_t)stack_bottom && (uintptr_t)here - (uintptr_t)stack_bottom >= reserve;
}
