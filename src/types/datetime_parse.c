/*
 * types/datetime_parse.c: reading dates and times, in PostgreSQL's manner.
 *
 * Key idea: the text is cut into fields by looks alone (digits with a date's or a time's separators, words, a sign
 * followed by digits), then each field is decoded in order, what it may mean depending on what is known already. This is
 * PostgreSQL's algorithm (its manual, appendix B.1), and so are the guesses about two-digit fields.
 */
#include <stdlib.h>

#include "types/datetime.h"
#include "types/text_format.h"
#include "types/timezone.h"

typedef enum FieldKind { F_NUMBER, F_STRING, F_DATE, F_TIME, F_ZONE, F_SPECIAL } FieldKind;
enum { FIELDS_MAX = 25, WORK_BYTES = 128 };

typedef struct Field {
    FieldKind kind;
    const char *p; /* lower case, zero-terminated */
    size_t len;
} Field;

enum { HAS_YEAR = 1, HAS_MONTH = 2, HAS_DAY = 4, HAS_DATE = 7, HAS_TIME = 8, HAS_ZONE = 16, HAS_DOY = 32 };
typedef enum Dt { DT_OK, DT_BAD, DT_OVERFLOW, DT_MD_OVERFLOW, DT_ZONE_OVERFLOW, DT_ZONE_UNKNOWN } Dt;

typedef struct Parser {
    FnCtx *fx;
    Field fields[FIELDS_MAX];
    int nfields;
    unsigned seen;
    bool text_month;
    bool two_digits; /* the year has two digits */
    bool bc;
    char meridiem; /* 'a', 'p' or 0 */
    int doy;
    bool expect_time; /* after ISO's T */
    bool time_only;
    Str zone_name;
    DtParsed *out;
} Parser;

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool alpha(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c & 0x80);
}
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
static bool date_sep(char c)
{
    return c == '-' || c == '/' || c == '.';
}

/* ---- words ---- */

typedef enum Word {
    W_NONE,
    W_MONTH,
    W_DAY,
    W_AD,
    W_BC,
    W_AM,
    W_PM,
    W_NOW,
    W_TODAY,
    W_TOMORROW,
    W_YESTERDAY,
    W_ALLBALLS,
    W_EPOCH,
    W_INFINITY,
    W_T,
    W_Z,
    W_IGNORE,
    W_JULIAN,
    W_DST,
    W_YEAR,
    W_MONTH_UNIT,
    W_DAY_UNIT,
    W_HOUR,
    W_MINUTE,
    W_SECOND,
} Word;

static const struct WordEntry {
    const char *text;
    Word word;
    int value;
} words[] = {
    {"january", W_MONTH, 1},
    {"jan", W_MONTH, 1},
    {"february", W_MONTH, 2},
    {"feb", W_MONTH, 2},
    {"march", W_MONTH, 3},
    {"mar", W_MONTH, 3},
    {"april", W_MONTH, 4},
    {"apr", W_MONTH, 4},
    {"may", W_MONTH, 5},
    {"june", W_MONTH, 6},
    {"jun", W_MONTH, 6},
    {"july", W_MONTH, 7},
    {"jul", W_MONTH, 7},
    {"august", W_MONTH, 8},
    {"aug", W_MONTH, 8},
    {"september", W_MONTH, 9},
    {"sept", W_MONTH, 9},
    {"sep", W_MONTH, 9},
    {"october", W_MONTH, 10},
    {"oct", W_MONTH, 10},
    {"november", W_MONTH, 11},
    {"nov", W_MONTH, 11},
    {"december", W_MONTH, 12},
    {"dec", W_MONTH, 12},
    {"sunday", W_DAY, 0},
    {"sun", W_DAY, 0},
    {"monday", W_DAY, 1},
    {"mon", W_DAY, 1},
    {"tuesday", W_DAY, 2},
    {"tues", W_DAY, 2},
    {"tue", W_DAY, 2},
    {"wednesday", W_DAY, 3},
    {"weds", W_DAY, 3},
    {"wed", W_DAY, 3},
    {"thursday", W_DAY, 4},
    {"thurs", W_DAY, 4},
    {"thur", W_DAY, 4},
    {"thu", W_DAY, 4},
    {"friday", W_DAY, 5},
    {"fri", W_DAY, 5},
    {"saturday", W_DAY, 6},
    {"sat", W_DAY, 6},
    {"ad", W_AD, 0},
    {"bc", W_BC, 0},
    {"am", W_AM, 0},
    {"pm", W_PM, 0},
    {"now", W_NOW, 0},
    {"today", W_TODAY, 0},
    {"tomorrow", W_TOMORROW, 0},
    {"yesterday", W_YESTERDAY, 0},
    {"allballs", W_ALLBALLS, 0},
    {"epoch", W_EPOCH, 0},
    {"infinity", W_INFINITY, 1},
    {"+infinity", W_INFINITY, 1},
    {"-infinity", W_INFINITY, -1},
    {"t", W_T, 0},
    {"z", W_Z, 0},
    {"zulu", W_Z, 0},
    {"at", W_IGNORE, 0},
    {"on", W_IGNORE, 0},
    {"julian", W_JULIAN, 0},
    {"jd", W_JULIAN, 0},
    {"j", W_JULIAN, 0},
    {"dst", W_DST, 0},
};

static Word word_of(const Field *f, int *out_value)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].text, f->p) == 0) {
            *out_value = words[i].value;
            return words[i].word;
        }
    }
    return W_NONE;
}

/* ---- cutting into fields ---- */

static bool is_word(const char *p, size_t len)
{
    char buf[32];
    int value;
    if (len >= sizeof buf) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = lower(p[i]);
    }
    buf[len] = '\0';
    Field f = {.p = buf, .len = len};
    return word_of(&f, &value) != W_NONE;
}

/* Length of a field that starts with a digit, and its kind. */
static size_t digits_field(const char *p, const char *end, FieldKind *out)
{
    const char *q = p;
    while (q < end && digit(*q)) {
        q++;
    }
    *out = F_NUMBER;
    if (q < end && *q == ':') {
        *out = F_TIME;
        while (q < end && (digit(*q) || *q == ':' || *q == '.')) {
            q++;
        }
    } else if (q < end && date_sep(*q)) {
        char sep = *q++;
        bool word = q < end && !digit(*q) && alpha(*q);
        if (q < end && (digit(*q) || word)) {
            *out = sep == '.' ? F_NUMBER : F_DATE;
            if (word) {
                *out = F_DATE;
            }
            while (q < end && (word ? digit(*q) || alpha(*q) : digit(*q))) {
                q++;
            }
            if (q < end && *q == sep) {
                *out = F_DATE;
                q++;
                while (q < end && (digit(*q) || *q == sep)) {
                    q++;
                }
            }
        }
    }
    return (size_t)(q - p);
}

static size_t letters_field(const char *p, const char *end, FieldKind *out)
{
    const char *q = p;
    while (q < end && alpha(*q)) {
        q++;
    }
    *out = F_STRING;
    bool date = q < end && date_sep(*q);
    if (q < end && !date && (*q == '+' || digit(*q))) {
        date = !is_word(p, (size_t)(q - p));
    }
    if (date) {
        *out = F_DATE;
        while (q < end &&
               (alpha(*q) || digit(*q) || *q == '+' || *q == '-' || *q == '/' || *q == '_' || *q == '.' || *q == ':')) {
            q++;
        }
    }
    return (size_t)(q - p);
}

static size_t sign_field(const char *p, const char *end, FieldKind *out, size_t *out_blanks)
{
    const char *q = p + 1;
    while (q < end && ascii_space(*q)) {
        q++;
    }
    *out_blanks = (size_t)(q - p) - 1;
    if (q < end && digit(*q)) {
        *out = F_ZONE;
        while (q < end && (digit(*q) || *q == ':' || *q == '.' || *q == '-')) {
            q++;
        }
    } else if (q < end && alpha(*q)) {
        *out = F_SPECIAL;
        while (q < end && alpha(*q)) {
            q++;
        }
    } else {
        return 0;
    }
    return (size_t)(q - p);
}

static bool add_field(Parser *p, FieldKind kind, const char *s, size_t len, size_t skip_blanks)
{
    char *copy = arena_alloc(p->fx->arena, len + 1);
    if (copy == NULL || p->nfields == FIELDS_MAX || len > WORK_BYTES) {
        return false;
    }
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        if (i == 0 || i > skip_blanks) {
            copy[n++] = lower(s[i]);
        }
    }
    copy[n] = '\0';
    p->fields[p->nfields++] = (Field){kind, copy, n};
    return true;
}

static bool cut_fields(Parser *p, Str text)
{
    const char *s = text.p;
    const char *end = s + text.len;
    while (s < end) {
        FieldKind kind = F_NUMBER;
        size_t len;
        size_t blanks = 0;
        if (ascii_space(*s)) {
            s++;
            continue;
        }
        if (digit(*s)) {
            len = digits_field(s, end, &kind);
        } else if (*s == '.' && s + 1 < end && digit(s[1])) {
            for (len = 1; s + len < end && digit(s[len]);) {
                len++;
            }
        } else if (alpha(*s)) {
            len = letters_field(s, end, &kind);
        } else if (*s == '+' || *s == '-') {
            len = sign_field(s, end, &kind, &blanks);
        } else if (*s >= '!' && *s <= '~') {
            s++; /* other punctuation separates */
            continue;
        } else {
            return false;
        }
        if (len == 0 || !add_field(p, kind, s, len, blanks)) {
            return false;
        }
        s += len;
    }
    return p->nfields > 0;
}

/* ---- numbers ---- */

static bool to_int(const char *p, size_t n, int *out)
{
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (!digit(p[i])) {
            return false;
        }
        v = v * 10 + (p[i] - '0');
        if (v > INT32_MAX) {
            return false;
        }
    }
    *out = (int)v;
    return n > 0;
}

/* ".123456789" rounded to microseconds. */
static bool to_fraction(const char *p, size_t n, int32_t *out)
{
    if (n == 0 || p[0] != '.') {
        return false;
    }
    int64_t v = 0;
    for (size_t i = 1; i < n; i++) {
        if (!digit(p[i])) {
            return false;
        }
        if (i <= 6) {
            v = v * 10 + (p[i] - '0');
        }
    }
    for (size_t i = n; i <= 6; i++) {
        v *= 10;
    }
    /* rint(): a fraction of exactly half goes to even. */
    if (n > 7) {
        bool above = p[7] > '5';
        for (size_t i = 8; i < n && p[7] == '5'; i++) {
            above = above || p[i] != '0';
        }
        v += above || (p[7] == '5' && v % 2 == 1);
    }
    *out = (int32_t)v;
    return true;
}

static Dt set_year(Parser *p, int value, size_t len)
{
    p->out->parts.year = value;
    p->two_digits = len <= 2;
    p->seen |= HAS_YEAR;
    return DT_OK;
}
static Dt set_month(Parser *p, int value)
{
    p->out->parts.month = value;
    p->seen |= HAS_MONTH;
    return DT_OK;
}
static Dt set_day(Parser *p, int value)
{
    p->out->parts.day = value;
    p->seen |= HAS_DAY;
    return DT_OK;
}

/* Runs of digits: yyyymmdd, yymmdd, hhmmss, hhmm. */
static Dt digit_run(Parser *p, const char *s, size_t len)
{
    DateParts *d = &p->out->parts;
    const char *dot = memchr(s, '.', len);
    if (dot != NULL) {
        if (!to_fraction(dot, len - (size_t)(dot - s), &d->us)) {
            return DT_BAD;
        }
        len = (size_t)(dot - s);
    } else if ((p->seen & HAS_DATE) != HAS_DATE && len >= 6 && !p->time_only) {
        p->two_digits = len == 6;
        p->seen |= HAS_DATE;
        return to_int(s, len - 4, &d->year) && to_int(s + len - 4, 2, &d->month) && to_int(s + len - 2, 2, &d->day)
                   ? DT_OK
                   : DT_BAD;
    }
    if ((p->seen & HAS_TIME) || (len != 6 && len != 4)) {
        return DT_BAD;
    }
    p->seen |= HAS_TIME;
    if (!to_int(s, 2, &d->hour) || !to_int(s + 2, 2, &d->minute) || (len == 6 && !to_int(s + 4, 2, &d->second))) {
        return DT_BAD;
    }
    return DT_OK;
}

/* One number of a date: what it is depends on what is known, and on DateStyle's order. */
static Dt date_number(Parser *p, const char *s, size_t len)
{
    int v;
    int order = p->fx->facts->date_order;
    if (!to_int(s, len, &v)) {
        return DT_BAD;
    }
    if (len == 3 && (p->seen & HAS_DATE) == HAS_YEAR && v >= 1 && v <= 366) {
        p->doy = v;
        p->seen |= HAS_MONTH | HAS_DAY | HAS_DOY;
        return DT_OK;
    }
    switch (p->seen & HAS_DATE) {
    case 0:
        if (len >= 3 || order == DATEORDER_YMD) {
            return set_year(p, v, len);
        }
        return order == DATEORDER_DMY ? set_day(p, v) : set_month(p, v);
    case HAS_YEAR: return set_month(p, v);
    case HAS_MONTH:
        if (p->text_month && (len >= 3 || order == DATEORDER_YMD)) {
            return set_year(p, v, len);
        }
        return set_day(p, v);
    case HAS_YEAR | HAS_MONTH:
        if (p->text_month && len >= 3 && p->two_digits) {
            /* The first number was taken for the year, and is the day. */
            p->out->parts.day = p->out->parts.year;
            p->seen |= HAS_DAY;
            return set_year(p, v, len);
        }
        return set_day(p, v);
    case HAS_DAY: return set_month(p, v);
    case HAS_MONTH | HAS_DAY: return set_year(p, v, len);
    case HAS_YEAR | HAS_DAY: return set_month(p, v);
    case HAS_DATE: return digit_run(p, s, len); /* the date is complete: a time */
    default: return DT_BAD;
    }
}

/* "2024-01-31", "31.1.2024", "8-Jan-1999": words first, then the numbers in order. */
static Dt date_field(Parser *p, const Field *f)
{
    const char *part[8];
    size_t len[8];
    int n = 0;
    for (const char *s = f->p; *s != '\0';) {
        while (*s != '\0' && !digit(*s) && !alpha(*s)) {
            s++;
        }
        if (*s == '\0') {
            break;
        }
        if (n == 3) {
            return DT_BAD;
        }
        part[n] = s;
        bool number = digit(*s);
        while (number ? digit(*s) : alpha(*s)) {
            s++;
        }
        len[n] = (size_t)(s - part[n]);
        n++;
    }
    for (int i = 0; i < n; i++) {
        if (alpha(part[i][0])) {
            char buf[32];
            int value = 0;
            if (len[i] >= sizeof buf) {
                return DT_BAD;
            }
            memcpy(buf, part[i], len[i]);
            buf[len[i]] = '\0';
            Field word = {.p = buf, .len = len[i]};
            if (word_of(&word, &value) != W_MONTH || (p->seen & HAS_MONTH)) {
                return DT_BAD;
            }
            p->text_month = true;
            (void)set_month(p, value);
            len[i] = 0;
        }
    }
    for (int i = 0; i < n; i++) {
        Dt dt = len[i] == 0 ? DT_OK : date_number(p, part[i], len[i]);
        if (dt != DT_OK) {
            return dt;
        }
    }
    return (p->seen & HAS_DATE) == HAS_DATE ? DT_OK : DT_BAD;
}

static Dt time_field(Parser *p, const Field *f)
{
    DateParts *d = &p->out->parts;
    const char *s = f->p;
    int part[3] = {0, 0, 0};
    int n = 0;
    if (p->seen & HAS_TIME) {
        return DT_BAD;
    }
    for (;;) {
        size_t len = strspn(s, "0123456789");
        /* A part left empty ("04::05") is zero, as for PostgreSQL. */
        if (n == 3 || (len == 0 && n == 0) || len > 9 || (len > 0 && !to_int(s, len, &part[n]))) {
            return DT_BAD;
        }
        n++;
        s += len;
        if (*s != ':') {
            break;
        }
        s++;
    }
    if (n < 2 || (*s != '\0' && (*s != '.' || !to_fraction(s, strlen(s), &d->us)))) {
        return DT_BAD;
    }
    if (*s == '.' && n == 2) { /* mm:ss.fff */
        part[2] = part[1];
        part[1] = part[0];
        part[0] = 0;
    }
    d->hour = part[0];
    d->minute = part[1];
    d->second = part[2];
    p->seen |= HAS_TIME;
    bool bad = d->minute > 59 || d->second > 60 || d->hour > 24 ||
               (d->hour == 24 && (d->minute > 0 || d->second > 0 || d->us > 0));
    return bad ? DT_OVERFLOW : DT_OK;
}

/* "+05:30", "-0800", "+7", "-03:30:15" */
static Dt zone_offset(const char *s, int32_t *out_west)
{
    int sign = *s == '-' ? -1 : 1;
    int hour = 0;
    int minute = 0;
    int second = 0;
    size_t len = strspn(s + 1, "0123456789");
    const char *p = s + 1 + len;
    if (len == 0 || len > 9 || !to_int(s + 1, len, &hour)) {
        return DT_BAD;
    }
    if (*p == ':') {
        size_t n = strspn(p + 1, "0123456789");
        if (!to_int(p + 1, n, &minute)) {
            return DT_BAD;
        }
        p += 1 + n;
        if (*p == ':') {
            n = strspn(p + 1, "0123456789");
            if (!to_int(p + 1, n, &second)) {
                return DT_BAD;
            }
            p += 1 + n;
        }
    } else if (*p == '\0' && len > 2) {
        minute = hour % 100;
        hour /= 100;
    }
    if (*p != '\0') {
        return DT_BAD;
    }
    if (hour > 15 || minute > 59 || second > 59) {
        return DT_ZONE_OVERFLOW;
    }
    *out_west = -sign * (hour * 3600 + minute * 60 + second);
    return DT_OK;
}

static Dt set_zone(Parser *p, int32_t west)
{
    if (p->seen & HAS_ZONE) {
        return DT_BAD;
    }
    p->seen |= HAS_ZONE;
    p->out->zone_west_s = west;
    return DT_OK;
}

static Dt named_zone(Parser *p, const Field *f)
{
    int32_t east;
    bool dst;
    if (tz_abbreviation((Str){f->p, f->len}, &east, &dst)) {
        return set_zone(p, -east);
    }
    if (p->seen & HAS_ZONE) {
        return DT_BAD;
    }
    const TimeZone *zone = NULL;
    if (tz_find(p->fx->facts->tz_cache, (Str){f->p, f->len}, NULL, &zone) != ST_OK || zone == NULL) {
        p->zone_name = (Str){f->p, f->len};
        return DT_BAD;
    }
    p->seen |= HAS_ZONE;
    if (tz_is_fixed(zone, &east)) {
        p->out->zone_west_s = -east;
    } else {
        p->out->zone = zone;
    }
    return DT_OK;
}

/* The session's local date and time, moved by days; `time` keeps the time of day. */
static Dt current(Parser *p, int days, bool time)
{
    int64_t local;
    int32_t east;
    const char *zone;
    const SessionFacts *facts = p->fx->facts;
    if (utc_to_local(NULL, facts->timezone, facts->transaction_us, &local, &east, &zone) != ST_OK) {
        return DT_OVERFLOW;
    }
    timestamp_split(local + (int64_t)days * US_PER_DAY, &p->out->parts);
    p->seen |= HAS_DATE | HAS_TIME;
    if (time) {
        p->seen |= HAS_ZONE;
        p->out->zone_west_s = -east;
    } else {
        p->out->parts.hour = p->out->parts.minute = p->out->parts.second = 0;
        p->out->parts.us = 0;
    }
    return DT_OK;
}

static Dt word_field(Parser *p, const Field *f, int i)
{
    int value = 0;
    Word word = word_of(f, &value);
    switch (word) {
    case W_MONTH:
        if ((p->seen & HAS_MONTH) && !p->text_month && !(p->seen & HAS_DAY)) {
            /* "9 Jan 1999": the number was taken for the month, and is the day. */
            p->out->parts.day = p->out->parts.month;
            p->seen |= HAS_DAY;
        } else if (p->seen & HAS_MONTH) {
            return DT_BAD;
        }
        p->text_month = true;
        return set_month(p, value);
    case W_DAY:
    case W_IGNORE:
    case W_AD: return DT_OK;
    case W_BC: p->bc = true; return DT_OK;
    case W_AM: p->meridiem = 'a'; return DT_OK;
    case W_PM: p->meridiem = 'p'; return DT_OK;
    case W_NOW: return current(p, 0, true);
    case W_TODAY: return current(p, 0, false);
    case W_TOMORROW: return current(p, 1, false);
    case W_YESTERDAY: return current(p, -1, false);
    case W_ALLBALLS: p->seen |= HAS_TIME | HAS_ZONE; return DT_OK;
    case W_EPOCH: p->out->kind = DT_EPOCH; return p->nfields == 1 ? DT_OK : DT_BAD;
    case W_INFINITY: p->out->kind = value > 0 ? DT_INFINITY : DT_NEG_INFINITY; return p->nfields == 1 ? DT_OK : DT_BAD;
    case W_Z: return set_zone(p, 0);
    case W_T: p->expect_time = true; return i + 1 < p->nfields ? DT_OK : DT_BAD;
    case W_DST:
        if (!(p->seen & HAS_ZONE) || p->out->zone != NULL) {
            return DT_BAD;
        }
        p->out->zone_west_s -= 3600;
        return DT_OK;
    default: return named_zone(p, f);
    }
}

static Dt julian_number(Parser *p, const Field *f)
{
    int julian;
    const char *dot = strchr(f->p, '.');
    size_t len = dot != NULL ? (size_t)(dot - f->p) : f->len;
    if (!to_int(f->p, len, &julian)) {
        return DT_BAD;
    }
    DateParts *d = &p->out->parts;
    julian_to_date(julian, &d->year, &d->month, &d->day);
    p->seen |= HAS_DATE;
    if (dot != NULL) {
        double fraction = strtod(dot, NULL);
        time_split((int64_t)(fraction * (double)US_PER_DAY), d);
        p->seen |= HAS_TIME;
    }
    return DT_OK;
}

static Dt number_field(Parser *p, const Field *f)
{
    const char *dot = strchr(f->p, '.');
    if (p->time_only && (p->seen & HAS_DATE) != HAS_DATE) {
        return digit_run(p, f->p, f->len);
    }
    if (p->expect_time) {
        p->expect_time = false;
        return digit_run(p, f->p, f->len);
    }
    if (dot != NULL && !(p->seen & HAS_DATE)) {
        return date_field(p, f);
    }
    if (dot != NULL) {
        return dot - f->p > 2 ? digit_run(p, f->p, f->len) : DT_BAD;
    }
    return f->len > 4 ? digit_run(p, f->p, f->len) : date_number(p, f->p, f->len);
}

/* "hhmmss-zz" */
static Dt time_with_zone(Parser *p, const Field *f)
{
    const char *minus = strchr(f->p, '-');
    int32_t west = 0;
    if (minus == NULL) {
        return DT_BAD;
    }
    Dt dt = zone_offset(minus, &west);
    dt = dt != DT_OK ? dt : set_zone(p, west);
    p->expect_time = false;
    return dt != DT_OK ? dt : digit_run(p, f->p, (size_t)(minus - f->p));
}

/* A field with date separators: a date, or when there is one already a zone's name or a time with a zone. */
static Dt date_or_zone(Parser *p, const Field *f, int i)
{
    bool have_date = p->expect_time || (p->seen & (HAS_MONTH | HAS_DAY)) == (HAS_MONTH | HAS_DAY);
    if (p->time_only && !have_date) {
        bool date_first =
            i == 0 && p->nfields >= 2 && (p->fields[p->nfields - 1].kind == F_DATE || p->fields[1].kind == F_TIME);
        have_date = !date_first;
    }
    if (!have_date) {
        return date_field(p, f);
    }
    if (digit(f->p[0]) || p->expect_time) {
        return time_with_zone(p, f);
    }
    Dt dt = named_zone(p, f);
    return dt == DT_BAD && p->zone_name.len > 0 ? DT_ZONE_UNKNOWN : dt;
}

static Dt decode_field(Parser *p, int *io_i)
{
    const Field *f = &p->fields[*io_i];
    int value;
    switch (f->kind) {
    case F_NUMBER: return number_field(p, f);
    case F_TIME: return time_field(p, f);
    case F_ZONE: {
        int32_t west = 0;
        Dt dt = zone_offset(f->p, &west);
        return dt != DT_OK ? dt : set_zone(p, west);
    }
    case F_DATE: return date_or_zone(p, f, *io_i);
    default:
        if (word_of(f, &value) == W_JULIAN && *io_i + 1 < p->nfields && p->fields[*io_i + 1].kind == F_NUMBER) {
            ++*io_i;
            return julian_number(p, &p->fields[*io_i]);
        }
        return word_field(p, f, *io_i);
    }
}

/* ---- the whole ---- */

static Dt check_date(Parser *p)
{
    DateParts *d = &p->out->parts;
    if (p->seen & HAS_YEAR) {
        if (p->bc) {
            if (d->year <= 0) {
                return DT_OVERFLOW;
            }
            d->year = -(d->year - 1);
        } else if (p->two_digits) {
            d->year += d->year < 70 ? 2000 : d->year < 100 ? 1900 : 0;
        } else if (d->year <= 0) {
            return DT_OVERFLOW;
        }
    }
    if (p->seen & HAS_DOY) {
        int month_day = date_to_julian(d->year, 1, 1) + p->doy - 1;
        julian_to_date(month_day, &d->year, &d->month, &d->day);
    }
    if ((p->seen & HAS_MONTH) && (d->month < 1 || d->month > 12)) {
        return DT_MD_OVERFLOW;
    }
    if ((p->seen & HAS_DAY) && (d->day < 1 || d->day > 31)) {
        return DT_MD_OVERFLOW;
    }
    if ((p->seen & HAS_DATE) == HAS_DATE && d->day > days_in_month(d->year, d->month)) {
        return DT_OVERFLOW;
    }
    return DT_OK;
}

static Dt check_time(Parser *p)
{
    DateParts *d = &p->out->parts;
    if (p->meridiem != 0 && d->hour > 12) {
        return DT_OVERFLOW;
    }
    if (p->meridiem == 'a' && d->hour == 12) {
        d->hour = 0;
    } else if (p->meridiem == 'p' && d->hour != 12) {
        d->hour += 12;
    }
    bool bad = d->hour > 24 || d->minute > 59 || d->second > 60 ||
               (d->hour == 24 && (d->minute > 0 || d->second > 0 || d->us > 0));
    return bad ? DT_OVERFLOW : DT_OK;
}

static Dt decode(Parser *p, bool time_only)
{
    for (int i = 0; i < p->nfields; i++) {
        Dt dt = decode_field(p, &i);
        if (dt != DT_OK) {
            return dt;
        }
    }
    p->out->has_date = (p->seen & HAS_DATE) == HAS_DATE;
    p->out->has_time = (p->seen & HAS_TIME) != 0;
    p->out->has_zone = (p->seen & HAS_ZONE) != 0;
    if (p->out->kind != DT_VALUE) {
        return time_only ? DT_BAD : DT_OK;
    }
    Dt dt = check_date(p);
    if (dt == DT_OK) {
        dt = check_time(p);
    }
    if (dt != DT_OK) {
        return dt;
    }
    if (time_only) {
        /* A zone with daylight saving needs a date; a date alone is no time. */
        bool needs_date = p->out->zone != NULL && !p->out->has_date;
        bool part_of_date = (p->seen & HAS_DATE) != 0 && !p->out->has_date;
        return p->out->has_time && !needs_date && !part_of_date ? DT_OK : DT_BAD;
    }
    return p->out->has_date ? DT_OK : DT_BAD;
}

Status datetime_parse(FnCtx *fx, Str text, const char *type, bool time_only, DtParsed *out)
{
    Error *err = fx->cx->err;
    Parser p = {.fx = fx, .out = out, .time_only = time_only};
    *out = (DtParsed){.kind = DT_VALUE};
    Dt dt = cut_fields(&p, text) ? decode(&p, time_only) : DT_BAD;
    int len = (int)text.len;
    Status st;
    switch (dt) {
    case DT_OK: return ST_OK;
    case DT_OVERFLOW:
    case DT_MD_OVERFLOW:
        st = err_set(err, ST_DATETIME_FIELD_OVERFLOW, "date/time field value out of range: \"%.*s\"", len, text.p);
        if (dt == DT_MD_OVERFLOW) {
            err_hint(err, "Perhaps you need a different \"datestyle\" setting.");
        }
        return st;
    case DT_ZONE_OVERFLOW:
        return err_set(err, ST_INVALID_TIME_ZONE_DISPLACEMENT_VALUE, "time zone displacement out of range: \"%.*s\"",
                       len, text.p);
    case DT_ZONE_UNKNOWN:
        return err_set(err, ST_INVALID_PARAMETER_VALUE, "time zone \"%.*s\" not recognized", (int)p.zone_name.len,
                       p.zone_name.p);
    default:
        return err_set(err, ST_INVALID_DATETIME_FORMAT, "invalid input syntax for type %s: \"%.*s\"", type, len,
                       text.p);
    }
}
