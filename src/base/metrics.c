/*
 * base/metrics.c: striped counters and histograms.
 *
 * A metric is one block: head, then METRIC_STRIPES stripes of whole cache lines. The list of metrics only grows, by
 * compare-and-swap at its head, so readers walk it without a lock.
 */
#include "base/metrics.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

enum { LINE = 64, WORDS_PER_LINE = LINE / 8 };

/* Words of a histogram's stripe: the buckets, then the sum. */
enum { HISTOGRAM_WORDS = HISTOGRAM_BUCKETS + 1 };

struct Metric {
    Metric *older;
    MetricKind kind;
    const char *name;
    const char *labels;
    const char *help;
    double unit;
    double (*read)(void *arg);
    void *arg;
    size_t bytes;        /* of the block */
    size_t stripe_words; /* distance of two stripes */
    _Alignas(LINE) _Atomic uint64_t cells[];
};

/*
 * The calling thread's stripe. Threads are told apart by where their thread-local storage lies: no registry, no shared
 * counter. Thread-local because it is a property of the thread alone.
 */
static unsigned stripe(void)
{
    static _Thread_local unsigned stripe_plus_one;
    if (UNLIKELY(stripe_plus_one == 0)) {
        stripe_plus_one = (unsigned)(mix64((uint64_t)(uintptr_t)&stripe_plus_one) % METRIC_STRIPES) + 1;
    }
    return stripe_plus_one - 1;
}

static _Atomic uint64_t *my_cells(Metric *m)
{
    return &m->cells[stripe() * m->stripe_words];
}

static void add(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed); /* relaxed: a count publishes nothing */
}

static uint64_t sum_stripes(const Metric *m, size_t word)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < METRIC_STRIPES; i++) {
        sum += atomic_load_explicit(&m->cells[i * m->stripe_words + word], memory_order_relaxed);
    }
    return sum;
}

void metrics_init(Metrics *m, Budget *budget)
{
    m->budget = budget;
    atomic_init(&m->newest, NULL);
}

void metrics_done(Metrics *m)
{
    Metric *metric = atomic_load_explicit(&m->newest, memory_order_acquire); /* pairs with publish */
    while (metric != NULL) {
        Metric *older = metric->older;
        mem_free(m->budget, metric, metric->bytes);
        metric = older;
    }
    atomic_init(&m->newest, NULL);
}

static void publish(Metrics *m, Metric *metric)
{
    metric->older = atomic_load_explicit(&m->newest, memory_order_relaxed);
    /* Release: whoever finds the metric sees it filled in. */
    while (!atomic_compare_exchange_weak_explicit(&m->newest, &metric->older, metric, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

/* `words` per stripe, `stripes` of them. The caller fills in the rest and publishes. */
static Metric *new_metric(Metrics *m, MetricKind kind, const MetricInfo *info, size_t words, size_t stripes)
{
    size_t stripe_words = (words + WORDS_PER_LINE - 1) / WORDS_PER_LINE * WORDS_PER_LINE;
    size_t bytes = sizeof(Metric) + stripes * stripe_words * sizeof(uint64_t);
    Metric *metric = mem_alloc_aligned(m->budget, bytes, LINE);
    if (metric == NULL) {
        return NULL;
    }
    memset(metric, 0, bytes);
    metric->kind = kind;
    metric->name = info->name;
    metric->labels = info->labels;
    metric->help = info->help;
    metric->unit = info->unit;
    metric->bytes = bytes;
    metric->stripe_words = stripe_words;
    return metric;
}

Counter *counter_new(Metrics *m, const char *name, const char *labels, const char *help)
{
    MetricInfo info = {.name = name, .labels = labels, .help = help, .unit = 1};
    Metric *metric = new_metric(m, METRIC_COUNTER, &info, 1, METRIC_STRIPES);
    if (metric != NULL) {
        publish(m, metric);
    }
    return metric;
}

Gauge *gauge_new(Metrics *m, const char *name, const char *labels, const char *help)
{
    return gauge_new_fn(m, name, labels, help, NULL, NULL);
}

Gauge *gauge_new_fn(Metrics *m, const char *name, const char *labels, const char *help, double (*read)(void *arg),
                    void *arg)
{
    MetricInfo info = {.name = name, .labels = labels, .help = help, .unit = 1};
    Metric *metric = new_metric(m, METRIC_GAUGE, &info, 1, 1);
    if (metric != NULL) {
        metric->read = read;
        metric->arg = arg;
        publish(m, metric);
    }
    return metric;
}

Histogram *histogram_new(Metrics *m, const char *name, const char *labels, const char *help, double unit)
{
    MetricInfo info = {.name = name, .labels = labels, .help = help, .unit = unit};
    Metric *metric = new_metric(m, METRIC_HISTOGRAM, &info, HISTOGRAM_WORDS, METRIC_STRIPES);
    if (metric != NULL) {
        publish(m, metric);
    }
    return metric;
}

void counter_add(Counter *c, uint64_t n)
{
    if (c != NULL) {
        ASSERT_SLOW(c->kind == METRIC_COUNTER);
        add(my_cells(c), n);
    }
}

uint64_t counter_read(const Counter *c)
{
    return c == NULL ? 0 : sum_stripes(c, 0);
}

void gauge_set(Gauge *g, int64_t value)
{
    if (g != NULL) {
        ASSERT_SLOW(g->kind == METRIC_GAUGE && g->read == NULL);
        atomic_store_explicit(&g->cells[0], (uint64_t)value, memory_order_relaxed);
    }
}

void gauge_add(Gauge *g, int64_t n)
{
    if (g != NULL) {
        ASSERT_SLOW(g->kind == METRIC_GAUGE && g->read == NULL);
        add(&g->cells[0], (uint64_t)n);
    }
}

double gauge_read(const Gauge *g)
{
    if (g == NULL) {
        return 0;
    }
    if (g->read != NULL) {
        return g->read(g->arg);
    }
    return (double)(int64_t)atomic_load_explicit(&g->cells[0], memory_order_relaxed);
}

/* The top HISTOGRAM_SUB_BITS bits behind the leading one select the sub-bucket; small values are their own bucket. */
unsigned histogram_bucket(uint64_t value)
{
    if (value < (1u << HISTOGRAM_SUB_BITS)) {
        return (unsigned)value;
    }
    if (value >> HISTOGRAM_TOP_BITS != 0) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned top = 63u - (unsigned)__builtin_clzll(value);
    unsigned shift = top - HISTOGRAM_SUB_BITS;
    unsigned sub = (unsigned)(value >> shift) & ((1u << HISTOGRAM_SUB_BITS) - 1);
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + sub;
}

uint64_t histogram_bound(unsigned bucket)
{
    ASSERT(bucket < HISTOGRAM_BUCKETS);
    if (bucket == HISTOGRAM_BUCKETS - 1) {
        return UINT64_MAX;
    }
    if (bucket < (1u << HISTOGRAM_SUB_BITS)) {
        return bucket;
    }
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t sub = bucket & ((1u << HISTOGRAM_SUB_BITS) - 1);
    return (((UINT64_C(1) << HISTOGRAM_SUB_BITS) + sub + 1) << shift) - 1;
}

void histogram_record(Histogram *h, uint64_t value)
{
    if (h != NULL) {
        ASSERT_SLOW(h->kind == METRIC_HISTOGRAM);
        _Atomic uint64_t *cells = my_cells(h);
        add(&cells[histogram_bucket(value)], 1);
        add(&cells[HISTOGRAM_BUCKETS], value);
    }
}

void histogram_read(const Histogram *h, HistogramView *out_view)
{
    memset(out_view, 0, sizeof *out_view);
    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        out_view->buckets[i] = sum_stripes(h, i);
        out_view->count += out_view->buckets[i];
    }
    out_view->sum = sum_stripes(h, HISTOGRAM_BUCKETS);
}

uint64_t histogram_quantile(const HistogramView *v, double q)
{
    if (v->count == 0) {
        return 0;
    }
    double rank = ceil(q * (double)v->count);
    uint64_t wanted = rank < 1 ? 1 : rank > (double)v->count ? v->count : (uint64_t)rank;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += v->buckets[i];
        if (seen >= wanted) {
            return histogram_bound(i);
        }
    }
    return UINT64_MAX;
}

void metrics_each(const Metrics *m, void (*fn)(void *arg, const MetricInfo *info), void *arg)
{
    const Metric *metric = atomic_load_explicit(&m->newest, memory_order_acquire); /* pairs with publish */
    for (; metric != NULL; metric = metric->older) {
        MetricInfo info = {.kind = metric->kind,
                           .name = metric->name,
                           .labels = metric->labels,
                           .help = metric->help,
                           .unit = metric->unit,
                           .metric = metric};
        fn(arg, &info);
    }
}
