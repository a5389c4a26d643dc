/*
 * types/datetime.c: calendar arithmetic, and text and binary forms of dates, times and timestamps.
 */
#include "types/datetime.h"

#include <stdio.h>
#include <stdlib.h>

#include "types/io.h"
#include "types/kernels.h"
#include "types/text_format.h"
#include "types/timezone.h"

const char *const month_names[12] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
const char *const day_names[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* ---- calendar (Fliegel and Van Flandern's method, as PostgreSQL's date2j and j2date) ---- */

bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int days_in_month(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

int date_to_julian(int year, int month, int day)
{
    if (month > 2) {
        month += 1;
        year += 4800;
    } else {
        month += 13;
        year += 4799;
    }
    int century = year / 100;
    /* Parts of the sum pass an int where the sum itself does not. */
    return (int)((int64_t)year * 365 - 32167 + year / 4 - century + century / 4 + 7834 * month / 256 + day);
}

void julian_to_date(int jd, int *out_year, int *out_month, int *out_day)
{
    unsigned julian = (unsigned)jd + 32044;
    unsigned quad = julian / 146097;
    unsigned extra = (julian - quad * 146097) * 4 + 3;
    julian += 60 + quad * 3 + extra / 146097;
    quad = julian / 1461;
    julian -= quad * 1461;
    int y = (int)(julian * 4 / 1461);
    julian = (y != 0 ? (julian + 305) % 365 : (julian + 306) % 366) + 123;
    y += (int)quad * 4;
    *out_year = y - 4800;
    quad = julian * 2141 / 65536;
    *out_day = (int)(julian - 7834 * quad / 256);
    *out_month = (int)((quad + 10) % 12 + 1);
}

void time_split(int64_t us, DateParts *out)
{
    out->hour = (int)(us / (3600 * US_PER_SEC));
    out->minute = (int)(us / (60 * US_PER_SEC) % 60);
    out->second = (int)(us / US_PER_SEC % 60);
    out->us = (int32_t)(us % US_PER_SEC);
}

void timestamp_split(int64_t us, DateParts *out)
{
    int64_t days = us / US_PER_DAY;
    int64_t time = us % US_PER_DAY;
    if (time < 0) {
        time += US_PER_DAY;
        days--;
    }
    julian_to_date((int)days + PG_EPOCH_JDATE, &out->year, &out->month, &out->day);
    time_split(time, out);
}

bool timestamp_join(const DateParts *p, int64_t *out)
{
    if (!valid_julian(p->year, p->month)) {
        return false;
    }
    int64_t days = date_to_julian(p->year, p->month, p->day) - PG_EPOCH_JDATE;
    int64_t us;
    if (__builtin_mul_overflow(days, US_PER_DAY, &us) || __builtin_add_overflow(us, time_join(p), &us) ||
        !timestamp_in_range(us)) {
        return false;
    }
    *out = us;
    return true;
}

int64_t round_us(int64_t us, int digits)
{
    static const int64_t scales[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (digits < 0 || digits >= 6) {
        return us;
    }
    int64_t scale = scales[digits];
    Int128 up = (us >= 0 ? ((Int128)us + scale / 2) : ((Int128)us - scale / 2)) / scale * scale;
    return up > INT64_MAX || up < INT64_MIN ? us / scale * scale : (int64_t)up; /* only intervals come near */
}

Status timestamp_range_error(Error *err)
{
    return err_set(err, ST_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}

Status date_range_error(Error *err, Str text)
{
    return err_set(err, ST_DATETIME_FIELD_OVERFLOW, "date out of range: \"%.*s\"", (int)text.len, text.p);
}

static int64_t floor_seconds(int64_t us)
{
    return us >= 0 ? us / US_PER_SEC : -((-us + US_PER_SEC - 1) / US_PER_SEC);
}

Status local_to_utc(Error *err, const TimeZone *tz, int64_t local_us, int64_t *out)
{
    if (!timestamp_is_finite(local_us)) {
        *out = local_us;
        return ST_OK;
    }
    int32_t east = tz_offset_of_local(tz, floor_seconds(local_us) + SECS_1970_TO_2000);
    int64_t us = local_us - (int64_t)east * US_PER_SEC;
    if (!timestamp_in_range(us)) {
        return timestamp_range_error(err);
    }
    *out = us;
    return ST_OK;
}

Status utc_to_local(Error *err, const TimeZone *tz, int64_t utc_us, int64_t *out, int32_t *out_east,
                    const char **out_abbreviation)
{
    bool dst;
    *out_east = tz_offset_at(tz, floor_seconds(utc_us) + SECS_1970_TO_2000, &dst, out_abbreviation);
    if (__builtin_add_overflow(utc_us, (int64_t)*out_east * US_PER_SEC, out)) {
        return timestamp_range_error(err);
    }
    return ST_OK;
}

/* ---- output ---- */

static void put_fraction(int32_t us, StrBuf *sb)
{
    char digits[8];
    if (us == 0) {
        return;
    }
    (void)snprintf(digits, sizeof digits, "%06d", us);
    size_t n = 6;
    while (digits[n - 1] == '0') {
        n--;
    }
    strbuf_putc(sb, '.');
    strbuf_append(sb, digits, n);
}

static void put_time(const DateParts *p, StrBuf *sb)
{
    strbuf_printf(sb, "%02d:%02d:%02d", p->hour, p->minute, p->second);
    put_fraction(p->us, sb);
}

static void put_zone(int32_t east, StrBuf *sb)
{
    int32_t s = abs(east);
    strbuf_printf(sb, "%c%02d", east < 0 ? '-' : '+', s / 3600);
    if (s % 3600 != 0) {
        strbuf_printf(sb, ":%02d", s / 60 % 60);
    }
    if (s % 60 != 0) {
        strbuf_printf(sb, ":%02d", s % 60);
    }
}

static int shown_year(int year)
{
    return year > 0 ? year : 1 - year;
}

static void put_date(const SessionFacts *facts, const DateParts *p, StrBuf *sb)
{
    int year = shown_year(p->year);
    bool dmy = facts->date_order == DATEORDER_DMY;
    switch (facts->date_style) {
    case DATESTYLE_ISO: strbuf_printf(sb, "%04d-%02d-%02d", year, p->month, p->day); break;
    case DATESTYLE_SQL:
        strbuf_printf(sb, "%02d/%02d/%04d", dmy ? p->day : p->month, dmy ? p->month : p->day, year);
        break;
    case DATESTYLE_GERMAN: strbuf_printf(sb, "%02d.%02d.%04d", p->day, p->month, year); break;
    default: strbuf_printf(sb, "%02d-%02d-%04d", dmy ? p->day : p->month, dmy ? p->month : p->day, year); break;
    }
}

static void put_era(int year, StrBuf *sb)
{
    if (year <= 0) {
        strbuf_puts(sb, " BC");
    }
}

static void put_timestamp(const SessionFacts *facts, const DateParts *p, bool has_zone, int32_t east, const char *zone,
                          StrBuf *sb)
{
    if (facts->date_style == DATESTYLE_POSTGRES) {
        int day = julian_weekday(date_to_julian(p->year, p->month, p->day));
        if (facts->date_order == DATEORDER_DMY) {
            strbuf_printf(sb, "%.3s %02d %.3s ", day_names[day], p->day, month_names[p->month - 1]);
        } else {
            strbuf_printf(sb, "%.3s %.3s %02d ", day_names[day], month_names[p->month - 1], p->day);
        }
        put_time(p, sb);
        strbuf_printf(sb, " %04d", shown_year(p->year));
    } else {
        put_date(facts, p, sb);
        strbuf_putc(sb, ' ');
        put_time(p, sb);
    }
    if (has_zone && facts->date_style == DATESTYLE_ISO) {
        put_zone(east, sb);
    } else if (has_zone) {
        bool alphabetic = (zone[0] | 0x20) >= 'a' && (zone[0] | 0x20) <= 'z';
        if (alphabetic || facts->date_style == DATESTYLE_POSTGRES) {
            strbuf_putc(sb, ' ');
        }
        if (alphabetic) {
            strbuf_puts(sb, zone);
        } else {
            put_zone(east, sb);
        }
    }
    put_era(p->year, sb);
}

static bool put_infinity(bool plus, bool minus, StrBuf *sb)
{
    if (plus || minus) {
        strbuf_puts(sb, plus ? "infinity" : "-infinity");
    }
    return plus || minus;
}

Status date_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    int32_t v = *(const int32_t *)value;
    DateParts p = {0};
    (void)t;
    if (!put_infinity(v == DATE_INFINITY, v == DATE_NEG_INFINITY, sb)) {
        julian_to_date(v + PG_EPOCH_JDATE, &p.year, &p.month, &p.day);
        put_date(fx->facts, &p, sb);
        put_era(p.year, sb);
    }
    return ST_OK;
}

Status time_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    DateParts p = {0};
    (void)fx;
    (void)t;
    time_split(*(const int64_t *)value, &p);
    put_time(&p, sb);
    return ST_OK;
}

Status timetz_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    const TimeTz *v = value;
    Status st = time_out(fx, t, &v->time_us, sb);
    put_zone(-v->zone_s, sb);
    return st;
}

Status timestamp_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    int64_t v = *(const int64_t *)value;
    DateParts p = {0};
    (void)t;
    if (!put_infinity(v == TIMESTAMP_INFINITY, v == TIMESTAMP_NEG_INFINITY, sb)) {
        timestamp_split(v, &p);
        put_timestamp(fx->facts, &p, false, 0, "", sb);
    }
    return ST_OK;
}

Status timestamptz_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    int64_t v = *(const int64_t *)value;
    DateParts p = {0};
    (void)t;
    if (put_infinity(v == TIMESTAMP_INFINITY, v == TIMESTAMP_NEG_INFINITY, sb)) {
        return ST_OK;
    }
    int64_t local;
    int32_t east;
    const char *zone;
    Status st = utc_to_local(fx->cx->err, fx->facts->timezone, v, &local, &east, &zone);
    if (st == ST_OK) {
        timestamp_split(local, &p);
        put_timestamp(fx->facts, &p, true, east, zone, sb);
    }
    return st;
}

/* ---- input ---- */

static Status out_of_range(FnCtx *fx, const char *type, Str text)
{
    return err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "%s out of range: \"%.*s\"", type, (int)text.len, text.p);
}

/* The zone of a value in seconds east: named, given, or the session's. */
static int32_t parsed_east(const FnCtx *fx, const DtParsed *d)
{
    if (d->has_zone && d->zone == NULL) {
        return -d->zone_west_s;
    }
    int64_t days = date_to_julian(d->parts.year, d->parts.month, d->parts.day) - UNIX_EPOCH_JDATE;
    int64_t local = days * 86400 + time_join(&d->parts) / US_PER_SEC;
    return tz_offset_of_local(d->has_zone ? d->zone : fx->facts->timezone, local);
}

static Status read_timestamp(FnCtx *fx, const ValueType *t, Str text, bool with_zone, int64_t *out)
{
    DtParsed d;
    Status st = datetime_parse(fx, text, with_zone ? "timestamp with time zone" : "timestamp", false, &d);
    if (st != ST_OK) {
        return st;
    }
    switch (d.kind) {
    case DT_INFINITY: *out = TIMESTAMP_INFINITY; return ST_OK;
    case DT_NEG_INFINITY: *out = TIMESTAMP_NEG_INFINITY; return ST_OK;
    case DT_EPOCH: *out = -SECS_1970_TO_2000 * US_PER_SEC; return ST_OK;
    default: break;
    }
    int64_t us;
    if (!timestamp_join(&d.parts, &us)) {
        return out_of_range(fx, "timestamp", text);
    }
    if (with_zone) {
        us -= (int64_t)parsed_east(fx, &d) * US_PER_SEC;
    }
    us = round_us(us, t->typmod);
    if (!timestamp_in_range(us)) {
        return out_of_range(fx, "timestamp", text);
    }
    *out = us;
    return ST_OK;
}

Status timestamp_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    (void)heap;
    return read_timestamp(fx, t, text, false, out);
}

Status timestamptz_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    (void)heap;
    return read_timestamp(fx, t, text, true, out);
}

Status date_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    DtParsed d;
    (void)t;
    (void)heap;
    Status st = datetime_parse(fx, text, "date", false, &d);
    if (st != ST_OK) {
        return st;
    }
    switch (d.kind) {
    case DT_INFINITY: *(int32_t *)out = DATE_INFINITY; return ST_OK;
    case DT_NEG_INFINITY: *(int32_t *)out = DATE_NEG_INFINITY; return ST_OK;
    case DT_EPOCH: *(int32_t *)out = UNIX_EPOCH_JDATE - PG_EPOCH_JDATE; return ST_OK;
    default: break;
    }
    if (!valid_julian(d.parts.year, d.parts.month)) {
        return date_range_error(fx->cx->err, text);
    }
    int64_t days = (int64_t)date_to_julian(d.parts.year, d.parts.month, d.parts.day) - PG_EPOCH_JDATE;
    if (days < -PG_EPOCH_JDATE || days >= INT64_C(2145031949) - 0) {
        return date_range_error(fx->cx->err, text);
    }
    *(int32_t *)out = (int32_t)days;
    return ST_OK;
}

Status time_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    DtParsed d;
    (void)heap;
    Status st = datetime_parse(fx, text, "time", true, &d);
    if (st == ST_OK) {
        *(int64_t *)out = round_us(time_join(&d.parts), t->typmod);
    }
    return st;
}

Status timetz_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    DtParsed d;
    (void)heap;
    Status st = datetime_parse(fx, text, "time with time zone", true, &d);
    if (st != ST_OK) {
        return st;
    }
    if (!d.has_date) { /* a zone with daylight saving is taken as of today */
        int64_t local;
        int32_t east;
        const char *zone;
        DateParts today;
        st = utc_to_local(fx->cx->err, fx->facts->timezone, fx->facts->transaction_us, &local, &east, &zone);
        if (st != ST_OK) {
            return st;
        }
        timestamp_split(local, &today);
        d.parts.year = today.year;
        d.parts.month = today.month;
        d.parts.day = today.day;
    }
    *(TimeTz *)out = (TimeTz){round_us(time_join(&d.parts), t->typmod), -parsed_east(fx, &d), 0};
    return ST_OK;
}

Status interval_in(FnCtx *fx, const ValueType *t, Str text, Arena *heap, void *out)
{
    (void)heap;
    return interval_parse(fx, text, t->typmod, out);
}

Status interval_out(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    (void)t;
    interval_text(fx->facts, value, sb);
    return ST_OK;
}

/* ---- binary ---- */

static Status recv_date(FnCtx *fx, Str bytes, int32_t *out)
{
    Status st = recv_size(fx->cx->err, bytes, 4);
    int32_t v = st == ST_OK ? (int32_t)load_be32(bytes.p) : 0;
    if (st == ST_OK && v != DATE_INFINITY && v != DATE_NEG_INFINITY && (v < -PG_EPOCH_JDATE || v >= 2145031949)) {
        return err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "date out of range");
    }
    *out = v;
    return st;
}

static Status recv_timestamp(FnCtx *fx, const ValueType *t, Str bytes, int64_t *out)
{
    Status st = recv_size(fx->cx->err, bytes, 8);
    if (st != ST_OK) {
        return st;
    }
    int64_t v = (int64_t)load_be64(bytes.p);
    if (t->oid == OID_TIME) {
        if (v < 0 || v > US_PER_DAY) {
            return err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "time out of range");
        }
    } else if (timestamp_is_finite(v) && !timestamp_in_range(v)) {
        return timestamp_range_error(fx->cx->err);
    }
    *out = timestamp_is_finite(v) ? round_us(v, t->typmod) : v;
    return ST_OK;
}

static Status recv_timetz(FnCtx *fx, const ValueType *t, Str bytes, TimeTz *out)
{
    Status st = recv_size(fx->cx->err, bytes, 12);
    if (st != ST_OK) {
        return st;
    }
    TimeTz v = {round_us((int64_t)load_be64(bytes.p), t->typmod), (int32_t)load_be32(bytes.p + 8), 0};
    if (v.time_us < 0 || v.time_us > US_PER_DAY) {
        return err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "time out of range");
    }
    if (v.zone_s <= -57600 || v.zone_s >= 57600) {
        return err_set(fx->cx->err, ST_INVALID_TIME_ZONE_DISPLACEMENT_VALUE, "time zone displacement out of range");
    }
    *out = v;
    return ST_OK;
}

static Status recv_interval(FnCtx *fx, const ValueType *t, Str bytes, Interval *out)
{
    Status st = recv_size(fx->cx->err, bytes, 16);
    if (st != ST_OK) {
        return st;
    }
    Interval v = {(int64_t)load_be64(bytes.p), (int32_t)load_be32(bytes.p + 8), (int32_t)load_be32(bytes.p + 12)};
    st = interval_apply_typmod(fx->cx->err, &v, t->typmod);
    if (st == ST_OK) {
        *out = v;
    }
    return st;
}

Status datetime_recv(FnCtx *fx, const ValueType *t, Str bytes, Arena *heap, void *out)
{
    (void)heap;
    switch (t->oid) {
    case OID_DATE: return recv_date(fx, bytes, out);
    case OID_TIMETZ: return recv_timetz(fx, t, bytes, out);
    case OID_INTERVAL: return recv_interval(fx, t, bytes, out);
    default: return recv_timestamp(fx, t, bytes, out);
    }
}

Status datetime_send(FnCtx *fx, const ValueType *t, const void *value, StrBuf *sb)
{
    (void)fx;
    if (t->oid == OID_TIMETZ) {
        const TimeTz *v = value;
        put_be64(sb, (uint64_t)v->time_us);
        put_be32(sb, (uint32_t)v->zone_s);
    } else {
        const Interval *v = value;
        put_be64(sb, (uint64_t)v->time_us);
        put_be32(sb, (uint32_t)v->days);
        put_be32(sb, (uint32_t)v->months);
    }
    return ST_OK;
}

/* ---- typmods ---- */

KERNEL1(k_time_typmod, int64_t, int64_t, r = timestamp_is_finite(a) ? round_us(a, (int)fx->call->aux[0]) : a;)
KERNEL1(
    k_timestamp_typmod, int64_t, int64_t, r = timestamp_is_finite(a) ? round_us(a, (int)fx->call->aux[0]) : a;
    if (timestamp_is_finite(a) && !timestamp_in_range(r)) {
        return fn_fail(fx, row, timestamp_range_error(fx->cx->err));
    })
KERNEL1(k_timetz_typmod, TimeTz, TimeTz, r = a; r.time_us = round_us(a.time_us, (int)fx->call->aux[0]);)
KERNEL1(k_interval_typmod, Interval, Interval, r = a;
        FAIL_IF(interval_apply_typmod(fx->cx->err, &r, (int32_t)fx->call->aux[0]));)

FnKernel *datetime_typmod_kernel(Oid oid)
{
    switch (oid) {
    case OID_TIME: return k_time_typmod;
    case OID_TIMETZ: return k_timetz_typmod;
    case OID_INTERVAL: return k_interval_typmod;
    default: return k_timestamp_typmod;
    }
}
