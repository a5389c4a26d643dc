/*
 * What the tree of each kind of statement and expression looks like.
 */
#include "parse_fixture.h"

#define AS(node, N, T) AST_CAST(node, N, T)

static const AstSelectStmt *select_of(Fixture *f, const char *sql)
{
    return AS(must_parse_one(f, sql), SelectStmt, SELECT_STMT);
}

static AstNode *target(const AstSelectStmt *s, uint32_t i)
{
    assert_true(i < s->targets.count);
    return AS(s->targets.items[i], ResTarget, RES_TARGET)->value;
}

static void assert_str(Str s, const char *expected)
{
    assert_non_null(s.p);
    assert_string_equal(s.p, expected); /* zero-terminated */
    assert_int_equal(s.len, strlen(expected));
}

/* One of each kind is in the module's own start-up test. */
static void every_kind_of_statement_has_its_tag(void **state)
{
    Fixture *f = *state;
    if (parse_self_test(&f->cx) != ST_OK) {
        fail_msg("%s", f->err.message);
    }
}

static void a_text_is_a_list_of_statements(void **state)
{
    Fixture *f = *state;
    assert_int_equal(must_parse(f, "")->count, 0);
    assert_int_equal(must_parse(f, " ;; -- x\n /* y */ ; ")->count, 0);
    const char *sql = "\n select 1 ;\tselect 'é;' ; ;select 3 ";
    AstStmtList *list = must_parse(f, sql);
    assert_int_equal(list->count, 3);
    static const char *const texts[] = {"select 1", "select 'é;'", "select 3"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(list->items[i].len, strlen(texts[i]));
        assert_memory_equal(sql + list->items[i].begin, texts[i], list->items[i].len);
    }
}

static void locations_are_byte_offsets(void **state)
{
    const AstSelectStmt *s = select_of(*state, "select 'é', abc, f(1) from t");
    assert_int_equal(target(s, 0)->location, 7);
    assert_int_equal(target(s, 1)->location, 13);
    assert_int_equal(target(s, 2)->location, 18);
    assert_int_equal(AS(target(s, 2), FuncCall, FUNC_CALL)->args.items[0]->location, 20);
    assert_int_equal(s->from.items[0]->location, 28);
}

static void constants(void **state)
{
    const AstSelectStmt *s =
        select_of(*state, "select 2147483647, 2147483648, 1.50, 'a''b', E'\\n', b'01', x'1F', "
                          "true, false, null, -5, -2147483648, '\\n', U&'\\0041', 'a'\n'b', $$x'y$$");
    static const struct {
        AstConstKind kind;
        int32_t ival;
        const char *text;
    } expected[] = {
        {AST_CONST_INT, 2147483647, NULL}, {AST_CONST_FLOAT, 0, "2147483648"}, {AST_CONST_FLOAT, 0, "1.50"},
        {AST_CONST_STRING, 0, "a'b"},      {AST_CONST_STRING, 0, "\n"},        {AST_CONST_BIT, 0, "b01"},
        {AST_CONST_BIT, 0, "x1F"},         {AST_CONST_BOOL, 1, NULL},          {AST_CONST_BOOL, 0, NULL},
        {AST_CONST_NULL, 0, NULL},         {AST_CONST_INT, -5, NULL},          {AST_CONST_FLOAT, 0, "-2147483648"},
        {AST_CONST_STRING, 0, "\\n"},      {AST_CONST_STRING, 0, "A"},         {AST_CONST_STRING, 0, "ab"},
        {AST_CONST_STRING, 0, "x'y"},
    };
    assert_int_equal(s->targets.count, ARRAY_LEN(expected));
    for (uint32_t i = 0; i < ARRAY_LEN(expected); i++) {
        const AstConst *c = AS(target(s, i), Const, CONST);
        assert_int_equal(c->kind, expected[i].kind);
        assert_int_equal(c->ival, expected[i].ival);
        if (expected[i].text != NULL) {
            assert_str(c->text, expected[i].text);
        }
    }
}

static void operators_are_lexed_greedily_and_bind_as_in_postgresql(void **state)
{
    static const char *const cases[][2] = {
        {"5%-3", "5 %- 3"},
        {"5/-2", "5 / (-2)"},
        {"2^-1", "2 ^- 1"},
        {"1=-1", "1 = (-1)"},
        {"-2^2", "(-2) ^ 2"},
        {"2^3^2", "(2 ^ 3) ^ 2"},
        {"~1+2", "~ (1 + 2)"},
        {"2|1&4", "(2 | 1) & 4"},
        {"not a = b", "NOT (a = b)"},
        {"a or b and c", "a OR (b AND c)"},
        {"a < b = c is null", NULL},
        {"1 + 2 * 3 - 4", "(1 + (2 * 3)) - 4"},
        {"a || b like c", "(a || b) LIKE c"},
        {"-a::int", "- CAST(a AS integer)"},
        {"a between 1 and 2 and b", "(a BETWEEN 1 AND 2) AND b"},
    };
    Fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AstNode *expr;
        err_clear(&f->err);
        Status st = parse_expr(NULL, &f->cx, cases[i][0], strlen(cases[i][0]), &expr);
        if (cases[i][1] == NULL) {
            assert_int_equal(st, ST_SYNTAX_ERROR); /* comparisons do not associate */
        } else {
            assert_int_equal(st, ST_OK);
            assert_string_equal(text_of(f, expr), cases[i][1]);
        }
    }
}

static void selects_may_be_empty(void **state)
{
    assert_int_equal(select_of(*state, "select")->targets.count, 0);
    assert_int_equal(select_of(*state, "select from t")->targets.count, 0);
    const AstSelectStmt *s = select_of(*state, "select *, t.*, 1 as select from a.b.c");
    const AstColumnRef *star = AS(target(s, 0), ColumnRef, COLUMN_REF);
    assert_true(star->star);
    assert_int_equal(star->names.count, 0);
    assert_str(AS(target(s, 1), ColumnRef, COLUMN_REF)->names.items[0], "t");
    assert_str(AS(s->targets.items[2], ResTarget, RES_TARGET)->name, "select");
    const AstRangeVar *rv = AS(s->from.items[0], RangeVar, RANGE_VAR);
    assert_str(rv->catalog, "a");
    assert_str(rv->schema, "b");
    assert_str(rv->name, "c");
}

static void limits(void **state)
{
    assert_int_equal(select_of(*state, "select 1")->limit_kind, AST_LIMIT_NONE);
    assert_int_equal(select_of(*state, "select 1 limit 1")->limit_kind, AST_LIMIT_COUNT);
    assert_int_equal(select_of(*state, "select 1 order by 1 fetch first 2 rows with ties")->limit_kind,
                     AST_LIMIT_WITH_TIES);
    const AstSelectStmt *s = select_of(*state, "select 1 limit all offset 3");
    assert_int_equal(AS(s->limit, Const, CONST)->kind, AST_CONST_NULL);
    assert_int_equal(AS(s->offset, Const, CONST)->ival, 3);
}

static void set_operations_nest_to_the_left(void **state)
{
    const AstSelectStmt *s = select_of(*state, "select 1 union all select 2 except select 3 intersect select 4");
    assert_int_equal(s->op, AST_SETOP_EXCEPT);
    assert_int_equal(s->left->op, AST_SETOP_UNION);
    assert_true(s->left->all);
    assert_int_equal(s->right->op, AST_SETOP_INTERSECT);
}

static void a_multiple_assignment_shares_its_source(void **state)
{
    const AstUpdateStmt *u =
        AS(must_parse_one(*state, "update t set (a, b) = (select 1, 2), c = 3"), UpdateStmt, UPDATE_STMT);
    assert_int_equal(u->targets.count, 3);
    const AstMultiAssign *a = AS(AS(u->targets.items[0], ResTarget, RES_TARGET)->value, MultiAssign, MULTI_ASSIGN);
    const AstMultiAssign *b = AS(AS(u->targets.items[1], ResTarget, RES_TARGET)->value, MultiAssign, MULTI_ASSIGN);
    assert_ptr_equal(a->source, b->source);
    assert_int_equal(a->column, 1);
    assert_int_equal(b->column, 2);
    assert_int_equal(b->columns, 2);
}

static void create_table_keeps_every_constraint(void **state)
{
    const AstCreateStmt *c =
        AS(must_parse_one(
               *state,
               "create unlogged table if not exists s.t (a int not null default 1 check (a > 0), b text collate \"C\" "
               "constraint u unique nulls not distinct deferrable, c int generated by default as identity, d int "
               "generated always as (a + 1) stored, foreign key (a, b) references x (c, d) match full on delete set "
               "null (a) on update cascade not valid, primary key (a) include (b), like y including all) inherits (p)"),
           CreateStmt, CREATE_STMT);
    assert_true(c->if_not_exists);
    assert_int_equal(c->relation->persistence, 'u');
    assert_int_equal(c->elements.count, 7);
    assert_int_equal(c->inherits.count, 1);
    const AstColumnDef *a = AS(c->elements.items[0], ColumnDef, COLUMN_DEF);
    static const AstConstraintKind kinds[] = {AST_CONSTRAINT_NOT_NULL, AST_CONSTRAINT_DEFAULT, AST_CONSTRAINT_CHECK};
    assert_int_equal(a->constraints.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(AS(a->constraints.items[i], Constraint, CONSTRAINT)->kind, kinds[i]);
    }
    const AstColumnDef *b = AS(c->elements.items[1], ColumnDef, COLUMN_DEF);
    assert_str(b->collation->name.items[0], "C");
    assert_true(AS(b->constraints.items[0], Constraint, CONSTRAINT)->nulls_not_distinct);
    assert_int_equal(AS(b->constraints.items[1], Constraint, CONSTRAINT)->kind, AST_CONSTRAINT_ATTR_DEFERRABLE);
    const AstConstraint *fk = AS(c->elements.items[4], Constraint, CONSTRAINT);
    assert_int_equal(fk->kind, AST_CONSTRAINT_FOREIGN);
    assert_int_equal(fk->fk_match, 'f');
    assert_int_equal(fk->fk_delete, 'n');
    assert_int_equal(fk->fk_update, 'c');
    assert_str(fk->fk_columns.items[1], "b");
    assert_str(fk->fk_ref_columns.items[1], "d");
    assert_str(fk->fk_delete_columns.items[0], "a");
    assert_true(fk->skip_validation);
    assert_int_equal(AS(c->elements.items[6], TableLike, TABLE_LIKE)->options, AST_LIKE_ALL);
}

static void alter_and_drop_name_their_objects(void **state)
{
    const AstAlterTableStmt *a =
        AS(must_parse_one(
               *state,
               "alter table if exists t add column a int, drop constraint c cascade, alter a type text using a::text"),
           AlterTableStmt, ALTER_TABLE_STMT);
    static const AstAlterKind kinds[] = {AST_ALTER_ADD_COLUMN, AST_ALTER_DROP_CONSTRAINT, AST_ALTER_ALTER_COLUMN_TYPE};
    assert_true(a->missing_ok);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(AS(a->commands.items[i], AlterTableCmd, ALTER_TABLE_CMD)->kind, kinds[i]);
    }
    const AstDropStmt *d = AS(must_parse_one(*state, "drop schema if exists a, b cascade"), DropStmt, DROP_STMT);
    assert_int_equal(d->kind, AST_OBJECT_SCHEMA);
    assert_int_equal(d->objects.count, 2);
    assert_str(AS(d->objects.items[1], Name, NAME)->names.items[0], "b");
    d = AS(must_parse_one(*state, "drop table s.t"), DropStmt, DROP_STMT);
    assert_int_equal(AS(d->objects.items[0], Name, NAME)->names.count, 2);
    d = AS(must_parse_one(*state, "drop function f(int, text)"), DropStmt, DROP_STMT);
    assert_int_equal(AS(d->objects.items[0], ObjectWithArgs, OBJECT_WITH_ARGS)->args.count, 2);
    assert_string_equal(ast_object_name(AST_OBJECT_MATVIEW), "materialized view");
}

static void unsupported_statements_name_the_feature(void **state)
{
    static const char *const cases[][2] = {
        {"create publication p for all tables", "CREATE PUBLICATION"},
        {"create extension x", "CREATE EXTENSION"},
        {"create tablespace x location 'y'", "CREATE TABLESPACE"},
        {"create policy p on t", "CREATE POLICY"},
        {"create foreign table t (a int) server s", "CREATE FOREIGN TABLE"},
        {"create statistics s on a, b from t", "CREATE STATISTICS"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const AstUnsupported *u = AS(must_parse_one(*state, cases[i][0]), Unsupported, UNSUPPORTED);
        assert_str(u->feature, cases[i][1]);
        assert_str(u->text, cases[i][0]);
    }
    const AstSelectStmt *s = select_of(*state, "select xmlelement(name a)");
    assert_str(AS(target(s, 0), Unsupported, UNSUPPORTED)->feature, "xmlelement");
    assert_int_equal(target(s, 0)->location, 7);
}

static void expressions_and_types_alone(void **state)
{
    Fixture *f = *state;
    assert_int_equal(must_parse_expr(f, "a + 1")->tag, AST_OP_EXPR);
    static const char *const refused[] = {"a, b", "a as b", "a from t",  "a where b",
                                          "a; b", "",       "a limit 1", "distinct a"};
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        AstNode *expr;
        err_clear(&f->err);
        assert_int_equal(parse_expr(NULL, &f->cx, refused[i], strlen(refused[i]), &expr), ST_SYNTAX_ERROR);
    }
    static const char *const types[] = {"integer",
                                        "numeric(10, 2)",
                                        "character varying(5)[]",
                                        "timestamp(3) with time zone",
                                        "s.t",
                                        "bit varying",
                                        "double precision",
                                        "\"char\"",
                                        "interval",
                                        "time"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        AstTypeName *type;
        err_clear(&f->err);
        assert_int_equal(parse_type_name(NULL, &f->cx, types[i], strlen(types[i]), &type), ST_OK);
        assert_string_equal(text_of(f, &type->node), types[i]);
    }
    AstTypeName *type;
    err_clear(&f->err);
    assert_int_equal(parse_type_name(NULL, &f->cx, "int int", 7, &type), ST_SYNTAX_ERROR);
}

static Status count_node(void *arg, AstNode *node)
{
    ++*(int *)arg;
    return ast_each_child(node, count_node, arg);
}

static void trees_are_walked_copied_and_compared(void **state)
{
    Fixture *f = *state;
    AstNode *node = must_parse_one(f, "select a, f(b) from t where c = 1");
    int count = 0;
    assert_int_equal(count_node(&count, node), ST_OK);
    /* select; 2 targets, a, f, b; t; =, c, 1 */
    assert_int_equal(count, 10);
    AstNode *copy;
    AstDiff diff;
    assert_int_equal(ast_copy(&f->cx, &f->arena, node, &copy), ST_OK);
    assert_ptr_not_equal(copy, node);
    assert_int_equal(ast_compare(node, copy, &f->err, &diff), ST_OK);
    assert_int_equal(diff.node, AST_NONE);
    AstNode *other = must_parse_one(f, "select a, f(b) from t where c = 2");
    assert_int_equal(ast_compare(node, other, &f->err, &diff), ST_OK);
    assert_string_equal(ast_tag_name(diff.node), "AST_CONST");
    assert_string_equal(diff.field, "ival");
    other = must_parse_one(f, "select a, f(b) from t");
    assert_int_equal(ast_compare(node, other, &f->err, &diff), ST_OK);
    assert_int_equal(diff.node, AST_OP_EXPR);
    assert_null(diff.field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_statement_has_its_tag),
        TEST(a_text_is_a_list_of_statements),
        TEST(locations_are_byte_offsets),
        TEST(constants),
        TEST(operators_are_lexed_greedily_and_bind_as_in_postgresql),
        TEST(selects_may_be_empty),
        TEST(limits),
        TEST(set_operations_nest_to_the_left),
        TEST(a_multiple_assignment_shares_its_source),
        TEST(create_table_keeps_every_constraint),
        TEST(alter_and_drop_name_their_objects),
        TEST(unsupported_statements_name_the_feature),
        TEST(expressions_and_types_alone),
        TEST(trees_are_walked_copied_and_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
