/*
 * bind/scope_error.c: see scope_error.h. Follows errorMissingRTE and errorMissingColumn with their fuzzy search.
 */
#include "bind/scope_error.h"

/* `tables`: relations by their own name only, not aliases. */
static RangeItem *any_item(Scope *s, Str name, bool tables)
{
    for (Scope *at = s; at != NULL; at = at->parent) {
        for (uint32_t i = 0; i < at->all.n; i++) {
            RangeItem *item = at->all.v[i];
            bool alias = !tables && item->name != NULL && strcmp(item->name, name.p) == 0;
            if (alias || (item->rel != NULL && strcmp(item->rel->name, name.p) == 0)) {
                return item;
            }
        }
    }
    return NULL;
}

static bool is_visible(Scope *s, const RangeItem *item)
{
    for (Scope *at = s; at != NULL; at = at->parent) {
        for (uint32_t i = 0; i < at->names.n; i++) {
            const ScopeEntry *e = &at->names.v[i];
            if (e->item == item && e->table_visible && (!e->lateral_only || at->lateral_active)) {
                return true;
            }
        }
    }
    return false;
}

Status scope_missing_table(Binder *b, Scope *s, Str schema, Str name, int32_t location)
{
    RangeItem *item = any_item(s, name, schema.p != NULL);
    if (item == NULL) {
        return bind_error(b, location, ST_UNDEFINED_TABLE, "missing FROM-clause entry for table \"%s\"", name.p);
    }
    Status st = bind_error(b, location, ST_UNDEFINED_TABLE, "invalid reference to FROM-clause entry for table \"%s\"",
                           name.p);
    if (strcmp(item->name, name.p) != 0 && is_visible(s, item)) {
        err_hint(b->cx->err, "Perhaps you meant to reference the table alias \"%s\".", item->name);
    } else {
        err_hint(b->cx->err, "There is an entry for table \"%s\", but it cannot be referenced from this part of the query.",
                 item->name);
    }
    return st;
}

/* ---- near names ---- */

enum { FUZZY_MAX = 3, NAME_MAX_BYTES = 64 };

typedef struct Near {
    int distance;
    const RangeItem *first, *second;
    const char *first_name, *second_name; /* first without a name: it is there, but cannot be seen */
} Near;

static int min3(int a, int c, int d)
{
    int m = a < c ? a : c;
    return m < d ? m : d;
}

/* Edit distance; identifiers are short, so the whole row is computed. */
static int edit_distance(const char *a, const char *c)
{
    int row[NAME_MAX_BYTES + 1];
    size_t na = strlen(a);
    size_t nc = strlen(c);
    if (na > NAME_MAX_BYTES || nc > NAME_MAX_BYTES) {
        return INT16_MAX;
    }
    for (size_t j = 0; j <= nc; j++) {
        row[j] = (int)j;
    }
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nc; j++) {
            int above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != c[j - 1]));
            diagonal = above;
        }
    }
    return row[nc];
}

static void consider(Near *near, int penalty, const RangeItem *item, const char *wanted, const char *name)
{
    if (penalty > near->distance) {
        return;
    }
    int d = edit_distance(wanted, name);
    if (d > (int)strlen(wanted) / 2) {
        return;
    }
    d += penalty;
    if (d < near->distance) {
        *near = (Near){.distance = d, .first = item, .first_name = name};
    } else if (d == near->distance) {
        if (near->second_name != NULL) {
            *near = (Near){.distance = d - 1};
        } else if (near->first_name != NULL) {
            near->second = item;
            near->second_name = name;
        } else if (d <= FUZZY_MAX) {
            near->first = item;
            near->first_name = name;
        }
    }
}

/* true: the very column exists, out of reach. */
static bool search_item(Near *near, const RangeItem *item, const char *table, const char *name)
{
    int penalty = table != NULL ? edit_distance(table, item->name) : 0;
    for (uint32_t i = 0; i < item->n_columns; i++) {
        if (strcmp(item->columns[i].name, name) == 0 && penalty == 0) {
            *near = (Near){.first = item};
            return true;
        }
        consider(near, penalty, item, name, item->columns[i].name);
    }
    return false;
}

static Near search(Scope *s, const char *table, const char *name)
{
    Near near = {.distance = FUZZY_MAX + 1};
    for (Scope *at = s; at != NULL; at = at->parent) {
        for (uint32_t i = 0; i < at->all.n; i++) {
            const RangeItem *item = at->all.v[i];
            if (!item->is_join && item->name != NULL && search_item(&near, item, table, name)) {
                return near;
            }
        }
    }
    return near;
}

Status scope_missing_column(Binder *b, Scope *s, const char *table, const char *name, int32_t location)
{
    Near near = search(s, table, name);
    Status st = table == NULL
                    ? bind_error(b, location, ST_UNDEFINED_COLUMN, "column \"%s\" does not exist", name)
                    : bind_error(b, location, ST_UNDEFINED_COLUMN, "column %s.%s does not exist", table, name);
    if (near.second != NULL) {
        err_hint(b->cx->err, "Perhaps you meant to reference the column \"%s.%s\" or the column \"%s.%s\".",
                 near.first->name, near.first_name, near.second->name, near.second_name);
    } else if (near.first != NULL && near.first_name != NULL) {
        err_hint(b->cx->err, "Perhaps you meant to reference the column \"%s.%s\".", near.first->name, near.first_name);
    } else if (near.first != NULL) {
        err_hint(b->cx->err,
                 "There is a column named \"%s\" in table \"%s\", but it cannot be referenced from this part of the query.",
                 name, near.first->name);
    }
    return st;
}
