/*
 * types/func.h: how functions, operators and casts are called: the kernel ABI.
 *
 * A kernel works on a batch: argument vectors (FLAT or CONSTANT), the rows to do, an output vector. It touches only
 * the rows it is given, so what CASE or WHERE masked out is never evaluated. fn_invoke does what is common to all: it
 * unites the null masks of strict functions and takes null rows out of the selection (unless the kernel is
 * KERNEL_TOTAL: correct on any bit pattern, and faster without a selection), and runs calls whose arguments are all
 * constant once.
 *
 * Resolution: fn_resolve takes the argument types an expression has, and answers a FnCall: the kernel, the
 * representation it wants for each argument and the one it returns. Only numeric has several: types are compared by
 * OID, then the caller converts an argument whose (phys, scale) differ, with rep_convert. A function whose kernel
 * depends on more than that has a `resolve` of its own.
 *
 * Errors: a kernel records the first error in fx->cx->err, its row in fx->error_row, and returns the status; nothing
 * is promised then about the output. Kernels of one batch do not stop at interrupts unless one row can take long.
 *
 * Threads: FnCall and KernelDef are immutable and shared; an FnCtx belongs to one thread.
 */
#ifndef RDB_TYPES_FUNC_H
#define RDB_TYPES_FUNC_H

#include "base/ctx.h"
#include "types/registry.h"
#include "types/vector.h"

typedef struct TimeZone TimeZone; /* timezone.h */
typedef struct TzCache TzCache;   /* timezone.h */
typedef struct FnCtx FnCtx;
typedef struct FnCall FnCall;

enum { DATESTYLE_ISO, DATESTYLE_POSTGRES, DATESTYLE_SQL, DATESTYLE_GERMAN };
enum { DATEORDER_YMD, DATEORDER_DMY, DATEORDER_MDY };
enum { INTERVALSTYLE_POSTGRES, INTERVALSTYLE_POSTGRES_VERBOSE, INTERVALSTYLE_SQL_STANDARD, INTERVALSTYLE_ISO_8601 };

/*
 * Names of objects for reg* types and aclitem, answered by the catalog. A hook that is NULL: reg* values read and
 * write as numbers, and names are undefined (42P01 ...).
 */
typedef struct NameHooks {
    void *arg;
    /* Appends the name as the reg type shows it (qualified when not visible); *out_found false = no such object. */
    Status (*reg_out)(void *arg, FnCtx *fx, Oid reg_type, Oid object, StrBuf *sb, bool *out_found);
    /* Finds an object by the text of its name; errors as PostgreSQL's. */
    Status (*reg_in)(void *arg, FnCtx *fx, Oid reg_type, Str text, Oid *out_object);
} NameHooks;

/* What results may depend on besides arguments; fixed for the time of a statement. */
typedef struct SessionFacts {
    const TimeZone *timezone; /* NULL = UTC */
    TzCache *tz_cache;        /* for zones named in values; NULL = only UTC and fixed offsets are known */
    uint8_t date_style;
    uint8_t date_order;
    uint8_t interval_style;
    bool bytea_escape;         /* bytea_output = escape */
    int8_t extra_float_digits; /* -15..3 */
    int64_t transaction_us;    /* now(): microseconds since 2000-01-01 UTC */
    int64_t statement_us;
    const NameHooks *names;
} SessionFacts;
extern const SessionFacts session_facts_default; /* UTC, ISO, MDY, postgres, hex, 1 */

struct FnCtx {
    Ctx *cx;      /* errors, interrupts, budget */
    Arena *arena; /* scratch of the batch */
    const SessionFacts *facts;
    const FnCall *call; /* set by fn_invoke */
    void **site;        /* cache of this call site (a compiled pattern), NULL = none; see fn_site_free */
    Arena *site_arena;  /* lives as long as the call site */
    uint32_t error_row; /* with an error: its row */
};

/* sel/n/out: see vector.h. For strict functions every row given has all arguments not null. */
typedef Status FnKernel(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out);

enum {
    KERNEL_TOTAL = 1,          /* tolerates any bits in null rows, and fails for no row that is null in out->nulls */
    KERNEL_SITE = 2,           /* uses fx->site: one cache object, freed by site_free */
    KERNEL_CALLED_ON_NULL = 4, /* overrides FN_STRICT: the kernel deals with nulls */
};

struct KernelDef {
    const char *src; /* pg_proc.prosrc, or "name(type, type)" of a SQL-language function */
    FnKernel *kernel;
    uint8_t flags;
    /* Fills call->kernel, args and result from call->args (what the expression has); NULL = base representations. */
    Status (*resolve)(FnCall *call, Error *err);
};

enum { FN_CALL_ARGS = 8 }; /* arguments of fixed representation; variadic kernels take more of the last one's */

struct FnCall {
    const FnRow *fn; /* NULL for representation and typmod conversions */
    const KernelDef *def;
    const Registry *registry; /* for kernels that cast elements; may be NULL */
    FnKernel *kernel;
    uint8_t flags; /* KERNEL_..., and strictness below */
    bool strict;
    uint16_t nargs;
    ValueType args[FN_CALL_ARGS]; /* wanted; args[FN_CALL_ARGS - 1] counts for all after it */
    ValueType result;
    int64_t aux[2]; /* of the kernel: factors, limits */
};

/*
 * `args` are the actual types (polymorphic ones resolved by the binder), nargs of them; `result` the actual result
 * type (oid, typmod). Not implemented: 0A000 naming the function.
 */
STATUS fn_resolve(const Registry *r, const FnRow *fn, const ValueType *args, unsigned nargs, Oid result_oid, Error *err,
                  FnCall *out_call);
static inline const ValueType *fn_arg_type(const FnCall *c, unsigned i)
{
    return &c->args[i < FN_CALL_ARGS ? i : FN_CALL_ARGS - 1];
}

/* Evaluates the call over the rows; `out` was vec_reset and has the result's phys. */
STATUS fn_invoke(FnCtx *fx, const FnCall *call, const Vector *const *args, const uint16_t *sel, uint32_t n,
                 Vector *out);
/* Frees what a KERNEL_SITE kernel left in *fx->site; NULL site contents are fine. */
void fn_site_free(const FnCall *call, void **site);

/* True when the vectors of both types are interchangeable (same phys, and for fixed numeric the same scale). */
bool rep_same(const ValueType *a, const ValueType *b);
/* A call of one argument that turns one representation of a type into another (numeric forms; otherwise none needed). */
STATUS rep_convert(const ValueType *from, const ValueType *to, Error *err, FnCall *out_call);
/*
 * A call of one argument that applies to->typmod to a value of the same type: varchar(n), char(n), numeric(p,s),
 * timestamp(p)... Explicit casts cut strings silently, assignment raises 22001. *out_needed false = nothing to do.
 */
STATUS typmod_resolve(const ValueType *from, const ValueType *to, bool is_explicit, Error *err, bool *out_needed,
                      FnCall *out_call);
/* Binary-coercible, function and I/O casts alike: the call that turns `from` into to->oid (typmod not applied). */
STATUS cast_resolve(const Registry *r, const ValueType *from, const ValueType *to, Error *err, FnCall *out_call);

/* Records the row of an error and passes the status on. */
static inline Status fn_fail(FnCtx *fx, uint32_t row, Status st)
{
    fx->error_row = row;
    return st;
}

/* ---- input and output ---- */

/*
 * Text and binary forms of a value, equal to PostgreSQL's. `in` and `recv` write a physical value to out_value (strings
 * into heap) and apply t->typmod as an assignment does; `out` and `send` append. SQLSTATEs and texts are PostgreSQL's.
 * recv checks all bytes; trailing ones are 08P01... as PostgreSQL's "incorrect binary data format" (22P03).
 */
STATUS type_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out_value);
STATUS type_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb);
STATUS type_recv(FnCtx *fx, const ValueType *t, Str bytes, Arena *heap, void *out_value);
STATUS type_send(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb);
/* PostgreSQL's typmod from the modifier list of a type name: varchar(5), numeric(10,2). 22023 and others. */
STATUS type_typmod_in(const TypeRow *t, const int32_t *mods, unsigned nmods, Error *err, int32_t *out_typmod);

/* ---- comparison, hashing, keys ---- */

/*
 * Order and equality of the type's default btree operator class, under the type's collation. Values are pointers to
 * physical values. For hot loops use the operators' kernels; these serve sorts, merges and tests.
 */
typedef int CompareFn(const ValueType *t, const void *a, const void *b);
CompareFn *type_compare(const ValueType *t); /* NULL = the type has no order */
static inline int type_cmp(const ValueType *t, const void *a, const void *b)
{
    return type_compare(t)(t, a, b);
}
bool type_is_hashable(Oid oid);

/*
 * Hashes the rows to out_hashes[row]; with `combine` mixes into what is there. Equal values (by the type's equality, also
 * numeric of different representation, scale, or int2/int4/int8, float4/float8) hash equal; NULL is hashed as its own value.
 */
void type_hash(const ValueType *t, const Vector *v, const uint16_t *sel, uint32_t n, bool combine,
               uint64_t *out_hashes);

/*
 * Appends the memcmp key of a value: for two values of the type memcmp order of keys = order of values, no key is a
 * prefix of another, so keys concatenate. Not decodable in general (numeric scale, padding are lost). Versioned: KEY_VERSION.
 */
enum { KEY_VERSION = 1 };
void type_key(const ValueType *t, const void *value, StrBuf *out); /* fails only as a StrBuf does */
bool type_has_key(Oid oid);

#endif
