/*
 * types/regex.c: regular expressions: ~ ~* !~ !~*, substring(text from pattern), regexp_match, regexp_replace.
 *
 * Patterns are PostgreSQL's (advanced regular expressions); the engine is PCRE2, so a pattern is translated first: \m \M \y
 * \Y and the ***= ***: directors. A boolean match asks pcre2_match. Where the extent of the match matters, PostgreSQL takes
 * the longest: it is found by pcre2_dfa_match, and pcre2_match fills the groups on that span. DEPENDENCIES.md 19 tells what
 * still differs: patterns that mix greedy and non-greedy quantifiers.
 *
 * Classes (\w, [[:alpha:]]) are ASCII, as PostgreSQL has them under the C collation; so PCRE2_UCP is not set.
 *
 * A compiled pattern is kept at the call site while the pattern stays the same (almost always: it is a constant). Limits
 * on matching steps and heap turn runaway patterns into PostgreSQL's 2201B "regular expression failed".
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>

#include "types/array.h"
#include "types/kernels.h"

enum { MATCH_LIMIT = 10000000, DEPTH_LIMIT = 100000, HEAP_LIMIT_KB = 65536, DFA_WORKSPACE = 4096, GROUPS_MAX = 100 };

typedef struct Regex {
    SiteObject site; /* first */
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    char *pattern;
    size_t pattern_len;
    bool nocase;
    bool non_greedy; /* PostgreSQL makes the whole expression prefer the shortest match */
    bool back_references;
} Regex;

static void regex_free(void *self)
{
    Regex *re = self;
    pcre2_code_free(re->code);
    pcre2_match_data_free(re->data);
    pcre2_match_context_free(re->limits);
    free(re->pattern);
    free(re);
}

/* Flags of the functions that take them. */
typedef struct Flags {
    bool nocase;
    bool global;
    bool newline;  /* n, m: . and [^...] stop at newlines, ^ $ match at them */
    bool extended; /* x */
    bool literal;  /* q */
} Flags;

/* ---- translation ---- */

/* Appends `from` as PCRE2 reads it. *out_greedy: 0 = no quantifier seen, 1 = the first is greedy, 2 = non-greedy. */
static void translate(Str from, StrBuf *to, int *out_greedy)
{
    bool in_class = false;
    for (size_t i = 0; i < from.len; i++) {
        char c = from.p[i];
        char next = i + 1 < from.len ? from.p[i + 1] : '\0';
        if (c == '\\' && next != '\0' && !in_class) {
            i++;
            switch (next) {
            case 'm': strbuf_puts(to, "\\b(?=\\w)"); break;
            case 'M': strbuf_puts(to, "\\b(?<=\\w)"); break;
            case 'y': strbuf_puts(to, "\\b"); break;
            case 'Y': strbuf_puts(to, "\\B"); break;
            case 'A': strbuf_puts(to, "\\A"); break;
            case 'Z': strbuf_puts(to, "\\z"); break;
            default:
                strbuf_putc(to, '\\');
                strbuf_putc(to, next);
                break;
            }
            continue;
        }
        if (c == '\\' && in_class && next != '\0') {
            strbuf_putc(to, c);
            strbuf_putc(to, next);
            i++;
            continue;
        }
        if (in_class) {
            /* A bracket inside a class is plain unless it begins [: [. [= */
            if (c == '[' && next != ':' && next != '.' && next != '=') {
                strbuf_putc(to, '\\');
            }
            if (c == '[' && next == ':') {
                const char *end = memmem(from.p + i, from.len - i, ":]", 2);
                if (end != NULL) {
                    strbuf_append(to, from.p + i, (size_t)(end - from.p) - i + 2);
                    i = (size_t)(end - from.p) + 1;
                    continue;
                }
            }
            in_class = c != ']';
        } else if (c == '[') {
            /* A ']' that comes first is plain. */
            size_t first = i + 1 + (next == '^');
            strbuf_putc(to, '[');
            i += next == '^';
            if (next == '^') {
                strbuf_putc(to, '^');
            }
            if (first < from.len && from.p[first] == ']') {
                strbuf_puts(to, "\\]");
                i++;
            }
            in_class = true;
            continue;
        } else if (*out_greedy == 0 &&
                   (c == '*' || c == '+' || (c == '?' && i > 0 && from.p[i - 1] != '(') || c == '}')) {
            *out_greedy = next == '?' ? 2 : 1;
        }
        strbuf_putc(to, c);
    }
}

static Status compile_error(FnCtx *fx, int code)
{
    PCRE2_UCHAR text[128];
    const char *message = (const char *)text;
    (void)pcre2_get_error_message(code, text, sizeof text);
    switch (code) { /* PostgreSQL's words for the usual ones */
    case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS:
    case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS: message = "parentheses () not balanced"; break;
    case PCRE2_ERROR_MISSING_SQUARE_BRACKET: message = "brackets [] not balanced"; break;
    case PCRE2_ERROR_QUANTIFIER_INVALID: message = "quantifier operand invalid"; break;
    case PCRE2_ERROR_QUANTIFIER_OUT_OF_ORDER:
    case PCRE2_ERROR_QUANTIFIER_TOO_BIG: message = "invalid repetition count(s)"; break;
    case PCRE2_ERROR_END_BACKSLASH:
    case PCRE2_ERROR_UNKNOWN_ESCAPE: message = "invalid escape \\ sequence"; break;
    case PCRE2_ERROR_CLASS_RANGE_ORDER: message = "invalid character range"; break;
    case PCRE2_ERROR_UNKNOWN_POSIX_CLASS: message = "invalid character class"; break;
    case PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE: message = "invalid backreference number"; break;
    default: break;
    }
    return err_set(fx->cx->err, ST_INVALID_REGULAR_EXPRESSION, "invalid regular expression: %s", message);
}

static Regex *regex_new(Str pattern, bool nocase)
{
    Regex *re = calloc(1, sizeof *re);
    if (re == NULL) {
        return NULL;
    }
    re->site.free = regex_free;
    re->pattern = malloc(pattern.len + 1);
    re->limits = pcre2_match_context_create(NULL);
    re->nocase = nocase;
    if (re->pattern == NULL || re->limits == NULL) {
        regex_free(re);
        return NULL;
    }
    memcpy(re->pattern, pattern.p, pattern.len);
    re->pattern_len = pattern.len;
    pcre2_set_match_limit(re->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(re->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(re->limits, HEAP_LIMIT_KB);
    return re;
}

/* Compiles; the caller frees. Memory is malloc's, bounded by PCRE2's own limit on pattern size. */
static Status compile(FnCtx *fx, Str pattern, Flags flags, Regex **out)
{
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY;
    Str body = pattern;
    int greedy = 0;
    int code;
    PCRE2_SIZE at;
    StrBuf text;
    Regex *re = regex_new(pattern, flags.nocase);
    if (re == NULL) {
        return ctx_nomem(fx->cx, sizeof *re);
    }
    if (body.len >= 4 && memcmp(body.p, "***", 3) == 0 && (body.p[3] == '=' || body.p[3] == ':')) {
        flags.literal = flags.literal || body.p[3] == '=';
        body.p += 4;
        body.len -= 4;
    }
    options |= flags.nocase ? PCRE2_CASELESS : 0;
    options |= flags.newline ? PCRE2_MULTILINE : PCRE2_DOTALL;
    options |= flags.extended ? PCRE2_EXTENDED : 0;
    strbuf_init(&text, fx->cx->budget);
    if (flags.literal) {
        options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_LITERAL | (flags.nocase ? PCRE2_CASELESS : 0);
        strbuf_append(&text, body.p, body.len);
    } else {
        translate(body, &text, &greedy);
        /* An item made possessive would hide the shorter matches from the DFA. */
        options |= greedy == 2 ? PCRE2_NO_AUTO_POSSESS : 0;
    }
    Status st = text.failed ? ctx_nomem(fx->cx, body.len) : ST_OK;
    if (st == ST_OK) {
        re->code = pcre2_compile((PCRE2_SPTR)text.p, text.len, options, &code, &at, NULL);
        st = re->code == NULL ? compile_error(fx, code) : ST_OK;
    }
    if (st == ST_OK) {
        uint32_t back = 0;
        (void)pcre2_pattern_info(re->code, PCRE2_INFO_BACKREFMAX, &back);
        re->back_references = back > 0;
        re->non_greedy = greedy == 2;
        (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
        re->data = pcre2_match_data_create_from_pattern(re->code, NULL);
        st = re->data == NULL ? ctx_nomem(fx->cx, 0) : ST_OK;
    }
    strbuf_done(&text);
    if (st != ST_OK) {
        regex_free(re);
        return st;
    }
    *out = re;
    return ST_OK;
}

static bool same_pattern(const Regex *re, Str pattern, Flags flags)
{
    return re->pattern_len == pattern.len && memcmp(re->pattern, pattern.p, pattern.len) == 0 &&
           re->nocase == flags.nocase && !flags.newline && !flags.extended && !flags.literal;
}

/* Makes *io_last the compiled pattern: kept when it is the same, else a new one takes its place. */
static Status site_regex(FnCtx *fx, Str pattern, Flags flags, Regex **io_last)
{
    Regex *re = *io_last;
    if (re != NULL && same_pattern(re, pattern, flags)) {
        return ST_OK;
    }
    Status st = compile(fx, pattern, flags, &re);
    if (st != ST_OK) {
        return st;
    }
    if (*io_last != NULL) {
        regex_free(*io_last);
    }
    *io_last = re;
    return ST_OK;
}

static Status match_error(FnCtx *fx, int code)
{
    if (code == PCRE2_ERROR_NOMEMORY) {
        return ctx_nomem(fx->cx, 0);
    }
    return err_set(fx->cx->err, ST_INVALID_REGULAR_EXPRESSION, "regular expression failed: %s",
                   code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_DEPTHLIMIT || code == PCRE2_ERROR_HEAPLIMIT
                       ? "regular expression is too complex"
                       : "internal error");
}

/* Is there a match? pcre2_match first; on its limit the DFA, which needs no backtracking. */
static Status is_match(FnCtx *fx, Regex *re, Str s, bool *out)
{
    int rc = pcre2_match(re->code, (PCRE2_SPTR)s.p, s.len, 0, PCRE2_NO_UTF_CHECK, re->data, re->limits);
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT || rc == PCRE2_ERROR_JIT_STACKLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT) {
        int workspace[DFA_WORKSPACE];
        rc = pcre2_dfa_match(re->code, (PCRE2_SPTR)s.p, s.len, 0, PCRE2_NO_UTF_CHECK | PCRE2_DFA_SHORTEST, re->data,
                             re->limits, workspace, DFA_WORKSPACE);
        rc = rc == 0 ? 1 : rc;
    }
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
        return match_error(fx, rc);
    }
    *out = rc >= 0;
    return ST_OK;
}

/*
 * The match from `start` on with PostgreSQL's extent; group offsets are then in re->data. *out false = none.
 */
static Status find_match(FnCtx *fx, Regex *re, Str s, size_t start, bool *out)
{
    PCRE2_SPTR p = (PCRE2_SPTR)s.p;
    int rc = pcre2_match(re->code, p, s.len, start, PCRE2_NO_UTF_CHECK, re->data, re->limits);
    if (rc == PCRE2_ERROR_NOMATCH) {
        *out = false;
        return ST_OK;
    }
    if (rc < 0) {
        return match_error(fx, rc);
    }
    *out = true;
    if (re->back_references) {
        return ST_OK; /* the DFA cannot follow them */
    }
    PCRE2_SIZE *v = pcre2_get_ovector_pointer(re->data);
    size_t from = v[0];
    size_t to = v[1];
    int workspace[DFA_WORKSPACE];
    pcre2_match_data *spans = pcre2_match_data_create(16, NULL);
    if (spans == NULL) {
        return ctx_nomem(fx->cx, 0);
    }
    uint32_t shortest = re->non_greedy ? PCRE2_DFA_SHORTEST : 0;
    rc = pcre2_dfa_match(re->code, p, s.len, from, PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED | shortest, spans, re->limits,
                         workspace, DFA_WORKSPACE);
    if (rc >= 0) {
        to = pcre2_get_ovector_pointer(spans)[1];
    }
    pcre2_match_data_free(spans);
    if (to != v[1]) {
        rc = pcre2_match(re->code, p, to, from, PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NOTEOL,
                         re->data, re->limits);
        if (rc < 0) { /* $ or a look-ahead at the end: keep PCRE2's own match */
            rc = pcre2_match(re->code, p, s.len, start, PCRE2_NO_UTF_CHECK, re->data, re->limits);
        }
    }
    return rc < 0 ? match_error(fx, rc) : ST_OK;
}

/* ---- boolean operators ---- */

/* Takes the site's object for the time of a batch. */
static Regex *take_site(FnCtx *fx)
{
    return fx->site != NULL ? *fx->site : NULL;
}
static void give_site(FnCtx *fx, Regex *re)
{
    if (fx->site != NULL) {
        *fx->site = re;
    } else if (re != NULL) {
        regex_free(re);
    }
}

static Status bool_rows(FnCtx *fx, const Vector *const *args, const uint16_t *sel, uint32_t n, Vector *out, bool nocase,
                        bool negate)
{
    Regex *re = take_site(fx);
    Flags flags = {.nocase = nocase};
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        bool hit = false;
        fx->error_row = row;
        st = site_regex(fx, strview_str(vec_at(args[1], row)), flags, &re);
        st = st != ST_OK ? st : is_match(fx, re, strview_str(vec_at(args[0], row)), &hit);
        ((uint8_t *)out->data)[row] = hit != negate;
    }
    give_site(fx, re);
    return st;
}
KERNEL_FN(k_regexeq)
{
    return bool_rows(fx, args, sel, n, out, false, false);
}
KERNEL_FN(k_regexne)
{
    return bool_rows(fx, args, sel, n, out, false, true);
}
KERNEL_FN(k_icregexeq)
{
    return bool_rows(fx, args, sel, n, out, true, false);
}
KERNEL_FN(k_icregexne)
{
    return bool_rows(fx, args, sel, n, out, true, true);
}

/* ---- functions on the match ---- */

static Status parse_flags(FnCtx *fx, const char *function, Str s, bool global_ok, Flags *out)
{
    *out = (Flags){0};
    for (size_t i = 0; i < s.len; i++) {
        switch (s.p[i]) {
        case 'g':
            if (!global_ok) {
                Status st = err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE,
                                    "%s does not support the \"global\" option", function);
                err_hint(fx->cx->err, "Use the regexp_matches function instead.");
                return st;
            }
            out->global = true;
            break;
        case 'i': out->nocase = true; break;
        case 'c': out->nocase = false; break;
        case 'n':
        case 'm': out->newline = true; break;
        case 's': out->newline = false; break;
        case 'x': out->extended = true; break;
        case 't': out->extended = false; break;
        case 'q': out->literal = true; break;
        case 'e':
        case 'b': break;
        default:
            return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "invalid regular expression option: \"%.*s\"",
                           (int)utf8_prefix_bytes(s.p + i, s.len - i, 1), s.p + i);
        }
    }
    return ST_OK;
}

static bool group_span(const Regex *re, uint32_t group, size_t *out_from, size_t *out_to)
{
    PCRE2_SIZE *v = pcre2_get_ovector_pointer(re->data);
    *out_from = v[2 * group];
    *out_to = v[2 * group + 1];
    return v[2 * group] != PCRE2_UNSET;
}

static uint32_t group_count(const Regex *re)
{
    return pcre2_get_ovector_count(re->data) - 1;
}

KERNEL_FN(k_regexsubstr)
{
    Regex *re = take_site(fx);
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        Str s = strview_str(vec_at(args[0], row));
        bool hit = false;
        size_t from;
        size_t to;
        fx->error_row = row;
        st = site_regex(fx, strview_str(vec_at(args[1], row)), (Flags){0}, &re);
        st = st != ST_OK ? st : find_match(fx, re, s, 0, &hit);
        if (st != ST_OK) {
            break;
        }
        hit = hit && group_span(re, group_count(re) > 0 ? 1 : 0, &from, &to);
        if (hit) {
            ((StrView *)out->data)[row] = strview_make(s.p + from, (uint32_t)(to - from));
        } else {
            vec_set_null(out, row);
        }
    }
    give_site(fx, re);
    return st;
}

static Status match_row(FnCtx *fx, const Vector *const *args, uint32_t row, Regex **re, Vector *out)
{
    Str s = strview_str(vec_at(args[0], row));
    Flags flags = {0};
    bool hit = false;
    Status st = fx->call->nargs > 2
                    ? parse_flags(fx, "regexp_match()", strview_str(vec_at(args[2], row)), false, &flags)
                    : ST_OK;
    st = st != ST_OK ? st : site_regex(fx, strview_str(vec_at(args[1], row)), flags, re);
    st = st != ST_OK ? st : find_match(fx, *re, s, 0, &hit);
    if (st != ST_OK || !hit) {
        if (st == ST_OK) {
            vec_set_null(out, row);
        }
        return st;
    }
    ArrayBuilder b;
    uint32_t groups = group_count(*re);
    array_builder_init(&b, fx->arena, OID_TEXT);
    for (uint32_t g = groups > 0; g <= groups; g++) {
        size_t from;
        size_t to;
        bool set = group_span(*re, g, &from, &to);
        StrView item = set ? strview_make(s.p + from, (uint32_t)(to - from)) : (StrView){0};
        if (!array_builder_add(&b, set ? &item : NULL, false)) {
            return ctx_nomem(fx->cx, 0);
        }
    }
    return array_builder_finish(&b, fx->cx, &out->heap, vec_at(out, row));
}

KERNEL_FN(k_regexp_match)
{
    Regex *re = take_site(fx);
    Status st = ST_OK;
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        fx->error_row = sel_row(sel, i);
        st = match_row(fx, args, fx->error_row, &re, out);
    }
    give_site(fx, re);
    return st;
}

/* \1..\9 are groups, \& the whole match, \\ a backslash. */
static void put_replacement(const Regex *re, Str s, Str with, StrBuf *sb)
{
    for (size_t i = 0; i < with.len; i++) {
        char next = with.p[i] == '\\' && i + 1 < with.len ? with.p[i + 1] : '\0';
        size_t from;
        size_t to;
        if (next == '&' || (next >= '1' && next <= '9')) {
            uint32_t group = next == '&' ? 0 : (uint32_t)(next - '0');
            if (group <= group_count(re) && group_span(re, group, &from, &to)) {
                strbuf_append(sb, s.p + from, to - from);
            }
            i++;
        } else if (next == '\\') {
            strbuf_putc(sb, '\\');
            i++;
        } else {
            strbuf_putc(sb, with.p[i]);
        }
    }
}

static Status replace_row(FnCtx *fx, Regex *re, Str s, Str with, bool global, StrBuf *sb)
{
    size_t at = 0;   /* search from here */
    size_t done = 0; /* copied up to here */
    bool hit = true;
    while (at <= s.len) {
        size_t from;
        size_t to;
        Status st = find_match(fx, re, s, at, &hit);
        if (st != ST_OK) {
            return st;
        }
        if (!hit) {
            break;
        }
        (void)group_span(re, 0, &from, &to);
        strbuf_append(sb, s.p + done, from - done);
        put_replacement(re, s, with, sb);
        done = to;
        at = to;
        if (to == from) {
            /* An empty match: go on behind the next character. */
            size_t w = at < s.len ? utf8_prefix_bytes(s.p + at, s.len - at, 1) : 1;
            if (at < s.len) {
                strbuf_append(sb, s.p + at, w);
                done += w;
            }
            at += w;
        }
        if (!global) {
            break;
        }
    }
    if (done < s.len) {
        strbuf_append(sb, s.p + done, s.len - done);
    }
    return sb->failed ? ctx_nomem(fx->cx, sb->len) : ST_OK;
}

KERNEL_FN(k_regexp_replace)
{
    Regex *re = take_site(fx);
    StrBuf sb;
    Status st = ST_OK;
    strbuf_init(&sb, fx->cx->budget);
    for (uint32_t i = 0; i < n && st == ST_OK; i++) {
        uint32_t row = sel_row(sel, i);
        Flags flags = {0};
        fx->error_row = row;
        strbuf_reset(&sb);
        if (fx->call->nargs > 3) {
            st = parse_flags(fx, "regexp_replace()", strview_str(vec_at(args[3], row)), true, &flags);
        }
        st = st != ST_OK ? st : site_regex(fx, strview_str(vec_at(args[1], row)), flags, &re);
        st = st != ST_OK ? st
                         : replace_row(fx, re, strview_str(vec_at(args[0], row)), strview_str(vec_at(args[2], row)),
                                       flags.global, &sb);
        if (st == ST_OK && !heap_str(&out->heap, sb.p, sb.len, vec_at(out, row))) {
            st = ctx_nomem(fx->cx, sb.len);
        }
    }
    strbuf_done(&sb);
    give_site(fx, re);
    return st;
}

#define K(src, kernel)                                                                                                 \
    {                                                                                                                  \
        src, kernel, KERNEL_SITE, NULL                                                                                 \
    }
/* clang-format off */
KERNEL_LIST(regex_kernel_list,
    K("textregexeq", k_regexeq), K("textregexne", k_regexne), K("texticregexeq", k_icregexeq),
    K("texticregexne", k_icregexne), K("bpcharregexeq", k_regexeq), K("bpcharregexne", k_regexne),
    K("bpcharicregexeq", k_icregexeq), K("bpcharicregexne", k_icregexne), K("nameregexeq", k_regexeq),
    K("nameregexne", k_regexne), K("nameicregexeq", k_icregexeq), K("nameicregexne", k_icregexne),
    K("textregexsubstr", k_regexsubstr), K("regexp_match", k_regexp_match),
    K("regexp_match_no_flags", k_regexp_match), K("textregexreplace_noopt", k_regexp_replace),
    K("textregexreplace", k_regexp_replace))
/* clang-format on */
