/*
 * auth/scram_server.c: the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), with PostgreSQL's errors.
 *
 * The client's bytes are read where they lie; what the proof is computed over (client-first-bare, server-first,
 * client-final-without-proof: "AuthMessage") is kept in the object or still in the caller's hands.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auth/auth_int.h"
#include "os/thread.h"

#define BINDING_TYPE "tls-server-end-point"

Str scram_mechanisms(bool tls)
{
    /* sizeof counts the zero that ends the list. */
    static const char all[] = SCRAM_MECHANISM_PLUS "\0" SCRAM_MECHANISM "\0";
    static const char plain[] = SCRAM_MECHANISM "\0";
    return tls ? (Str){all, sizeof all} : (Str){plain, sizeof plain};
}

/* S1: the salt of a user without a verifier, the same at each attempt. */
static bool mock_verifier(ScramVerifier *v, const ScramServerOptions *options)
{
    uint8_t hash[SCRAM_KEY_BYTES];
    if (!hmac_sha256(options->mock_secret, SCRAM_MOCK_SECRET_BYTES, options->user.p, options->user.len, hash)) {
        return false;
    }
    memset(v, 0, sizeof *v);
    v->iterations = options->mock_iterations;
    v->salt_bytes = SCRAM_SALT_BYTES;
    memcpy(v->salt, hash, SCRAM_SALT_BYTES);
    return true;
}

Status scram_server_init(ScramServer *s, const ScramServerOptions *options, Str mechanism, Error *err)
{
    ASSERT(options->binding.len <= SCRAM_BINDING_BYTES_MAX);
    memset(s, 0, sizeof *s);
    s->tls = options->tls;
    s->plus = str_eq(mechanism, STR_LIT(SCRAM_MECHANISM_PLUS));
    if (s->plus ? !s->tls : !str_eq(mechanism, STR_LIT(SCRAM_MECHANISM))) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "client selected an invalid SASL authentication mechanism");
    }
    s->user_bytes = (uint32_t)utf8_clip(options->user.p, options->user.len, sizeof s->user);
    memcpy(s->user, options->user.p, s->user_bytes);
    s->binding_bytes = (uint32_t)options->binding.len;
    memcpy(s->binding, options->binding.len > 0 ? options->binding.p : "", options->binding.len);
    s->doomed = options->verifier == NULL;
    if (!s->doomed) {
        s->verifier = *options->verifier;
    } else if (!mock_verifier(&s->verifier, options)) {
        return crypto_failed(err);
    }
    uint8_t raw[SCRAM_NONCE_RAW_BYTES];
    os_random_bytes(raw, sizeof raw);
    base64_encode(raw, sizeof raw, s->server_nonce);
    return ST_OK;
}

void scram_server_done(ScramServer *s)
{
    auth_wipe(s, sizeof *s);
}

/* The GS2 header's first part: does the client bind the channel? */
static Status read_binding_flag(ScramServer *s, ScramReader *r, Error *err)
{
    char name[5];
    Str type;
    s->binding_flag = r->p < r->end ? *r->p : '\0';
    switch (s->binding_flag) {
    case 'n':
    case 'y':
        if (s->plus) {
            return scram_malformed(err, "The client selected " SCRAM_MECHANISM_PLUS
                                        ", but the SCRAM message does not include channel binding data.");
        }
        /* RFC 5802, section 6: then somebody has removed -PLUS from our offer. */
        if (s->binding_flag == 'y' && s->tls) {
            err_set(err, ST_INVALID_AUTHORIZATION_SPECIFICATION, "SCRAM channel binding negotiation error");
            err_detail(err, "The client supports SCRAM channel binding but thinks the server does not.  "
                            "However, this server does support channel binding.");
            return ST_INVALID_AUTHORIZATION_SPECIFICATION;
        }
        r->p++;
        if (r->p == r->end || *r->p != ',') {
            return scram_malformed(err, "Comma expected, but found character \"%s\".", scram_char_name(r, name));
        }
        r->p++;
        return ST_OK;
    case 'p': break;
    default: return scram_malformed(err, "Unexpected channel-binding flag \"%s\".", scram_char_name(r, name));
    }
    if (!s->plus) {
        return scram_malformed(err, "The client selected " SCRAM_MECHANISM
                                    " without channel binding, but the SCRAM message includes channel binding data.");
    }
    Status st = scram_read_attr(r, 'p', err, &type);
    if (st == ST_OK && !str_eq(type, STR_LIT(BINDING_TYPE))) {
        st = err_set(err, ST_PROTOCOL_VIOLATION, "unsupported SCRAM channel-binding type \"%.*s\"",
                     scram_printable(type) && type.len <= 64 ? (int)type.len : 0, type.p);
    }
    return st;
}

static Status read_authorization_identity(ScramReader *r, Error *err)
{
    char name[5];
    if (r->p < r->end && *r->p == 'a') {
        return err_set(err, ST_FEATURE_NOT_SUPPORTED, "client uses authorization identity, but it is not supported");
    }
    if (r->p == r->end || *r->p != ',') {
        return scram_malformed(err, "Unexpected attribute \"%s\" in client-first-message.", scram_char_name(r, name));
    }
    r->p++;
    return ST_OK;
}

/* From here on the bytes are "client-first-message-bare". */
static Status read_client_first_bare(ScramServer *s, ScramReader *r, Error *err)
{
    Str value;
    if (r->p < r->end && *r->p == 'm') {
        return err_set(err, ST_FEATURE_NOT_SUPPORTED, "client requires an unsupported SCRAM extension");
    }
    s->first_bytes = (uint32_t)(r->end - r->p);
    memcpy(s->client_first_bare, r->p, s->first_bytes);
    Status st = scram_read_attr(r, 'n', err, &value); /* the user came in the startup packet */
    if (st == ST_OK) {
        st = scram_read_attr(r, 'r', err, &value);
    }
    if (st != ST_OK) {
        return st;
    }
    if (!scram_printable(value)) {
        return err_set(err, ST_PROTOCOL_VIOLATION, "non-printable characters in SCRAM nonce");
    }
    if (value.len > SCRAM_CLIENT_NONCE_BYTES_MAX) {
        return scram_malformed(err, "The nonce is too long.");
    }
    memcpy(s->nonce, value.p, value.len);
    memcpy(s->nonce + value.len, s->server_nonce, SCRAM_NONCE_TEXT_BYTES);
    s->nonce_bytes = (uint32_t)value.len + SCRAM_NONCE_TEXT_BYTES;
    while (st == ST_OK && r->p < r->end) { /* extensions are allowed; we know none */
        char attr;
        st = scram_read_any_attr(r, err, &attr, &value);
    }
    return st;
}

static void write_server_first(ScramServer *s)
{
    char salt[(SCRAM_SALT_BYTES_MAX + 2) / 3 * 4];
    STATIC_ASSERT(sizeof s->server_first >= sizeof s->nonce + sizeof salt + 32, "r=,s=,i=2147483647");
    base64_encode(s->verifier.salt, s->verifier.salt_bytes, salt);
    int n = snprintf(s->server_first, sizeof s->server_first, "r=%.*s,s=%.*s,i=%" PRIu32, (int)s->nonce_bytes, s->nonce,
                     (int)base64_text_bytes(s->verifier.salt_bytes), salt, s->verifier.iterations);
    ASSERT(n > 0 && (size_t)n < sizeof s->server_first);
    s->server_first_bytes = (uint32_t)n;
}

static Status step_first(ScramServer *s, Str in, StrBuf *out, Error *err)
{
    ScramReader r = {in.p, in.p + in.len};
    Status st = read_binding_flag(s, &r, err);
    if (st == ST_OK) {
        st = read_authorization_identity(&r, err);
    }
    if (st == ST_OK) {
        st = read_client_first_bare(s, &r, err);
    }
    if (st == ST_OK) {
        write_server_first(s);
        strbuf_append(out, s->server_first, s->server_first_bytes);
        s->state = SCRAM_SERVER_FINAL;
    }
    return st;
}

/* "c=": the GS2 header again, and under -PLUS the certificate's digest. */
static Status check_binding(const ScramServer *s, Str given, Error *err)
{
    static const char header[] = "p=" BINDING_TYPE ",,";
    enum { HEADER_BYTES = sizeof header - 1 };
    if (!s->plus) {
        return str_eq(given, s->binding_flag == 'n' ? STR_LIT("biws") : STR_LIT("eSws"))
                   ? ST_OK
                   : err_set(err, ST_PROTOCOL_VIOLATION,
                             "unexpected SCRAM channel-binding attribute in client-final-message");
    }
    uint8_t wanted[HEADER_BYTES + SCRAM_BINDING_BYTES_MAX];
    char text[(sizeof wanted + 2) / 3 * 4];
    size_t n = HEADER_BYTES + s->binding_bytes;
    memcpy(wanted, header, HEADER_BYTES);
    memcpy(wanted + HEADER_BYTES, s->binding, s->binding_bytes);
    base64_encode(wanted, n, text);
    return str_eq(given, (Str){text, base64_text_bytes(n)})
               ? ST_OK
               : err_set(err, ST_INVALID_AUTHORIZATION_SPECIFICATION, "SCRAM channel binding check failed");
}

typedef struct ClientFinal {
    Str nonce;
    Str without_proof;
    uint8_t proof[SCRAM_KEY_BYTES];
} ClientFinal;

static Status read_client_final(const ScramServer *s, Str in, Error *err, ClientFinal *out)
{
    ScramReader r = {in.p, in.p + in.len};
    Str value;
    char attr = '\0';
    size_t n = 0;
    Status st = scram_read_attr(&r, 'c', err, &value);
    if (st == ST_OK) {
        st = check_binding(s, value, err);
    }
    if (st == ST_OK) {
        st = scram_read_attr(&r, 'r', err, &out->nonce);
    }
    while (st == ST_OK && attr != 'p') { /* extensions before the proof are allowed; we know none */
        out->without_proof = (Str){in.p, (size_t)(r.p - in.p) - 1};
        st = scram_read_any_attr(&r, err, &attr, &value);
    }
    if (st != ST_OK) {
        return st;
    }
    if (!base64_decode(value, true, out->proof, SCRAM_KEY_BYTES, &n) || n != SCRAM_KEY_BYTES) {
        return scram_malformed(err, "Malformed proof in client-final-message.");
    }
    return r.p == r.end ? ST_OK : scram_malformed(err, "Garbage found at the end of client-final-message.");
}

/* AuthMessage into `out`, which has room for it; returns its length. */
static size_t auth_message(const ScramServer *s, Str without_proof, char *out)
{
    char *to = out;
    to = mempcpy(to, s->client_first_bare, s->first_bytes);
    *to++ = ',';
    to = mempcpy(to, s->server_first, s->server_first_bytes);
    *to++ = ',';
    to = mempcpy(to, without_proof.p, without_proof.len);
    return (size_t)(to - out);
}

/*
 * RFC 5802, section 3: ClientKey = proof XOR HMAC(StoredKey, AuthMessage); right if its hash is StoredKey. Computes the
 * server's signature too, whatever the outcome. False: the crypto library failed.
 */
static bool check_proof(const ScramServer *s, const ClientFinal *final, bool *out_right,
                        uint8_t out_signature[SCRAM_KEY_BYTES])
{
    char message[2 * SCRAM_MESSAGE_BYTES_MAX + sizeof s->server_first];
    uint8_t key[SCRAM_KEY_BYTES];
    uint8_t hash[SCRAM_KEY_BYTES];
    size_t n = auth_message(s, final->without_proof, message);
    bool ok = hmac_sha256(s->verifier.stored_key, SCRAM_KEY_BYTES, message, n, key) &&
              hmac_sha256(s->verifier.server_key, SCRAM_KEY_BYTES, message, n, out_signature);
    for (size_t i = 0; ok && i < SCRAM_KEY_BYTES; i++) {
        key[i] ^= final->proof[i];
    }
    ok = ok && hash_sha256(key, SCRAM_KEY_BYTES, hash);
    /* S1: compare first, then ask whether the user exists at all. */
    *out_right = ok && bytes_equal(hash, s->verifier.stored_key, SCRAM_KEY_BYTES) && !s->doomed;
    auth_wipe(key, sizeof key);
    auth_wipe(hash, sizeof hash);
    return ok;
}

static Status step_final(ScramServer *s, Str in, StrBuf *out, Error *err)
{
    ClientFinal final;
    uint8_t signature[SCRAM_KEY_BYTES];
    char text[(SCRAM_KEY_BYTES + 2) / 3 * 4];
    bool right = false;
    Status st = read_client_final(s, in, err, &final);
    if (st != ST_OK) {
        return st;
    }
    if (!str_eq(final.nonce, (Str){s->nonce, s->nonce_bytes})) {
        err_set(err, ST_PROTOCOL_VIOLATION, "invalid SCRAM response");
        err_detail(err, "Nonce does not match.");
        return ST_PROTOCOL_VIOLATION;
    }
    if (!check_proof(s, &final, &right, signature)) {
        return crypto_failed(err);
    }
    if (!right) {
        return err_set(err, ST_INVALID_PASSWORD, "password authentication failed for user \"%.*s\"", (int)s->user_bytes,
                       s->user);
    }
    base64_encode(signature, sizeof signature, text);
    strbuf_append(out, "v=", 2);
    strbuf_append(out, text, sizeof text);
    s->state = SCRAM_SERVER_DONE;
    return ST_OK;
}

Status scram_server_step(ScramServer *s, Str in, StrBuf *out, Error *err, ScramResult *out_result)
{
    ASSERT(s->state == SCRAM_SERVER_FIRST || s->state == SCRAM_SERVER_FINAL); /* S2 */
    Status st;
    if (in.len == 0) {
        st = scram_malformed(err, "The message is empty.");
    } else if (in.len > SCRAM_MESSAGE_BYTES_MAX) {
        st = scram_malformed(err, "The message is too long.");
    } else if (memchr(in.p, '\0', in.len) != NULL) {
        st = scram_malformed(err, "Message length does not match input length.");
    } else {
        st = s->state == SCRAM_SERVER_FIRST ? step_first(s, in, out, err) : step_final(s, in, out, err);
    }
    if (st == ST_OK && out->failed) {
        st = err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    if (st != ST_OK) {
        s->state = SCRAM_SERVER_FAILED;
    }
    *out_result = st != ST_OK ? SCRAM_FAILED : s->state == SCRAM_SERVER_DONE ? SCRAM_DONE : SCRAM_MORE;
    return st;
}
