/*
 * auth/saslprep.c: passwords to their canonical form (RFC 4013), through ICU's stringprep.
 *
 * Like PostgreSQL's pg_saslprep, failure is not an error but "take it as it is": a password of unassigned characters, of
 * Latin-1 bytes, or one that would become empty is a password too. Both sides do the same, so it works.
 */
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/usprep.h>
#include <unicode/ustring.h>

#include "auth/auth_int.h"

static bool is_ascii(Str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.p[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* A character may become up to 18 in NFKC; those of an allowed result fit PASSWORD_BYTES_MAX units, or it is too long. */
enum { UNITS_MAX = PASSWORD_BYTES_MAX };

/* False: not to be prepared. `units` is scratch for two texts of UNITS_MAX. */
static bool prepare(Str clear, UChar *units, char *out, size_t *out_bytes)
{
    UErrorCode code = U_ZERO_ERROR;
    UChar *to = units + UNITS_MAX;
    int32_t n = 0;
    int32_t bytes = 0;
    UStringPrepProfile *profile = usprep_openByType(USPREP_RFC4013_SASLPREP, &code);
    u_strFromUTF8(units, UNITS_MAX, &n, clear.p, (int32_t)clear.len, &code);
    n = usprep_prepare(profile, units, n, to, UNITS_MAX, USPREP_DEFAULT, NULL, &code);
    u_strToUTF8(out, PASSWORD_BYTES_MAX, &bytes, to, n, &code);
    usprep_close(profile);
    *out_bytes = (size_t)bytes;
    return U_SUCCESS(code) && bytes > 0;
}

Status saslprep(Str clear, Budget *budget, char *out, size_t *out_bytes, Error *err)
{
    if (clear.len > PASSWORD_BYTES_MAX) {
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "password is longer than %d bytes", PASSWORD_BYTES_MAX);
    }
    bool done = false;
    if (!is_ascii(clear)) {
        size_t scratch = 2 * UNITS_MAX * sizeof(UChar);
        UChar *units = mem_alloc(budget, scratch);
        if (units == NULL) {
            return err_set(err, ST_OUT_OF_MEMORY, NULL);
        }
        done = utf8_valid(clear.p, clear.len, NULL) && prepare(clear, units, out, out_bytes);
        auth_wipe(units, scratch);
        mem_free(budget, units, scratch);
    }
    if (!done) {
        memcpy(out, clear.p, clear.len);
        *out_bytes = clear.len;
    }
    return ST_OK;
}
