/*
 * parse/bridge.c: calls libpg_query's raw_parser. Only this file, convert.c, which turns its tree into ours, and
 * convert_enums.c see PostgreSQL.
 *
 * The parser reports errors by siglongjmp. The jump stays inside run_parser: it ends the library's frames only, and
 * nothing of ours is owned across it.
 *
 * The archive makes four of the headers' plain globals thread-local: they get shadow names while the headers are read.
 * The headers' inline MemoryContextSwitchTo would write the shadow and is not used.
 */
#define CurrentMemoryContext shadow_CurrentMemoryContext
#define TopMemoryContext shadow_TopMemoryContext
#define PG_exception_stack shadow_PG_exception_stack
#define error_context_stack shadow_error_context_stack
#include <postgres.h>

#include <nodes/parsenodes.h>
#include <nodes/pg_list.h>
#include <parser/parser.h>
#include <utils/memutils.h>
#undef CurrentMemoryContext
#undef TopMemoryContext
#undef PG_exception_stack
#undef error_context_stack

extern __thread MemoryContext CurrentMemoryContext;
extern __thread MemoryContext TopMemoryContext;
extern __thread sigjmp_buf *PG_exception_stack;
extern __thread ErrorContextCallback *error_context_stack;
extern void SetDatabaseEncoding(int encoding);

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "os/thread.h"
#include "parse/convert_int.h"
#include "parse/parse_int.h"
#include "parse/scan.h"

enum { ENCODING_UTF8 = 6 };

/* The thread's parser. */

/*
 * Per-thread by the library's design. The key's only use is its destructor: it ends the parser of a thread that ends.
 * There is one per process, made at the first parse.
 */
static pthread_once_t end_key_once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;
static bool end_key_made;

static void thread_end(void *unused)
{
    (void)unused;
    parse_thread_done();
}

static void make_end_key(void)
{
    end_key_made = pthread_key_create(&end_key, thread_end) == 0;
}

/* NULL: out of memory; the library's error is dropped. */
static MemoryContext new_context(void)
{
    sigjmp_buf jump;
    MemoryContext context = NULL;
    if (sigsetjmp(jump, 0) == 0) {
        PG_exception_stack = &jump;
        context = AllocSetContextCreateInternal(TopMemoryContext, "parse", ALLOCSET_DEFAULT_SIZES);
        PG_exception_stack = NULL;
        return context;
    }
    PG_exception_stack = NULL;
    FlushErrorState();
    return NULL;
}

/* A deleted context of the default size goes to a list of the library's, from which the next one is taken. */
static void delete_context(MemoryContext context)
{
    CurrentMemoryContext = TopMemoryContext;
    MemoryContextDelete(context);
}

STATUS parse_thread_init(Error *err)
{
    if (TopMemoryContext != NULL) {
        return ST_OK;
    }
    (void)pthread_once(&end_key_once, make_end_key);
    /* The library exits the process when its first blocks cannot be had, so they are asked for beforehand. */
    void *probe = malloc(64 * 1024);
    free(probe);
    if (probe == NULL || !end_key_made || pthread_setspecific(end_key, &end_key) != 0) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    MemoryContextInit();
    SetDatabaseEncoding(ENCODING_UTF8);
    /* Between parses the list holds exactly one context: parse_thread_done counts on it. */
    MemoryContext first = new_context();
    if (first == NULL) {
        MemoryContextDelete(TopMemoryContext);
        TopMemoryContext = NULL;
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    delete_context(first);
    return ST_OK;
}

/*
 * The list of deleted contexts would be lost with the thread. It holds the parse context and, once deleted, the top
 * one; creating two takes them back, each now a single block that came from malloc.
 */
void parse_thread_done(void)
{
    if (TopMemoryContext == NULL) {
        return;
    }
    MemoryContextDelete(TopMemoryContext);
    TopMemoryContext = NULL;
    CurrentMemoryContext = NULL;
    MemoryContext listed[2];
    for (int i = 0; i < 2; i++) {
        listed[i] = AllocSetContextCreateInternal(NULL, "parse", ALLOCSET_DEFAULT_SIZES);
    }
    for (int i = 0; i < 2; i++) {
        free(listed[i]);
    }
    (void)pthread_setspecific(end_key, NULL);
}

/* Errors and warnings. */

typedef struct ParserCall {
    const ParseEnv *env;
    const char *text;
    size_t len;
    MemoryContext context;
    sigjmp_buf jump;
} ParserCall;

static Status status_of_sqlstate(const char *sqlstate)
{
    for (int st = ST_OK + 1; st < STATUS_COUNT; st++) {
        /* XX000 stands in the table for outcomes that are no errors, too. */
        if (strcmp(status_sqlstate((Status)st), sqlstate) == 0 && strcmp(sqlstate, "XX000") != 0) {
            return (Status)st;
        }
    }
    return ST_INTERNAL;
}

static void unpack_sqlstate(int packed, char out[6])
{
    for (int i = 0; i < 5; i++, packed >>= 6) {
        out[i] = PGUNSIXBIT(packed);
    }
    out[5] = '\0';
}

/*
 * "1abc", "$1é": the archive's scanner stops in the identifier's first byte and quotes that much; later releases of
 * PostgreSQL 15 quote the whole of it, and so do we (half a character would not be UTF-8).
 */
static bool junk_token(const ParserCall *call, const ErrorData *e, Str *out)
{
    if (e->message == NULL || e->cursorpos <= 0 || strncmp(e->message, "trailing junk after ", 20) != 0) {
        return false;
    }
    Scanner s = scan_begin(call->text, call->len);
    s.pos = utf8_prefix_bytes(call->text, call->len, (size_t)e->cursorpos - 1);
    ScanToken t = scan_next(&s);
    *out = (Str){call->text + t.begin, t.len};
    return true;
}

static Status copy_error(const ParserCall *call, const ErrorData *e, Error *err)
{
    char sqlstate[6];
    unpack_sqlstate(e->sqlerrcode, sqlstate);
    Status st = status_of_sqlstate(sqlstate);
    Str junk;
    if (junk_token(call, e, &junk)) {
        const char *kind = strstr(e->message, "parameter") != NULL ? "parameter" : "numeric literal";
        (void)err_set(err, st, "trailing junk after %s at or near \"%.*s\"", kind, (int)junk.len, junk.p);
    } else {
        (void)err_set(err, st, "%s", e->message != NULL ? e->message : "syntax error");
    }
    if (err != NULL && err->status == st) {
        memcpy(err->sqlstate, sqlstate, sizeof sqlstate);
    }
    if (e->detail != NULL) {
        err_detail(err, "%s", e->detail);
    }
    if (e->hint != NULL) {
        err_hint(err, "%s", e->hint);
    }
    if (e->cursorpos > 0) {
        err_position(err, e->cursorpos);
    }
    return st;
}

/* Called by the library for each report that it does not drop; what is no error goes to the notice callback. */
static void on_report(void *arg)
{
    ParserCall *call = arg;
    if (call->env == NULL || call->env->notice == NULL) {
        return;
    }
    MemoryContext saved = CurrentMemoryContext;
    CurrentMemoryContext = call->context;
    const ErrorData *e = CopyErrorData();
    CurrentMemoryContext = saved;
    if (e->elevel >= NOTICE && e->elevel < ERROR) {
        Error notice;
        err_clear(&notice);
        (void)copy_error(call, e, &notice);
        call->env->notice(call->env->owner, e->elevel >= WARNING ? PARSE_WARNING : PARSE_NOTICE, &notice);
    }
}

/* Fetches the error that the library raised; when even that runs out of memory, the answer is just 53200. */
static Status fetch_error(ParserCall *call, Error *err)
{
    Status st;
    if (sigsetjmp(call->jump, 0) == 0) {
        PG_exception_stack = &call->jump;
        CurrentMemoryContext = call->context;
        st = copy_error(call, CopyErrorData(), err);
    } else {
        st = err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    PG_exception_stack = NULL;
    CurrentMemoryContext = call->context;
    FlushErrorState();
    return st;
}

static RawParseMode raw_mode(BridgeMode mode)
{
    switch (mode) {
    case BRIDGE_STATEMENTS: return RAW_PARSE_DEFAULT;
    case BRIDGE_EXPR: return RAW_PARSE_PLPGSQL_EXPR;
    case BRIDGE_TYPE_NAME: return RAW_PARSE_TYPE_NAME;
    }
    UNREACHABLE();
}

/*
 * Runs the parser in call->context. Nothing here changes between sigsetjmp and the jump but through *call and *out_tree,
 * so no local needs to be volatile.
 */
static Status run_parser(ParserCall *call, BridgeMode mode, Error *err, List **out_tree)
{
    ErrorContextCallback reports = {.previous = NULL, .callback = on_report, .arg = call};
    CurrentMemoryContext = call->context;
    error_context_stack = &reports;
    Status st = ST_OK;
    if (sigsetjmp(call->jump, 0) == 0) {
        PG_exception_stack = &call->jump;
        *out_tree = raw_parser(call->text, raw_mode(mode));
    } else {
        error_context_stack = NULL;
        st = fetch_error(call, err);
    }
    PG_exception_stack = NULL;
    error_context_stack = NULL;
    return st;
}

STATUS bridge_parse(const ParseEnv *env, Ctx *cx, BridgeMode mode, const char *text, size_t len,
                    AstStmtList **out_stmts, size_t *out_parser_bytes)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    Status st = parse_thread_init(cx->err);
    if (st != ST_OK) {
        return st;
    }
    ParserCall call = {.env = env, .text = text, .len = len, .context = new_context()};
    if (call.context == NULL) {
        return err_set(cx->err, ST_OUT_OF_MEMORY, NULL);
    }
    List *tree = NULL;
    st = run_parser(&call, mode, cx->err, &tree);
    if (st == ST_OK) {
        st = convert_statements(cx, tree, text, len, out_stmts);
    }
    if (out_parser_bytes != NULL) {
        *out_parser_bytes = call.context->mem_allocated;
    }
    delete_context(call.context);
    return st;
}
