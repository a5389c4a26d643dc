/*
 * types/registry.c: look-ups in the fact tables, and the join with kernels (see registry.h).
 */
#include "types/registry.h"

#include <stdio.h>

#include "types/func.h"
#include "types/kernels.h"

#define FN_ARGS(...) ((const Oid[]){__VA_ARGS__})

const TypeRow type_rows[] = {
#define TYPE(oid, name, phys, len, byval, pref, kind, cat, align, storage, delim, elem, array, coll, ...)              \
    {oid, name, phys, len, byval, pref, kind, cat, align, storage, delim, elem, array, coll, __VA_ARGS__},
#include "types/gen/types.def"
#undef TYPE
};
const uint32_t type_row_count = ARRAY_LEN(type_rows);

const FnRow fn_rows[] = {
#define FN(oid, name, src, kind, vol, par, lang, flags, nargs, ndef, ret, variadic, ...)                               \
    {oid, name, src, kind, vol, par, lang, flags, nargs, ndef, ret, variadic, __VA_ARGS__},
#include "types/gen/functions.def"
#undef FN
};
const uint32_t fn_row_count = ARRAY_LEN(fn_rows);

const OperRow oper_rows[] = {
#define OPER(...) {__VA_ARGS__},
#include "types/gen/operators.def"
#undef OPER
};
const uint32_t oper_row_count = ARRAY_LEN(oper_rows);

const CastRow cast_rows[] = {
#define CAST(...) {__VA_ARGS__},
#include "types/gen/casts.def"
#undef CAST
};
const uint32_t cast_row_count = ARRAY_LEN(cast_rows);

const AggRow agg_rows[] = {
#define AGG(...) {__VA_ARGS__},
#include "types/gen/aggregates.def"
#undef AGG
};
const uint32_t agg_row_count = ARRAY_LEN(agg_rows);

const OpclassRow opclass_rows[] = {
#define OPCLASS(...) {__VA_ARGS__},
#include "types/gen/opclasses.def"
#undef OPCLASS
};
const uint32_t opclass_row_count = ARRAY_LEN(opclass_rows);

const AmopRow amop_rows[] = {
#define AMOP(...) {__VA_ARGS__},
#include "types/gen/amops.def"
#undef AMOP
};
const uint32_t amop_row_count = ARRAY_LEN(amop_rows);

const CollationRow collation_rows[] = {
#define COLLATION(...) {__VA_ARGS__},
#include "types/gen/collations.def"
#undef COLLATION
};
const uint32_t collation_row_count = ARRAY_LEN(collation_rows);

const uint16_t fn_name_index[] = {
#include "types/gen/function_names.def"
};
const uint16_t oper_name_index[] = {
#include "types/gen/operator_names.def"
};
STATIC_ASSERT(ARRAY_LEN(fn_name_index) == ARRAY_LEN(fn_rows), "one index entry a function");
STATIC_ASSERT(ARRAY_LEN(oper_name_index) == ARRAY_LEN(oper_rows), "one index entry an operator");

/* ---- by OID ---- */

/* Binary search for a row whose first field is the OID, in a table of `count` rows of `bytes` each. */
static const void *row_by_oid(const void *rows, uint32_t count, size_t bytes, Oid oid)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const void *row = (const char *)rows + mid * bytes;
        Oid at = *(const Oid *)row;
        if (at == oid) {
            return row;
        }
        if (at < oid) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}

const TypeRow *type_by_oid(Oid oid)
{
    return row_by_oid(type_rows, type_row_count, sizeof(TypeRow), oid);
}
const FnRow *fn_by_oid(Oid oid)
{
    return row_by_oid(fn_rows, fn_row_count, sizeof(FnRow), oid);
}
const OperRow *oper_by_oid(Oid oid)
{
    return row_by_oid(oper_rows, oper_row_count, sizeof(OperRow), oid);
}
const AggRow *agg_row(Oid fn)
{
    return row_by_oid(agg_rows, agg_row_count, sizeof(AggRow), fn);
}

const OpclassRow *opclass_by_oid(Oid oid)
{
    return row_by_oid(opclass_rows, opclass_row_count, sizeof(OpclassRow), oid);
}

const CollationRow *collation_by_oid(Oid oid)
{
    return row_by_oid(collation_rows, collation_row_count, sizeof(CollationRow), oid);
}

/* ---- by name ---- */

static int name_cmp(const char *row_name, Str name)
{
    int c = strncmp(row_name, name.p, name.len);
    return c != 0 ? c : row_name[name.len] != '\0';
}

static const char *fn_name_at(uint32_t i)
{
    return fn_rows[fn_name_index[i]].name;
}
static const char *oper_name_at(uint32_t i)
{
    return oper_rows[oper_name_index[i]].name;
}

/* Equal range of a name in an index; returns its length. */
static uint32_t name_range(const char *(*name_at)(uint32_t), uint32_t count, Str name, uint32_t *out_first)
{
    uint32_t low = 0;
    uint32_t high = count;
    if (memchr(name.p, 0, name.len) != NULL) {
        return 0;
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (name_cmp(name_at(mid), name) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    uint32_t n = 0;
    while (low + n < count && name_cmp(name_at(low + n), name) == 0) {
        n++;
    }
    *out_first = low;
    return n;
}

uint32_t fn_by_name(Str name, uint32_t *out_first)
{
    return name_range(fn_name_at, fn_row_count, name, out_first);
}

uint32_t oper_by_name(Str name, uint32_t *out_first)
{
    return name_range(oper_name_at, oper_row_count, name, out_first);
}

/* The tables below are short and asked at bind time only; a scan of 180 rows is cheaper than an index to keep. */
const TypeRow *type_by_name(Str name)
{
    for (uint32_t i = 0; i < type_row_count; i++) {
        if (name_cmp(type_rows[i].name, name) == 0) {
            return &type_rows[i];
        }
    }
    return NULL;
}

const CollationRow *collation_by_name(Str name)
{
    for (uint32_t i = 0; i < collation_row_count; i++) {
        if (name_cmp(collation_rows[i].name, name) == 0) {
            return &collation_rows[i];
        }
    }
    return NULL;
}

const OpclassRow *opclass_default(Oid type, Oid method)
{
    for (uint32_t i = 0; i < opclass_row_count; i++) {
        const OpclassRow *row = &opclass_rows[i];
        if (row->type == type && row->method == method && row->is_default) {
            return row;
        }
    }
    return NULL;
}

const OpclassRow *opclass_by_name(Str name, Oid method)
{
    for (uint32_t i = 0; i < opclass_row_count; i++) {
        if (opclass_rows[i].method == method && name_cmp(opclass_rows[i].name, name) == 0) {
            return &opclass_rows[i];
        }
    }
    return NULL;
}

Oid amop_operator(Oid family, Oid left, Oid right, int strategy)
{
    for (uint32_t i = 0; i < amop_row_count; i++) {
        const AmopRow *row = &amop_rows[i];
        if (row->family == family && row->left == left && row->right == right && row->strategy == strategy) {
            return row->operator;
        }
    }
    return 0;
}

uint32_t cast_from(Oid source, uint32_t *out_first)
{
    uint32_t low = 0;
    uint32_t high = cast_row_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (cast_rows[mid].source < source) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    uint32_t n = 0;
    while (low + n < cast_row_count && cast_rows[low + n].source == source) {
        n++;
    }
    *out_first = low;
    return n;
}

const CastRow *cast_find(Oid source, Oid target)
{
    uint32_t first = 0;
    uint32_t n = cast_from(source, &first);
    for (uint32_t i = 0; i < n; i++) {
        if (cast_rows[first + i].target == target) {
            return &cast_rows[first + i];
        }
    }
    return NULL;
}

/* ---- kernels ---- */

static uint64_t src_hash(const char *src)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *src != '\0'; src++) {
        h = (h ^ (uint8_t)*src) * 0x100000001b3u;
    }
    return h ^ h >> 32;
}

/* An open-addressing table from prosrc to the definition, needed only while joining. */
typedef struct SrcTable {
    const KernelDef **slots;
    size_t capacity; /* power of two */
} SrcTable;

static const KernelDef **src_slot(const SrcTable *t, const char *src)
{
    size_t i = src_hash(src) & (t->capacity - 1);
    while (t->slots[i] != NULL && strcmp(t->slots[i]->src, src) != 0) {
        i = (i + 1) & (t->capacity - 1);
    }
    return &t->slots[i];
}

STATUS registry_add_kernels(Registry *r, const KernelDef *defs, uint32_t n, Error *err)
{
    SrcTable t = {.capacity = 16};
    while (t.capacity < 2 * (size_t)n) {
        t.capacity *= 2;
    }
    t.slots = mem_alloc0(r->budget, t.capacity * sizeof *t.slots);
    if (t.slots == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    for (uint32_t i = 0; i < n; i++) {
        *src_slot(&t, defs[i].src) = &defs[i];
    }
    for (uint32_t i = 0; i < fn_row_count; i++) {
        const KernelDef *def = *src_slot(&t, fn_rows[i].src);
        if (def != NULL) {
            r->fn_kernels[i] = def;
        }
    }
    mem_free(r->budget, t.slots, t.capacity * sizeof *t.slots);
    return ST_OK;
}

Status registry_init(Registry *r, Budget *budget, Error *err)
{
    *r = (Registry){.budget = budget};
    r->fn_kernels = mem_alloc0(budget, fn_row_count * sizeof *r->fn_kernels);
    if (r->fn_kernels == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    for (const KernelList *const *list = kernel_lists; *list != NULL; list++) {
        Status st = registry_add_kernels(r, (*list)->defs, (*list)->n, err);
        if (st != ST_OK) {
            registry_done(r);
            return st;
        }
    }
    return ST_OK;
}

void registry_done(Registry *r)
{
    if (r != NULL && r->fn_kernels != NULL) {
        mem_free(r->budget, r->fn_kernels, fn_row_count * sizeof *r->fn_kernels);
        r->fn_kernels = NULL;
    }
}

const KernelDef *registry_kernel(const Registry *r, const FnRow *row)
{
    ASSERT(row >= fn_rows && row < fn_rows + fn_row_count);
    return r->fn_kernels[row - fn_rows];
}

/* ---- types ---- */

bool numeric_typmod(int32_t typmod, int *out_precision, int *out_scale)
{
    if (typmod < 4) {
        return false;
    }
    int32_t packed = typmod - 4;
    *out_precision = (packed >> 16) & 0xffff;
    *out_scale = ((packed & 0x7ff) ^ 1024) - 1024;
    return true;
}

int32_t numeric_typmod_make(int precision, int scale)
{
    return (precision << 16 | (scale & 0x7ff)) + 4;
}

/* A numeric column's form: fixed when all its digits fit and its scale is an ordinary one. */
static void numeric_form(ValueType *t)
{
    int precision;
    int scale;
    if (numeric_typmod(t->typmod, &precision, &scale) && precision <= 38 && scale >= 0 && scale <= precision) {
        t->precision = (uint8_t)precision;
        t->scale = (int16_t)scale;
        t->phys = precision <= 18 ? P_I64 : P_I128;
    }
}

Status value_type(Oid oid, int32_t typmod, Error *err, ValueType *out)
{
    const TypeRow *row = type_by_oid(oid);
    if (row == NULL) {
        return err_set(err, ST_UNDEFINED_OBJECT, "type with OID %u does not exist", oid);
    }
    if (row->phys == P_NONE) {
        return err_set(err, ST_FEATURE_NOT_SUPPORTED, "type %s is not supported", row->name);
    }
    ValueType t = {.oid = oid, .collation = row->collation, .typmod = typmod, .phys = row->phys};
    if (oid == OID_NUMERIC) {
        numeric_form(&t);
    }
    *out = t;
    return ST_OK;
}

ValueType value_type_of(Oid oid)
{
    const TypeRow *row = type_by_oid(oid);
    ASSERT(row != NULL && row->phys != P_NONE);
    return (ValueType){.oid = oid, .collation = row->collation, .typmod = -1, .phys = row->phys};
}

Oid type_element(Oid oid)
{
    const TypeRow *row = type_by_oid(oid);
    bool is_array = row != NULL && row->elem != 0 && strcmp(row->subscript, "array_subscript_handler") == 0;
    return is_array ? row->elem : 0;
}

static const struct TypeSqlName {
    Oid oid;
    const char *name;
} sql_names[] = {
    {OID_BOOL, "boolean"},
    {OID_CHAR, "\"char\""},
    {OID_INT8, "bigint"},
    {OID_INT2, "smallint"},
    {OID_INT4, "integer"},
    {OID_FLOAT4, "real"},
    {OID_FLOAT8, "double precision"},
    {OID_BPCHAR, "character"},
    {OID_VARCHAR, "character varying"},
    {OID_TIME, "time without time zone"},
    {OID_TIMESTAMP, "timestamp without time zone"},
    {OID_TIMESTAMPTZ, "timestamp with time zone"},
    {OID_TIMETZ, "time with time zone"},
    {OID_VARBIT, "bit varying"},
    {OID_ANY, "\"any\""},
};

static const char *sql_name(const TypeRow *row)
{
    for (size_t i = 0; i < ARRAY_LEN(sql_names); i++) {
        if (sql_names[i].oid == row->oid) {
            return sql_names[i].name;
        }
    }
    return row->name;
}

/* "(p)" goes behind "timestamp", "time", "interval fields": before " without time zone". */
static void format_with_precision(const char *name, int32_t precision, StrBuf *out)
{
    const char *tail = strstr(name, " with");
    size_t head = tail != NULL ? (size_t)(tail - name) : strlen(name);
    strbuf_append(out, name, head);
    strbuf_printf(out, "(%d)", precision);
    strbuf_puts(out, name + head);
}

/* PostgreSQL's interval typmod: range of fields << 16 | precision, 0xFFFF = full. */
static void format_interval(int32_t typmod, StrBuf *out)
{
    static const struct {
        int range;
        const char *name;
    } fields[] = {{4, " year"},
                  {2, " month"},
                  {8, " day"},
                  {1024, " hour"},
                  {2048, " minute"},
                  {4096, " second"},
                  {6, " year to month"},
                  {1032, " day to hour"},
                  {3080, " day to minute"},
                  {7176, " day to second"},
                  {3072, " hour to minute"},
                  {7168, " hour to second"},
                  {6144, " minute to second"}};
    strbuf_puts(out, "interval");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].range == ((typmod >> 16) & 0x7fff)) {
            strbuf_puts(out, fields[i].name);
        }
    }
    if ((typmod & 0xffff) != 0xffff) {
        strbuf_printf(out, "(%d)", typmod & 0xffff);
    }
}

static void format_scalar(const TypeRow *row, int32_t typmod, StrBuf *out)
{
    const char *name = sql_name(row);
    int precision;
    int scale;
    switch (row->oid) {
    case OID_BPCHAR:
    case OID_VARCHAR:
        strbuf_puts(out, name);
        if (typmod > 4) {
            strbuf_printf(out, "(%d)", typmod - 4);
        }
        return;
    case OID_NUMERIC:
        strbuf_puts(out, name);
        if (numeric_typmod(typmod, &precision, &scale)) {
            strbuf_printf(out, "(%d,%d)", precision, scale);
        }
        return;
    case OID_INTERVAL:
        if (typmod >= 0) {
            format_interval(typmod, out);
            return;
        }
        break;
    case OID_TIME:
    case OID_TIMETZ:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        if (typmod >= 0) {
            format_with_precision(name, typmod, out);
            return;
        }
        break;
    case OID_BIT:
    case OID_VARBIT:
        strbuf_puts(out, name);
        if (typmod >= 0) {
            strbuf_printf(out, "(%d)", typmod);
        }
        return;
    default: break;
    }
    strbuf_puts(out, name);
}

void type_format(Oid oid, int32_t typmod, StrBuf *out)
{
    const TypeRow *row = type_by_oid(oid);
    if (row == NULL) {
        strbuf_puts(out, oid == 0 ? "-" : "???");
        return;
    }
    Oid elem = row->name[0] == '_' ? type_element(oid) : 0;
    const TypeRow *elem_row = elem != 0 ? type_by_oid(elem) : NULL;
    format_scalar(elem_row != NULL ? elem_row : row, typmod, out);
    if (elem_row != NULL) {
        strbuf_puts(out, "[]");
    }
}

void type_name_text(Oid oid, char out[TYPE_NAME_BYTES])
{
    const TypeRow *row = type_by_oid(oid);
    Oid elem = row != NULL && row->name[0] == '_' ? type_element(oid) : 0;
    const TypeRow *named = elem != 0 ? type_by_oid(elem) : row;
    (void)snprintf(out, TYPE_NAME_BYTES, "%s%s", named != NULL ? sql_name(named) : "???", elem != 0 ? "[]" : "");
}
