/*
 * txn/lock_graph.c: the search for deadlocks: is there a cycle of waits through the caller?
 *
 * Who blocks a waiter: who holds the lock in a conflicting mode (hard edge), who waits before it for a conflicting mode
 * (soft edge), who runs the transaction whose end it waits for. A waiter needs all of them gone, so a cycle of edges that
 * exist at one moment is a deadlock. (Through a soft edge another order of the queue might help. PostgreSQL tries that;
 * here the searcher gives way.)
 *
 * The search, one at a time (mgr->graph):
 *  1. Collect: copy the notes of all waiters from the registry: they are the nodes. Who is not among them, or ends its
 *     wait meanwhile, is in no deadlock.
 *  2. Breadth first from the caller, visiting the partition of each node's lock, one mutex at a time.
 *  3. Confirm: walk the cycle's edges once more, in the order of the cycle. Each must be there, between the same waits
 *     (sequence numbers). Then all existed together at the end of step 2; LOCKS.md has the proof.
 *  4. The caller leaves its queue before the next search begins, so one cycle never has two victims.
 *
 * L8  Only whoever holds mgr->graph touches graph_pass and graph_node of owners; it meets an owner only where it is
 *     certain to exist: in the registry under its shard, at a lock under its partition.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/map.h"
#include "txn/lock_int.h"

enum { NO_NODE = -1 };

typedef struct Node {
    const LockOwner *owner; /* compared, never followed: it may be gone */
    uint64_t serial;
    uint64_t seq;
    uint64_t txn;
    int32_t pid;
    LockMode mode;
    LockTag tag;
    int64_t parent; /* the node it was met from */
    int64_t next;   /* in the queue of nodes to expand */
    bool met;
} Node;

typedef struct Graph {
    LockManager *mgr;
    uint64_t pass;
    VEC(Node) nodes;
    U64Map by_txn; /* transaction -> node of the waiter that runs it */
    int64_t self;
    int64_t first; /* the queue of nodes to expand */
    int64_t last;
    int64_t closing;    /* the node met from which self was met again, or NO_NODE */
    VEC(int64_t) cycle; /* self first */
} Graph;

static Node *node_at(const Graph *g, int64_t i)
{
    return &g->nodes.v[i];
}

/* ---- collecting ---- */

static bool add_node(Graph *g, LockOwner *owner)
{
    const LockWaitNote *note = &owner->note;
    Node node = {.owner = owner,
                 .serial = owner->serial,
                 .seq = note->seq,
                 .txn = note->txn,
                 .pid = owner->pid,
                 .mode = note->mode,
                 .tag = note->tag,
                 .parent = NO_NODE,
                 .next = NO_NODE};
    if (!VEC_PUSH(&g->nodes, node)) {
        return false;
    }
    owner->graph_pass = g->pass;
    owner->graph_node = g->nodes.n - 1;
    return note->txn == 0 || u64map_put(&g->by_txn, note->txn, g->nodes.n - 1);
}

/* false = no memory. */
static bool collect(Graph *g, const LockOwner *self)
{
    bool ok = true;
    for (size_t i = 0; i < LOCK_SHARDS && ok; i++) {
        LockShard *s = &g->mgr->shards[i];
        mutex_lock(&s->mutex);
        for (LockOwner *o = s->waiting; o != NULL && ok; o = o->note.next) {
            ok = add_node(g, o);
        }
        mutex_unlock(&s->mutex);
    }
    if (ok) {
        ASSERT(self->graph_pass == g->pass); /* the caller is in the registry */
        g->self = (int64_t)self->graph_node;
    }
    return ok;
}

/* ---- edges ---- */

/* The waiter in the lock's queue, if it is still there in the wait `seq`. */
static const LockOwner *find_waiter(const Lock *lock, const LockOwner *waiter, uint64_t seq)
{
    const LockOwner *o = lock == NULL ? NULL : lock->first;
    while (o != NULL && o != waiter) {
        o = o->wait.next;
    }
    return o != NULL && o->wait.seq == seq ? o : NULL;
}

bool lock_each_blocker(LockManager *mgr, const LockOwner *waiter, uint64_t seq, const LockTag *tag,
                       void (*fn)(void *arg, const LockOwner *waiter, const LockOwner *blocker, bool queued), void *arg)
{
    uint64_t hash = lock_tag_hash(tag);
    LockPartition *p = lock_partition(mgr, hash);
    mutex_lock(&p->mutex);
    const Lock *lock = lock_find_locked(p, tag, hash);
    const LockOwner *w = find_waiter(lock, waiter, seq);
    if (w != NULL) {
        LockMask conflicts = lock_conflicts(w->wait.mode);
        const LockHold *h = (conflicts & lock->granted_mask) == 0 ? NULL : lock->holds;
        for (; h != NULL; h = h->lock_next) {
            if (h->owner != w && (conflicts & lock_mask(h->mode)) != 0) {
                fn(arg, w, h->owner, false);
            }
        }
        for (const LockOwner *o = lock->first; o != w; o = o->wait.next) {
            if ((conflicts & lock_mask(o->wait.mode)) != 0) {
                fn(arg, w, o, true);
            }
        }
    }
    mutex_unlock(&p->mutex);
    return w != NULL;
}

/* Is the owner still in the wait `seq` for its transaction's end? */
static bool waits_for_txn(LockManager *mgr, const Node *n)
{
    LockTxnBucket *b = lock_txn_bucket(mgr, (TxnId){n->tag.field[0]});
    LockPartition *p = lock_txn_partition(mgr, b);
    mutex_lock(&p->mutex);
    const LockOwner *o = b->first;
    while (o != NULL && o != n->owner) {
        o = o->wait.next;
    }
    bool there = o != NULL && o->wait.seq == n->seq;
    mutex_unlock(&p->mutex);
    return there;
}

/* ---- the search ---- */

typedef struct Expansion {
    Graph *g;
    int64_t from;
} Expansion;

static void meet(Graph *g, int64_t from, int64_t i, bool expand)
{
    Node *n = node_at(g, i);
    if (i == g->self) {
        g->closing = g->closing == NO_NODE ? from : g->closing;
        return;
    }
    if (n->met) {
        return;
    }
    n->met = true;
    n->parent = from;
    if (expand) {
        *(g->last == NO_NODE ? &g->first : &node_at(g, g->last)->next) = i;
        g->last = i;
    }
}

/*
 * A waiter before this one, for a mode that this one's covers, waits for nobody that this one does not wait for too,
 * unless for this one itself. So it is met but need not be expanded: a thousand waiters for one row cost a thousand
 * steps, not a million.
 */
static void meet_blocker(void *arg, const LockOwner *waiter, const LockOwner *blocker, bool queued)
{
    Expansion *e = arg;
    if (blocker->graph_pass != e->g->pass) {
        return; /* it does not wait */
    }
    bool same_edges = queued && lock_covers(waiter->wait.mode, blocker->wait.mode) &&
                      (waiter->wait.held & lock_conflicts(blocker->wait.mode)) == 0;
    meet(e->g, e->from, (int64_t)blocker->graph_node, !same_edges);
}

static void expand(Graph *g, int64_t i)
{
    const Node *n = node_at(g, i);
    uint64_t runner;
    if (n->tag.kind != LOCK_KIND_TRANSACTION) {
        Expansion e = {g, i};
        lock_each_blocker(g->mgr, n->owner, n->seq, &n->tag, meet_blocker, &e);
    } else if (u64map_get(&g->by_txn, n->tag.field[0], &runner)) {
        meet(g, i, (int64_t)runner, true);
    }
}

/* Is self in a cycle? The shortest one then ends with g->closing. */
static bool search(Graph *g)
{
    for (int64_t i = g->self; i != NO_NODE && g->closing == NO_NODE;) {
        expand(g, i);
        if (i == g->self) {
            i = g->first;
        } else {
            i = node_at(g, i)->next;
        }
    }
    return g->closing != NO_NODE;
}

/* false = no memory. */
static bool list_cycle(Graph *g)
{
    size_t n = 0;
    for (int64_t i = g->closing; i != NO_NODE; i = node_at(g, i)->parent) {
        n++;
    }
    if (!VEC_RESERVE(&g->cycle, n)) {
        return false;
    }
    g->cycle.n = n;
    for (int64_t i = g->closing; i != NO_NODE; i = node_at(g, i)->parent) {
        g->cycle.v[--n] = i;
    }
    ASSERT(g->cycle.v[0] == g->self);
    return true;
}

/* ---- confirming ---- */

typedef struct Proof {
    const Node *to;
    bool found;
} Proof;

static void prove_edge(void *arg, const LockOwner *waiter, const LockOwner *blocker, bool queued)
{
    Proof *proof = arg;
    const Node *to = proof->to;
    (void)waiter;
    if (blocker == to->owner && blocker->serial == to->serial && (!queued || blocker->wait.seq == to->seq)) {
        proof->found = true;
    }
}

static bool edge_exists(Graph *g, const Node *from, const Node *to)
{
    if (from->tag.kind == LOCK_KIND_TRANSACTION) {
        return to->txn == from->tag.field[0] && waits_for_txn(g->mgr, from);
    }
    Proof proof = {to, false};
    return lock_each_blocker(g->mgr, from->owner, from->seq, &from->tag, prove_edge, &proof) && proof.found;
}

static bool confirm(Graph *g)
{
    for (size_t i = 0; i < g->cycle.n; i++) {
        const Node *from = node_at(g, g->cycle.v[i]);
        const Node *to = node_at(g, g->cycle.v[(i + 1) % g->cycle.n]);
        if (!edge_exists(g, from, to)) {
            return false;
        }
    }
    return true;
}

/* ---- the report ---- */

Status lock_deadlock_error(Ctx *cx, LockManager *mgr, const LockEdge *edges, size_t n)
{
    char text[ERROR_TEXT_BYTES / 2];
    size_t used = 0;
    for (size_t i = 0; i < n && used < sizeof text; i++) {
        char tag[LOCK_TAG_TEXT_BYTES];
        int len = snprintf(text + used, sizeof text - used,
                           "%sProcess %" PRId32 " waits for %s on %s; blocked by process %" PRId32 ".",
                           i == 0 ? "" : "\n", edges[i].pid, lock_mode_name(edges[i].mode),
                           lock_tag_text(&edges[i].tag, tag, sizeof tag), edges[i].blocker_pid);
        used += len < 0 ? sizeof text : (size_t)len;
    }
    lock_count_event(&mgr->deadlocks);
    log_line(mgr->log, LOG_INFO, "deadlock: %s", text);
    Status st = err_set(cx->err, ST_DEADLOCK_DETECTED, NULL);
    err_detail(cx->err, "%s", text);
    err_hint(cx->err, "See server log for query details.");
    return st;
}

/* At most this many edges are described: more do not fit an error's text. */
enum { EDGES_MAX = 32 };

static Status report(Ctx *cx, const Graph *g)
{
    LockEdge edges[EDGES_MAX];
    size_t n = g->cycle.n < EDGES_MAX ? g->cycle.n : EDGES_MAX;
    for (size_t i = 0; i < n; i++) {
        const Node *from = node_at(g, g->cycle.v[i]);
        const Node *to = node_at(g, g->cycle.v[(i + 1) % g->cycle.n]);
        edges[i] = (LockEdge){from->pid, to->pid, from->mode, from->tag};
    }
    return lock_deadlock_error(cx, g->mgr, edges, n);
}

/* Steps 1 to 4. true = self is a victim and has left its queue. */
static bool run(Graph *g, LockOwner *self, bool *out_again)
{
    g->pass = ++g->mgr->graph_pass;
    if (!collect(g, self)) {
        *out_again = true;
        return false;
    }
    SYNC_POINT("lock.graph.collected");
    if (!search(g)) {
        return false;
    }
    SYNC_POINT("lock.graph.before_confirm");
    if (!list_cycle(g) || !confirm(g)) {
        lock_count_event(&g->mgr->retracted);
        *out_again = true;
        return false;
    }
    SYNC_POINT("lock.graph.confirmed");
    return lock_leave(self);
}

STATUS lock_search(Ctx *cx, LockOwner *self, bool *out_again)
{
    LockManager *mgr = self->mgr;
    Graph g = {.mgr = mgr,
               .nodes = {.budget = cx->budget},
               .cycle = {.budget = cx->budget},
               .self = NO_NODE,
               .first = NO_NODE,
               .last = NO_NODE,
               .closing = NO_NODE};
    u64map_init(&g.by_txn, cx->budget);
    lock_count_event(&mgr->searches);
    mutex_lock(&mgr->graph);
    bool victim = run(&g, self, out_again);
    mutex_unlock(&mgr->graph);
    Status st = victim ? report(cx, &g) : ST_OK;
    VEC_DONE(&g.nodes);
    VEC_DONE(&g.cycle);
    u64map_done(&g.by_txn);
    return st;
}
