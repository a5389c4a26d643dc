/*
 * types_eval: evaluates calls named on standard input, one a line, for oracle.py.
 *
 *     fn   FN_OID   RESULT_OID   ARG_TYPE,...   ARG ...      tab-separated; \N is NULL, \\ \t \n are escaped
 *     cast FROM_OID TO_OID       TO_TYPMOD      TEXT
 * answers `V<tab>text`, `N` or `E<tab>SQLSTATE<tab>message`. Every call runs on constants, on flat vectors with a null
 * row in between, and, where numbers have a fixed form, in that form too; `X` and a text means that they disagree.
 * `--list` prints the OIDs of the functions that have kernels.
 */
#include <stdio.h>
#include <stdlib.h>

#include "types/array.h"
#include "types/func.h"
#include "types/num_kernels.h"
#include "types/srf.h"
#include "types/timezone.h"

enum { ARGS_MAX = 16, LINE_BYTES = 1 << 20 };

typedef struct Eval {
    Budget budget;
    Arena arena;
    Error err;
    Ctx cx;
    Registry registry;
    SessionFacts facts;
    FnCtx fx;
} Eval;

typedef struct Result {
    char kind; /* V, N, E */
    char *text;
} Result;

static Result error_result(Eval *e)
{
    return (Result){'E', arena_printf(&e->arena, "%s\t%s", e->err.sqlstate, e->err.message)};
}

/* Text -> physical value; NULL text -> NULL. */
static bool read_value(Eval *e, const ValueType *t, const char *text, void *out)
{
    return text == NULL || type_in(&e->fx, t, str_from(text), &e->arena, out) == ST_OK;
}

static Vector *make_vector(Eval *e, const ValueType *t, const char *text, bool flat)
{
    uint64_t value[2] VALUE_ALIGNED = {0, 0};
    Vector *v = ARENA_NEW(&e->arena, Vector);
    if (!vec_init(v, (PhysType)t->phys, 4, &e->arena) || !read_value(e, t, text, value)) {
        return NULL;
    }
    if (!flat) {
        return vec_set_constant(v, text == NULL ? NULL : value) ? v : NULL;
    }
    size_t width = phys_bytes((PhysType)t->phys);
    memset(v->data, 0x5a, width * 4); /* garbage where nothing is set */
    for (uint32_t row = 0; row < 3; row += 2) {
        memcpy(vec_at(v, row), value, width);
        if (text == NULL) {
            vec_set_null(v, row);
        }
    }
    vec_set_null(v, 1);
    return v;
}

static Result show(Eval *e, const ValueType *t, const Vector *v, uint32_t row)
{
    StrBuf sb;
    if (vec_is_null(v, row)) {
        return (Result){'N', ""};
    }
    strbuf_init(&sb, &e->budget);
    Status st = type_out(&e->fx, t, vec_at(v, row), &sb);
    Result r = st == ST_OK ? (Result){'V', arena_strdup(&e->arena, sb.p)} : error_result(e);
    strbuf_done(&sb);
    return r;
}

/* Brings an argument to the form the call wants. */
static const Vector *convert(Eval *e, const Vector *v, const ValueType *from, const ValueType *to)
{
    FnCall call;
    if (rep_same(from, to)) {
        return v;
    }
    Vector *out = ARENA_NEW(&e->arena, Vector);
    if (rep_convert(from, to, &e->err, &call) != ST_OK || !vec_init(out, (PhysType)to->phys, 4, &e->arena)) {
        return NULL;
    }
    const Vector *const args[1] = {v};
    return fn_invoke(&e->fx, &call, args, NULL, 3, out) == ST_OK ? out : NULL;
}

/* Runs a resolved call over given texts. */
static Result run(Eval *e, const FnCall *call, const ValueType *types, char *const *texts, unsigned n, bool flat)
{
    const Vector *args[ARGS_MAX];
    void *site = NULL;
    for (unsigned i = 0; i < n; i++) {
        const Vector *v = make_vector(e, &types[i], texts[i], flat);
        args[i] = v != NULL ? convert(e, v, &types[i], fn_arg_type(call, i)) : NULL;
        if (args[i] == NULL) {
            return error_result(e);
        }
    }
    Vector *out = ARENA_NEW(&e->arena, Vector);
    if (!vec_init(out, (PhysType)call->result.phys, 4, &e->arena)) {
        abort();
    }
    e->fx.site = &site;
    Status st = fn_invoke(&e->fx, call, args, NULL, 3, out);
    Result r = st != ST_OK ? error_result(e) : show(e, &call->result, out, 2);
    if (st == ST_OK) {
        vec_check(out, out->kind == VEC_CONSTANT ? 1 : 1);
    }
    fn_site_free(call, &site);
    return r;
}

static bool same(Result a, Result b)
{
    return a.kind == b.kind && strcmp(a.text, b.text) == 0;
}

static ValueType arg_type(Oid oid, const char *text, bool fixed)
{
    ValueType t = value_type_of(oid);
    return fixed && oid == OID_NUMERIC && text != NULL ? num_literal_type(str_from(text)) : t;
}

static Result run_set(Eval *e, const FnRow *fn, const ValueType *types, char *const *texts, unsigned n, Oid result)
{
    const SrfDef *def = srf_find(fn->oid);
    const void *values[ARGS_MAX];
    uint64_t storage[ARGS_MAX][2] VALUE_ALIGNED;
    FnCall call;
    SrfState *state = NULL;
    StrBuf sb;
    for (unsigned i = 0; i < n; i++) {
        if (!read_value(e, &types[i], texts[i], storage[i])) {
            return error_result(e);
        }
        values[i] = texts[i] != NULL ? storage[i] : NULL;
    }
    srf_call(def, fn, types, n, result, &call);
    Status st = srf_start(&e->fx, &call, def, values, &e->arena, &state);
    Vector *out = ARENA_NEW(&e->arena, Vector);
    if (st != ST_OK || !vec_init(out, (PhysType)call.result.phys, 2, &e->arena)) {
        return error_result(e);
    }
    strbuf_init(&sb, &e->budget);
    uint32_t total = 0;
    for (uint32_t got = 1; got > 0 && st == ST_OK && total < 300; total += got) {
        vec_reset(out);
        st = srf_next(&e->fx, state, out, 2, &got);
        for (uint32_t i = 0; i < got && st == ST_OK; i++) {
            Result r = show(e, &call.result, out, i);
            strbuf_printf(&sb, "%s%s", total + i > 0 ? "|" : "", r.kind == 'N' ? "\\N" : r.text);
        }
    }
    Result r = st == ST_OK ? (Result){'V', arena_strdup(&e->arena, sb.p)} : error_result(e);
    strbuf_done(&sb);
    return r;
}

static Result eval_fn(Eval *e, Oid oid, Oid result, const Oid *oids, char *const *texts, unsigned n)
{
    Result all[4];
    int count = 0;
    const FnRow *fn = fn_by_oid(oid);
    bool numeric = false;
    for (unsigned i = 0; i < n; i++) {
        numeric = numeric || oids[i] == OID_NUMERIC;
    }
    for (int fixed = 0; fixed <= numeric; fixed++) {
        ValueType types[ARGS_MAX];
        for (unsigned i = 0; i < n; i++) {
            types[i] = arg_type(oids[i], texts[i], fixed);
        }
        if (fn != NULL && (fn->flags & FN_RETSET) && srf_find(oid) != NULL) {
            return run_set(e, fn, types, texts, n, result);
        }
        for (int flat = 0; flat < 2; flat++) {
            FnCall call;
            err_clear(&e->err);
            if (fn == NULL || fn_resolve(&e->registry, fn, types, n, result, &e->err, &call) != ST_OK) {
                return error_result(e);
            }
            all[count++] = run(e, &call, types, texts, n, flat);
        }
    }
    for (int i = 1; i < count; i++) {
        if (!same(all[0], all[i]) && fn->volatility != 'v') {
            return (Result){'X', arena_printf(&e->arena, "%c %s, but in form %d %c %s", all[0].kind, all[0].text, i,
                                              all[i].kind, all[i].text)};
        }
    }
    return all[0];
}

static Result eval_cast(Eval *e, Oid from_oid, Oid to_oid, int32_t typmod, const char *text)
{
    ValueType from = value_type_of(from_oid);
    ValueType to;
    FnCall call;
    bool needed;
    char *texts[1] = {(char *)(uintptr_t)text};
    if (value_type(to_oid, typmod, &e->err, &to) != ST_OK ||
        cast_resolve(&e->registry, &from, &to, &e->err, &call) != ST_OK) {
        return error_result(e);
    }
    Vector *out = ARENA_NEW(&e->arena, Vector);
    Vector *in = make_vector(e, &from, texts[0], false);
    const Vector *args[1] = {in != NULL ? convert(e, in, &from, &call.args[0]) : NULL};
    if (args[0] == NULL || !vec_init(out, (PhysType)call.result.phys, 4, &e->arena) ||
        fn_invoke(&e->fx, &call, args, NULL, 1, out) != ST_OK) {
        return error_result(e);
    }
    ValueType mid = call.result;
    if (typmod_resolve(&mid, &to, true, &e->err, &needed, &call) != ST_OK) {
        return error_result(e);
    }
    if (needed) {
        Vector *limited = ARENA_NEW(&e->arena, Vector);
        args[0] = out;
        if (!vec_init(limited, (PhysType)call.result.phys, 4, &e->arena) ||
            fn_invoke(&e->fx, &call, args, NULL, 1, limited) != ST_OK) {
            return error_result(e);
        }
        return show(e, &call.result, limited, 0);
    }
    return show(e, &mid, out, 0);
}

/* ---- lines ---- */

static char *unescape(char *s)
{
    if (strcmp(s, "\\N") == 0) {
        return NULL;
    }
    char *w = s;
    for (char *r = s; *r != '\0'; r++) {
        if (*r == '\\' && r[1] != '\0') {
            r++;
            *w++ = (char)(*r == 't' ? '\t' : *r == 'n' ? '\n' : *r == 'r' ? '\r' : *r);
        } else {
            *w++ = *r;
        }
    }
    *w = '\0';
    return s;
}

static void print_escaped(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '\n') {
            fputs("\\n", stdout);
        } else if (*s == '\r') {
            fputs("\\r", stdout);
        } else if (*s == '\\') {
            fputs("\\\\", stdout);
        } else {
            putchar(*s);
        }
    }
}

static Result eval_line(Eval *e, char *line)
{
    char *word[ARGS_MAX + 4];
    unsigned n = 0;
    for (char *p = line; p != NULL && n < ARGS_MAX + 4;) {
        word[n++] = strsep(&p, "\t");
    }
    if (n >= 5 && strcmp(word[0], "cast") == 0) {
        return eval_cast(e, (Oid)atol(word[1]), (Oid)atol(word[2]), atoi(word[3]), unescape(word[4]));
    }
    if (n < 4 || strcmp(word[0], "fn") != 0) {
        return (Result){'X', "bad line"};
    }
    Oid oids[ARGS_MAX];
    unsigned nargs = 0;
    for (char *p = word[3]; *p != '\0' && nargs < n - 4;) {
        oids[nargs++] = (Oid)strtoul(p, &p, 10);
        p += *p == ',';
    }
    for (unsigned i = 4; i < n; i++) {
        word[i] = unescape(word[i]);
    }
    return eval_fn(e, (Oid)atol(word[1]), (Oid)atol(word[2]), oids, word + 4, nargs);
}

static void open_eval(Eval *e, TzCache **out_zones)
{
    budget_init(&e->budget, "eval", NULL, 0, 0);
    arena_init(&e->arena, &e->budget, 65536);
    err_clear(&e->err);
    ctx_init(&e->cx, &e->err, &e->budget, &e->arena);
    e->facts = session_facts_default;
    if (registry_init(&e->registry, &e->budget, &e->err) != ST_OK ||
        tz_cache_new(&e->budget, NULL, &e->err, out_zones) != ST_OK ||
        tz_find(*out_zones, STR_LIT("America/New_York"), &e->err, &e->facts.timezone) != ST_OK) {
        abort();
    }
    e->facts.tz_cache = *out_zones;
    e->fx = (FnCtx){.cx = &e->cx, .arena = &e->arena, .facts = &e->facts, .site_arena = &e->arena};
}

int main(int argc, char **argv)
{
    static Eval e;
    static char line[LINE_BYTES];
    TzCache *zones;
    (void)setvbuf(stdout, NULL, _IOLBF, 0); /* so that the last answer names the call that crashed */
    open_eval(&e, &zones);
    if (argc > 1 && strcmp(argv[1], "--list") == 0) {
        for (uint32_t i = 0; i < fn_row_count; i++) {
            if (registry_kernel(&e.registry, &fn_rows[i]) != NULL || srf_find(fn_rows[i].oid) != NULL) {
                printf("%u\n", fn_rows[i].oid);
            }
        }
    } else {
        while (fgets(line, sizeof line, stdin) != NULL) {
            line[strcspn(line, "\n")] = '\0';
            err_clear(&e.err);
            Result r = eval_line(&e, line);
            printf("%c\t", r.kind);
            print_escaped(r.text);
            putchar('\n');
            arena_reset(&e.arena);
        }
    }
    return 0;
}
