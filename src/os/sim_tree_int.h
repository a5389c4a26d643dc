/*
 * os/sim_tree_int.h: the content of one simulated file as a persistent tree of pages: a copy is one reference, and a
 * write copies only the path to what it changes where that is shared. So a disk can be copied for each of thousands of
 * power cuts.
 *
 * Nodes and pages are counted and may be shared by trees of several disks, on several threads. All trees that share must
 * be charged to one budget. A tree itself belongs to whoever holds the disk's lock.
 */
#ifndef RDB_OS_SIM_TREE_INT_H
#define RDB_OS_SIM_TREE_INT_H

#include "base/mem.h"

enum { SIM_PAGE_BYTES = 4096 };

typedef struct SimTree {
    void *root;      /* NULL = all holes */
    unsigned height; /* levels of nodes; 0 with no root */
} SimTree;

SimTree sim_tree_copy(const SimTree *t);
void sim_tree_done(Budget *b, SimTree *t);
/* Holes read as zeros. */
void sim_tree_read(const SimTree *t, uint64_t offset, void *buf, size_t len);
/* False = no memory; part of it may be done. */
MUST_CHECK bool sim_tree_write(Budget *b, SimTree *t, uint64_t offset, const void *buf, size_t len);
/* Makes [from, to) zeros and frees the pages that lie wholly inside; UINT64_MAX = to the end. */
MUST_CHECK bool sim_tree_zero(Budget *b, SimTree *t, uint64_t from, uint64_t to);
/* Makes the holes of [offset, offset + len) take space; they still read as zeros. */
MUST_CHECK bool sim_tree_reserve(Budget *b, SimTree *t, uint64_t offset, uint64_t len);
/* Is the page at this offset data, and not a hole or only reserved? */
bool sim_tree_has_data(const SimTree *t, uint64_t offset);
/* Does it take space? */
bool sim_tree_takes_space(const SimTree *t, uint64_t offset);
/* Pages that take space. */
uint64_t sim_tree_pages(const SimTree *t);

#endif
