/*
 * parse/ast.h: the syntax tree of a statement, as binder and deparser see it. No PostgreSQL header is behind it.
 *
 * Key idea: the nodes are one table, ast_nodes.def (with ast_own.def for the few that the parser bridge builds by
 * hand). The structs below, the field descriptions by which trees are compared, copied and walked, and the conversion
 * from PostgreSQL's tree are all made from it, so they cannot disagree. Read the .def files as struct definitions.
 *
 * A tree is plain immutable data in one arena: no destructor. A node begins with AstNode: tag and location, the byte
 * offset of its first token in the text that was parsed, or -1 where PostgreSQL records none. Fields that are absent
 * are NULL, a count of 0, or a Str with p NULL.
 *
 * Invariants
 *  A1  A node's tag says its struct; a typed pointer (F_PTR) leads to that type (bridge.c asserts it).
 *  A2  Strings are zero-terminated UTF-8 without inner zero bytes; p[len] == 0.
 *  A3  Trees are trees, but for AstMultiAssign.source, which is shared by the columns of one SET (a, b) = ...
 */
#ifndef RDB_PARSE_AST_H
#define RDB_PARSE_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/str.h"

typedef enum AstTag {
    AST_NONE = 0,
#define NODE(N, P, T) AST_##T,
#define OWN(N, T) AST_##T,
#include "parse/ast_nodes_all.h"
    AST_TAG_COUNT
} AstTag;

typedef struct AstNode {
    uint16_t tag;     /* AstTag */
    int32_t location; /* byte offset in the parsed text, -1 = unknown */
} AstNode;

typedef struct AstList {
    AstNode **items; /* an item may be NULL where the field's comment says so */
    uint32_t count;
} AstList;

typedef struct AstNames {
    Str *items;
    uint32_t count;
} AstNames;

typedef enum AstConstKind {
    AST_CONST_NULL,
    AST_CONST_INT,
    AST_CONST_FLOAT,
    AST_CONST_STRING,
    AST_CONST_BIT,
    AST_CONST_BOOL
} AstConstKind;

typedef enum AstOpKind {
    AST_OP,     /* left name right, name right */
    AST_OP_ANY, /* left name ANY (right) over an array */
    AST_OP_ALL,
    AST_OP_DISTINCT, /* IS DISTINCT FROM */
    AST_OP_NOT_DISTINCT,
    AST_OP_NULLIF,
    AST_OP_IN,      /* name is "=" or, for NOT IN, "<>" */
    AST_OP_LIKE,    /* "~~", "!~~"; with ESCAPE right is a call of like_escape */
    AST_OP_ILIKE,   /* "~~*", "!~~*" */
    AST_OP_SIMILAR, /* "~", "!~"; right is a call of similar_to_escape */
    AST_OP_BETWEEN,
    AST_OP_NOT_BETWEEN,
    AST_OP_BETWEEN_SYMMETRIC,
    AST_OP_NOT_BETWEEN_SYMMETRIC
} AstOpKind;

typedef enum AstBoolOp { AST_BOOL_AND, AST_BOOL_OR, AST_BOOL_NOT } AstBoolOp;
typedef enum AstNullTestKind { AST_IS_NULL, AST_IS_NOT_NULL } AstNullTestKind;
typedef enum AstBooleanTestKind {
    AST_IS_TRUE,
    AST_IS_NOT_TRUE,
    AST_IS_FALSE,
    AST_IS_NOT_FALSE,
    AST_IS_UNKNOWN,
    AST_IS_NOT_UNKNOWN
} AstBooleanTestKind;

typedef enum AstSubLinkKind {
    AST_SUBLINK_EXISTS,
    AST_SUBLINK_ALL,
    AST_SUBLINK_ANY,
    AST_SUBLINK_ROWCOMPARE, /* PostgreSQL makes these three after parsing; never in our trees */
    AST_SUBLINK_EXPR,       /* (SELECT ...) as a value */
    AST_SUBLINK_MULTIEXPR,
    AST_SUBLINK_ARRAY, /* ARRAY(SELECT ...) */
    AST_SUBLINK_CTE
} AstSubLinkKind;

typedef enum AstMinMaxOp { AST_GREATEST, AST_LEAST } AstMinMaxOp;
typedef enum AstCallFormat { AST_CALL_EXPLICIT, AST_CALL_CAST, AST_CALL_IMPLICIT, AST_CALL_SQL_SYNTAX } AstCallFormat;

typedef enum AstSqlValueOp {
    AST_CURRENT_DATE,
    AST_CURRENT_TIME,
    AST_CURRENT_TIME_N,
    AST_CURRENT_TIMESTAMP,
    AST_CURRENT_TIMESTAMP_N,
    AST_LOCALTIME,
    AST_LOCALTIME_N,
    AST_LOCALTIMESTAMP,
    AST_LOCALTIMESTAMP_N,
    AST_CURRENT_ROLE,
    AST_CURRENT_USER,
    AST_USER,
    AST_SESSION_USER,
    AST_CURRENT_CATALOG,
    AST_CURRENT_SCHEMA
} AstSqlValueOp;

/* AstTypeName.typmods of interval: first a mask of fields, then perhaps the precision. */
enum {
    AST_INTERVAL_MONTH = 1 << 1,
    AST_INTERVAL_YEAR = 1 << 2,
    AST_INTERVAL_DAY = 1 << 3,
    AST_INTERVAL_HOUR = 1 << 10,
    AST_INTERVAL_MINUTE = 1 << 11,
    AST_INTERVAL_SECOND = 1 << 12,
    AST_INTERVAL_FULL = 0x7fff
};

/* AstWindowDef.frame */
enum {
    AST_FRAME_NONDEFAULT = 0x00001, /* a frame was written */
    AST_FRAME_RANGE = 0x00002,
    AST_FRAME_ROWS = 0x00004,
    AST_FRAME_GROUPS = 0x00008,
    AST_FRAME_BETWEEN = 0x00010,
    AST_FRAME_START_UNBOUNDED_PRECEDING = 0x00020,
    AST_FRAME_END_UNBOUNDED_PRECEDING = 0x00040,
    AST_FRAME_START_UNBOUNDED_FOLLOWING = 0x00080,
    AST_FRAME_END_UNBOUNDED_FOLLOWING = 0x00100,
    AST_FRAME_START_CURRENT_ROW = 0x00200,
    AST_FRAME_END_CURRENT_ROW = 0x00400,
    AST_FRAME_START_OFFSET_PRECEDING = 0x00800,
    AST_FRAME_END_OFFSET_PRECEDING = 0x01000,
    AST_FRAME_START_OFFSET_FOLLOWING = 0x02000,
    AST_FRAME_END_OFFSET_FOLLOWING = 0x04000,
    AST_FRAME_EXCLUDE_CURRENT_ROW = 0x08000,
    AST_FRAME_EXCLUDE_GROUP = 0x10000,
    AST_FRAME_EXCLUDE_TIES = 0x20000
};

typedef enum AstLimitKind { AST_LIMIT_NONE, AST_LIMIT_COUNT, AST_LIMIT_WITH_TIES } AstLimitKind;
typedef enum AstSetOp { AST_SETOP_NONE, AST_SETOP_UNION, AST_SETOP_INTERSECT, AST_SETOP_EXCEPT } AstSetOp;
typedef enum AstSortDir { AST_SORT_DEFAULT, AST_SORT_ASC, AST_SORT_DESC, AST_SORT_USING } AstSortDir;
typedef enum AstSortNulls { AST_NULLS_DEFAULT, AST_NULLS_FIRST, AST_NULLS_LAST } AstSortNulls;
typedef enum AstGroupingSetKind {
    AST_GROUPING_EMPTY,
    AST_GROUPING_SIMPLE, /* PostgreSQL's, made after parsing; never in our trees */
    AST_GROUPING_ROLLUP,
    AST_GROUPING_CUBE,
    AST_GROUPING_SETS
} AstGroupingSetKind;
typedef enum AstLockStrength {
    AST_LOCK_NONE,
    AST_LOCK_FOR_KEY_SHARE,
    AST_LOCK_FOR_SHARE,
    AST_LOCK_FOR_NO_KEY_UPDATE,
    AST_LOCK_FOR_UPDATE
} AstLockStrength;
typedef enum AstLockWait { AST_LOCK_WAIT, AST_LOCK_SKIP, AST_LOCK_NOWAIT } AstLockWait;
typedef enum AstMaterialize { AST_MATERIALIZE_DEFAULT, AST_MATERIALIZE_ALWAYS, AST_MATERIALIZE_NEVER } AstMaterialize;
typedef enum AstJoinKind { AST_JOIN_INNER, AST_JOIN_LEFT, AST_JOIN_FULL, AST_JOIN_RIGHT } AstJoinKind;
typedef enum AstOverriding { AST_OVERRIDING_NOT_SET, AST_OVERRIDING_USER, AST_OVERRIDING_SYSTEM } AstOverriding;
typedef enum AstConflictAction { AST_CONFLICT_NONE, AST_CONFLICT_NOTHING, AST_CONFLICT_UPDATE } AstConflictAction;
typedef enum AstCommand {
    AST_CMD_UNKNOWN,
    AST_CMD_SELECT,
    AST_CMD_UPDATE,
    AST_CMD_INSERT,
    AST_CMD_DELETE,
    AST_CMD_MERGE,
    AST_CMD_UTILITY,
    AST_CMD_NOTHING
} AstCommand;

typedef enum AstRoleKind {
    AST_ROLE_NAME,
    AST_ROLE_CURRENT_ROLE,
    AST_ROLE_CURRENT_USER,
    AST_ROLE_SESSION_USER,
    AST_ROLE_PUBLIC
} AstRoleKind;
typedef enum AstDefAction { AST_DEF_UNSPEC, AST_DEF_SET, AST_DEF_ADD, AST_DEF_DROP } AstDefAction;
typedef enum AstTransactionKind {
    AST_TRANS_BEGIN,
    AST_TRANS_START,
    AST_TRANS_COMMIT,
    AST_TRANS_ROLLBACK,
    AST_TRANS_SAVEPOINT,
    AST_TRANS_RELEASE,
    AST_TRANS_ROLLBACK_TO,
    AST_TRANS_PREPARE,
    AST_TRANS_COMMIT_PREPARED,
    AST_TRANS_ROLLBACK_PREPARED
} AstTransactionKind;
typedef enum AstSetKind {
    AST_SET_VALUE,
    AST_SET_DEFAULT,
    AST_SET_CURRENT, /* FROM CURRENT */
    AST_SET_MULTI,
    AST_SET_RESET,
    AST_SET_RESET_ALL
} AstSetKind;
typedef enum AstDiscardKind {
    AST_DISCARD_ALL,
    AST_DISCARD_PLANS,
    AST_DISCARD_SEQUENCES,
    AST_DISCARD_TEMP
} AstDiscardKind;
typedef enum AstFetchDirection {
    AST_FETCH_FORWARD,
    AST_FETCH_BACKWARD,
    AST_FETCH_ABSOLUTE,
    AST_FETCH_RELATIVE
} AstFetchDirection;
#define AST_FETCH_ALL INT64_MAX
typedef enum AstReindexKind {
    AST_REINDEX_INDEX,
    AST_REINDEX_TABLE,
    AST_REINDEX_SCHEMA,
    AST_REINDEX_SYSTEM,
    AST_REINDEX_DATABASE
} AstReindexKind;
/* AstDeclareCursorStmt.options */
enum {
    AST_CURSOR_BINARY = 0x01,
    AST_CURSOR_SCROLL = 0x02,
    AST_CURSOR_NO_SCROLL = 0x04,
    AST_CURSOR_INSENSITIVE = 0x08,
    AST_CURSOR_ASENSITIVE = 0x10,
    AST_CURSOR_HOLD = 0x20,
    AST_CURSOR_FAST_PLAN = 0x100 /* PostgreSQL's grammar sets it always */
};

typedef enum AstOnCommit {
    AST_ONCOMMIT_NONE,
    AST_ONCOMMIT_PRESERVE_ROWS,
    AST_ONCOMMIT_DELETE_ROWS,
    AST_ONCOMMIT_DROP
} AstOnCommit;
typedef enum AstConstraintKind {
    AST_CONSTRAINT_NULL,
    AST_CONSTRAINT_NOT_NULL,
    AST_CONSTRAINT_DEFAULT,
    AST_CONSTRAINT_IDENTITY,
    AST_CONSTRAINT_GENERATED,
    AST_CONSTRAINT_CHECK,
    AST_CONSTRAINT_PRIMARY,
    AST_CONSTRAINT_UNIQUE,
    AST_CONSTRAINT_EXCLUSION,
    AST_CONSTRAINT_FOREIGN,
    AST_CONSTRAINT_ATTR_DEFERRABLE, /* attributes of the constraint before, as separate items of a column */
    AST_CONSTRAINT_ATTR_NOT_DEFERRABLE,
    AST_CONSTRAINT_ATTR_DEFERRED,
    AST_CONSTRAINT_ATTR_IMMEDIATE
} AstConstraintKind;
/* AstTableLike.options */
enum {
    AST_LIKE_COMMENTS = 1 << 0,
    AST_LIKE_COMPRESSION = 1 << 1,
    AST_LIKE_CONSTRAINTS = 1 << 2,
    AST_LIKE_DEFAULTS = 1 << 3,
    AST_LIKE_GENERATED = 1 << 4,
    AST_LIKE_IDENTITY = 1 << 5,
    AST_LIKE_INDEXES = 1 << 6,
    AST_LIKE_STATISTICS = 1 << 7,
    AST_LIKE_STORAGE = 1 << 8,
    AST_LIKE_ALL = 0x7fffffff
};
typedef enum AstDropBehavior { AST_DROP_RESTRICT, AST_DROP_CASCADE } AstDropBehavior;
typedef enum AstCheckOption { AST_CHECK_OPTION_NONE, AST_CHECK_OPTION_LOCAL, AST_CHECK_OPTION_CASCADED } AstCheckOption;
typedef enum AstRoleStmtKind { AST_ROLESTMT_ROLE, AST_ROLESTMT_USER, AST_ROLESTMT_GROUP } AstRoleStmtKind;
typedef enum AstGrantTarget { AST_GRANT_OBJECT, AST_GRANT_ALL_IN_SCHEMA, AST_GRANT_DEFAULTS } AstGrantTarget;
/* AstCreateTriggerStmt.timing and .events: the bits of pg_trigger.tgtype. */
enum {
    AST_TRIGGER_BEFORE = 1 << 1,
    AST_TRIGGER_INSERT = 1 << 2,
    AST_TRIGGER_DELETE = 1 << 3,
    AST_TRIGGER_UPDATE = 1 << 4,
    AST_TRIGGER_TRUNCATE = 1 << 5,
    AST_TRIGGER_INSTEAD = 1 << 6
};

typedef enum AstObjectKind {
#define OBJECT(K, name) AST_OBJECT_##K,
#include "parse/ast_objects.def"
#undef OBJECT
    AST_OBJECT_KIND_COUNT
} AstObjectKind;

typedef enum AstAlterKind {
#define ALTER(K, theirs) AST_ALTER_##K,
#include "parse/ast_alter.def"
#undef ALTER
    AST_ALTER_KIND_COUNT
} AstAlterKind;

#define NODE(N, P, T) typedef struct Ast##N Ast##N;
#define OWN(N, T) typedef struct Ast##N Ast##N;
#include "parse/ast_nodes_all.h"

#define NODE(N, P, T)                                                                                                  \
    struct Ast##N {                                                                                                    \
        AstNode node;
#define OWN(N, T) NODE(N, , T)
#define FIELD_NODE(f) AstNode *f;
#define FIELD_PTR(N, f) Ast##N *f;
#define FIELD_LIST(f) AstList f;
#define FIELD_NAMES(f) AstNames f;
#define FIELD_STR(f) Str f;
#define FIELD_BOOL(f) bool f;
#define FIELD_CHAR(f) char f;
#define FIELD_INT(f) int32_t f;
#define FIELD_INT64(f) int64_t f;
#define FIELD_ENUM(E, f) E f;
#define END(N)                                                                                                         \
    }                                                                                                                  \
    ;
#include "parse/ast_nodes_all.h"

/* One statement of a text. Its bytes are text[begin, begin + len), without surrounding blanks and the semicolon. */
typedef struct AstRawStmt {
    AstNode *stmt;
    size_t begin;
    size_t len;
} AstRawStmt;

typedef struct AstStmtList {
    AstRawStmt *items;
    size_t count;
} AstStmtList;

/* "AST_SELECT_STMT"; the name of the struct is in ast_nodes.def beside it. */
const char *ast_tag_name(AstTag tag);
/* "materialized view": how messages call it. */
const char *ast_object_name(AstObjectKind kind);

/* The node as type N, whose tag is T (AST_CAST(node, SelectStmt, SELECT_STMT)); asserts the tag. */
#define AST_CAST(n, N, T) (ASSERT((n)->tag == AST_##T), (Ast##N *)(n))

/* Where two trees first differ; `node` AST_NONE: nowhere. */
typedef struct AstDiff {
    AstTag node;
    const char *field; /* static; NULL: the tags themselves */
} AstDiff;

/*
 * Compares two trees, locations aside. Either may be NULL.
 * Statuses: ST_STATEMENT_TOO_COMPLEX when the trees are too deep for the stack.
 */
STATUS ast_compare(const AstNode *a, const AstNode *b, Error *err, AstDiff *out_diff);

/* Deep copy into `arena`, locations kept; NULL gives NULL. Statuses: ST_OUT_OF_MEMORY, ST_STATEMENT_TOO_COMPLEX. */
STATUS ast_copy(Ctx *cx, Arena *arena, const AstNode *node, AstNode **out_node);

/*
 * Calls visit(arg, child) for every child of a node that is not NULL, in the order of the fields, until one returns not
 * ST_OK, which is returned. A source shared by several AstMultiAssign is visited with the first. The visitor descends by
 * calling ast_each_child itself; it checks the stack (os_stack_ok).
 */
STATUS ast_each_child(AstNode *node, Status (*visit)(void *arg, AstNode *child), void *arg);

#endif
