/*
 * bind/dump.c: logical trees as text, for tests. Columns are c<id>.
 */
#include "bind/logical.h"
#include "os/thread.h"

static void put_query(StrBuf *sb, const LogicalQuery *q, int depth);

static void put_const(StrBuf *sb, const Expr *e)
{
    if (e->u.value == NULL) {
        strbuf_puts(sb, "null");
    } else if (e->type.oid == OID_BOOL) {
        strbuf_puts(sb, e->u.value->b ? "true" : "false");
    } else if (e->type.phys == P_I32) {
        strbuf_printf(sb, "%d", e->u.value->i32);
    } else if (e->type.phys == P_I64) {
        strbuf_printf(sb, "%lld", (long long)e->u.value->i64);
    } else if (e->type.phys == P_STR && e->type.oid != OID_NUMERIC && type_element(e->type.oid) == 0) {
        strbuf_putc(sb, '\'');
        strbuf_append(sb, strview_ptr(&e->u.value->str), e->u.value->str.len);
        strbuf_putc(sb, '\'');
    } else {
        strbuf_puts(sb, "const");
    }
    char name[TYPE_NAME_BYTES];
    type_name_text(e->type.oid, name);
    strbuf_printf(sb, "::%s", name);
}

static void put_expr(StrBuf *sb, const Expr *e, int depth)
{
    static const char *const names[EXPR_KIND_COUNT] = {
        [EXPR_AND] = "and", [EXPR_OR] = "or", [EXPR_NOT] = "not", [EXPR_NULL_TEST] = "null-test",
        [EXPR_BOOL_TEST] = "bool-test", [EXPR_DISTINCT] = "distinct", [EXPR_CASE] = "case", [EXPR_COALESCE] = "coalesce",
        [EXPR_NULLIF] = "nullif", [EXPR_MIN_MAX] = "min-max", [EXPR_ANY_ALL] = "any-all", [EXPR_ARRAY] = "array",
        [EXPR_ROW] = "row", [EXPR_ROW_COMPARE] = "row-compare", [EXPR_SUBSCRIPT] = "subscript", [EXPR_FIELD] = "field",
        [EXPR_SESSION] = "session", [EXPR_COLLATE] = "collate", [EXPR_SUBLINK] = "sublink", [EXPR_DOMAIN] = "domain",
        [EXPR_CASE_VALUE] = "case-value",
    };
    char type[TYPE_NAME_BYTES];
    if (!os_stack_ok(OS_STACK_RESERVE)) {
        strbuf_puts(sb, "...");
        return;
    }
    switch (e->kind) {
    case EXPR_CONST: put_const(sb, e); return;
    case EXPR_COLUMN: strbuf_printf(sb, "c%u", e->u.column); return;
    case EXPR_PARAM: strbuf_printf(sb, "$%u", e->u.number); return;
    case EXPR_CALL:
    case EXPR_SET:
        if (e->op == EXPR_FORM_REP) {
            put_expr(sb, e->args[0], depth);
            return;
        }
        if (e->op == EXPR_FORM_CAST_EXPLICIT || e->op == EXPR_FORM_CAST_IMPLICIT) {
            type_name_text(e->type.oid, type);
            strbuf_printf(sb, "cast<%s>", type);
        } else {
            strbuf_puts(sb, e->u.call->oper != 0 ? oper_by_oid(e->u.call->oper)->name : e->u.call->call.fn->name);
        }
        break;
    case EXPR_AGGREGATE:
    case EXPR_WINDOW: strbuf_puts(sb, e->u.aggregate->fn->name); break;
    default: strbuf_puts(sb, names[e->kind]); break;
    }
    strbuf_putc(sb, '(');
    for (uint32_t i = 0; i < e->nargs; i++) {
        strbuf_puts(sb, i > 0 ? ", " : "");
        put_expr(sb, e->args[i], depth);
    }
    if (e->kind == EXPR_SUBLINK) {
        strbuf_puts(sb, "\n");
        put_query(sb, e->u.sublink->query, depth + 1);
        strbuf_printf(sb, "%*s", depth * 2, "");
    }
    strbuf_putc(sb, ')');
}

static void put_exprs(StrBuf *sb, const Expr *const *v, uint32_t n, int depth)
{
    strbuf_puts(sb, " [");
    for (uint32_t i = 0; i < n; i++) {
        strbuf_puts(sb, i > 0 ? ", " : "");
        put_expr(sb, v[i], depth);
    }
    strbuf_putc(sb, ']');
}

static void put_node(StrBuf *sb, const Logical *l, int depth)
{
    static const char *const names[] = {"scan", "values", "functions", "cte-scan", "filter", "project", "set-project", "join",
                                        "aggregate", "window", "distinct", "sort", "limit", "set-operation", "recursive",
                                        "lock", "modify"};
    static const char *const joins[] = {"inner", "left", "right", "full", "semi", "anti"};
    if (l == NULL || !os_stack_ok(OS_STACK_RESERVE)) {
        return;
    }
    strbuf_printf(sb, "%*s%s", depth * 2, "", names[l->kind]);
    switch (l->kind) {
    case LOGICAL_SCAN: strbuf_printf(sb, " %s", l->u.scan.alias); break;
    case LOGICAL_VALUES: put_exprs(sb, l->u.values.rows, l->u.values.n_rows * l->columns.n, depth); break;
    case LOGICAL_FUNCTIONS: put_exprs(sb, l->u.functions.calls.v, l->u.functions.calls.n, depth); break;
    case LOGICAL_CTE_SCAN: strbuf_printf(sb, " %u", l->u.cte_scan.number); break;
    case LOGICAL_FILTER: put_exprs(sb, &l->u.filter.condition, 1, depth); break;
    case LOGICAL_PROJECT:
    case LOGICAL_SET_PROJECT: put_exprs(sb, l->u.project.v, l->u.project.n, depth); break;
    case LOGICAL_JOIN:
        strbuf_printf(sb, " %s%s", joins[l->u.join.kind], l->u.join.lateral ? " lateral" : "");
        put_exprs(sb, &l->u.join.condition, l->u.join.condition != NULL, depth);
        break;
    case LOGICAL_AGGREGATE:
        put_exprs(sb, l->u.aggregate.keys.v, l->u.aggregate.keys.n, depth);
        put_exprs(sb, l->u.aggregate.aggregates.v, l->u.aggregate.aggregates.n, depth);
        for (uint32_t i = 0; i < l->u.aggregate.n_grouping_sets; i++) {
            strbuf_printf(sb, " %llx", (unsigned long long)l->u.aggregate.grouping_sets[i]);
        }
        break;
    case LOGICAL_WINDOW: put_exprs(sb, l->u.window.calls.v, l->u.window.calls.n, depth); break;
    case LOGICAL_DISTINCT: put_exprs(sb, l->u.distinct.on.v, l->u.distinct.on.n, depth); break;
    case LOGICAL_SORT:
        for (uint32_t i = 0; i < l->u.sort.n; i++) {
            put_exprs(sb, &l->u.sort.keys[i].key, 1, depth);
            strbuf_puts(sb, l->u.sort.keys[i].descending ? "desc" : "");
        }
        break;
    case LOGICAL_LIMIT:
        put_exprs(sb, &l->u.limit.count, l->u.limit.count != NULL, depth);
        put_exprs(sb, &l->u.limit.offset, l->u.limit.offset != NULL, depth);
        break;
    case LOGICAL_SET_OPERATION: strbuf_printf(sb, " %d", (int)l->u.set_operation.kind); break;
    case LOGICAL_MODIFY:
        strbuf_printf(sb, " %s %s", l->u.modify.kind == LOGICAL_INSERT   ? "insert"
                                    : l->u.modify.kind == LOGICAL_UPDATE ? "update" : "delete",
                      l->u.modify.relation->name);
        for (uint32_t i = 0; i < l->u.modify.n_set; i++) {
            strbuf_printf(sb, " %d=", l->u.modify.set[i].attribute);
            put_expr(sb, l->u.modify.set[i].value, depth);
        }
        put_exprs(sb, l->u.modify.returning.v, l->u.modify.returning.n, depth);
        break;
    default: break;
    }
    strbuf_puts(sb, " ->");
    for (uint32_t i = 0; i < l->columns.n; i++) {
        strbuf_printf(sb, " c%u", l->columns.v[i].id);
    }
    strbuf_putc(sb, '\n');
    put_node(sb, l->left, depth + 1);
    put_node(sb, l->right, depth + 1);
}

static void put_query(StrBuf *sb, const LogicalQuery *q, int depth)
{
    strbuf_printf(sb, "%*squery (", depth * 2, "");
    for (uint32_t i = 0; i < q->output.n; i++) {
        char type[TYPE_NAME_BYTES];
        type_name_text(q->output.v[i].type.oid, type);
        strbuf_printf(sb, "%s%s %s", i > 0 ? ", " : "", q->output.v[i].name, type);
    }
    strbuf_putc(sb, ')');
    for (uint32_t i = 0; i < q->n_outer; i++) {
        strbuf_printf(sb, " outer c%u", q->outer[i]);
    }
    strbuf_putc(sb, '\n');
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        strbuf_printf(sb, "%*swith %s %u\n", depth * 2 + 2, "", q->ctes[i].name, q->ctes[i].number);
        put_query(sb, q->ctes[i].query, depth + 2);
    }
    put_node(sb, q->root, depth + 1);
}

Status logical_dump(Ctx *cx, const LogicalStatement *s, StrBuf *out)
{
    put_query(out, s->query, 0);
    return out->failed ? ctx_nomem(cx, out->len) : ST_OK;
}
