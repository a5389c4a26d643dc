/*
 * types/registry.h: what PostgreSQL 15 knows by OID: types, functions, operators, casts, operator classes, collations.
 *
 * Key idea: facts and code are kept apart. Facts (OIDs, names, signatures) are static const tables generated from a
 * PostgreSQL 15 by tools/gen_types.py into src/types/gen/ and complete: every function of pg_catalog whose types we know
 * of is listed, so that overload resolution sees the candidates PostgreSQL sees. Code is tables of KernelDef by
 * pg_proc.prosrc (func.h). A Registry joins the two once per engine; a function without a kernel answers 0A000 at
 * resolution. Modules above register kernels for what needs catalog or session (pg_table_is_visible, nextval).
 *
 * Invariants
 *  R1  fact tables are sorted by OID; the name indexes are sorted by (name, OID). Held by test_registry.
 *  R2  after registry_init the Registry is read only until registry_add_kernels (engine open), so any thread may read.
 */
#ifndef RDB_TYPES_REGISTRY_H
#define RDB_TYPES_REGISTRY_H

#include "base/mem.h"
#include "base/status.h"
#include "types/value.h"

/* One pg_type row. */
typedef struct TypeRow {
    Oid oid;
    const char *name;
    uint8_t phys; /* PhysType; P_NONE = known by name only: using it answers 0A000 */
    int16_t len;
    bool byval;
    bool preferred;
    char kind; /* typtype: b, p, r, m, c */
    char category;
    char align;
    char storage;
    char delim;
    Oid elem;  /* element type, also of name, int2vector, oidvector */
    Oid array; /* its array type, 0 = none */
    Oid collation;
    const char *input; /* names of functions, as regproc shows them; "-" = none */
    const char *output;
    const char *receive;
    const char *send;
    const char *modin;
    const char *modout;
    const char *subscript;
} TypeRow;

enum { FN_STRICT = 1, FN_RETSET = 2, FN_LEAKPROOF = 4 };
enum { FN_ARGS_MAX = 100 };

/* One pg_proc row. */
typedef struct FnRow {
    Oid oid;
    const char *name;
    const char *src; /* prosrc of internal functions; for SQL-language ones "name(type, ...)" */
    char kind;       /* prokind: f, a, w, p */
    char volatility; /* i, s, v */
    char parallel;   /* s, r, u */
    char language;   /* i internal, c C, s SQL */
    uint8_t flags;   /* FN_STRICT ... */
    uint8_t nargs;
    uint8_t ndefaults;
    Oid rettype;
    Oid variadic;          /* element type of the last argument, 0 = not variadic */
    const Oid *args;       /* nargs input types */
    const Oid *all_args;   /* with OUT arguments, zero-terminated; NULL = only inputs */
    const char *modes;     /* one letter for each of all_args; NULL with it */
    const char *arg_names; /* "a,b,c", NULL = unnamed */
    const char *defaults;  /* SQL expressions of the last ndefaults arguments, ", " between; NULL = none */
    int32_t rows;          /* estimated rows of a set-returning function */
} FnRow;

/* One pg_operator row; left is 0 for a prefix operator. */
typedef struct OperRow {
    Oid oid;
    const char *name;
    Oid left;
    Oid right;
    Oid result;
    Oid commutator;
    Oid negator;
    Oid fn;
    bool can_merge;
    bool can_hash;
    const char *restrict_fn; /* selectivity estimators, "-" = none */
    const char *join_fn;
} OperRow;

typedef struct CastRow {
    Oid oid;
    Oid source;
    Oid target;
    Oid fn;       /* 0 = none */
    char context; /* i implicit, a assignment, e explicit */
    char method;  /* f function, b binary coercible, i through text */
} CastRow;

/* One pg_aggregate row; what it computes is in agg.h. */
typedef struct AggRow {
    Oid fn;
    char kind; /* n normal, o ordered-set, h hypothetical-set */
    int16_t direct_args;
    Oid sort_operator; /* min, max: the operator that orders; 0 = none */
    Oid trans_type;
    const char *trans_fn;
    const char *final_fn;
    const char *init; /* NULL = starts as NULL */
} AggRow;

enum { METHOD_BTREE = 403, METHOD_HASH = 405 };

typedef struct OpclassRow {
    Oid oid;
    const char *name;
    Oid method;
    Oid family;
    Oid type;
    Oid key_type;
    bool is_default;
} OpclassRow;

/* One pg_amop row of btree and hash: strategy 1 <, 2 <=, 3 =, 4 >=, 5 > (btree), 1 = (hash). */
typedef struct AmopRow {
    Oid oid;
    Oid family;
    Oid left;
    Oid right;
    int16_t strategy;
    Oid operator;
    Oid method;
} AmopRow;

typedef struct CollationRow {
    Oid oid;
    const char *name;
    char provider;
    const char *collate; /* NULL for the database default */
} CollationRow;

/* ---- the tables: sorted by OID (casts by source, target; aggregates by function) ---- */

extern const TypeRow type_rows[];
extern const uint32_t type_row_count;
extern const FnRow fn_rows[];
extern const uint32_t fn_row_count;
extern const OperRow oper_rows[];
extern const uint32_t oper_row_count;
extern const CastRow cast_rows[];
extern const uint32_t cast_row_count;
extern const AggRow agg_rows[];
extern const uint32_t agg_row_count;
extern const OpclassRow opclass_rows[];
extern const uint32_t opclass_row_count;
extern const AmopRow amop_rows[];
extern const uint32_t amop_row_count;
extern const CollationRow collation_rows[];
extern const uint32_t collation_row_count;

/* NULL = there is none. */
const TypeRow *type_by_oid(Oid oid);
const TypeRow *type_by_name(Str name); /* pg_catalog's own names ("int4", "_int4"), not SQL's ("integer") */
const FnRow *fn_by_oid(Oid oid);
const OperRow *oper_by_oid(Oid oid);
const CastRow *cast_find(Oid source, Oid target);
const AggRow *agg_row(Oid fn);
const OpclassRow *opclass_by_oid(Oid oid);
const OpclassRow *opclass_default(Oid type, Oid method); /* exact type only; the caller tries binary coercible ones */
const OpclassRow *opclass_by_name(Str name, Oid method);
const CollationRow *collation_by_oid(Oid oid);
const CollationRow *collation_by_name(Str name);
/* The operator of a family for a strategy and operand types; 0 = none. */
Oid amop_operator(Oid family, Oid left, Oid right, int strategy);

/* All functions or operators of one name: rows fn_rows[fn_name_index[*out_first + i]], i < the returned count. */
extern const uint16_t fn_name_index[];
extern const uint16_t oper_name_index[];
uint32_t fn_by_name(Str name, uint32_t *out_first);
uint32_t oper_by_name(Str name, uint32_t *out_first);
/* Casts from a type: cast_rows[*out_first + i]. */
uint32_t cast_from(Oid source, uint32_t *out_first);

/* ---- kernels ---- */

typedef struct KernelDef KernelDef; /* func.h */

typedef struct Registry {
    Budget *budget;
    const KernelDef **fn_kernels; /* by row number of fn_rows; NULL = not implemented */
} Registry;

/* Joins facts with the kernels of this module. */
STATUS registry_init(Registry *r, Budget *budget, Error *err);
void registry_done(Registry *r);
/* Kernels of modules above; one that is already there is replaced. `defs` must outlive the registry. */
STATUS registry_add_kernels(Registry *r, const KernelDef *defs, uint32_t n, Error *err);
const KernelDef *registry_kernel(const Registry *r, const FnRow *row); /* NULL = not implemented */

/* ---- types ---- */

/* The ValueType of a column, parameter or cast target. A type without physical form: 0A000. */
STATUS value_type(Oid oid, int32_t typmod, Error *err, ValueType *out);
/* The same for types that code names; aborts if the type is unknown. typmod -1; numeric is in variable form. */
ValueType value_type_of(Oid oid);
/* For an array (also int2vector, oidvector): its element; 0 = not an array. */
Oid type_element(Oid oid);
static inline bool type_is_unsigned_i32(Oid oid)
{
    return oid == OID_OID || oid == OID_XID || oid == OID_CID || (oid >= OID_REGPROCEDURE && oid <= OID_REGTYPE) ||
           oid == OID_REGPROC || oid == OID_REGROLE || oid == OID_REGNAMESPACE || oid == OID_REGCONFIG ||
           oid == OID_REGDICTIONARY || oid == OID_REGCOLLATION;
}
static inline bool type_is_unsigned_i64(Oid oid)
{
    return oid == OID_TID || oid == OID_XID8 || oid == OID_PG_LSN;
}

/*
 * SQL's name with modifiers: "character varying(5)", "numeric(10,2)", "integer[]". Appends; never fails but as StrBuf. typmod -1 is "not given"
 * (char(n) without it is "character").
 */
void type_format(Oid oid, int32_t typmod, StrBuf *out);
/* SQL's name without modifiers, for messages; cut if need be. */
enum { TYPE_NAME_BYTES = 96 };
void type_name_text(Oid oid, char out[TYPE_NAME_BYTES]);
/* Decodes numeric's typmod; false when there is none. */
bool numeric_typmod(int32_t typmod, int *out_precision, int *out_scale);
int32_t numeric_typmod_make(int precision, int scale);

#endif
