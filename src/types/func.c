/*
 * types/func.c: resolving and invoking functions, representation changes, casts (see func.h).
 */
#include "types/func.h"

#include "types/array.h"
#include "types/kernels.h"
#include "types/num_kernels.h"
#include "types/numeric.h"

const SessionFacts session_facts_default = {
    .date_style = DATESTYLE_ISO, .date_order = DATEORDER_MDY, .extra_float_digits = 1};

/* ---- resolution ---- */

/* The form every kernel without a resolve of its own wants: numeric is variable. */
static ValueType base_form(ValueType t)
{
    if (t.oid == OID_NUMERIC) {
        t.phys = P_STR;
        t.precision = 0;
        t.scale = 0;
    }
    return t;
}

static Status not_implemented(Error *err, const FnRow *fn)
{
    return err_set(err, ST_FEATURE_NOT_SUPPORTED, "function %s is not supported", fn->name);
}

static void call_args(FnCall *call, const ValueType *args, unsigned nargs)
{
    call->nargs = (uint16_t)nargs;
    for (unsigned i = 0; i < nargs && i < FN_CALL_ARGS; i++) {
        call->args[i] = args[i];
    }
}

static void resolve_default(FnCall *call)
{
    for (unsigned i = 0; i < FN_CALL_ARGS; i++) {
        call->args[i] = base_form(call->args[i]);
    }
}

Status fn_resolve(const Registry *r, const FnRow *fn, const ValueType *args, unsigned nargs, Oid result_oid, Error *err,
                  FnCall *out_call)
{
    const KernelDef *def = registry_kernel(r, fn);
    if (def == NULL) {
        return not_implemented(err, fn);
    }
    FnCall call = {.fn = fn, .def = def, .registry = r, .kernel = def->kernel, .flags = def->flags};
    call.strict = (fn->flags & FN_STRICT) && !(def->flags & KERNEL_CALLED_ON_NULL);
    call_args(&call, args, nargs);
    Status st = value_type(result_oid, -1, err, &call.result);
    if (st != ST_OK) {
        return st;
    }
    if (def->resolve != NULL) {
        st = def->resolve(&call, err);
    } else {
        resolve_default(&call);
    }
    if (st == ST_OK) {
        *out_call = call;
    }
    return st;
}

bool rep_same(const ValueType *a, const ValueType *b)
{
    return a->phys == b->phys && a->scale == b->scale && (a->precision == 0) == (b->precision == 0);
}

/* ---- invocation ---- */

static bool all_constant(const FnCall *call, const Vector *const *args)
{
    if (call->fn != NULL && call->fn->volatility == 'v') {
        return false;
    }
    for (unsigned i = 0; i < call->nargs; i++) {
        if (args[i]->kind != VEC_CONSTANT) {
            return false;
        }
    }
    return true;
}

/* A NULL constant among the arguments makes every result of a strict function NULL. */
static bool any_null_constant(const FnCall *call, const Vector *const *args)
{
    for (unsigned i = 0; i < call->nargs; i++) {
        if (args[i]->kind == VEC_CONSTANT && vec_is_null(args[i], 0)) {
            return true;
        }
    }
    return false;
}

static void constant_null(Vector *out)
{
    out->kind = VEC_CONSTANT;
    vec_set_null(out, 0);
}

/* Unites the null bits of the flat arguments into out; false = there are none. */
static bool unite_nulls(const FnCall *call, const Vector *const *args, uint32_t rows, Vector *out)
{
    size_t words = vec_null_words(rows);
    for (unsigned i = 0; i < call->nargs; i++) {
        const uint64_t *nulls = args[i]->kind == VEC_FLAT ? args[i]->nulls : NULL;
        if (nulls == NULL) {
            continue;
        }
        if (out->nulls == NULL) {
            memset(out->null_words, 0, vec_null_words(out->capacity) * sizeof(uint64_t));
            out->nulls = out->null_words;
        }
        for (size_t w = 0; w < words; w++) {
            out->nulls[w] |= nulls[w];
        }
    }
    return out->nulls != NULL;
}

static uint32_t not_null_rows(const Vector *v, const uint16_t *sel, uint32_t n, uint16_t *out_sel)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        out_sel[k] = (uint16_t)row;
        k += !(v->nulls[row / 64] >> (row % 64) & 1);
    }
    return k;
}

static Status invoke_strict(FnCtx *fx, const FnCall *call, const Vector *const *args, const uint16_t *sel, uint32_t n,
                            Vector *out)
{
    uint16_t not_null[VECTOR_SIZE];
    if (any_null_constant(call, args)) {
        constant_null(out);
        return ST_OK;
    }
    uint32_t rows = sel_bound(sel, n);
    ASSERT(rows <= VECTOR_SIZE);
    if (unite_nulls(call, args, rows, out) && !(call->flags & KERNEL_TOTAL)) {
        n = not_null_rows(out, sel, n, not_null);
        sel = not_null;
    }
    return call->kernel(fx, args, sel, n, out);
}

Status fn_invoke(FnCtx *fx, const FnCall *call, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)
{
    ASSERT(out->kind == VEC_FLAT && out->phys == call->result.phys);
    Status st = ST_OK;
    if (n == 0) {
        return ST_OK;
    }
    fx->call = call;
    bool constant = all_constant(call, args);
    if (constant) {
        sel = NULL;
        n = 1;
    }
    st = call->strict ? invoke_strict(fx, call, args, sel, n, out) : call->kernel(fx, args, sel, n, out);
    if (constant && st == ST_OK) {
        out->kind = VEC_CONSTANT;
    }
    return st;
}

/* ---- conversions that are no functions ---- */

KERNEL_FN(k_identity)
{
    (void)fx;
    (void)sel;
    (void)n;
    vec_ref(out, args[0]);
    return ST_OK;
}

static void conversion(FnCall *call, const ValueType *from, const ValueType *to, FnKernel *kernel)
{
    *call = (FnCall){.kernel = kernel, .strict = true, .nargs = 1, .result = *to};
    call->args[0] = *from;
}

/* Text form of every value read as the other type: CoerceViaIO. */
KERNEL_FN(k_io_cast)
{
    const ValueType *from = &fx->call->args[0];
    const ValueType *to = &fx->call->result;
    StrBuf text;
    strbuf_init(&text, fx->cx->budget);
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        strbuf_reset(&text);
        st = type_out(fx, from, vec_at(args[0], row), &text);
        if (st == ST_OK && text.failed) {
            st = ctx_nomem(fx->cx, text.len);
        }
        if (st == ST_OK) {
            st = type_in(fx, to, strbuf_str(&text), &out->heap, vec_at(out, row));
        }
        if (st != ST_OK) {
            fx->error_row = row;
        }
    }
    strbuf_done(&text);
    return st;
}

static bool is_string_type(Oid oid)
{
    const TypeRow *row = type_by_oid(oid);
    return oid == OID_UNKNOWN || oid == OID_CSTRING || (row != NULL && row->category == 'S');
}

static Status cannot_cast(const ValueType *from, const ValueType *to, Error *err)
{
    char a[TYPE_NAME_BYTES];
    char b[TYPE_NAME_BYTES];
    type_name_text(from->oid, a);
    type_name_text(to->oid, b);
    return err_set(err, ST_CANNOT_COERCE, "cannot cast type %s to %s", a, b);
}

static Status cast_without_row(const Registry *r, const ValueType *from, const ValueType *to, Error *err, FnCall *call)
{
    Oid from_elem = type_element(from->oid);
    Oid to_elem = type_element(to->oid);
    if (from_elem != 0 && to_elem != 0 && from->oid != OID_INT2VECTOR && from->oid != OID_OIDVECTOR) {
        ValueType a = value_type_of(from_elem);
        ValueType b = value_type_of(to_elem);
        if (cast_resolve(r, &a, &b, NULL, call) != ST_OK) {
            return cannot_cast(from, to, err);
        }
        conversion(call, from, to, k_array_cast);
        call->registry = r;
        return ST_OK;
    }
    if (is_string_type(from->oid) || is_string_type(to->oid)) {
        ValueType wanted = base_form(*from);
        conversion(call, &wanted, to, k_io_cast);
        return ST_OK;
    }
    return cannot_cast(from, to, err);
}

Status cast_resolve(const Registry *r, const ValueType *from, const ValueType *to, Error *err, FnCall *out_call)
{
    if (from->oid == to->oid) {
        conversion(out_call, from, from, k_identity);
        return ST_OK;
    }
    const CastRow *cast = cast_find(from->oid, to->oid);
    if (cast == NULL) {
        ValueType plain = base_form(*to);
        plain.typmod = -1;
        return cast_without_row(r, from, &plain, err, out_call);
    }
    if (cast->method == 'f') {
        const FnRow *fn = fn_by_oid(cast->fn);
        return fn_resolve(r, fn, from, 1, to->oid, err, out_call);
    }
    ValueType wanted = base_form(*from);
    ValueType result = base_form(*to);
    result.typmod = -1;
    conversion(out_call, &wanted, &result, cast->method == 'b' ? k_identity : k_io_cast);
    if (cast->method == 'b' && wanted.phys != result.phys) {
        return cannot_cast(from, to, err);
    }
    return ST_OK;
}

Status rep_convert(const ValueType *from, const ValueType *to, Error *err, FnCall *out_call)
{
    if (from->phys == to->phys && from->scale == to->scale) {
        conversion(out_call, from, to, k_identity);
        return ST_OK;
    }
    if (from->oid != OID_NUMERIC || to->oid != OID_NUMERIC) {
        return cannot_cast(from, to, err);
    }
    return num_rep_convert(from, to, err, out_call);
}

void fn_site_free(const FnCall *call, void **site)
{
    if (site != NULL && *site != NULL && (call->flags & KERNEL_SITE)) {
        ((SiteObject *)*site)->free(*site);
        *site = NULL;
    }
}

/* ---- typmods ---- */

static Status too_long(FnCtx *fx, const char *type, int32_t max)
{
    return err_set(fx->cx->err, ST_STRING_DATA_RIGHT_TRUNCATION, "value too long for type %s(%d)", type, max);
}

Status varchar_limit(FnCtx *fx, StrView *v, int32_t max_chars, bool is_explicit)
{
    const char *p = strview_ptr(v);
    if (v->len <= (uint32_t)max_chars) {
        return ST_OK;
    }
    size_t keep = utf8_prefix_bytes(p, v->len, (size_t)max_chars);
    if (keep == v->len) {
        return ST_OK;
    }
    for (size_t i = keep; !is_explicit && i < v->len; i++) {
        if (p[i] != ' ') {
            return too_long(fx, "character varying", max_chars);
        }
    }
    char few[STRVIEW_INLINE]; /* p may point into *v itself */
    if (keep <= STRVIEW_INLINE) {
        memcpy(few, p, keep);
        p = few;
    }
    *v = strview_make(p, (uint32_t)keep);
    return ST_OK;
}

Status bpchar_limit(FnCtx *fx, StrView *v, int32_t chars, bool is_explicit, Arena *heap)
{
    const char *p = strview_ptr(v);
    size_t keep = utf8_prefix_bytes(p, v->len, (size_t)chars);
    for (size_t i = keep; !is_explicit && i < v->len; i++) {
        if (p[i] != ' ') {
            return too_long(fx, "character", chars);
        }
    }
    size_t have = utf8_length(p, keep);
    size_t pad = (size_t)chars - have;
    if (keep + pad > VALUE_BYTES_MAX) {
        return err_set(fx->cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    }
    char *copy = heap_bytes(heap, keep + pad);
    if (copy == NULL) {
        return ctx_nomem(fx->cx, keep + pad);
    }
    memcpy(copy, p, keep);
    memset(copy + keep, ' ', pad);
    *v = strview_make(copy, (uint32_t)(keep + pad));
    return ST_OK;
}

KERNEL1(k_varchar_typmod, StrView, StrView, r = a;
        FAIL_IF(varchar_limit(fx, &r, (int32_t)fx->call->aux[0], fx->call->aux[1]));)
KERNEL1(k_bpchar_typmod, StrView, StrView, r = a;
        FAIL_IF(bpchar_limit(fx, &r, (int32_t)fx->call->aux[0], fx->call->aux[1], &out->heap));)

Status typmod_resolve(const ValueType *from, const ValueType *to, bool is_explicit, Error *err, bool *out_needed,
                      FnCall *out_call)
{
    *out_needed = false;
    if (to->typmod < 0) {
        return ST_OK;
    }
    Oid elem = type_element(to->oid);
    if (elem != 0 && from->oid == to->oid) {
        conversion(out_call, from, to, k_array_typmod);
        out_call->aux[1] = is_explicit;
        *out_needed = true;
        return ST_OK;
    }
    switch (to->oid) {
    case OID_VARCHAR:
    case OID_BPCHAR:
        if (to->typmod < 4 || (from->oid == to->oid && from->typmod == to->typmod)) {
            return ST_OK;
        }
        conversion(out_call, from, to, to->oid == OID_VARCHAR ? k_varchar_typmod : k_bpchar_typmod);
        out_call->aux[0] = to->typmod - 4;
        out_call->aux[1] = is_explicit;
        break;
    case OID_NUMERIC:
        if (to->typmod < 4 || from->typmod == to->typmod) {
            return ST_OK;
        }
        *out_needed = true;
        return num_typmod_convert(from, to, err, out_call);
    case OID_TIME:
    case OID_TIMETZ:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
    case OID_INTERVAL:
        conversion(out_call, from, to, datetime_typmod_kernel(to->oid));
        out_call->aux[0] = to->typmod;
        break;
    default: return ST_OK;
    }
    *out_needed = true;
    return ST_OK;
}
