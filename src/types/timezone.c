/*
 * types/timezone.c: reader of TZif files and their footer rules (see timezone.h).
 */
#include "types/timezone.h"

#include <stdio.h>
#include <stdlib.h>

#include "os/file.h"
#include "os/thread.h"
#include "types/datetime.h"

enum { NAME_MAX_BYTES = 255, FILE_BYTES_MAX = 64 * 1024, TYPES_MAX = 64, LAST_YEAR = 2500, ABBR_BYTES = 512 };
#define SECS_400_YEARS INT64_C(12622780800)

typedef struct TzType {
    int32_t east_s;
    bool dst;
    uint16_t abbreviation; /* offset in abbreviations */
} TzType;

struct TimeZone {
    TimeZone *next; /* in the cache */
    char name[NAME_MAX_BYTES + 1];
    uint32_t ntransitions;
    uint32_t ntypes;
    uint32_t first_type; /* before the first transition */
    bool repeats;        /* the rule goes on after the last transition */
    int64_t *at;         /* ascending, seconds since 1970 */
    uint8_t *type;       /* after at[i] */
    uint32_t capacity;
    TzType types[TYPES_MAX];
    char abbreviations[ABBR_BYTES];
    uint32_t abbreviation_bytes;
};

struct TzCache {
    Budget *budget;
    Vfs *vfs; /* opened at first use */
    char *directory;
    size_t directory_bytes;
    Mutex lock; /* guards vfs and zones */
    TimeZone *zones;
};

const char *tz_name(const TimeZone *tz)
{
    return tz != NULL ? tz->name : "UTC";
}

/* ---- POSIX rules: "EST5EDT,M3.2.0,M11.1.0" ---- */

typedef struct RuleDate {
    char kind; /* M, J, or 0 for a zero-based day of the year */
    int month;
    int week;
    int day;
    int32_t time_s;
} RuleDate;

typedef struct Rule {
    char std[32];
    char dst[32];
    int32_t std_east;
    int32_t dst_east;
    bool has_dst;
    RuleDate start;
    RuleDate end;
} Rule;

static bool rule_name(const char **io, char out[32])
{
    const char *p = *io;
    size_t n = 0;
    if (*p == '<') {
        for (p++; *p != '\0' && *p != '>' && n < 31; p++) {
            out[n++] = *p;
        }
        if (*p++ != '>') {
            return false;
        }
    } else {
        while (((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') && n < 31) {
            out[n++] = *p++;
        }
    }
    out[n] = '\0';
    *io = p;
    return true; /* a name may be empty: PostgreSQL takes "100" for an offset of 100 hours */
}

static bool rule_number(const char **io, int max, int *out)
{
    const char *p = *io;
    int v = 0;
    if (*p < '0' || *p > '9') {
        return false;
    }
    while (*p >= '0' && *p <= '9') {
        v = v * 10 + (*p++ - '0');
        if (v > max) {
            return false;
        }
    }
    *io = p;
    *out = v;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool rule_time(const char **io, int32_t *out)
{
    int sign = **io == '-' ? -1 : 1;
    int part[3] = {0, 0, 0};
    if (**io == '-' || **io == '+') {
        ++*io;
    }
    for (int i = 0; i < 3; i++) {
        if (!rule_number(io, i == 0 ? 167 : 59, &part[i])) {
            return false;
        }
        if (**io != ':' || i == 2) {
            break;
        }
        ++*io;
    }
    *out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
    return true;
}

static bool rule_date(const char **io, RuleDate *out)
{
    bool ok;
    *out = (RuleDate){.time_s = 7200};
    if (**io == 'M') {
        out->kind = 'M';
        ++*io;
        ok = rule_number(io, 12, &out->month) && *(*io)++ == '.' && rule_number(io, 5, &out->week) && *(*io)++ == '.' &&
             rule_number(io, 6, &out->day) && out->month > 0 && out->week > 0;
    } else {
        out->kind = **io == 'J' ? 'J' : 0;
        *io += out->kind == 'J';
        ok = rule_number(io, 365, &out->day);
    }
    if (ok && **io == '/') {
        ++*io;
        ok = rule_time(io, &out->time_s);
    }
    return ok;
}

static bool parse_rule(const char *p, Rule *r)
{
    int32_t west;
    *r = (Rule){0};
    if (!rule_name(&p, r->std) || !rule_time(&p, &west)) {
        return false;
    }
    r->std_east = -west;
    if (*p == '\0') {
        return true;
    }
    r->has_dst = true;
    r->dst_east = r->std_east + 3600;
    if (!rule_name(&p, r->dst)) {
        return false;
    }
    if (*p != ',' && *p != '\0') {
        if (!rule_time(&p, &west)) {
            return false;
        }
        r->dst_east = -west;
    }
    if (*p == '\0') {
        p = ",M3.2.0,M11.1.0"; /* the rule PostgreSQL and tzcode assume */
    }
    return *p++ == ',' && rule_date(&p, &r->start) && *p++ == ',' && rule_date(&p, &r->end) && *p == '\0';
}

/* Local seconds since 1970 (wall clock) of a rule's date in a year. */
static int64_t rule_moment(const RuleDate *d, int year)
{
    int julian;
    if (d->kind == 'M') {
        int first = date_to_julian(year, d->month, 1);
        int day = 1 + (d->day - julian_weekday(first) + 7) % 7 + (d->week - 1) * 7;
        if (day > days_in_month(year, d->month)) {
            day -= 7;
        }
        julian = first + day - 1;
    } else {
        bool after_february = d->kind == 'J' && d->day >= 60 && is_leap(year);
        julian = date_to_julian(year, 1, 1) + d->day - (d->kind == 'J') + after_february;
    }
    return (int64_t)(julian - UNIX_EPOCH_JDATE) * 86400 + d->time_s;
}

static int add_type(TimeZone *tz, int32_t east, bool dst, const char *abbreviation)
{
    size_t len = strlen(abbreviation) + 1;
    if (tz->ntypes == TYPES_MAX || tz->abbreviation_bytes + len > ABBR_BYTES) {
        return -1;
    }
    memcpy(tz->abbreviations + tz->abbreviation_bytes, abbreviation, len);
    tz->types[tz->ntypes] = (TzType){east, dst, (uint16_t)tz->abbreviation_bytes};
    tz->abbreviation_bytes += (uint32_t)len;
    return (int)tz->ntypes++;
}

static bool add_transition(TimeZone *tz, int64_t at, int type)
{
    if (tz->ntransitions == tz->capacity || (tz->ntransitions > 0 && at <= tz->at[tz->ntransitions - 1])) {
        return tz->ntransitions < tz->capacity; /* in the file already */
    }
    tz->at[tz->ntransitions] = at;
    tz->type[tz->ntransitions++] = (uint8_t)type;
    return true;
}

static bool apply_rule(TimeZone *tz, const Rule *r)
{
    int std = add_type(tz, r->std_east, false, r->std);
    if (std < 0) {
        return false;
    }
    if (!r->has_dst) {
        if (tz->ntransitions == 0) {
            tz->first_type = (uint32_t)std;
        }
        return true;
    }
    int dst = add_type(tz, r->dst_east, true, r->dst);
    int64_t last = tz->ntransitions > 0 ? tz->at[tz->ntransitions - 1] : INT64_MIN;
    int year = 1970;
    if (tz->ntransitions > 0) {
        int month;
        int day;
        julian_to_date((int)(last / 86400) + UNIX_EPOCH_JDATE, &year, &month, &day);
    } else {
        year = 1900;
        tz->first_type = (uint32_t)std;
    }
    tz->repeats = true;
    for (; dst >= 0 && year <= LAST_YEAR; year++) {
        int64_t start = rule_moment(&r->start, year) - r->std_east;
        int64_t end = rule_moment(&r->end, year) - r->dst_east;
        bool ok = start < end ? add_transition(tz, start, dst) && add_transition(tz, end, std)
                              : add_transition(tz, end, std) && add_transition(tz, start, dst);
        if (!ok) {
            return false;
        }
    }
    return dst >= 0;
}

/* ---- TZif files ---- */

typedef struct Header {
    uint32_t isut, isstd, leap, time, type, chars;
} Header;

static bool read_header(const uint8_t *p, size_t len, Header *h)
{
    if (len < 44 || memcmp(p, "TZif", 4) != 0) {
        return false;
    }
    h->isut = load_be32(p + 20);
    h->isstd = load_be32(p + 24);
    h->leap = load_be32(p + 28);
    h->time = load_be32(p + 32);
    h->type = load_be32(p + 36);
    h->chars = load_be32(p + 40);
    return h->time < 4096 && h->type > 0 && h->type <= TYPES_MAX - 2 && h->chars > 0 && h->chars < ABBR_BYTES - 80 &&
           h->leap < 1024 && h->isut <= h->type && h->isstd <= h->type;
}

static size_t block_bytes(const Header *h, size_t time_bytes)
{
    return h->time * (time_bytes + 1) + h->type * 6 + h->chars + h->leap * (time_bytes + 4) + h->isstd + h->isut;
}

static bool load_types(TimeZone *tz, const Header *h, const uint8_t *types, const uint8_t *chars)
{
    if (chars[h->chars - 1] != 0) {
        return false;
    }
    memcpy(tz->abbreviations, chars, h->chars);
    tz->abbreviation_bytes = h->chars;
    tz->ntypes = h->type;
    for (uint32_t i = 0; i < h->type; i++) {
        const uint8_t *p = types + i * 6;
        if (p[5] >= h->chars) {
            return false;
        }
        tz->types[i] = (TzType){(int32_t)load_be32(p), p[4] != 0, p[5]};
    }
    return true;
}

/* The 64-bit block and the footer of a version 2 file. false = not a usable zone file. */
static bool load_tzif(TimeZone *tz, const uint8_t *p, size_t len)
{
    Header h;
    if (!read_header(p, len, &h) || p[4] < '2') {
        return false;
    }
    size_t skip = 44 + block_bytes(&h, 4);
    if (skip > len || !read_header(p + skip, len - skip, &h) || len - skip < 44 + block_bytes(&h, 8)) {
        return false;
    }
    p += skip + 44;
    len -= skip + 44;
    const uint8_t *types = p + h.time * 9;
    if (!load_types(tz, &h, types, types + h.type * 6)) {
        return false;
    }
    for (uint32_t i = 0; i < h.time; i++) {
        uint8_t type = p[h.time * 8 + i];
        if (type >= h.type || !add_transition(tz, (int64_t)load_be64(p + i * 8), type)) {
            return false;
        }
    }
    const char *footer = (const char *)p + block_bytes(&h, 8);
    size_t left = len - block_bytes(&h, 8);
    char text[128];
    if (left < 2 || footer[0] != '\n') {
        return true;
    }
    const char *end = memchr(footer + 1, '\n', left - 1);
    if (end == NULL || end - footer - 1 >= (ptrdiff_t)sizeof text || end == footer + 1) {
        return true;
    }
    memcpy(text, footer + 1, (size_t)(end - footer - 1));
    text[end - footer - 1] = '\0';
    Rule rule;
    return !parse_rule(text, &rule) || !rule.has_dst || apply_rule(tz, &rule);
}

enum { TRANSITIONS_MAX = 4096 + 2 * (LAST_YEAR - 1900) };

static TimeZone *zone_new(Budget *budget, Str name)
{
    TimeZone *tz = mem_alloc0(budget, sizeof *tz);
    if (tz == NULL) {
        return NULL;
    }
    memcpy(tz->name, name.p, name.len);
    tz->capacity = TRANSITIONS_MAX;
    tz->at = mem_alloc(budget, tz->capacity * sizeof *tz->at);
    tz->type = mem_alloc(budget, tz->capacity);
    return tz;
}

static void zone_free(Budget *budget, TimeZone *tz)
{
    if (tz != NULL) {
        mem_free(budget, tz->at, tz->at == NULL ? 0 : tz->capacity * sizeof *tz->at);
        mem_free(budget, tz->type, tz->type == NULL ? 0 : tz->capacity);
        mem_free(budget, tz, sizeof *tz);
    }
}

/* Gives back what the transitions do not need. */
static void zone_shrink(Budget *budget, TimeZone *tz)
{
    uint32_t n = tz->ntransitions == 0 ? 1 : tz->ntransitions;
    int64_t *at = mem_realloc(budget, tz->at, tz->capacity * sizeof *at, n * sizeof *at);
    if (at == NULL) {
        return;
    }
    tz->at = at;
    uint8_t *type = mem_realloc(budget, tz->type, tz->capacity, n);
    if (type == NULL) { /* keep one capacity for both: shrinking does not fail in practice */
        type = tz->type;
        at = mem_realloc(budget, tz->at, n * sizeof *at, tz->capacity * sizeof *at);
        tz->at = at != NULL ? at : tz->at;
        tz->capacity = at != NULL ? tz->capacity : n;
        return;
    }
    tz->type = type;
    tz->capacity = n;
}

/* ---- the cache ---- */

Status tz_cache_new(Budget *budget, const char *directory, Error *err, TzCache **out)
{
    TzCache *c = mem_alloc0(budget, sizeof *c);
    directory = directory != NULL ? directory : "/usr/share/zoneinfo";
    if (c == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    c->budget = budget;
    c->directory_bytes = strlen(directory) + 1;
    c->directory = mem_alloc(budget, c->directory_bytes);
    if (c->directory == NULL) {
        mem_free(budget, c, sizeof *c);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    memcpy(c->directory, directory, c->directory_bytes);
    mutex_init(&c->lock, RANK_LEAF);
    *out = c;
    return ST_OK;
}

void tz_cache_free(TzCache *c)
{
    if (c == NULL) {
        return;
    }
    while (c->zones != NULL) {
        TimeZone *next = c->zones->next;
        zone_free(c->budget, c->zones);
        c->zones = next;
    }
    if (c->vfs != NULL) {
        vfs_free(c->vfs);
    }
    mutex_done(&c->lock);
    mem_free(c->budget, c->directory, c->directory_bytes);
    mem_free(c->budget, c, sizeof *c);
}

/* Looks for an entry whatever its case; the exact spelling replaces the part of the path. */
typedef struct NameSearch {
    Str wanted;
    char found[NAME_MAX_BYTES + 1];
    bool ok;
} NameSearch;

static Status match_name(void *arg, const char *name)
{
    NameSearch *s = arg;
    if (strlen(name) == s->wanted.len && str_eq_ascii_nocase(s->wanted, str_from(name))) {
        memcpy(s->found, name, s->wanted.len + 1);
        s->ok = true;
        return ST_END;
    }
    return ST_OK;
}

/* Turns the name into the path as spelled on disk. */
static bool spell_path(TzCache *c, Str name, char path[NAME_MAX_BYTES + 1])
{
    size_t done = 0;
    path[0] = '\0';
    while (done < name.len) {
        const char *slash = memchr(name.p + done, '/', name.len - done);
        size_t part = slash != NULL ? (size_t)(slash - name.p) - done : name.len - done;
        NameSearch s = {.wanted = {name.p + done, part}};
        if (part == 0 || (name.p[done] == '.')) {
            return false;
        }
        Status st = vfs_list(c->vfs, path, match_name, &s, NULL);
        if ((st != ST_OK && st != ST_END) || !s.ok) {
            return false;
        }
        size_t at = done == 0 ? 0 : done;
        if (done > 0) {
            path[done - 1] = '/';
        }
        memcpy(path + at, s.found, part);
        path[at + part] = '\0';
        done += part + 1;
    }
    return name.len > 0 && name.p[name.len - 1] != '/';
}

static Status read_zone(TzCache *c, const char *path, TimeZone *tz, Error *err, bool *out_ok)
{
    File *f;
    uint64_t bytes;
    *out_ok = false;
    if (vfs_open(c->vfs, path, FILE_READONLY, NULL, &f) != ST_OK) {
        return ST_OK;
    }
    Status st = ST_OK;
    uint8_t *buf = NULL;
    if (file_size(f, NULL, &bytes) == ST_OK && bytes >= 44 && bytes <= FILE_BYTES_MAX) {
        buf = mem_alloc(c->budget, bytes);
        if (buf == NULL) {
            st = err_set(err, ST_OUT_OF_MEMORY, NULL);
        } else {
            *out_ok = file_read(f, buf, bytes, 0, NULL) == ST_OK && load_tzif(tz, buf, bytes);
            mem_free(c->budget, buf, bytes);
        }
    }
    file_close(f);
    return st;
}

static Status load_zone_locked(TzCache *c, Str name, Error *err, TimeZone **out)
{
    char path[NAME_MAX_BYTES + 1];
    bool ok = false;
    Status st = ST_OK;
    if (c->vfs == NULL) {
        if (vfs_open_dir(c->budget, c->directory, false, NULL, &c->vfs) != ST_OK) {
            c->vfs = NULL;
        }
    }
    bool spelled = c->vfs != NULL && spell_path(c, name, path);
    TimeZone *tz = zone_new(c->budget, spelled ? (Str){path, name.len} : name);
    if (tz == NULL || tz->at == NULL || tz->type == NULL) {
        zone_free(c->budget, tz);
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    if (spelled) {
        st = read_zone(c, path, tz, err, &ok);
    }
    if (!ok && st == ST_OK) {
        Rule rule;
        tz->ntypes = tz->ntransitions = 0;
        tz->abbreviation_bytes = 0;
        ok = parse_rule(tz->name, &rule) && apply_rule(tz, &rule);
    }
    if (!ok) {
        zone_free(c->budget, tz);
        return st;
    }
    zone_shrink(c->budget, tz);
    tz->next = c->zones;
    c->zones = tz;
    *out = tz;
    return ST_OK;
}

static const TimeZone utc_zone = {.name = "UTC", .ntypes = 1, .types = {{0, false, 0}}, .abbreviations = "UTC"};

Status tz_find(TzCache *c, Str name, Error *err, const TimeZone **out)
{
    TimeZone *found = NULL;
    Status st = ST_OK;
    *out = NULL;
    if (name.len == 0 || name.len > NAME_MAX_BYTES || memchr(name.p, 0, name.len) != NULL) {
        return ST_OK;
    }
    if (c == NULL) {
        bool utc = str_eq_ascii_nocase(name, STR_LIT("UTC")) || str_eq_ascii_nocase(name, STR_LIT("GMT"));
        *out = utc ? &utc_zone : NULL;
        return ST_OK;
    }
    mutex_lock(&c->lock);
    for (TimeZone *tz = c->zones; tz != NULL && found == NULL; tz = tz->next) {
        if (str_eq_ascii_nocase(name, str_from(tz->name))) {
            found = tz;
        }
    }
    if (found == NULL) {
        st = load_zone_locked(c, name, err, &found);
    }
    mutex_unlock(&c->lock);
    *out = found;
    return st;
}

/* ---- use ---- */

/* Index of the first transition after t. */
static uint32_t next_transition(const TimeZone *tz, int64_t t)
{
    uint32_t low = 0;
    uint32_t high = tz->ntransitions;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (tz->at[mid] <= t) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Moves a time beyond the table back by whole 400-year cycles; *out_shift is what was taken away. */
static int64_t fold(const TimeZone *tz, int64_t t, int64_t *out_shift)
{
    int64_t shift = 0;
    if (tz->repeats && t > tz->at[tz->ntransitions - 1]) {
        int64_t over = t - tz->at[tz->ntransitions - 1];
        shift = (over / SECS_400_YEARS + 1) * SECS_400_YEARS;
    }
    *out_shift = shift;
    return t - shift;
}

int32_t tz_offset_at(const TimeZone *tz, int64_t unix_s, bool *out_dst, const char **out_abbreviation)
{
    tz = tz != NULL ? tz : &utc_zone;
    int64_t shift;
    uint32_t i = next_transition(tz, fold(tz, unix_s, &shift));
    const TzType *type = &tz->types[i == 0 ? tz->first_type : tz->type[i - 1]];
    *out_dst = type->dst;
    *out_abbreviation = tz->abbreviations + type->abbreviation;
    return type->east_s;
}

int32_t tz_offset_of_local(const TimeZone *tz, int64_t local_s)
{
    tz = tz != NULL ? tz : &utc_zone;
    int64_t shift;
    int64_t t = fold(tz, local_s, &shift);
    uint32_t i = next_transition(tz, t - 86400);
    int32_t before = tz->types[i == 0 ? tz->first_type : tz->type[i - 1]].east_s;
    if (i == tz->ntransitions) {
        return before;
    }
    int32_t after = tz->types[tz->type[i]].east_s;
    int64_t boundary = tz->at[i];
    int64_t if_before = t - before;
    int64_t if_after = t - after;
    if (if_before < boundary && if_after < boundary) {
        return before;
    }
    if (if_before > boundary && if_after >= boundary) {
        return after;
    }
    return if_before > if_after ? before : after;
}

bool tz_is_fixed(const TimeZone *tz, int32_t *out_east_s)
{
    *out_east_s = tz->types[tz->first_type].east_s;
    return tz->ntransitions == 0;
}

static const struct TzAbbreviation {
    const char *name;
    int32_t east_s;
    bool dst;
} tz_abbreviations[] = {
#define TZ_ABBREVIATION(...) {__VA_ARGS__},
#include "types/gen/tz_abbreviations.def"
#undef TZ_ABBREVIATION
};

bool tz_abbreviation(Str name, int32_t *out_east_s, bool *out_dst)
{
    for (size_t i = 0; i < ARRAY_LEN(tz_abbreviations); i++) {
        if (str_eq_ascii_nocase(name, str_from(tz_abbreviations[i].name))) {
            *out_east_s = tz_abbreviations[i].east_s;
            *out_dst = tz_abbreviations[i].dst;
            return true;
        }
    }
    return false;
}
