/*
 * base/map.c: the cold paths' map and the growth of VEC.
 *
 * The map is open addressing with linear probing on mix64(key) and no tombstones: a removal shifts later members of
 * the cluster back (Knuth, volume 3, algorithm 6.4R), so lookups never slow down with age.
 */
#include "base/map.h"

#include <string.h>

#include "base/rng.h"

static const uint64_t EMPTY_KEY = UINT64_MAX;

void u64map_init(U64Map *m, Budget *budget)
{
    *m = (U64Map){.budget = budget};
}

void u64map_done(U64Map *m)
{
    mem_free(m->budget, m->slots, m->capacity * sizeof *m->slots);
    u64map_init(m, m->budget);
}

static void set_all_empty(struct U64Slot *slots, size_t capacity)
{
    memset(slots, 0xff, capacity * sizeof *slots);
}

void u64map_clear(U64Map *m)
{
    if (m->count > 0) {
        set_all_empty(m->slots, m->capacity);
        m->count = 0;
    }
}

static size_t home(uint64_t key, size_t capacity)
{
    return (size_t)mix64(key) & (capacity - 1);
}

/* The slot that holds the key, or the empty one where it would go. */
static size_t find(const struct U64Slot *slots, size_t capacity, uint64_t key)
{
    size_t i = home(key, capacity);
    while (slots[i].key != key && slots[i].key != EMPTY_KEY) {
        i = (i + 1) & (capacity - 1);
    }
    return i;
}

bool u64map_reserve(U64Map *m, size_t count)
{
    if (count <= m->capacity / 4 * 3) {
        return true;
    }
    if (count > SIZE_MAX / 4 / sizeof *m->slots) {
        return false;
    }
    size_t capacity = m->capacity == 0 ? 16 : m->capacity;
    while (capacity / 4 * 3 < count) {
        capacity *= 2;
    }
    struct U64Slot *slots = mem_alloc(m->budget, capacity * sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    set_all_empty(slots, capacity);
    for (size_t i = 0; i < m->capacity; i++) {
        if (m->slots[i].key != EMPTY_KEY) {
            slots[find(slots, capacity, m->slots[i].key)] = m->slots[i];
        }
    }
    mem_free(m->budget, m->slots, m->capacity * sizeof *slots);
    m->slots = slots;
    m->capacity = capacity;
    return true;
}

bool u64map_put(U64Map *m, uint64_t key, uint64_t value)
{
    ASSERT(key != EMPTY_KEY);
    if (m->capacity > 0) {
        size_t i = find(m->slots, m->capacity, key);
        if (m->slots[i].key == key) {
            m->slots[i].value = value;
            return true;
        }
    }
    if (!u64map_reserve(m, m->count + 1)) {
        return false;
    }
    m->slots[find(m->slots, m->capacity, key)] = (struct U64Slot){key, value};
    m->count++;
    return true;
}

bool u64map_get(const U64Map *m, uint64_t key, uint64_t *out_value)
{
    ASSERT(key != EMPTY_KEY);
    if (m->count == 0) {
        return false;
    }
    const struct U64Slot *slot = &m->slots[find(m->slots, m->capacity, key)];
    if (slot->key != key) {
        return false;
    }
    *out_value = slot->value;
    return true;
}

/* Fills the hole with the next member of its cluster that may stand there, then the hole that leaves, and so on. */
static void close_hole(U64Map *m, size_t hole)
{
    size_t mask = m->capacity - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].key != EMPTY_KEY; i = (i + 1) & mask) {
        size_t from_home = (i - home(m->slots[i].key, m->capacity)) & mask;
        size_t from_hole = (i - hole) & mask;
        if (from_home >= from_hole) { /* its home is not after the hole: a probe for it would pass the hole */
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].key = EMPTY_KEY;
}

bool u64map_remove(U64Map *m, uint64_t key, uint64_t *out_value)
{
    ASSERT(key != EMPTY_KEY);
    if (m->count == 0) {
        return false;
    }
    size_t i = find(m->slots, m->capacity, key);
    if (m->slots[i].key != key) {
        return false;
    }
    if (out_value != NULL) {
        *out_value = m->slots[i].value;
    }
    close_hole(m, i);
    m->count--;
    return true;
}

bool u64map_next(const U64Map *m, size_t *io_cursor, uint64_t *out_key, uint64_t *out_value)
{
    while (*io_cursor < m->capacity) {
        const struct U64Slot *slot = &m->slots[(*io_cursor)++];
        if (slot->key != EMPTY_KEY) {
            *out_key = slot->key;
            *out_value = slot->value;
            return true;
        }
    }
    return false;
}

bool vec_grow(Budget *b, void **v, size_t *cap, size_t need, size_t elem_bytes)
{
    if (need > SIZE_MAX / 4 / elem_bytes) {
        return false;
    }
    size_t new_cap = *cap * 2 > need ? *cap * 2 : need;
    new_cap = new_cap < 8 ? 8 : new_cap;
    void *p = mem_realloc(b, *v, *cap * elem_bytes, new_cap * elem_bytes);
    if (p == NULL) {
        return false;
    }
    *v = p;
    *cap = new_cap;
    return true;
}
