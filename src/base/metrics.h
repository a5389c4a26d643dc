/*
 * base/metrics.h: counters, gauges and histograms of one engine.
 *
 * Key idea: adding to a counter or histogram must not make processors fight over a cache line, so their cells are
 * striped: each thread adds to a stripe of its own (by hash; two threads may meet in one, which costs time, not
 * counts), and a reader sums the stripes. Gauges are single words, or functions asked when read.
 *
 * A registry hangs off an engine and owns its metrics until metrics_done; a metric is never removed before. Names follow
 * Prometheus: `rustdb_queries_total`; labels are the text between the braces (`kind="select"`) or NULL. Names,
 * labels and help are static strings. Registering a name and labels twice gives two metrics: don't.
 *
 * Threads: everything may be called from any thread, but metrics_done. Registering takes no lock.
 */
#ifndef RDB_BASE_METRICS_H
#define RDB_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/mem.h"

typedef enum MetricKind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM } MetricKind;

enum {
    METRIC_STRIPES = 16,
    /* Buckets are log-linear: 4 per power of two, so a bound is at most 25 % above its bucket's values. */
    HISTOGRAM_SUB_BITS = 2,
    HISTOGRAM_TOP_BITS = 40, /* values from 2^40 on (12 days in microseconds) share the last bucket */
    HISTOGRAM_BUCKETS = ((HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS) + 1,
};

typedef struct Metric Metric;
typedef Metric Counter;
typedef Metric Gauge;
typedef Metric Histogram;

typedef struct Metrics {
    Budget *budget;
    Metric *_Atomic newest; /* list by `older` */
} Metrics;

void metrics_init(Metrics *m, Budget *budget); /* allocates nothing */
void metrics_done(Metrics *m);

/* NULL = no memory. The adding functions below take NULL and do nothing, so a metric may be missing. */
MUST_CHECK Counter *counter_new(Metrics *m, const char *name, const char *labels, const char *help);
MUST_CHECK Gauge *gauge_new(Metrics *m, const char *name, const char *labels, const char *help);
/* A gauge whose value is asked for when read: `read(arg)` must stay callable until metrics_done. */
MUST_CHECK Gauge *gauge_new_fn(Metrics *m, const char *name, const char *labels, const char *help,
                               double (*read)(void *arg), void *arg);
/* `unit` is what one step of a recorded value means, in the exporter's base unit: 1e-6 for microseconds. */
MUST_CHECK Histogram *histogram_new(Metrics *m, const char *name, const char *labels, const char *help, double unit);

void counter_add(Counter *c, uint64_t n);
uint64_t counter_read(const Counter *c);
void gauge_set(Gauge *g, int64_t value);
void gauge_add(Gauge *g, int64_t n);
double gauge_read(const Gauge *g);
void histogram_record(Histogram *h, uint64_t value);

typedef struct HistogramView {
    uint64_t count; /* of values; the sum of buckets */
    uint64_t sum;   /* of values, modulo 2^64 */
    uint64_t buckets[HISTOGRAM_BUCKETS];
} HistogramView;
/* A consistent-enough sum over the stripes: concurrent records may be in or out. */
void histogram_read(const Histogram *h, HistogramView *out_view);
unsigned histogram_bucket(uint64_t value);          /* the bucket a value falls into */
uint64_t histogram_bound(unsigned bucket);          /* its largest value; UINT64_MAX for the last */
uint64_t histogram_quantile(const HistogramView *v, double q); /* bound of the bucket with the q-quantile; 0 if empty */

typedef struct MetricInfo {
    MetricKind kind;
    const char *name;
    const char *labels;
    const char *help;
    double unit; /* histograms */
    const Metric *metric;
} MetricInfo;
/* Calls fn for every metric, the newest first. */
void metrics_each(const Metrics *m, void (*fn)(void *arg, const MetricInfo *info), void *arg);

#endif
