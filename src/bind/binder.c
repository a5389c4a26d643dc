/*
 * bind/binder.c: the statement as a whole: its memory, errors, parameters, held relations. See bind.h.
 *
 * Positions: every error of the binder carries the byte offset + 1 of an AST node; bind_statement alone turns it into
 * characters.
 */
#include <stdarg.h>

#include "bind/bind_int.h"
#include "os/thread.h"

void *bind_grow(Binder *b, void *v, uint32_t *cap, size_t item_bytes)
{
    uint32_t more = *cap == 0 ? 8 : *cap * 2;
    char *p = arena_alloc(b->c.b.arena, more * item_bytes);
    if (p == NULL) {
        (void)ctx_nomem(b->cx, more * item_bytes);
        return NULL;
    }
    if (*cap != 0) {
        memcpy(p, v, *cap * item_bytes);
    }
    *cap = more;
    return p;
}

Status bind_error(Binder *b, int32_t location, Status st, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    st = err_setv(b->cx->err, st, fmt, ap);
    va_end(ap);
    if (location >= 0) {
        err_position(b->cx->err, location + 1);
    }
    return st;
}

Status bind_unsupported(Binder *b, int32_t location, const char *what)
{
    return bind_error(b, location, ST_FEATURE_NOT_SUPPORTED, "%s is not supported", what);
}

Status bind_deeper(Binder *b)
{
    return os_stack_ok(OS_STACK_RESERVE) ? ST_OK : err_set(b->cx->err, ST_STATEMENT_TOO_COMPLEX, NULL);
}

Status bind_new_column(Binder *b, Scope *s, RangeItem *item, const char *name, ColumnId *out_id)
{
    ColumnOwner owner = {.scope = s, .item = item, .name = name};
    *out_id = b->owners.n;
    return PUSH(b, &b->owners, owner);
}

Status bind_logical(Binder *b, LogicalKind kind, Logical *left, Logical *right, Logical **out)
{
    Logical *l = ARENA_NEW(b->c.b.arena, Logical);
    if (l == NULL) {
        return ctx_nomem(b->cx, sizeof *l);
    }
    l->kind = kind;
    l->left = left;
    l->right = right;
    *out = l;
    return ST_OK;
}

Status bind_hold(Binder *b, const AstRangeVar *rv, LockMode mode, const CatRelation **out_rel)
{
    const BindCatalog *c = b->env->catalog;
    const CatRelation *rel;
    if (rv->catalog.p != NULL) {
        return bind_unsupported(b, rv->node.location, "a name with a database");
    }
    Status st = c->relation(c->arg, b->cx, rv->schema, rv->name, mode, &rel);
    if (st != ST_OK) {
        err_position(b->cx->err, rv->node.location + 1);
        return st;
    }
    st = PUSH(b, &b->relations, rel);
    if (st != ST_OK) {
        c->release(c->arg, rel);
        return st;
    }
    *out_rel = rel;
    return PUSH(b, &b->lock_modes, mode);
}

Status bind_query_of(Binder *b, Frame *frame, const Rows *rows, LogicalQuery **out)
{
    LogicalQuery *q = ARENA_NEW(b->c.b.arena, LogicalQuery);
    LogicalCte *ctes = ARENA_ARRAY(b->c.b.arena, LogicalCte, frame->ctes.n + 1u);
    if (q == NULL || ctes == NULL) {
        return ctx_nomem(b->cx, sizeof *q);
    }
    for (uint32_t i = 0; i < frame->ctes.n; i++) {
        const CteEntry *e = frame->ctes.v[i];
        bool writes = e->query->root->kind == LOGICAL_MODIFY;
        if (e->scans.n == 0 && !writes) {
            continue; /* nobody reads it, so it is not run */
        }
        if (e->scans.n == 1 && e->once) {
            Logical *l = e->scans.v[0];
            const Expr **exprs = ARENA_ARRAY(b->c.b.arena, const Expr *, l->columns.n + 1u);
            if (exprs == NULL) {
                return ctx_nomem(b->cx, sizeof *exprs);
            }
            for (uint32_t k = 0; k < l->columns.n; k++) {
                TRY(expr_column(&b->c.b, l->u.cte_scan.attributes[k], &l->columns.v[k].type, -1, &exprs[k]));
            }
            l->kind = LOGICAL_PROJECT;
            l->left = e->query->root;
            l->u.project = (LogicalExprs){exprs, l->columns.n};
            continue;
        }
        ctes[q->n_ctes++] =
            (LogicalCte){.name = e->name, .query = e->query, .number = e->number, .recursive = e->recursive};
    }
    q->ctes = ctes;
    q->root = rows->root;
    q->output = (LogicalColumns){rows->columns, rows->n};
    *out = q;
    return ST_OK;
}

/* ---- parameters ---- */

static Status param_type(void *arg, uint32_t number, Oid type, int32_t location)
{
    Binder *b = arg;
    ValueType *t = &b->params.v[number - 1];
    if (t->oid == OID_UNKNOWN) {
        return value_type(type, -1, b->cx->err, t);
    }
    if (t->oid != type) {
        Status st = bind_error(b, location, ST_AMBIGUOUS_PARAMETER, "inconsistent types deduced for parameter $%u", number);
        err_detail(b->cx->err, "%s versus %s", type_text(t->oid).s, type_text(type).s);
        return st;
    }
    return ST_OK;
}

static Status given_params(Binder *b)
{
    for (uint32_t i = 0; i < b->env->n_params; i++) {
        Oid oid = b->env->param_types[i];
        ValueType t = value_type_of(OID_UNKNOWN);
        if (oid != 0 && oid != OID_UNKNOWN) {
            TRY(value_type(oid, -1, b->cx->err, &t));
        }
        TRY(PUSH(b, &b->params, t));
    }
    return ST_OK;
}

static Status check_params(Binder *b)
{
    for (uint32_t i = 0; i < b->params.n; i++) {
        if (b->params.v[i].oid == OID_UNKNOWN) {
            return bind_error(b, -1, ST_INDETERMINATE_DATATYPE, "could not determine data type of parameter $%u", i + 1);
        }
    }
    return ST_OK;
}

/* ---- statements ---- */

static const char *statement_name(const AstNode *n)
{
    return n->tag == AST_UNSUPPORTED ? ((const AstUnsupported *)n)->feature.p : ast_tag_name((AstTag)n->tag);
}

static Status bind_root(Binder *b, AstNode *stmt, LogicalStatement *out)
{
    Frame frame = {0};
    Rows rows;
    LogicalQuery *q;
    b->frame = &frame;
    TRY(given_params(b));
    switch (stmt->tag) {
    case AST_SELECT_STMT:
        TRY(bind_select(b, NULL, stmt, true, &rows));
        break;
    case AST_INSERT_STMT:
    case AST_UPDATE_STMT:
    case AST_DELETE_STMT:
        TRY(bind_modify(b, NULL, stmt, &rows));
        break;
    case AST_MERGE_STMT:
        return bind_unsupported(b, stmt->location, "MERGE");
    default:
        return bind_unsupported(b, stmt->location, statement_name(stmt));
    }
    TRY(check_params(b));
    TRY(bind_query_of(b, &frame, &rows, &q));
    *out = (LogicalStatement){.query = q, .params = b->params.v, .n_params = b->params.n, .read_only = !b->writes};
    TRY(bind_finish(b, out));
    out->next_column = b->owners.n;
    return ST_OK;
}

Status bind_statement(Ctx *cx, const BindEnv *env, AstNode *stmt, LogicalStatement **out)
{
    Binder b = {.cx = cx, .env = env, .next_range = 1};
    b.c = (Coercer){.b = {cx, cx->arena, env->registry}, .facts = env->facts, .param_type = param_type, .param_arg = &b};
    LogicalStatement *s = ARENA_NEW(cx->arena, LogicalStatement);
    Status st = s == NULL ? ctx_nomem(cx, sizeof *s) : bind_root(&b, stmt, s);
    if (st != ST_OK) {
        for (uint32_t i = 0; i < b.relations.n; i++) {
            env->catalog->release(env->catalog->arg, b.relations.v[i]);
        }
        if (cx->err->position > 0) {
            cx->err->position = parse_position(env->text, env->text_len, cx->err->position - 1);
        }
        return st;
    }
    s->relations = b.relations.v;
    s->lock_modes = b.lock_modes.v;
    s->n_relations = b.relations.n;
#ifdef RDB_SLOW_CHECKS
    /* It asserts what must hold; what it returns is a want of memory or stack of its own. */
    st = logical_check(cx, s);
    if (st != ST_OK) {
        logical_release(env->catalog, s);
        return st;
    }
#endif
    *out = s;
    return ST_OK;
}

void logical_release(const BindCatalog *catalog, LogicalStatement *s)
{
    for (uint32_t i = 0; s != NULL && i < s->n_relations; i++) {
        catalog->release(catalog->arg, s->relations[i]);
    }
    if (s != NULL) {
        s->n_relations = 0;
    }
}
