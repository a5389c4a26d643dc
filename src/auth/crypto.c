/*
 * auth/crypto.c: SHA-256, HMAC and PBKDF2 from OpenSSL, and base64.
 *
 * A login makes about ten of these calls, so the one-shot forms, which look the algorithm up each time (under a
 * microsecond), are good enough. OpenSSL's own scratch memory is not charged to budgets: it is bounded, some hundred
 * bytes a call.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#include "auth/auth_int.h"

void auth_wipe(void *p, size_t bytes)
{
    OPENSSL_cleanse(p, bytes);
}

bool bytes_equal(const void *a, const void *b, size_t bytes)
{
    return CRYPTO_memcmp(a, b, bytes) == 0;
}

Status crypto_failed(Error *err)
{
    return err_set(err, ST_INTERNAL, "the cryptographic library failed");
}

bool hash_sha256(const void *p, size_t bytes, uint8_t out[SCRAM_KEY_BYTES])
{
    return SHA256(p, bytes, out) != NULL;
}

bool hmac_sha256(const void *key, size_t key_bytes, const void *p, size_t bytes, uint8_t out[SCRAM_KEY_BYTES])
{
    unsigned out_bytes = 0;
    ASSERT(key_bytes <= INT32_MAX);
    /* A NULL key would mean "the key of the last call". */
    const void *some = key_bytes > 0 ? key : "";
    return HMAC(EVP_sha256(), some, (int)key_bytes, p, bytes, out, &out_bytes) != NULL && out_bytes == SCRAM_KEY_BYTES;
}

bool scram_salted_password(Str prepared, const uint8_t *salt, uint32_t salt_bytes, uint32_t iterations,
                           uint8_t out[SCRAM_KEY_BYTES])
{
    ASSERT(iterations >= 1 && iterations <= INT32_MAX && prepared.len <= PASSWORD_BYTES_MAX);
    return PKCS5_PBKDF2_HMAC(prepared.len > 0 ? prepared.p : "", (int)prepared.len, salt, (int)salt_bytes,
                             (int)iterations, EVP_sha256(), SCRAM_KEY_BYTES, out) == 1;
}

bool scram_derive(const uint8_t salted[SCRAM_KEY_BYTES], uint8_t out_client_key[SCRAM_KEY_BYTES],
                  uint8_t out_stored_key[SCRAM_KEY_BYTES], uint8_t out_server_key[SCRAM_KEY_BYTES])
{
    return hmac_sha256(salted, SCRAM_KEY_BYTES, "Client Key", 10, out_client_key) &&
           hash_sha256(out_client_key, SCRAM_KEY_BYTES, out_stored_key) &&
           hmac_sha256(salted, SCRAM_KEY_BYTES, "Server Key", 10, out_server_key);
}

static const char BASE64[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const uint8_t *p, size_t bytes, char *out)
{
    for (size_t i = 0; i < bytes; i += 3) {
        size_t n = bytes - i < 3 ? bytes - i : 3;
        uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0u);
        *out++ = BASE64[v >> 18];
        *out++ = BASE64[v >> 12 & 63];
        *out++ = n > 1 ? BASE64[v >> 6 & 63] : '=';
        *out++ = n > 2 ? BASE64[v & 63] : '=';
    }
}

/* The value of a digit, or -1. */
static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The text without its padding; false when the padding is not what the length asks for. */
static bool strip_padding(Str *text)
{
    if (text->len % 4 != 0) {
        return false;
    }
    for (int i = 0; i < 2 && text->len > 0 && text->p[text->len - 1] == '='; i++) {
        text->len--;
    }
    return true;
}

bool base64_decode(Str text, bool padded, uint8_t *out, size_t max, size_t *out_bytes)
{
    if ((padded && !strip_padding(&text)) || text.len % 4 == 1 || text.len / 4 * 3 + (text.len % 4 * 3) / 4 > max) {
        return false;
    }
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        int v = digit_value(text.p[i]);
        if (v < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)v;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out[n++] = (uint8_t)(bits >> bit_count);
            bits &= (1u << bit_count) - 1;
        }
    }
    *out_bytes = n;
    return bits == 0; /* canonical: the bits that no byte takes are zero */
}
