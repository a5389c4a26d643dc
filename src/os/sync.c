/*
 * os/sync.c: sync points and the hooks that tests hang on them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "os/os_int.h"

/* Thread-local: hooks are entered per thread, so that tests and engines in one process do not meet. */
_Thread_local bool os_sync_armed_here;
static _Thread_local SyncHooks *hooks_here;

typedef struct Hook {
    const char *name;
    void (*fn)(void *arg);
    void *arg;
} Hook;

/* `lock` guards the array. A test sets a handful of hooks: they are searched in order. */
enum { HOOKS_MAX = 32 };
struct SyncHooks {
    pthread_mutex_t lock;
    unsigned count;
    Hook hooks[HOOKS_MAX];
};

SyncHooks *sync_hooks_new(void)
{
    SyncHooks *h = calloc(1, sizeof *h);
    ASSERT(h != NULL); /* tests only */
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void sync_hooks_free(SyncHooks *h)
{
    if (h != NULL) {
        ASSERT(hooks_here != h);
        pthread_mutex_destroy(&h->lock);
        free(h);
    }
}

static Hook *find_hook(SyncHooks *h, const char *name)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (strcmp(h->hooks[i].name, name) == 0) {
            return &h->hooks[i];
        }
    }
    return NULL;
}

void sync_hooks_set(SyncHooks *h, const char *name, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&h->lock);
    Hook *hook = find_hook(h, name);
    if (hook == NULL && fn != NULL) {
        ASSERT(h->count < HOOKS_MAX);
        hook = &h->hooks[h->count++];
    }
    if (hook != NULL && fn == NULL) {
        *hook = h->hooks[--h->count];
    } else if (hook != NULL) {
        *hook = (Hook){name, fn, arg};
    }
    pthread_mutex_unlock(&h->lock);
}

SyncHooks *sync_hooks_current(void)
{
    return hooks_here;
}

void sync_arm(void)
{
    os_sync_armed_here = hooks_here != NULL || sched_self != NULL;
}

void sync_hooks_enter(SyncHooks *h)
{
    hooks_here = h;
    sync_arm();
}

/* The hook runs without the lock: it may wait for another thread that sets or runs hooks. */
void os_sync_point(const char *name)
{
    Hook hook = {0};
    if (hooks_here != NULL) {
        pthread_mutex_lock(&hooks_here->lock);
        Hook *found = find_hook(hooks_here, name);
        if (found != NULL) {
            hook = *found;
        }
        pthread_mutex_unlock(&hooks_here->lock);
    }
    if (hook.fn != NULL) {
        hook.fn(hook.arg);
    }
    if (sched_on()) {
        sched_point(name);
    }
}
