/*
 * parse/deparse_write.c: the deparser's words: identifiers, literals, lists, types.
 */
#include <inttypes.h>

#include "os/thread.h"
#include "parse/deparse_int.h"
#include "parse/keywords.h"

/* Writing. */

void put(Printer *p, const char *s)
{
    strbuf_puts(p->out, s);
}

void put_ident(Printer *p, Str name)
{
    strbuf_put_ident(p->out, name);
}

void put_plain_ident(Printer *p, Str name)
{
    if (keyword_find(name.p, name.len) == NULL) {
        put_ident(p, name);
    } else {
        put(p, "\"");
        strbuf_append(p->out, name.p, name.len);
        put(p, "\"");
    }
}

void put_string(Printer *p, Str value)
{
    put(p, "'");
    for (size_t i = 0; i < value.len; i++) {
        if (value.p[i] == '\'') {
            put(p, "'");
        }
        strbuf_putc(p->out, value.p[i]);
    }
    put(p, "'");
}

void put_int(Printer *p, int64_t value)
{
    strbuf_printf(p->out, "%" PRId64, value);
}

void put_names(Printer *p, const AstNames *names, const char *separator)
{
    for (uint32_t i = 0; i < names->count; i++) {
        put(p, i > 0 ? separator : "");
        put_ident(p, names->items[i]);
    }
}

void put_name_list(Printer *p, const AstNames *names)
{
    if (names->count > 0) {
        put(p, " (");
        put_names(p, names, ", ");
        put(p, ")");
    }
}

void put_list(Printer *p, const AstList *list, const char *separator, void (*item)(Printer *, const AstNode *))
{
    for (uint32_t i = 0; i < list->count && p->st == ST_OK; i++) {
        put(p, i > 0 ? separator : "");
        item(p, list->items[i]);
    }
}

void put_unsupported(Printer *p, const AstNode *node)
{
    if (p->st == ST_OK) {
        p->st = err_set(p->err, ST_FEATURE_NOT_SUPPORTED, "cannot write %s as SQL", ast_tag_name(node->tag));
    }
}

bool put_may_descend(Printer *p)
{
    if (p->st == ST_OK && !os_stack_ok(OS_STACK_RESERVE)) {
        p->st = err_set(p->err, ST_STATEMENT_TOO_COMPLEX, NULL);
    }
    return p->st == ST_OK;
}

/* Types. */

/*
 * The grammar's own spelling of its types, which it turns into pg_catalog.name; the suffix follows the modifiers. The
 * words do not always mean the same: "character" is character(1), the modifier of interval is not written as one.
 */
typedef struct TypeWords {
    const char *name;
    const char *words;
    const char *suffix;
    enum { ALWAYS, WITH_MODIFIER, WITHOUT_MODIFIER } when;
} TypeWords;

static const TypeWords *type_words(const AstTypeName *type)
{
    static const TypeWords table[] = {
        {"bool", "boolean", "", ALWAYS},
        {"int2", "smallint", "", ALWAYS},
        {"int4", "integer", "", ALWAYS},
        {"int8", "bigint", "", ALWAYS},
        {"float4", "real", "", ALWAYS},
        {"float8", "double precision", "", ALWAYS},
        {"numeric", "numeric", "", ALWAYS},
        {"varchar", "character varying", "", ALWAYS},
        {"bpchar", "character", "", WITH_MODIFIER},
        {"bit", "bit", "", WITH_MODIFIER},
        {"varbit", "bit varying", "", ALWAYS},
        {"time", "time", "", ALWAYS},
        {"timetz", "time", " with time zone", ALWAYS},
        {"timestamp", "timestamp", "", ALWAYS},
        {"interval", "interval", "", WITHOUT_MODIFIER},
        {"timestamptz", "timestamp", " with time zone", ALWAYS},
    };
    if (type->names.count != 2 || type->pct_type || !str_eq(type->names.items[0], STR_LIT("pg_catalog"))) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (str_eq(type->names.items[1], str_from(table[i].name))) {
            bool modified = type->typmods.count > 0;
            return table[i].when == (modified ? WITHOUT_MODIFIER : WITH_MODIFIER) ? NULL : &table[i];
        }
    }
    return NULL;
}

/* Precisions are constants in the grammar of these; any expression is one where the name is generic. */
static bool plain_modifiers(const AstTypeName *type)
{
    for (uint32_t i = 0; i < type->typmods.count; i++) {
        const AstNode *mod = type->typmods.items[i];
        if (mod->tag != AST_CONST || ((const AstConst *)mod)->kind != AST_CONST_INT ||
            ((const AstConst *)mod)->ival < 0) {
            return false;
        }
    }
    return type->typmods.count <= 1 || str_eq(type->names.items[1], STR_LIT("numeric"));
}

static void put_array_bounds(Printer *p, const AstList *bounds)
{
    for (uint32_t i = 0; i < bounds->count; i++) {
        int32_t size = AST_CAST(bounds->items[i], Const, CONST)->ival;
        put(p, "[");
        if (size >= 0) {
            put_int(p, size);
        }
        put(p, "]");
    }
}

void put_type(Printer *p, const AstTypeName *type)
{
    const TypeWords *words = plain_modifiers(type) ? type_words(type) : NULL;
    put(p, type->setof ? "SETOF " : "");
    if (words != NULL) {
        put(p, words->words);
    } else {
        put_names(p, &type->names, ".");
    }
    if (type->typmods.count > 0) {
        put(p, "(");
        put_list(p, &type->typmods, ", ", put_expr);
        put(p, ")");
    }
    put(p, words != NULL ? words->suffix : "");
    put(p, type->pct_type ? "%TYPE" : "");
    put_array_bounds(p, &type->array_bounds);
}
