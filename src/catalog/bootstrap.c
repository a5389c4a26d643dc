/*
 * catalog/bootstrap.c: the catalogs of a fresh directory, and finding them again.
 *
 * All tables, indexes and rows are made by one transaction. When it is durable, the root file is written: it says where
 * rdb_storage is, and that says where everything else is. So a directory has a root file and a whole catalog, or neither.
 *
 * Root file "catalog.root", 128 bytes, little-endian:
 *     0    8   magic "RDBCATLG"
 *     8    8   format, 1
 *     16   16  rdb_storage: object id, header page
 *     32   24  its first index: object id, header page, root page
 *     56   24  its second
 *     120  8   checksum: mix64 over the words before
 */
#include <ctype.h>

#include "base/rng.h"
#include "catalog/catalog_int.h"

enum { ROOT_WORDS = 16, ROOT_FORMAT = 1 };
static const char root_name[] = "catalog.root";
static const char root_tmp[] = "catalog.root.new";
static const char root_magic[8] = "RDBCATLG";

/* ---- the root file ---- */

static uint64_t root_sum(const uint64_t *w)
{
    uint64_t h = 0;
    for (unsigned i = 0; i < ROOT_WORDS - 1; i++) {
        h = mix64(h ^ w[i]);
    }
    return h;
}

static STATUS root_write(Ctx *cx, Catalog *c)
{
    _Alignas(FILE_ALIGN_MAX) uint64_t w[ROOT_WORDS] = {0};
    const CatTable *t = &c->shared->tables[CAT_rdb_storage];
    File *f;
    memcpy(&w[0], root_magic, 8);
    w[1] = ROOT_FORMAT;
    w[2] = t->storage.object.id.v;
    w[3] = t->storage.object.header.v;
    for (unsigned x = 0; x < 2; x++) {
        w[4 + 3 * x] = t->index_storage[x].object.id.v;
        w[5 + 3 * x] = t->index_storage[x].object.header.v;
        w[6 + 3 * x] = t->index_storage[x].root.v;
    }
    w[ROOT_WORDS - 1] = root_sum(w);
    Status st = vfs_open(c->vfs, root_tmp, FILE_CREATE, cx->err, &f);
    if (st != ST_OK) {
        return st;
    }
    st = file_write(f, w, sizeof w, 0, cx->err);
    if (st == ST_OK) {
        st = file_sync(f, cx->err);
    }
    file_close(f);
    if (st == ST_OK) {
        st = vfs_rename(c->vfs, root_tmp, root_name, cx->err);
    }
    return st == ST_OK ? vfs_sync_dir(c->vfs, "", cx->err) : st;
}

static STATUS root_read(Ctx *cx, Catalog *c, CatTable *t)
{
    _Alignas(FILE_ALIGN_MAX) uint64_t w[ROOT_WORDS] = {0};
    File *f;
    uint64_t size;
    Status st = vfs_open(c->vfs, root_name, FILE_READONLY, cx->err, &f);
    if (st != ST_OK) {
        return st;
    }
    st = file_size(f, cx->err, &size);
    if (st == ST_OK && size >= sizeof w) {
        st = file_read(f, w, sizeof w, 0, cx->err);
    }
    file_close(f);
    if (st != ST_OK) {
        return st;
    }
    if (memcmp(w, root_magic, 8) != 0 || w[ROOT_WORDS - 1] != root_sum(w)) {
        return err_set(cx->err, ST_CORRUPTED, "file \"%s\" is damaged", root_name);
    }
    if (w[1] != ROOT_FORMAT) {
        return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED, "the catalog has format %llu, this program reads format %d",
                       (unsigned long long)w[1], ROOT_FORMAT);
    }
    t->storage.object = (ObjectRef){{w[2]}, {w[3]}};
    for (unsigned x = 0; x < 2; x++) {
        t->index_storage[x] = (CatStorage){.object = {{w[4 + 3 * x]}, {w[5 + 3 * x]}}, .root = {w[6 + 3 * x]}};
    }
    return ST_OK;
}

STATUS catalog_exists(Catalog *c, Error *err, bool *out_exists)
{
    return vfs_exists(c->vfs, root_name, err, out_exists);
}

STATUS catalog_open(Ctx *cx, Catalog *c, TxnSystem *ts)
{
    CatView v;
    CatDatabase *shared = mem_alloc0(c->budget, sizeof *shared);
    if (shared == NULL) {
        return ctx_nomem(cx, sizeof *shared);
    }
    ASSERT(c->shared == NULL);
    c->ts = ts;
    Status st = root_read(cx, c, &shared->tables[CAT_rdb_storage]);
    if (st != ST_OK) {
        database_free(c, shared);
        return st;
    }
    c->shared = shared;
    st = internal_begin(cx, c, 0, &v);
    if (st == ST_OK) {
        st = internal_end(cx, &v, database_fill(cx, c, &v, shared));
    }
    /* release: purge reads the rest after it. */
    atomic_store_explicit(&c->ready, st == ST_OK, memory_order_release);
    return st;
}

/* ---- rows from the generated text ---- */

typedef struct TextRows {
    Ctx *cx;
    Catalog *c;
    const CatShape *shape;
    CatTableNo no;
    const char *admin;
    FnCtx fx;
    HeapValue defaults[CAT_COLUMNS_MAX];
    StrBuf field;
    StrBuf second; /* the row's second column, for the fields that repeat it */
    StrBuf second_default;
} TextRows;

/* The generated privileges name PostgreSQL's superuser; ours may be called otherwise. */
static void rename_admin(const TextRows *r, unsigned column, StrBuf *field, StrBuf *tmp)
{
    static const char theirs[] = "postgres";
    Oid type = r->shape->types[column].oid;
    bool is_admin_row = r->no == CAT_pg_authid && column == pg_authid_rolname && strcmp(field->p, theirs) == 0;
    if ((type != 1034 && !is_admin_row) || strcmp(r->admin, theirs) == 0) {
        return;
    }
    strbuf_reset(tmp);
    for (const char *p = field->p; *p != '\0';) {
        bool match = strncmp(p, theirs, 8) == 0 && !isalnum((unsigned char)p[8]) && p[8] != '_';
        strbuf_append(tmp, match ? r->admin : p, match ? strlen(r->admin) : 1);
        p += match ? 8 : 1;
    }
    strbuf_reset(field);
    strbuf_append(field, tmp->p, tmp->len);
}

static STATUS parse_value(TextRows *r, unsigned column, HeapValue *out)
{
    ValueType t = r->shape->types[column];
    _Alignas(16) uint8_t value[16] = {0};
    StrBuf tmp;
    strbuf_init(&tmp, r->cx->budget);
    rename_admin(r, column, &r->field, &tmp);
    bool failed = tmp.failed || r->field.failed;
    strbuf_done(&tmp);
    if (failed) {
        return ctx_nomem(r->cx, r->field.len);
    }
    if (type_is_unsigned_i32(t.oid) && t.oid != OID_XID) {
        t = value_type_of(OID_OID); /* reg* are written as numbers */
    } else if (t.oid == OID_PG_NODE_TREE) {
        t = value_type_of(OID_TEXT);
    }
    Status st = type_in(&r->fx, &t, strbuf_str(&r->field), r->cx->arena, value);
    if (st == ST_OK) {
        memcpy(out->bytes, value, sizeof value);
        out->state = HEAP_PRESENT;
    }
    return st;
}

/* One field into r->field; *out_kind: 'v' value, 'n' NULL, 'd' the column's default. Returns where the next one begins. */
static const char *read_field(TextRows *r, const char *p, char *out_kind)
{
    const char *from = p;
    strbuf_reset(&r->field);
    *out_kind = 'v';
    for (; *p != '|' && *p != '\n'; p++) {
        if (*p != '\\') {
            strbuf_putc(&r->field, *p);
            continue;
        }
        switch (*++p) {
        case 'n': strbuf_putc(&r->field, '\n'); break;
        case 'p': strbuf_putc(&r->field, '|'); break;
        case 'e': break;
        case '=': strbuf_append(&r->field, r->second.p, r->second.len); break;
        default: strbuf_putc(&r->field, *p); break;
        }
    }
    if (p == from) {
        *out_kind = 'd';
    } else if (p == from + 1 && *from == '~') {
        *out_kind = 'n';
    }
    return p;
}

static STATUS read_row(TextRows *r, const char **io_at, bool is_defaults, HeapValue *out)
{
    const char *p = *io_at;
    for (unsigned i = 0; i < r->shape->layout.n_columns; i++) {
        char kind = 'd';
        if (*p != '\n') {
            p = read_field(r, p, &kind);
            p += *p == '|' && i + 1 < r->shape->layout.n_columns;
        }
        ASSERT(kind != 'd' || !is_defaults);
        if (kind == 'd') {
            out[i] = r->defaults[i];
        } else if (kind == 'n') {
            out[i] = heap_null();
        } else {
            Status st = parse_value(r, i, &out[i]);
            if (st != ST_OK) {
                err_context(r->cx->err, "generated rows of %s, column %u", cat_table_defs[r->no].name, i + 1);
                return st;
            }
        }
        if (i == 1) {
            const StrBuf *text = kind == 'd' ? &r->second_default : &r->field;
            StrBuf *to = is_defaults ? &r->second_default : &r->second;
            strbuf_reset(to);
            strbuf_append(to, text->p, text->len);
        }
    }
    ASSERT(*p == '\n');
    *io_at = p + 1;
    return ST_OK;
}

static void text_rows_begin(TextRows *r, Ctx *cx, Catalog *c, CatTableNo no, const char *admin)
{
    *r = (TextRows){.cx = cx, .c = c, .shape = &c->shapes[no], .no = no, .admin = admin};
    r->fx = (FnCtx){.cx = cx, .arena = cx->arena, .facts = &session_facts_default};
    strbuf_init(&r->field, cx->budget);
    strbuf_init(&r->second, cx->budget);
    strbuf_init(&r->second_default, cx->budget);
}

static void text_rows_end(TextRows *r)
{
    strbuf_done(&r->field);
    strbuf_done(&r->second);
    strbuf_done(&r->second_default);
}

/* ---- making it ---- */

typedef struct Boot {
    Ctx *cx;
    Catalog *c;
    Txn *t;
    const char *admin;
    CatDatabase *dbs[3]; /* shared, template1, postgres */
} Boot;

static STATUS insert_row(Boot *b, CatTableNo no, const HeapValue *row)
{
    Status st = ST_OK;
    unsigned from = cat_table_defs[no].shared ? 0 : 1, to = cat_table_defs[no].shared ? 1 : 3;
    for (unsigned d = from; st == ST_OK && d < to; d++) {
        CatTable *tab;
        st = table_handles(b->cx, b->c, b->dbs[d], no, &tab);
        if (st == ST_OK) {
            st = table_insert(b->cx, b->c, b->t, tab, no, row, false);
        }
    }
    return st;
}

static STATUS insert_text(Boot *b, CatTableNo no, const char *text, size_t len, bool with_defaults)
{
    TextRows r;
    HeapValue row[CAT_COLUMNS_MAX];
    const char *p = text;
    text_rows_begin(&r, b->cx, b->c, no, b->admin);
    Status st = with_defaults ? read_row(&r, &p, true, r.defaults) : ST_OK;
    while (st == ST_OK && p < text + len) {
        ArenaMark mark = arena_mark(b->cx->arena);
        st = read_row(&r, &p, false, row);
        if (st == ST_OK) {
            st = insert_row(b, no, row);
        }
        arena_rewind(b->cx->arena, mark);
        if (st == ST_OK) {
            st = ctx_poll(b->cx);
        }
    }
    text_rows_end(&r);
    return st;
}

static STATUS create_storage(Boot *b, CatDatabase *db)
{
    Status st = ST_OK;
    for (unsigned t = 0; st == ST_OK && t < CAT_TABLE_COUNT; t++) {
        if (cat_table_defs[t].shared != (db->oid == 0)) {
            continue;
        }
        st = database_create_table(b->cx, b->c, b->t, db, (CatTableNo)t);
    }
    return st;
}

STATUS database_create_table(Ctx *cx, Catalog *c, Txn *t, CatDatabase *db, CatTableNo no)
{
    CatTable *tab = &db->tables[no];
    Status st = txn_create_table(cx, t, &tab->storage.object);
    for (unsigned x = 0; st == ST_OK && x < c->indexes[no].n; x++) {
        BTreeRef ref;
        st = txn_create_index(cx, t, &ref);
        if (st == ST_OK) {
            tab->index_storage[x] = (CatStorage){ref.object, ref.root};
        }
    }
    return st;
}

/* Calls fn for the storage of all catalog tables and indexes of a database. */
STATUS database_each_storage(Catalog *c, CatDatabase *db, Status (*fn)(void *arg, Oid relid, const CatStorage *s),
                             void *arg)
{
    Status st = ST_OK;
    for (unsigned t = 0; st == ST_OK && t < CAT_TABLE_COUNT; t++) {
        if (cat_table_defs[t].shared != (db->oid == 0)) {
            continue;
        }
        st = fn(arg, cat_table_defs[t].oid, &db->tables[t].storage);
        for (unsigned x = 0; st == ST_OK && x < c->indexes[t].n; x++) {
            st = fn(arg, cat_index_defs[c->indexes[t].first + x].oid, &db->tables[t].index_storage[x]);
        }
    }
    return st;
}

typedef struct NoteStorage {
    Boot *b;
    CatDatabase *db;
} NoteStorage;

static Status note_storage(void *arg, Oid relid, const CatStorage *s)
{
    NoteStorage *n = arg;
    HeapValue row[] = {cat_oid(n->db->oid),
                       cat_oid(relid),
                       heap_i64((int64_t)s->object.id.v),
                       heap_i64((int64_t)s->object.header.v),
                       heap_i64((int64_t)s->root.v),
                       heap_i64(0),
                       heap_null()};
    return insert_row(n->b, CAT_rdb_storage, row);
}

static STATUS fill_all(Boot *b)
{
    static const char databases[] =
        "1|template1|10|6|c|true|true|-1|3|1|1663|C|C|~|~|{=c/postgres,postgres=CTc/postgres}\n"
        "5|postgres|10|6|c|false|true|-1|3|1|1663|C|C|~|~|~\n";
    static const char descriptions[] = "1|1262|default template for new databases\n"
                                       "5|1262|default administrative connection database\n";
    Status st = ST_OK;
    for (unsigned d = 0; st == ST_OK && d < 3; d++) {
        st = create_storage(b, b->dbs[d]);
    }
    for (unsigned d = 0; st == ST_OK && d < 3; d++) {
        NoteStorage n = {b, b->dbs[d]};
        st = database_each_storage(b->c, b->dbs[d], note_storage, &n);
    }
    for (size_t i = 0; st == ST_OK && i < cat_rows_count; i++) {
        st = insert_text(b, cat_rows_all[i].table, cat_rows_all[i].text, cat_rows_all[i].len, true);
    }
    if (st == ST_OK) {
        st = insert_text(b, CAT_pg_database, databases, sizeof databases - 1, false);
    }
    return st == ST_OK ? insert_text(b, CAT_pg_shdescription, descriptions, sizeof descriptions - 1, false) : st;
}

/* The name goes into privileges as it is, where quoting would be needed for others. */
static STATUS check_admin(Ctx *cx, const char *admin)
{
    size_t n = strlen(admin);
    bool good = n > 0 && n <= CAT_NAME_MAX && !isdigit((unsigned char)admin[0]);
    for (size_t i = 0; i < n; i++) {
        good = good && (isalnum((unsigned char)admin[i]) || admin[i] == '_');
    }
    return good ? ST_OK
                : err_set(cx->err, ST_INVALID_NAME,
                          "the administrator's name consists of letters, digits and underscores: \"%s\"", admin);
}

STATUS catalog_bootstrap(Ctx *cx, Catalog *c, TxnSystem *ts, const char *admin)
{
    Boot b = {.cx = cx, .c = c, .admin = admin};
    Lsn gate;
    Status st = check_admin(cx, admin);
    if (st != ST_OK) {
        return st;
    }
    ASSERT(c->shared == NULL);
    c->ts = ts;
    static const Oid oids[3] = {0, OID_TEMPLATE1, OID_POSTGRES_DB};
    for (unsigned d = 0; d < 3; d++) {
        b.dbs[d] = mem_alloc0(c->budget, sizeof(CatDatabase));
        if (b.dbs[d] == NULL) {
            st = ctx_nomem(cx, sizeof(CatDatabase));
            goto out;
        }
        b.dbs[d]->oid = oids[d];
    }
    st = txn_begin(cx, ts, TXN_READ_COMMITTED, false, 0, &b.t);
    if (st != ST_OK) {
        goto out;
    }
    txn_statement(b.t);
    st = fill_all(&b);
    if (st == ST_OK) {
        st = txn_commit(cx, b.t, &gate);
    }
    if (st != ST_OK) {
        (void)txn_abort(cx, b.t);
        goto out;
    }
    st = wal_wait(cx, txn_store(ts), gate);
    if (st == ST_OK) {
        c->shared = b.dbs[0];
        st = root_write(cx, c);
        c->shared = NULL;
    }
out:
    for (unsigned d = 0; d < 3; d++) {
        database_free(c, b.dbs[d]);
    }
    return st;
}
