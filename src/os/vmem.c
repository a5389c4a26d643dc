/*
 * os/vmem.c: large memory from mmap.
 */
#include "os/vmem.h"

#include <sys/mman.h>

enum { SMALL_PAGE = 4096, HUGE_PAGE = 2 * 1024 * 1024 };

static size_t round_up(size_t bytes)
{
    return (bytes + SMALL_PAGE - 1) & ~(size_t)(SMALL_PAGE - 1);
}

static void *map_pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Maps a huge page more than asked for and gives back what lies outside the aligned part. */
static void *map_aligned(size_t bytes)
{
    char *p = map_pages(bytes + HUGE_PAGE);
    if (p == NULL) {
        return NULL;
    }
    size_t before = (HUGE_PAGE - ((uintptr_t)p & (HUGE_PAGE - 1))) & (HUGE_PAGE - 1);
    if (before > 0) {
        munmap(p, before);
    }
    munmap(p + before + bytes, HUGE_PAGE - before);
    madvise(p + before, bytes, MADV_HUGEPAGE); /* advice: without huge pages it works all the same */
    return p + before;
}

void *vmem_alloc(Budget *b, size_t bytes)
{
    if (bytes == 0 || bytes > SIZE_MAX / 2 || mem_fault_fires(b)) {
        return NULL;
    }
    size_t mapped = round_up(bytes);
    if (!budget_charge(b, mapped)) {
        return NULL;
    }
    void *p = mapped >= HUGE_PAGE ? map_aligned(mapped) : map_pages(mapped);
    if (p == NULL) {
        budget_release(b, mapped);
    }
    return p;
}

void vmem_free(Budget *b, void *p, size_t bytes)
{
    if (p != NULL) {
        int rc = munmap(p, round_up(bytes));
        ASSERT(rc == 0);
        budget_release(b, round_up(bytes));
    }
}
