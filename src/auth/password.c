/*
 * auth/password.c: makes, parses and checks password records.
 */
#include <inttypes.h>
#include <string.h>

#include "auth/auth_int.h"
#include "os/thread.h"

#define SCRAM_PREFIX "SCRAM-SHA-256$"
#define ARGON2ID_PREFIX "$argon2id$v=19$"

static bool has_prefix(Str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.p, prefix, n) == 0;
}

static Str str_after(Str s, size_t bytes)
{
    return (Str){s.p + bytes, s.len - bytes};
}

/* Splits *io_rest at the first `c` (taken out); false without one. */
static bool split_at(Str *io_rest, char c, Str *out_head)
{
    const char *at = io_rest->len > 0 ? memchr(io_rest->p, c, io_rest->len) : NULL;
    if (at == NULL) {
        return false;
    }
    size_t n = (size_t)(at - io_rest->p);
    *out_head = (Str){io_rest->p, n};
    *io_rest = str_after(*io_rest, n + 1);
    return true;
}

/* A positive decimal number of at most INT32_MAX, without sign or leading zeros. */
static bool parse_number(Str s, uint32_t *out_number)
{
    uint64_t v = 0;
    if (s.len == 0 || s.len > 10 || s.p[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *out_number = (uint32_t)v;
    return v <= INT32_MAX;
}

static bool decode_key(Str text, uint8_t key[SCRAM_KEY_BYTES])
{
    size_t n = 0;
    return base64_decode(text, true, key, SCRAM_KEY_BYTES, &n) && n == SCRAM_KEY_BYTES;
}

static bool parse_scram(Str s, ScramVerifier *out)
{
    Str iterations;
    Str salt;
    Str stored;
    size_t salt_bytes = 0;
    if (!has_prefix(s, SCRAM_PREFIX)) {
        return false;
    }
    s = str_after(s, sizeof SCRAM_PREFIX - 1);
    if (!split_at(&s, ':', &iterations) || !split_at(&s, '$', &salt) || !split_at(&s, ':', &stored) ||
        !parse_number(iterations, &out->iterations) ||
        !base64_decode(salt, true, out->salt, SCRAM_SALT_BYTES_MAX, &salt_bytes) || salt_bytes == 0) {
        return false;
    }
    out->salt_bytes = (uint32_t)salt_bytes;
    return decode_key(stored, out->stored_key) && decode_key(s, out->server_key);
}

/* "<name>=<number>" up to `end` (0 = the end of the text). */
static bool skip_parameter(Str *io_rest, char name, char end)
{
    Str value;
    uint32_t number;
    if (io_rest->len < 2 || io_rest->p[0] != name || io_rest->p[1] != '=') {
        return false;
    }
    *io_rest = str_after(*io_rest, 2);
    return split_at(io_rest, end, &value) && parse_number(value, &number);
}

static bool valid_argon2id(Str s)
{
    uint8_t bytes[256];
    size_t n = 0;
    Str salt;
    if (!has_prefix(s, ARGON2ID_PREFIX)) {
        return false;
    }
    s = str_after(s, sizeof ARGON2ID_PREFIX - 1);
    return skip_parameter(&s, 'm', ',') && skip_parameter(&s, 't', ',') && skip_parameter(&s, 'p', '$') &&
           split_at(&s, '$', &salt) && base64_decode(salt, false, bytes, sizeof bytes, &n) && n >= 8 &&
           base64_decode(s, false, bytes, sizeof bytes, &n) && n >= 16;
}

static bool parse_record(Str text, PasswordRecord *record)
{
    memset(record, 0, sizeof *record);
    if (text.len > PASSWORD_RECORD_BYTES_MAX) {
        return false;
    }
    if (has_prefix(text, SCRAM_PREFIX)) {
        Str scram = text;
        bool both = split_at(&text, ' ', &scram);
        record->argon2id = both ? text : (Str){"", 0};
        record->has_scram = true;
        return parse_scram(scram, &record->scram) && (!both || valid_argon2id(text));
    }
    record->argon2id = text;
    return valid_argon2id(text);
}

Status password_parse(Str text, Error *err, PasswordRecord *out_record)
{
    PasswordRecord record;
    Status st = ST_OK;
    if (parse_record(text, &record)) {
        *out_record = record;
    } else {
        st = err_set(err, ST_INVALID_PARAMETER_VALUE, "invalid password record");
    }
    auth_wipe(&record, sizeof record);
    return st;
}

/* "md5" and 32 hexadecimal digits: what PostgreSQL takes as a ready hash. */
static bool is_md5(Str s)
{
    if (s.len != 35 || !has_prefix(s, "md5")) {
        return false;
    }
    for (size_t i = 3; i < s.len; i++) {
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) {
            return false;
        }
    }
    return true;
}

static void append_base64(StrBuf *out, const uint8_t *p, size_t bytes)
{
    char text[(SCRAM_SALT_BYTES_MAX + 2) / 3 * 4];
    base64_encode(p, bytes, text);
    strbuf_append(out, text, base64_text_bytes(bytes));
    auth_wipe(text, sizeof text);
}

static void append_scram(StrBuf *out, const ScramVerifier *v)
{
    strbuf_printf(out, SCRAM_PREFIX "%" PRIu32 ":", v->iterations);
    append_base64(out, v->salt, v->salt_bytes);
    strbuf_putc(out, '$');
    append_base64(out, v->stored_key, SCRAM_KEY_BYTES);
    strbuf_putc(out, ':');
    append_base64(out, v->server_key, SCRAM_KEY_BYTES);
}

/* Fills the keys of a verifier that has salt and iterations. */
static Status derive_verifier(Str clear, Budget *budget, ScramVerifier *v, Error *err)
{
    char prepared[PASSWORD_BYTES_MAX];
    uint8_t salted[SCRAM_KEY_BYTES];
    uint8_t client_key[SCRAM_KEY_BYTES];
    size_t bytes = 0;
    Status st = saslprep(clear, budget, prepared, &bytes, err);
    if (st == ST_OK && !(scram_salted_password((Str){prepared, bytes}, v->salt, v->salt_bytes, v->iterations, salted) &&
                         scram_derive(salted, client_key, v->stored_key, v->server_key))) {
        st = crypto_failed(err);
    }
    auth_wipe(prepared, sizeof prepared);
    auth_wipe(salted, sizeof salted);
    auth_wipe(client_key, sizeof client_key);
    return st;
}

Status password_make(Str given, uint32_t iterations, Budget *budget, StrBuf *out, Error *err)
{
    ASSERT(iterations >= 1 && iterations <= INT32_MAX);
    PasswordRecord record;
    Status st = ST_OK;
    if (is_md5(given)) {
        st = err_set(err, ST_FEATURE_NOT_SUPPORTED, "MD5 password hashes are not supported");
        err_hint(err, "Give the password itself, or a SCRAM-SHA-256 verifier.");
    } else if (parse_record(given, &record)) {
        strbuf_append(out, given.p, given.len);
    } else {
        record.scram.iterations = iterations;
        record.scram.salt_bytes = SCRAM_SALT_BYTES;
        os_random_bytes(record.scram.salt, SCRAM_SALT_BYTES);
        st = derive_verifier(given, budget, &record.scram, err);
        if (st == ST_OK) {
            append_scram(out, &record.scram);
        }
    }
    if (st == ST_OK && out->failed) {
        st = err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    auth_wipe(&record, sizeof record);
    return st;
}

Status password_verify(const PasswordRecord *record, Str clear, Budget *budget, Error *err, bool *out_equal)
{
    if (!record->has_scram) {
        return err_set(err, ST_FEATURE_NOT_SUPPORTED, "Argon2id password verifiers are not supported yet");
    }
    ScramVerifier v = record->scram;
    Status st = derive_verifier(clear, budget, &v, err);
    if (st == ST_OK) {
        *out_equal = bytes_equal(v.stored_key, record->scram.stored_key, SCRAM_KEY_BYTES);
    }
    auth_wipe(&v, sizeof v);
    return st;
}
