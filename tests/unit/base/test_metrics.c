/* The metrics registry and the log's front end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "base/str.h"

static void every_value_lies_in_its_bucket(void **state)
{
    (void)state;
    Rng rng;
    rng_seed(&rng, 3);
    for (int i = 0; i < 200000; i++) {
        uint64_t v = rng_next(&rng) >> rng_below(&rng, 64);
        unsigned bucket = histogram_bucket(v);
        assert_true(bucket < HISTOGRAM_BUCKETS);
        assert_true(v <= histogram_bound(bucket));
        assert_true(bucket == 0 || v > histogram_bound(bucket - 1));
        if (v > 16 && bucket < HISTOGRAM_BUCKETS - 1) {
            assert_true(histogram_bound(bucket) - v <= v / 4); /* the promised precision */
        }
    }
    for (unsigned i = 1; i < HISTOGRAM_BUCKETS; i++) {
        assert_true(histogram_bound(i) > histogram_bound(i - 1));
    }
}

typedef struct Load {
    Counter *counter;
    Histogram *histogram;
    Gauge *gauge;
} Load;

static void *record(void *arg)
{
    Load *l = arg;
    for (uint64_t i = 0; i < 10000; i++) {
        counter_add(l->counter, 2);
        histogram_record(l->histogram, i);
        gauge_add(l->gauge, i % 2 == 0 ? 3 : -1);
    }
    return NULL;
}

static double read_seven(void *arg)
{
    (void)arg;
    return 7.5;
}

static void count_kind(void *arg, const MetricInfo *info)
{
    unsigned *kinds = arg;
    kinds[info->kind]++;
    assert_memory_equal(info->name, "test_", 5);
}

static void concurrent_adds_are_all_counted(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    Budget b;
    Metrics m;
    budget_init(&b, "b", NULL, 0, 0);
    metrics_init(&m, &b);
    Load load = {counter_new(&m, "test_total", "kind=\"a\"", "Help."),
                 histogram_new(&m, "test_seconds", NULL, "Help.", 1e-6), gauge_new(&m, "test_now", NULL, "Help.")};
    Gauge *seven = gauge_new_fn(&m, "test_seven", NULL, "Help.", read_seven, NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, record, &load), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(counter_read(load.counter), THREADS * 20000);
    assert_true(gauge_read(load.gauge) == THREADS * 10000);
    assert_true(gauge_read(seven) == 7.5);
    HistogramView view;
    histogram_read(load.histogram, &view);
    assert_int_equal(view.count, THREADS * 10000);
    assert_int_equal(view.sum, THREADS * (9999 * 10000 / 2));
    assert_in_range(histogram_quantile(&view, 0.5), 5000, 6250);
    assert_in_range(histogram_quantile(&view, 1), 9999, 12500);
    unsigned kinds[3] = {0};
    metrics_each(&m, count_kind, kinds);
    assert_int_equal(kinds[METRIC_COUNTER], 1);
    assert_int_equal(kinds[METRIC_GAUGE], 2);
    assert_int_equal(kinds[METRIC_HISTOGRAM], 1);
    metrics_done(&m);
    budget_done(&b);
}

static void a_missing_metric_is_ignored(void **state)
{
    (void)state;
    Budget b;
    Metrics m;
    budget_init(&b, "b", NULL, 10, 0);
    metrics_init(&m, &b);
    Counter *c = counter_new(&m, "test_total", NULL, "Help.");
    assert_null(c);
    counter_add(c, 1);
    gauge_set(NULL, 1);
    histogram_record(NULL, 1);
    HistogramView view;
    histogram_read(NULL, &view);
    assert_int_equal(view.count, 0);
    assert_int_equal(histogram_quantile(&view, 0.5), 0);
    metrics_done(&m);
    budget_done(&b);
}

typedef struct Sink {
    char text[20000];
    size_t len;
    int lines;
} Sink;

static void keep_line(void *arg, const char *line, size_t len)
{
    Sink *s = arg;
    assert_int_equal(line[len - 1], '\n');
    assert_null(memchr(line, '\n', len - 1)); /* one call, one line */
    memcpy(s->text + s->len, line, len);
    s->len += len;
    s->text[s->len] = 0;
    s->lines++;
}

static int64_t fixed_time(void *clock)
{
    (void)clock;
    return INT64_C(1767323045678901); /* 2026-01-02 03:04:05.678901 UTC */
}

static void a_log_line_is_one_line_whatever_it_says(void **state)
{
    (void)state;
    static Sink sink;
    Log log = {.min_level = LOG_INFO, .format = LOG_TEXT, .write_line = keep_line, .sink = &sink, .now_us = fixed_time};
    log_line(&log, LOG_DEBUG, "unseen");
    log_line(NULL, LOG_PANIC, "unseen");
    log_line(&log, LOG_WARNING, "two\nlines and \x1b[31m\" colour");
    assert_string_equal(sink.text, "2026-01-02 03:04:05.678901 UTC WARNING  two\\nlines and \\x1b[31m\" colour\n");
    sink.len = 0;
    log.format = LOG_JSON;
    log_line(&log, LOG_ERROR, "say \"%s\"\t", "a\\b");
    assert_string_equal(sink.text, "{\"time\":\"2026-01-02T03:04:05.678901Z\",\"level\":\"ERROR\",\"message\":"
                                   "\"say \\\"a\\\\b\\\"\\u0009\"}\n");
    sink.len = 0;
    Error err;
    err_clear(&err);
    err_set(&err, ST_DISK_FULL, "no space");
    err_detail(&err, "8 bytes.");
    log_error(&log, LOG_ERROR, &err, "writing");
    assert_non_null(strstr(sink.text, "\"sqlstate\":\"53100\",\"message\":\"writing: no space DETAIL: 8 bytes.\""));
}

static void an_endless_message_is_cut_but_stays_well_formed(void **state)
{
    (void)state;
    static Sink sink;
    static char text[30000];
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        Log log = {.min_level = LOG_INFO,
                   .format = (LogFormat)format,
                   .write_line = keep_line,
                   .sink = &sink,
                   .now_us = fixed_time};
        for (size_t shift = 0; shift < 3; shift++) {
            memset(text, '"', 200 + shift);
            for (size_t i = 200 + shift; i + 3 < sizeof text; i += 3) {
                memcpy(text + i, "\xe2\x82\xac", 4);
            }
            sink.len = 0;
            log_line(&log, LOG_INFO, "%s", text);
            assert_true(utf8_valid(sink.text, sink.len, NULL));
            assert_true(sink.len > 5000);
            assert_true(format == LOG_TEXT || memcmp(sink.text + sink.len - 3, "\"}\n", 3) == 0);
            memset(text, 1, sizeof text - 1); /* the most each character can grow */
            sink.len = 0;
            log_line(&log, LOG_INFO, "%s", text);
            assert_true(sink.len > 5000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_lies_in_its_bucket),
        cmocka_unit_test(concurrent_adds_are_all_counted),
        cmocka_unit_test(a_missing_metric_is_ignored),
        cmocka_unit_test(a_log_line_is_one_line_whatever_it_says),
        cmocka_unit_test(an_endless_message_is_cut_but_stays_well_formed),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
