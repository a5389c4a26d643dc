/*
 * catalog/name_text.c: names as SQL shows and reads them: quoting, visibility, format_type, reg* values.
 */
#include <ctype.h>
#include <stdlib.h>

#include "catalog/catalog_int.h"

static bool plain_identifier(Str name)
{
    bool plain = name.len > 0 && (islower((unsigned char)name.p[0]) || name.p[0] == '_');
    for (size_t i = 0; plain && i < name.len; i++) {
        unsigned char ch = (unsigned char)name.p[i];
        plain = islower(ch) || isdigit(ch) || ch == '_';
    }
    return plain;
}

static int keyword_cmp(const void *key, const void *item)
{
    const Str *k = key;
    const char *word = *(const char *const *)item;
    return str_cmp(*k, str_from(word));
}

/* Words that quote_identifier quotes: all that are not unreserved. Sorted. */
static bool needs_quotes_as_word(Str name)
{
    static const char *const words[] = {
#include "catalog/reserved.def"
    };
    return bsearch(&name, words, ARRAY_LEN(words), sizeof words[0], keyword_cmp) != NULL;
}

void catalog_quote(Str name, StrBuf *sb)
{
    if (plain_identifier(name) && !needs_quotes_as_word(name)) {
        strbuf_append(sb, name.p, name.len);
        return;
    }
    strbuf_putc(sb, '"');
    for (size_t i = 0; i < name.len; i++) {
        if (name.p[i] == '"') {
            strbuf_putc(sb, '"');
        }
        strbuf_putc(sb, name.p[i]);
    }
    strbuf_putc(sb, '"');
}

/* ---- visibility ---- */

STATUS catalog_relation_visible(Ctx *cx, CatView *v, Oid oid, bool *out_visible)
{
    CatRelation *rel;
    Oid found;
    *out_visible = false;
    Status st = catalog_relation(cx, v, oid, &rel);
    if (st != ST_OK) {
        return st == ST_UNDEFINED_TABLE ? ST_OK : st;
    }
    st = catalog_relation_oid(cx, v, 0, str_from(rel->name), &found);
    *out_visible = st == ST_OK && found == oid;
    catalog_release(rel);
    return st;
}

static STATUS put_schema(Ctx *cx, CatView *v, Oid schema, StrBuf *sb)
{
    CatObject o;
    Status st = catalog_object(cx, v, CAT_SCHEMA, schema, &o);
    if (st == ST_OK && o.oid != 0) {
        catalog_quote(str_from(o.name), sb);
        strbuf_putc(sb, '.');
    }
    return st;
}

STATUS catalog_relation_text(Ctx *cx, CatView *v, Oid oid, StrBuf *sb, bool *out_found)
{
    CatRelation *rel;
    bool visible;
    *out_found = false;
    Status st = catalog_relation(cx, v, oid, &rel);
    if (st != ST_OK) {
        return st == ST_UNDEFINED_TABLE ? ST_OK : st;
    }
    st = catalog_relation_visible(cx, v, oid, &visible);
    if (st == ST_OK && !visible) {
        st = put_schema(cx, v, rel->schema, sb);
    }
    if (st == ST_OK) {
        catalog_quote(str_from(rel->name), sb);
        *out_found = true;
    }
    catalog_release(rel);
    return st;
}

STATUS catalog_format_type(Ctx *cx, CatView *v, Oid type, int32_t typmod, StrBuf *sb)
{
    CatObject o, element, found;
    if (type < OID_FIRST_NORMAL && type_by_oid(type) != NULL) {
        type_format(type, typmod, sb);
        return ST_OK;
    }
    Status st = type == 0 ? ST_OK : catalog_object(cx, v, CAT_TYPE, type, &o);
    if (st != ST_OK || type == 0 || o.oid == 0) {
        strbuf_puts(sb, type == 0 ? "-" : "???");
        return st;
    }
    if (o.element != 0) {
        st = catalog_object(cx, v, CAT_TYPE, o.element, &element);
        if (st == ST_OK && element.array == o.oid) {
            st = catalog_format_type(cx, v, o.element, -1, sb);
            strbuf_puts(sb, "[]");
            return st;
        }
    }
    if (st == ST_OK) {
        st = catalog_object_named(cx, v, CAT_TYPE, 0, str_from(o.name), &found);
    }
    if (st == ST_OK && found.oid != o.oid) {
        st = put_schema(cx, v, o.schema, sb);
    }
    catalog_quote(str_from(o.name), sb);
    return st;
}

/* ---- reg* ---- */

static STATUS put_object(Ctx *cx, CatView *v, CatKind kind, Oid oid, StrBuf *sb, bool *out_found)
{
    CatObject o;
    Status st = catalog_object(cx, v, kind, oid, &o);
    *out_found = st == ST_OK && o.oid != 0;
    if (*out_found) {
        catalog_quote(str_from(o.name), sb);
    }
    return st;
}

static void put_function(Oid oid, StrBuf *sb, bool *out_found)
{
    const FnRow *fn = fn_by_oid(oid);
    *out_found = fn != NULL;
    if (fn != NULL) {
        catalog_quote(str_from(fn->name), sb);
    }
}

static Status hook_reg_out(void *arg, FnCtx *fx, Oid reg_type, Oid object, StrBuf *sb, bool *out_found)
{
    CatView *v = arg;
    *out_found = false;
    switch (reg_type) {
    case OID_REGCLASS: return catalog_relation_text(fx->cx, v, object, sb, out_found);
    case OID_REGNAMESPACE: return put_object(fx->cx, v, CAT_SCHEMA, object, sb, out_found);
    case OID_REGROLE: return put_object(fx->cx, v, CAT_ROLE, object, sb, out_found);
    case OID_REGPROC: put_function(object, sb, out_found); return ST_OK;
    case OID_REGTYPE: {
        CatObject o;
        Status st = catalog_object(fx->cx, v, CAT_TYPE, object, &o);
        *out_found = st == ST_OK && o.oid != 0;
        return *out_found ? catalog_format_type(fx->cx, v, object, -1, sb) : st;
    }
    case OID_REGOPER: {
        const OperRow *op = oper_by_oid(object);
        *out_found = op != NULL;
        strbuf_puts(sb, op != NULL ? op->name : "");
        return ST_OK;
    }
    case OID_REGCOLLATION: {
        const CollationRow *c = collation_by_oid(object);
        *out_found = c != NULL;
        if (c != NULL) {
            catalog_quote(str_from(c->name), sb);
        }
        return ST_OK;
    }
    default: return ST_OK;
    }
}

/* One part of a possibly quoted, qualified name; false when the syntax is wrong. */
static bool next_part(const char **io_p, const char *end, StrBuf *out)
{
    const char *p = *io_p;
    while (p < end && isspace((unsigned char)*p)) {
        p++;
    }
    if (p < end && *p == '"') {
        for (p++; p < end && (*p != '"' || (p + 1 < end && p[1] == '"')); p++) {
            strbuf_putc(out, *p);
            p += *p == '"';
        }
        if (p == end) {
            return false;
        }
        p++;
    } else {
        for (; p < end && *p != '.' && !isspace((unsigned char)*p); p++) {
            strbuf_putc(out, (char)((unsigned char)*p < 128 ? tolower((unsigned char)*p) : *p));
        }
    }
    while (p < end && isspace((unsigned char)*p)) {
        p++;
    }
    *io_p = p;
    return out->len > 0 && (p == end || *p == '.');
}

enum { NAME_PARTS = 3 };

static STATUS split_name(Ctx *cx, Str text, StrBuf parts[NAME_PARTS], unsigned *out_n)
{
    const char *p = text.p, *end = text.p + text.len;
    unsigned n = 0;
    for (;;) {
        if (n == NAME_PARTS || !next_part(&p, end, &parts[n])) {
            return err_set(cx->err, ST_INVALID_NAME, "invalid name syntax");
        }
        n++;
        if (p == end) {
            break;
        }
        p++;
    }
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].failed) {
            return ctx_nomem(cx, text.len);
        }
    }
    *out_n = n;
    return ST_OK;
}

static STATUS find_relation(Ctx *cx, CatView *v, StrBuf *parts, unsigned n, Oid *out)
{
    Oid schema = 0;
    Str name = strbuf_str(&parts[n - 1]);
    Status st = n > 1 ? catalog_schema(cx, v, strbuf_str(&parts[n - 2]), &schema) : ST_OK;
    if (st == ST_OK) {
        st = catalog_relation_oid(cx, v, schema, name, out);
    }
    if (st == ST_OK && *out == 0) {
        st = n > 1 ? err_set(cx->err, ST_UNDEFINED_TABLE, "relation \"%s.%s\" does not exist", parts[n - 2].p, name.p)
                   : err_set(cx->err, ST_UNDEFINED_TABLE, "relation \"%s\" does not exist", name.p);
    }
    return st;
}

static STATUS find_named(Ctx *cx, CatView *v, CatKind kind, StrBuf *parts, unsigned n, Oid *out)
{
    CatObject o;
    Oid schema = 0;
    Str name = strbuf_str(&parts[n - 1]);
    static const char *const what[] = {"schema", "role", "database", "type"};
    static const Status missing[] = {ST_INVALID_SCHEMA_NAME, ST_UNDEFINED_OBJECT, ST_INVALID_CATALOG_NAME,
                                     ST_UNDEFINED_OBJECT};
    Status st = n > 1 && kind == CAT_TYPE ? catalog_schema(cx, v, strbuf_str(&parts[n - 2]), &schema) : ST_OK;
    if (st == ST_OK) {
        st = catalog_object_named(cx, v, kind, schema, name, &o);
    }
    if (st == ST_OK && o.oid == 0) {
        st = err_set(cx->err, missing[kind], "%s \"%s\" does not exist", what[kind], name.p);
    }
    if (st == ST_OK) {
        *out = o.oid;
    }
    return st;
}

static STATUS find_function(Ctx *cx, StrBuf *parts, unsigned n, Oid *out)
{
    uint32_t first;
    uint32_t count = fn_by_name(strbuf_str(&parts[n - 1]), &first);
    if (count > 1) {
        return err_set(cx->err, ST_AMBIGUOUS_FUNCTION, "more than one function named \"%s\"", parts[n - 1].p);
    }
    if (count == 0) {
        return err_set(cx->err, ST_UNDEFINED_FUNCTION, "function \"%s\" does not exist", parts[n - 1].p);
    }
    *out = fn_rows[fn_name_index[first]].oid;
    return ST_OK;
}

static STATUS find_reg(Ctx *cx, CatView *v, Oid reg_type, StrBuf *parts, unsigned n, Oid *out)
{
    switch (reg_type) {
    case OID_REGCLASS: return find_relation(cx, v, parts, n, out);
    case OID_REGNAMESPACE: return find_named(cx, v, CAT_SCHEMA, parts, n, out);
    case OID_REGROLE: return find_named(cx, v, CAT_ROLE, parts, n, out);
    case OID_REGTYPE: return find_named(cx, v, CAT_TYPE, parts, n, out);
    case OID_REGPROC: return find_function(cx, parts, n, out);
    default: return err_set(cx->err, ST_FEATURE_NOT_SUPPORTED, "names of this kind of object cannot be read yet");
    }
}

static Status hook_reg_in(void *arg, FnCtx *fx, Oid reg_type, Str text, Oid *out_object)
{
    CatView *v = arg;
    StrBuf parts[NAME_PARTS];
    unsigned n = 0;
    for (unsigned i = 0; i < NAME_PARTS; i++) {
        strbuf_init(&parts[i], fx->cx->budget);
    }
    Status st = split_name(fx->cx, text, parts, &n);
    if (st == ST_OK) {
        st = find_reg(fx->cx, v, reg_type, parts, n, out_object);
    }
    for (unsigned i = 0; i < NAME_PARTS; i++) {
        strbuf_done(&parts[i]);
    }
    return st;
}

NameHooks catalog_name_hooks(CatView *v)
{
    return (NameHooks){.arg = v, .reg_out = hook_reg_out, .reg_in = hook_reg_in};
}
