/*
 * auth/hba.h: host rules: who may connect from where to what, and how he proves who he is. The file has the format of
 * PostgreSQL's pg_hba.conf (chapter "The pg_hba.conf File").
 *
 * Key idea: the first line that fits type, address, database and user decides; no line is a refusal. A file is parsed
 * whole into an immutable HbaRules; lines with errors are kept with their error, for a view of the file, but rules with
 * any error are not to be put in force (hba_check). Without a file hba_default decides.
 *
 * Supported: local, host, hostssl, hostnossl, hostnogssenc; all, sameuser, samerole, replication, names; +role; all,
 * samehost, samenet, CIDR addresses, addresses with a mask; trust, reject, scram-sha-256. Everything else of
 * PostgreSQL's (host names, @file, other methods, options) is an error that names the line and what is supported.
 *
 * Rules are read by any number of threads at once.
 */
#ifndef RDB_AUTH_HBA_H
#define RDB_AUTH_HBA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "os/socket.h"

typedef enum HbaType { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL, HBA_HOSTNOGSSENC } HbaType;
typedef enum HbaMethod { HBA_TRUST, HBA_REJECT, HBA_SCRAM } HbaMethod;
typedef enum HbaAddress { HBA_ADDR_NONE, HBA_ADDR_ALL, HBA_ADDR_MASK, HBA_ADDR_SAMEHOST, HBA_ADDR_SAMENET } HbaAddress;

/* A word of the file. Quoted, it is a plain name: keywords and "+" mean nothing in it. */
typedef struct HbaToken {
    Str text;
    bool quoted;
} HbaToken;

typedef struct HbaLine {
    uint32_t line;     /* 1-based, the first of a continued one */
    const char *error; /* NULL = good; otherwise only `line` holds */
    HbaType type;
    HbaMethod method;
    HbaAddress address;
    NetAddr addr; /* HBA_ADDR_MASK */
    NetAddr mask;
    const HbaToken *databases;
    uint32_t database_count;
    const HbaToken *users;
    uint32_t user_count;
} HbaLine;

typedef struct HbaRules HbaRules;

/*
 * Parses the text of a file; `name` is its name for messages. Only memory can fail: errors of lines are in the rules.
 */
STATUS hba_parse(Str text, const char *name, Budget *budget, Error *err, HbaRules **out_rules);
void hba_free(HbaRules *rules);
/* F0000 with the first line's error, "line 3 of configuration file ...", if any line has one or there is no line. */
STATUS hba_check(const HbaRules *rules, Error *err);
uint32_t hba_line_count(const HbaRules *rules);
const HbaLine *hba_line(const HbaRules *rules, uint32_t i); /* in the order of the file */
const char *hba_type_name(HbaType type);
const char *hba_method_name(HbaMethod method);

/* Who asks. */
typedef struct HbaPeer {
    NetAddr addr; /* NET_UNIX: a Unix socket */
    bool tls;
    bool replication; /* physical replication: matches the database word `replication` only */
    Str database;
    Str user;
    /* Is `user` a member of `role`, directly or not? For +role and samerole. */
    bool (*is_member)(void *arg, Str role, Str user);
    void *arg;
    const NetInterface *interfaces; /* of this machine, for samehost and samenet */
    uint32_t interface_count;
} HbaPeer;

/* The line that decides, or NULL. */
const HbaLine *hba_match(const HbaRules *rules, const HbaPeer *peer);
/* 28000 for a refusal, in PostgreSQL's words; `line` NULL when none matched. */
Status hba_refuse(const HbaLine *line, const HbaPeer *peer, Error *err);

/*
 * Without a file: trust over the Unix socket and loopback until the administrator has a password; then, and from
 * elsewhere, SCRAM, but the server's own operating-system user comes in over the Unix socket.
 */
HbaMethod hba_default(const HbaPeer *peer, bool peer_is_own_user, bool administrator_has_password);

#endif
