/*
 * types/timezone.h: time zones, read from the system's TZif files (RFC 8536).
 *
 * libc's TZ is process-global, so the files are read here. A TimeZone is immutable; a TzCache (one per engine) loads each
 * zone once and keeps it. Transitions a file's footer rule implies are laid out until 2500; the calendar repeats every
 * 400 years beyond.
 */
#ifndef RDB_TYPES_TIMEZONE_H
#define RDB_TYPES_TIMEZONE_H

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

typedef struct TimeZone TimeZone;
typedef struct TzCache TzCache;

/* `directory` holds the zone files; NULL = /usr/share/zoneinfo. A missing directory shows at tz_find. */
STATUS tz_cache_new(Budget *budget, const char *directory, Error *err, TzCache **out_cache);
void tz_cache_free(TzCache *c); /* no TimeZone of it may be in use */
/*
 * Finds a zone by name whatever the case ("Europe/Paris", "utc"), or a POSIX rule ("EST5EDT,M3.2.0,M11.1.0", "<+03>-3");
 * *out_zone NULL when there is none. cache may be NULL: then only UTC and fixed offsets are found. From any thread.
 */
STATUS tz_find(TzCache *cache, Str name, Error *err, const TimeZone **out_zone);

const char *tz_name(const TimeZone *tz);
/* Seconds east of Greenwich at a moment (seconds since 1970 UTC). tz NULL = UTC. */
int32_t tz_offset_at(const TimeZone *tz, int64_t unix_s, bool *out_dst, const char **out_abbreviation);
/*
 * Offset (seconds east) that a local wall-clock time has (seconds since 1970 as if UTC). In a gap the offset before it is
 * taken, in an overlap the one after it, as PostgreSQL does.
 */
int32_t tz_offset_of_local(const TimeZone *tz, int64_t local_s);

/* True when the zone has one offset at all times. */
bool tz_is_fixed(const TimeZone *tz, int32_t *out_east_s);

/* PostgreSQL's default abbreviations (EST, CEST): seconds east. */
bool tz_abbreviation(Str name, int32_t *out_east_s, bool *out_dst);

#endif
