/*
 * parse/selftest.c: one statement of each kind, parsed at start, its tag compared with what it must be.
 *
 * Headers and archive of PostgreSQL's parser come from two packages; should an update move a node tag or a field in one
 * of them, this says so before the first statement is served. Expressions are checked as text: what is written back
 * must be what is expected here.
 */
#include <string.h>

#include "parse/deparse.h"
#include "parse/parse.h"

typedef struct Sample {
    const char *sql;
    AstTag tag;
} Sample;

static const Sample samples[] = {
    {"SELECT 1", AST_SELECT_STMT},
    {"INSERT INTO t VALUES (1)", AST_INSERT_STMT},
    {"UPDATE t SET a = 1", AST_UPDATE_STMT},
    {"DELETE FROM t", AST_DELETE_STMT},
    {"MERGE INTO t USING s ON a = b WHEN MATCHED THEN DELETE", AST_MERGE_STMT},
    {"COPY t FROM STDIN", AST_COPY_STMT},
    {"BEGIN", AST_TRANSACTION_STMT},
    {"PREPARE p AS SELECT 1", AST_PREPARE_STMT},
    {"EXECUTE p", AST_EXECUTE_STMT},
    {"DEALLOCATE p", AST_DEALLOCATE_STMT},
    {"DECLARE c CURSOR FOR SELECT 1", AST_DECLARE_CURSOR_STMT},
    {"CLOSE c", AST_CLOSE_PORTAL_STMT},
    {"FETCH ALL FROM c", AST_FETCH_STMT},
    {"SET a = 1", AST_VARIABLE_SET_STMT},
    {"SHOW a", AST_VARIABLE_SHOW_STMT},
    {"DISCARD ALL", AST_DISCARD_STMT},
    {"SET CONSTRAINTS ALL DEFERRED", AST_CONSTRAINTS_SET_STMT},
    {"EXPLAIN SELECT 1", AST_EXPLAIN_STMT},
    {"LOCK TABLE t", AST_LOCK_STMT},
    {"VACUUM t", AST_VACUUM_STMT},
    {"REINDEX TABLE t", AST_REINDEX_STMT},
    {"CLUSTER t", AST_CLUSTER_STMT},
    {"CHECKPOINT", AST_CHECKPOINT_STMT},
    {"LISTEN c", AST_LISTEN_STMT},
    {"UNLISTEN *", AST_UNLISTEN_STMT},
    {"NOTIFY c, 'x'", AST_NOTIFY_STMT},
    {"DO 'x'", AST_DO_STMT},
    {"CALL f()", AST_CALL_STMT},
    {"CREATE TABLE t (a int PRIMARY KEY) PARTITION BY HASH (a)", AST_CREATE_STMT},
    {"ALTER TABLE t ADD COLUMN b int", AST_ALTER_TABLE_STMT},
    {"CREATE TABLE t AS SELECT 1", AST_CREATE_TABLE_AS_STMT},
    {"REFRESH MATERIALIZED VIEW v", AST_REFRESH_MATVIEW_STMT},
    {"CREATE VIEW v AS SELECT 1", AST_VIEW_STMT},
    {"CREATE INDEX ON t (a)", AST_INDEX_STMT},
    {"TRUNCATE t", AST_TRUNCATE_STMT},
    {"CREATE SEQUENCE s", AST_CREATE_SEQ_STMT},
    {"ALTER SEQUENCE s CYCLE", AST_ALTER_SEQ_STMT},
    {"DROP TABLE t", AST_DROP_STMT},
    {"ALTER TABLE t RENAME TO u", AST_RENAME_STMT},
    {"ALTER TABLE t SET SCHEMA s", AST_ALTER_SCHEMA_STMT},
    {"ALTER SCHEMA s OWNER TO r", AST_ALTER_OWNER_STMT},
    {"COMMENT ON TABLE t IS 'x'", AST_COMMENT_STMT},
    {"CREATE SCHEMA s", AST_CREATE_SCHEMA_STMT},
    {"CREATE DATABASE d", AST_CREATE_DATABASE_STMT},
    {"ALTER DATABASE d CONNECTION LIMIT 1", AST_ALTER_DATABASE_STMT},
    {"ALTER DATABASE d SET a = 1", AST_ALTER_DATABASE_SET_STMT},
    {"DROP DATABASE d", AST_DROP_DATABASE_STMT},
    {"ALTER SYSTEM SET a = 1", AST_ALTER_SYSTEM_STMT},
    {"CREATE TYPE t AS (a int)", AST_COMPOSITE_TYPE_STMT},
    {"CREATE TYPE t AS ENUM ('a')", AST_CREATE_ENUM_STMT},
    {"ALTER TYPE t ADD VALUE 'b'", AST_ALTER_ENUM_STMT},
    {"CREATE TYPE t AS RANGE (subtype = int)", AST_CREATE_RANGE_STMT},
    {"ALTER TYPE t SET (storage = plain)", AST_ALTER_TYPE_STMT},
    {"CREATE DOMAIN d AS int", AST_CREATE_DOMAIN_STMT},
    {"ALTER DOMAIN d DROP NOT NULL", AST_ALTER_DOMAIN_STMT},
    {"CREATE AGGREGATE a (int) (sfunc = f, stype = int)", AST_DEFINE_STMT},
    {"CREATE ROLE r LOGIN", AST_CREATE_ROLE_STMT},
    {"ALTER ROLE r NOLOGIN", AST_ALTER_ROLE_STMT},
    {"ALTER ROLE r SET a = 1", AST_ALTER_ROLE_SET_STMT},
    {"DROP ROLE r", AST_DROP_ROLE_STMT},
    {"DROP OWNED BY r", AST_DROP_OWNED_STMT},
    {"REASSIGN OWNED BY r TO s", AST_REASSIGN_OWNED_STMT},
    {"GRANT SELECT ON t TO r", AST_GRANT_STMT},
    {"GRANT r TO s", AST_GRANT_ROLE_STMT},
    {"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO r", AST_ALTER_DEFAULT_PRIVILEGES_STMT},
    {"CREATE FUNCTION f(a int) RETURNS int RETURN a", AST_CREATE_FUNCTION_STMT},
    {"ALTER FUNCTION f(int) STRICT", AST_ALTER_FUNCTION_STMT},
    {"CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()", AST_CREATE_TRIGGER_STMT},
    {"CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", AST_RULE_STMT},
    {"CREATE PUBLICATION p", AST_UNSUPPORTED},
};

/* Each clause and expression once; what is written back equals the text. */
static const char *const queries[] = {
    "WITH RECURSIVE c (a) AS MATERIALIZED (SELECT 1) SELECT DISTINCT ON (a) a AS b, t.*, $1 FROM ONLY s.t AS t (x) "
    "LEFT "
    "JOIN u USING (a) CROSS JOIN LATERAL (SELECT 1) AS v WHERE (a = 1) AND (NOT ((b IS NULL) OR (c IS TRUE))) GROUP BY "
    "a, ROLLUP (b, c), () HAVING count(*) > 1 WINDOW w AS (PARTITION BY a ORDER BY b DESC NULLS LAST) ORDER BY 1 "
    "OFFSET 2 LIMIT 3 "
    "FOR UPDATE OF t SKIP LOCKED",
    "(SELECT 1) UNION ALL (VALUES (1, DEFAULT))",
    "SELECT 1 ORDER BY 1 FETCH FIRST (2) ROWS WITH TIES",
    "SELECT sum(DISTINCT a ORDER BY b) FILTER (WHERE c) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)",
    "SELECT 1, 1.5, 'a''b', b'01', x'1f', true, NULL, (-1) + 2, a OPERATOR(s.+) b, a IN (1, 2), a BETWEEN 1 AND 2, a "
    "LIKE "
    "b ESCAPE c, a IS DISTINCT FROM b, NULLIF(a, b), a = ANY (b)",
    "SELECT CASE a WHEN 1 THEN 2 ELSE 3 END, COALESCE(a, b), GREATEST(a, b), ROW(1, 2), (1, 2), ARRAY[1, 2], (a)[1 : "
    "2].b, "
    "f(VARIADIC a), f(b => 1), a COLLATE \"C\", CURRENT_TIMESTAMP(3), GROUPING(a), EXISTS (SELECT 1), a IN (SELECT 1), "
    "ARRAY(SELECT 1), CAST(a AS character varying(3)[]), EXTRACT('year' FROM a), a AT TIME ZONE b",
    "SELECT 1 FROM ROWS FROM (f(1) AS (a integer), g(2)) WITH ORDINALITY AS x, t TABLESAMPLE bernoulli(1) REPEATABLE "
    "(2)",
    "INSERT INTO t (a, b[1]) OVERRIDING SYSTEM VALUE SELECT 1 ON CONFLICT (a) WHERE b DO UPDATE SET (a, b) = ROW(1, 2) "
    "RETURNING *",
};

static Status check_tag(Ctx *cx, const Sample *sample)
{
    AstStmtList *list;
    Status st = parse_sql(NULL, cx, sample->sql, strlen(sample->sql), &list);
    if (st == ST_OK && (list->count != 1 || list->items[0].stmt->tag != sample->tag)) {
        st = err_set(cx->err, ST_INTERNAL, "the parser library does not fit its headers: \"%s\"", sample->sql);
    }
    return st;
}

static Status check_text(Ctx *cx, const char *sql)
{
    AstStmtList *list;
    Status st = parse_sql(NULL, cx, sql, strlen(sql), &list);
    if (st != ST_OK) {
        return st;
    }
    StrBuf text;
    strbuf_init(&text, cx->budget);
    st = ast_deparse(list->items[0].stmt, cx->err, &text);
    if (st == ST_OK && !str_eq(strbuf_str(&text), str_from(sql))) {
        st = err_set(cx->err, ST_INTERNAL, "the parser library does not fit its headers: \"%s\" became \"%s\"", sql,
                     text.p);
    }
    strbuf_done(&text);
    return st;
}

STATUS parse_self_test(Ctx *cx)
{
    Status st = ST_OK;
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(samples); i++) {
        st = check_tag(cx, &samples[i]);
    }
    for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(queries); i++) {
        st = check_text(cx, queries[i]);
    }
    return st;
}
