/*
 * parse/deparse_query.c: SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE and what stands in FROM.
 */
#include "parse/deparse_int.h"

bool put_is_query(const AstNode *node)
{
    switch (node->tag) {
    case AST_SELECT_STMT:
    case AST_INSERT_STMT:
    case AST_UPDATE_STMT:
    case AST_DELETE_STMT:
    case AST_MERGE_STMT: return true;
    default: return false;
    }
}

bool put_is_from_item(const AstNode *node)
{
    switch (node->tag) {
    case AST_RANGE_VAR:
    case AST_RANGE_SUBSELECT:
    case AST_RANGE_FUNCTION:
    case AST_TABLE_SAMPLE:
    case AST_JOIN_EXPR: return true;
    default: return false;
    }
}

static void put_clause(Printer *p, const char *word, const AstNode *expr)
{
    if (expr != NULL) {
        put(p, word);
        put_expr(p, expr);
    }
}

static void put_list_clause(Printer *p, const char *word, const AstList *list, void (*item)(Printer *, const AstNode *))
{
    if (list->count > 0) {
        put(p, word);
        put_list(p, list, ", ", item);
    }
}

static void put_nested_query(Printer *p, const AstNode *query)
{
    put(p, "(");
    put_query(p, query);
    put(p, ")");
}

/* FROM. */

static void put_alias(Printer *p, const AstAlias *alias)
{
    if (alias != NULL) {
        put(p, " AS ");
        put_ident(p, alias->name);
        put_name_list(p, &alias->columns);
    }
}

static void put_relation_name(Printer *p, const AstRangeVar *rv)
{
    if (rv->catalog.p != NULL) {
        put_ident(p, rv->catalog);
        put(p, ".");
    }
    if (rv->schema.p != NULL) {
        put_ident(p, rv->schema);
        put(p, ".");
    }
    put_ident(p, rv->name);
}

void put_range_var(Printer *p, const AstRangeVar *rv)
{
    put(p, rv->inherit ? "" : "ONLY ");
    put_relation_name(p, rv);
    put_alias(p, rv->alias);
}

static void put_column_def(Printer *p, const AstNode *node)
{
    const AstColumnDef *c = AST_CAST(node, ColumnDef, COLUMN_DEF);
    put_ident(p, c->name);
    put(p, " ");
    put_type(p, c->type);
    if (c->collation != NULL) {
        put(p, " COLLATE ");
        put_names(p, &c->collation->name, ".");
    }
}

static void put_column_defs(Printer *p, const AstList *defs)
{
    put(p, " (");
    put_list(p, defs, ", ", put_column_def);
    put(p, ")");
}

/* One of ROWS FROM, or the only one: a pair of the call and NULL or its column definitions. */
static void put_range_function_item(Printer *p, const AstNode *node)
{
    const AstList *pair = &AST_CAST(node, NodeList, NODE_LIST)->items;
    put_expr(p, pair->items[0]);
    if (pair->items[1] != NULL) {
        put(p, " AS");
        put_column_defs(p, &AST_CAST(pair->items[1], NodeList, NODE_LIST)->items);
    }
}

static void put_range_function(Printer *p, const AstRangeFunction *f)
{
    put(p, f->lateral ? "LATERAL " : "");
    put(p, f->rows_from ? "ROWS FROM (" : "");
    put_list(p, &f->functions, ", ", put_range_function_item);
    put(p, f->rows_from ? ")" : "");
    put(p, f->ordinality ? " WITH ORDINALITY" : "");
    put_alias(p, f->alias);
    if (f->column_defs.count > 0) {
        put(p, f->alias == NULL ? " AS" : "");
        put_column_defs(p, &f->column_defs);
    }
}

static void put_join_side(Printer *p, const AstNode *side, bool right)
{
    bool parens = side->tag == AST_JOIN_EXPR && right && ((const AstJoinExpr *)side)->alias == NULL;
    put(p, parens ? "(" : "");
    put_from_item(p, side);
    put(p, parens ? ")" : "");
}

static void put_join(Printer *p, const AstJoinExpr *j)
{
    static const char *const words[] = {" JOIN ", " LEFT JOIN ", " FULL JOIN ", " RIGHT JOIN "};
    bool cross = j->kind == AST_JOIN_INNER && !j->natural && j->on == NULL && j->using.count == 0;
    put(p, j->alias != NULL ? "(" : "");
    put_join_side(p, j->left, false);
    put(p, j->natural ? " NATURAL" : "");
    put(p, cross ? " CROSS JOIN " : words[j->kind]);
    put_join_side(p, j->right, true);
    if (j->using.count > 0) {
        put(p, " USING");
        put_name_list(p, &j->using);
        put_alias(p, j->using_alias);
    }
    put_clause(p, " ON ", j->on);
    put(p, j->alias != NULL ? ")" : "");
    put_alias(p, j->alias);
}

static void put_table_sample(Printer *p, const AstTableSample *t)
{
    put_from_item(p, t->relation);
    put(p, " TABLESAMPLE ");
    put_names(p, &t->method, ".");
    put(p, "(");
    put_list(p, &t->args, ", ", put_expr);
    put(p, ")");
    if (t->repeatable != NULL) {
        put(p, " REPEATABLE (");
        put_expr(p, t->repeatable);
        put(p, ")");
    }
}

static void put_range_subselect(Printer *p, const AstRangeSubselect *s)
{
    put(p, s->lateral ? "LATERAL " : "");
    put_nested_query(p, s->query);
    put_alias(p, s->alias);
}

void put_from_item(Printer *p, const AstNode *node)
{
    if (!put_may_descend(p)) {
        return;
    }
    switch (node->tag) {
    case AST_RANGE_VAR: put_range_var(p, (const AstRangeVar *)node); break;
    case AST_RANGE_SUBSELECT: put_range_subselect(p, (const AstRangeSubselect *)node); break;
    case AST_RANGE_FUNCTION: put_range_function(p, (const AstRangeFunction *)node); break;
    case AST_TABLE_SAMPLE: put_table_sample(p, (const AstTableSample *)node); break;
    case AST_JOIN_EXPR: put_join(p, (const AstJoinExpr *)node); break;
    default: put_unsupported(p, node);
    }
}

/* WITH. */

/* A constant of CYCLE: the grammar has no CAST there, only type 'literal'. */
static void put_cycle_const(Printer *p, const char *word, const AstNode *node)
{
    put(p, word);
    if (node->tag != AST_TYPE_CAST) {
        put_expr(p, node);
        return;
    }
    const AstTypeCast *cast = (const AstTypeCast *)node;
    put_type(p, cast->type);
    put(p, " ");
    put_expr(p, cast->arg);
}

static void put_search(Printer *p, const AstCteSearch *s)
{
    put(p, s->breadth_first ? " SEARCH BREADTH FIRST BY " : " SEARCH DEPTH FIRST BY ");
    put_names(p, &s->columns, ", ");
    put(p, " SET ");
    put_ident(p, s->sequence_column);
}

static void put_cycle(Printer *p, const AstCteCycle *c)
{
    put(p, " CYCLE ");
    put_names(p, &c->columns, ", ");
    put(p, " SET ");
    put_ident(p, c->mark_column);
    put_cycle_const(p, " TO ", c->mark_value);
    put_cycle_const(p, " DEFAULT ", c->mark_default);
    put(p, " USING ");
    put_ident(p, c->path_column);
}

static void put_cte(Printer *p, const AstNode *node)
{
    static const char *const materialize[] = {" AS (", " AS MATERIALIZED (", " AS NOT MATERIALIZED ("};
    const AstCommonTableExpr *c = AST_CAST(node, CommonTableExpr, COMMON_TABLE_EXPR);
    put_ident(p, c->name);
    put_name_list(p, &c->columns);
    put(p, materialize[c->materialize]);
    put_query(p, c->query);
    put(p, ")");
    if (c->search != NULL) {
        put_search(p, c->search);
    }
    if (c->cycle != NULL) {
        put_cycle(p, c->cycle);
    }
}

static void put_with(Printer *p, const AstWithClause *with)
{
    if (with != NULL) {
        put(p, with->recursive ? "WITH RECURSIVE " : "WITH ");
        put_list(p, &with->ctes, ", ", put_cte);
        put(p, " ");
    }
}

/* SELECT. */

static void put_target(Printer *p, const AstNode *node)
{
    const AstResTarget *t = AST_CAST(node, ResTarget, RES_TARGET);
    put_expr(p, t->value);
    if (t->name.p != NULL) {
        put(p, " AS ");
        put_ident(p, t->name);
    }
}

static void put_distinct(Printer *p, const AstList *distinct)
{
    if (distinct->count == 0) {
        return;
    }
    put(p, " DISTINCT");
    if (distinct->items[0] != NULL) {
        put(p, " ON (");
        put_list(p, distinct, ", ", put_expr);
        put(p, ")");
    }
}

static void put_into(Printer *p, const AstIntoClause *into)
{
    if (into != NULL) {
        put(p, into->relation->persistence == 't'   ? " INTO TEMPORARY "
               : into->relation->persistence == 'u' ? " INTO UNLOGGED "
                                                    : " INTO ");
        put_relation_name(p, into->relation);
    }
}

static void put_window(Printer *p, const AstNode *node)
{
    const AstWindowDef *w = AST_CAST(node, WindowDef, WINDOW_DEF);
    put_ident(p, w->name);
    put(p, " AS ");
    put_window_spec(p, w);
}

static void put_values_row(Printer *p, const AstNode *node)
{
    put(p, "(");
    put_list(p, &AST_CAST(node, NodeList, NODE_LIST)->items, ", ", put_expr);
    put(p, ")");
}

static void put_simple_select(Printer *p, const AstSelectStmt *s)
{
    if (s->values.count > 0) {
        put_list_clause(p, "VALUES ", &s->values, put_values_row);
        return;
    }
    put(p, "SELECT");
    put_distinct(p, &s->distinct);
    put_list_clause(p, " ", &s->targets, put_target);
    put_into(p, s->into);
    put_list_clause(p, " FROM ", &s->from, put_from_item);
    put_clause(p, " WHERE ", s->where);
    put_list_clause(p, s->group_distinct ? " GROUP BY DISTINCT " : " GROUP BY ", &s->group_by, put_expr);
    put_clause(p, " HAVING ", s->having);
    put_list_clause(p, " WINDOW ", &s->windows, put_window);
}

static void put_limit(Printer *p, const AstSelectStmt *s)
{
    put_clause(p, " OFFSET ", s->offset);
    if (s->limit == NULL) {
        return;
    }
    if (s->limit_kind == AST_LIMIT_WITH_TIES) {
        put(p, " FETCH FIRST (");
        put_expr(p, s->limit);
        put(p, ") ROWS WITH TIES");
    } else {
        put_clause(p, " LIMIT ", s->limit);
    }
}

static void put_locking(Printer *p, const AstNode *node)
{
    static const char *const strengths[] = {"", " FOR KEY SHARE", " FOR SHARE", " FOR NO KEY UPDATE", " FOR UPDATE"};
    static const char *const waits[] = {"", " SKIP LOCKED", " NOWAIT"};
    const AstLockingClause *l = AST_CAST(node, LockingClause, LOCKING_CLAUSE);
    put(p, strengths[l->strength]);
    put_list_clause(p, " OF ", &l->relations, put_from_item);
    put(p, waits[l->wait]);
}

static void put_select(Printer *p, const AstSelectStmt *s)
{
    static const char *const words[] = {"", " UNION ", " INTERSECT ", " EXCEPT "};
    put_with(p, s->with);
    if (s->op == AST_SETOP_NONE) {
        put_simple_select(p, s);
    } else {
        put_nested_query(p, &s->left->node);
        put(p, words[s->op]);
        put(p, s->all ? "ALL " : "");
        put_nested_query(p, &s->right->node);
    }
    put_order_by(p, " ", &s->order_by);
    put_limit(p, s);
    put_list(p, &s->locking, "", put_locking);
}

/* Changes. */

static void put_target_column(Printer *p, const AstNode *node)
{
    const AstResTarget *t = AST_CAST(node, ResTarget, RES_TARGET);
    put_ident(p, t->name);
    put_path(p, &t->path);
}

static void put_column_targets(Printer *p, const AstList *columns)
{
    if (columns->count > 0) {
        put(p, " (");
        put_list(p, columns, ", ", put_target_column);
        put(p, ")");
    }
}

/* a = x, (b, c) = y: the columns of one multiple assignment are neighbours that share its source. */
static void put_assignments(Printer *p, const AstList *targets)
{
    for (uint32_t i = 0; i < targets->count && p->st == ST_OK; i++) {
        const AstResTarget *t = AST_CAST(targets->items[i], ResTarget, RES_TARGET);
        put(p, i > 0 ? ", " : "");
        if (t->value->tag != AST_MULTI_ASSIGN) {
            put_target_column(p, &t->node);
            put(p, " = ");
            put_expr(p, t->value);
            continue;
        }
        const AstMultiAssign *m = (const AstMultiAssign *)t->value;
        AstList group = {targets->items + i, (uint32_t)m->columns};
        put(p, "(");
        put_list(p, &group, ", ", put_target_column);
        put(p, ") = ");
        put_expr(p, m->source);
        i += group.count - 1;
    }
}

static void put_overriding(Printer *p, AstOverriding overriding)
{
    static const char *const words[] = {"", " OVERRIDING USER VALUE", " OVERRIDING SYSTEM VALUE"};
    put(p, words[overriding]);
}

void put_index_elem(Printer *p, const AstNode *node)
{
    const AstIndexElem *e = AST_CAST(node, IndexElem, INDEX_ELEM);
    if (e->expr != NULL) {
        put(p, "(");
        put_expr(p, e->expr);
        put(p, ")");
    } else {
        put_ident(p, e->name);
    }
    if (e->collation.count > 0) {
        put(p, " COLLATE ");
        put_names(p, &e->collation, ".");
    }
    if (e->opclass.count > 0) {
        put(p, " ");
        put_names(p, &e->opclass, ".");
    }
    if (e->opclass_options.count > 0) {
        put_unsupported(p, node);
    }
    put_sort_order(p, e->dir, e->nulls);
}

static void put_on_conflict(Printer *p, const AstOnConflict *c)
{
    put(p, " ON CONFLICT");
    if (c->infer != NULL && c->infer->constraint.p != NULL) {
        put(p, " ON CONSTRAINT ");
        put_ident(p, c->infer->constraint);
    } else if (c->infer != NULL) {
        put_list_clause(p, " (", &c->infer->elements, put_index_elem);
        put(p, ")");
        put_clause(p, " WHERE ", c->infer->where);
    }
    if (c->action == AST_CONFLICT_NOTHING) {
        put(p, " DO NOTHING");
        return;
    }
    put(p, " DO UPDATE SET ");
    put_assignments(p, &c->targets);
    put_clause(p, " WHERE ", c->where);
}

static void put_insert(Printer *p, const AstInsertStmt *s)
{
    put_with(p, s->with);
    put(p, "INSERT INTO ");
    put_range_var(p, s->relation);
    put_column_targets(p, &s->columns);
    put_overriding(p, s->overriding);
    put(p, " ");
    if (s->source != NULL) {
        put_query(p, s->source);
    } else {
        put(p, "DEFAULT VALUES");
    }
    if (s->on_conflict != NULL) {
        put_on_conflict(p, s->on_conflict);
    }
    put_list_clause(p, " RETURNING ", &s->returning, put_target);
}

static void put_update(Printer *p, const AstUpdateStmt *s)
{
    put_with(p, s->with);
    put(p, "UPDATE ");
    put_range_var(p, s->relation);
    put(p, " SET ");
    put_assignments(p, &s->targets);
    put_list_clause(p, " FROM ", &s->from, put_from_item);
    put_clause(p, " WHERE ", s->where);
    put_list_clause(p, " RETURNING ", &s->returning, put_target);
}

static void put_delete(Printer *p, const AstDeleteStmt *s)
{
    put_with(p, s->with);
    put(p, "DELETE FROM ");
    put_range_var(p, s->relation);
    put_list_clause(p, " USING ", &s->using, put_from_item);
    put_clause(p, " WHERE ", s->where);
    put_list_clause(p, " RETURNING ", &s->returning, put_target);
}

static void put_merge_action(Printer *p, const AstMergeWhen *w)
{
    switch (w->command) {
    case AST_CMD_UPDATE:
        put(p, "UPDATE SET ");
        put_assignments(p, &w->targets);
        break;
    case AST_CMD_DELETE: put(p, "DELETE"); break;
    case AST_CMD_INSERT:
        put(p, "INSERT");
        put_column_targets(p, &w->targets);
        put_overriding(p, w->overriding);
        put_list_clause(p, " VALUES (", &w->values, put_expr);
        put(p, w->values.count > 0 ? ")" : " DEFAULT VALUES");
        break;
    default: put(p, "DO NOTHING"); break;
    }
}

static void put_merge_when(Printer *p, const AstNode *node)
{
    const AstMergeWhen *w = AST_CAST(node, MergeWhen, MERGE_WHEN);
    put(p, w->matched ? " WHEN MATCHED" : " WHEN NOT MATCHED");
    put_clause(p, " AND ", w->condition);
    put(p, " THEN ");
    put_merge_action(p, w);
}

static void put_merge(Printer *p, const AstMergeStmt *s)
{
    put_with(p, s->with);
    put(p, "MERGE INTO ");
    put_range_var(p, s->relation);
    put(p, " USING ");
    put_from_item(p, s->source);
    put_clause(p, " ON ", s->on);
    put_list(p, &s->whens, "", put_merge_when);
}

void put_query(Printer *p, const AstNode *node)
{
    if (!put_may_descend(p)) {
        return;
    }
    switch (node->tag) {
    case AST_SELECT_STMT: put_select(p, (const AstSelectStmt *)node); break;
    case AST_INSERT_STMT: put_insert(p, (const AstInsertStmt *)node); break;
    case AST_UPDATE_STMT: put_update(p, (const AstUpdateStmt *)node); break;
    case AST_DELETE_STMT: put_delete(p, (const AstDeleteStmt *)node); break;
    case AST_MERGE_STMT: put_merge(p, (const AstMergeStmt *)node); break;
    default: put_unsupported(p, node);
    }
}
