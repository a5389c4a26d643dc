/*
 * tests/fuzz/parse_fuzz_sql.c: any bytes as SQL text. They parse or are refused; a tree can be copied and compared, and,
 * where the deparser covers it, written and parsed again to the same tree; the scanner's uses keep their invariants.
 *
 * Canary: with RDB_FUZZ_CANARY set, a text of two statements is taken for a failure. A fuzzer that does not report one
 * within a minute, given "select 1" as its only seed, finds nothing at all.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parse/deparse.h"
#include "parse/parse.h"
#include "parse/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_LIMIT = 256 * 1024 * 1024, GAPS = 64 };

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void check_same(const AstNode *a, const AstNode *b, Error *err)
{
    AstDiff diff;
    Status st = ast_compare(a, b, err, &diff);
    check(st == ST_STATEMENT_TOO_COMPLEX || (st == ST_OK && diff.node == AST_NONE));
}

static void check_round_trip(Ctx *cx, const AstNode *node)
{
    StrBuf text;
    strbuf_init(&text, cx->budget);
    err_clear(cx->err);
    AstStmtList *list;
    if (ast_deparse(node, cx->err, &text) == ST_OK) {
        Status st = parse_sql(NULL, cx, text.p, text.len, &list);
        /* Parentheses make the text deeper than the grammar's stack, or longer than the budget. */
        bool too_large = st == ST_OUT_OF_MEMORY || st == ST_STATEMENT_TOO_COMPLEX ||
                         (st != ST_OK && strstr(cx->err->message, "memory exhausted") != NULL);
        check(too_large || (st == ST_OK && list->count == 1));
        if (st == ST_OK) {
            check_same(node, list->items[0].stmt, cx->err);
        }
    }
    strbuf_done(&text);
}

static void check_tree(Ctx *cx, const AstNode *node)
{
    AstNode *copy;
    err_clear(cx->err);
    if (ast_copy(cx, cx->arena, node, &copy) == ST_OK) {
        check_same(node, copy, cx->err);
    }
    check_round_trip(cx, node);
}

static void check_scanner(const char *text, size_t len)
{
    Scanner s = scan_begin(text, len);
    size_t end = 0;
    for (ScanToken t = scan_next_raw(&s); t.kind != SCAN_END; t = scan_next_raw(&s)) {
        check(t.len > 0 && t.begin >= end && t.begin + t.len <= len);
        end = t.begin + t.len;
    }
    size_t first;
    (void)scan_split(text, len, &first);
    check(first <= len);
    ScanGap gaps[GAPS];
    ScanFingerprint print;
    if (scan_fingerprint(text, len, 1, gaps, GAPS, &print)) {
        ScanText cut = {text, len, gaps, print.gap_count};
        check(scan_same(&cut, &cut));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Error err;
    Budget budget;
    Arena arena;
    Ctx cx;
    check_scanner((const char *)data, size);
    budget_init(&budget, "fuzz", NULL, MEMORY_LIMIT, 0);
    arena_init(&arena, &budget, 4096);
    err_clear(&err);
    ctx_init(&cx, &err, &budget, &arena);
    char *text = arena_strndup(&arena, (const char *)data, size);
    AstStmtList *list;
    if (text != NULL && parse_sql(NULL, &cx, text, size, &list) == ST_OK) {
        check(list->count < 2 || getenv("RDB_FUZZ_CANARY") == NULL);
        for (size_t i = 0; i < list->count; i++) {
            check_tree(&cx, list->items[i].stmt);
        }
    }
    arena_done(&arena);
    budget_done(&budget);
    return 0;
}
