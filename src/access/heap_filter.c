/*
 * access/heap_filter.c: predicates on the columns of a page: the whitelist of what may run under a latch. Fixed widths
 * go through the range kernels; strings are compared row by row, mostly by length and prefix in the view.
 */
#include "access/heap_int.h"
#include "access/heap_range.h"

typedef enum Answer { NO, YES, UNDECIDED } Answer;

/* ---- strings ---- */

/* A string value: bytes unless it is in overflow, of which length and the first 4 bytes are known. */
typedef struct StringRef {
    const HeapView *view;
    const char *p; /* NULL = overflow */
} StringRef;

static uint32_t big_endian_prefix(const HeapView *v)
{
    uint32_t w;
    memcpy(&w, v->prefix, 4);
    return __builtin_bswap32(w);
}

static Answer string_eq(StringRef s, const HeapView *c)
{
    uint64_t a;
    uint64_t b;
    memcpy(&a, s.view, 8);
    memcpy(&b, c, 8);
    if (a != b) { /* length and first 4 bytes at once */
        return NO;
    }
    if (s.p == NULL) {
        return UNDECIDED;
    }
    return memcmp(s.p, heap_view_ptr(c), c->len) == 0 ? YES : NO;
}

/* Order by memcmp, a prefix first. The prefixes are padded with zeros, so they decide when they differ. */
static Answer string_order(StringRef s, const HeapView *c, HeapTest test)
{
    uint32_t a = big_endian_prefix(s.view);
    uint32_t b = big_endian_prefix(c);
    int cmp = a < b ? -1 : a > b;
    if (cmp == 0) {
        if (s.p == NULL) {
            return UNDECIDED;
        }
        uint32_t len = s.view->len < c->len ? s.view->len : c->len;
        cmp = memcmp(s.p, heap_view_ptr(c), len);
        if (cmp == 0) {
            cmp = s.view->len < c->len ? -1 : s.view->len > c->len;
        }
    }
    bool yes = test == HEAP_LT ? cmp < 0 : test == HEAP_LE ? cmp <= 0 : test == HEAP_GT ? cmp > 0 : cmp >= 0;
    return yes ? YES : NO;
}

static Answer string_like(StringRef s, const HeapLike *l)
{
    if (s.p != NULL) {
        return heap_like_match(l, s.p, s.view->len) ? YES : NO;
    }
    if (l->kind == HEAP_LIKE_PREFIX || l->kind == HEAP_LIKE_EXACT) {
        size_t n = l->text.len < 4 ? l->text.len : 4;
        if (memcmp(s.view->prefix, l->text.p, n) != 0 || (l->kind == HEAP_LIKE_EXACT && l->text.len != s.view->len)) {
            return NO;
        }
        return l->kind == HEAP_LIKE_PREFIX && n == l->text.len ? YES : UNDECIDED;
    }
    return UNDECIDED;
}

static Answer negate(Answer a)
{
    return a == UNDECIDED ? a : a == YES ? NO : YES;
}

static Answer string_test(StringRef s, const HeapPredicate *pred)
{
    Answer best = NO;
    switch (pred->test) {
    case HEAP_EQ: return string_eq(s, &pred->value.view);
    case HEAP_NE: return negate(string_eq(s, &pred->value.view));
    case HEAP_LIKE: return string_like(s, pred->like);
    case HEAP_NOT_LIKE: return negate(string_like(s, pred->like));
    case HEAP_IN:
        for (uint32_t i = 0; i < pred->n_in && best != YES; i++) {
            Answer a = string_eq(s, &pred->in[i].view);
            best = a != NO ? a : best;
        }
        return best;
    default: return string_order(s, &pred->value.view, (HeapTest)pred->test);
    }
}

/* ---- 16 bytes ---- */

static int compare_w16(const uint8_t *a, const uint8_t *b, HeapOrder order)
{
    if (order == HEAP_BYTES) {
        return memcmp(a, b, 16);
    }
    unsigned __int128 x;
    unsigned __int128 y;
    memcpy(&x, a, 16);
    memcpy(&y, b, 16);
    if (order == HEAP_SIGNED) {
        unsigned __int128 sign = (unsigned __int128)1 << 127;
        x ^= sign;
        y ^= sign;
    }
    return x < y ? -1 : x > y;
}

static bool w16_test(const uint8_t *x, const HeapPredicate *pred)
{
    if (pred->test == HEAP_IN) {
        for (uint32_t i = 0; i < pred->n_in; i++) {
            if (memcmp(x, pred->in[i].bytes, 16) == 0) {
                return true;
            }
        }
        return false;
    }
    int cmp = compare_w16(x, pred->value.bytes, (HeapOrder)pred->order);
    switch (pred->test) {
    case HEAP_EQ: return cmp == 0;
    case HEAP_NE: return cmp != 0;
    case HEAP_LT: return cmp < 0;
    case HEAP_LE: return cmp <= 0;
    case HEAP_GT: return cmp > 0;
    default: return cmp >= 0;
    }
}

/* ---- columns ---- */

static void filter_fixed(const HeapPredicate *pred, unsigned width, const uint8_t *data, unsigned n, uint64_t *words)
{
    HeapRange range;
    bool is_float = pred->order == HEAP_FLOAT;
    if (pred->test != HEAP_IN) {
        heap_range(width, (HeapOrder)pred->order, (HeapTest)pred->test, &pred->value, &range);
        heap_range_apply(width, is_float, data, n, &range, words);
        return;
    }
    uint64_t any[HEAP_WORDS_MAX] = {0};
    for (uint32_t i = 0; i < pred->n_in; i++) {
        uint64_t one[HEAP_WORDS_MAX];
        memcpy(one, words, 8 * heap_words(n));
        heap_range(width, (HeapOrder)pred->order, HEAP_EQ, &pred->in[i], &range);
        heap_range_apply(width, is_float, data, n, &range, one);
        for (unsigned w = 0; w < heap_words(n); w++) {
            any[w] |= one[w];
        }
    }
    memcpy(words, any, 8 * heap_words(n));
}

static void filter_w16(const HeapPredicate *pred, const uint8_t *data, unsigned n, uint64_t *words)
{
    for (unsigned w = 0; w < heap_words(n); w++) {
        for (uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
            unsigned i = (unsigned)__builtin_ctzll(bits);
            if (!w16_test(data + 16 * (size_t)(w * 64 + i), pred)) {
                words[w] &= ~(UINT64_C(1) << i);
            }
        }
    }
}

static void filter_strings(const HeapPage *p, const HeapDir *d, const HeapPredicate *pred, uint64_t *words,
                           HeapSelection *recheck)
{
    const PageView *views = heap_views_const(p->page, d);
    for (unsigned w = 0; w < heap_words(p->n_slots); w++) {
        for (uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
            unsigned i = (unsigned)__builtin_ctzll(bits);
            const HeapView *v = &views[w * 64 + i];
            bool overflow = v->len > HEAP_VIEW_INLINE && (v->ref & HEAP_REF_OVERFLOW) != 0;
            if (!heap_view_ok(p->page, v)) {
                continue; /* the copy will report it */
            }
            StringRef s = {v, overflow                     ? NULL
                              : v->len <= HEAP_VIEW_INLINE ? v->inl
                                                           : (const char *)p->page + (v->ref & ~HEAP_REF_SHARED)};
            Answer a = string_test(s, pred);
            if (a == NO) {
                words[w] &= ~(UINT64_C(1) << i);
            } else if (a == UNDECIDED) {
                ASSERT(recheck != NULL);
                recheck->bits[w] |= UINT64_C(1) << i;
            }
        }
    }
}

/* A column without array: one answer for all rows. */
static bool constant_passes(const HeapPredicate *pred, unsigned width, const HeapValue *v)
{
    if (pred->test == HEAP_IS_NULL || pred->test == HEAP_IS_NOT_NULL) {
        return (v->state == HEAP_NULL) == (pred->test == HEAP_IS_NULL);
    }
    if (v->state == HEAP_NULL) {
        return false;
    }
    if (width == HEAP_STRING) {
        return string_test((StringRef){&v->view, heap_view_ptr(&v->view)}, pred) == YES;
    }
    uint64_t word = 1;
    if (width == HEAP_W16) {
        return w16_test(v->bytes, pred);
    }
    filter_fixed(pred, width, v->bytes, 1, &word);
    return word != 0;
}

static void filter_column(const HeapPage *p, const HeapPredicate *pred, HeapSelection *sel, HeapSelection *recheck)
{
    const HeapDir *d;
    HeapValue v;
    unsigned words = heap_words(p->n_slots);
    if (!heap_locate(p, pred->column, &d, &v)) {
        return; /* the copy will report it */
    }
    if (d == NULL) {
        if (!constant_passes(pred, p->layout->columns[pred->column].width, &v)) {
            memset(sel->bits, 0, 8 * words);
        }
        return;
    }
    const PageU64 *nulls = heap_nulls_const(p->page, d);
    bool may_be_null = (d->flags & HEAP_DIR_NULLS) != 0;
    for (unsigned w = 0; w < words; w++) {
        uint64_t null = may_be_null ? nulls[w] : 0;
        sel->bits[w] &= pred->test == HEAP_IS_NULL ? null : ~null;
    }
    if (pred->test == HEAP_IS_NULL || pred->test == HEAP_IS_NOT_NULL) {
        return;
    }
    if (d->width == HEAP_STRING) {
        filter_strings(p, d, pred, sel->bits, recheck);
    } else if (d->width == HEAP_W16) {
        filter_w16(pred, p->page + d->offset, p->n_slots, sel->bits);
    } else {
        filter_fixed(pred, d->width, p->page + d->offset, p->n_slots, sel->bits);
    }
}

unsigned heap_filter(const HeapPage *p, const HeapPredicate *preds, unsigned n, HeapSelection *io_sel,
                     HeapSelection *io_recheck)
{
    ASSERT(io_sel->n_words == heap_words(p->n_slots));
    heap_selection_clip(p, io_sel);
    for (unsigned i = 0; i < n; i++) {
        filter_column(p, &preds[i], io_sel, io_recheck);
    }
    if (io_recheck != NULL) { /* a row that a later predicate took out needs no second look */
        io_recheck->n_words = io_sel->n_words;
        for (unsigned w = 0; w < io_sel->n_words; w++) {
            io_recheck->bits[w] &= io_sel->bits[w];
        }
    }
    return heap_selection_count(io_sel);
}
