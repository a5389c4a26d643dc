/*
 * session/session.h: the one way in. Server, shell and library submit statements here and pull typed chunks.
 *
 * A Session is one connection's state: role, database, settings, transaction, prepared statements, portals. It belongs to
 * one thread at a time and may move between threads at any call boundary. Protocol files know bytes and no SQL; the session
 * knows SQL and no bytes.
 *
 * Life of a portal:
 *
 *      bind           run               run (limit reached)      end of rows
 *   ----------> READY ----> RUNNING ----------> SUSPENDED ----> ... ----> DONE
 *                             |  ^                                         |
 *                             v  | copy data                               v
 *                          WANTS_COPY                                   (closed)
 *
 * Gates: session_gate is the LSN that must be durable before anything told so far may leave the server.
 */
#ifndef RDB_SESSION_SESSION_H
#define RDB_SESSION_SESSION_H

#include "exec/exec.h"

typedef struct Engine Engine;
typedef struct Session Session;
typedef struct Portal Portal;

typedef struct SessionOptions {
    const char *user;
    const char *database;
    const char *application_name;
    int32_t pid; /* what pg_backend_pid() and BackendKeyData say */
    const char *const *settings; /* name, value, name, value ... from the start-up packet */
    uint32_t n_settings;
} SessionOptions;

STATUS session_open(Ctx *cx, Engine *engine, const SessionOptions *options, Session **out_session);
void session_close(Session *s); /* rolls back what is open */
/* From any thread: makes the running statement end with 57014 (or 57P01), wherever it waits. */
void session_interrupt(Session *s, uint32_t bits);

/* 'I' idle, 'T' in a transaction block, 'E' in a failed one. */
char session_status(const Session *s);
Lsn session_gate(const Session *s);
/* Settings that changed since the last call and are to be reported (ParameterStatus). */
bool session_next_report(Session *s, const char **out_name, const char **out_value);

typedef enum PortalState { PORTAL_READY, PORTAL_SUSPENDED, PORTAL_WANTS_COPY, PORTAL_HAS_COPY, PORTAL_DONE } PortalState;

/*
 * Simple protocol: session_submit takes a whole text; then for each of its statements session_next_statement gives a portal, to be run
 * to its end before the next call; ST_END after the last. All in one implicit transaction, as PostgreSQL does. On an error the rest is
 * dropped by session_end_of_batch, which also ends the implicit transaction: call it in any case.
 */
STATUS session_submit(Session *s, const char *text, size_t len);
STATUS session_next_statement(Session *s, Portal **out_portal);
STATUS session_end_of_batch(Session *s); /* also Sync of the extended protocol */

/* Extended protocol. Names as in the protocol, "" = unnamed. */
STATUS session_parse(Session *s, const char *name, const char *text, size_t len, const Oid *param_types, uint32_t n_params);
typedef struct SessionValue {
    const char *p; /* NULL = NULL */
    uint32_t len;
    bool binary;
} SessionValue;
STATUS session_bind(Session *s, const char *portal, const char *statement, const SessionValue *params, uint32_t n_params,
                    Portal **out_portal);
STATUS session_describe_statement(Session *s, const char *name, const Oid **out_params, uint32_t *out_n_params,
                                  const LogicalColumns **out_columns);
STATUS session_portal(Session *s, const char *name, Portal **out_portal);
void session_close_statement(Session *s, const char *name);
void session_close_portal(Session *s, const char *name);

const LogicalColumns *portal_columns(const Portal *p); /* NULL: the statement returns no rows */
/* The next chunk of at most max_rows rows (0 = no limit); *out_chunk NULL with PORTAL_DONE, PORTAL_SUSPENDED or a COPY state. */
STATUS portal_next(Portal *p, uint64_t max_rows, Chunk **out_chunk, PortalState *out_state);
/* "SELECT 5", "INSERT 0 1", ... once PORTAL_DONE. */
const char *portal_tag(const Portal *p);
/* COPY FROM STDIN: data as they come; then end, or failure with the client's text. COPY TO: the next piece of output. */
STATUS portal_copy_data(Portal *p, const char *data, size_t len);
STATUS portal_copy_end(Portal *p, const char *failure);
STATUS portal_copy_next(Portal *p, Str *out_data);

/* Notices of the last call, oldest first. */
bool session_next_notice(Session *s, Error *out_notice);
const Error *session_error(const Session *s);

#endif
