/*
 * types/datetime_fn.c: arithmetic, casts and functions on dates, times and intervals.
 */
#include <math.h>

#include "os/thread.h"
#include "types/datetime.h"
#include "types/kernels.h"
#include "types/num_kernels.h"
#include "types/timezone.h"

#define RANGE_FAIL() return fn_fail(fx, row, timestamp_range_error(fx->cx->err))
#define INTERVAL_FAIL() FAIL(ST_DATETIME_FIELD_OVERFLOW, "interval out of range")

/* ---- timestamp + interval ---- */

static bool add_months(DateParts *p, int32_t months)
{
    int64_t total = (int64_t)p->year * 12 + (p->month - 1) + months;
    int64_t year = total >= 0 ? total / 12 : -((-total + 11) / 12);
    if (year < -5000 || year > 6000000) {
        return false;
    }
    p->year = (int)year;
    p->month = (int)(total - year * 12) + 1;
    int last = days_in_month(p->year, p->month);
    p->day = p->day > last ? last : p->day;
    return true;
}

/* Months and days on the wall clock of the zone, then microseconds on the time line. */
Status timestamp_add(FnCtx *fx, bool is_tz, int64_t ts, const Interval *span, int64_t *out)
{
    Error *err = fx->cx->err;
    if (!timestamp_is_finite(ts)) {
        *out = ts;
        return ST_OK;
    }
    if (span->months != 0 || span->days != 0) {
        int64_t local = ts;
        int32_t east;
        const char *zone;
        DateParts p = {0};
        Status st = is_tz ? utc_to_local(err, fx->facts->timezone, ts, &local, &east, &zone) : ST_OK;
        if (st != ST_OK) {
            return st;
        }
        timestamp_split(local, &p);
        if (span->months != 0 && !add_months(&p, span->months)) {
            return timestamp_range_error(err);
        }
        if (span->days != 0) {
            int64_t julian = (int64_t)date_to_julian(p.year, p.month, p.day) + span->days;
            if (julian < 0 || julian > INT32_MAX) {
                return timestamp_range_error(err);
            }
            julian_to_date((int)julian, &p.year, &p.month, &p.day);
        }
        if (!timestamp_join(&p, &local)) {
            return timestamp_range_error(err);
        }
        st = is_tz ? local_to_utc(err, fx->facts->timezone, local, &ts) : ST_OK;
        if (st != ST_OK) {
            return st;
        }
        ts = is_tz ? ts : local;
    }
    if (__builtin_add_overflow(ts, span->time_us, &ts) || !timestamp_in_range(ts)) {
        return timestamp_range_error(err);
    }
    *out = ts;
    return ST_OK;
}

static bool interval_neg(const Interval *v, Interval *out)
{
    return !__builtin_sub_overflow((int64_t)0, v->time_us, &out->time_us) &&
           !__builtin_sub_overflow(0, v->days, &out->days) && !__builtin_sub_overflow(0, v->months, &out->months);
}

#define ADD_SPAN(name, is_tz)                                                                                          \
    KERNEL2(name##_pl, int64_t, Interval, int64_t, FAIL_IF(timestamp_add(fx, is_tz, a, &b, &r));)                      \
    KERNEL2(                                                                                                           \
        name##_mi, int64_t, Interval, int64_t, Interval minus;                                                         \
        if (!interval_neg(&b, &minus)) { INTERVAL_FAIL(); } FAIL_IF(timestamp_add(fx, is_tz, a, &minus, &r));)         \
    KERNEL2(name##_lp, Interval, int64_t, int64_t, FAIL_IF(timestamp_add(fx, is_tz, b, &a, &r));)
ADD_SPAN(k_timestamp, false)
ADD_SPAN(k_timestamptz, true)

/* ---- intervals ---- */

/* Whole days out of the time part, signs kept alike. */
static bool justify_hours(Interval *v)
{
    int64_t whole = v->time_us / US_PER_DAY;
    v->time_us -= whole * US_PER_DAY;
    int64_t days = v->days + whole;
    if (days > 0 && v->time_us < 0) {
        v->time_us += US_PER_DAY;
        days--;
    } else if (days < 0 && v->time_us > 0) {
        v->time_us -= US_PER_DAY;
        days++;
    }
    v->days = (int32_t)days;
    return days >= INT32_MIN && days <= INT32_MAX;
}

static bool justify_days(Interval *v)
{
    int64_t whole = v->days / 30;
    int64_t days = v->days - whole * 30;
    int64_t months = v->months + whole;
    if (months > 0 && days < 0) {
        days += 30;
        months--;
    } else if (months < 0 && days > 0) {
        days -= 30;
        months++;
    }
    v->days = (int32_t)days;
    v->months = (int32_t)months;
    return months >= INT32_MIN && months <= INT32_MAX;
}

static bool justify_interval(Interval *v)
{
    int64_t months = v->months;
    int64_t days = v->days;
    int64_t us = v->time_us;
    if ((days > 0 && us > 0) || (days < 0 && us < 0)) {
        int64_t whole = days / 30;
        days -= whole * 30;
        months += whole;
    }
    int64_t whole = us / US_PER_DAY;
    us -= whole * US_PER_DAY;
    days += whole;
    whole = days / 30;
    days -= whole * 30;
    months += whole;
    if (months > 0 && (days < 0 || (days == 0 && us < 0))) {
        days += 30;
        months--;
    } else if (months < 0 && (days > 0 || (days == 0 && us > 0))) {
        days -= 30;
        months++;
    }
    if (days > 0 && us < 0) {
        us += US_PER_DAY;
        days--;
    } else if (days < 0 && us > 0) {
        us -= US_PER_DAY;
        days++;
    }
    *v = (Interval){us, (int32_t)days, (int32_t)months};
    return months >= INT32_MIN && months <= INT32_MAX;
}

static bool interval_add(const Interval *a, const Interval *b, Interval *out)
{
    return !__builtin_add_overflow(a->time_us, b->time_us, &out->time_us) &&
           !__builtin_add_overflow(a->days, b->days, &out->days) &&
           !__builtin_add_overflow(a->months, b->months, &out->months);
}
static bool interval_sub(const Interval *a, const Interval *b, Interval *out)
{
    return !__builtin_sub_overflow(a->time_us, b->time_us, &out->time_us) &&
           !__builtin_sub_overflow(a->days, b->days, &out->days) &&
           !__builtin_sub_overflow(a->months, b->months, &out->months);
}

/* Fractions of months go to days, of days to microseconds, both rounded to microseconds first (PostgreSQL's TSROUND). */
static double round_micro(double v)
{
    return rint(v * 1e6) / 1e6;
}

static bool spread(const Interval *v, double months, double days, double us, Interval *out)
{
    if (isnan(months) || months > INT32_MAX || months < INT32_MIN || isnan(days) || days > INT32_MAX ||
        days < INT32_MIN) {
        return false;
    }
    out->months = (int32_t)months;
    out->days = (int32_t)days;
    double month_days = (months - out->months) * 30;
    month_days = round_micro(month_days);
    double seconds = (days - out->days + month_days - (double)(int64_t)month_days) * 86400;
    seconds = round_micro(seconds);
    if (fabs(seconds) >= 86400) {
        out->days += (int32_t)(seconds / 86400);
        seconds -= (double)((int64_t)(seconds / 86400) * 86400);
    }
    out->days += (int32_t)month_days;
    double total = rint(us + seconds * 1e6);
    if (isnan(total) || total >= 9223372036854775808.0 || total < -9223372036854775808.0) {
        return false;
    }
    out->time_us = (int64_t)total;
    (void)v;
    return true;
}

static bool interval_mul(const Interval *v, double f, Interval *out)
{
    return spread(v, v->months * f, v->days * f, (double)v->time_us * f, out);
}
bool interval_divide(const Interval *v, double f, Interval *out)
{
    return spread(v, v->months / f, v->days / f, (double)v->time_us / f, out);
}

KERNEL1(
    k_interval_um, Interval, Interval, r = a; if (!interval_neg(&a, &r)) { INTERVAL_FAIL(); })
KERNEL2(
    k_interval_pl, Interval, Interval, Interval, if (!interval_add(&a, &b, &r)) { INTERVAL_FAIL(); })
KERNEL2(
    k_interval_mi, Interval, Interval, Interval, if (!interval_sub(&a, &b, &r)) { INTERVAL_FAIL(); })
KERNEL2(
    k_interval_mul, Interval, double, Interval, if (!interval_mul(&a, b, &r)) { INTERVAL_FAIL(); })
KERNEL2(
    k_mul_d_interval, double, Interval, Interval, if (!interval_mul(&b, a, &r)) { INTERVAL_FAIL(); })
KERNEL2(
    k_interval_div, Interval, double, Interval,
    if (b == 0) { FAIL(ST_DIVISION_BY_ZERO, "division by zero"); } if (!interval_divide(&a, b, &r)) {
        INTERVAL_FAIL();
    })
KERNEL1(
    k_justify_hours, Interval, Interval, r = a; if (!justify_hours(&r)) { INTERVAL_FAIL(); })
KERNEL1(
    k_justify_days, Interval, Interval, r = a; if (!justify_days(&r)) { INTERVAL_FAIL(); })
KERNEL1(
    k_justify_interval, Interval, Interval, r = a; if (!justify_interval(&r)) { INTERVAL_FAIL(); })

/* ---- differences ---- */

KERNEL2(
    k_timestamp_diff, int64_t, int64_t, Interval, r = (Interval){0, 0, 0};
    if (!timestamp_is_finite(a) || !timestamp_is_finite(b)) {
        FAIL(ST_DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps");
    } r.time_us = (int64_t)((uint64_t)a - (uint64_t)b);
    if (!justify_hours(&r)) { INTERVAL_FAIL(); })
KERNEL2(
    k_date_diff, int32_t, int32_t, int32_t,
    if (a == DATE_INFINITY || a == DATE_NEG_INFINITY || b == DATE_INFINITY || b == DATE_NEG_INFINITY) {
        FAIL(ST_DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates");
    } r = a - b;)
KERNEL2(k_time_diff, int64_t, int64_t, Interval, r = ((Interval){a - b, 0, 0});)

static bool date_finite(int32_t d)
{
    return d != DATE_INFINITY && d != DATE_NEG_INFINITY;
}
static bool date_ok(int64_t d)
{
    return d >= -PG_EPOCH_JDATE && d < 2145031949;
}

static Status date_plus(FnCtx *fx, int32_t date, int64_t days, int32_t *out)
{
    if (!date_finite(date)) {
        *out = date;
        return ST_OK;
    }
    if (!date_ok(date + days)) {
        return err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "date out of range");
    }
    *out = (int32_t)(date + days);
    return ST_OK;
}
KERNEL2(k_date_pli, int32_t, int32_t, int32_t, FAIL_IF(date_plus(fx, a, b, &r));)
KERNEL2(k_date_mii, int32_t, int32_t, int32_t, FAIL_IF(date_plus(fx, a, -(int64_t)b, &r));)
KERNEL2(k_integer_pl_date, int32_t, int32_t, int32_t, FAIL_IF(date_plus(fx, b, a, &r));)

static Status date_to_timestamp(FnCtx *fx, int32_t d, int64_t *out)
{
    if (!date_finite(d)) {
        *out = d == DATE_INFINITY ? TIMESTAMP_INFINITY : TIMESTAMP_NEG_INFINITY;
        return ST_OK;
    }
    if (d >= TIMESTAMP_END / US_PER_DAY) {
        return err_set(fx->cx->err, ST_DATETIME_FIELD_OVERFLOW, "date out of range for timestamp");
    }
    *out = d * US_PER_DAY;
    return ST_OK;
}
static Status date_to_timestamptz(FnCtx *fx, int32_t d, int64_t *out)
{
    int64_t local = 0;
    Status st = date_to_timestamp(fx, d, &local);
    if (st != ST_OK) {
        return st;
    }
    return local_to_utc(fx->cx->err, fx->facts->timezone, local, out) == ST_OK ? ST_OK : ST_DATETIME_FIELD_OVERFLOW;
}
static int32_t to_date(int64_t us)
{
    if (!timestamp_is_finite(us)) {
        return us == TIMESTAMP_INFINITY ? DATE_INFINITY : DATE_NEG_INFINITY;
    }
    return (int32_t)(us >= 0 ? us / US_PER_DAY : -((-us + US_PER_DAY - 1) / US_PER_DAY));
}
static Status to_local(FnCtx *fx, int64_t utc, int64_t *out)
{
    int32_t east;
    const char *zone;
    if (!timestamp_is_finite(utc)) {
        *out = utc;
        return ST_OK;
    }
    return utc_to_local(fx->cx->err, fx->facts->timezone, utc, out, &east, &zone);
}
static int64_t time_of_day(int64_t us)
{
    int64_t t = us % US_PER_DAY;
    return t < 0 ? t + US_PER_DAY : t;
}

KERNEL2(k_date_pl_interval, int32_t, Interval, int64_t, int64_t ts = 0; FAIL_IF(date_to_timestamp(fx, a, &ts));
        FAIL_IF(timestamp_add(fx, false, ts, &b, &r));)
KERNEL2(
    k_date_mi_interval, int32_t, Interval, int64_t, int64_t ts = 0; Interval minus;
    FAIL_IF(date_to_timestamp(fx, a, &ts));
    if (!interval_neg(&b, &minus)) { INTERVAL_FAIL(); } FAIL_IF(timestamp_add(fx, false, ts, &minus, &r));)
KERNEL2(k_interval_pl_date, Interval, int32_t, int64_t, int64_t ts = 0; FAIL_IF(date_to_timestamp(fx, b, &ts));
        FAIL_IF(timestamp_add(fx, false, ts, &a, &r));)
KERNEL2(
    k_datetime_pl, int32_t, int64_t, int64_t, FAIL_IF(date_to_timestamp(fx, a, &r)); if (timestamp_is_finite(r)) {
        r += b;
        if (!timestamp_in_range(r)) {
            RANGE_FAIL();
        }
    })
KERNEL2(
    k_timedate_pl, int64_t, int32_t, int64_t, FAIL_IF(date_to_timestamp(fx, b, &r)); if (timestamp_is_finite(r)) {
        r += a;
        if (!timestamp_in_range(r)) {
            RANGE_FAIL();
        }
    })
KERNEL2(
    k_datetimetz, int32_t, TimeTz, int64_t, FAIL_IF(date_to_timestamp(fx, a, &r)); if (timestamp_is_finite(r)) {
        r += b.time_us + b.zone_s * US_PER_SEC;
        if (!timestamp_in_range(r)) {
            RANGE_FAIL();
        }
    })
KERNEL2(
    k_timetzdate, TimeTz, int32_t, int64_t, FAIL_IF(date_to_timestamp(fx, b, &r)); if (timestamp_is_finite(r)) {
        r += a.time_us + a.zone_s * US_PER_SEC;
        if (!timestamp_in_range(r)) {
            RANGE_FAIL();
        }
    })
KERNEL2(k_time_pl, int64_t, Interval, int64_t,
        r = time_of_day((int64_t)((uint64_t)a + (uint64_t)(b.time_us % US_PER_DAY)));)
KERNEL2(k_time_mi, int64_t, Interval, int64_t,
        r = time_of_day((int64_t)((uint64_t)a - (uint64_t)(b.time_us % US_PER_DAY)));)
KERNEL2(k_interval_pl_time, Interval, int64_t, int64_t,
        r = time_of_day((int64_t)((uint64_t)b + (uint64_t)(a.time_us % US_PER_DAY)));)
KERNEL2(k_timetz_pl, TimeTz, Interval, TimeTz, r = a; r.time_us = time_of_day(a.time_us + b.time_us % US_PER_DAY);)
KERNEL2(k_timetz_mi, TimeTz, Interval, TimeTz, r = a; r.time_us = time_of_day(a.time_us - b.time_us % US_PER_DAY);)
KERNEL2(k_interval_pl_timetz, Interval, TimeTz, TimeTz, r = b;
        r.time_us = time_of_day(b.time_us + a.time_us % US_PER_DAY);)

/* ---- casts ---- */

KERNEL1(k_date_timestamp, int32_t, int64_t, FAIL_IF(date_to_timestamp(fx, a, &r));)
KERNEL1(k_date_timestamptz, int32_t, int64_t, FAIL_IF(date_to_timestamptz(fx, a, &r));)
KERNEL1(k_timestamp_date, int64_t, int32_t, r = to_date(a);)
KERNEL1(k_timestamptz_date, int64_t, int32_t, int64_t local = 0; FAIL_IF(to_local(fx, a, &local)); r = to_date(local);)
KERNEL1(k_timestamp_time, int64_t, int64_t, if (!timestamp_is_finite(a)){NULL_RESULT} r = time_of_day(a);)
KERNEL1(k_timestamptz_time, int64_t, int64_t, int64_t local = 0;
        if (!timestamp_is_finite(a)){NULL_RESULT} FAIL_IF(to_local(fx, a, &local)); r = time_of_day(local);)
KERNEL1(k_timestamp_timestamptz, int64_t, int64_t, FAIL_IF(local_to_utc(fx->cx->err, fx->facts->timezone, a, &r));)
KERNEL1(k_timestamptz_timestamp, int64_t, int64_t, FAIL_IF(to_local(fx, a, &r));)
KERNEL1(k_timestamptz_timetz, int64_t, TimeTz, int64_t local = 0; int32_t east; const char *zone;
        if (!timestamp_is_finite(a)){NULL_RESULT} FAIL_IF(utc_to_local(fx->cx->err, fx->facts->timezone, a, &local,
                                                                       &east, &zone));
        r = ((TimeTz){time_of_day(local), -east, 0});)
KERNEL1(k_time_interval, int64_t, Interval, r = ((Interval){a, 0, 0});)
KERNEL1(k_interval_time, Interval, int64_t, r = time_of_day(a.time_us);)
KERNEL1(k_timetz_time, TimeTz, int64_t, r = a.time_us;)
KERNEL1(k_time_timetz, int64_t, TimeTz, int64_t local = 0; int32_t east; const char *zone; int64_t today = 0;
        FAIL_IF(to_local(fx, fx->facts->transaction_us, &today)); today = (int64_t)to_date(today) * US_PER_DAY + a;
        FAIL_IF(local_to_utc(fx->cx->err, fx->facts->timezone, today, &local)); (void)zone;
        east = (int32_t)((today - local) / US_PER_SEC); r = ((TimeTz){a, -east, 0});)
KERNEL2(
    k_scale_timestamp, int64_t, int32_t, int64_t, if (timestamp_is_finite(a) && b != -1 && (b < 0 || b > 6)) {
        FAIL(ST_INVALID_PARAMETER_VALUE, "timestamp(%d) precision must be between 0 and 6", b);
    } r = timestamp_is_finite(a) ? round_us(a, b) : a;)
KERNEL2(k_scale_i64, int64_t, int32_t, int64_t, r = timestamp_is_finite(a) ? round_us(a, b) : a;)
KERNEL2(k_scale_timetz, TimeTz, int32_t, TimeTz, r = a; r.time_us = round_us(a.time_us, b);)
KERNEL2(k_scale_interval, Interval, int32_t, Interval, r = a; FAIL_IF(interval_apply_typmod(fx->cx->err, &r, b));)

/* ---- AT TIME ZONE ---- */

/* A zone by name or abbreviation: a TimeZone, or a fixed offset east. */
static Status zone_by_name(FnCtx *fx, const StrView *name, const TimeZone **out_zone, int32_t *out_east,
                           bool *out_fixed)
{
    Str s = strview_str(name);
    bool dst;
    *out_fixed = tz_abbreviation(s, out_east, &dst);
    if (*out_fixed) {
        return ST_OK;
    }
    Status st = tz_find(fx->facts->tz_cache, s, fx->cx->err, out_zone);
    if (st == ST_OK && *out_zone == NULL) {
        return err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE, "time zone \"%.*s\" not recognized", (int)s.len, s.p);
    }
    return st;
}

static Status at_zone(FnCtx *fx, const StrView *name, int64_t ts, bool to_utc, int64_t *out)
{
    const TimeZone *zone = NULL;
    int32_t east = 0;
    bool fixed;
    const char *abbreviation;
    Status st = zone_by_name(fx, name, &zone, &east, &fixed);
    if (st != ST_OK || !timestamp_is_finite(ts)) {
        *out = ts;
        return st;
    }
    if (fixed) {
        *out = to_utc ? ts - east * US_PER_SEC : ts + east * US_PER_SEC;
    } else {
        st = to_utc ? local_to_utc(fx->cx->err, zone, ts, out)
                    : utc_to_local(fx->cx->err, zone, ts, out, &east, &abbreviation);
    }
    return st == ST_OK && !timestamp_in_range(*out) ? timestamp_range_error(fx->cx->err) : st;
}
KERNEL2(k_timestamp_zone, StrView, int64_t, int64_t, FAIL_IF(at_zone(fx, &a, b, true, &r));)
KERNEL2(k_timestamptz_zone, StrView, int64_t, int64_t, FAIL_IF(at_zone(fx, &a, b, false, &r));)

static Status zone_interval(FnCtx *fx, const Interval *v, int64_t *out_us)
{
    if (v->months != 0 || v->days != 0) {
        StrBuf text;
        strbuf_init(&text, fx->cx->budget);
        interval_text(fx->facts, v, &text);
        Status st = err_set(fx->cx->err, ST_INVALID_PARAMETER_VALUE,
                            "interval time zone \"%s\" must not include months or days", text.p);
        strbuf_done(&text);
        return st;
    }
    *out_us = v->time_us / US_PER_SEC * US_PER_SEC;
    return ST_OK;
}
KERNEL2(
    k_timestamp_izone, Interval, int64_t, int64_t, int64_t z = 0; if (!timestamp_is_finite(b)) { r = b; } else {
        FAIL_IF(zone_interval(fx, &a, &z));
        r = b - z;
        if (!timestamp_in_range(r)) {
            RANGE_FAIL();
        }
    })
KERNEL2(
    k_timestamptz_izone, Interval, int64_t, int64_t, int64_t z = 0; if (!timestamp_is_finite(b)) { r = b; } else {
        FAIL_IF(zone_interval(fx, &a, &z));
        r = b + z;
        if (!timestamp_in_range(r)) {
            RANGE_FAIL();
        }
    })

/* ---- age ---- */

static void age_parts(int64_t a, int64_t b, Interval *out)
{
    DateParts x = {0};
    DateParts y = {0};
    timestamp_split(a, &x);
    timestamp_split(b, &y);
    bool negative = a < b;
    if (negative) {
        DateParts t = x;
        x = y;
        y = t;
    }
    int64_t us = time_join(&x) - time_join(&y);
    int days = x.day - y.day;
    int months = (x.year - y.year) * 12 + x.month - y.month;
    if (us < 0) {
        us += US_PER_DAY;
        days--;
    }
    while (days < 0) {
        /* Days of the month of the earlier date, as PostgreSQL borrows. */
        days += days_in_month(y.year, y.month);
        months--;
    }
    *out = negative ? (Interval){-us, -days, -months} : (Interval){us, days, months};
}
KERNEL2(
    k_timestamp_age, int64_t, int64_t, Interval, r = ((Interval){0, 0, 0});
    if (!timestamp_is_finite(a) || !timestamp_is_finite(b)) { RANGE_FAIL(); } age_parts(a, b, &r);)
KERNEL2(
    k_timestamptz_age, int64_t, int64_t, Interval, r = ((Interval){0, 0, 0}); int64_t x = 0; int64_t y = 0;
    if (!timestamp_is_finite(a) || !timestamp_is_finite(b)) { RANGE_FAIL(); } FAIL_IF(to_local(fx, a, &x));
    FAIL_IF(to_local(fx, b, &y)); age_parts(x, y, &r);)

/* ---- now ---- */

static int64_t clock_now(void)
{
    return os_wall_us() - SECS_1970_TO_2000 * US_PER_SEC;
}
KERNEL0(k_now, int64_t, r = fx->facts->transaction_us;)
KERNEL0(k_statement_now, int64_t, r = fx->facts->statement_us;)
KERNEL0(k_clock_now, int64_t, r = clock_now();)

KERNEL1(k_isfinite_ts, int64_t, uint8_t, r = timestamp_is_finite(a);)
KERNEL1(k_isfinite_date, int32_t, uint8_t, r = date_finite(a);)
KERNEL1(k_isfinite_interval, Interval, uint8_t, r = 1;)

/* Negative years are BC; inside, 1 BC is year 0, and so it shows in messages. */
static Status make_date(FnCtx *fx, int32_t year, int32_t month, int32_t day, int32_t *out)
{
    Error *err = fx->cx->err;
    int32_t shown = year < -INT32_MAX ? 0 : year < 0 ? year + 1 : year;
    if (year == 0 || year < -INT32_MAX || month < 1 || month > 12 || day < 1 || day > days_in_month(shown, month)) {
        return err_set(err, ST_DATETIME_FIELD_OVERFLOW, "date field value out of range: %d-%02d-%02d", shown, month,
                       day);
    }
    if (!valid_julian(shown, month)) {
        return err_set(err, ST_DATETIME_FIELD_OVERFLOW, "date out of range: %d-%02d-%02d", shown, month, day);
    }
    *out = date_to_julian(shown, month, day) - PG_EPOCH_JDATE;
    return ST_OK;
}
KERNEL3(k_make_date, int32_t, int32_t, int32_t, int32_t, FAIL_IF(make_date(fx, a, b, c, &r));)

/* ---- comparisons across types: dates become timestamps, timestamps local time ---- */

static int64_t date_as_us(int32_t d)
{
    if (!date_finite(d)) {
        return d == DATE_INFINITY ? TIMESTAMP_INFINITY : TIMESTAMP_NEG_INFINITY;
    }
    return d >= TIMESTAMP_END / US_PER_DAY ? TIMESTAMP_END : d * US_PER_DAY;
}
static int64_t local_as_utc(FnCtx *fx, int64_t us)
{
    int64_t utc;
    return local_to_utc(NULL, fx->facts->timezone, us, &utc) == ST_OK ? utc : us;
}

#define CROSS(name, TA, TB, ea, eb)                                                                                    \
    KERNEL2(name##_eq, TA, TB, uint8_t, r = (ea) == (eb);)                                                             \
    KERNEL2(name##_ne, TA, TB, uint8_t, r = (ea) != (eb);)                                                             \
    KERNEL2(name##_lt, TA, TB, uint8_t, r = (ea) < (eb);)                                                              \
    KERNEL2(name##_le, TA, TB, uint8_t, r = (ea) <= (eb);)                                                             \
    KERNEL2(name##_gt, TA, TB, uint8_t, r = (ea) > (eb);)                                                              \
    KERNEL2(name##_ge, TA, TB, uint8_t, r = (ea) >= (eb);)                                                             \
    KERNEL2(name##_cmp, TA, TB, int32_t, r = ((ea) > (eb)) - ((ea) < (eb));)
CROSS(k_date_ts, int32_t, int64_t, date_as_us(a), b)
CROSS(k_ts_date, int64_t, int32_t, a, date_as_us(b))
CROSS(k_date_tz, int32_t, int64_t, local_as_utc(fx, date_as_us(a)), b)
CROSS(k_tz_date, int64_t, int32_t, a, local_as_utc(fx, date_as_us(b)))
CROSS(k_ts_tz, int64_t, int64_t, local_as_utc(fx, a), b)
CROSS(k_tz_ts, int64_t, int64_t, a, local_as_utc(fx, b))

#define CROSS_DEFS(sql1, sql2, k)                                                                                      \
    {sql1 "_eq_" sql2, k##_eq, 0, NULL}, {sql1 "_ne_" sql2, k##_ne, 0, NULL}, {sql1 "_lt_" sql2, k##_lt, 0, NULL},     \
        {sql1 "_le_" sql2, k##_le, 0, NULL}, {sql1 "_gt_" sql2, k##_gt, 0, NULL}, {sql1 "_ge_" sql2, k##_ge, 0, NULL}, \
    {                                                                                                                  \
        sql1 "_cmp_" sql2, k##_cmp, 0, NULL                                                                            \
    }
#define K(src, kernel)                                                                                                 \
    {                                                                                                                  \
        src, kernel, 0, NULL                                                                                           \
    }

/* clang-format off */
KERNEL_LIST(datetime_kernel_list,
    K("timestamp_pl_interval", k_timestamp_pl), K("timestamp_mi_interval", k_timestamp_mi),
    K("timestamptz_pl_interval", k_timestamptz_pl), K("timestamptz_mi_interval", k_timestamptz_mi),
    K("interval_pl_timestamp(interval, timestamp without time zone)", k_timestamp_lp),
    K("interval_pl_timestamptz(interval, timestamp with time zone)", k_timestamptz_lp),
    K("interval_um", k_interval_um), K("interval_pl", k_interval_pl), K("interval_mi", k_interval_mi),
    K("interval_mul", k_interval_mul), K("mul_d_interval", k_mul_d_interval), K("interval_div", k_interval_div),
    K("interval_justify_hours", k_justify_hours), K("interval_justify_days", k_justify_days),
    K("interval_justify_interval", k_justify_interval), K("timestamp_mi", k_timestamp_diff),
    K("date_mi", k_date_diff), K("time_mi_time", k_time_diff), K("date_pli", k_date_pli), K("date_mii", k_date_mii),
    K("integer_pl_date(integer, date)", k_integer_pl_date), K("date_pl_interval", k_date_pl_interval),
    K("date_mi_interval", k_date_mi_interval), K("interval_pl_date(interval, date)", k_interval_pl_date),
    K("datetime_timestamp", k_datetime_pl), K("timedate_pl(time without time zone, date)", k_timedate_pl),
    K("datetimetz_timestamptz", k_datetimetz), K("timetzdate_pl(time with time zone, date)", k_timetzdate),
    K("time_pl_interval", k_time_pl), K("time_mi_interval", k_time_mi),
    K("interval_pl_time(interval, time without time zone)", k_interval_pl_time),
    K("timetz_pl_interval", k_timetz_pl), K("timetz_mi_interval", k_timetz_mi),
    K("interval_pl_timetz(interval, time with time zone)", k_interval_pl_timetz),
    K("date_timestamp", k_date_timestamp), K("date_timestamptz", k_date_timestamptz),
    K("timestamp_date", k_timestamp_date), K("timestamptz_date", k_timestamptz_date),
    K("timestamp_time", k_timestamp_time), K("timestamptz_time", k_timestamptz_time),
    K("timestamp_timestamptz", k_timestamp_timestamptz), K("timestamptz_timestamp", k_timestamptz_timestamp),
    K("timestamptz_timetz", k_timestamptz_timetz), K("time_interval", k_time_interval),
    K("interval_time", k_interval_time), K("timetz_time", k_timetz_time), K("time_timetz", k_time_timetz),
    K("timestamp_scale", k_scale_timestamp), K("timestamptz_scale", k_scale_timestamp), K("time_scale", k_scale_i64),
    K("timetz_scale", k_scale_timetz), K("interval_scale", k_scale_interval),
    K("timestamp_zone", k_timestamp_zone), K("timestamptz_zone", k_timestamptz_zone),
    K("timestamp_izone", k_timestamp_izone), K("timestamptz_izone", k_timestamptz_izone),
    K("timestamp_age", k_timestamp_age), K("timestamptz_age", k_timestamptz_age), K("now", k_now),
    K("statement_timestamp", k_statement_now), K("clock_timestamp", k_clock_now),
    K("timestamp_finite", k_isfinite_ts), K("date_finite", k_isfinite_date), K("interval_finite", k_isfinite_interval),
    K("make_date", k_make_date), CROSS_DEFS("date", "timestamp", k_date_ts), CROSS_DEFS("timestamp", "date", k_ts_date),
    CROSS_DEFS("date", "timestamptz", k_date_tz), CROSS_DEFS("timestamptz", "date", k_tz_date),
    CROSS_DEFS("timestamp", "timestamptz", k_ts_tz), CROSS_DEFS("timestamptz", "timestamp", k_tz_ts))
/* clang-format on */
