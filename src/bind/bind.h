/*
 * bind/bind.h: from syntax to meaning: AST and catalog to a LogicalStatement (logical.h).
 *
 * Key idea: one pass over the tree with a chain of scopes. A scope lists what names mean at one query level; a column
 * reference becomes the ColumnId that the FROM item's operator produces, whichever level it is on. So correlation
 * needs no marks: which columns a sublink takes from outside follows from the ids (finish.c).
 *
 * The catalog is reached through BindCatalog, so that the binder is testable without a store.
 */
#ifndef RDB_BIND_BIND_H
#define RDB_BIND_BIND_H

#include "bind/logical.h"
#include "parse/ast.h"

/* What the binder asks of a catalog. All names are as written; an empty schema means the search path. */
typedef struct BindCatalog {
    void *arg;
    /* Finds, locks in `mode` and holds. 42P01, 3F000 and statuses of locks; the binder adds the position. */
    Status (*relation)(void *arg, Ctx *cx, Str schema, Str name, LockMode mode, const CatRelation **out_rel);
    void (*release)(void *arg, const CatRelation *rel);
    /* A type that is not built in; 0 in *out_oid: there is none. */
    Status (*type)(void *arg, Ctx *cx, Str schema, Str name, Oid *out_oid);
} BindCatalog;

/* `view` must outlive what it returns. */
BindCatalog bind_catalog(CatView *view);

typedef struct BindEnv {
    const BindCatalog *catalog;
    const Registry *registry;
    const SessionFacts *facts; /* for literals */
    const char *text;          /* what AST locations point into, for error positions */
    size_t text_len;
    const Oid *param_types; /* of $1..; 0 = to be inferred */
    uint32_t n_params;
} BindEnv;

/*
 * Binds a SELECT, VALUES, INSERT, UPDATE or DELETE; the result lives in cx->arena and holds relations until
 * logical_release. On failure nothing is held (locks stay, as the transaction's).
 *
 * Statuses: PostgreSQL's SQLSTATE, text, hint and position (in characters) for what is wrong with the statement;
 * ST_FEATURE_NOT_SUPPORTED names what we cannot do, other kinds of statement included; ST_OUT_OF_MEMORY,
 * ST_STATEMENT_TOO_COMPLEX; statuses of the catalog.
 */
STATUS bind_statement(Ctx *cx, const BindEnv *env, AstNode *stmt, LogicalStatement **out);
void logical_release(const BindCatalog *catalog, LogicalStatement *s);

#endif
