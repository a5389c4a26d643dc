/*
 * types/kernels.h: how the kernel files of this folder are written; private to it.
 *
 * KERNEL1..KERNEL4 make a kernel from a statement over scalars a, b, c, d that assigns `r`; row is the row number, FAIL
 * leaves with an error, NULL_RESULT makes the row NULL. The loops work for FLAT and CONSTANT arguments alike. Kernels of
 * arithmetic and comparisons, where speed counts, are written by hand in arith.c and compare.c.
 */
#ifndef RDB_TYPES_KERNELS_H
#define RDB_TYPES_KERNELS_H

#include "types/func.h"

typedef struct KernelList {
    const KernelDef *defs;
    uint32_t n;
} KernelList;
extern const KernelList *const kernel_lists[]; /* NULL-terminated: all files' lists (kernel_lists.c) */

#define KERNEL_LIST(name, ...)                                                                                         \
    static const KernelDef name##_defs[] = {__VA_ARGS__};                                                              \
    const KernelList name = {name##_defs, ARRAY_LEN(name##_defs)};

#define KERNEL_FN(name)                                                                                                \
    static Status name(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out)

#define FAIL(...) return fn_fail(fx, row, err_set(fx->cx->err, __VA_ARGS__))
#define FAIL_IF(status_expr)                                                                                           \
    do {                                                                                                               \
        Status fail_if_st = (status_expr);                                                                             \
        if (UNLIKELY(fail_if_st != ST_OK)) {                                                                           \
            return fn_fail(fx, row, fail_if_st);                                                                       \
        }                                                                                                              \
    } while (0)
#define NOMEM() return fn_fail(fx, row, ctx_nomem(fx->cx, 0))
#define NULL_RESULT                                                                                                    \
    {                                                                                                                  \
        vec_set_null(out, row);                                                                                        \
        continue;                                                                                                      \
    }

#define KERNEL_LOOP(TR, ...)                                                                                           \
    TR *restrict result_data = out->data;                                                                              \
    for (uint32_t i_ = 0; i_ < n; i_++) {                                                                              \
        const uint32_t row = sel_row(sel, i_);                                                                         \
        TR r = (TR){0};                                                                                                \
        __VA_ARGS__                                                                                                    \
        result_data[row] = r;                                                                                          \
    }                                                                                                                  \
    (void)fx;                                                                                                          \
    return ST_OK;

#define KERNEL_ARG(T, i, name)                                                                                         \
    const T *name##_data = args[i]->data;                                                                              \
    const uint32_t name##_mask = vec_mask(args[i]);
#define KERNEL_GET(T, name)                                                                                            \
    const T name = name##_data[row & name##_mask];                                                                     \
    (void)name;

#define KERNEL0(name, TR, ...)                                                                                         \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        (void)args;                                                                                                    \
        KERNEL_LOOP(TR, __VA_ARGS__)                                                                                   \
    }
#define KERNEL1(name, TA, TR, ...)                                                                                     \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        KERNEL_ARG(TA, 0, a)                                                                                           \
        KERNEL_LOOP(TR, KERNEL_GET(TA, a) __VA_ARGS__)                                                                 \
    }
#define KERNEL2(name, TA, TB, TR, ...)                                                                                 \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        KERNEL_ARG(TA, 0, a) KERNEL_ARG(TB, 1, b) KERNEL_LOOP(TR, KERNEL_GET(TA, a) KERNEL_GET(TB, b) __VA_ARGS__)     \
    }
#define KERNEL3(name, TA, TB, TC, TR, ...)                                                                             \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        KERNEL_ARG(TA, 0, a)                                                                                           \
        KERNEL_ARG(TB, 1, b) KERNEL_ARG(TC, 2, c)                                                                      \
            KERNEL_LOOP(TR, KERNEL_GET(TA, a) KERNEL_GET(TB, b) KERNEL_GET(TC, c) __VA_ARGS__)                         \
    }
#define KERNEL4(name, TA, TB, TC, TD, TR, ...)                                                                         \
    KERNEL_FN(name)                                                                                                    \
    {                                                                                                                  \
        KERNEL_ARG(TA, 0, a)                                                                                           \
        KERNEL_ARG(TB, 1, b) KERNEL_ARG(TC, 2, c) KERNEL_ARG(TD, 3, d)                                                 \
            KERNEL_LOOP(TR, KERNEL_GET(TA, a) KERNEL_GET(TB, b) KERNEL_GET(TC, c) KERNEL_GET(TD, d) __VA_ARGS__)       \
    }

/* What a KERNEL_SITE kernel keeps in *fx->site starts with this. */
typedef struct SiteObject {
    void (*free)(void *self);
} SiteObject;

/* Length rules of varchar(n) and char(n): v is cut or padded; explicit casts cut silently, others 22001. */
STATUS varchar_limit(FnCtx *fx, StrView *v, int32_t max_chars, bool is_explicit);
STATUS bpchar_limit(FnCtx *fx, StrView *v, int32_t chars, bool is_explicit, Arena *heap);
bool ident_needs_quotes(Str s);
STATUS split_to_array(FnCtx *fx, Arena *heap, Str s, const StrView *sep, const StrView *null_text, StrView *out);
FnKernel *datetime_typmod_kernel(Oid oid); /* rounds to call->aux[0] digits of a second */

/* Sets r to a copy of bytes in the output's heap. */
#define RESULT_STR(p, len)                                                                                             \
    do {                                                                                                               \
        if (!heap_str(&out->heap, (p), (len), &r)) {                                                                   \
            NOMEM();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
