/*
 * bind/from.c: FROM items and joins (parse_clause.c).
 *
 * While the list is being bound, what stands to the left is in scope->names as lateral_only: LATERAL items see it, others
 * do not. A join with USING gets an item of its own for its merged columns; its inputs then show only as t.a.
 */
#include "bind/bind_int.h"

static Status new_item(Binder *b, const char *name, uint32_t n, RangeItem **out)
{
    RangeItem *item = ARENA_NEW(b->c.b.arena, RangeItem);
    RangeColumn *columns = ARENA_ARRAY(b->c.b.arena, RangeColumn, n + 1u);
    if (item == NULL || columns == NULL) {
        return ctx_nomem(b->cx, n * sizeof *columns);
    }
    item->name = name;
    item->columns = columns;
    item->n_columns = n;
    *out = item;
    return ST_OK;
}

Status bind_alias(Binder *b, RangeItem *item, const AstAlias *alias, int32_t location)
{
    if (alias == NULL) {
        return ST_OK;
    }
    item->name = alias->name.p;
    if (alias->columns.count > item->n_columns) {
        return bind_error(b, location, ST_INVALID_COLUMN_REFERENCE,
                          "table \"%s\" has %u columns available but %u columns specified", item->name, item->n_columns,
                          alias->columns.count);
    }
    for (uint32_t i = 0; i < alias->columns.count; i++) {
        item->columns[i].name = alias->columns.items[i].p;
    }
    return ST_OK;
}

static Status produced(Binder *b, Scope *s, RangeItem *item, const char *name, const ValueType *type, LogicalColumn *out)
{
    *out = (LogicalColumn){.type = *type, .name = name};
    return bind_new_column(b, s, item, name, &out->id);
}

/* ---- tables ---- */

enum { SYSTEM_COLUMNS = 6 };

Status bind_table(Binder *b, Scope *s, const AstRangeVar *rv, LockMode mode, RangeItem **out_item, Logical **out)
{
    const CatRelation *rel;
    RangeItem *item;
    Logical *l;
    TRY(bind_hold(b, rv, mode, &rel));
    if (rel->kind == 'i') {
        return bind_error(b, rv->node.location, ST_WRONG_OBJECT_TYPE, "cannot open relation \"%s\"", rel->name);
    }
    uint32_t live = 0;
    for (uint32_t i = 0; i < rel->n_columns; i++) {
        live += !rel->columns[i].dropped;
    }
    TRY(new_item(b, rel->name, live, &item));
    TRY(bind_logical(b, LOGICAL_SCAN, NULL, NULL, &l));
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, live + SYSTEM_COLUMNS);
    int16_t *attributes = ARENA_ARRAY(b->c.b.arena, int16_t, live + SYSTEM_COLUMNS);
    if (columns == NULL || attributes == NULL) {
        return ctx_nomem(b->cx, live * sizeof *columns);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < rel->n_columns; i++) {
        const CatColumn *c = &rel->columns[i];
        if (c->dropped) {
            continue;
        }
        if (c->value_type.phys == P_NONE) {
            return bind_error(b, rv->node.location, ST_FEATURE_NOT_SUPPORTED, "type %s of column \"%s\" is not supported",
                              type_text(c->type).s, c->name);
        }
        TRY(produced(b, s, item, c->name, &c->value_type, &columns[n]));
        columns[n].table = rel->oid;
        columns[n].attribute = c->attnum;
        attributes[n] = c->attnum;
        item->columns[n] = (RangeColumn){.name = c->name, .table = rel->oid, .attribute = c->attnum};
        TRY(expr_column(&b->c.b, columns[n].id, &columns[n].type, -1, &item->columns[n].expr));
        n++;
    }
    item->rel = rel;
    item->schema = rv->schema.p;
    item->scan = l;
    item->range = b->next_range++;
    l->columns = (LogicalColumns){columns, n};
    TRY(bind_alias(b, item, rv->alias, -1));
    l->u.scan = (LogicalScan){.relation = rel, .alias = item->name, .attributes = attributes, .range = item->range};
    *out_item = item;
    *out = l;
    return scope_add(b, s, item);
}

/* ---- subqueries ---- */

/* The columns of a query below, as those of an item of this level. */
static Status item_of_rows(Binder *b, Scope *s, const Rows *rows, const char *name, RangeItem **out)
{
    RangeItem *item;
    TRY(new_item(b, name, rows->n, &item));
    for (uint32_t i = 0; i < rows->n; i++) {
        const LogicalColumn *c = &rows->columns[i];
        b->owners.v[c->id] = (ColumnOwner){s, item, c->name};
        item->columns[i] = (RangeColumn){.name = c->name, .table = c->table, .attribute = c->attribute};
        TRY(expr_column(&b->c.b, c->id, &c->type, -1, &item->columns[i].expr));
    }
    *out = item;
    return ST_OK;
}

static Status subselect(Binder *b, Scope *s, const AstRangeSubselect *r, RangeItem **out_item, Logical **out)
{
    Rows rows;
    bool was = s->lateral_active;
    if (r->alias == NULL) {
        Status st = bind_error(b, r->query->location, ST_SYNTAX_ERROR, "subquery in FROM must have an alias");
        err_hint(b->cx->err, "For example, FROM (SELECT ...) [AS] foo.");
        return st;
    }
    s->lateral_active = r->lateral;
    Status st = bind_select(b, s, r->query, true, &rows);
    s->lateral_active = was;
    TRY(st);
    TRY(item_of_rows(b, s, &rows, r->alias->name.p, out_item));
    TRY(bind_alias(b, *out_item, r->alias, -1));
    *out = rows.root;
    return scope_add(b, s, *out_item);
}

/* ---- functions ---- */

static const char *function_name(const AstNode *call)
{
    return call->tag == AST_FUNC_CALL ? ((const AstFuncCall *)call)->name.items[((const AstFuncCall *)call)->name.count - 1].p
                                      : "?column?";
}

static Status function(Binder *b, Scope *s, const AstRangeFunction *r, RangeItem **out_item, Logical **out)
{
    uint32_t n = r->functions.count;
    uint32_t total = n + r->ordinality;
    const Expr **calls = ARENA_ARRAY(b->c.b.arena, const Expr *, n + 1u);
    LogicalColumn *columns = ARENA_ARRAY(b->c.b.arena, LogicalColumn, total + 1u);
    RangeItem *item;
    Logical *l;
    if (calls == NULL || columns == NULL) {
        return ctx_nomem(b->cx, n * sizeof *calls);
    }
    if (r->column_defs.count > 0) {
        return bind_unsupported(b, r->column_defs.items[0]->location, "a column definition list");
    }
    const AstNodeList *first = AST_CAST(r->functions.items[0], NodeList, NODE_LIST);
    TRY(new_item(b, function_name(first->items.items[0]), total, &item));
    TRY(bind_logical(b, LOGICAL_FUNCTIONS, NULL, NULL, &l));
    bool was = s->lateral_active;
    s->lateral_active = true;
    for (uint32_t i = 0; i < n; i++) {
        const AstNodeList *pair = AST_CAST(r->functions.items[i], NodeList, NODE_LIST);
        const char *name = function_name(pair->items.items[0]);
        TRY(bind_expr_at(b, s, pair->items.items[0], PLACE_FROM_FUNCTION, &calls[i]));
        if (calls[i]->type.oid == OID_RECORD) {
            return bind_unsupported(b, pair->items.items[0]->location, "a function in FROM that returns records");
        }
        /* A single column is called as the item is: FROM unnest(...) AS x gives x.x. */
        TRY(produced(b, s, item, n == 1 && r->alias != NULL ? r->alias->name.p : name, &calls[i]->type, &columns[i]));
    }
    s->lateral_active = was;
    if (r->ordinality) {
        ValueType int8 = value_type_of(OID_INT8);
        TRY(produced(b, s, item, "ordinality", &int8, &columns[n]));
    }
    for (uint32_t i = 0; i < total; i++) {
        item->columns[i] = (RangeColumn){.name = columns[i].name};
        TRY(expr_column(&b->c.b, columns[i].id, &columns[i].type, -1, &item->columns[i].expr));
    }
    item->scalar = total == 1;
    TRY(bind_alias(b, item, r->alias, -1));
    l->columns = (LogicalColumns){columns, total};
    l->u.functions = (LogicalFunctions){.calls = {calls, n}, .ordinality = r->ordinality, .alias = item->name};
    *out_item = item;
    *out = l;
    return scope_add(b, s, item);
}

/* ---- joins ---- */

static Status from_item(Binder *b, Scope *s, AstNode *node, ScopeEntries *io, Logical **out, bool *out_lateral);

static Status append(Binder *b, ScopeEntries *to, const ScopeEntries *from)
{
    for (uint32_t i = 0; i < from->n; i++) {
        TRY(PUSH(b, to, from->v[i]));
    }
    return ST_OK;
}

static void set_lateral(ScopeEntries *e, bool only, bool ok)
{
    for (uint32_t i = 0; i < e->n; i++) {
        e->v[i].lateral_only = only;
        e->v[i].lateral_ok = ok;
    }
}

/* Two entries of one FROM clause may not have the same name. */
static Status check_names(Binder *b, const ScopeEntries *have, const ScopeEntries *more)
{
    for (uint32_t i = 0; i < more->n; i++) {
        const RangeItem *m = more->v[i].item;
        for (uint32_t k = 0; k < have->n && more->v[i].table_visible && m->name != NULL; k++) {
            const RangeItem *h = have->v[k].item;
            bool tables = h->rel != NULL && m->rel != NULL && h->rel != m->rel &&
                          strcmp(h->name, h->rel->name) == 0 && strcmp(m->name, m->rel->name) == 0;
            if (have->v[k].table_visible && h->name != NULL && strcmp(h->name, m->name) == 0 && !tables) {
                return bind_error(b, -1, ST_DUPLICATE_ALIAS, "table name \"%s\" specified more than once", m->name);
            }
        }
    }
    return ST_OK;
}

typedef struct JoinSide {
    const char *words; /* "left" */
    ScopeEntries names;
    Logical *rows;
    bool lateral;
} JoinSide;

static Status side_column(Binder *b, const JoinSide *side, const char *name, int32_t location, const RangeColumn **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < side->names.n; i++) {
        const RangeItem *item = side->names.v[i].item;
        for (uint32_t k = 0; side->names.v[i].columns_visible && k < item->n_columns; k++) {
            if (strcmp(item->columns[k].name, name) != 0) {
                continue;
            }
            if (*out != NULL) {
                return bind_error(b, location, ST_AMBIGUOUS_COLUMN,
                                  "common column name \"%s\" appears more than once in %s table", name, side->words);
            }
            *out = &item->columns[k];
        }
    }
    return ST_OK;
}

/* One merged column: its condition, and its value by the kind of join. */
static Status merge(Binder *b, AstJoinKind kind, const RangeColumn *l, const RangeColumn *r, const Expr **out_condition,
                    RangeColumn *out)
{
    const Expr *pair[2] = {l->expr, r->expr};
    Oid type;
    TRY(bind_operator(&b->c, "=", l->expr, r->expr, -1, out_condition));
    TRY(coerce_common_type(&b->c, pair, 2, "JOIN/USING", &type));
    TRY(coerce_all(&b->c, pair, 2, type, "JOIN/USING"));
    *out = kind == AST_JOIN_RIGHT ? *r : *l;
    if (kind == AST_JOIN_FULL) {
        out->table = 0;
        out->attribute = 0;
        return expr_coalesce(&b->c.b, pair, 2, -1, &out->expr);
    }
    out->expr = kind == AST_JOIN_RIGHT ? pair[1] : pair[0];
    return ST_OK;
}

static bool is_merged(const char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

typedef BIND_VEC(const char *) NameVec;
typedef BIND_VEC(RangeColumn) RangeColumnVec;

static Status using_names(Binder *b, const AstJoinExpr *j, const JoinSide *l, const JoinSide *r, NameVec *out)
{
    for (uint32_t i = 0; i < j->using.count; i++) {
        const char *name = j->using.items[i].p;
        if (is_merged(out->v, out->n, name)) {
            return bind_error(b, -1, ST_DUPLICATE_COLUMN, "column name \"%s\" appears more than once in USING clause", name);
        }
        TRY(PUSH(b, out, name));
    }
    for (uint32_t i = 0; j->natural && i < l->names.n; i++) {
        const RangeItem *item = l->names.v[i].item;
        for (uint32_t k = 0; l->names.v[i].columns_visible && k < item->n_columns; k++) {
            const RangeColumn *other;
            TRY(side_column(b, r, item->columns[k].name, -1, &other));
            if (other != NULL) {
                TRY(PUSH(b, out, item->columns[k].name));
            }
        }
    }
    return ST_OK;
}

static Status rest_columns(Binder *b, const JoinSide *side, const NameVec *merged, RangeColumnVec *out)
{
    for (uint32_t i = 0; i < side->names.n; i++) {
        const RangeItem *item = side->names.v[i].item;
        for (uint32_t k = 0; side->names.v[i].columns_visible && k < item->n_columns; k++) {
            if (!is_merged(merged->v, merged->n, item->columns[k].name)) {
                TRY(PUSH(b, out, item->columns[k]));
            }
        }
    }
    return ST_OK;
}

static Status join_item(Binder *b, Scope *s, const AstJoinExpr *j, JoinSide *l, JoinSide *r, const Expr **out_condition,
                        RangeItem **out)
{
    NameVec names = {0};
    RangeColumnVec columns = {0};
    ExprVec conditions = {0};
    TRY(using_names(b, j, l, r, &names));
    for (uint32_t i = 0; i < names.n; i++) {
        const RangeColumn *lc, *rc;
        const Expr *condition;
        RangeColumn c;
        TRY(side_column(b, l, names.v[i], -1, &lc));
        TRY(side_column(b, r, names.v[i], -1, &rc));
        if (lc == NULL || rc == NULL) {
            return bind_error(b, -1, ST_UNDEFINED_COLUMN, "column \"%s\" specified in USING clause does not exist in %s table",
                              names.v[i], lc == NULL ? "left" : "right");
        }
        TRY(merge(b, j->kind, lc, rc, &condition, &c));
        TRY(PUSH(b, &conditions, condition));
        TRY(PUSH(b, &columns, c));
    }
    TRY(rest_columns(b, l, &names, &columns));
    TRY(rest_columns(b, r, &names, &columns));
    if (conditions.n > 0) {
        TRY(expr_and(&b->c.b, conditions.v, conditions.n, out_condition));
    }
    TRY(new_item(b, NULL, columns.n, out));
    if (columns.n > 0) {
        memcpy((*out)->columns, columns.v, columns.n * sizeof *columns.v);
    }
    (*out)->is_join = true;
    TRY(bind_alias(b, *out, j->alias, -1));
    return scope_add(b, s, *out);
}

/* ON sees both sides and nothing of the enclosing FROM but by LATERAL. */
static Status join_on(Binder *b, Scope *s, const AstJoinExpr *j, const JoinSide *l, const JoinSide *r, const Expr **out)
{
    ScopeEntries was = s->names;
    ScopeEntries now = {0};
    TRY(append(b, &now, &l->names));
    TRY(append(b, &now, &r->names));
    set_lateral(&now, false, true);
    s->names = now;
    bool lateral = s->lateral_active;
    s->lateral_active = false;
    Status st = bind_condition(b, s, j->on, PLACE_JOIN_ON, "JOIN/ON", out);
    s->names = was;
    s->lateral_active = lateral;
    return st;
}

static Status join(Binder *b, Scope *s, const AstJoinExpr *j, ScopeEntries *io, Logical **out, bool *out_lateral)
{
    static const LogicalJoinKind kinds[] = {[AST_JOIN_INNER] = LOGICAL_INNER, [AST_JOIN_LEFT] = LOGICAL_LEFT,
                                            [AST_JOIN_FULL] = LOGICAL_FULL, [AST_JOIN_RIGHT] = LOGICAL_RIGHT};
    JoinSide l = {.words = "left"}, r = {.words = "right"};
    ScopeEntries was = s->names;
    const Expr *condition = NULL;
    TRY(from_item(b, s, j->left, &l.names, &l.rows, &l.lateral));
    /* The right side's LATERAL items see the left side. */
    ScopeEntries both = {0};
    ScopeEntries left = {0};
    TRY(append(b, &left, &l.names));
    set_lateral(&left, true, j->kind == AST_JOIN_INNER || j->kind == AST_JOIN_LEFT);
    TRY(append(b, &both, &was));
    TRY(append(b, &both, &left));
    s->names = both;
    Status st = from_item(b, s, j->right, &r.names, &r.rows, &r.lateral);
    s->names = was;
    TRY(st);
    TRY(check_names(b, &l.names, &r.names));
    if (j->using_alias != NULL) {
        return bind_unsupported(b, -1, "an alias of JOIN USING");
    }
    bool merged = j->natural || j->using.count > 0;
    RangeItem *item = NULL;
    if (merged || j->alias != NULL) {
        TRY(join_item(b, s, j, &l, &r, &condition, &item));
    }
    if (j->on != NULL) {
        TRY(join_on(b, s, j, &l, &r, &condition));
    }
    if (item != NULL) {
        ScopeEntry e = {.item = item, .table_visible = j->alias != NULL, .columns_visible = true};
        TRY(PUSH(b, io, e));
    }
    for (unsigned side = 0; side < 2 && j->alias == NULL; side++) {
        ScopeEntries *names = side == 0 ? &l.names : &r.names;
        for (uint32_t i = 0; i < names->n; i++) {
            names->v[i].columns_visible &= item == NULL;
        }
        TRY(append(b, io, names));
    }
    TRY(bind_logical(b, LOGICAL_JOIN, l.rows, r.rows, out));
    (*out)->u.join.kind = kinds[j->kind];
    (*out)->u.join.condition = condition;
    (*out)->u.join.lateral = r.lateral;
    *out_lateral = l.lateral;
    return ST_OK;
}

static Status from_item(Binder *b, Scope *s, AstNode *node, ScopeEntries *io, Logical **out, bool *out_lateral)
{
    RangeItem *item;
    TRY(bind_deeper(b));
    *out_lateral = false;
    switch (node->tag) {
    case AST_RANGE_VAR: {
        CteEntry *cte = bind_find_cte(s, (AstRangeVar *)node);
        TRY(cte != NULL ? bind_cte_scan(b, s, cte, (AstRangeVar *)node, &item, out)
                        : bind_table(b, s, (AstRangeVar *)node, LOCK_ACCESS_SHARE, &item, out));
        break;
    }
    case AST_RANGE_SUBSELECT:
        *out_lateral = ((AstRangeSubselect *)node)->lateral;
        TRY(subselect(b, s, (AstRangeSubselect *)node, &item, out));
        break;
    case AST_RANGE_FUNCTION:
        *out_lateral = true;
        TRY(function(b, s, (AstRangeFunction *)node, &item, out));
        break;
    case AST_JOIN_EXPR: return join(b, s, (AstJoinExpr *)node, io, out, out_lateral);
    case AST_TABLE_SAMPLE: return bind_unsupported(b, node->location, "TABLESAMPLE");
    case AST_UNSUPPORTED: return bind_unsupported(b, node->location, ((AstUnsupported *)node)->feature.p);
    default: return bind_unsupported(b, node->location, ast_tag_name((AstTag)node->tag));
    }
    ScopeEntry e = {.item = item, .table_visible = true, .columns_visible = true};
    return PUSH(b, io, e);
}

Status bind_from(Binder *b, Scope *s, const AstList *from, Logical **out)
{
    for (uint32_t i = 0; i < from->count; i++) {
        ScopeEntries names = {0};
        Logical *l;
        bool lateral;
        TRY(from_item(b, s, from->items[i], &names, &l, &lateral));
        TRY(check_names(b, &s->names, &names));
        set_lateral(&names, true, true);
        TRY(append(b, &s->names, &names));
        if (*out == NULL) {
            *out = l;
            continue;
        }
        TRY(bind_logical(b, LOGICAL_JOIN, *out, l, out));
        (*out)->u.join.kind = LOGICAL_INNER;
        (*out)->u.join.lateral = lateral;
    }
    set_lateral(&s->names, false, true);
    return ST_OK;
}
