/*
 * access/btree_redo.c: what each log record does to its pages, the first time and at recovery. See btree_redo.h.
 */
#include "access/btree_redo.h"

/* ---- encoding ---- */

uint32_t data_init(uint8_t out[INIT_DATA_MAX], ObjId object, uint32_t ordinal, const uint8_t *node_page)
{
    store_u64(out, object.v);
    store_u32(out + 8, ordinal);
    store_u32(out + 12, 0);
    return INIT_DATA_BYTES + node_pack(node_page, out + INIT_DATA_BYTES);
}

uint32_t data_leaf(uint8_t out[LEAF_DATA_MAX], uint32_t slot, NodeKey key, BTreeBytes payload)
{
    store_u16(out, (uint16_t)slot);
    store_u16(out + 2, (uint16_t)key.len);
    store_u16(out + 4, (uint16_t)payload.len);
    store_u16(out + 6, 0);
    store_u64(out + 8, key.tid);
    bytes_copy(out + LEAF_DATA_BYTES, key.p, key.len);
    bytes_copy(out + LEAF_DATA_BYTES + key.len, payload.p, payload.len);
    return LEAF_DATA_BYTES + key.len + payload.len;
}

/* The layout that INNER_INSERT and NODE_CUT share. */
static uint32_t data_separator(uint8_t *out, uint32_t number, NodeKey key, PageId page)
{
    store_u16(out, (uint16_t)number);
    store_u16(out + 2, (uint16_t)key.len);
    store_u32(out + 4, 0);
    store_u64(out + 8, page.v);
    store_u64(out + 16, key.tid);
    bytes_copy(out + INNER_DATA_BYTES, key.p, key.len);
    return INNER_DATA_BYTES + key.len;
}

uint32_t data_inner(uint8_t out[INNER_DATA_MAX], uint32_t slot, NodeKey separator, PageId child)
{
    return data_separator(out, slot, separator, child);
}

uint32_t data_cut(uint8_t out[INNER_DATA_MAX], uint32_t keep, NodeKey high, PageId right)
{
    return data_separator(out, keep, high, right);
}

uint32_t data_inner_delete(uint8_t out[INNER_DELETE_DATA_BYTES], uint32_t slot, PageId child)
{
    store_u64(out, slot);
    store_u64(out + 8, child.v);
    return INNER_DELETE_DATA_BYTES;
}

uint32_t data_link(uint8_t out[LINK_DATA_BYTES], PageId to)
{
    store_u64(out, to.v);
    return LINK_DATA_BYTES;
}

/* ---- decoding ---- */

typedef struct LeafData {
    uint32_t slot;
    NodeKey key;
    BTreeBytes payload;
} LeafData;

static bool read_leaf_data(const WalPage *ref, LeafData *out)
{
    if (ref->len < LEAF_DATA_BYTES) {
        return false;
    }
    const uint8_t *d = ref->data;
    uint32_t key_len = load_u16(d + 2);
    uint32_t payload_len = load_u16(d + 4);
    if (key_len + payload_len > BTREE_ENTRY_MAX || ref->len != LEAF_DATA_BYTES + key_len + payload_len ||
        load_u64(d + 8) == 0) {
        return false;
    }
    out->slot = load_u16(d);
    out->key = (NodeKey){d + LEAF_DATA_BYTES, key_len, load_u64(d + 8)};
    out->payload = (BTreeBytes){d + LEAF_DATA_BYTES + key_len, payload_len};
    return true;
}

typedef struct SeparatorData {
    uint32_t number;
    NodeKey key;
    PageId page;
} SeparatorData;

static bool read_separator_data(const WalPage *ref, SeparatorData *out)
{
    if (ref->len < INNER_DATA_BYTES) {
        return false;
    }
    const uint8_t *d = ref->data;
    uint32_t key_len = load_u16(d + 2);
    if (key_len > BTREE_ENTRY_MAX || ref->len != INNER_DATA_BYTES + key_len) {
        return false;
    }
    out->number = load_u16(d);
    out->key = (NodeKey){d + INNER_DATA_BYTES, key_len, load_u64(d + 16)};
    out->page = (PageId){load_u64(d + 8)};
    return out->page.v >> 40 == 0;
}

static Status unfit(const WalPage *ref, const char *what, Error *err)
{
    return err_set(err, ST_CORRUPTED, "log record does not fit index page %llu: %s", (unsigned long long)ref->id.v,
                   what);
}

static Status fits(uint8_t *page)
{
    ASSERT_SLOW(node_problem(page) == NULL);
    (void)page;
    return ST_OK;
}

/* ---- whole nodes ---- */

static Status redo_init(const WalPage *ref, uint8_t *page, Error *err)
{
    uint8_t fresh[PAGE_BYTES];
    if (ref->len < INIT_DATA_BYTES) {
        return unfit(ref, "no header", err);
    }
    page_init(fresh, ref->id, (ObjId){load_u64(ref->data)}, load_u32(ref->data + 8), PAGE_INDEX, NODE_FORMAT);
    if (!node_unpack(ref->data + INIT_DATA_BYTES, ref->len - INIT_DATA_BYTES, fresh)) {
        return unfit(ref, "no image of a node", err);
    }
    memcpy(page, fresh, PAGE_BYTES);
    return fits(page);
}

static bool is_index_page(const uint8_t *page)
{
    return page_header_const(page)->type == PAGE_INDEX && page_header_const(page)->format == NODE_FORMAT;
}

static Status redo_replace(const WalPage *ref, uint8_t *page, Error *err)
{
    if (!is_index_page(page) || !node_unpack(ref->data, ref->len, page)) {
        return unfit(ref, "no image of a node", err);
    }
    return fits(page);
}

static Status redo_dead(const WalPage *ref, uint8_t *page, Error *err)
{
    if (!is_index_page(page) || ref->len != 0) {
        return unfit(ref, "not a node to be given back", err);
    }
    memset(page + PAGE_HEADER_BYTES, 0, PAGE_BODY_BYTES);
    NodeHeader h = {.level = NODE_LEVEL_DEAD};
    memcpy(page + PAGE_HEADER_BYTES, &h, sizeof h);
    return ST_OK;
}

static Status redo_link(const WalPage *ref, uint8_t *page, Error *err)
{
    Node n;
    if (ref->len != LINK_DATA_BYTES || !node_load(page, &n) || n.h.level != 0 || load_u64(ref->data) >> 40 != 0) {
        return unfit(ref, "no leaf to be linked", err);
    }
    if (ref->redo == REDO_NODE_LEFT) {
        n.h.left = load_u64(ref->data);
    } else {
        n.h.right = load_u64(ref->data);
    }
    memcpy(page + PAGE_HEADER_BYTES, &n.h, sizeof n.h);
    return fits(page);
}

/* ---- entries ---- */

/* Does the key belong exactly at this slot, between its neighbours or the fences? */
static bool belongs_at(const Node *n, uint32_t slot, NodeKey key)
{
    uint32_t first = n->h.level > 0 ? 1 : 0;
    BTreeBytes prefix = node_prefix(n);
    int c;
    if (slot < first || slot > n->h.count || key.len < prefix.len || bytes_cmp(key.p, prefix.p, prefix.len) != 0) {
        return false;
    }
    if (slot == first) {
        c = node_key_cmp(node_low(n), key);
        if (n->h.level == 0 ? c > 0 : c >= 0) {
            return false;
        }
    } else if (!node_cmp_entry(n, slot - 1, key, &c) || c >= 0) {
        return false;
    }
    if (slot == n->h.count) {
        return node_high_inf(n) || node_key_cmp(key, node_high(n)) < 0;
    }
    return node_cmp_entry(n, slot, key, &c) && c > 0;
}

static Status redo_leaf_insert(const WalPage *ref, uint8_t *page, Error *err)
{
    LeafData d;
    Node n;
    if (!read_leaf_data(ref, &d) || !node_load(page, &n) || n.h.level != 0 || !belongs_at(&n, d.slot, d.key)) {
        return unfit(ref, "insert of an entry", err);
    }
    uint32_t skip = n.h.prefix_len;
    NodeEntry e = {.b = {d.key.p + skip, d.key.len - skip}, .tid = d.key.tid, .payload = d.payload};
    return node_insert(page, d.slot, &e) ? fits(page) : unfit(ref, "no room for an entry", err);
}

static Status redo_leaf_delete(const WalPage *ref, uint8_t *page, Error *err)
{
    LeafData d;
    Node n;
    int c;
    if (!read_leaf_data(ref, &d) || d.payload.len != 0 || !node_load(page, &n) || n.h.level != 0 ||
        !node_covers(&n, d.key, false) || !node_cmp_entry(&n, d.slot, d.key, &c) || c != 0 ||
        !node_remove(page, d.slot)) {
        return unfit(ref, "delete of an entry", err);
    }
    return fits(page);
}

static Status redo_inner_insert(const WalPage *ref, uint8_t *page, Error *err)
{
    SeparatorData d;
    Node n;
    if (!read_separator_data(ref, &d) || !node_load(page, &n) || n.h.level == 0 || !belongs_at(&n, d.number, d.key)) {
        return unfit(ref, "insert of a child", err);
    }
    uint32_t skip = n.h.prefix_len;
    NodeEntry e = {.b = {d.key.p + skip, d.key.len - skip}, .tid = d.key.tid, .child = d.page};
    return node_insert(page, d.number, &e) ? fits(page) : unfit(ref, "no room for a child", err);
}

static Status redo_inner_delete(const WalPage *ref, uint8_t *page, Error *err)
{
    Node n;
    NodeCell c;
    if (ref->len != INNER_DELETE_DATA_BYTES || !node_load(page, &n) || n.h.level == 0 || load_u64(ref->data) == 0 ||
        load_u64(ref->data) >= n.h.count || !node_cell(&n, (uint32_t)load_u64(ref->data), &c) ||
        c.child.v != load_u64(ref->data + 8) || !node_remove(page, (uint32_t)load_u64(ref->data))) {
        return unfit(ref, "delete of a child", err);
    }
    return fits(page);
}

/* ---- split and merge ---- */

static bool cut_is_sound(const Node *n, const SeparatorData *d)
{
    uint32_t first = n->h.level > 0 ? 1 : 0;
    if (d->number < first || d->number > n->h.count || node_key_cmp(node_low(n), d->key) >= 0 ||
        (!node_high_inf(n) && node_key_cmp(d->key, node_high(n)) >= 0) || (n->h.level > 0) != (d->page.v == 0)) {
        return false;
    }
    if (d->number == first) {
        return true;
    }
    uint32_t slot;
    bool exact;
    return node_find(n, first, d->key, &slot, &exact) && slot >= d->number;
}

static Status redo_cut(const WalPage *ref, uint8_t *page, Error *err)
{
    uint8_t fresh[PAGE_BYTES];
    SeparatorData d;
    Node n;
    if (!read_separator_data(ref, &d) || !node_load(page, &n) || !cut_is_sound(&n, &d)) {
        return unfit(ref, "split", err);
    }
    NodeSpec spec = node_spec(&n);
    spec.high = d.key;
    spec.high_inf = false;
    spec.right = d.page.v;
    node_format(fresh, &spec);
    if (!node_append_range(fresh, &n, 0, d.number, NULL)) {
        return unfit(ref, "split", err);
    }
    memcpy(page + PAGE_HEADER_BYTES, fresh + PAGE_HEADER_BYTES, PAGE_BODY_BYTES);
    return fits(page);
}

static Status redo_absorb(const WalPage *ref, uint8_t *page, Error *err)
{
    uint8_t fresh[PAGE_BYTES];
    uint8_t other[PAGE_BYTES];
    Node left, right;
    memset(other, 0, PAGE_HEADER_BYTES);
    page_header(other)->type = PAGE_INDEX;
    page_header(other)->format = NODE_FORMAT;
    if (!node_load(page, &left) || !node_unpack(ref->data, ref->len, other) || !node_load(other, &right) ||
        left.h.level != right.h.level || node_high_inf(&left) ||
        node_key_cmp(node_high(&left), node_low(&right)) != 0) {
        return unfit(ref, "merge", err);
    }
    if (!node_merge(&left, &right, fresh)) {
        return unfit(ref, "no room to merge", err);
    }
    memcpy(page + PAGE_HEADER_BYTES, fresh + PAGE_HEADER_BYTES, PAGE_BODY_BYTES);
    return fits(page);
}

/* ---- registering, reading records ---- */

void btree_register(StoreRegistry *registry)
{
    static const RedoFn redo[] = {redo_init,         redo_replace,      redo_leaf_insert, redo_leaf_delete,
                                  redo_inner_insert, redo_inner_delete, redo_cut,         redo_absorb,
                                  redo_link,         redo_link,         redo_dead};
    static const char *const names[] = {"btree_insert", "btree_delete", "btree_create", "btree_split",
                                        "btree_grow",   "btree_merge",  "btree_shrink", "btree_build"};
    STATIC_ASSERT(ARRAY_LEN(redo) == REDO_NODE_DEAD - REDO_NODE_INIT + 1, "one function a kind");
    STATIC_ASSERT(ARRAY_LEN(names) == WAL_BTREE_BUILD - WAL_BTREE_INSERT + 1, "one name a type");
    memcpy(&registry->redo[REDO_NODE_INIT], redo, sizeof redo);
    memcpy(&registry->type_name[WAL_BTREE_INSERT], names, sizeof names);
}

Status btree_record_read(const WalRecord *rec, BTreeRecord *out, Error *err)
{
    bool insert = rec->type == WAL_BTREE_INSERT;
    LeafData d;
    if ((!insert && rec->type != WAL_BTREE_DELETE) || rec->n_pages < 1 ||
        rec->body_len != (insert ? INSERT_BODY_BYTES : DELETE_BODY_BYTES) || !read_leaf_data(&rec->pages[0], &d)) {
        return err_set(err, ST_CORRUPTED, "log record at %llu is not that of an index entry",
                       (unsigned long long)rec->lsn.v);
    }
    *out = (BTreeRecord){.is_insert = insert,
                         .root = {load_u64(rec->body)},
                         .key = {d.key.p, d.key.len},
                         .tid = {d.key.tid},
                         .payload = d.payload};
    if (!insert) {
        out->how = (BTreeDelete){.kind = rec->flags & BTREE_FLAG_UNDO ? BTREE_UNDO : BTREE_PURGE,
                                 .undoes = {load_u64(rec->body + 8)},
                                 .newest = {load_u64(rec->body + 16)}};
    }
    return ST_OK;
}
