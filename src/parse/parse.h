/*
 * parse/parse.h: SQL text to syntax tree, through PostgreSQL 15's own grammar.
 *
 * Key idea: the grammar is libpg_query's raw_parser, called in one file (bridge.c); its nodes become ours
 * (convert.c) and its errors our error object; what it accepts beyond PostgreSQL is refused there as PostgreSQL would.
 *
 * Invariants
 *  P1  No PostgreSQL node, error or memory context outlives a call; no longjmp leaves the bridge.
 *  P2  The parser sees only valid UTF-8 without zero bytes.
 *  P3  What the parser may allocate is charged to cx->budget for the duration of the call (parse_charge_bytes).
 *
 * Threads: any number may parse at once. A thread's parser memory (about 30 KiB, not charged: it outlives statements)
 * is made at its first parse and given back when it ends, or by parse_thread_done.
 *
 * What it does not do: resolve names, or check anything that PostgreSQL checks after the grammar.
 */
#ifndef RDB_PARSE_PARSE_H
#define RDB_PARSE_PARSE_H

#include "base/ctx.h"
#include "parse/ast.h"

typedef enum ParseNoticeLevel { PARSE_NOTICE, PARSE_WARNING } ParseNoticeLevel;

/* What a parse reports besides its result. */
typedef struct ParseEnv {
    /*
     * Identifiers that are cut to 63 bytes (NOTICE 42622), deprecated syntax (WARNING 01000). `notice` is valid during
     * the call. NULL: not reported.
     */
    void (*notice)(void *owner, ParseNoticeLevel level, const Error *notice);
    void *owner;
} ParseEnv;

/* Longest identifier, in bytes: PostgreSQL's NAMEDATALEN - 1. */
enum { PARSE_IDENT_BYTES_MAX = 63 };

/*
 * Parses a text of any number of statements into cx->arena; *out_stmts may be empty (blanks, comments). `text` must be
 * followed by a zero byte: text[len] == 0. Positions in errors are 1-based characters as in PostgreSQL.
 *
 * Statuses: ST_SYNTAX_ERROR and what else the grammar raises (0A000, 22023, 42601, 42622, ...), with PostgreSQL's
 * SQLSTATE, message, hint and position; ST_CHARACTER_NOT_IN_REPERTOIRE (22021); ST_STATEMENT_TOO_COMPLEX (54001): the
 * tree is too deep for the thread's stack; ST_OUT_OF_MEMORY; ST_PROGRAM_LIMIT_EXCEEDED: longer than 1 GiB - 1;
 * interrupts.
 */
STATUS parse_sql(const ParseEnv *env, Ctx *cx, const char *text, size_t len, AstStmtList **out_stmts);

/* Parses one expression, as a stored DEFAULT or CHECK. Contract and statuses as parse_sql. */
STATUS parse_expr(const ParseEnv *env, Ctx *cx, const char *text, size_t len, AstNode **out_expr);

/* Parses one type name, as format_type prints and casts to regtype read it. Contract and statuses as parse_sql. */
STATUS parse_type_name(const ParseEnv *env, Ctx *cx, const char *text, size_t len, AstTypeName **out_type);

/* The 1-based character position that errors carry for a node's location; 0 for a location of -1. */
int32_t parse_position(const char *text, size_t len, int32_t location);

/*
 * The bytes charged to the budget while a text is parsed: an upper bound of what the parser allocates, from the
 * length and, beyond a page of text, the number of tokens (a long literal costs little more than its length).
 */
size_t parse_charge_bytes(const char *text, size_t len);

/*
 * Sets up and gives back the calling thread's parser. Both are optional: the first parse sets up, the thread's end
 * gives back. A pooled thread that will not parse for long may give back early. Statuses: ST_OUT_OF_MEMORY.
 */
STATUS parse_thread_init(Error *err);
void parse_thread_done(void);

/*
 * Parses one statement of each kind and compares the trees' tags with what they must be: the library's headers and
 * its archive come from different packages. To be called once at start. Statuses: ST_INTERNAL, naming the statement.
 */
STATUS parse_self_test(Ctx *cx);

#endif
