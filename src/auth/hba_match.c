/*
 * auth/hba_match.c: which rule decides about a connection. The first match wins, so the lines are gone through in order.
 */
#include <string.h>

#include "auth/hba_int.h"

static bool is_keyword(const HbaToken *t, const char *word)
{
    return !t->quoted && str_eq(t->text, str_from(word));
}

static bool member(const HbaPeer *peer, Str role)
{
    return peer->is_member != NULL && peer->is_member(peer->arg, role, peer->user);
}

static bool database_fits(const HbaToken *t, const HbaPeer *peer)
{
    if (peer->replication) { /* physical replication has no database; `all` does not mean it */
        return is_keyword(t, "replication");
    }
    if (is_keyword(t, "all")) {
        return true;
    }
    if (is_keyword(t, "sameuser")) {
        return str_eq(peer->database, peer->user);
    }
    if (is_keyword(t, "samerole") || is_keyword(t, "samegroup")) {
        return member(peer, peer->database);
    }
    return !is_keyword(t, "replication") && str_eq(t->text, peer->database);
}

static bool user_fits(const HbaToken *t, const HbaPeer *peer)
{
    if (is_keyword(t, "all")) {
        return true;
    }
    if (!t->quoted && t->text.len > 0 && t->text.p[0] == '+') {
        return member(peer, (Str){t->text.p + 1, t->text.len - 1});
    }
    return str_eq(t->text, peer->user);
}

static bool addr_in(const NetAddr *a, const NetAddr *net, const NetAddr *mask)
{
    size_t n = a->family == NET_IPV4 ? 4 : 16;
    if (a->family != net->family || mask->family != net->family) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if ((a->bytes[i] ^ net->bytes[i]) & mask->bytes[i]) {
            return false;
        }
    }
    return true;
}

/* Is the peer this machine (exact), or in a net of it? */
static bool near(const HbaPeer *peer, bool exact)
{
    NetAddr all = {.family = peer->addr.family};
    memset(all.bytes, 0xff, sizeof all.bytes);
    for (uint32_t i = 0; i < peer->interface_count; i++) {
        const NetInterface *own = &peer->interfaces[i];
        if (addr_in(&peer->addr, &own->addr, exact ? &all : &own->mask)) {
            return true;
        }
    }
    return false;
}

static bool address_fits(const HbaLine *line, const HbaPeer *peer)
{
    switch (line->address) {
    case HBA_ADDR_NONE:
    case HBA_ADDR_ALL: return true;
    case HBA_ADDR_MASK: return addr_in(&peer->addr, &line->addr, &line->mask);
    case HBA_ADDR_SAMEHOST: return near(peer, true);
    case HBA_ADDR_SAMENET: return near(peer, false);
    }
    UNREACHABLE();
}

static bool type_fits(HbaType type, const HbaPeer *peer)
{
    bool local = peer->addr.family == NET_UNIX;
    switch (type) {
    case HBA_LOCAL: return local;
    case HBA_HOST:
    case HBA_HOSTNOGSSENC: return !local;
    case HBA_HOSTSSL: return !local && peer->tls;
    case HBA_HOSTNOSSL: return !local && !peer->tls;
    }
    UNREACHABLE();
}

static bool any_fits(const HbaToken *t, uint32_t n, const HbaPeer *peer,
                     bool (*fits)(const HbaToken *t, const HbaPeer *peer))
{
    for (uint32_t i = 0; i < n; i++) {
        if (fits(&t[i], peer)) {
            return true;
        }
    }
    return false;
}

const HbaLine *hba_match(const HbaRules *rules, const HbaPeer *peer)
{
    for (size_t i = 0; i < rules->lines.n; i++) {
        const HbaLine *line = &rules->lines.v[i];
        ASSERT(line->error == NULL); /* hba_check */
        if (type_fits(line->type, peer) && address_fits(line, peer) &&
            any_fits(line->databases, line->database_count, peer, database_fits) &&
            any_fits(line->users, line->user_count, peer, user_fits)) {
            return line;
        }
    }
    return NULL;
}

Status hba_refuse(const HbaLine *line, const HbaPeer *peer, Error *err)
{
    char host[SOCKET_ADDR_TEXT_BYTES];
    const char *encryption = peer->tls ? "SSL encryption" : "no encryption";
    net_addr_text(&peer->addr, host);
    if (peer->replication) {
        return err_set(err, ST_INVALID_AUTHORIZATION_SPECIFICATION,
                       line != NULL
                           ? "pg_hba.conf rejects replication connection for host \"%s\", user \"%.*s\", %s"
                           : "no pg_hba.conf entry for replication connection from host \"%s\", user \"%.*s\", %s",
                       host, (int)peer->user.len, peer->user.p, encryption);
    }
    return err_set(err, ST_INVALID_AUTHORIZATION_SPECIFICATION,
                   line != NULL ? "pg_hba.conf rejects connection for host \"%s\", user \"%.*s\", database \"%.*s\", %s"
                                : "no pg_hba.conf entry for host \"%s\", user \"%.*s\", database \"%.*s\", %s",
                   host, (int)peer->user.len, peer->user.p, (int)peer->database.len, peer->database.p, encryption);
}

HbaMethod hba_default(const HbaPeer *peer, bool peer_is_own_user, bool administrator_has_password)
{
    bool local = peer->addr.family == NET_UNIX;
    if (administrator_has_password) {
        return local && peer_is_own_user ? HBA_TRUST : HBA_SCRAM;
    }
    return local || net_addr_is_loopback(&peer->addr) ? HBA_TRUST : HBA_SCRAM;
}
