/*
 * parse/parse.c: the entries of the module around the bridge: what is checked, charged and reported per text.
 */
#include <stdio.h>
#include <string.h>

#include "parse/parse_int.h"
#include "parse/scan.h"

/* The parser counts in int and refuses blocks of 1 GiB; its buffer holds the text and two zero bytes. */
#define TEXT_BYTES_MAX ((size_t)0x3fffffff - 2)

int32_t parse_position(const char *text, size_t len, int32_t location)
{
    if (location < 0 || (size_t)location > len) {
        return 0;
    }
    return (int32_t)utf8_length(text, (size_t)location) + 1;
}

/* What is checked before the parser sees a text (P2). */

static Status bad_byte_sequence(Ctx *cx, const char *text, size_t len, size_t bad)
{
    /* PostgreSQL shows as many bytes as the first one announces. */
    unsigned char lead = (unsigned char)text[bad];
    size_t n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 1;
    char shown[4 * 5 + 1] = "";
    for (size_t i = 0; i < n && bad + i < len; i++) {
        (void)snprintf(shown + strlen(shown), sizeof shown - strlen(shown), " 0x%02x", (unsigned char)text[bad + i]);
    }
    return err_set(cx->err, ST_CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\":%s", shown);
}

static Status check_text(Ctx *cx, const char *text, size_t len)
{
    ASSERT(text[len] == '\0');
    if (len > TEXT_BYTES_MAX) {
        return err_set(cx->err, ST_PROGRAM_LIMIT_EXCEEDED, "statement text of %zu bytes is too long", len);
    }
    size_t bad = strlen(text);
    if (bad == len && utf8_valid(text, len, &bad)) {
        return ST_OK;
    }
    return bad_byte_sequence(cx, text, len, bad);
}

/* What a text may cost. */

enum { COUNTED_FROM_BYTES = 1024 };

/*
 * PostgreSQL's scanner looks at a run of operator characters anew for each token that it cuts from it, and at what
 * follows for each nested comment: +-+-+-... and slash-star repeated cost the square of their length. Past these bounds,
 * which nobody's statement comes near, the answer is 54001.
 */
enum { SIGN_RUN_MAX = 1000, COMMENT_DEPTH_MAX = 200 };

typedef struct TextMeasure {
    size_t tokens;
    bool too_complex;
} TextMeasure;

/* A text below a kilobyte is not looked at: each byte is taken for a token, and its square is small. */
static TextMeasure measure(const char *text, size_t len)
{
    TextMeasure m = {.tokens = 0};
    if (len < COUNTED_FROM_BYTES) {
        return (TextMeasure){.tokens = len};
    }
    Scanner s = scan_begin(text, len);
    while (scan_next(&s).kind != SCAN_END) {
        m.tokens++;
        m.too_complex = m.too_complex || (s.signs_until > s.pos && s.signs_until - s.pos > SIGN_RUN_MAX);
    }
    m.too_complex = m.too_complex || s.comment_depth_max > COMMENT_DEPTH_MAX;
    return m;
}

/*
 * Measured (test_deep): the densest texts, a+a+a+..., cost the parser 256 bytes a token at most; its blocks double, so
 * twice that may be had. A literal is held four times.
 */
static size_t charge_of(const TextMeasure *m, size_t len)
{
    enum { FIXED = 8 * 1024, PER_BYTE = 5, PER_TOKEN = 512 };
    return FIXED + PER_BYTE * len + PER_TOKEN * m->tokens;
}

size_t parse_charge_bytes(const char *text, size_t len)
{
    TextMeasure m = measure(text, len);
    return charge_of(&m, len);
}

/* Identifiers that the scanner cut. PostgreSQL tells when it meets one, so not of those behind an error. */

static bool is_ident_char(char c)
{
    return c == '_' || c == '$' || (c & 0x80) != 0 || (c >= '0' && c <= '9') ||
           ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Bytes of the run of identifier characters around text[at]. */
static size_t ident_run(const char *text, size_t len, size_t at)
{
    size_t begin = at;
    size_t end = at;
    while (begin > 0 && is_ident_char(text[begin - 1])) {
        begin--;
    }
    while (end < len && is_ident_char(text[end])) {
        end++;
    }
    return end - begin;
}

enum { LONG_IDENT = PARSE_IDENT_BYTES_MAX + 1 };

/* Most texts can be told to hold no long identifier: no quoted one, and a run of 64 covers each 64th byte. */
static bool may_have_long_ident(const char *text, size_t len)
{
    for (size_t i = LONG_IDENT - 1; i < len; i += LONG_IDENT) {
        if (is_ident_char(text[i]) && ident_run(text, len, i) >= LONG_IDENT) {
            return true;
        }
    }
    return len > LONG_IDENT && memchr(text, '"', len) != NULL;
}

/* Writes the identifier that a token names into `out` (of the token's length); returns its length. */
static size_t ident_of_token(const char *text, const ScanToken *t, char *out)
{
    const char *p = text + t->begin;
    size_t n = 0;
    if (t->kind == SCAN_IDENT) {
        for (; n < t->len; n++) {
            out[n] = (char)(p[n] >= 'A' && p[n] <= 'Z' ? p[n] + ('a' - 'A') : p[n]);
        }
        return n;
    }
    for (size_t i = 1; i + 1 < t->len; i++) {
        out[n++] = p[i];
        i += p[i] == '"'; /* of two, one */
    }
    return n;
}

static void notify_truncated(const ParseEnv *env, const char *ident, size_t len)
{
    Error notice;
    err_clear(&notice);
    (void)err_set(&notice, ST_NAME_TOO_LONG, "identifier \"%.*s\" will be truncated to \"%.*s\"", (int)len, ident,
                  (int)utf8_clip(ident, len, PARSE_IDENT_BYTES_MAX), ident);
    env->notice(env->owner, PARSE_NOTICE, &notice);
}

/* U&"" is not decoded here, so not reported. */
static Status report_truncated(const ParseEnv *env, Ctx *cx, const char *text, size_t len, size_t until)
{
    Scanner s = scan_begin(text, len);
    for (;;) {
        ScanToken t = scan_next(&s);
        if (t.kind == SCAN_END || t.begin >= until) {
            return ST_OK;
        }
        bool ident = t.kind == SCAN_IDENT || (t.kind == SCAN_QUOTED_IDENT && text[t.begin] == '"');
        if (!ident || t.len < LONG_IDENT) {
            continue;
        }
        char *name = arena_alloc(cx->arena, t.len);
        if (name == NULL) {
            return ctx_nomem(cx, t.len);
        }
        size_t n = ident_of_token(text, &t, name);
        if (n >= LONG_IDENT) {
            notify_truncated(env, name, n);
        }
    }
}

/* Byte offset up to which notices are due: the error's position, or the end. */
static size_t notices_until(const Ctx *cx, Status st, const char *text, size_t len)
{
    if (st == ST_OK || cx->err->position <= 0) {
        return len;
    }
    return utf8_prefix_bytes(text, len, (size_t)cx->err->position - 1);
}

/* The entries. */

static Status run(const ParseEnv *env, Ctx *cx, BridgeMode mode, const char *text, size_t len, AstStmtList **out)
{
    Status st = check_text(cx, text, len);
    if (st != ST_OK) {
        return st;
    }
    TextMeasure m = measure(text, len);
    if (m.too_complex) {
        return err_set(cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    size_t charge = charge_of(&m, len);
    if (!budget_charge(cx->budget, charge)) {
        return ctx_nomem(cx, charge);
    }
    st = bridge_parse(env, cx, mode, text, len, out, NULL);
    budget_release(cx->budget, charge);
    if (env != NULL && env->notice != NULL && may_have_long_ident(text, len)) {
        Status reported = report_truncated(env, cx, text, len, notices_until(cx, st, text, len));
        st = st == ST_OK ? reported : st;
    }
    return st;
}

STATUS parse_sql(const ParseEnv *env, Ctx *cx, const char *text, size_t len, AstStmtList **out_stmts)
{
    return run(env, cx, BRIDGE_STATEMENTS, text, len, out_stmts);
}

/* The parser takes a whole SELECT without its first word here: "a FROM t WHERE b". */
static bool is_single_expr(const AstSelectStmt *s)
{
    if (s->op != AST_SETOP_NONE || s->targets.count != 1 || s->distinct.count + s->from.count + s->group_by.count > 0 ||
        s->windows.count + s->values.count + s->order_by.count + s->locking.count > 0 || s->where != NULL ||
        s->having != NULL || s->offset != NULL || s->limit != NULL) {
        return false;
    }
    const AstResTarget *target = AST_CAST(s->targets.items[0], ResTarget, RES_TARGET);
    return target->name.p == NULL && target->path.count == 0;
}

STATUS parse_expr(const ParseEnv *env, Ctx *cx, const char *text, size_t len, AstNode **out_expr)
{
    AstStmtList *list;
    Status st = run(env, cx, BRIDGE_EXPR, text, len, &list);
    if (st != ST_OK) {
        return st;
    }
    ASSERT(list->count == 1);
    AstSelectStmt *select = AST_CAST(list->items[0].stmt, SelectStmt, SELECT_STMT);
    if (!is_single_expr(select)) {
        return err_set(cx->err, ST_SYNTAX_ERROR, "a single expression was expected: \"%.*s\"",
                       (int)utf8_clip(text, len, 200), text);
    }
    *out_expr = AST_CAST(select->targets.items[0], ResTarget, RES_TARGET)->value;
    return ST_OK;
}

STATUS parse_type_name(const ParseEnv *env, Ctx *cx, const char *text, size_t len, AstTypeName **out_type)
{
    AstStmtList *list;
    Status st = run(env, cx, BRIDGE_TYPE_NAME, text, len, &list);
    if (st == ST_OK) {
        ASSERT(list->count == 1);
        *out_type = AST_CAST(list->items[0].stmt, TypeName, TYPE_NAME);
    }
    return st;
}
