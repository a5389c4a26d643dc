/*
 * parse/deparse_stmt.c: the statements around a query and those of sessions; the deparser's entry.
 */
#include "parse/deparse_int.h"

static void put_str_clause(Printer *p, const char *word, Str name)
{
    if (name.p != NULL) {
        put(p, word);
        put_ident(p, name);
    }
}

/* An option's value: a string is written as one, which the grammar takes for any word. */
static void put_option_value(Printer *p, const AstNode *arg)
{
    switch (arg->tag) {
    case AST_STRING: put_string(p, ((const AstString *)arg)->text); break;
    case AST_CONST: put_expr(p, arg); break;
    case AST_STAR: put(p, "*"); break;
    case AST_NAME: /* COPY: (a, b) */
        put(p, "(");
        put_names(p, &((const AstName *)arg)->names, ", ");
        put(p, ")");
        break;
    default: put_unsupported(p, arg);
    }
}

static void put_option(Printer *p, const AstNode *node)
{
    const AstDefElem *d = AST_CAST(node, DefElem, DEF_ELEM);
    put_ident(p, d->name);
    if (d->arg != NULL) {
        put(p, " ");
        put_option_value(p, d->arg);
    }
}

static void put_options(Printer *p, const AstList *options)
{
    if (options->count > 0) {
        put(p, " (");
        put_list(p, options, ", ", put_option);
        put(p, ")");
    }
}

static void put_explain(Printer *p, const AstExplainStmt *s)
{
    put(p, "EXPLAIN");
    put_options(p, &s->options);
    put(p, " ");
    put_statement(p, s->query);
}

static void put_type_item(Printer *p, const AstNode *node)
{
    put_type(p, AST_CAST(node, TypeName, TYPE_NAME));
}

static void put_prepare(Printer *p, const AstPrepareStmt *s)
{
    put_str_clause(p, "PREPARE ", s->name);
    if (s->types.count > 0) {
        put(p, " (");
        put_list(p, &s->types, ", ", put_type_item);
        put(p, ")");
    }
    put(p, " AS ");
    put_query(p, s->query);
}

static void put_execute(Printer *p, const AstExecuteStmt *s)
{
    put_str_clause(p, "EXECUTE ", s->name);
    if (s->params.count > 0) {
        put(p, " (");
        put_list(p, &s->params, ", ", put_expr);
        put(p, ")");
    }
}

static void put_name_or_all(Printer *p, const char *word, Str name)
{
    put(p, word);
    if (name.p != NULL) {
        put_ident(p, name);
    } else {
        put(p, "ALL");
    }
}

static void put_declare_cursor(Printer *p, const AstDeclareCursorStmt *s)
{
    put_str_clause(p, "DECLARE ", s->name);
    put(p, s->options & AST_CURSOR_BINARY ? " BINARY" : "");
    put(p, s->options & AST_CURSOR_INSENSITIVE ? " INSENSITIVE" : "");
    put(p, s->options & AST_CURSOR_ASENSITIVE ? " ASENSITIVE" : "");
    put(p, s->options & AST_CURSOR_SCROLL ? " SCROLL" : "");
    put(p, s->options & AST_CURSOR_NO_SCROLL ? " NO SCROLL" : "");
    put(p, s->options & AST_CURSOR_HOLD ? " CURSOR WITH HOLD FOR " : " CURSOR FOR ");
    put_query(p, s->query);
}

static void put_fetch(Printer *p, const AstFetchStmt *s)
{
    static const char *const words[] = {"FORWARD ", "BACKWARD ", "ABSOLUTE ", "RELATIVE "};
    put(p, s->is_move ? "MOVE " : "FETCH ");
    put(p, words[s->direction]);
    if (s->count == AST_FETCH_ALL) {
        put(p, "ALL");
    } else {
        put_int(p, s->count);
    }
    put_str_clause(p, " FROM ", s->name);
}

/* The syntax of COPY before 9.0 has flags without a value, which the newer one cannot say. */
static bool is_flag(const AstNode *node)
{
    const AstNode *arg = AST_CAST(node, DefElem, DEF_ELEM)->arg;
    return arg != NULL && arg->tag == AST_CONST && ((const AstConst *)arg)->kind == AST_CONST_BOOL;
}

static void put_old_copy_option(Printer *p, const AstNode *node)
{
    const AstDefElem *d = AST_CAST(node, DefElem, DEF_ELEM);
    if (is_flag(node)) {
        put(p, d->name.p); /* freeze, header */
    } else if (str_eq(d->name, STR_LIT("format"))) {
        put(p, AST_CAST(d->arg, String, STRING)->text.p);
    } else if (d->arg->tag == AST_STRING) {
        put(p, d->name.p);
        put(p, " ");
        put_string(p, ((const AstString *)d->arg)->text);
    } else {
        put(p, str_eq(d->name, STR_LIT("force_quote"))      ? "FORCE QUOTE "
               : str_eq(d->name, STR_LIT("force_not_null")) ? "FORCE NOT NULL "
                                                            : "FORCE NULL ");
        if (d->arg->tag == AST_STAR) {
            put(p, "*");
        } else {
            put_names(p, &AST_CAST(d->arg, Name, NAME)->names, ", ");
        }
    }
}

static void put_copy_options(Printer *p, const AstList *options)
{
    bool old = false;
    for (uint32_t i = 0; i < options->count; i++) {
        old = old || is_flag(options->items[i]);
    }
    put(p, options->count > 0 ? " WITH" : "");
    if (!old) {
        put_options(p, options);
        return;
    }
    put(p, " ");
    put_list(p, options, " ", put_old_copy_option);
}

static void put_copy_target(Printer *p, const AstCopyStmt *s)
{
    if (s->query != NULL) {
        put(p, "(");
        put_query(p, s->query);
        put(p, ")");
    } else {
        put_range_var(p, s->relation);
        put_name_list(p, &s->columns);
    }
}

static void put_copy(Printer *p, const AstCopyStmt *s)
{
    put(p, "COPY ");
    put_copy_target(p, s);
    put(p, s->is_from ? " FROM " : " TO ");
    put(p, s->is_program ? "PROGRAM " : "");
    if (s->filename.p != NULL) {
        put_string(p, s->filename);
    } else {
        put(p, s->is_from ? "STDIN" : "STDOUT");
    }
    put_copy_options(p, &s->options);
    if (s->where != NULL) {
        put(p, " WHERE ");
        put_expr(p, s->where);
    }
}

static const char *persistence_word(const AstRangeVar *rv)
{
    return rv->persistence == 't' ? "TEMPORARY " : rv->persistence == 'u' ? "UNLOGGED " : "";
}

static void put_view(Printer *p, const AstViewStmt *s)
{
    static const char *const checks[] = {"", " WITH LOCAL CHECK OPTION", " WITH CASCADED CHECK OPTION"};
    put(p, s->replace ? "CREATE OR REPLACE " : "CREATE ");
    put(p, persistence_word(s->view));
    put(p, "VIEW ");
    put_range_var(p, s->view);
    put_name_list(p, &s->columns);
    if (s->options.count > 0) {
        put_unsupported(p, &s->node);
    }
    put(p, " AS ");
    put_query(p, s->query);
    put(p, checks[s->check_option]);
}

static void put_create_table_as(Printer *p, const AstCreateTableAsStmt *s)
{
    static const char *const on_commit[] = {"", " ON COMMIT PRESERVE ROWS", " ON COMMIT DELETE ROWS",
                                            " ON COMMIT DROP"};
    const AstIntoClause *into = s->into;
    if (into->options.count > 0) {
        put_unsupported(p, &s->node);
        return;
    }
    put(p, "CREATE ");
    put(p, persistence_word(into->relation));
    put(p, s->object_kind == AST_OBJECT_MATVIEW ? "MATERIALIZED VIEW " : "TABLE ");
    put(p, s->if_not_exists ? "IF NOT EXISTS " : "");
    put_range_var(p, into->relation);
    put_name_list(p, &into->columns);
    put_str_clause(p, " USING ", into->access_method);
    put(p, on_commit[into->on_commit]);
    put_str_clause(p, " TABLESPACE ", into->tablespace);
    put(p, " AS ");
    put_statement(p, s->query);
    put(p, into->skip_data ? " WITH NO DATA" : "");
}

static void put_index(Printer *p, const AstIndexStmt *s)
{
    if (s->options.count > 0) {
        put_unsupported(p, &s->node);
        return;
    }
    put(p, s->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    put(p, s->concurrent ? "CONCURRENTLY " : "");
    put(p, s->if_not_exists ? "IF NOT EXISTS " : "");
    put_str_clause(p, "", s->name);
    put(p, " ON ");
    put_range_var(p, s->relation);
    put_str_clause(p, " USING ", s->access_method);
    put(p, " (");
    put_list(p, &s->params, ", ", put_index_elem);
    put(p, ")");
    if (s->including.count > 0) {
        put(p, " INCLUDE (");
        put_list(p, &s->including, ", ", put_index_elem);
        put(p, ")");
    }
    put(p, s->nulls_not_distinct ? " NULLS NOT DISTINCT" : "");
    put_str_clause(p, " TABLESPACE ", s->tablespace);
    if (s->where != NULL) {
        put(p, " WHERE ");
        put_expr(p, s->where);
    }
}

static void put_transaction(Printer *p, const AstTransactionStmt *s)
{
    static const char *const words[] = {
        "BEGIN",        "START TRANSACTION",    "COMMIT",           "ROLLBACK",          "SAVEPOINT ", "RELEASE ",
        "ROLLBACK TO ", "PREPARE TRANSACTION ", "COMMIT PREPARED ", "ROLLBACK PREPARED "};
    if (s->options.count > 0) {
        put_unsupported(p, &s->node);
        return;
    }
    put(p, words[s->kind]);
    put_str_clause(p, "", s->savepoint);
    if (s->gid.p != NULL) {
        put_string(p, s->gid);
    }
    put(p, s->chain ? " AND CHAIN" : "");
}

static void put_call(Printer *p, const AstCallStmt *s)
{
    put(p, "CALL ");
    put_expr(p, &s->call->node);
}

static void put_refresh(Printer *p, const AstRefreshMatViewStmt *s)
{
    put(p, s->concurrent ? "REFRESH MATERIALIZED VIEW CONCURRENTLY " : "REFRESH MATERIALIZED VIEW ");
    put_range_var(p, s->relation);
    put(p, s->skip_data ? " WITH NO DATA" : "");
}

static void put_truncate(Printer *p, const AstTruncateStmt *s)
{
    put(p, "TRUNCATE ");
    put_list(p, &s->relations, ", ", put_from_item);
    put(p, s->restart_identity ? " RESTART IDENTITY" : "");
    put(p, s->behavior == AST_DROP_CASCADE ? " CASCADE" : "");
}

static void put_unsupported_text(Printer *p, const AstUnsupported *u)
{
    if (u->text.p == NULL) {
        put_unsupported(p, &u->node);
    } else {
        strbuf_append(p->out, u->text.p, u->text.len);
    }
}

void put_statement(Printer *p, const AstNode *node)
{
    if (!put_may_descend(p)) {
        return;
    }
    switch (node->tag) {
    case AST_EXPLAIN_STMT: put_explain(p, (const AstExplainStmt *)node); break;
    case AST_PREPARE_STMT: put_prepare(p, (const AstPrepareStmt *)node); break;
    case AST_EXECUTE_STMT: put_execute(p, (const AstExecuteStmt *)node); break;
    case AST_DEALLOCATE_STMT: put_name_or_all(p, "DEALLOCATE ", ((const AstDeallocateStmt *)node)->name); break;
    case AST_DECLARE_CURSOR_STMT: put_declare_cursor(p, (const AstDeclareCursorStmt *)node); break;
    case AST_CLOSE_PORTAL_STMT: put_name_or_all(p, "CLOSE ", ((const AstClosePortalStmt *)node)->name); break;
    case AST_FETCH_STMT: put_fetch(p, (const AstFetchStmt *)node); break;
    case AST_COPY_STMT: put_copy(p, (const AstCopyStmt *)node); break;
    case AST_VIEW_STMT: put_view(p, (const AstViewStmt *)node); break;
    case AST_CREATE_TABLE_AS_STMT: put_create_table_as(p, (const AstCreateTableAsStmt *)node); break;
    case AST_INDEX_STMT: put_index(p, (const AstIndexStmt *)node); break;
    case AST_TRANSACTION_STMT: put_transaction(p, (const AstTransactionStmt *)node); break;
    case AST_CALL_STMT: put_call(p, (const AstCallStmt *)node); break;
    case AST_REFRESH_MATVIEW_STMT: put_refresh(p, (const AstRefreshMatViewStmt *)node); break;
    case AST_TRUNCATE_STMT: put_truncate(p, (const AstTruncateStmt *)node); break;
    case AST_CHECKPOINT_STMT: put(p, "CHECKPOINT"); break;
    case AST_UNSUPPORTED: put_unsupported_text(p, (const AstUnsupported *)node); break;
    default: put_query(p, node);
    }
}

static bool is_statement(const AstNode *node)
{
    switch (node->tag) {
    case AST_EXPLAIN_STMT:
    case AST_PREPARE_STMT:
    case AST_EXECUTE_STMT:
    case AST_DEALLOCATE_STMT:
    case AST_DECLARE_CURSOR_STMT:
    case AST_CLOSE_PORTAL_STMT:
    case AST_FETCH_STMT:
    case AST_COPY_STMT:
    case AST_VIEW_STMT:
    case AST_CREATE_TABLE_AS_STMT:
    case AST_INDEX_STMT:
    case AST_TRANSACTION_STMT:
    case AST_CALL_STMT:
    case AST_REFRESH_MATVIEW_STMT:
    case AST_TRUNCATE_STMT:
    case AST_CHECKPOINT_STMT:
    case AST_UNSUPPORTED: return true;
    default: return put_is_query(node);
    }
}

STATUS ast_deparse(const AstNode *node, Error *err, StrBuf *out)
{
    Printer p = {.out = out, .err = err, .st = ST_OK};
    if (is_statement(node)) {
        put_statement(&p, node);
    } else if (put_is_from_item(node)) {
        put_from_item(&p, node);
    } else if (node->tag == AST_TYPE_NAME) {
        put_type(&p, (const AstTypeName *)node);
    } else {
        put_expr(&p, node);
    }
    if (p.st == ST_OK && out->failed) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    return p.st;
}
