/*
 * auth/scram.h: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), both sides, without I/O.
 *
 * Key idea: a side is a small state machine that is fed the other side's message and answers with its own, until it
 * says done or failed. Who sends the bytes and in what envelope is the caller's business.
 *
 *     server:  FIRST --client-first-->  FINAL --client-final--> DONE
 *                 \____________________________________________/\--> FAILED     (any malformed message, bad proof)
 *     client:  FIRST --(nothing)--> SERVER_FIRST --server-first--> SERVER_FINAL --server-final--> DONE | FAILED
 *
 * Invariants
 *  S1  An unknown user is led through the same messages and computations as a known one with a wrong password: its salt
 *      is a keyed hash of the name (the same each time) and the proof is compared in constant time before anybody asks
 *      whether the user exists.
 *  S2  No step is taken after DONE or FAILED (asserted).
 *  S3  Secrets live in the object only, and scram_*_done wipes it.
 */
#ifndef RDB_AUTH_SCRAM_H
#define RDB_AUTH_SCRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/password.h"

enum {
    SCRAM_NONCE_RAW_BYTES = 18, /* as PostgreSQL: 24 characters of base64 */
    SCRAM_NONCE_TEXT_BYTES = 24,
    SCRAM_CLIENT_NONCE_BYTES_MAX = 256,
    SCRAM_MESSAGE_BYTES_MAX = 2048, /* longer ones are malformed */
    SCRAM_BINDING_BYTES_MAX = 64,   /* a certificate's digest: SHA-512 is the longest */
    SCRAM_MOCK_SECRET_BYTES = 32,
};

#define SCRAM_MECHANISM "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

typedef enum ScramResult { SCRAM_MORE, SCRAM_DONE, SCRAM_FAILED } ScramResult;

typedef enum ScramServerState {
    SCRAM_SERVER_FIRST, /* wants the client-first-message */
    SCRAM_SERVER_FINAL, /* wants the client-final-message */
    SCRAM_SERVER_DONE,
    SCRAM_SERVER_FAILED,
} ScramServerState;

typedef struct ScramServerOptions {
    Str user; /* from the startup packet: the name inside the messages is ignored, as in PostgreSQL */
    const ScramVerifier *verifier; /* NULL: no such role, no password, password expired */
    const uint8_t *mock_secret;    /* SCRAM_MOCK_SECRET_BYTES, random, constant for the engine */
    uint32_t mock_iterations;      /* what verifiers made now would use */
    bool tls;                      /* the connection is encrypted, so the server offers ...-PLUS */
    Str binding; /* tls-server-end-point data (RFC 5929): digest of our certificate; empty without TLS */
} ScramServerOptions;

/* Own storage, no pointers but into itself: may lie anywhere, must not be copied. */
typedef struct ScramServer {
    ScramServerState state;
    bool doomed; /* no verifier: fails whatever comes */
    bool tls;
    bool plus; /* the client chose ...-PLUS */
    char binding_flag;
    uint32_t binding_bytes;
    uint32_t user_bytes;
    uint32_t first_bytes;
    uint32_t nonce_bytes;
    uint32_t server_first_bytes;
    ScramVerifier verifier;
    uint8_t binding[SCRAM_BINDING_BYTES_MAX];
    char user[256]; /* for the message of a failure; longer names are cut */
    char client_first_bare[SCRAM_MESSAGE_BYTES_MAX];
    char nonce[SCRAM_CLIENT_NONCE_BYTES_MAX + SCRAM_NONCE_TEXT_BYTES]; /* client's and ours */
    char server_first[1024];
    char server_nonce[SCRAM_NONCE_TEXT_BYTES];
} ScramServer;

/* The mechanisms to offer: names with a zero byte each, ending with an empty one, as AuthenticationSASL carries them. */
Str scram_mechanisms(bool tls);

/*
 * Starts an exchange with the mechanism that the client chose. The server's nonce is drawn from os_random_bytes.
 * 08P01 when the mechanism was not offered. Options are copied.
 */
STATUS scram_server_init(ScramServer *s, const ScramServerOptions *options, Str mechanism, Error *err);

/*
 * One message in, one out (appended to `out`). ST_OK: *out_result is SCRAM_MORE (send `out`, wait for the next) or
 * SCRAM_DONE (send `out`, the user is who he says). Otherwise the exchange has failed with PostgreSQL's error: 28P01
 * "password authentication failed", 08P01 for malformed messages, 28000 for channel binding, 0A000 for extensions; and
 * *out_result is SCRAM_FAILED.
 */
STATUS scram_server_step(ScramServer *s, Str in, StrBuf *out, Error *err, ScramResult *out_result);
void scram_server_done(ScramServer *s);

typedef enum ScramClientState {
    SCRAM_CLIENT_FIRST,
    SCRAM_CLIENT_SERVER_FIRST,
    SCRAM_CLIENT_SERVER_FINAL,
    SCRAM_CLIENT_DONE,
    SCRAM_CLIENT_FAILED,
} ScramClientState;

typedef struct ScramClient {
    ScramClientState state;
    bool tls;
    bool plus;
    uint32_t binding_bytes;
    uint32_t password_bytes;
    uint32_t nonce_bytes;
    uint32_t auth_message_bytes;
    uint8_t binding[SCRAM_BINDING_BYTES_MAX];
    char nonce[SCRAM_NONCE_TEXT_BYTES + 8];
    char auth_message[3 * SCRAM_MESSAGE_BYTES_MAX];
    uint8_t salted_password[SCRAM_KEY_BYTES];
    char password[PASSWORD_BYTES_MAX]; /* prepared; wiped as soon as it is salted */
    char user[256];                    /* escaped; PostgreSQL's clients leave it empty */
    uint32_t user_bytes;
} ScramClient;

enum { SCRAM_CLIENT_ITERATIONS_MAX = 10 * 1000 * 1000 }; /* what a server may ask of us: some seconds */

typedef struct ScramClientOptions {
    Str user;     /* may be empty */
    Str password; /* in clear; prepared here */
    Str nonce;    /* empty: drawn at random. Tests give their own */
    bool tls;     /* the connection is encrypted */
    bool plus;    /* use ...-PLUS, with `binding` */
    Str binding;
} ScramClientOptions;

STATUS scram_client_init(ScramClient *c, const ScramClientOptions *options, Budget *budget, Error *err);
/* Like scram_server_step; the first call takes an empty `in`. After SCRAM_DONE the server has proved itself too. */
STATUS scram_client_step(ScramClient *c, Str in, StrBuf *out, Error *err, ScramResult *out_result);
void scram_client_done(ScramClient *c);

#endif
