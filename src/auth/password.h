/*
 * auth/password.h: password records, the text stored with a role instead of its password.
 *
 * Key idea: a record holds up to two verifiers, separated by one space: first the one of SCRAM-SHA-256, exactly as
 * PostgreSQL writes it,
 *     SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>          (salt and keys in base64)
 * then an optional one of Argon2id in the usual PHC form,
 *     $argon2id$v=19$m=<KiB>,t=<passes>,p=<lanes>$<salt>$<hash>          (base64 without padding)
 * So a record with the first alone is byte for byte PostgreSQL's, and dumps move both ways. Neither form contains a
 * space. Argon2id is parsed and kept but not made yet.
 *
 * Clear passwords and keys are wiped from every buffer of this module before the buffer is given up. What goes into
 * OpenSSL and ICU they wipe or not as they do.
 */
#ifndef RDB_AUTH_PASSWORD_H
#define RDB_AUTH_PASSWORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

enum {
    SCRAM_KEY_BYTES = 32,  /* of SHA-256 */
    SCRAM_SALT_BYTES = 16, /* of the verifiers made here */
    SCRAM_SALT_BYTES_MAX = 256,
    SCRAM_ITERATIONS_DEFAULT = 4096,
    PASSWORD_BYTES_MAX = 8192, /* of a clear password */
    PASSWORD_RECORD_BYTES_MAX = 2048,
};

/* RFC 5802, section 3. Plain data, copied by assignment; wipe it with auth_wipe after use. */
typedef struct ScramVerifier {
    uint32_t iterations; /* 1 .. INT32_MAX */
    uint32_t salt_bytes; /* 1 .. SCRAM_SALT_BYTES_MAX */
    uint8_t salt[SCRAM_SALT_BYTES_MAX];
    uint8_t stored_key[SCRAM_KEY_BYTES];
    uint8_t server_key[SCRAM_KEY_BYTES];
} ScramVerifier;

typedef struct PasswordRecord {
    bool has_scram;
    ScramVerifier scram;
    Str argon2id; /* points into the parsed text; empty = none */
} PasswordRecord;

/* Overwrites memory in a way that the compiler does not remove. */
void auth_wipe(void *p, size_t bytes);

/*
 * Takes a record apart. Strict: exact forms, canonical base64, at most PASSWORD_RECORD_BYTES_MAX bytes. `out_record`
 * points into `text`. ST_INVALID_PARAMETER_VALUE for anything else; the text never gets into the message.
 */
STATUS password_parse(Str text, Error *err, PasswordRecord *out_record);

/*
 * Appends to `out` the record for what CREATE/ALTER ROLE ... PASSWORD was given: a clear password, which is prepared
 * (SASLprep, RFC 4013; like PostgreSQL, one that cannot be prepared is taken as it is) and salted at random, or a text
 * that already is a record, which is taken as such. An MD5 hash: ST_FEATURE_NOT_SUPPORTED, since nothing could check it.
 * `iterations` 1 .. INT32_MAX, SCRAM_ITERATIONS_DEFAULT unless configured. Costs about 1.3 ms for 4096 iterations.
 * ST_OUT_OF_MEMORY, ST_INVALID_PARAMETER_VALUE (too long), ST_INTERNAL (the crypto library failed).
 */
STATUS password_make(Str given, uint32_t iterations, Budget *budget, StrBuf *out, Error *err);

/*
 * Is `clear` the password of the record? In constant time with respect to the verifier. For passwords sent in clear
 * over TLS, and for refusing empty ones. Costs like password_make.
 */
STATUS password_verify(const PasswordRecord *record, Str clear, Budget *budget, Error *err, bool *out_equal);

#endif
