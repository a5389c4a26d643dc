/*
 * The output queue: bytes leave in order, whole messages only, and none before its gate; against a model that keeps
 * every byte with its gate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "net/outq.h"

typedef struct Fixture {
    MemFault fault;
    Budget budget;
    OutQueue q;
} Fixture;

static void begin(Fixture *f)
{
    memset(f, 0, sizeof *f);
    atomic_store(&f->fault.countdown, -1);
    budget_init(&f->budget, "test", NULL, 0, 0);
    f->budget.fault = &f->fault;
    outq_init(&f->q, &f->budget);
}

static void end(Fixture *f)
{
    outq_done(&f->q);
    budget_done(&f->budget);
}

static void put(OutQueue *q, const char *s, uint64_t gate)
{
    outq_append(q, s, strlen(s));
    assert_int_equal(outq_commit(q, (Lsn){gate}, NULL), ST_OK);
    outq_check(q);
}

static void bytes_wait_for_their_gate(void **state)
{
    (void)state;
    Fixture f;
    begin(&f);
    put(&f.q, "abc", 0);
    put(&f.q, "de", 10);
    put(&f.q, "f", 5); /* behind a higher gate */
    put(&f.q, "g", 20);
    assert_int_equal(outq_ready_bytes(&f.q, (Lsn){0}), 3);
    assert_int_equal(outq_ready_bytes(&f.q, (Lsn){9}), 3);
    assert_int_equal(outq_ready_bytes(&f.q, (Lsn){10}), 6);
    assert_int_equal(outq_ready_bytes(&f.q, LSN_MAX), 7);
    assert_int_equal(outq_next_gate(&f.q, (Lsn){9}).v, 10);
    assert_int_equal(outq_next_gate(&f.q, (Lsn){10}).v, 20);
    assert_int_equal(outq_next_gate(&f.q, (Lsn){20}).v, 0);
    end(&f);
}

static void a_dropped_message_leaves_nothing(void **state)
{
    (void)state;
    Fixture f;
    static char big[200000];
    begin(&f);
    put(&f.q, "abc", 0);
    outq_append(&f.q, big, sizeof big);
    outq_consume(&f.q, 3); /* while it is being built */
    outq_check(&f.q);
    outq_drop(&f.q);
    outq_check(&f.q);
    assert_int_equal(outq_ready_bytes(&f.q, LSN_MAX), 0);
    put(&f.q, "x", 0);
    struct iovec iov[4];
    assert_int_equal(outq_vectors(&f.q, LSN_NONE, iov, 4), 1);
    assert_memory_equal(iov[0].iov_base, "x", 1);
    outq_consume(&f.q, 1);
    assert_int_equal(f.q.held_bytes, 0);
    end(&f);
}

enum { MODEL_BYTES = 1 << 20 };
typedef struct Model {
    uint8_t byte[MODEL_BYTES];
    uint64_t gate[MODEL_BYTES];
    size_t end;
    size_t sent;
} Model;

static size_t model_ready(const Model *m, uint64_t durable)
{
    size_t at = m->sent;
    while (at < m->end && m->gate[at] <= durable) {
        at++;
    }
    return at - m->sent;
}

static void compare(Fixture *f, Model *m, uint64_t durable, Rng *rng)
{
    struct iovec iov[3];
    size_t ready = model_ready(m, durable);
    assert_int_equal(outq_ready_bytes(&f->q, (Lsn){durable}), ready);
    unsigned n = outq_vectors(&f->q, (Lsn){durable}, iov, 3);
    size_t at = m->sent;
    for (unsigned i = 0; i < n; i++) {
        assert_true(iov[i].iov_len <= m->sent + ready - at);
        assert_memory_equal(iov[i].iov_base, m->byte + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    size_t take = at > m->sent ? rng_below(rng, at - m->sent + 1) : 0;
    outq_consume(&f->q, take);
    m->sent += take;
    outq_check(&f->q);
}

/* A message of random pieces; committed or dropped, also for want of memory. */
static void message(Fixture *f, Model *m, uint64_t gate, Rng *rng)
{
    static uint8_t piece[70000];
    size_t at = m->end;
    size_t pieces = rng_below(rng, 5);
    bool keep = rng_below(rng, 6) != 0;
    for (size_t i = 0; i < pieces; i++) {
        size_t n = rng_below(rng, 8) == 0 ? rng_below(rng, sizeof piece) : rng_below(rng, 60);
        if (at + n > MODEL_BYTES) {
            break;
        }
        memset(piece, (int)rng_below(rng, 256), n);
        if (n <= OUTQ_RESERVE_BYTES_MAX && rng_below(rng, 2)) {
            char *p = outq_reserve(&f->q, OUTQ_RESERVE_BYTES_MAX);
            if (p != NULL) {
                memcpy(p, piece, n);
                outq_trim(&f->q, OUTQ_RESERVE_BYTES_MAX - n);
            }
        } else {
            outq_append(&f->q, piece, n);
        }
        memcpy(m->byte + at, piece, n);
        at += n;
    }
    if (!keep) {
        outq_drop(&f->q);
        return;
    }
    if (outq_commit(&f->q, (Lsn){gate}, NULL) == ST_OK) {
        for (size_t i = m->end; i < at; i++) {
            m->gate[i] = gate;
        }
        m->end = at;
    }
}

static void random_run(uint64_t seed)
{
    Fixture f;
    Rng rng;
    static Model m;
    uint64_t lsn = 1;
    uint64_t durable = 0;
    begin(&f);
    m.end = m.sent = 0;
    rng_seed(&rng, seed);
    for (int i = 0; i < 400; i++) {
        if (rng_below(&rng, 20) == 0) {
            atomic_store(&f.fault.countdown, (int64_t)rng_below(&rng, 3));
        }
        message(&f, &m, rng_below(&rng, 3) ? lsn : 0, &rng);
        atomic_store(&f.fault.countdown, -1);
        outq_check(&f.q);
        lsn += rng_below(&rng, 2) * 10;
        durable += rng_below(&rng, 12);
        compare(&f, &m, durable, &rng);
    }
    while (m.sent < m.end) {
        compare(&f, &m, UINT64_MAX, &rng);
    }
    assert_int_equal(f.q.held_bytes, 0);
    end(&f);
}

static void random_runs_agree_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        random_run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_wait_for_their_gate),
        cmocka_unit_test(a_dropped_message_leaves_nothing),
        cmocka_unit_test(random_runs_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
