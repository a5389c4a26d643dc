/*
 * auth/auth_int.h: what the files of auth/ share: hashes, base64, password preparation.
 *
 * The functions over OpenSSL return false only when the library itself fails (no memory, no provider).
 */
#ifndef RDB_AUTH_AUTH_INT_H
#define RDB_AUTH_AUTH_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "auth/password.h"
#include "auth/scram.h"

MUST_CHECK bool hash_sha256(const void *p, size_t bytes, uint8_t out[SCRAM_KEY_BYTES]);
MUST_CHECK bool hmac_sha256(const void *key, size_t key_bytes, const void *p, size_t bytes,
                            uint8_t out[SCRAM_KEY_BYTES]);
/* Hi() of RFC 5802: PBKDF2 with HMAC-SHA-256. */
MUST_CHECK bool scram_salted_password(Str prepared, const uint8_t *salt, uint32_t salt_bytes, uint32_t iterations,
                                      uint8_t out[SCRAM_KEY_BYTES]);
/* ClientKey and ServerKey are HMACs of a name under the salted password; StoredKey is the hash of ClientKey. */
MUST_CHECK bool scram_derive(const uint8_t salted[SCRAM_KEY_BYTES], uint8_t out_client_key[SCRAM_KEY_BYTES],
                             uint8_t out_stored_key[SCRAM_KEY_BYTES], uint8_t out_server_key[SCRAM_KEY_BYTES]);
bool bytes_equal(const void *a, const void *b, size_t bytes); /* in constant time */
Status crypto_failed(Error *err);                             /* records ST_INTERNAL */

/* Standard base64 with padding. Characters that `bytes` bytes take. */
static inline size_t base64_text_bytes(size_t bytes)
{
    return (bytes + 2) / 3 * 4;
}
void base64_encode(const uint8_t *p, size_t bytes, char *out); /* no zero at the end */
/* Strict: canonical, padded (or not, as `padded` says). False also when it gives more than `max` bytes. */
bool base64_decode(Str text, bool padded, uint8_t *out, size_t max, size_t *out_bytes);

/*
 * SASLprep (RFC 4013) of a clear password into `out`, at most PASSWORD_BYTES_MAX bytes. Text that it does not allow, or
 * that is not UTF-8, is copied as it is: as PostgreSQL, whose users have such passwords. Scratch memory is charged to
 * the budget and wiped. ST_OUT_OF_MEMORY, ST_INVALID_PARAMETER_VALUE (too long).
 */
STATUS saslprep(Str clear, Budget *budget, char *out, size_t *out_bytes, Error *err);

/* ---- attributes of SCRAM messages: "x=value,y=value" ---- */

typedef struct ScramReader {
    const char *p;
    const char *end;
} ScramReader;

STATUS scram_malformed(Error *err, const char *detail_fmt, ...) PRINTF_LIKE(2, 3);
/* The value of the attribute that must come next; both report like PostgreSQL. */
STATUS scram_read_attr(ScramReader *r, char attr, Error *err, Str *out_value);
STATUS scram_read_any_attr(ScramReader *r, Error *err, char *out_attr, Str *out_value);
/* What an unexpected character is called in a message. */
const char *scram_char_name(const ScramReader *r, char buf[5]);
bool scram_printable(Str s); /* RFC 5802: 0x21-0x7e without the comma; not empty */

#endif
