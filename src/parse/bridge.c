/*
 * parse/bridge.c: the only file that sees PostgreSQL: calls libpg_query's raw_parser and turns its tree into ours.
 *
 * Key idea: the conversion functions are made from the node table (ast_nodes.def), one per node, each a straight run of
 * field conversions; by hand are the few nodes whose shape differs (ast_own.def).
 *
 * The parser reports errors by siglongjmp. The jump stays inside run_parser: it ends the library's frames only, and
 * nothing of ours is owned across it.
 *
 * The archive makes four of the headers' plain globals thread-local: they get shadow names while the headers are read.
 * The headers' inline MemoryContextSwitchTo would write the shadow and is not used. Archive (15.1) and headers (15.x)
 * differ in LimitOption (constants of our own below) and in CreateStatsStmt.owner (not read); parse_self_test watches
 * for the day they differ in more.
 */
#define CurrentMemoryContext shadow_CurrentMemoryContext
#define TopMemoryContext shadow_TopMemoryContext
#define PG_exception_stack shadow_PG_exception_stack
#define error_context_stack shadow_error_context_stack
#include "postgres.h"

#include "catalog/pg_trigger.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "parser/parser.h"
#include "utils/memutils.h"
#undef CurrentMemoryContext
#undef TopMemoryContext
#undef PG_exception_stack
#undef error_context_stack

extern __thread MemoryContext CurrentMemoryContext;
extern __thread MemoryContext TopMemoryContext;
extern __thread sigjmp_buf *PG_exception_stack;
extern __thread ErrorContextCallback *error_context_stack;
extern void SetDatabaseEncoding(int encoding);

#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "os/thread.h"
#include "parse/parse_int.h"

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

static Status copy_error(const ErrorData *e, Error *err)
{
    char sqlstate[6];
    unpack_sqlstate(e->sqlerrcode, sqlstate);
    Status st = status_of_sqlstate(sqlstate);
    (void)err_set(err, st, "%s", e->message != NULL ? e->message : "syntax error");
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

typedef struct ParserCall {
    const ParseEnv *env;
    MemoryContext context;
    sigjmp_buf jump;
} ParserCall;

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
        (void)copy_error(e, &notice);
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
        st = copy_error(CopyErrorData(), err);
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
static Status run_parser(ParserCall *call, BridgeMode mode, const char *text, Error *err, List **out_tree)
{
    ErrorContextCallback reports = {.previous = NULL, .callback = on_report, .arg = call};
    CurrentMemoryContext = call->context;
    error_context_stack = &reports;
    Status st = ST_OK;
    if (sigsetjmp(call->jump, 0) == 0) {
        PG_exception_stack = &call->jump;
        *out_tree = raw_parser(text, raw_mode(mode));
    } else {
        error_context_stack = NULL;
        st = fetch_error(call, err);
    }
    PG_exception_stack = NULL;
    error_context_stack = NULL;
    return st;
}

/* Conversion. */

/* A list of VALUES may have millions of rows; interrupts are polled between so many items. */
enum { POLL_EVERY = 1024 };

typedef struct Conv {
    Ctx *cx;
    Arena *arena;
    const char *text;
    size_t len;
    const Node *shared;  /* the source of the last SET (a, b) = source, */
    AstNode *shared_ast; /* and what became of it */
} Conv;

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        Status try_status = (call);                                                                                    \
        if (UNLIKELY(try_status != ST_OK)) {                                                                           \
            return try_status;                                                                                         \
        }                                                                                                              \
    } while (0)

static Status conv_node(Conv *cv, const Node *node, AstNode **out);

static Status conv_alloc(Conv *cv, size_t bytes, void **out)
{
    *out = arena_alloc(cv->arena, bytes);
    return LIKELY(*out != NULL) ? ST_OK : ctx_nomem(cv->cx, bytes);
}

static Status new_node(Conv *cv, size_t bytes, AstTag tag, int location, void **out)
{
    TRY(conv_alloc(cv, bytes, out));
    *(AstNode *)*out = (AstNode){(uint16_t)tag, location};
    return ST_OK;
}

static Status conv_str(Conv *cv, const char *s, Str *out)
{
    if (s == NULL) {
        *out = (Str){NULL, 0};
        return ST_OK;
    }
    size_t len = strlen(s);
    void *copy;
    TRY(conv_alloc(cv, len + 1, &copy));
    memcpy(copy, s, len + 1);
    *out = (Str){copy, len};
    return ST_OK;
}

static Status conv_names(Conv *cv, const List *list, AstNames *out)
{
    uint32_t n = (uint32_t)list_length(list);
    void *items = NULL;
    if (n > 0) {
        TRY(conv_alloc(cv, n * sizeof(Str), &items));
    }
    *out = (AstNames){items, n};
    for (uint32_t i = 0; i < n; i++) {
        TRY(conv_str(cv, strVal(list->elements[i].ptr_value), &out->items[i]));
    }
    return ST_OK;
}

static Status conv_list_with(Conv *cv, const List *list, Status (*item)(Conv *, const Node *, AstNode **), AstList *out)
{
    uint32_t n = (uint32_t)list_length(list);
    void *items = NULL;
    if (n > 0) {
        TRY(conv_alloc(cv, n * sizeof(AstNode *), &items));
    }
    *out = (AstList){items, n};
    for (uint32_t i = 0; i < n; i++) {
        if (UNLIKELY(i % POLL_EVERY == POLL_EVERY - 1)) {
            TRY(ctx_poll(cv->cx));
        }
        TRY(item(cv, list->elements[i].ptr_value, &out->items[i]));
    }
    return ST_OK;
}

static Status conv_list(Conv *cv, const List *list, AstList *out)
{
    return conv_list_with(cv, list, conv_node, out);
}

/* A name of one part: PostgreSQL's plain string where a list of objects is named. */
static Status conv_object(Conv *cv, const Node *node, AstNode **out)
{
    if (node == NULL || !IsA(node, String)) {
        return conv_node(cv, node, out);
    }
    void *d;
    TRY(new_node(cv, sizeof(AstName), AST_NAME, -1, &d));
    AstNames *names = &((AstName *)d)->names;
    void *items;
    TRY(conv_alloc(cv, sizeof(Str), &items));
    *names = (AstNames){items, 1};
    TRY(conv_str(cv, strVal(node), &names->items[0]));
    *out = d;
    return ST_OK;
}

static Status conv_shared(Conv *cv, const MultiAssignRef *ref, AstNode **out)
{
    if (ref->colno > 1 && ref->source == cv->shared) {
        *out = cv->shared_ast;
        return ST_OK;
    }
    TRY(conv_node(cv, ref->source, out));
    cv->shared = ref->source;
    cv->shared_ast = *out;
    return ST_OK;
}

/* libpg_query reads $n where PostgreSQL's grammar does not, for the sake of normalized texts. */
static Status reject_param(Conv *cv, const Node *node)
{
    if (node == NULL || !IsA(node, ParamRef)) {
        return ST_OK;
    }
    const ParamRef *param = (const ParamRef *)node;
    Status st = err_set(cv->cx->err, ST_SYNTAX_ERROR, "syntax error at or near \"$%d\"", param->number);
    err_position(cv->cx->err, parse_position(cv->text, cv->len, param->location));
    return st;
}

static Status check_def_elem(Conv *cv, const DefElem *s)
{
    return reject_param(cv, s->arg);
}

static Status check_variable_set(Conv *cv, const VariableSetStmt *s)
{
    for (int i = 0; i < list_length(s->args); i++) {
        TRY(reject_param(cv, s->args->elements[i].ptr_value));
    }
    return ST_OK;
}

/* EXTRACT($1 FROM x) */
static Status check_func_call(Conv *cv, const FuncCall *s)
{
    if (s->funcformat != COERCE_SQL_SYNTAX || list_length(s->funcname) != 2 || list_length(s->args) == 0) {
        return ST_OK;
    }
    bool extract = strcmp(strVal(s->funcname->elements[1].ptr_value), "extract") == 0;
    return extract ? reject_param(cv, s->args->elements[0].ptr_value) : ST_OK;
}

/* The values of the archive's LimitOption; the headers' differ. */
static AstLimitKind map_limit_option(LimitOption option)
{
    enum { ARCHIVE_DEFAULT = 0, ARCHIVE_COUNT = 1, ARCHIVE_WITH_TIES = 2 };
    switch ((int)option) {
    case ARCHIVE_DEFAULT: return AST_LIMIT_NONE;
    case ARCHIVE_COUNT: return AST_LIMIT_COUNT;
    case ARCHIVE_WITH_TIES: return AST_LIMIT_WITH_TIES;
    default: UNREACHABLE();
    }
}

static AstObjectKind map_object_type(ObjectType type)
{
    switch (type) {
#define OBJECT(K, name)                                                                                                \
    case OBJECT_##K: return AST_OBJECT_##K;
#include "parse/ast_objects.def"
#undef OBJECT
    }
    UNREACHABLE();
}

static AstAlterKind map_alter_type(AlterTableType type)
{
    switch (type) {
#define ALTER(K, theirs)                                                                                               \
    case theirs: return AST_ALTER_##K;
#include "parse/ast_alter.def"
#undef ALTER
    default: UNREACHABLE(); /* the executor's own */
    }
}

/* The tags by struct name, for F_PTR's assertion. */
enum {
#define NODE(N, P, T) TAG_OF_##N = AST_##T,
#define OWN(N, T) TAG_OF_##N = AST_##T,
#include "parse/ast_nodes_all.h"
};

/* One function per node of the table: conv_P(cv, s, out). */
#define NODE_BEGIN(N, P, T, location)                                                                                  \
    static Status conv_##P(Conv *cv, const P *s, AstNode **out)                                                        \
    {                                                                                                                  \
        void *fresh;                                                                                                   \
        (void)s;                                                                                                       \
        TRY(new_node(cv, sizeof(Ast##N), AST_##T, location, &fresh));                                                  \
        Ast##N *d = fresh;                                                                                             \
        (void)d;
#define NODE(N, P, T) NODE_BEGIN(N, P, T, -1)
#define NODE_AT(N, P, T) NODE_BEGIN(N, P, T, s->location)
#define F_NODE(ours, theirs) TRY(conv_node(cv, (const Node *)s->theirs, &d->ours));
#define F_SHARED(ours, theirs) TRY(conv_shared(cv, s, &d->ours));
#define F_PTR(N, ours, theirs)                                                                                         \
    {                                                                                                                  \
        AstNode *child;                                                                                                \
        TRY(conv_node(cv, (const Node *)s->theirs, &child));                                                           \
        ASSERT(child == NULL || child->tag == TAG_OF_##N); /* A1 */                                                    \
        d->ours = (Ast##N *)child;                                                                                     \
    }
#define F_LIST(ours, theirs) TRY(conv_list(cv, s->theirs, &d->ours));
#define F_NAMES(ours, theirs) TRY(conv_names(cv, s->theirs, &d->ours));
#define F_OBJECT(ours, theirs) TRY(conv_object(cv, s->theirs, &d->ours));
#define F_OBJECTS(ours, theirs) TRY(conv_list_with(cv, s->theirs, conv_object, &d->ours));
#define F_STR(ours, theirs) TRY(conv_str(cv, s->theirs, &d->ours));
#define F_BOOL(ours, theirs) d->ours = s->theirs;
#define F_CHAR(ours, theirs) d->ours = (char)s->theirs;
#define F_INT(ours, theirs) d->ours = (int32_t)s->theirs;
#define F_INT64(ours, theirs) d->ours = s->theirs;
#define F_ENUM(E, ours, theirs) d->ours = (E)s->theirs;
#define F_MAP(E, ours, theirs, fn) d->ours = fn(s->theirs);
#define F_CHECK(fn) TRY(fn(cv, s));
#define END(N)                                                                                                         \
    *out = (AstNode *)d;                                                                                               \
    return ST_OK;                                                                                                      \
    }

#include "parse/ast_nodes.def"

#undef NODE
#undef NODE_AT
#undef F_NODE
#undef F_SHARED
#undef F_PTR
#undef F_LIST
#undef F_NAMES
#undef F_OBJECT
#undef F_OBJECTS
#undef F_STR
#undef F_BOOL
#undef F_CHAR
#undef F_INT
#undef F_INT64
#undef F_ENUM
#undef F_MAP
#undef F_CHECK
#undef END

/* The values of F_ENUM agree. */
#define SAME(ours, theirs) STATIC_ASSERT((int)(ours) == (int)(theirs), #ours " is " #theirs)
SAME(AST_ROLE_NAME, ROLESPEC_CSTRING);
SAME(AST_ROLE_CURRENT_ROLE, ROLESPEC_CURRENT_ROLE);
SAME(AST_ROLE_CURRENT_USER, ROLESPEC_CURRENT_USER);
SAME(AST_ROLE_SESSION_USER, ROLESPEC_SESSION_USER);
SAME(AST_ROLE_PUBLIC, ROLESPEC_PUBLIC);
SAME(AST_DEF_UNSPEC, DEFELEM_UNSPEC);
SAME(AST_DEF_SET, DEFELEM_SET);
SAME(AST_DEF_ADD, DEFELEM_ADD);
SAME(AST_DEF_DROP, DEFELEM_DROP);
SAME(AST_OP, AEXPR_OP);
SAME(AST_OP_ANY, AEXPR_OP_ANY);
SAME(AST_OP_ALL, AEXPR_OP_ALL);
SAME(AST_OP_DISTINCT, AEXPR_DISTINCT);
SAME(AST_OP_NOT_DISTINCT, AEXPR_NOT_DISTINCT);
SAME(AST_OP_NULLIF, AEXPR_NULLIF);
SAME(AST_OP_IN, AEXPR_IN);
SAME(AST_OP_LIKE, AEXPR_LIKE);
SAME(AST_OP_ILIKE, AEXPR_ILIKE);
SAME(AST_OP_SIMILAR, AEXPR_SIMILAR);
SAME(AST_OP_BETWEEN, AEXPR_BETWEEN);
SAME(AST_OP_NOT_BETWEEN, AEXPR_NOT_BETWEEN);
SAME(AST_OP_BETWEEN_SYMMETRIC, AEXPR_BETWEEN_SYM);
SAME(AST_OP_NOT_BETWEEN_SYMMETRIC, AEXPR_NOT_BETWEEN_SYM);
SAME(AST_BOOL_AND, AND_EXPR);
SAME(AST_BOOL_OR, OR_EXPR);
SAME(AST_BOOL_NOT, NOT_EXPR);
SAME(AST_IS_NULL, IS_NULL);
SAME(AST_IS_NOT_NULL, IS_NOT_NULL);
SAME(AST_IS_TRUE, IS_TRUE);
SAME(AST_IS_NOT_TRUE, IS_NOT_TRUE);
SAME(AST_IS_FALSE, IS_FALSE);
SAME(AST_IS_NOT_FALSE, IS_NOT_FALSE);
SAME(AST_IS_UNKNOWN, IS_UNKNOWN);
SAME(AST_IS_NOT_UNKNOWN, IS_NOT_UNKNOWN);
SAME(AST_SUBLINK_EXISTS, EXISTS_SUBLINK);
SAME(AST_SUBLINK_ALL, ALL_SUBLINK);
SAME(AST_SUBLINK_ANY, ANY_SUBLINK);
SAME(AST_SUBLINK_EXPR, EXPR_SUBLINK);
SAME(AST_SUBLINK_ARRAY, ARRAY_SUBLINK);
SAME(AST_GREATEST, IS_GREATEST);
SAME(AST_LEAST, IS_LEAST);
SAME(AST_CALL_EXPLICIT, COERCE_EXPLICIT_CALL);
SAME(AST_CALL_IMPLICIT, COERCE_IMPLICIT_CAST);
SAME(AST_CALL_SQL_SYNTAX, COERCE_SQL_SYNTAX);
SAME(AST_CURRENT_DATE, SVFOP_CURRENT_DATE);
SAME(AST_CURRENT_TIME, SVFOP_CURRENT_TIME);
SAME(AST_CURRENT_TIMESTAMP_N, SVFOP_CURRENT_TIMESTAMP_N);
SAME(AST_LOCALTIME, SVFOP_LOCALTIME);
SAME(AST_LOCALTIMESTAMP_N, SVFOP_LOCALTIMESTAMP_N);
SAME(AST_CURRENT_ROLE, SVFOP_CURRENT_ROLE);
SAME(AST_SESSION_USER, SVFOP_SESSION_USER);
SAME(AST_CURRENT_SCHEMA, SVFOP_CURRENT_SCHEMA);
SAME(AST_FRAME_NONDEFAULT, FRAMEOPTION_NONDEFAULT);
SAME(AST_FRAME_RANGE, FRAMEOPTION_RANGE);
SAME(AST_FRAME_BETWEEN, FRAMEOPTION_BETWEEN);
SAME(AST_FRAME_START_CURRENT_ROW, FRAMEOPTION_START_CURRENT_ROW);
SAME(AST_FRAME_END_OFFSET_FOLLOWING, FRAMEOPTION_END_OFFSET_FOLLOWING);
SAME(AST_FRAME_EXCLUDE_TIES, FRAMEOPTION_EXCLUDE_TIES);
SAME(AST_SETOP_NONE, SETOP_NONE);
SAME(AST_SETOP_UNION, SETOP_UNION);
SAME(AST_SETOP_INTERSECT, SETOP_INTERSECT);
SAME(AST_SETOP_EXCEPT, SETOP_EXCEPT);
SAME(AST_SORT_DEFAULT, SORTBY_DEFAULT);
SAME(AST_SORT_ASC, SORTBY_ASC);
SAME(AST_SORT_DESC, SORTBY_DESC);
SAME(AST_SORT_USING, SORTBY_USING);
SAME(AST_NULLS_DEFAULT, SORTBY_NULLS_DEFAULT);
SAME(AST_NULLS_FIRST, SORTBY_NULLS_FIRST);
SAME(AST_NULLS_LAST, SORTBY_NULLS_LAST);
SAME(AST_GROUPING_EMPTY, GROUPING_SET_EMPTY);
SAME(AST_GROUPING_ROLLUP, GROUPING_SET_ROLLUP);
SAME(AST_GROUPING_CUBE, GROUPING_SET_CUBE);
SAME(AST_GROUPING_SETS, GROUPING_SET_SETS);
SAME(AST_LOCK_FOR_KEY_SHARE, LCS_FORKEYSHARE);
SAME(AST_LOCK_FOR_SHARE, LCS_FORSHARE);
SAME(AST_LOCK_FOR_NO_KEY_UPDATE, LCS_FORNOKEYUPDATE);
SAME(AST_LOCK_FOR_UPDATE, LCS_FORUPDATE);
SAME(AST_LOCK_WAIT, LockWaitBlock);
SAME(AST_LOCK_SKIP, LockWaitSkip);
SAME(AST_LOCK_NOWAIT, LockWaitError);
SAME(AST_MATERIALIZE_DEFAULT, CTEMaterializeDefault);
SAME(AST_MATERIALIZE_ALWAYS, CTEMaterializeAlways);
SAME(AST_MATERIALIZE_NEVER, CTEMaterializeNever);
SAME(AST_JOIN_INNER, JOIN_INNER);
SAME(AST_JOIN_LEFT, JOIN_LEFT);
SAME(AST_JOIN_FULL, JOIN_FULL);
SAME(AST_JOIN_RIGHT, JOIN_RIGHT);
SAME(AST_OVERRIDING_NOT_SET, OVERRIDING_NOT_SET);
SAME(AST_OVERRIDING_USER, OVERRIDING_USER_VALUE);
SAME(AST_OVERRIDING_SYSTEM, OVERRIDING_SYSTEM_VALUE);
SAME(AST_CONFLICT_NONE, ONCONFLICT_NONE);
SAME(AST_CONFLICT_NOTHING, ONCONFLICT_NOTHING);
SAME(AST_CONFLICT_UPDATE, ONCONFLICT_UPDATE);
SAME(AST_CMD_SELECT, CMD_SELECT);
SAME(AST_CMD_UPDATE, CMD_UPDATE);
SAME(AST_CMD_INSERT, CMD_INSERT);
SAME(AST_CMD_DELETE, CMD_DELETE);
SAME(AST_CMD_NOTHING, CMD_NOTHING);
SAME(AST_TRANS_BEGIN, TRANS_STMT_BEGIN);
SAME(AST_TRANS_START, TRANS_STMT_START);
SAME(AST_TRANS_COMMIT, TRANS_STMT_COMMIT);
SAME(AST_TRANS_ROLLBACK, TRANS_STMT_ROLLBACK);
SAME(AST_TRANS_SAVEPOINT, TRANS_STMT_SAVEPOINT);
SAME(AST_TRANS_RELEASE, TRANS_STMT_RELEASE);
SAME(AST_TRANS_ROLLBACK_TO, TRANS_STMT_ROLLBACK_TO);
SAME(AST_TRANS_PREPARE, TRANS_STMT_PREPARE);
SAME(AST_TRANS_COMMIT_PREPARED, TRANS_STMT_COMMIT_PREPARED);
SAME(AST_TRANS_ROLLBACK_PREPARED, TRANS_STMT_ROLLBACK_PREPARED);
SAME(AST_SET_VALUE, VAR_SET_VALUE);
SAME(AST_SET_DEFAULT, VAR_SET_DEFAULT);
SAME(AST_SET_CURRENT, VAR_SET_CURRENT);
SAME(AST_SET_MULTI, VAR_SET_MULTI);
SAME(AST_SET_RESET, VAR_RESET);
SAME(AST_SET_RESET_ALL, VAR_RESET_ALL);
SAME(AST_DISCARD_ALL, DISCARD_ALL);
SAME(AST_DISCARD_PLANS, DISCARD_PLANS);
SAME(AST_DISCARD_SEQUENCES, DISCARD_SEQUENCES);
SAME(AST_DISCARD_TEMP, DISCARD_TEMP);
SAME(AST_FETCH_FORWARD, FETCH_FORWARD);
SAME(AST_FETCH_BACKWARD, FETCH_BACKWARD);
SAME(AST_FETCH_ABSOLUTE, FETCH_ABSOLUTE);
SAME(AST_FETCH_RELATIVE, FETCH_RELATIVE);
SAME(AST_REINDEX_INDEX, REINDEX_OBJECT_INDEX);
SAME(AST_REINDEX_TABLE, REINDEX_OBJECT_TABLE);
SAME(AST_REINDEX_SCHEMA, REINDEX_OBJECT_SCHEMA);
SAME(AST_REINDEX_SYSTEM, REINDEX_OBJECT_SYSTEM);
SAME(AST_REINDEX_DATABASE, REINDEX_OBJECT_DATABASE);
SAME(AST_CURSOR_BINARY, CURSOR_OPT_BINARY);
SAME(AST_CURSOR_SCROLL, CURSOR_OPT_SCROLL);
SAME(AST_CURSOR_NO_SCROLL, CURSOR_OPT_NO_SCROLL);
SAME(AST_CURSOR_INSENSITIVE, CURSOR_OPT_INSENSITIVE);
SAME(AST_CURSOR_ASENSITIVE, CURSOR_OPT_ASENSITIVE);
SAME(AST_CURSOR_HOLD, CURSOR_OPT_HOLD);
SAME(AST_CURSOR_FAST_PLAN, CURSOR_OPT_FAST_PLAN);
SAME(AST_ONCOMMIT_NONE, ONCOMMIT_NOOP);
SAME(AST_ONCOMMIT_PRESERVE_ROWS, ONCOMMIT_PRESERVE_ROWS);
SAME(AST_ONCOMMIT_DELETE_ROWS, ONCOMMIT_DELETE_ROWS);
SAME(AST_ONCOMMIT_DROP, ONCOMMIT_DROP);
SAME(AST_CONSTRAINT_NULL, CONSTR_NULL);
SAME(AST_CONSTRAINT_NOT_NULL, CONSTR_NOTNULL);
SAME(AST_CONSTRAINT_DEFAULT, CONSTR_DEFAULT);
SAME(AST_CONSTRAINT_IDENTITY, CONSTR_IDENTITY);
SAME(AST_CONSTRAINT_GENERATED, CONSTR_GENERATED);
SAME(AST_CONSTRAINT_CHECK, CONSTR_CHECK);
SAME(AST_CONSTRAINT_PRIMARY, CONSTR_PRIMARY);
SAME(AST_CONSTRAINT_UNIQUE, CONSTR_UNIQUE);
SAME(AST_CONSTRAINT_EXCLUSION, CONSTR_EXCLUSION);
SAME(AST_CONSTRAINT_FOREIGN, CONSTR_FOREIGN);
SAME(AST_CONSTRAINT_ATTR_DEFERRABLE, CONSTR_ATTR_DEFERRABLE);
SAME(AST_CONSTRAINT_ATTR_NOT_DEFERRABLE, CONSTR_ATTR_NOT_DEFERRABLE);
SAME(AST_CONSTRAINT_ATTR_DEFERRED, CONSTR_ATTR_DEFERRED);
SAME(AST_CONSTRAINT_ATTR_IMMEDIATE, CONSTR_ATTR_IMMEDIATE);
SAME(AST_LIKE_COMMENTS, CREATE_TABLE_LIKE_COMMENTS);
SAME(AST_LIKE_STORAGE, CREATE_TABLE_LIKE_STORAGE);
SAME(AST_LIKE_ALL, CREATE_TABLE_LIKE_ALL);
SAME(AST_DROP_RESTRICT, DROP_RESTRICT);
SAME(AST_DROP_CASCADE, DROP_CASCADE);
SAME(AST_CHECK_OPTION_NONE, NO_CHECK_OPTION);
SAME(AST_CHECK_OPTION_LOCAL, LOCAL_CHECK_OPTION);
SAME(AST_CHECK_OPTION_CASCADED, CASCADED_CHECK_OPTION);
SAME(AST_ROLESTMT_ROLE, ROLESTMT_ROLE);
SAME(AST_ROLESTMT_USER, ROLESTMT_USER);
SAME(AST_ROLESTMT_GROUP, ROLESTMT_GROUP);
SAME(AST_GRANT_OBJECT, ACL_TARGET_OBJECT);
SAME(AST_GRANT_ALL_IN_SCHEMA, ACL_TARGET_ALL_IN_SCHEMA);
SAME(AST_GRANT_DEFAULTS, ACL_TARGET_DEFAULTS);
SAME(AST_TRIGGER_BEFORE, TRIGGER_TYPE_BEFORE);
SAME(AST_TRIGGER_INSERT, TRIGGER_TYPE_INSERT);
SAME(AST_TRIGGER_DELETE, TRIGGER_TYPE_DELETE);
SAME(AST_TRIGGER_UPDATE, TRIGGER_TYPE_UPDATE);
SAME(AST_TRIGGER_TRUNCATE, TRIGGER_TYPE_TRUNCATE);
SAME(AST_TRIGGER_INSTEAD, TRIGGER_TYPE_INSTEAD);
STATIC_ASSERT(INT64_MAX == FETCH_ALL, "AST_FETCH_ALL is FETCH_ALL");

/* The nodes of ast_own.def, by hand. */

static Status new_const(Conv *cv, AstConstKind kind, int location, AstConst **out)
{
    void *d;
    TRY(new_node(cv, sizeof(AstConst), AST_CONST, location, &d));
    *out = d;
    (*out)->kind = kind;
    (*out)->ival = 0;
    (*out)->text = (Str){NULL, 0};
    return ST_OK;
}

/* A value node; inside an A_Const its location is the constant's. */
static Status conv_value(Conv *cv, const Node *value, int location, AstNode **out)
{
    AstConst *d;
    switch (nodeTag(value)) {
    case T_Integer:
        TRY(new_const(cv, AST_CONST_INT, location, &d));
        d->ival = intVal(value);
        break;
    case T_Boolean:
        TRY(new_const(cv, AST_CONST_BOOL, location, &d));
        d->ival = boolVal(value);
        break;
    case T_Float:
        TRY(new_const(cv, AST_CONST_FLOAT, location, &d));
        TRY(conv_str(cv, ((const Float *)value)->fval, &d->text));
        break;
    case T_String:
        TRY(new_const(cv, AST_CONST_STRING, location, &d));
        TRY(conv_str(cv, strVal(value), &d->text));
        break;
    case T_BitString:
        TRY(new_const(cv, AST_CONST_BIT, location, &d));
        TRY(conv_str(cv, ((const BitString *)value)->bsval, &d->text));
        break;
    default: UNREACHABLE();
    }
    *out = &d->node;
    return ST_OK;
}

static Status conv_A_Const(Conv *cv, const A_Const *s, AstNode **out)
{
    if (!s->isnull) {
        return conv_value(cv, &s->val.node, s->location, out);
    }
    AstConst *d;
    TRY(new_const(cv, AST_CONST_NULL, s->location, &d));
    *out = &d->node;
    return ST_OK;
}

static Status conv_ColumnRef(Conv *cv, const ColumnRef *s, AstNode **out)
{
    void *fresh;
    TRY(new_node(cv, sizeof(AstColumnRef), AST_COLUMN_REF, s->location, &fresh));
    AstColumnRef *d = fresh;
    uint32_t n = (uint32_t)list_length(s->fields);
    ASSERT(n > 0);
    d->star = IsA(s->fields->elements[n - 1].ptr_value, A_Star);
    d->names = (AstNames){NULL, n - d->star};
    if (d->names.count > 0) {
        TRY(conv_alloc(cv, d->names.count * sizeof(Str), &fresh));
        d->names.items = fresh;
    }
    for (uint32_t i = 0; i < d->names.count; i++) {
        TRY(conv_str(cv, strVal(s->fields->elements[i].ptr_value), &d->names.items[i]));
    }
    *out = &d->node;
    return ST_OK;
}

/* The grammar's TRUE and FALSE: a boolean constant cast, without location, to pg_catalog.bool. */
static bool is_bool_literal(const TypeCast *s)
{
    return s->location == -1 && IsA(s->arg, A_Const) && !((const A_Const *)s->arg)->isnull &&
           IsA(&((const A_Const *)s->arg)->val, Boolean);
}

static Status conv_TypeCast(Conv *cv, const TypeCast *s, AstNode **out)
{
    if (is_bool_literal(s)) {
        return conv_node(cv, s->arg, out);
    }
    if (s->location == -1) {
        TRY(reject_param(cv, s->arg)); /* DATE $1 */
    }
    void *fresh;
    TRY(new_node(cv, sizeof(AstTypeCast), AST_TYPE_CAST, s->location, &fresh));
    AstTypeCast *d = fresh;
    TRY(conv_node(cv, s->arg, &d->arg));
    AstNode *type;
    TRY(conv_node(cv, (const Node *)s->typeName, &type));
    ASSERT(type->tag == AST_TYPE_NAME);
    d->type = (AstTypeName *)type;
    *out = &d->node;
    return ST_OK;
}

static Status conv_String(Conv *cv, const String *s, AstNode **out)
{
    void *d;
    TRY(new_node(cv, sizeof(AstString), AST_STRING, -1, &d));
    *out = d;
    return conv_str(cv, s->sval, &((AstString *)d)->text);
}

static Status conv_A_Star(Conv *cv, const A_Star *s, AstNode **out)
{
    (void)s;
    void *d;
    TRY(new_node(cv, sizeof(AstStar), AST_STAR, -1, &d));
    *out = d;
    return ST_OK;
}

static bool all_strings(const List *list)
{
    for (int i = 0; i < list_length(list); i++) {
        const Node *item = list->elements[i].ptr_value;
        if (item == NULL || !IsA(item, String)) {
            return false;
        }
    }
    return true;
}

/* A list where a node is expected: a name if it is all strings, else a list of nodes. */
static Status conv_List(Conv *cv, const List *s, AstNode **out)
{
    void *d;
    if (all_strings(s)) {
        TRY(new_node(cv, sizeof(AstName), AST_NAME, -1, &d));
        *out = d;
        return conv_names(cv, s, &((AstName *)d)->names);
    }
    TRY(new_node(cv, sizeof(AstNodeList), AST_NODE_LIST, -1, &d));
    *out = d;
    return conv_list(cv, s, &((AstNodeList *)d)->items);
}

/* What is parsed but has no node of ours. */

static const char *xml_feature(XmlExprOp op)
{
    switch (op) {
    case IS_XMLCONCAT: return "xmlconcat";
    case IS_XMLELEMENT: return "xmlelement";
    case IS_XMLFOREST: return "xmlforest";
    case IS_XMLPARSE: return "xmlparse";
    case IS_XMLPI: return "xmlpi";
    case IS_XMLROOT: return "xmlroot";
    case IS_XMLSERIALIZE: return "xmlserialize";
    case IS_DOCUMENT: return "IS DOCUMENT";
    }
    return "XML";
}

static const char *unsupported_feature(const Node *node)
{
    switch (nodeTag(node)) {
    case T_XmlExpr: return xml_feature(((const XmlExpr *)node)->op);
    case T_XmlSerialize: return "xmlserialize";
    case T_RangeTableFunc: return "XMLTABLE";
    case T_CreateTableSpaceStmt: return "CREATE TABLESPACE";
    case T_DropTableSpaceStmt: return "DROP TABLESPACE";
    case T_AlterTableSpaceOptionsStmt: return "ALTER TABLESPACE";
    case T_AlterTableMoveAllStmt: return "ALTER ... ALL IN TABLESPACE";
    case T_CreateExtensionStmt: return "CREATE EXTENSION";
    case T_AlterExtensionStmt: return "ALTER EXTENSION";
    case T_AlterExtensionContentsStmt: return "ALTER EXTENSION";
    case T_CreateFdwStmt: return "CREATE FOREIGN DATA WRAPPER";
    case T_AlterFdwStmt: return "ALTER FOREIGN DATA WRAPPER";
    case T_CreateForeignServerStmt: return "CREATE SERVER";
    case T_AlterForeignServerStmt: return "ALTER SERVER";
    case T_CreateForeignTableStmt: return "CREATE FOREIGN TABLE";
    case T_CreateUserMappingStmt: return "CREATE USER MAPPING";
    case T_AlterUserMappingStmt: return "ALTER USER MAPPING";
    case T_DropUserMappingStmt: return "DROP USER MAPPING";
    case T_ImportForeignSchemaStmt: return "IMPORT FOREIGN SCHEMA";
    case T_CreatePolicyStmt: return "CREATE POLICY";
    case T_AlterPolicyStmt: return "ALTER POLICY";
    case T_CreateAmStmt: return "CREATE ACCESS METHOD";
    case T_CreateEventTrigStmt: return "CREATE EVENT TRIGGER";
    case T_AlterEventTrigStmt: return "ALTER EVENT TRIGGER";
    case T_CreatePLangStmt: return "CREATE LANGUAGE";
    case T_CreateOpClassStmt: return "CREATE OPERATOR CLASS";
    case T_CreateOpFamilyStmt: return "CREATE OPERATOR FAMILY";
    case T_AlterOpFamilyStmt: return "ALTER OPERATOR FAMILY";
    case T_CreateConversionStmt: return "CREATE CONVERSION";
    case T_CreateCastStmt: return "CREATE CAST";
    case T_CreateTransformStmt: return "CREATE TRANSFORM";
    case T_AlterTSDictionaryStmt: return "ALTER TEXT SEARCH DICTIONARY";
    case T_AlterTSConfigurationStmt: return "ALTER TEXT SEARCH CONFIGURATION";
    case T_CreatePublicationStmt: return "CREATE PUBLICATION";
    case T_AlterPublicationStmt: return "ALTER PUBLICATION";
    case T_CreateSubscriptionStmt: return "CREATE SUBSCRIPTION";
    case T_AlterSubscriptionStmt: return "ALTER SUBSCRIPTION";
    case T_DropSubscriptionStmt: return "DROP SUBSCRIPTION";
    case T_CreateStatsStmt: return "CREATE STATISTICS";
    case T_AlterStatsStmt: return "ALTER STATISTICS";
    case T_SecLabelStmt: return "SECURITY LABEL";
    case T_LoadStmt: return "LOAD";
    case T_AlterOperatorStmt: return "ALTER OPERATOR";
    case T_AlterCollationStmt: return "ALTER COLLATION";
    case T_AlterObjectDependsStmt: return "ALTER ... DEPENDS ON EXTENSION";
    case T_AlterDatabaseRefreshCollStmt: return "ALTER DATABASE ... REFRESH COLLATION VERSION";
    default: return NULL;
    }
}

static int unsupported_location(const Node *node)
{
    switch (nodeTag(node)) {
    case T_XmlExpr: return ((const XmlExpr *)node)->location;
    case T_XmlSerialize: return ((const XmlSerialize *)node)->location;
    case T_RangeTableFunc: return ((const RangeTableFunc *)node)->location;
    default: return -1;
    }
}

static Status conv_unsupported(Conv *cv, const Node *node, AstNode **out)
{
    const char *feature = unsupported_feature(node);
    if (feature == NULL) {
        return err_set(cv->cx->err, ST_INTERNAL, "unrecognized parse node type: %d", (int)nodeTag(node));
    }
    void *fresh;
    TRY(new_node(cv, sizeof(AstUnsupported), AST_UNSUPPORTED, unsupported_location(node), &fresh));
    AstUnsupported *d = fresh;
    d->text = (Str){NULL, 0};
    TRY(conv_str(cv, feature, &d->feature));
    *out = &d->node;
    return ST_OK;
}

static Status conv_node(Conv *cv, const Node *node, AstNode **out)
{
    if (node == NULL) {
        *out = NULL;
        return ST_OK;
    }
    /* 1+1+1+... nests as deep as it is long. */
    if (UNLIKELY(!os_stack_ok(OS_STACK_RESERVE))) {
        return err_set(cv->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    switch (nodeTag(node)) {
#define NODE(N, P, T)                                                                                                  \
    case T_##P: return conv_##P(cv, (const P *)node, out);
#include "parse/ast_nodes_all.h"
    case T_A_Const: return conv_A_Const(cv, (const A_Const *)node, out);
    case T_ColumnRef: return conv_ColumnRef(cv, (const ColumnRef *)node, out);
    case T_TypeCast: return conv_TypeCast(cv, (const TypeCast *)node, out);
    case T_String: return conv_String(cv, (const String *)node, out);
    case T_A_Star: return conv_A_Star(cv, (const A_Star *)node, out);
    case T_List: return conv_List(cv, (const List *)node, out);
    case T_Integer:
    case T_Float:
    case T_Boolean:
    case T_BitString: return conv_value(cv, node, -1, out);
    default: return conv_unsupported(cv, node, out);
    }
}

/* Statements. */

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The parser's range of a statement begins right behind the last semicolon; 0 bytes mean "to the end". */
static void statement_range(const Conv *cv, const RawStmt *s, AstRawStmt *out)
{
    size_t begin = s->stmt_location > 0 ? (size_t)s->stmt_location : 0;
    size_t end = s->stmt_len > 0 ? begin + (size_t)s->stmt_len : cv->len;
    ASSERT(begin <= end && end <= cv->len);
    while (begin < end && is_blank(cv->text[begin])) {
        begin++;
    }
    while (end > begin && is_blank(cv->text[end - 1])) {
        end--;
    }
    out->begin = begin;
    out->len = end - begin;
}

static Status conv_statement(Conv *cv, const Node *node, AstRawStmt *out)
{
    if (!IsA(node, RawStmt)) { /* BRIDGE_TYPE_NAME */
        *out = (AstRawStmt){NULL, 0, cv->len};
        return conv_node(cv, node, &out->stmt);
    }
    const RawStmt *raw = (const RawStmt *)node;
    statement_range(cv, raw, out);
    TRY(conv_node(cv, raw->stmt, &out->stmt));
    if (out->stmt->tag == AST_UNSUPPORTED) {
        AstUnsupported *d = (AstUnsupported *)out->stmt;
        char *text = arena_strndup(cv->arena, cv->text + out->begin, out->len);
        if (text == NULL) {
            return ctx_nomem(cv->cx, out->len + 1);
        }
        d->text = (Str){text, out->len};
    }
    return ST_OK;
}

static Status conv_statements(Conv *cv, const List *tree, AstStmtList **out)
{
    void *fresh;
    TRY(conv_alloc(cv, sizeof(AstStmtList), &fresh));
    AstStmtList *list = fresh;
    list->count = (size_t)list_length(tree);
    list->items = NULL;
    if (list->count > 0) {
        TRY(conv_alloc(cv, list->count * sizeof(AstRawStmt), &fresh));
        list->items = fresh;
    }
    for (size_t i = 0; i < list->count; i++) {
        TRY(ctx_poll(cv->cx));
        TRY(conv_statement(cv, tree->elements[i].ptr_value, &list->items[i]));
    }
    *out = list;
    return ST_OK;
}

STATUS bridge_parse(const ParseEnv *env, Ctx *cx, BridgeMode mode, const char *text, size_t len,
                    AstStmtList **out_stmts, size_t *out_parser_bytes)
{
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    TRY(parse_thread_init(cx->err));
    ParserCall call = {.env = env, .context = new_context()};
    if (call.context == NULL) {
        return err_set(cx->err, ST_OUT_OF_MEMORY, NULL);
    }
    List *tree = NULL;
    Status st = run_parser(&call, mode, text, cx->err, &tree);
    if (st == ST_OK) {
        Conv cv = {.cx = cx, .arena = cx->arena, .text = text, .len = len};
        st = conv_statements(&cv, tree, out_stmts);
    }
    if (out_parser_bytes != NULL) {
        *out_parser_bytes = call.context->mem_allocated;
    }
    delete_context(call.context);
    return st;
}
