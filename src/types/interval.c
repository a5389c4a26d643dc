/*
 * types/interval.c: reading and writing intervals.
 *
 * Input: PostgreSQL's "1 year 2 mons -3 days 04:05:06", SQL's "1-2" and "3 4:05:06", ISO 8601's "P1Y2M3DT4H5M6S".
 * Fractions flow down: of years to months, of months to days (30 a month), of days and weeks to microseconds.
 */
#include <math.h>
#include <stdlib.h>

#include "types/datetime.h"
#include "types/text_format.h"

/* A unit's worth in one of the three parts. */
typedef enum Part { PART_US, PART_DAYS, PART_MONTHS } Part;
typedef struct Unit {
    const char *name;
    Part part;
    int64_t factor;
} Unit;

static const Unit units[] = {
    {"microsecond", PART_US, 1},
    {"microsecon", PART_US, 1},
    {"microseconds", PART_US, 1},
    {"us", PART_US, 1},
    {"usec", PART_US, 1},
    {"usecs", PART_US, 1},
    {"usecond", PART_US, 1},
    {"useconds", PART_US, 1},
    {"millisecond", PART_US, 1000},
    {"milliseconds", PART_US, 1000},
    {"ms", PART_US, 1000},
    {"msec", PART_US, 1000},
    {"msecs", PART_US, 1000},
    {"msecond", PART_US, 1000},
    {"mseconds", PART_US, 1000},
    {"s", PART_US, US_PER_SEC},
    {"sec", PART_US, US_PER_SEC},
    {"secs", PART_US, US_PER_SEC},
    {"second", PART_US, US_PER_SEC},
    {"seconds", PART_US, US_PER_SEC},
    {"m", PART_US, 60 * US_PER_SEC},
    {"min", PART_US, 60 * US_PER_SEC},
    {"mins", PART_US, 60 * US_PER_SEC},
    {"minute", PART_US, 60 * US_PER_SEC},
    {"minutes", PART_US, 60 * US_PER_SEC},
    {"h", PART_US, 3600 * US_PER_SEC},
    {"hr", PART_US, 3600 * US_PER_SEC},
    {"hrs", PART_US, 3600 * US_PER_SEC},
    {"hour", PART_US, 3600 * US_PER_SEC},
    {"hours", PART_US, 3600 * US_PER_SEC},
    {"d", PART_DAYS, 1},
    {"day", PART_DAYS, 1},
    {"days", PART_DAYS, 1},
    {"w", PART_DAYS, 7},
    {"week", PART_DAYS, 7},
    {"weeks", PART_DAYS, 7},
    {"mon", PART_MONTHS, 1},
    {"mons", PART_MONTHS, 1},
    {"month", PART_MONTHS, 1},
    {"months", PART_MONTHS, 1},
    {"qtr", PART_MONTHS, 3},
    {"quarter", PART_MONTHS, 3},
    {"y", PART_MONTHS, 12},
    {"yr", PART_MONTHS, 12},
    {"yrs", PART_MONTHS, 12},
    {"year", PART_MONTHS, 12},
    {"years", PART_MONTHS, 12},
    {"dec", PART_MONTHS, 120},
    {"decs", PART_MONTHS, 120},
    {"decade", PART_MONTHS, 120},
    {"decades", PART_MONTHS, 120},
    {"c", PART_MONTHS, 1200},
    {"cent", PART_MONTHS, 1200},
    {"century", PART_MONTHS, 1200},
    {"centuries", PART_MONTHS, 1200},
    {"mil", PART_MONTHS, 12000},
    {"mils", PART_MONTHS, 12000},
    {"millennium", PART_MONTHS, 12000},
    {"millennia", PART_MONTHS, 12000},
};

typedef struct IntervalParser {
    const char *p;
    const char *end;
    Int128 us;
    Int128 days;
    Int128 months;
    bool any;
    bool overflow;
    Unit bare;         /* what a number without unit counts */
    bool all_negative; /* SQL standard: a leading minus applies to every field */
} IntervalParser;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static void skip_blanks(IntervalParser *s)
{
    while (s->p < s->end && ascii_space(*s->p)) {
        s->p++;
    }
}

static const Unit *find_unit(Str name)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (str_eq_ascii_nocase(name, str_from(units[i].name))) {
            return &units[i];
        }
    }
    return NULL;
}

/* whole + fraction of a unit, added to the parts. */
static void add_units(IntervalParser *s, const Unit *u, int64_t whole, double fraction)
{
    double rest;
    s->any = true;
    switch (u->part) {
    case PART_US: s->us += (Int128)whole * u->factor + (int64_t)rint(fraction * (double)u->factor); return;
    case PART_DAYS:
        s->days += (Int128)whole * u->factor;
        fraction *= (double)u->factor;
        s->days += (int64_t)fraction;
        s->us += (int64_t)rint((fraction - (double)(int64_t)fraction) * (double)US_PER_DAY);
        return;
    default:
        s->months += (Int128)whole * u->factor;
        if (u->factor != 1) {
            s->months += (int64_t)rint(fraction * (double)u->factor);
            return;
        }
        fraction *= 30;
        s->days += (int64_t)fraction;
        rest = fraction - (double)(int64_t)fraction;
        s->us += (int64_t)rint(rest * (double)US_PER_DAY);
        return;
    }
}

/* Digits; saturates to mark overflow. */
static int64_t take_digits(IntervalParser *s)
{
    int64_t v = 0;
    for (; s->p < s->end && is_digit(*s->p); s->p++) {
        if (v > (INT64_MAX - 9) / 10) {
            s->overflow = true;
            continue;
        }
        v = v * 10 + (*s->p - '0');
    }
    return v;
}

static double take_fraction(IntervalParser *s)
{
    char buf[40] = "0.";
    size_t n = 2;
    if (s->p >= s->end || *s->p != '.') {
        return 0;
    }
    for (s->p++; s->p < s->end && is_digit(*s->p); s->p++) {
        if (n < sizeof buf - 1) {
            buf[n++] = *s->p;
        }
    }
    buf[n] = '\0';
    double v = 0;
    return n > 2 && float8_parse(NULL, (Str){buf, n}, &v) == ST_OK ? v : 0;
}

/* hh:mm[:ss[.fff]] from the first number on; mm:ss.fff when there are two parts and a fraction. */
static bool take_time(IntervalParser *s, int64_t first, int sign)
{
    int64_t part[3] = {first, 0, 0};
    int n = 1;
    while (n < 3 && s->p < s->end && *s->p == ':') {
        s->p++;
        if (s->p >= s->end || !is_digit(*s->p)) {
            return false;
        }
        part[n++] = take_digits(s);
    }
    double fraction = take_fraction(s);
    if (n == 2 && fraction != 0) {
        part[2] = part[1];
        part[1] = part[0];
        part[0] = 0;
    }
    if (part[1] > 59 || part[2] > 60) {
        s->overflow = true;
    }
    Int128 us = ((Int128)part[0] * 3600 + (Int128)part[1] * 60 + part[2]) * US_PER_SEC + (int64_t)rint(fraction * 1e6);
    s->us += sign * us;
    s->any = true;
    return true;
}

/* What follows a number decides what it was. */
static bool take_number(IntervalParser *s, int sign)
{
    int64_t whole = s->p < s->end && *s->p == '.' ? 0 : take_digits(s);
    if (s->p < s->end && *s->p == ':') {
        return take_time(s, whole, sign);
    }
    if (s->p + 1 < s->end && *s->p == '-' && is_digit(s->p[1])) { /* SQL's years-months */
        s->p++;
        int64_t months = take_digits(s);
        if (months > 11) {
            s->overflow = true;
        }
        s->months += sign * ((Int128)whole * 12 + months);
        s->any = true;
        return true;
    }
    double fraction = take_fraction(s);
    skip_blanks(s);
    const char *word = s->p;
    while (s->p < s->end && is_alpha(*s->p)) {
        s->p++;
    }
    Str name = {word, (size_t)(s->p - word)};
    const Unit *u = name.len > 0 ? find_unit(name) : NULL;
    if (name.len > 0 && u == NULL) {
        s->p = word;
        if (!str_eq_ascii_nocase(name, STR_LIT("ago"))) {
            return false;
        }
    }
    Unit bare = s->bare;
    if (u == NULL) {
        /* "3 4:05:06": a number before a time counts days. */
        const char *q = s->p;
        q += q < s->end && (*q == '-' || *q == '+');
        while (q < s->end && is_digit(*q)) {
            q++;
        }
        if (q < s->end && *q == ':') {
            bare = (Unit){"day", PART_DAYS, 1};
        }
        u = &bare;
    }
    add_units(s, u, sign * whole, sign * fraction);
    return true;
}

static bool parse_fields(IntervalParser *s, bool *out_ago)
{
    *out_ago = false;
    for (skip_blanks(s); s->p < s->end; skip_blanks(s)) {
        int sign = s->all_negative ? -1 : 1;
        if (*s->p == '@') {
            s->p++;
            continue;
        }
        if (*s->p == '-' || *s->p == '+') {
            sign = *s->p == '-' ? -1 : sign;
            s->p++;
            skip_blanks(s);
        }
        if (s->p < s->end && (is_digit(*s->p) || (*s->p == '.' && s->p + 1 < s->end && is_digit(s->p[1])))) {
            if (!take_number(s, sign)) {
                return false;
            }
            continue;
        }
        if (s->any && s->end - s->p >= 3 && str_eq_ascii_nocase((Str){s->p, 3}, STR_LIT("ago"))) {
            s->p += 3;
            *out_ago = true;
            skip_blanks(s);
            return s->p == s->end;
        }
        return false;
    }
    return s->any;
}

/* P[nY][nM][nW][nD][T[nH][nM][nS]], each number signed and with a fraction. */
static bool parse_iso(IntervalParser *s)
{
    static const Unit date_units[] = {
        {"Y", PART_MONTHS, 12}, {"M", PART_MONTHS, 1}, {"W", PART_DAYS, 7}, {"D", PART_DAYS, 1}};
    static const Unit time_units[] = {
        {"H", PART_US, 3600 * US_PER_SEC}, {"M", PART_US, 60 * US_PER_SEC}, {"S", PART_US, US_PER_SEC}};
    bool time = false;
    s->p++;
    while (s->p < s->end) {
        if (*s->p == 'T' && !time) {
            time = true;
            s->p++;
            continue;
        }
        int sign = 1;
        if (*s->p == '-' || *s->p == '+') {
            sign = *s->p++ == '-' ? -1 : 1;
        }
        if (s->p >= s->end || (!is_digit(*s->p) && *s->p != '.')) {
            return false;
        }
        int64_t whole = take_digits(s);
        double fraction = take_fraction(s);
        if (s->p >= s->end) {
            return false;
        }
        const Unit *table = time ? time_units : date_units;
        size_t n = time ? ARRAY_LEN(time_units) : ARRAY_LEN(date_units);
        const Unit *u = NULL;
        for (size_t i = 0; i < n; i++) {
            u = table[i].name[0] == *s->p ? &table[i] : u;
        }
        if (u == NULL) {
            return false;
        }
        s->p++;
        add_units(s, u, sign * whole, sign * fraction);
    }
    return s->any;
}

/* Fields of an interval typmod. */
enum { RANGE_MONTH = 2, RANGE_YEAR = 4, RANGE_DAY = 8, RANGE_HOUR = 1024, RANGE_MINUTE = 2048, RANGE_SECOND = 4096 };

static Unit bare_unit(int32_t typmod)
{
    int range = typmod < 0 ? 0x7fff : (typmod >> 16) & 0x7fff;
    switch (range) {
    case RANGE_YEAR: return (Unit){"", PART_MONTHS, 12};
    case RANGE_MONTH:
    case RANGE_YEAR | RANGE_MONTH: return (Unit){"", PART_MONTHS, 1};
    case RANGE_DAY: return (Unit){"", PART_DAYS, 1};
    case RANGE_HOUR:
    case RANGE_DAY | RANGE_HOUR: return (Unit){"", PART_US, 3600 * US_PER_SEC};
    case RANGE_MINUTE:
    case RANGE_HOUR | RANGE_MINUTE:
    case RANGE_DAY | RANGE_HOUR | RANGE_MINUTE: return (Unit){"", PART_US, 60 * US_PER_SEC};
    default: return (Unit){"", PART_US, US_PER_SEC};
    }
}

Status interval_parse(FnCtx *fx, Str text, int32_t typmod, Interval *out)
{
    Error *err = fx->cx->err;
    Str s = trim_space(text);
    IntervalParser p = {.p = s.p, .end = s.p + s.len, .bare = bare_unit(typmod)};
    bool ago = false;
    /* SQL standard: a leading minus with no other sign negates everything. */
    if (fx->facts->interval_style == INTERVALSTYLE_SQL_STANDARD && s.len > 0 && s.p[0] == '-') {
        p.all_negative = true;
        for (size_t i = 1; i < s.len; i++) {
            bool sign = (s.p[i] == '-' || s.p[i] == '+') && !is_digit(s.p[i - 1]);
            p.all_negative = p.all_negative && !sign;
        }
    }
    bool ok = s.len > 0 && s.p[0] == 'P' ? parse_iso(&p) : parse_fields(&p, &ago);
    if (!ok) {
        return err_set(err, ST_INVALID_DATETIME_FORMAT, "invalid input syntax for type interval: \"%.*s\"",
                       (int)text.len, text.p);
    }
    if (ago) {
        p.us = -p.us;
        p.days = -p.days;
        p.months = -p.months;
    }
    bool fits = !p.overflow && p.us >= INT64_MIN && p.us <= INT64_MAX && p.days >= INT32_MIN && p.days <= INT32_MAX &&
                p.months >= INT32_MIN && p.months <= INT32_MAX;
    if (!fits) {
        return err_set(err, ST_INTERVAL_FIELD_OVERFLOW, "interval field value out of range: \"%.*s\"", (int)text.len,
                       text.p);
    }
    *out = (Interval){(int64_t)p.us, (int32_t)p.days, (int32_t)p.months};
    return interval_apply_typmod(err, out, typmod);
}

static int64_t cut_us(int64_t us, int64_t unit)
{
    return us / unit * unit;
}

Status interval_apply_typmod(Error *err, Interval *v, int32_t typmod)
{
    if (typmod < 0) {
        return ST_OK;
    }
    int range = (typmod >> 16) & 0x7fff;
    int digits = typmod & 0xffff;
    (void)err;
    if (range == RANGE_YEAR || range == RANGE_MONTH || range == (RANGE_YEAR | RANGE_MONTH)) {
        v->months = range == RANGE_YEAR ? v->months / 12 * 12 : v->months;
        v->days = 0;
        v->time_us = 0;
    } else if (range == RANGE_DAY) {
        v->time_us = 0;
    } else if (range != 0x7fff && !(range & RANGE_SECOND)) {
        v->time_us = cut_us(v->time_us, range & RANGE_MINUTE ? 60 * US_PER_SEC : 3600 * US_PER_SEC);
    }
    if (digits != 0xffff) {
        v->time_us = round_us(v->time_us, digits);
    }
    return ST_OK;
}

/* ---- output ---- */

typedef struct Parts {
    int years, months, days;
    int64_t hours;
    int minutes, seconds, us; /* all of the sign of the time */
} Parts;

static Parts split(const Interval *v)
{
    return (Parts){v->months / 12,
                   v->months % 12,
                   v->days,
                   v->time_us / (3600 * US_PER_SEC),
                   (int)(v->time_us / (60 * US_PER_SEC) % 60),
                   (int)(v->time_us / US_PER_SEC % 60),
                   (int)(v->time_us % US_PER_SEC)};
}

static void put_fraction(int us, StrBuf *sb)
{
    char digits[8];
    size_t n = 6;
    int v = abs(us);
    if (v == 0) {
        return;
    }
    for (int i = 5; i >= 0; i--, v /= 10) {
        digits[i] = (char)('0' + v % 10);
    }
    while (digits[n - 1] == '0') {
        n--;
    }
    strbuf_putc(sb, '.');
    strbuf_append(sb, digits, n);
}

/* "-3 days": with a plus where the part before was negative. */
static void put_part(int64_t value, const char *unit, bool *io_zero, bool *io_before, StrBuf *sb)
{
    if (value == 0) {
        return;
    }
    strbuf_printf(sb, "%s%s%lld %s%s", *io_zero ? "" : " ", *io_before && value > 0 ? "+" : "", (long long)value, unit,
                  value != 1 ? "s" : "");
    *io_before = value < 0;
    *io_zero = false;
}

static void postgres_text(const Parts *p, bool time_negative, StrBuf *sb)
{
    bool zero = true;
    bool before = false;
    put_part(p->years, "year", &zero, &before, sb);
    put_part(p->months, "mon", &zero, &before, sb);
    put_part(p->days, "day", &zero, &before, sb);
    if (zero || p->hours != 0 || p->minutes != 0 || p->seconds != 0 || p->us != 0) {
        strbuf_printf(sb, "%s%s%02lld:%02d:%02d", zero ? "" : " ",
                      time_negative ? "-"
                      : before      ? "+"
                                    : "",
                      llabs(p->hours), abs(p->minutes), abs(p->seconds));
        put_fraction(p->us, sb);
    }
}

static void verbose_part(int64_t value, const char *unit, bool *io_zero, bool *io_before, StrBuf *sb)
{
    if (value == 0) {
        return;
    }
    if (*io_zero) { /* the first part decides the sign of all: "ago" */
        *io_before = value < 0;
        value = llabs(value);
    } else if (*io_before) {
        value = -value;
    }
    strbuf_printf(sb, " %lld %s%s", (long long)value, unit, value != 1 ? "s" : "");
    *io_zero = false;
}

static void verbose_text(const Parts *p, StrBuf *sb)
{
    bool zero = true;
    bool before = false;
    strbuf_putc(sb, '@');
    verbose_part(p->years, "year", &zero, &before, sb);
    verbose_part(p->months, "mon", &zero, &before, sb);
    verbose_part(p->days, "day", &zero, &before, sb);
    verbose_part(p->hours, "hour", &zero, &before, sb);
    verbose_part(p->minutes, "min", &zero, &before, sb);
    if (p->seconds != 0 || p->us != 0) {
        bool negative = p->seconds < 0 || p->us < 0;
        if (zero) {
            before = negative;
        }
        strbuf_printf(sb, " %s%d", negative != before ? "-" : "", abs(p->seconds));
        put_fraction(p->us, sb);
        strbuf_printf(sb, " sec%s", abs(p->seconds) != 1 || p->us != 0 ? "s" : "");
        zero = false;
    }
    if (zero) {
        strbuf_puts(sb, " 0");
    }
    if (before) {
        strbuf_puts(sb, " ago");
    }
}

static void iso_text(const Parts *p, StrBuf *sb)
{
    bool time = p->hours != 0 || p->minutes != 0 || p->seconds != 0 || p->us != 0;
    if (!time && p->years == 0 && p->months == 0 && p->days == 0) {
        strbuf_puts(sb, "PT0S");
        return;
    }
    strbuf_putc(sb, 'P');
    const struct {
        int64_t value;
        char unit;
    } parts[] = {{p->years, 'Y'}, {p->months, 'M'}, {p->days, 'D'}, {0, 'T'}, {p->hours, 'H'}, {p->minutes, 'M'}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].unit == 'T' && time) {
            strbuf_putc(sb, 'T');
        } else if (parts[i].value != 0) {
            strbuf_printf(sb, "%lld%c", (long long)parts[i].value, parts[i].unit);
        }
    }
    if (p->seconds != 0 || p->us != 0) {
        strbuf_printf(sb, "%s%d", p->seconds < 0 || p->us < 0 ? "-" : "", abs(p->seconds));
        put_fraction(p->us, sb);
        strbuf_putc(sb, 'S');
    }
}

static void standard_text(const Parts *p, StrBuf *sb)
{
    bool negative =
        p->years < 0 || p->months < 0 || p->days < 0 || p->hours < 0 || p->minutes < 0 || p->seconds < 0 || p->us < 0;
    bool positive =
        p->years > 0 || p->months > 0 || p->days > 0 || p->hours > 0 || p->minutes > 0 || p->seconds > 0 || p->us > 0;
    bool month_part = p->years != 0 || p->months != 0;
    bool time_part = p->hours != 0 || p->minutes != 0 || p->seconds != 0 || p->us != 0;
    bool day_part = p->days != 0;
    if (!month_part && !time_part && !day_part) {
        strbuf_putc(sb, '0');
        return;
    }
    bool mixed = (negative && positive) || (month_part && (day_part || time_part));
    if (mixed) {
        bool time_negative = p->hours < 0 || p->minutes < 0 || p->seconds < 0 || p->us < 0;
        strbuf_printf(sb, "%c%d-%d %c%d %c%lld:%02d:%02d", p->years < 0 || p->months < 0 ? '-' : '+', abs(p->years),
                      abs(p->months), p->days < 0 ? '-' : '+', abs(p->days), time_negative ? '-' : '+', llabs(p->hours),
                      abs(p->minutes), abs(p->seconds));
        put_fraction(p->us, sb);
        return;
    }
    if (negative) {
        strbuf_putc(sb, '-');
    }
    if (month_part) {
        strbuf_printf(sb, "%d-%d", abs(p->years), abs(p->months));
        return;
    }
    if (day_part) {
        strbuf_printf(sb, "%d ", abs(p->days));
    }
    strbuf_printf(sb, "%lld:%02d:%02d", llabs(p->hours), abs(p->minutes), abs(p->seconds));
    put_fraction(p->us, sb);
}

void interval_text(const SessionFacts *facts, const Interval *v, StrBuf *sb)
{
    Parts p = split(v);
    switch (facts->interval_style) {
    case INTERVALSTYLE_POSTGRES_VERBOSE: verbose_text(&p, sb); break;
    case INTERVALSTYLE_ISO_8601: iso_text(&p, sb); break;
    case INTERVALSTYLE_SQL_STANDARD: standard_text(&p, sb); break;
    default: postgres_text(&p, v->time_us < 0, sb); break;
    }
}
