/*
 * types/like.c: LIKE, ILIKE and SIMILAR's helper like_escape.
 *
 * Key idea: matching walks bytes; only '_' needs to know where characters begin. '%' is handled without recursion: when
 * a mismatch follows, matching starts again one character further from the last '%', which is enough because an earlier
 * '%' need never take more (so the cost is at most pattern times text).
 */
#include "types/kernels.h"

#define STR(v) strview_str(&(v))

typedef enum Match { MATCH_NO, MATCH_YES, MATCH_BAD_ESCAPE } Match;

static inline char fold(char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static Match like(Str t, Str p, bool utf8, bool nocase)
{
    size_t ti = 0;
    size_t pi = 0;
    size_t star_p = SIZE_MAX; /* position behind the last '%', and the text position tried for it */
    size_t star_t = 0;
    for (;;) {
        if (pi < p.len && p.p[pi] == '%') {
            star_p = ++pi;
            star_t = ti;
            continue;
        }
        if (ti == t.len) {
            return pi == p.len ? MATCH_YES : MATCH_NO;
        }
        bool ok = false;
        if (pi < p.len && p.p[pi] == '_') {
            ti += utf8 ? utf8_prefix_bytes(t.p + ti, t.len - ti, 1) : 1;
            pi++;
            ok = true;
        } else if (pi < p.len) {
            size_t at = pi;
            if (p.p[at] == '\\' && ++at == p.len) {
                return MATCH_BAD_ESCAPE;
            }
            ok = fold(p.p[at], nocase) == fold(t.p[ti], nocase);
            if (ok) {
                pi = at + 1;
                ti++;
            }
        }
        if (!ok) {
            if (star_p == SIZE_MAX) {
                return MATCH_NO;
            }
            star_t += utf8 ? utf8_prefix_bytes(t.p + star_t, t.len - star_t, 1) : 1;
            ti = star_t;
            pi = star_p;
        }
    }
}

static Status like_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out, bool utf8,
                        bool nocase, bool negate)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel_row(sel, i);
        Match m = like(strview_str(vec_at(args[0], row)), strview_str(vec_at(args[1], row)), utf8, nocase);
        if (UNLIKELY(m == MATCH_BAD_ESCAPE)) {
            FAIL(ST_INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character");
        }
        ((uint8_t *)out->data)[row] = (m == MATCH_YES) != negate;
    }
    return ST_OK;
}

KERNEL_FN(k_like)
{
    return like_rows(fx, args, sel, n, out, true, false, false);
}
KERNEL_FN(k_nlike)
{
    return like_rows(fx, args, sel, n, out, true, false, true);
}
KERNEL_FN(k_ilike)
{
    return like_rows(fx, args, sel, n, out, true, true, false);
}
KERNEL_FN(k_nilike)
{
    return like_rows(fx, args, sel, n, out, true, true, true);
}
KERNEL_FN(k_bytealike)
{
    return like_rows(fx, args, sel, n, out, false, false, false);
}
KERNEL_FN(k_byteanlike)
{
    return like_rows(fx, args, sel, n, out, false, false, true);
}

/* Rewrites a pattern from the given escape character to backslash. */
static Status like_escape(FnCtx *fx, Arena *heap, Str p, Str escape, StrView *out)
{
    char *w = heap_bytes(heap, p.len * 2 + 1);
    size_t n = 0;
    bool after_escape = false;
    if (w == NULL) {
        return ctx_nomem(fx->cx, p.len * 2);
    }
    if (escape.len > 0 && utf8_prefix_bytes(escape.p, escape.len, 1) != escape.len) {
        Status st = err_set(fx->cx->err, ST_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        err_hint(fx->cx->err, "Escape string must be empty or one character.");
        return st;
    }
    bool same = escape.len == 1 && escape.p[0] == '\\';
    for (size_t i = 0; i < p.len;) {
        if (!same && escape.len > 0 && !after_escape && p.len - i >= escape.len &&
            memcmp(p.p + i, escape.p, escape.len) == 0) {
            w[n++] = '\\';
            i += escape.len;
            after_escape = true;
            continue;
        }
        if (!same && p.p[i] == '\\' && !after_escape) {
            w[n++] = '\\';
        }
        w[n++] = p.p[i++];
        after_escape = false;
    }
    *out = strview_make(w, (uint32_t)n);
    return ST_OK;
}
KERNEL2(k_like_escape, StrView, StrView, StrView, FAIL_IF(like_escape(fx, &out->heap, STR(a), STR(b), &r));)

#define K(src, kernel)                                                                                                 \
    {                                                                                                                  \
        src, kernel, 0, NULL                                                                                           \
    }
/* clang-format off */
KERNEL_LIST(like_kernel_list,
    K("textlike", k_like), K("textnlike", k_nlike), K("bpcharlike", k_like), K("bpcharnlike", k_nlike),
    K("namelike", k_like), K("namenlike", k_nlike), K("texticlike", k_ilike), K("texticnlike", k_nilike),
    K("bpchariclike", k_ilike), K("bpcharicnlike", k_nilike), K("nameiclike", k_ilike), K("nameicnlike", k_nilike),
    K("bytealike", k_bytealike), K("byteanlike", k_byteanlike), K("like_escape", k_like_escape),
    K("like_escape_bytea", k_like_escape))
/* clang-format on */
