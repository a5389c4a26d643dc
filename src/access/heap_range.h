/*
 * access/heap_range.h: the one comparison kernel of table scans: which of n values of an array lie in a range.
 *
 * Key idea: every comparison with a constant is a range. x < c is [min, c - 1], x = c is [c, c], x <> c is that
 * negated; for integers of either sign x is in [lo, hi] iff x - lo <= hi - lo without sign. So one kernel per width
 * does all six operators and both signs, and one per float width does PostgreSQL's order (NaN is the greatest and
 * equals itself).
 */
#ifndef RDB_ACCESS_HEAP_RANGE_H
#define RDB_ACCESS_HEAP_RANGE_H

#include "access/heap.h"

typedef struct HeapRange {
    uint64_t lo;   /* integers: lower bound as unsigned of the width */
    uint64_t span; /* hi - lo */
    double flo;    /* floats: flo <= x <= fhi, or x is NaN and `nan` */
    double fhi;
    bool nan;
    uint64_t flip; /* all ones: the complement */
} HeapRange;

/*
 * False: the order does not apply to the width (W16, STRING), or the range is empty: *out_none says that nothing
 * passes.
 */
void heap_range(unsigned width, HeapOrder order, HeapTest test, const HeapValue *c, HeapRange *out);
/*
 * Clears in `words` (heap_words(n) of them) the bits of values that are not in the range. Words that are zero are
 * skipped. `data` has n values of the width 1, 2, 4 or 8.
 */
void heap_range_apply(unsigned width, bool is_float, const uint8_t *data, unsigned n, const HeapRange *r,
                      uint64_t *words);
/* Tests: force the portable kernels. Returns whether vector ones exist here. */
bool heap_range_has_vector(void);
void heap_range_apply_portable(unsigned width, bool is_float, const uint8_t *data, unsigned n, const HeapRange *r,
                               uint64_t *words);

#endif
