/*
 * auth/hba_parse.c: fields of a line into a rule.
 */
#include <stdio.h>
#include <string.h>

#include "auth/hba_int.h"

static const char *const TYPES[] = {
    [HBA_LOCAL] = "local",
    [HBA_HOST] = "host",
    [HBA_HOSTSSL] = "hostssl",
    [HBA_HOSTNOSSL] = "hostnossl",
    [HBA_HOSTNOGSSENC] = "hostnogssenc",
};
static const char *const METHODS[] = {
    [HBA_TRUST] = "trust",
    [HBA_REJECT] = "reject",
    [HBA_SCRAM] = "scram-sha-256",
};

const char *hba_type_name(HbaType type)
{
    return TYPES[type];
}

const char *hba_method_name(HbaMethod method)
{
    return METHODS[method];
}

static int find_name(Str name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(name, str_from(names[i]))) {
            return (int)i;
        }
    }
    return -1;
}

typedef struct LineParser {
    Arena *arena;
    const HbaFields *fields;
    uint32_t next; /* field */
    HbaLine *line;
} LineParser;

/* The line is bad; returns false. A message that gets no memory is replaced by a fixed one. */
static bool bad(LineParser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool bad(LineParser *p, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *kept = arena_strdup(p->arena, text);
    p->line->error = kept != NULL ? kept : "invalid line";
    return false;
}

/* The next field, which must have `what`; NULL with an error otherwise. */
static const HbaField *next_field(LineParser *p, const char *missing)
{
    if (p->next == p->fields->count) {
        bad(p, "end-of-line before %s", missing);
        return NULL;
    }
    return &p->fields->field[p->next++];
}

/* A field of one word. */
static const HbaToken *next_word(LineParser *p, const char *missing, const char *what)
{
    const HbaField *f = next_field(p, missing);
    if (f != NULL && f->count != 1) {
        bad(p, f->count == 0 ? "empty %s" : "multiple values specified for %s", what);
        return NULL;
    }
    return f != NULL ? &f->tokens[0] : NULL;
}

static bool parse_type(LineParser *p)
{
    const HbaToken *t = next_word(p, "connection type", "connection type");
    if (t == NULL) {
        return false;
    }
    int type = find_name(t->text, TYPES, ARRAY_LEN(TYPES));
    if (type >= 0) {
        p->line->type = (HbaType)type;
        return true;
    }
    if (str_eq(t->text, STR_LIT("hostgssenc"))) {
        return bad(p,
                   "hostgssenc record cannot match because GSSAPI is not supported (supported: local, host, hostssl, "
                   "hostnossl, hostnogssenc)");
    }
    return bad(p, "invalid connection type \"%s\"", t->text.p);
}

static bool parse_names(LineParser *p, const char *missing, const HbaToken **out, uint32_t *out_count)
{
    const HbaField *f = next_field(p, missing);
    if (f == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const HbaToken *t = &f->tokens[i];
        if (!t->quoted && t->text.p[0] == '@') {
            return bad(p, "including names from a file (\"%s\") is not supported", t->text.p);
        }
    }
    *out = f->tokens;
    *out_count = f->count;
    return f->count > 0 || bad(p, "empty list of %s", missing);
}

/* The first `bits` bits set. */
static NetAddr mask_of_bits(NetFamily family, unsigned bits)
{
    NetAddr m = {.family = family};
    for (unsigned i = 0; i < bits; i++) {
        m.bytes[i / 8] = (uint8_t)(m.bytes[i / 8] | 0x80u >> i % 8);
    }
    return m;
}

/* Decimal, without sign; false when it is none or more than max. */
static bool parse_bits(const char *text, unsigned max, unsigned *out_bits)
{
    unsigned v = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(text[i] - '0');
    }
    *out_bits = v;
    return n > 0 && n <= 3 && v <= max;
}

static bool parse_separate_mask(LineParser *p)
{
    const HbaToken *t = p->next < p->fields->count ? next_word(p, "netmask", "IP mask") : NULL;
    if (t == NULL) {
        return p->line->error != NULL ? false
                                      : bad(p, "end-of-line before netmask specification (specify an address range in "
                                               "CIDR notation, or provide a separate netmask)");
    }
    if (!net_addr_parse(t->text.p, &p->line->mask)) {
        return bad(p, "invalid IP mask \"%s\"", t->text.p);
    }
    return p->line->mask.family == p->line->addr.family || bad(p, "IP address and mask do not match");
}

static bool parse_ip(LineParser *p, const HbaToken *t)
{
    char text[SOCKET_ADDR_TEXT_BYTES];
    unsigned bits = 0;
    const char *slash = strchr(t->text.p, '/');
    size_t n = slash != NULL ? (size_t)(slash - t->text.p) : t->text.len;
    snprintf(text, sizeof text, "%.*s", (int)n, t->text.p);
    p->line->address = HBA_ADDR_MASK;
    if (n >= sizeof text || !net_addr_parse(text, &p->line->addr)) {
        return bad(p,
                   "\"%s\" is not an IP address (host names are not supported; supported: an address with CIDR mask "
                   "length or separate mask, all, samehost, samenet)",
                   t->text.p);
    }
    if (slash == NULL) {
        return parse_separate_mask(p);
    }
    if (!parse_bits(slash + 1, p->line->addr.family == NET_IPV4 ? 32 : 128, &bits)) {
        return bad(p, "invalid CIDR mask in address \"%s\"", t->text.p);
    }
    p->line->mask = mask_of_bits(p->line->addr.family, bits);
    return true;
}

static bool parse_address(LineParser *p)
{
    if (p->line->type == HBA_LOCAL) {
        return true;
    }
    const HbaToken *t = next_word(p, "IP address specification", "host address");
    if (t == NULL) {
        return false;
    }
    if (!t->quoted && str_eq(t->text, STR_LIT("all"))) {
        p->line->address = HBA_ADDR_ALL;
    } else if (!t->quoted && str_eq(t->text, STR_LIT("samehost"))) {
        p->line->address = HBA_ADDR_SAMEHOST;
    } else if (!t->quoted && str_eq(t->text, STR_LIT("samenet"))) {
        p->line->address = HBA_ADDR_SAMENET;
    } else {
        return parse_ip(p, t);
    }
    return true;
}

static bool parse_method(LineParser *p)
{
    const HbaToken *t = next_word(p, "authentication method", "authentication type");
    if (t == NULL) {
        return false;
    }
    int method = find_name(t->text, METHODS, ARRAY_LEN(METHODS));
    if (method < 0) {
        return bad(p, "authentication method \"%s\" is not supported (supported: trust, reject, scram-sha-256)",
                   t->text.p);
    }
    p->line->method = (HbaMethod)method;
    if (p->next < p->fields->count) {
        const HbaField *f = &p->fields->field[p->next];
        return bad(p, "authentication option \"%s\" is not supported", f->count > 0 ? f->tokens[0].text.p : "");
    }
    return true;
}

static void parse_line(Arena *arena, const HbaFields *fields, HbaLine *line)
{
    *line = (HbaLine){.line = fields->line, .error = fields->error};
    LineParser p = {arena, fields, 0, line};
    if (line->error != NULL) {
        return;
    }
    bool good = parse_type(&p) && parse_names(&p, "database specification", &line->databases, &line->database_count) &&
                parse_names(&p, "role specification", &line->users, &line->user_count) && parse_address(&p) &&
                parse_method(&p);
    ASSERT(good == (line->error == NULL));
}

static Status parse_lines(HbaRules *rules, Str text)
{
    HbaScanner scanner = {&rules->arena, text, 0, 1};
    HbaFields fields;
    for (;;) {
        HbaLine line;
        Status st = hba_scan_line(&scanner, &fields);
        if (st != ST_OK) {
            return st == ST_END ? ST_OK : st;
        }
        parse_line(&rules->arena, &fields, &line);
        if (!VEC_PUSH(&rules->lines, line)) {
            return ST_OUT_OF_MEMORY;
        }
    }
}

Status hba_parse(Str text, const char *name, Budget *budget, Error *err, HbaRules **out_rules)
{
    HbaRules *rules = mem_alloc0(budget, sizeof *rules);
    if (rules == NULL) {
        return err_set(err, ST_OUT_OF_MEMORY, NULL);
    }
    arena_init(&rules->arena, budget, 4096);
    rules->budget = budget;
    rules->lines.budget = budget;
    rules->name = arena_strdup(&rules->arena, name);
    Status st = rules->name == NULL ? ST_OUT_OF_MEMORY : parse_lines(rules, text);
    if (st != ST_OK) {
        hba_free(rules);
        return err_set(err, st, NULL);
    }
    *out_rules = rules;
    return ST_OK;
}

void hba_free(HbaRules *rules)
{
    if (rules != NULL) {
        VEC_DONE(&rules->lines);
        arena_done(&rules->arena);
        mem_free(rules->budget, rules, sizeof *rules);
    }
}

Status hba_check(const HbaRules *rules, Error *err)
{
    for (size_t i = 0; i < rules->lines.n; i++) {
        const HbaLine *line = &rules->lines.v[i];
        if (line->error != NULL) {
            err_set(err, ST_CONFIG_FILE_ERROR, "%s", line->error);
            err_context(err, "line %u of configuration file \"%s\"", line->line, rules->name);
            return ST_CONFIG_FILE_ERROR;
        }
    }
    return rules->lines.n > 0
               ? ST_OK
               : err_set(err, ST_CONFIG_FILE_ERROR, "configuration file \"%s\" contains no entries", rules->name);
}

uint32_t hba_line_count(const HbaRules *rules)
{
    return (uint32_t)rules->lines.n;
}

const HbaLine *hba_line(const HbaRules *rules, uint32_t i)
{
    ASSERT(i < rules->lines.n);
    return &rules->lines.v[i];
}
