/*
 * bind/overload.c: see overload.h.
 *
 * One candidate is: the parameter types for exactly the arguments at hand (variadic parameters spread, defaults cut). The choice among several
 * is func_select_candidate's, step by step.
 */
#include "bind/overload.h"

typedef struct Candidate {
    const FnRow *fn;     /* or */
    const OperRow *oper; /* this */
    Oid types[OVERLOAD_ARGS_MAX];
    uint32_t n_fixed;
    bool spread;
} Candidate;

typedef struct Candidates {
    Candidate *v;
    uint32_t n;
    uint32_t n_args;
} Candidates;

static bool preferred(char cat, Oid type)
{
    const TypeRow *t = type_by_oid(type);
    return t != NULL && t->category == cat && t->preferred;
}

static char category_of(Oid type)
{
    const TypeRow *t = type_by_oid(type);
    return t != NULL ? t->category : 'X';
}

/* ---- polymorphic parameters ---- */

typedef struct PolyFamily {
    Oid element; /* 0 = not known yet */
    Oid array;
    bool needs_nonarray, needs_enum;
} PolyFamily;

static Oid array_of(Oid element)
{
    const TypeRow *t = type_by_oid(element);
    return t != NULL ? t->array : 0;
}

static bool poly_note(PolyFamily *f, Oid declared, Oid actual)
{
    bool takes_array = declared == OID_ANYARRAY;
    if (actual == OID_UNKNOWN) {
        return true;
    }
    if (takes_array) {
        if (f->array != 0 && f->array != actual) {
            return false;
        }
        f->array = actual;
        return true;
    }
    f->needs_nonarray |= declared == OID_ANYNONARRAY;
    f->needs_enum |= declared == OID_ANYENUM;
    if (f->element != 0 && f->element != actual) {
        return false;
    }
    f->element = actual;
    return true;
}

/* Completes one from the other; text stands in when all arguments are unknown literals. */
static bool poly_complete(PolyFamily *f)
{
    if (f->array != 0) {
        Oid e = f->array == OID_ANYARRAY ? OID_ANYELEMENT : type_element(f->array);
        if (e == 0 || (f->element != 0 && f->element != e)) {
            return false;
        }
        f->element = e;
    }
    if (f->element == 0) {
        f->element = OID_TEXT;
    }
    if (f->array == 0) {
        f->array = array_of(f->element);
    }
    return !(f->needs_nonarray && category_of(f->element) == 'A') && !(f->needs_enum && category_of(f->element) != 'E');
}

static bool is_poly(Oid t)
{
    return t == OID_ANYELEMENT || t == OID_ANYARRAY || t == OID_ANYNONARRAY || t == OID_ANYENUM;
}

static bool is_compatible_poly(Oid t)
{
    return t == OID_ANYCOMPATIBLE || t == OID_ANYCOMPATIBLEARRAY || t == OID_ANYCOMPATIBLENONARRAY;
}

/* The common type of the arguments of "anycompatible" parameters, by the rule of UNION. */
static bool compatible_note(PolyFamily *f, Oid declared, Oid actual)
{
    Oid element = actual;
    if (actual == OID_UNKNOWN) {
        return true;
    }
    if (declared == OID_ANYCOMPATIBLEARRAY) {
        element = type_element(actual);
        if (element == 0) {
            return false;
        }
    }
    f->needs_nonarray |= declared == OID_ANYCOMPATIBLENONARRAY;
    if (f->element == 0 || f->element == element) {
        f->element = element;
        return true;
    }
    if (category_of(f->element) != category_of(element)) {
        return false;
    }
    if (!type_by_oid(f->element)->preferred && coerce_possible(f->element, element, COERCE_IMPLICIT) &&
        !coerce_possible(element, f->element, COERCE_IMPLICIT)) {
        f->element = element;
        return true;
    }
    return coerce_possible(element, f->element, COERCE_IMPLICIT);
}

static Oid poly_actual(Oid declared, const PolyFamily *any, const PolyFamily *compatible)
{
    switch (declared) {
    case OID_ANYELEMENT:
    case OID_ANYNONARRAY:
    case OID_ANYENUM:
        return any->element;
    case OID_ANYARRAY:
        return any->array;
    case OID_ANYCOMPATIBLE:
    case OID_ANYCOMPATIBLENONARRAY:
        return compatible->element;
    case OID_ANYCOMPATIBLEARRAY:
        return compatible->array;
    default:
        return declared;
    }
}

/*
 * Replaces polymorphic parameter types by the actual ones and says what a polymorphic result is. false: the arguments do not
 * agree, so the candidate does not fit (check_generic_type_consistency).
 */
static bool resolve_poly(const Oid *actual, Oid *params, uint32_t n, Oid declared_result, Oid *out_result)
{
    PolyFamily any = {0};
    PolyFamily compatible = {0};
    bool some = is_poly(declared_result) || is_compatible_poly(declared_result);
    for (uint32_t i = 0; i < n; i++) {
        if (is_poly(params[i])) {
            some = true;
            if (!poly_note(&any, params[i], actual[i])) {
                return false;
            }
        } else if (is_compatible_poly(params[i])) {
            some = true;
            if (!compatible_note(&compatible, params[i], actual[i])) {
                return false;
            }
        }
    }
    *out_result = declared_result;
    if (!some) {
        return true;
    }
    if (!poly_complete(&any) || !poly_complete(&compatible)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        params[i] = poly_actual(params[i], &any, &compatible);
        if (params[i] == 0) {
            return false;
        }
    }
    *out_result = poly_actual(declared_result, &any, &compatible);
    return *out_result != 0;
}

/* ---- choosing ---- */

static bool all_coerce(const Oid *from, const Oid *to, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!coerce_possible(from[i], to[i], COERCE_IMPLICIT)) {
            return false;
        }
    }
    Oid params[OVERLOAD_ARGS_MAX];
    Oid ignored;
    memcpy(params, to, n * sizeof *params);
    return resolve_poly(from, params, n, OID_BOOL, &ignored);
}

static void keep_coercible(Candidates *c, const Oid *from)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        if (all_coerce(from, c->v[i].types, c->n_args)) {
            c->v[n++] = c->v[i];
        }
    }
    c->n = n;
}

/* Keeps the candidates with the highest score. */
static void keep_best(Candidates *c, uint32_t (*score)(const Candidate *x, const Oid *from, uint32_t n), const Oid *from)
{
    uint32_t best = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t s = score(&c->v[i], from, c->n_args);
        if (s > best) {
            best = s;
            n = 0;
        }
        if (s == best) {
            c->v[n++] = c->v[i];
        }
    }
    c->n = n;
}

static uint32_t score_exact(const Candidate *x, const Oid *from, uint32_t n)
{
    uint32_t s = 0;
    for (uint32_t i = 0; i < n; i++) {
        s += from[i] != OID_UNKNOWN && x->types[i] == from[i];
    }
    return s;
}

static uint32_t score_preferred(const Candidate *x, const Oid *from, uint32_t n)
{
    uint32_t s = 0;
    for (uint32_t i = 0; i < n; i++) {
        s += from[i] != OID_UNKNOWN && (x->types[i] == from[i] || preferred(category_of(from[i]), x->types[i]));
    }
    return s;
}

/*
 * Step for unknown arguments: at each such place the category is string if any candidate takes one, else the one all agree
 * on; candidates of another category go, and not preferred ones where a preferred one is there. false: no agreement.
 */
static bool narrow_by_category(Candidates *c, const Oid *from)
{
    char cat[OVERLOAD_ARGS_MAX];
    bool pref[OVERLOAD_ARGS_MAX];
    for (uint32_t i = 0; i < c->n_args; i++) {
        bool conflict = false;
        cat[i] = 0;
        pref[i] = false;
        for (uint32_t k = 0; from[i] == OID_UNKNOWN && k < c->n; k++) {
            const TypeRow *t = type_by_oid(c->v[k].types[i]);
            char here = t != NULL ? t->category : 'X';
            bool here_pref = t != NULL && t->preferred;
            if (cat[i] == 0) {
                cat[i] = here;
                pref[i] = here_pref;
            } else if (here == cat[i]) {
                pref[i] |= here_pref;
            } else if (here == 'S') {
                cat[i] = 'S';
                pref[i] = here_pref;
            } else if (cat[i] != 'S') {
                conflict = true;
            }
        }
        if (conflict && cat[i] != 'S') {
            return false;
        }
    }
    uint32_t n = 0;
    for (uint32_t k = 0; k < c->n; k++) {
        bool keep = true;
        for (uint32_t i = 0; i < c->n_args && keep; i++) {
            if (from[i] != OID_UNKNOWN) {
                continue;
            }
            const TypeRow *t = type_by_oid(c->v[k].types[i]);
            keep = t != NULL && t->category == cat[i] && (!pref[i] || t->preferred);
        }
        if (keep) {
            Candidate x = c->v[k];
            c->v[k] = c->v[n];
            c->v[n++] = x;
        }
    }
    if (n > 0) {
        c->n = n;
    }
    return true;
}

/* Last step: the known arguments have one type; unknown ones are taken for it too. */
static void assume_same_type(Candidates *c, const Oid *from)
{
    Oid known = OID_UNKNOWN;
    for (uint32_t i = 0; i < c->n_args; i++) {
        if (from[i] == OID_UNKNOWN) {
            continue;
        }
        if (known != OID_UNKNOWN && known != from[i]) {
            return;
        }
        known = from[i];
    }
    if (known == OID_UNKNOWN) {
        return;
    }
    Oid same[OVERLOAD_ARGS_MAX];
    uint32_t found = 0;
    uint32_t which = 0;
    for (uint32_t i = 0; i < c->n_args; i++) {
        same[i] = known;
    }
    for (uint32_t k = 0; k < c->n; k++) {
        if (all_coerce(same, c->v[k].types, c->n_args)) {
            which = k;
            found++;
        }
    }
    if (found == 1) {
        c->v[0] = c->v[which];
        c->n = 1;
    }
}

/* func_select_candidate: leaves one candidate, or several when the call is ambiguous. */
static void select_candidate(Candidates *c, const Oid *from)
{
    bool unknown = false;
    for (uint32_t i = 0; i < c->n_args; i++) {
        unknown |= from[i] == OID_UNKNOWN;
    }
    keep_best(c, score_exact, from);
    if (c->n > 1) {
        keep_best(c, score_preferred, from);
    }
    if (c->n > 1 && unknown) {
        (void)narrow_by_category(c, from);
        if (c->n > 1) {
            assume_same_type(c, from);
        }
    }
}

static const Candidate *exact_candidate(const Candidates *c, const Oid *from)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (memcmp(c->v[i].types, from, c->n_args * sizeof *from) == 0) {
            return &c->v[i];
        }
    }
    return NULL;
}

/* ---- operators ---- */

static void gather_operators(const char *name, bool prefix, Candidates *c, Candidate *room, uint32_t max)
{
    uint32_t first;
    uint32_t n = oper_by_name(str_from(name), &first);
    *c = (Candidates){.v = room, .n_args = prefix ? 1 : 2};
    for (uint32_t i = 0; i < n && c->n < max; i++) {
        const OperRow *o = &oper_rows[oper_name_index[first + i]];
        if ((o->left == 0) != prefix) {
            continue;
        }
        Candidate *x = &c->v[c->n++];
        *x = (Candidate){.oper = o};
        x->types[0] = prefix ? o->right : o->left;
        x->types[1] = o->right;
    }
}

enum { OPERATORS_MAX = 128 };

Status overload_operator_types(const char *name, Oid left, Oid right, Error *err, OperChoice *out)
{
    bool prefix = left == 0;
    Candidate room[OPERATORS_MAX];
    Candidates c;
    gather_operators(name, prefix, &c, room, OPERATORS_MAX);
    Oid from[2] = {prefix ? right : left, right};
    /* A literal beside a known type: first try it as of that type (binary_oper_exact). */
    Oid exact[2] = {from[0], from[1]};
    if (!prefix && exact[0] == OID_UNKNOWN) {
        exact[0] = exact[1];
    } else if (!prefix && exact[1] == OID_UNKNOWN) {
        exact[1] = exact[0];
    }
    const Candidate *x = exact_candidate(&c, exact);
    if (x == NULL) {
        keep_coercible(&c, from);
        if (c.n > 1) {
            select_candidate(&c, from);
        }
        if (c.n != 1) {
            return c.n == 0 ? ST_NOT_FOUND : err_set(err, ST_AMBIGUOUS_FUNCTION, "ambiguous");
        }
        x = &c.v[0];
    }
    Oid params[2] = {x->types[0], x->types[1]};
    Oid result;
    if (!resolve_poly(from, params, c.n_args, x->oper->result, &result)) {
        return ST_NOT_FOUND;
    }
    *out = (OperChoice){.oper = x->oper, .left = prefix ? 0 : params[0], .right = params[prefix ? 0 : 1], .result = result};
    return ST_OK;
}

static Status no_operator(const Coercer *c, Status st, const char *name, Oid left, Oid right, int32_t location)
{
    Error *err = c->b.cx->err;
    bool ambiguous = st == ST_AMBIGUOUS_FUNCTION;
    err_clear(err);
    st = ambiguous ? ST_AMBIGUOUS_FUNCTION : ST_UNDEFINED_FUNCTION;
    st = err_set(err, st, ambiguous ? "operator is not unique: %s%s%s %s" : "operator does not exist: %s%s%s %s",
                 left != 0 ? type_text(left).s : "", left != 0 ? " " : "", name, type_text(right).s);
    if (ambiguous) {
        err_hint(err, "Could not choose a best candidate operator. You might need to add explicit type casts.");
    } else if (left != 0) {
        err_hint(err, "No operator matches the given name and argument types. You might need to add explicit type casts.");
    } else {
        err_hint(err, "No operator matches the given name and argument type. You might need to add an explicit type cast.");
    }
    err_position(err, location + 1);
    return st;
}

Status overload_operator(const Coercer *c, const char *name, const Expr *left, const Expr *right, int32_t location,
                         OperChoice *out)
{
    Oid l = left != NULL ? left->type.oid : 0;
    Status st = overload_operator_types(name, l, right->type.oid, c->b.cx->err, out);
    return st == ST_OK ? st : no_operator(c, st, name, l, right->type.oid, location);
}

Status bind_operator(const Coercer *c, const char *name, const Expr *left, const Expr *right, int32_t location,
                     const Expr **out)
{
    OperChoice choice;
    Status st = overload_operator(c, name, left, right, location, &choice);
    const Expr *args[2] = {left, right};
    for (unsigned i = left == NULL; i < 2 && st == ST_OK; i++) {
        ValueType to = value_type_of(i == 0 ? choice.left : choice.right);
        if (args[i]->type.oid != to.oid) {
            st = coerce_expr(c, args[i], &to, COERCE_IMPLICIT, EXPR_FORM_CAST_IMPLICIT, args[i]->location, &args[i]);
            ASSERT(st != ST_NOT_FOUND); /* the choice was made among operators that take it */
        }
    }
    if (st != ST_OK) {
        return st;
    }
    bool conflict;
    Oid collation = bind_collation(left != NULL ? args : args + 1, left != NULL ? 2 : 1, choice.result, &conflict);
    return expr_operator(&c->b, choice.oper, args[0], args[1], choice.result, collation, location, out);
}

Oid bind_collation(const Expr *const *args, uint32_t n, Oid result_type, bool *out_conflict)
{
    Oid collation = 0;
    bool is_explicit = false;
    *out_conflict = false;
    for (uint32_t i = 0; i < n; i++) {
        Oid mine = args[i]->type.collation;
        bool mine_explicit = args[i]->kind == EXPR_COLLATE;
        if (mine == 0 || (is_explicit && !mine_explicit)) {
            continue;
        }
        if (mine_explicit && !is_explicit) {
            collation = mine;
            is_explicit = true;
            *out_conflict = false;
        } else if (collation == 0 || collation == COLLATION_DEFAULT) {
            collation = mine;
        } else if (mine != collation && mine != COLLATION_DEFAULT) {
            *out_conflict = true;
        }
    }
    if (collation == 0) {
        const TypeRow *t = type_by_oid(result_type);
        collation = t != NULL ? t->collation : 0;
    }
    return *out_conflict ? 0 : collation;
}

/* ---- functions ---- */

/* The candidate for a function row and so many arguments by position; false: it does not take them. */
static bool function_candidate(const FnRow *fn, const CallArgs *call, Candidate *out)
{
    *out = (Candidate){.fn = fn};
    bool can_spread = fn->variadic != 0 && !call->variadic;
    uint32_t required = fn->nargs - fn->ndefaults;
    if (call->n <= fn->nargs && call->n >= required && !(can_spread && call->n == fn->nargs)) {
        if (call->n > 0) { /* a function without parameters has no list of them */
            memcpy(out->types, fn->args, call->n * sizeof *out->types);
        }
        out->n_fixed = call->n;
        return true;
    }
    if (!can_spread || call->n < fn->nargs) {
        return false;
    }
    out->spread = true;
    out->n_fixed = fn->nargs - 1u;
    memcpy(out->types, fn->args, out->n_fixed * sizeof *out->types);
    for (uint32_t i = out->n_fixed; i < call->n; i++) {
        out->types[i] = fn->variadic;
    }
    return true;
}

/* Position of a named parameter, or -1. */
static int param_position(const FnRow *fn, const char *name)
{
    size_t len = strlen(name);
    int at = 0;
    for (const char *p = fn->arg_names; p != NULL && *p != 0; at++) {
        const char *end = strchr(p, ',');
        size_t n = end != NULL ? (size_t)(end - p) : strlen(p);
        if (n == len && memcmp(p, name, n) == 0) {
            return at;
        }
        p = end != NULL ? end + 1 : NULL;
    }
    return -1;
}

/* Named arguments in the order of the function's parameters; only when they fill a prefix of them. */
static bool order_named(const FnRow *fn, const CallArgs *call, CallArgs *out)
{
    bool set[OVERLOAD_ARGS_MAX] = {false};
    *out = *call;
    for (uint32_t i = 0; i < call->n; i++) {
        int at = call->names[i] != NULL ? param_position(fn, call->names[i]) : (int)i;
        if (at < 0 || (uint32_t)at >= fn->nargs || set[at]) {
            return false;
        }
        set[at] = true;
        out->args[at] = call->args[i];
        out->names[at] = NULL;
    }
    for (uint32_t i = 0; i < call->n; i++) {
        if (!set[i]) {
            return false; /* a gap that a default would fill: not by position */
        }
    }
    return true;
}

static bool has_names(const CallArgs *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        if (call->names[i] != NULL) {
            return true;
        }
    }
    return false;
}

static Status no_function(const Coercer *c, bool ambiguous, const char *name, const CallArgs *call)
{
    StrBuf sb;
    strbuf_init(&sb, c->b.cx->budget);
    for (uint32_t i = 0; i < call->n; i++) {
        if (call->names[i] != NULL) {
            strbuf_printf(&sb, "%s => ", call->names[i]);
        }
        strbuf_printf(&sb, "%s%s", type_text(call->args[i]->type.oid).s, i + 1 < call->n ? ", " : "");
    }
    Status st = ambiguous ? ST_AMBIGUOUS_FUNCTION : ST_UNDEFINED_FUNCTION;
    st = err_set(c->b.cx->err, st, ambiguous ? "function %s(%s) is not unique" : "function %s(%s) does not exist", name,
                 sb.p);
    err_hint(c->b.cx->err,
             ambiguous ? "Could not choose a best candidate function. You might need to add explicit type casts."
                       : "No function matches the given name and argument types. You might need to add explicit type casts.");
    err_position(c->b.cx->err, call->location + 1);
    strbuf_done(&sb);
    return st;
}

/*
 * A call of one argument whose name is a type's is a cast, when the types coerce without a function (or from or to text)
 * and no function fits exactly: int4('5'), text(5).
 */
static bool is_cast_call(const char *name, const CallArgs *call, Oid *out_type)
{
    if (call->n != 1 || call->names[0] != NULL || call->variadic) {
        return false;
    }
    const TypeRow *t = type_by_name(str_from(name));
    Oid from = call->args[0]->type.oid;
    if (t == NULL || t->kind != 'b') {
        return false;
    }
    const CastRow *row = cast_find(from, t->oid);
    bool relabel = from == t->oid || (row != NULL && row->method == 'b');
    bool through_text = row == NULL && (category_of(from) == 'S' || t->category == 'S');
    *out_type = t->oid;
    return from == OID_UNKNOWN || relabel || through_text;
}

static Status choose(const Coercer *c, const char *name, CallArgs *call, Candidates *cand, Candidate *out_best, bool *out_cast,
                     Oid *out_type)
{
    Oid from[OVERLOAD_ARGS_MAX];
    for (uint32_t i = 0; i < call->n; i++) {
        from[i] = call->args[i]->type.oid;
    }
    cand->n_args = call->n;
    *out_cast = false;
    const Candidate *exact = exact_candidate(cand, from);
    if (exact != NULL) {
        *out_best = *exact;
        return ST_OK;
    }
    if (is_cast_call(name, call, out_type)) {
        *out_cast = true;
        return ST_OK;
    }
    keep_coercible(cand, from);
    if (cand->n > 1) {
        select_candidate(cand, from);
    }
    if (cand->n != 1) {
        return no_function(c, cand->n > 1, name, call);
    }
    *out_best = cand->v[0];
    return ST_OK;
}

static Status finish(const Coercer *c, const char *name, const CallArgs *call, const Candidate *x, Overload *out)
{
    Oid from[OVERLOAD_ARGS_MAX];
    for (uint32_t i = 0; i < call->n; i++) {
        from[i] = call->args[i]->type.oid;
    }
    *out = (Overload){.fn = x->fn, .n_given = call->n, .n = call->n, .spread = x->spread, .n_fixed = x->n_fixed};
    memcpy(out->params, x->types, call->n * sizeof *out->params);
    if (!resolve_poly(from, out->params, call->n, x->fn->rettype, &out->result)) {
        return no_function(c, false, name, call);
    }
    for (uint32_t i = call->n; !x->spread && i < x->fn->nargs; i++) {
        out->params[out->n++] = x->fn->args[i];
    }
    return ST_OK;
}

Status overload_function(const Coercer *c, const char *name, CallArgs *call, Overload *out)
{
    uint32_t first;
    uint32_t n = fn_by_name(str_from(name), &first);
    Candidates cand = {.v = arena_alloc(c->b.arena, (n + 1u) * sizeof *cand.v)};
    bool named = has_names(call);
    CallArgs ordered;
    if (cand.v == NULL) {
        return ctx_nomem(c->b.cx, n * sizeof *cand.v);
    }
    for (uint32_t i = 0; i < n; i++) {
        const FnRow *fn = &fn_rows[fn_name_index[first + i]];
        CallArgs tmp;
        const CallArgs *use = call;
        if (named) {
            if (!order_named(fn, call, &tmp)) {
                continue;
            }
            use = &tmp;
        }
        if (function_candidate(fn, use, &cand.v[cand.n])) {
            cand.n++;
            if (named) {
                ordered = tmp; /* built-in overloads that are called by name differ in no order */
            }
        }
    }
    if (named && cand.n > 0) {
        *call = ordered;
    }
    Candidate best;
    bool cast;
    Oid type;
    Status st = choose(c, name, call, &cand, &best, &cast, &type);
    if (st != ST_OK) {
        return st;
    }
    if (cast) {
        *out = (Overload){.cast_to = type, .result = type, .n = 1, .n_given = 1};
        return ST_OK;
    }
    return finish(c, name, call, &best, out);
}
