/*
 * os/sim_tree.c: a radix tree of 64-way nodes over 4 KiB pages, with copy on write.
 *
 * A leaf slot is NULL (hole), RESERVED (takes space, reads as zeros) or a page. Whoever changes something must hold the
 * only reference on each node of the path and on the page: own() makes it so from the root down.
 */
#include "os/sim_tree_int.h"

#include <string.h>

enum { FAN_BITS = 6, FAN = 1 << FAN_BITS, HEIGHT_MAX = 9 };

typedef struct Node {
    _Atomic uint32_t refs;
    uint64_t pages; /* that take space below this node */
    void *child[FAN];
} Node;

typedef struct Page {
    _Atomic uint32_t refs;
    char data[SIM_PAGE_BYTES];
} Page;

static char reserved_mark;
#define RESERVED ((void *)&reserved_mark)

static bool is_counted(const void *p)
{
    return p != NULL && p != RESERVED;
}

/* Nodes and pages both begin with their count. */
static void ref(void *p)
{
    if (is_counted(p)) {
        atomic_fetch_add_explicit((_Atomic uint32_t *)p, 1, memory_order_relaxed);
    }
}

/* Frees what hangs at a slot of a node at `level` (1 = its children are pages; 0 = it is a page). */
static void unref(Budget *b, void *p, unsigned level)
{
    /* Acquire and release: whoever frees it must see that all others are done with it. */
    if (!is_counted(p) || atomic_fetch_sub_explicit((_Atomic uint32_t *)p, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (level == 0) {
        mem_free(b, p, sizeof(Page));
        return;
    }
    Node *n = p;
    for (unsigned i = 0; i < FAN; i++) {
        unref(b, n->child[i], level - 1); /* at most HEIGHT_MAX deep */
    }
    mem_free(b, n, sizeof *n);
}

static bool is_shared(void *p)
{
    return atomic_load_explicit((_Atomic uint32_t *)p, memory_order_acquire) > 1;
}

/* Makes the node at *slot exist and ours alone; NULL = no memory. */
static Node *own_node(Budget *b, void **slot, unsigned level)
{
    Node *old = *slot;
    if (old != NULL && !is_shared(old)) {
        return old;
    }
    Node *n = old == NULL ? mem_alloc0(b, sizeof *n) : mem_alloc(b, sizeof *n);
    if (n == NULL) {
        return NULL;
    }
    if (old != NULL) {
        memcpy(n->child, old->child, sizeof n->child);
        n->pages = old->pages;
        for (unsigned i = 0; i < FAN; i++) {
            ref(n->child[i]);
        }
        unref(b, old, level);
    }
    atomic_init(&n->refs, 1);
    *slot = n;
    return n;
}

static Page *own_page(Budget *b, void **slot)
{
    Page *old = is_counted(*slot) ? *slot : NULL;
    if (old != NULL && !is_shared(old)) {
        return old;
    }
    Page *p = mem_alloc(b, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    if (old == NULL) {
        memset(p->data, 0, sizeof p->data);
    } else {
        memcpy(p->data, old->data, sizeof p->data);
        unref(b, old, 0);
    }
    atomic_init(&p->refs, 1);
    *slot = p;
    return p;
}

SimTree sim_tree_copy(const SimTree *t)
{
    ref(t->root);
    return *t;
}

void sim_tree_done(Budget *b, SimTree *t)
{
    unref(b, t->root, t->height);
    *t = (SimTree){0};
}

/* Page numbers that a tree of this height reaches. */
static uint64_t reach(unsigned height)
{
    return height * FAN_BITS >= 64 ? UINT64_MAX : UINT64_C(1) << (height * FAN_BITS);
}

static unsigned index_at(uint64_t page, unsigned level)
{
    return (unsigned)(page >> ((level - 1) * FAN_BITS)) & (FAN - 1);
}

static void *find(const SimTree *t, uint64_t page)
{
    if (t->root == NULL || page >= reach(t->height)) {
        return NULL;
    }
    void *p = t->root;
    for (unsigned level = t->height; level > 0 && p != NULL; level--) {
        p = ((const Node *)p)->child[index_at(page, level)];
    }
    return p;
}

bool sim_tree_has_data(const SimTree *t, uint64_t offset)
{
    return is_counted(find(t, offset / SIM_PAGE_BYTES));
}

bool sim_tree_takes_space(const SimTree *t, uint64_t offset)
{
    return find(t, offset / SIM_PAGE_BYTES) != NULL;
}

uint64_t sim_tree_pages(const SimTree *t)
{
    return t->root == NULL ? 0 : ((const Node *)t->root)->pages;
}

void sim_tree_read(const SimTree *t, uint64_t offset, void *buf, size_t len)
{
    char *to = buf;
    while (len > 0) {
        size_t in_page = (size_t)(offset % SIM_PAGE_BYTES);
        size_t n = SIM_PAGE_BYTES - in_page < len ? SIM_PAGE_BYTES - in_page : len;
        const void *p = find(t, offset / SIM_PAGE_BYTES);
        if (is_counted(p)) {
            memcpy(to, ((const Page *)p)->data + in_page, n);
        } else {
            memset(to, 0, n);
        }
        to += n;
        offset += n;
        len -= n;
    }
}

static bool reach_page(Budget *b, SimTree *t, uint64_t page)
{
    while (t->height == 0 || page >= reach(t->height)) {
        ASSERT(t->height < HEIGHT_MAX);
        if (t->root != NULL) {
            void *slot = NULL;
            Node *n = own_node(b, &slot, t->height + 1);
            if (n == NULL) {
                return false;
            }
            n->child[0] = t->root;
            n->pages = ((Node *)t->root)->pages;
            t->root = n;
        }
        t->height++;
    }
    return true;
}

/* The leaf slot of a page with its whole path ours; path[] gets the nodes from the root down. */
static void **own_slot(Budget *b, SimTree *t, uint64_t page, Node *path[HEIGHT_MAX])
{
    if (!reach_page(b, t, page)) {
        return NULL;
    }
    void **slot = &t->root;
    for (unsigned level = t->height; level > 0; level--) {
        Node *n = own_node(b, slot, level);
        if (n == NULL) {
            return NULL;
        }
        path[t->height - level] = n;
        slot = &n->child[index_at(page, level)];
    }
    return slot;
}

static void count_one_more(const SimTree *t, Node *path[HEIGHT_MAX])
{
    for (unsigned i = 0; i < t->height; i++) {
        path[i]->pages++;
    }
}

bool sim_tree_write(Budget *b, SimTree *t, uint64_t offset, const void *buf, size_t len)
{
    const char *from = buf;
    while (len > 0) {
        size_t in_page = (size_t)(offset % SIM_PAGE_BYTES);
        size_t n = SIM_PAGE_BYTES - in_page < len ? SIM_PAGE_BYTES - in_page : len;
        Node *path[HEIGHT_MAX];
        void **slot = own_slot(b, t, offset / SIM_PAGE_BYTES, path);
        if (slot == NULL) {
            return false;
        }
        bool was_hole = *slot == NULL;
        Page *p = own_page(b, slot);
        if (p == NULL) {
            return false;
        }
        if (was_hole) {
            count_one_more(t, path);
        }
        memcpy(p->data + in_page, from, n);
        from += n;
        offset += n;
        len -= n;
    }
    return true;
}

bool sim_tree_reserve(Budget *b, SimTree *t, uint64_t offset, uint64_t len)
{
    uint64_t last = (offset + len - 1) / SIM_PAGE_BYTES;
    for (uint64_t page = offset / SIM_PAGE_BYTES; len > 0 && page <= last; page++) {
        if (find(t, page) != NULL) {
            continue;
        }
        Node *path[HEIGHT_MAX];
        void **slot = own_slot(b, t, page, path);
        if (slot == NULL) {
            return false;
        }
        *slot = RESERVED;
        count_one_more(t, path);
    }
    return true;
}

/*
 * Frees pages [from, to) below the node at *slot, which covers `first` on; *io_freed counts them. Subtrees that lie
 * wholly inside go without being looked at.
 */
static bool drop(Budget *b, void **slot, unsigned level, uint64_t first, uint64_t from, uint64_t to, uint64_t *io_freed)
{
    uint64_t span = reach(level);
    uint64_t end = first + span < first ? UINT64_MAX : first + span;
    if (*slot == NULL || to <= first || from >= end) {
        return true;
    }
    if (from <= first && end <= to) {
        *io_freed += level == 0 ? 1 : ((Node *)*slot)->pages;
        unref(b, *slot, level);
        *slot = NULL;
        return true;
    }
    Node *n = own_node(b, slot, level);
    if (n == NULL) {
        return false;
    }
    uint64_t freed = 0;
    bool ok = true;
    for (unsigned i = 0; i < FAN && ok; i++) {
        ok = drop(b, &n->child[i], level - 1, first + i * reach(level - 1), from, to, &freed);
    }
    n->pages -= freed;
    *io_freed += freed;
    return ok;
}

static bool zero_in_page(Budget *b, SimTree *t, uint64_t from, uint64_t to)
{
    static const char zeros[SIM_PAGE_BYTES];
    return from >= to || !sim_tree_has_data(t, from) || sim_tree_write(b, t, from, zeros, (size_t)(to - from));
}

bool sim_tree_zero(Budget *b, SimTree *t, uint64_t from, uint64_t to)
{
    if (from >= to || t->root == NULL) {
        return true;
    }
    uint64_t first_whole = from / SIM_PAGE_BYTES + (from % SIM_PAGE_BYTES != 0);
    uint64_t end_whole = to == UINT64_MAX ? UINT64_MAX : to / SIM_PAGE_BYTES;
    if (first_whole > end_whole) { /* inside one page */
        return zero_in_page(b, t, from, to);
    }
    if (!zero_in_page(b, t, from, first_whole * SIM_PAGE_BYTES)) {
        return false;
    }
    if (to != UINT64_MAX && !zero_in_page(b, t, end_whole * SIM_PAGE_BYTES, to)) {
        return false;
    }
    uint64_t freed = 0;
    return drop(b, &t->root, t->height, 0, first_whole, end_whole, &freed);
}
