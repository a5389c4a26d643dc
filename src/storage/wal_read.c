/*
 * storage/wal_read.c: reading the log back: finding its end, and its records in order.
 *
 * The end of the log is the first block that is not the valid successor of the one before: wrong magic, checksum or chain.
 * Behind valid checksums the content is ours, so what does not parse there is corruption, not the end.
 *
 * Only a block's successor tells how much of it counts: after a crash the log goes on where the last whole record ended,
 * which may lie before the end of the last block. So a block's records are delivered when the next block, or the end, is
 * seen. The position to start from may even lie in such a dead tail; the block that holds it is then the later one.
 */
#include <stdlib.h>

#include "storage/storage_int.h"
#include "storage/wal_format.h"

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <xxhash.h>
#pragma GCC diagnostic pop

enum { WINDOW_BYTES = 1024 * 1024, RECORD_HEADER_BYTES = 24 };

uint64_t wal_hash(const void *p, size_t len)
{
    return XXH3_64bits(p, len);
}

bool wal_segment_number(const char *name, uint64_t *out_number)
{
    uint64_t n = 0;
    if (strlen(name) != 20 || strcmp(name + 16, ".wal") != 0) {
        return false;
    }
    for (int i = 0; i < 16; i++) {
        char c = name[i];
        if (c >= '0' && c <= '9') {
            n = n << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            n = n << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *out_number = n;
    return true;
}

/* ---- segments ---- */

typedef VEC(uint64_t) NumberVec;
typedef struct Listing {
    NumberVec numbers;
} Listing;

static Status list_one(void *arg, const char *name)
{
    Listing *l = arg;
    uint64_t n;
    if (wal_segment_number(name, &n) && !VEC_PUSH(&l->numbers, n)) {
        return ST_OUT_OF_MEMORY;
    }
    return ST_OK;
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* All segment files, ascending. */
static Status list_segments(Ctx *cx, Store *s, Listing *l)
{
    Status st = vfs_list(s->vfs, "wal", list_one, l, cx->err);
    if (st == ST_OUT_OF_MEMORY) {
        return ctx_nomem(cx, l->numbers.n * sizeof(uint64_t));
    }
    if (st == ST_OK && l->numbers.n > 1) {
        qsort(l->numbers.v, l->numbers.n, sizeof(uint64_t), cmp_u64);
    }
    return st;
}

/* ---- the reader ---- */

typedef struct Reader {
    Store *s;
    File *file;
    uint64_t size;
    uint64_t window_at; /* file offset of window[0] */
    uint64_t window_len;
    uint8_t *window; /* aligned */
    uint64_t pos;    /* file offset of the next block */
    uint64_t chain;
    uint64_t segment;
    Lsn from;     /* first record wanted */
    Lsn parsed;   /* records below were delivered; not below from */
    uint64_t end; /* LSN behind the last block read */
    bool entered; /* the last block reached beyond `from` */
    StrBuf acc;   /* stream bytes from `parsed` on */
} Reader;

/* Makes [at, at+len) of the file addressable; NULL when it lies beyond the end of the file. */
static Status window_get(Ctx *cx, Reader *r, uint64_t at, uint64_t len, const uint8_t **out)
{
    *out = NULL;
    if (at + len > r->size) {
        return ST_OK;
    }
    if (at < r->window_at || at + len > r->window_at + r->window_len) {
        uint64_t n = r->size - at < WINDOW_BYTES ? r->size - at : WINDOW_BYTES;
        Status st = file_read(r->file, r->window, n, at, cx->err);
        if (st != ST_OK) {
            return st;
        }
        r->window_at = at;
        r->window_len = n;
    }
    *out = r->window + (at - r->window_at);
    return ST_OK;
}

static bool segment_header_valid(const Store *s, const WalSegmentHeader *h, uint64_t number)
{
    return h->magic == WAL_SEGMENT_MAGIC && h->format == WAL_FORMAT && h->number == number &&
           h->segment_bytes == s->config.wal_segment_bytes && memcmp(h->uuid, s->control.uuid, 16) == 0 &&
           h->checksum == wal_hash(h, offsetof(WalSegmentHeader, checksum));
}

/* Opens a segment; *out_header is filled and *out_ok set when it is a started segment of this log. */
static Status segment_open(Ctx *cx, Reader *r, uint64_t number, WalSegmentHeader *out_header, bool *out_ok)
{
    char path[WAL_PATH_BYTES];
    *out_ok = false;
    file_close(r->file);
    r->file = NULL;
    wal_segment_path(number, path);
    Status st = vfs_open(r->s->vfs, path, r->s->config.direct_io ? FILE_DIRECT : 0, cx->err, &r->file);
    if (st == ST_FILE_NOT_FOUND) {
        err_clear(cx->err);
        return ST_OK;
    }
    if (st == ST_OK) {
        st = file_size(r->file, cx->err, &r->size);
    }
    if (st != ST_OK || r->size != r->s->config.wal_segment_bytes) {
        return st;
    }
    r->window_len = 0;
    const uint8_t *p;
    st = window_get(cx, r, 0, WAL_SEGMENT_HEADER_BYTES, &p);
    if (st == ST_OK && p != NULL) {
        memcpy(out_header, p, sizeof *out_header);
        *out_ok = segment_header_valid(r->s, out_header, number);
        r->pos = WAL_SEGMENT_HEADER_BYTES;
    }
    return st;
}

/* The next block of the current segment; *out_block NULL when there is no valid successor here. */
static Status block_next(Ctx *cx, Reader *r, const uint8_t **out_block)
{
    const uint8_t *p;
    *out_block = NULL;
    Status st = window_get(cx, r, r->pos, WAL_BLOCK_ALIGN, &p);
    if (st != ST_OK || p == NULL) {
        return st;
    }
    WalBlockHeader h;
    memcpy(&h, p, sizeof h);
    if (h.magic != WAL_BLOCK_MAGIC || h.chain != r->chain || h.payload_bytes == 0 ||
        h.payload_bytes > WAL_BLOCK_MAX - WAL_BLOCK_HEADER_BYTES) {
        return ST_OK;
    }
    uint64_t total = wal_block_bytes(h.payload_bytes);
    st = window_get(cx, r, r->pos, total, &p);
    if (st != ST_OK || p == NULL) {
        return st;
    }
    uint8_t *block = r->window + (p - r->window);
    uint64_t sum = h.checksum;
    store_u64(block + offsetof(WalBlockHeader, checksum), 0);
    bool ok = wal_hash(block, WAL_BLOCK_HEADER_BYTES + h.payload_bytes) == sum;
    store_u64(block + offsetof(WalBlockHeader, checksum), sum);
    if (ok) {
        r->chain = sum;
        r->pos += total;
        *out_block = block;
    }
    return ST_OK;
}

/* ---- records ---- */

static uint32_t padded(uint32_t n)
{
    return (n + 7u) & ~7u;
}

static Status bad_record(Ctx *cx, Lsn at)
{
    return err_set(cx->err, ST_CORRUPTED, "the log record at %llu is corrupted", (unsigned long long)at.v);
}

/* Takes a record apart; every length is checked. */
static Status record_parse(Ctx *cx, const uint8_t *p, uint32_t total, Lsn lsn, WalRecord *rec)
{
    rec->lsn = lsn;
    rec->end.v = lsn.v + total;
    rec->type = p[4];
    rec->flags = p[5];
    rec->n_pages = p[6];
    rec->txn.v = load_u64(p + 8);
    rec->body_len = load_u32(p + 16);
    uint64_t at = RECORD_HEADER_BYTES + 16 * (uint64_t)rec->n_pages;
    if (rec->n_pages > WAL_PAGES_MAX || rec->type >= WAL_TYPES || at > total) {
        return bad_record(cx, lsn);
    }
    for (unsigned i = 0; i < rec->n_pages; i++) {
        const uint8_t *ref = p + RECORD_HEADER_BYTES + 16 * i;
        uint64_t word = load_u64(ref);
        WalPage *wp = &rec->pages[i];
        wp->id.v = word & ((UINT64_C(1) << 40) - 1);
        wp->redo = (uint8_t)(word >> 40);
        wp->flags = (uint8_t)(word >> 48);
        wp->len = load_u32(ref + 8);
        wp->data = p + at;
        if (wp->len > total || at + padded(wp->len) > total || wp->redo >= REDO_KINDS) {
            return bad_record(cx, lsn);
        }
        at += padded(wp->len);
    }
    rec->body = p + at;
    return rec->body_len > total || at + padded(rec->body_len) != total ? bad_record(cx, lsn) : ST_OK;
}

/* Delivers the complete records of the accumulated stream. */
static Status deliver(Ctx *cx, Reader *r, WalScanFn fn, void *arg)
{
    size_t at = 0;
    Status st = ST_OK;
    WalRecord rec;
    while (st == ST_OK && r->acc.len - at >= RECORD_HEADER_BYTES) {
        const uint8_t *p = (const uint8_t *)r->acc.p + at;
        uint32_t total = load_u32(p);
        if (total < RECORD_HEADER_BYTES || (total & 7) != 0 || total > r->s->wal.ring_bytes_max) {
            return bad_record(cx, r->parsed);
        }
        if (r->acc.len - at < total) {
            break;
        }
        st = record_parse(cx, p, total, r->parsed, &rec);
        if (st == ST_OK) {
            st = fn(arg, cx, &rec);
        }
        if (st == ST_OK) {
            r->parsed.v += total;
            at += total;
        }
    }
    memmove(r->acc.p, r->acc.p + at, r->acc.len - at);
    r->acc.len -= at;
    return st;
}

/* A block goes on at `start`: what lies beyond is a dead tail, what lies before is delivered. */
static Status stream_cut(Ctx *cx, Reader *r, uint64_t start, WalScanFn fn, void *arg)
{
    if (r->parsed.v == r->from.v && start <= r->from.v) {
        /* All that was kept is dead: the wanted position is in this block or a later one. */
        r->acc.len = 0;
        r->entered = false;
        return ST_OK;
    }
    if (start < r->parsed.v) {
        return bad_record(cx, r->parsed);
    }
    r->acc.len = (size_t)(start - r->parsed.v);
    return deliver(cx, r, fn, arg);
}

/* Adds a block's payload to the stream. */
static Status stream_add(Ctx *cx, Reader *r, const uint8_t *block, WalScanFn fn, void *arg)
{
    WalBlockHeader h;
    memcpy(&h, block, sizeof h);
    if (h.start_lsn > r->end) {
        return bad_record(cx, (Lsn){r->end});
    }
    Status st = r->entered ? stream_cut(cx, r, h.start_lsn, fn, arg) : ST_OK;
    r->end = h.start_lsn + h.payload_bytes;
    if (st != ST_OK || r->end <= r->from.v) {
        return st;
    }
    /* Not entered yet: the block before ended at or before `from`, so this one starts there at the latest. */
    uint64_t skip = r->entered ? 0 : r->from.v - h.start_lsn;
    r->entered = true;
    strbuf_append(&r->acc, block + WAL_BLOCK_HEADER_BYTES + skip, h.payload_bytes - skip);
    return r->acc.failed ? ctx_nomem(cx, r->acc.len) : ST_OK;
}

/* Finds the segment in which `from` lies: the last started one whose first LSN is not above it. */
static Status find_segment(Ctx *cx, Reader *r, const NumberVec *numbers, WalSegmentHeader *out_header, bool *out_found)
{
    *out_found = false;
    for (size_t i = numbers->n; i-- > 0;) {
        bool ok;
        Status st = segment_open(cx, r, numbers->v[i], out_header, &ok);
        if (st != ST_OK) {
            return st;
        }
        if (ok && out_header->first_lsn <= r->from.v) {
            r->segment = numbers->v[i];
            *out_found = true;
            return ST_OK;
        }
    }
    return ST_OK;
}

static Status note_live(Ctx *cx, Store *s, uint64_t number, uint64_t first_lsn)
{
    return VEC_PUSH(&s->wal.live, ((WalLive){number, {first_lsn}})) ? ST_OK : ctx_nomem(cx, sizeof(WalLive));
}

/* Is the next segment the continuation of this one? */
static Status segment_advance(Ctx *cx, Reader *r, bool note, bool *out_more)
{
    WalSegmentHeader h;
    uint64_t pos = r->pos;
    bool ok;
    *out_more = false;
    Status st = segment_open(cx, r, r->segment + 1, &h, &ok);
    if (st != ST_OK) {
        return st;
    }
    if (ok && h.first_lsn > r->end) {
        /* It was started when all before it was durable (next_segment). Ending here would drop what was acknowledged. */
        return err_set(cx->err, ST_CORRUPTED,
                       "the log is damaged at %llu: segment %llu is not complete, but the next one goes on",
                       (unsigned long long)r->end, (unsigned long long)r->segment);
    }
    if (ok && h.prev_chain == r->chain) {
        r->segment++;
        *out_more = true;
        return note ? note_live(cx, r->s, r->segment, h.first_lsn) : ST_OK;
    }
    r->pos = pos;
    return ST_OK;
}

static Status scan_blocks(Ctx *cx, Reader *r, bool note, WalScanFn fn, void *arg)
{
    bool more = true;
    while (more) {
        const uint8_t *block;
        Status st = block_next(cx, r, &block);
        if (st != ST_OK) {
            return st;
        }
        st = block == NULL ? segment_advance(cx, r, note, &more) : stream_add(cx, r, block, fn, arg);
        if (st != ST_OK) {
            return st;
        }
    }
    return r->entered ? deliver(cx, r, fn, arg) : ST_OK;
}

/* The scan ended behind the last block: there the log goes on. */
static void set_append_place(Store *s, const Reader *r)
{
    Wal *w = &s->wal;
    atomic_store_explicit(&w->segment, r->segment, memory_order_release);
    w->chain = r->chain;
    w->file_pos = r->pos;
}

Status wal_scan(Ctx *cx, Store *s, Lsn from, WalScanFn fn, void *arg, bool find_end, Lsn *out_end)
{
    Listing l = {.numbers = {.budget = s->budget}};
    Reader r = {.s = s, .from = from, .parsed = from};
    WalSegmentHeader h;
    bool found = false;
    strbuf_init(&r.acc, s->budget);
    r.window = vmem_alloc(s->budget, WINDOW_BYTES);
    Status st = r.window != NULL ? list_segments(cx, s, &l) : ctx_nomem(cx, WINDOW_BYTES);
    if (st == ST_OK) {
        st = find_segment(cx, &r, &l.numbers, &h, &found);
    }
    if (st == ST_OK && !found) {
        st = err_set(cx->err, ST_CORRUPTED, "the log position %llu is in no segment of wal/",
                     (unsigned long long)from.v);
    }
    if (st == ST_OK && find_end) {
        st = note_live(cx, s, r.segment, h.first_lsn);
    }
    if (st == ST_OK) {
        r.chain = h.prev_chain;
        r.end = h.first_lsn;
        st = scan_blocks(cx, &r, find_end, fn, arg);
    }
    if (st == ST_OK) {
        *out_end = r.entered || r.end > from.v ? r.parsed : (Lsn){r.end};
        if (find_end) {
            set_append_place(s, &r);
        }
    }
    file_close(r.file);
    strbuf_done(&r.acc);
    VEC_DONE(&l.numbers);
    if (r.window != NULL) {
        vmem_free(s->budget, r.window, WINDOW_BYTES);
    }
    return st;
}

/* ---- going on at the end ---- */

/*
 * Is the file a whole prepared segment? Its size is not enough: a crash may have kept that and lost the allocation, so it is
 * allocated again, which is cheap where nothing is missing. A disk too full for that makes it a segment no more.
 */
static Status keep_prepared(Ctx *cx, Store *s, const char *path, bool *out_keep)
{
    uint64_t size = 0;
    File *f;
    *out_keep = false;
    Status st = vfs_open(s->vfs, path, 0, cx->err, &f);
    if (st != ST_OK) {
        return st;
    }
    st = file_size(f, cx->err, &size);
    if (st == ST_OK && size == s->config.wal_segment_bytes) {
        st = file_allocate(f, 0, size, cx->err);
        if (st == ST_OK) {
            st = file_sync(f, cx->err);
            *out_keep = st == ST_OK;
        } else if (st == ST_DISK_FULL) {
            err_clear(cx->err);
            st = ST_OK;
        }
    }
    file_close(f);
    return st;
}

/* Counts the segments prepared behind the current one; what does not fit the sequence is removed. */
static Status sort_out_segments(Ctx *cx, Store *s, const NumberVec *numbers)
{
    Wal *w = &s->wal;
    uint64_t current = atomic_load_explicit(&w->segment, memory_order_relaxed);
    w->newest_segment = current;
    for (size_t i = 0; i < numbers->n; i++) {
        uint64_t n = numbers->v[i];
        char path[WAL_PATH_BYTES];
        bool keep = n >= w->live.v[0].number && n <= current;
        Status st = ST_OK;
        wal_segment_path(n, path);
        if (n == w->newest_segment + 1) {
            st = keep_prepared(cx, s, path, &keep);
            w->newest_segment += keep;
        }
        if (st == ST_OK && !keep) {
            st = vfs_unlink(s->vfs, path, cx->err);
        }
        if (st != ST_OK) {
            return st;
        }
    }
    return vfs_sync_dir(s->vfs, "wal", cx->err);
}

Status wal_start_append(Ctx *cx, Store *s)
{
    Wal *w = &s->wal;
    Listing l = {.numbers = {.budget = s->budget}};
    char path[WAL_PATH_BYTES];
    Status st = list_segments(cx, s, &l);
    if (st == ST_OK) {
        st = sort_out_segments(cx, s, &l.numbers);
    }
    VEC_DONE(&l.numbers);
    uint64_t current = atomic_load_explicit(&w->segment, memory_order_relaxed);
    if (st == ST_OK) {
        wal_segment_path(current, path);
        st = vfs_open(s->vfs, path, s->config.direct_io ? FILE_DIRECT : 0, cx->err, &w->file);
    }
    if (st != ST_OK) {
        return st;
    }
    uint64_t prepared = w->newest_segment - current;
    atomic_store_explicit(&w->disk_bytes,
                          s->config.wal_segment_bytes - w->file_pos +
                              prepared * (s->config.wal_segment_bytes - WAL_SEGMENT_HEADER_BYTES),
                          memory_order_release);
    return ST_OK;
}

Status wal_remove_all(Ctx *cx, Store *s)
{
    Listing l = {.numbers = {.budget = s->budget}};
    Status st = vfs_mkdir(s->vfs, "wal", cx->err);
    if (st == ST_OK) {
        st = list_segments(cx, s, &l);
    }
    for (size_t i = 0; st == ST_OK && i < l.numbers.n; i++) {
        char path[WAL_PATH_BYTES];
        wal_segment_path(l.numbers.v[i], path);
        st = vfs_unlink(s->vfs, path, cx->err);
    }
    VEC_DONE(&l.numbers);
    return st;
}
