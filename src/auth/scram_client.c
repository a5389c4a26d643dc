/*
 * auth/scram_client.c: the client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for the shell.
 *
 * AuthMessage grows in the object as the messages pass: client-first-bare, server-first, client-final-without-proof.
 */
#include <string.h>

#include "auth/auth_int.h"
#include "os/thread.h"

static const char BINDING_HEADER[] = "p=tls-server-end-point,,";

/* The user's name with "," and "=" escaped (RFC 5802, section 5.1). */
static bool escape_user(ScramClient *c, Str user)
{
    for (size_t i = 0; i < user.len; i++) {
        bool escape = user.p[i] == ',' || user.p[i] == '=';
        if (c->user_bytes + 3 > sizeof c->user || user.p[i] == '\0') {
            return false;
        }
        if (escape) {
            memcpy(c->user + c->user_bytes, user.p[i] == ',' ? "=2C" : "=3D", 3);
            c->user_bytes += 3;
        } else {
            c->user[c->user_bytes++] = user.p[i];
        }
    }
    return true;
}

Status scram_client_init(ScramClient *c, const ScramClientOptions *options, Budget *budget, Error *err)
{
    ASSERT(options->binding.len <= SCRAM_BINDING_BYTES_MAX && (!options->plus || options->tls));
    ASSERT(options->nonce.len <= sizeof c->nonce);
    memset(c, 0, sizeof *c);
    c->tls = options->tls;
    c->plus = options->plus;
    c->binding_bytes = (uint32_t)options->binding.len;
    memcpy(c->binding, options->binding.len > 0 ? options->binding.p : "", options->binding.len);
    if (!escape_user(c, options->user)) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "user name is too long");
    }
    if (options->nonce.len > 0) {
        memcpy(c->nonce, options->nonce.p, options->nonce.len);
        c->nonce_bytes = (uint32_t)options->nonce.len;
    } else {
        uint8_t raw[SCRAM_NONCE_RAW_BYTES];
        os_random_bytes(raw, sizeof raw);
        base64_encode(raw, sizeof raw, c->nonce);
        c->nonce_bytes = SCRAM_NONCE_TEXT_BYTES;
    }
    size_t n = 0;
    Status st = saslprep(options->password, budget, c->password, &n, err);
    c->password_bytes = (uint32_t)n;
    return st;
}

void scram_client_done(ScramClient *c)
{
    auth_wipe(c, sizeof *c);
}

static void message_append(ScramClient *c, const void *p, size_t bytes)
{
    ASSERT(c->auth_message_bytes + bytes <= sizeof c->auth_message);
    memcpy(c->auth_message + c->auth_message_bytes, p, bytes);
    c->auth_message_bytes += (uint32_t)bytes;
}

static Status step_first(ScramClient *c, StrBuf *out)
{
    message_append(c, "n=", 2);
    message_append(c, c->user, c->user_bytes);
    message_append(c, ",r=", 3);
    message_append(c, c->nonce, c->nonce_bytes);
    /* 'y' would say that we could bind the channel and the server did not offer it. */
    strbuf_puts(out, c->plus ? BINDING_HEADER : "n,,");
    strbuf_append(out, c->auth_message, c->auth_message_bytes);
    c->state = SCRAM_CLIENT_SERVER_FIRST;
    return ST_OK;
}

typedef struct ServerFirst {
    Str nonce;
    uint8_t salt[SCRAM_SALT_BYTES_MAX];
    size_t salt_bytes;
    uint32_t iterations;
} ServerFirst;

static bool parse_iterations(Str s, uint32_t *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < s.len && i < 9; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    }
    *out = v;
    return s.len > 0 && s.len < 9 && v >= 1 && v <= SCRAM_CLIENT_ITERATIONS_MAX;
}

static Status read_server_first(const ScramClient *c, Str in, Error *err, ServerFirst *out)
{
    ScramReader r = {in.p, in.p + in.len};
    Str salt;
    Str iterations;
    Status st = scram_read_attr(&r, 'r', err, &out->nonce);
    if (st == ST_OK) {
        st = scram_read_attr(&r, 's', err, &salt);
    }
    if (st == ST_OK) {
        st = scram_read_attr(&r, 'i', err, &iterations);
    }
    if (st != ST_OK) {
        return st;
    }
    if (out->nonce.len <= c->nonce_bytes || memcmp(out->nonce.p, c->nonce, c->nonce_bytes) != 0 ||
        !scram_printable(out->nonce)) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "invalid SCRAM response (nonce mismatch)");
    }
    if (!base64_decode(salt, true, out->salt, sizeof out->salt, &out->salt_bytes) || out->salt_bytes == 0) {
        return scram_malformed(err, "Invalid salt.");
    }
    return parse_iterations(iterations, &out->iterations) ? ST_OK : scram_malformed(err, "Invalid iteration count.");
}

static void append_base64(StrBuf *out, const uint8_t *p, size_t bytes)
{
    char text[128];
    ASSERT(base64_text_bytes(bytes) <= sizeof text);
    base64_encode(p, bytes, text);
    strbuf_append(out, text, base64_text_bytes(bytes));
}

/* "c=": the GS2 header of the first message, and under -PLUS the binding data. */
static void append_binding(const ScramClient *c, StrBuf *out)
{
    uint8_t data[sizeof BINDING_HEADER - 1 + SCRAM_BINDING_BYTES_MAX];
    if (!c->plus) {
        strbuf_puts(out, "c=biws"); /* "n,," */
        return;
    }
    memcpy(data, BINDING_HEADER, sizeof BINDING_HEADER - 1);
    memcpy(data + sizeof BINDING_HEADER - 1, c->binding, c->binding_bytes);
    strbuf_puts(out, "c=");
    append_base64(out, data, sizeof BINDING_HEADER - 1 + c->binding_bytes);
}

/* ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage). False: the crypto library failed. */
static bool make_proof(const ScramClient *c, uint8_t proof[SCRAM_KEY_BYTES])
{
    uint8_t stored_key[SCRAM_KEY_BYTES];
    uint8_t server_key[SCRAM_KEY_BYTES];
    uint8_t signature[SCRAM_KEY_BYTES];
    bool ok = scram_derive(c->salted_password, proof, stored_key, server_key) &&
              hmac_sha256(stored_key, SCRAM_KEY_BYTES, c->auth_message, c->auth_message_bytes, signature);
    for (size_t i = 0; ok && i < SCRAM_KEY_BYTES; i++) {
        proof[i] ^= signature[i];
    }
    auth_wipe(stored_key, sizeof stored_key);
    auth_wipe(server_key, sizeof server_key);
    return ok;
}

static Status step_server_first(ScramClient *c, Str in, StrBuf *out, Error *err)
{
    ServerFirst first;
    uint8_t proof[SCRAM_KEY_BYTES];
    size_t begin = out->len;
    Status st = read_server_first(c, in, err, &first);
    if (st != ST_OK) {
        return st;
    }
    append_binding(c, out);
    strbuf_puts(out, ",r=");
    strbuf_append(out, first.nonce.p, first.nonce.len);
    if (out->failed) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    message_append(c, ",", 1);
    message_append(c, in.p, in.len);
    message_append(c, ",", 1);
    message_append(c, out->p + begin, out->len - begin);
    bool ok = scram_salted_password((Str){c->password, c->password_bytes}, first.salt, (uint32_t)first.salt_bytes,
                                    first.iterations, c->salted_password) &&
              make_proof(c, proof);
    auth_wipe(c->password, sizeof c->password);
    if (!ok) {
        return crypto_failed(err);
    }
    strbuf_puts(out, ",p=");
    append_base64(out, proof, sizeof proof);
    c->state = SCRAM_CLIENT_SERVER_FINAL;
    return ST_OK;
}

/* The server proves that it knows the verifier: v = HMAC(ServerKey, AuthMessage). */
static Status step_server_final(ScramClient *c, Str in, Error *err)
{
    ScramReader r = {in.p, in.p + in.len};
    Str value;
    uint8_t given[SCRAM_KEY_BYTES];
    uint8_t keys[3][SCRAM_KEY_BYTES];
    uint8_t wanted[SCRAM_KEY_BYTES];
    size_t n = 0;
    if (in.len > 0 && *in.p == 'e') {
        return err_set(err, ST_INVALID_PASSWORD, "the server refused the SCRAM exchange");
    }
    Status st = scram_read_attr(&r, 'v', err, &value);
    if (st != ST_OK) {
        return st;
    }
    if (!base64_decode(value, true, given, sizeof given, &n) || n != sizeof given) {
        return scram_malformed(err, "Invalid server signature.");
    }
    bool ok = scram_derive(c->salted_password, keys[0], keys[1], keys[2]) &&
              hmac_sha256(keys[2], SCRAM_KEY_BYTES, c->auth_message, c->auth_message_bytes, wanted);
    auth_wipe(keys, sizeof keys);
    if (!ok) {
        return crypto_failed(err);
    }
    if (!bytes_equal(given, wanted, sizeof wanted)) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "incorrect server signature");
    }
    c->state = SCRAM_CLIENT_DONE;
    return ST_OK;
}

static Status take_step(ScramClient *c, Str in, StrBuf *out, Error *err)
{
    if (in.len > SCRAM_MESSAGE_BYTES_MAX || (in.len > 0 && memchr(in.p, '\0', in.len) != NULL)) {
        return scram_malformed(err, "The message is too long or contains a zero byte.");
    }
    switch (c->state) {
    case SCRAM_CLIENT_FIRST: return step_first(c, out);
    case SCRAM_CLIENT_SERVER_FIRST: return step_server_first(c, in, out, err);
    case SCRAM_CLIENT_SERVER_FINAL: return step_server_final(c, in, err);
    default: UNREACHABLE(); /* S2 */
    }
}

Status scram_client_step(ScramClient *c, Str in, StrBuf *out, Error *err, ScramResult *out_result)
{
    Status st = take_step(c, in, out, err);
    if (st == ST_OK && out->failed) {
        st = err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    if (st != ST_OK) {
        c->state = SCRAM_CLIENT_FAILED;
    }
    *out_result = st != ST_OK ? SCRAM_FAILED : c->state == SCRAM_CLIENT_DONE ? SCRAM_DONE : SCRAM_MORE;
    return st;
}
