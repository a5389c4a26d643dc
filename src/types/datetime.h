/*
 * types/datetime.h: calendar arithmetic and the fields of a date and time. Private but for what timezone.h shows.
 *
 * Days are Julian day numbers or days since 2000-01-01 (PG_EPOCH_JDATE); the calendar is the proleptic Gregorian one, with a
 * year 0 = 1 BC. Ranges are PostgreSQL's: dates from 4714-11-24 BC, timestamps to 294276 AD.
 */
#ifndef RDB_TYPES_DATETIME_H
#define RDB_TYPES_DATETIME_H

#include "types/func.h"

#define US_PER_SEC INT64_C(1000000)
#define US_PER_DAY INT64_C(86400000000)
#define UNIX_EPOCH_JDATE 2440588
#define PG_EPOCH_JDATE 2451545
#define SECS_1970_TO_2000 INT64_C(946684800)
#define TIMESTAMP_MIN INT64_C(-211813488000000000)
#define TIMESTAMP_END INT64_C(9223371331200000000)
#define DATE_END 106741035 /* days: 5874898-01-01 */

typedef struct DateParts {
    int year; /* 0 = 1 BC */
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int32_t us;
} DateParts;

int date_to_julian(int year, int month, int day);
void julian_to_date(int julian, int *out_year, int *out_month, int *out_day);
bool is_leap(int year);
int days_in_month(int year, int month); /* month 1..12 */
static inline int julian_weekday(int julian)
{
    return (julian + 1) % 7 < 0 ? (julian + 1) % 7 + 7 : (julian + 1) % 7;
}
static inline bool valid_julian(int year, int month)
{
    return (year > -4713 || (year == -4713 && month >= 11)) && (year < 5874898 || (year == 5874898 && month < 6));
}

/* Splits local microseconds since 2000. */
void timestamp_split(int64_t us, DateParts *out);
void time_split(int64_t us, DateParts *out);
/* false when out of timestamp range. Fields are in range (24:00:00 and second 60 carry over). */
bool timestamp_join(const DateParts *p, int64_t *out_us);
static inline int64_t time_join(const DateParts *p)
{
    return ((int64_t)(p->hour * 60 + p->minute) * 60 + p->second) * US_PER_SEC + p->us;
}
static inline bool timestamp_in_range(int64_t us)
{
    return us >= TIMESTAMP_MIN && us < TIMESTAMP_END;
}
static inline bool timestamp_is_finite(int64_t us)
{
    return us != TIMESTAMP_INFINITY && us != TIMESTAMP_NEG_INFINITY;
}

/* Rounds half away from zero to `digits` fraction digits of a second (0..6). */
int64_t round_us(int64_t us, int digits);

Status timestamp_range_error(Error *err); /* 22008 "timestamp out of range" */
Status date_range_error(Error *err, Str text);
/* Local time of the session's zone to UTC and back; 22008 out of range. */
STATUS local_to_utc(Error *err, const TimeZone *tz, int64_t local_us, int64_t *out_utc_us);
STATUS utc_to_local(Error *err, const TimeZone *tz, int64_t utc_us, int64_t *out_local_us, int32_t *out_east_s,
                    const char **out_abbreviation);
/* ts + interval, with local-time arithmetic for timestamptz (tz) or none (timestamp: is_tz false). */
STATUS timestamp_add(FnCtx *fx, bool is_tz, int64_t ts, const Interval *span, int64_t *out);

bool interval_divide(const Interval *v, double by, Interval *out); /* false = out of range */

extern const char *const month_names[12]; /* "January" ... */
extern const char *const day_names[7];    /* "Sunday" ... */

/* ---- parsing (datetime_parse.c) ---- */

typedef enum DtKind { DT_VALUE, DT_INFINITY, DT_NEG_INFINITY, DT_EPOCH } DtKind;

typedef struct DtParsed {
    DtKind kind;
    DateParts parts;
    bool has_date;
    bool has_time;
    bool has_zone;
    int32_t zone_west_s;  /* when has_zone and zone == NULL */
    const TimeZone *zone; /* a named zone whose offset depends on the date */
} DtParsed;

/* What is being read decides error texts ("timestamp", "date", ...). 22007, 22008, 22023. */
STATUS datetime_parse(FnCtx *fx, Str text, const char *type, bool want_time_only, DtParsed *out);
STATUS interval_parse(FnCtx *fx, Str text, int32_t typmod, Interval *out);
STATUS interval_apply_typmod(Error *err, Interval *v, int32_t typmod);
void interval_text(const SessionFacts *facts, const Interval *v, StrBuf *sb);

#endif
