/*
 * parse/ast.c: what can be done with any tree: names of tags, comparison, copy, walk.
 *
 * Key idea: a table of field descriptions (kind, offset, name) per tag, made from the node tables, so that each
 * operation is one loop over fields and needs no code per node.
 */
#include "parse/ast.h"

#include <string.h>

#include "os/thread.h"

typedef enum FieldKind {
    KIND_END,
    KIND_NODE,
    KIND_LIST,
    KIND_NAMES,
    KIND_STR,
    KIND_PLAIN /* compared and copied as bytes */
} FieldKind;

typedef struct Field {
    const char *name;
    uint8_t kind;
    uint8_t bytes; /* KIND_PLAIN */
    uint16_t offset;
} Field;

typedef struct NodeInfo {
    const char *name;
    size_t bytes;
    const Field *fields; /* up to KIND_END */
} NodeInfo;

/* The field macros do not carry their struct's name, offsetof needs it: a typedef local to a function per node does. */
#define FIELD(f, kind, bytes) {#f, kind, bytes, offsetof(Described, f)},
#define PLAIN(f) FIELD(f, KIND_PLAIN, sizeof(((Described *)NULL)->f))
#define NODE(N, P, T)                                                                                                  \
    static NodeInfo info_of_##N(void)                                                                                  \
    {                                                                                                                  \
        typedef Ast##N Described;                                                                                      \
        static const char name[] = "AST_" #T;                                                                          \
        static const Field fields[] = {
#define OWN(N, T) NODE(N, , T)
#define FIELD_NODE(f) FIELD(f, KIND_NODE, 0)
#define FIELD_PTR(N, f) FIELD(f, KIND_NODE, 0)
#define FIELD_LIST(f) FIELD(f, KIND_LIST, 0)
#define FIELD_NAMES(f) FIELD(f, KIND_NAMES, 0)
#define FIELD_STR(f) FIELD(f, KIND_STR, 0)
#define FIELD_BOOL(f) PLAIN(f)
#define FIELD_CHAR(f) PLAIN(f)
#define FIELD_INT(f) PLAIN(f)
#define FIELD_INT64(f) PLAIN(f)
#define FIELD_ENUM(E, f) PLAIN(f)
#define END(N)                                                                                                         \
    {                                                                                                                  \
        "", KIND_END, 0, 0                                                                                             \
    }                                                                                                                  \
    }                                                                                                                  \
    ;                                                                                                                  \
    return (NodeInfo){name, sizeof(Described), fields};                                                                \
    }
#include "parse/ast_nodes_all.h"

static NodeInfo node_info(AstTag tag)
{
    switch (tag) {
#define NODE(N, P, T)                                                                                                  \
    case AST_##T:                                                                                                      \
        return info_of_##N();
#define OWN(N, T) NODE(N, , T)
#include "parse/ast_nodes_all.h"
    case AST_NONE:
    case AST_TAG_COUNT: break;
    }
    UNREACHABLE();
}

const char *ast_tag_name(AstTag tag)
{
    return tag == AST_NONE || tag >= AST_TAG_COUNT ? "AST_NONE" : node_info(tag).name;
}

const char *ast_object_name(AstObjectKind kind)
{
    static const char *const names[] = {
#define OBJECT(K, name) [AST_OBJECT_##K] = name,
#include "parse/ast_objects.def"
#undef OBJECT
    };
    ASSERT(kind < AST_OBJECT_KIND_COUNT);
    return names[kind];
}

/* A pointer field, whatever struct it points to: read through memcpy, for the field's own type is another. */
static AstNode *load_node(const void *at)
{
    AstNode *node;
    memcpy(&node, at, sizeof node);
    return node;
}

/*
 * The columns of SET (a, b, ...) = source share their source (A3), so it is looked at with the first of them only;
 * otherwise nested assignments would cost a power of their depth.
 */
static bool repeats_source(const AstNode *node)
{
    return node->tag == AST_MULTI_ASSIGN && ((const AstMultiAssign *)node)->column > 1;
}

/* Comparison. */

static Status compare_nodes(const AstNode *a, const AstNode *b, Error *err, AstDiff *diff);

static bool same_str(Str a, Str b)
{
    return (a.p == NULL) == (b.p == NULL) && str_eq(a, b);
}

static bool same_names(const AstNames *a, const AstNames *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (!same_str(a->items[i], b->items[i])) {
            return false;
        }
    }
    return true;
}

/* Sets *out_same; differences below the lists' items are reported in *diff and leave *out_same true. */
static Status compare_lists(const AstList *a, const AstList *b, Error *err, AstDiff *diff, bool *out_same)
{
    *out_same = a->count == b->count;
    Status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && *out_same && diff->node == AST_NONE && i < a->count; i++) {
        st = compare_nodes(a->items[i], b->items[i], err, diff);
    }
    return st;
}

static Status compare_field(const Field *f, const char *a, const char *b, Error *err, AstDiff *diff, bool *out_same)
{
    *out_same = true;
    switch ((FieldKind)f->kind) {
    case KIND_NODE: return compare_nodes(load_node(a), load_node(b), err, diff);
    case KIND_LIST:
        return compare_lists((const AstList *)(const void *)a, (const AstList *)(const void *)b, err, diff, out_same);
    case KIND_NAMES:
        *out_same = same_names((const AstNames *)(const void *)a, (const AstNames *)(const void *)b);
        return ST_OK;
    case KIND_STR: *out_same = same_str(*(const Str *)(const void *)a, *(const Str *)(const void *)b); return ST_OK;
    case KIND_PLAIN: *out_same = memcmp(a, b, f->bytes) == 0; return ST_OK;
    case KIND_END: break;
    }
    UNREACHABLE();
}

static Status compare_nodes(const AstNode *a, const AstNode *b, Error *err, AstDiff *diff)
{
    if (a == b) {
        return ST_OK;
    }
    if (a == NULL || b == NULL || a->tag != b->tag) {
        *diff = (AstDiff){a != NULL ? (AstTag)a->tag : (AstTag)b->tag, NULL};
        return ST_OK;
    }
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    NodeInfo info = node_info(a->tag);
    for (const Field *f = info.fields; f->kind != KIND_END && diff->node == AST_NONE; f++) {
        if (f->kind == KIND_NODE && repeats_source(a) && repeats_source(b)) {
            continue;
        }
        bool same;
        Status st = compare_field(f, (const char *)a + f->offset, (const char *)b + f->offset, err, diff, &same);
        if (st != ST_OK) {
            return st;
        }
        if (!same) {
            *diff = (AstDiff){a->tag, f->name};
        }
    }
    return ST_OK;
}

Status ast_compare(const AstNode *a, const AstNode *b, Error *err, AstDiff *out_diff)
{
    AstDiff diff = {AST_NONE, NULL};
    Status st = compare_nodes(a, b, err, &diff);
    if (st == ST_OK) {
        *out_diff = diff;
    }
    return st;
}

/* Copy. */

typedef struct Copier {
    Ctx *cx;
    Arena *arena;
    const AstNode *shared; /* the source last copied for the first column of a SET (a, b) = source, */
    AstNode *shared_copy;  /* and its copy */
} Copier;

static Status copy_node(Copier *c, const AstNode *node, AstNode **out);

static Status copy_str(Copier *c, Str *str)
{
    if (str->p != NULL) {
        str->p = arena_strndup(c->arena, str->p, str->len);
        if (str->p == NULL) {
            return ctx_nomem(c->cx, str->len + 1);
        }
    }
    return ST_OK;
}

static Status copy_names(Copier *c, AstNames *names)
{
    if (names->count == 0) {
        return ST_OK;
    }
    Str *items = arena_copy(c->arena, names->items, names->count * sizeof *items);
    if (items == NULL) {
        return ctx_nomem(c->cx, names->count * sizeof *items);
    }
    names->items = items;
    Status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && i < names->count; i++) {
        st = copy_str(c, &items[i]);
    }
    return st;
}

static Status copy_list(Copier *c, AstList *list)
{
    if (list->count == 0) {
        return ST_OK;
    }
    AstNode **items = arena_copy(c->arena, list->items, list->count * sizeof(AstNode *));
    if (items == NULL) {
        return ctx_nomem(c->cx, list->count * sizeof(AstNode *));
    }
    list->items = items;
    Status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && i < list->count; i++) {
        st = copy_node(c, items[i], &items[i]);
    }
    return st;
}

/* `at` is a field of a node copied bytewise: what it points to is still the original's. */
static Status copy_field(Copier *c, const Field *f, char *at)
{
    switch ((FieldKind)f->kind) {
    case KIND_NODE: {
        AstNode *child;
        Status st = copy_node(c, load_node(at), &child);
        if (st == ST_OK) {
            memcpy(at, &child, sizeof child);
        }
        return st;
    }
    case KIND_LIST: return copy_list(c, (AstList *)(void *)at);
    case KIND_NAMES: return copy_names(c, (AstNames *)(void *)at);
    case KIND_STR: return copy_str(c, (Str *)(void *)at);
    case KIND_PLAIN:
    case KIND_END: break;
    }
    return ST_OK;
}

/* A copied AstMultiAssign still names the original's source. */
static Status copy_shared(Copier *c, AstMultiAssign *copy)
{
    const AstNode *source = copy->source;
    if (copy->column > 1 && c->shared == source) {
        copy->source = c->shared_copy;
        return ST_OK;
    }
    Status st = copy_node(c, source, &copy->source);
    c->shared = source;
    c->shared_copy = copy->source;
    return st;
}

static Status copy_node(Copier *c, const AstNode *node, AstNode **out)
{
    if (node == NULL) {
        *out = NULL;
        return ST_OK;
    }
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        return err_set(c->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    NodeInfo info = node_info(node->tag);
    AstNode *copy = arena_copy(c->arena, node, info.bytes);
    if (copy == NULL) {
        return ctx_nomem(c->cx, info.bytes);
    }
    Status st = ST_OK;
    if (node->tag == AST_MULTI_ASSIGN) {
        st = copy_shared(c, (AstMultiAssign *)copy);
    } else {
        for (const Field *f = info.fields; st == ST_OK && f->kind != KIND_END; f++) {
            st = copy_field(c, f, (char *)copy + f->offset);
        }
    }
    if (st == ST_OK) {
        *out = copy;
    }
    return st;
}

Status ast_copy(Ctx *cx, Arena *arena, const AstNode *node, AstNode **out_node)
{
    Copier c = {.cx = cx, .arena = arena};
    return copy_node(&c, node, out_node);
}

/* Walk. */

static Status visit_list(const AstList *list, Status (*visit)(void *arg, AstNode *child), void *arg)
{
    Status st = ST_OK;
    for (uint32_t i = 0; st == ST_OK && i < list->count; i++) {
        if (list->items[i] != NULL) {
            st = visit(arg, list->items[i]);
        }
    }
    return st;
}

Status ast_each_child(AstNode *node, Status (*visit)(void *arg, AstNode *child), void *arg)
{
    Status st = ST_OK;
    if (repeats_source(node)) {
        return ST_OK;
    }
    for (const Field *f = node_info(node->tag).fields; st == ST_OK && f->kind != KIND_END; f++) {
        const void *at = (const char *)node + f->offset;
        if (f->kind == KIND_NODE && load_node(at) != NULL) {
            st = visit(arg, load_node(at));
        } else if (f->kind == KIND_LIST) {
            st = visit_list(at, visit, arg);
        }
    }
    return st;
}
