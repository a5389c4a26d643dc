/*
 * parse/convert.c: PostgreSQL's raw parse tree into ours.
 *
 * Key idea: the conversion functions are made from the node table (ast_nodes.def), one per node, each a straight run of
 * field conversions; by hand are the few nodes whose shape differs (ast_own.def). That enumerations agree is checked in
 * convert_enums.c.
 *
 * Headers (15.x) and archive (15.1) differ in LimitOption (constants of our own below) and in CreateStatsStmt.owner (not
 * read); parse_self_test watches for the day they differ in more.
 */
#include <postgres.h>

#include <nodes/parsenodes.h>
#include <nodes/pg_list.h>

#include <string.h>

#include "os/thread.h"
#include "parse/convert_int.h"
#include "parse/parse.h"

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
    case OBJECT_##K:                                                                                                   \
        return AST_OBJECT_##K;
#include "parse/ast_objects.def"
#undef OBJECT
    }
    UNREACHABLE();
}

static AstAlterKind map_alter_type(AlterTableType type)
{
    switch (type) {
#define ALTER(K, theirs)                                                                                               \
    case theirs:                                                                                                       \
        return AST_ALTER_##K;
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
/* Else the include would be drawn into the macro. */
/* clang-format off */
#define NODE(N, P, T) case T_##P: return conv_##P(cv, (const P *)node, out);
#include "parse/ast_nodes_all.h"
    /* clang-format on */
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

Status convert_statements(Ctx *cx, const List *tree, const char *text, size_t len, AstStmtList **out_stmts)
{
    Conv cv = {.cx = cx, .arena = cx->arena, .text = text, .len = len};
    void *fresh;
    TRY(conv_alloc(&cv, sizeof(AstStmtList), &fresh));
    AstStmtList *list = fresh;
    list->count = (size_t)list_length(tree);
    list->items = NULL;
    if (list->count > 0) {
        TRY(conv_alloc(&cv, list->count * sizeof(AstRawStmt), &fresh));
        list->items = fresh;
    }
    for (size_t i = 0; i < list->count; i++) {
        TRY(ctx_poll(cx));
        TRY(conv_statement(&cv, tree->elements[i].ptr_value, &list->items[i]));
    }
    *out_stmts = list;
    return ST_OK;
}
