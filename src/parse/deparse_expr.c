/*
 * parse/deparse_expr.c: expressions.
 */
#include "parse/deparse_int.h"

/* Leaves. */

static void put_const(Printer *p, const AstConst *c)
{
    switch (c->kind) {
    case AST_CONST_NULL: put(p, "NULL"); break;
    case AST_CONST_INT: put_int(p, c->ival); break;
    case AST_CONST_FLOAT: strbuf_append(p->out, c->text.p, c->text.len); break;
    case AST_CONST_STRING: put_string(p, c->text); break;
    case AST_CONST_BOOL: put(p, c->ival != 0 ? "true" : "false"); break;
    case AST_CONST_BIT:
        strbuf_putc(p->out, c->text.p[0]);
        put_string(p, (Str){c->text.p + 1, c->text.len - 1});
        break;
    }
}

static void put_column_ref(Printer *p, const AstColumnRef *c)
{
    put_names(p, &c->names, ".");
    if (c->star) {
        put(p, c->names.count > 0 ? ".*" : "*");
    }
}

static void put_sql_value(Printer *p, const AstSqlValueFunction *f)
{
    static const char *const words[] = {
        [AST_CURRENT_DATE] = "CURRENT_DATE",
        [AST_CURRENT_TIME] = "CURRENT_TIME",
        [AST_CURRENT_TIME_N] = "CURRENT_TIME",
        [AST_CURRENT_TIMESTAMP] = "CURRENT_TIMESTAMP",
        [AST_CURRENT_TIMESTAMP_N] = "CURRENT_TIMESTAMP",
        [AST_LOCALTIME] = "LOCALTIME",
        [AST_LOCALTIME_N] = "LOCALTIME",
        [AST_LOCALTIMESTAMP] = "LOCALTIMESTAMP",
        [AST_LOCALTIMESTAMP_N] = "LOCALTIMESTAMP",
        [AST_CURRENT_ROLE] = "CURRENT_ROLE",
        [AST_CURRENT_USER] = "CURRENT_USER",
        [AST_USER] = "USER",
        [AST_SESSION_USER] = "SESSION_USER",
        [AST_CURRENT_CATALOG] = "CURRENT_CATALOG",
        [AST_CURRENT_SCHEMA] = "CURRENT_SCHEMA",
    };
    put(p, words[f->op]);
    if (f->typmod >= 0) {
        put(p, "(");
        put_int(p, f->typmod);
        put(p, ")");
    }
}

void put_path(Printer *p, const AstList *path)
{
    for (uint32_t i = 0; i < path->count; i++) {
        const AstNode *step = path->items[i];
        switch (step->tag) {
        case AST_STRING:
            put(p, ".");
            put_ident(p, ((const AstString *)step)->text);
            break;
        case AST_STAR: put(p, ".*"); break;
        case AST_INDICES: {
            const AstIndices *ix = (const AstIndices *)step;
            put(p, "[");
            put_expr(p, ix->lower);
            put(p, ix->is_slice ? " : " : "");
            put_expr(p, ix->upper);
            put(p, "]");
            break;
        }
        default: put_unsupported(p, step);
        }
    }
}

/* Operators. */

static void put_operator(Printer *p, const AstNames *name)
{
    const Str *op = &name->items[name->count - 1];
    put(p, name->count > 1 ? "OPERATOR(" : "");
    for (uint32_t i = 0; i + 1 < name->count; i++) {
        put_ident(p, name->items[i]);
        put(p, ".");
    }
    strbuf_append(p->out, op->p, op->len);
    put(p, name->count > 1 ? ")" : "");
}

static bool op_is(const AstOpExpr *e, const char *op)
{
    return e->name.count == 1 && str_eq(e->name.items[0], str_from(op));
}

static bool is_system_call(const AstNode *node, const char *name)
{
    if (node->tag != AST_FUNC_CALL) {
        return false;
    }
    const AstNames *names = &((const AstFuncCall *)node)->name;
    return names->count == 2 && str_eq(names->items[0], STR_LIT("pg_catalog")) &&
           str_eq(names->items[1], str_from(name));
}

static void put_like(Printer *p, const AstOpExpr *e, bool negated, const char *word, const char *escape_call)
{
    put_operand(p, e->left);
    put(p, negated ? " NOT " : " ");
    put(p, word);
    put(p, " ");
    const AstFuncCall *call = (const AstFuncCall *)e->right;
    if (!is_system_call(e->right, escape_call) || call->args.count > 2 || call->format != AST_CALL_EXPLICIT) {
        put_operand(p, e->right);
        return;
    }
    put_operand(p, call->args.items[0]);
    if (call->args.count == 2) {
        put(p, " ESCAPE ");
        put_operand(p, call->args.items[1]);
    }
}

static void put_in(Printer *p, const AstOpExpr *e)
{
    put_operand(p, e->left);
    put(p, op_is(e, "<>") ? " NOT IN (" : " IN (");
    put_list(p, &AST_CAST(e->right, NodeList, NODE_LIST)->items, ", ", put_expr);
    put(p, ")");
}

static void put_between(Printer *p, const AstOpExpr *e, const char *word)
{
    const AstList *bounds = &AST_CAST(e->right, NodeList, NODE_LIST)->items;
    put_operand(p, e->left);
    put(p, word);
    put_operand(p, bounds->items[0]);
    put(p, " AND ");
    put_operand(p, bounds->items[1]);
}

static void put_infix(Printer *p, const AstNode *left, const char *word, const AstNode *right)
{
    put_operand(p, left);
    put(p, word);
    put_operand(p, right);
}

static void put_array_op(Printer *p, const AstOpExpr *e, const char *quantifier)
{
    put_operand(p, e->left);
    put(p, " ");
    put_operator(p, &e->name);
    put(p, quantifier);
    put_expr(p, e->right);
    put(p, ")");
}

static void put_op_expr(Printer *p, const AstOpExpr *e)
{
    switch (e->kind) {
    case AST_OP:
        if (e->left != NULL) {
            put_operand(p, e->left);
            put(p, " ");
        }
        put_operator(p, &e->name);
        put(p, " ");
        put_operand(p, e->right);
        break;
    case AST_OP_ANY: put_array_op(p, e, " ANY ("); break;
    case AST_OP_ALL: put_array_op(p, e, " ALL ("); break;
    case AST_OP_DISTINCT: put_infix(p, e->left, " IS DISTINCT FROM ", e->right); break;
    case AST_OP_NOT_DISTINCT: put_infix(p, e->left, " IS NOT DISTINCT FROM ", e->right); break;
    case AST_OP_NULLIF:
        put(p, "NULLIF(");
        put_expr(p, e->left);
        put(p, ", ");
        put_expr(p, e->right);
        put(p, ")");
        break;
    case AST_OP_IN: put_in(p, e); break;
    case AST_OP_LIKE: put_like(p, e, op_is(e, "!~~"), "LIKE", "like_escape"); break;
    case AST_OP_ILIKE: put_like(p, e, op_is(e, "!~~*"), "ILIKE", "like_escape"); break;
    case AST_OP_SIMILAR: put_like(p, e, op_is(e, "!~"), "SIMILAR TO", "similar_to_escape"); break;
    case AST_OP_BETWEEN: put_between(p, e, " BETWEEN "); break;
    case AST_OP_NOT_BETWEEN: put_between(p, e, " NOT BETWEEN "); break;
    case AST_OP_BETWEEN_SYMMETRIC: put_between(p, e, " BETWEEN SYMMETRIC "); break;
    case AST_OP_NOT_BETWEEN_SYMMETRIC: put_between(p, e, " NOT BETWEEN SYMMETRIC "); break;
    }
}

static void put_bool_expr(Printer *p, const AstBoolExpr *e)
{
    if (e->op == AST_BOOL_NOT) {
        put(p, "NOT ");
    }
    put_list(p, &e->args, e->op == AST_BOOL_AND ? " AND " : " OR ", put_operand);
}

static void put_boolean_test(Printer *p, const AstBooleanTest *t)
{
    static const char *const words[] = {
        [AST_IS_TRUE] = " IS TRUE",       [AST_IS_NOT_TRUE] = " IS NOT TRUE",
        [AST_IS_FALSE] = " IS FALSE",     [AST_IS_NOT_FALSE] = " IS NOT FALSE",
        [AST_IS_UNKNOWN] = " IS UNKNOWN", [AST_IS_NOT_UNKNOWN] = " IS NOT UNKNOWN",
    };
    put_operand(p, t->arg);
    put(p, words[t->kind]);
}

static void put_sub_link(Printer *p, const AstSubLink *s)
{
    switch (s->kind) {
    case AST_SUBLINK_EXISTS: put(p, "EXISTS "); break;
    case AST_SUBLINK_ARRAY: put(p, "ARRAY"); break;
    case AST_SUBLINK_EXPR: break;
    case AST_SUBLINK_ANY:
    case AST_SUBLINK_ALL:
        put_operand(p, s->test);
        put(p, " ");
        if (s->op_name.count == 0) {
            put(p, "IN ");
        } else {
            put_operator(p, &s->op_name);
            put(p, s->kind == AST_SUBLINK_ANY ? " ANY " : " ALL ");
        }
        break;
    default: put_unsupported(p, &s->node); return;
    }
    put(p, "(");
    put_query(p, s->query);
    put(p, ")");
}

static void put_case(Printer *p, const AstCaseExpr *c)
{
    put(p, "CASE");
    if (c->arg != NULL) {
        put(p, " ");
        put_expr(p, c->arg);
    }
    for (uint32_t i = 0; i < c->whens.count; i++) {
        const AstCaseWhen *when = AST_CAST(c->whens.items[i], CaseWhen, CASE_WHEN);
        put(p, " WHEN ");
        put_expr(p, when->condition);
        put(p, " THEN ");
        put_expr(p, when->result);
    }
    if (c->default_result != NULL) {
        put(p, " ELSE ");
        put_expr(p, c->default_result);
    }
    put(p, " END");
}

/* Calls. */

static void put_args(Printer *p, const char *before, const AstList *args, const char *after)
{
    put(p, before);
    put_list(p, args, ", ", put_expr);
    put(p, after);
}

/* before a1 word1 a2 word2 a3 ... ): calls whose arguments are parted by words. */
static void put_worded(Printer *p, const char *before, const AstFuncCall *f, const char *const words[])
{
    put(p, before);
    for (uint32_t i = 0; i < f->args.count; i++) {
        put(p, i > 0 ? words[i - 1] : "");
        put_operand(p, f->args.items[i]);
    }
    put(p, ")");
}

/* The form of a normalization is a word, not a string. */
static void put_normal_form(Printer *p, const AstFuncCall *f, const char *before)
{
    if (f->args.count > 1) {
        Str form = AST_CAST(f->args.items[1], Const, CONST)->text;
        put(p, before);
        strbuf_append(p->out, form.p, form.len);
    }
}

static void put_reversed(Printer *p, const AstFuncCall *f, const char *word)
{
    put_operand(p, f->args.items[1]);
    put(p, word);
    put_operand(p, f->args.items[0]);
}

/* What PostgreSQL writes in words and keeps as a call of a system function. */
static void put_sql_syntax(Printer *p, const AstFuncCall *f)
{
    static const char *const from_for[] = {" FROM ", " FOR "};
    static const char *const placing[] = {" PLACING ", " FROM ", " FOR "};
    static const char *const from[] = {" FROM "};
    const AstNode *node = &f->node;
    if (is_system_call(node, "timezone")) {
        put_reversed(p, f, " AT TIME ZONE ");
    } else if (is_system_call(node, "overlaps") && f->args.count == 4) {
        AstList rows[2] = {{f->args.items, 2}, {f->args.items + 2, 2}};
        put_args(p, "(", &rows[0], ") OVERLAPS (");
        put_args(p, "", &rows[1], ")");
    } else if (is_system_call(node, "extract")) {
        put_worded(p, "EXTRACT(", f, from);
    } else if (is_system_call(node, "is_normalized")) {
        put_operand(p, f->args.items[0]);
        put(p, " IS");
        put_normal_form(p, f, " ");
        put(p, " NORMALIZED");
    } else if (is_system_call(node, "normalize")) {
        put(p, "NORMALIZE(");
        put_expr(p, f->args.items[0]);
        put_normal_form(p, f, ", ");
        put(p, ")");
    } else if (is_system_call(node, "overlay")) {
        put_worded(p, "OVERLAY(", f, placing);
    } else if (is_system_call(node, "position")) {
        put(p, "POSITION(");
        put_reversed(p, f, " IN ");
        put(p, ")");
    } else if (is_system_call(node, "substring") && f->args.count > 1) {
        put_worded(p, "SUBSTRING(", f, from_for);
    } else if (is_system_call(node, "substring")) {
        put_args(p, "SUBSTRING(", &f->args, ")");
    } else if (is_system_call(node, "btrim")) {
        put_args(p, "TRIM(BOTH FROM ", &f->args, ")");
    } else if (is_system_call(node, "ltrim")) {
        put_args(p, "TRIM(LEADING FROM ", &f->args, ")");
    } else if (is_system_call(node, "rtrim")) {
        put_args(p, "TRIM(TRAILING FROM ", &f->args, ")");
    } else if (is_system_call(node, "pg_collation_for")) {
        put_args(p, "COLLATION FOR (", &f->args, ")");
    } else {
        put_unsupported(p, node);
    }
}

/* AT TIME ZONE, OVERLAPS and IS NORMALIZED are written like operators. */
static bool is_primary_call(const AstFuncCall *f)
{
    const AstNode *node = &f->node;
    return f->format != AST_CALL_SQL_SYNTAX || !(is_system_call(node, "timezone") || is_system_call(node, "overlaps") ||
                                                 is_system_call(node, "is_normalized"));
}

static void put_call_args(Printer *p, const AstFuncCall *f)
{
    put(p, f->star ? "*" : f->distinct ? "DISTINCT " : "");
    for (uint32_t i = 0; i < f->args.count; i++) {
        put(p, i > 0 ? ", " : "");
        put(p, f->variadic && i + 1 == f->args.count ? "VARIADIC " : "");
        put_expr(p, f->args.items[i]);
    }
    if (!f->within_group) {
        put_order_by(p, " ", &f->order_by);
    }
}

static void put_func_name(Printer *p, const AstNames *name)
{
    if (name->count == 1) {
        put_plain_ident(p, name->items[0]);
    } else {
        put_names(p, name, ".");
    }
}

static void put_func_call(Printer *p, const AstFuncCall *f)
{
    if (f->format == AST_CALL_SQL_SYNTAX) {
        put_sql_syntax(p, f);
        return;
    }
    put_func_name(p, &f->name);
    put(p, "(");
    put_call_args(p, f);
    put(p, ")");
    if (f->within_group) {
        put(p, " WITHIN GROUP (");
        put_order_by(p, "", &f->order_by);
        put(p, ")");
    }
    if (f->filter != NULL) {
        put(p, " FILTER (WHERE ");
        put_expr(p, f->filter);
        put(p, ")");
    }
    if (f->over != NULL) {
        put(p, " OVER ");
        if (f->over->name.p != NULL) {
            put_ident(p, f->over->name);
        } else {
            put_window_spec(p, f->over);
        }
    }
}

/* Sorting and windows. */

void put_sort_order(Printer *p, AstSortDir dir, AstSortNulls nulls)
{
    static const char *const dirs[] = {"", " ASC", " DESC", ""};
    static const char *const nulls_words[] = {"", " NULLS FIRST", " NULLS LAST"};
    put(p, dirs[dir]);
    put(p, nulls_words[nulls]);
}

void put_sort_by(Printer *p, const AstNode *node)
{
    const AstSortBy *s = AST_CAST(node, SortBy, SORT_BY);
    put_expr(p, s->expr);
    if (s->dir == AST_SORT_USING) {
        put(p, " USING ");
        put_operator(p, &s->using_op);
    }
    put_sort_order(p, s->dir, s->nulls);
}

void put_order_by(Printer *p, const char *before, const AstList *list)
{
    if (list->count > 0) {
        put(p, before);
        put(p, "ORDER BY ");
        put_list(p, list, ", ", put_sort_by);
    }
}

static void put_frame_bound(Printer *p, int32_t frame, bool start, const AstNode *offset)
{
    /* The bits of an end are one above those of the start. */
    frame = start ? frame : frame >> 1;
    if (frame & AST_FRAME_START_UNBOUNDED_PRECEDING) {
        put(p, "UNBOUNDED PRECEDING");
    } else if (frame & AST_FRAME_START_UNBOUNDED_FOLLOWING) {
        put(p, "UNBOUNDED FOLLOWING");
    } else if (frame & AST_FRAME_START_CURRENT_ROW) {
        put(p, "CURRENT ROW");
    } else {
        put_operand(p, offset);
        put(p, frame & AST_FRAME_START_OFFSET_PRECEDING ? " PRECEDING" : " FOLLOWING");
    }
}

static void put_frame(Printer *p, const AstWindowDef *w)
{
    int32_t frame = w->frame;
    put(p, frame & AST_FRAME_RANGE ? "RANGE " : frame & AST_FRAME_ROWS ? "ROWS " : "GROUPS ");
    put(p, frame & AST_FRAME_BETWEEN ? "BETWEEN " : "");
    put_frame_bound(p, frame, true, w->start_offset);
    if (frame & AST_FRAME_BETWEEN) {
        put(p, " AND ");
        put_frame_bound(p, frame, false, w->end_offset);
    }
    put(p, frame & AST_FRAME_EXCLUDE_CURRENT_ROW ? " EXCLUDE CURRENT ROW"
           : frame & AST_FRAME_EXCLUDE_GROUP     ? " EXCLUDE GROUP"
           : frame & AST_FRAME_EXCLUDE_TIES      ? " EXCLUDE TIES"
                                                 : "");
}

void put_window_spec(Printer *p, const AstWindowDef *w)
{
    const char *gap = "";
    put(p, "(");
    if (w->ref_name.p != NULL) {
        put_plain_ident(p, w->ref_name);
        gap = " ";
    }
    if (w->partition_by.count > 0) {
        put(p, gap);
        put_args(p, "PARTITION BY ", &w->partition_by, "");
        gap = " ";
    }
    put_order_by(p, gap, &w->order_by);
    gap = w->order_by.count > 0 ? " " : gap;
    if (w->frame & AST_FRAME_NONDEFAULT) {
        put(p, gap);
        put_frame(p, w);
    }
    put(p, ")");
}

/* Dispatch. */

/* Is the text of the node a c_expr of the grammar, or else in need of parentheses as an operand? */
static bool is_primary(const AstNode *node)
{
    switch (node->tag) {
    case AST_CONST: {
        const AstConst *c = (const AstConst *)node;
        return c->kind == AST_CONST_INT ? c->ival >= 0 : c->kind != AST_CONST_FLOAT || c->text.p[0] != '-';
    }
    case AST_FUNC_CALL: return is_primary_call((const AstFuncCall *)node);
    case AST_OP_EXPR: return ((const AstOpExpr *)node)->kind == AST_OP_NULLIF;
    case AST_SUB_LINK: return ((const AstSubLink *)node)->test == NULL;
    case AST_BOOL_EXPR:
    case AST_NULL_TEST:
    case AST_BOOLEAN_TEST:
    case AST_COLLATE_CLAUSE:
    case AST_SET_TO_DEFAULT: return false;
    default: return true;
    }
}

void put_operand(Printer *p, const AstNode *node)
{
    if (is_primary(node)) {
        put_expr(p, node);
    } else {
        put(p, "(");
        put_expr(p, node);
        put(p, ")");
    }
}

static void put_cast(Printer *p, const AstTypeCast *c)
{
    put(p, "CAST(");
    put_expr(p, c->arg);
    put(p, " AS ");
    put_type(p, c->type);
    put(p, ")");
}

static void put_named_arg(Printer *p, const AstNamedArg *a)
{
    put_ident(p, a->name);
    put(p, " => ");
    put_expr(p, a->arg);
}

static void put_grouping_set(Printer *p, const AstGroupingSet *g)
{
    static const char *const words[] = {"(", "(", "ROLLUP (", "CUBE (", "GROUPING SETS ("};
    put_args(p, words[g->kind], &g->content, ")");
}

static void put_indirection(Printer *p, const AstIndirection *i)
{
    put(p, "(");
    put_expr(p, i->arg);
    put(p, ")");
    put_path(p, &i->path);
}

static void put_min_max(Printer *p, const AstMinMaxExpr *m)
{
    put_args(p, m->op == AST_GREATEST ? "GREATEST(" : "LEAST(", &m->args, ")");
}

static void put_row(Printer *p, const AstRowExpr *r)
{
    put_args(p, r->format == AST_CALL_EXPLICIT ? "ROW(" : "(", &r->args, ")");
}

static void put_current_of(Printer *p, const AstCurrentOf *c)
{
    put(p, "CURRENT OF ");
    if (c->cursor.p != NULL) {
        put_ident(p, c->cursor);
    } else {
        put(p, "$");
        put_int(p, c->param);
    }
}

void put_expr(Printer *p, const AstNode *node)
{
    if (node == NULL || !put_may_descend(p)) {
        return;
    }
    switch (node->tag) {
    case AST_CONST: put_const(p, (const AstConst *)node); break;
    case AST_COLUMN_REF: put_column_ref(p, (const AstColumnRef *)node); break;
    case AST_PARAM_REF:
        put(p, "$");
        put_int(p, ((const AstParamRef *)node)->number);
        break;
    case AST_TYPE_CAST: put_cast(p, (const AstTypeCast *)node); break;
    case AST_OP_EXPR: put_op_expr(p, (const AstOpExpr *)node); break;
    case AST_BOOL_EXPR: put_bool_expr(p, (const AstBoolExpr *)node); break;
    case AST_NULL_TEST:
        put_operand(p, ((const AstNullTest *)node)->arg);
        put(p, ((const AstNullTest *)node)->kind == AST_IS_NULL ? " IS NULL" : " IS NOT NULL");
        break;
    case AST_BOOLEAN_TEST: put_boolean_test(p, (const AstBooleanTest *)node); break;
    case AST_SUB_LINK: put_sub_link(p, (const AstSubLink *)node); break;
    case AST_CASE_EXPR: put_case(p, (const AstCaseExpr *)node); break;
    case AST_COALESCE_EXPR: put_args(p, "COALESCE(", &((const AstCoalesceExpr *)node)->args, ")"); break;
    case AST_MIN_MAX_EXPR: put_min_max(p, (const AstMinMaxExpr *)node); break;
    case AST_ROW_EXPR: put_row(p, (const AstRowExpr *)node); break;
    case AST_ARRAY_EXPR: put_args(p, "ARRAY[", &((const AstArrayExpr *)node)->elements, "]"); break;
    case AST_INDIRECTION: put_indirection(p, (const AstIndirection *)node); break;
    case AST_FUNC_CALL: put_func_call(p, (const AstFuncCall *)node); break;
    case AST_NAMED_ARG: put_named_arg(p, (const AstNamedArg *)node); break;
    case AST_COLLATE_CLAUSE:
        put_operand(p, ((const AstCollateClause *)node)->arg);
        put(p, " COLLATE ");
        put_names(p, &((const AstCollateClause *)node)->name, ".");
        break;
    case AST_SQL_VALUE_FUNCTION: put_sql_value(p, (const AstSqlValueFunction *)node); break;
    case AST_GROUPING_FUNC: put_args(p, "GROUPING(", &((const AstGroupingFunc *)node)->args, ")"); break;
    case AST_GROUPING_SET: put_grouping_set(p, (const AstGroupingSet *)node); break;
    case AST_SET_TO_DEFAULT: put(p, "DEFAULT"); break;
    case AST_CURRENT_OF: put_current_of(p, (const AstCurrentOf *)node); break;
    default: put_unsupported(p, node);
    }
}
