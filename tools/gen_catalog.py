#!/usr/bin/env python3
"""Writes src/catalog/gen/: the catalogs of a fresh PostgreSQL 15, as facts for our own catalog tables.

    tools/gen_catalog.py [psql options: -h DIR -p PORT -U USER]

The server must be freshly initialised with `initdb --locale=C --encoding=UTF8 -U postgres`. The output is checked in, and
only this program writes it:

    tables.def      CAT_TABLE, CAT_COLUMN, CAT_INDEX: definitions of all catalog tables (and information_schema's four)
    rows/NAME.def   the rows of one table as string literals in a form of COPY's text format, see encode()
    rows.inc        the list of those
    views.def       the system views as SQL text

The tables of information_schema have columns of domain types there; here they have the base types. What we leave out, because we do not have the thing: TOAST tables, ICU collations, statistics, and the parsed form of
views (pg_rewrite.ev_action). Sizes and statistics of relations are those of empty ones.
"""
import json
import os
import subprocess
import sys
from collections import Counter

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, 'src', 'catalog', 'gen')
HEAD = '/* Written by tools/gen_catalog.py from a PostgreSQL 15. Do not edit. */\n'
TABLES = """c.relkind = 'r' and c.relnamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"""
# Catalogs whose rows bootstrap writes itself, or that stay empty.
NO_ROWS = {'pg_database', 'pg_statistic', 'pg_shdescription'}
# Objects we do not have: OIDs that no row may mention.
SKIPPED = """(select oid from pg_class where relnamespace = 'pg_toast'::regnamespace
              union all select oid from pg_collation where collprovider = 'i')"""
WHERE = {
    'pg_class': 't.relnamespace <> \'pg_toast\'::regnamespace',
    'pg_attribute': f't.attrelid not in {SKIPPED}',
    'pg_index': f't.indexrelid not in {SKIPPED}',
    'pg_collation': "t.collprovider <> 'i'",
    'pg_description': f't.objoid not in {SKIPPED}',
    'pg_depend': f't.objid not in {SKIPPED} and t.refobjid not in {SKIPPED}',
    'pg_namespace': "t.nspname <> 'pg_toast'",
}
FIXED = {
    'pg_class': {'relpages': '0', 'reltuples': '-1', 'relallvisible': '0', 'reltoastrelid': '0', 'relfrozenxid': '3',
                 'relminmxid': '1'},
    'pg_rewrite': {'ev_action': '<>'},
    'pg_authid': {'rolpassword': None},
}


def query(sql):
    """All rows of a query as dictionaries."""
    done = subprocess.run(['psql', '-X', '-A', '-t', '-q', *sys.argv[1:], '-c', f'select to_jsonb(x) from ({sql}) x'],
                          check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def c_string(text):
    """A C string literal, ASCII only."""
    out = []
    for byte in text.encode():
        char = chr(byte)
        if char in '"\\':
            out.append('\\' + char)
        elif char == '\n':
            out.append('\\n')
        elif 32 <= byte < 127:
            out.append(char)
        else:
            out.append(f'\\{byte:03o}')
    return '"' + ''.join(out).replace('??', '?\\?') + '"'


def write(name, lines):
    path = os.path.join(OUT, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='ascii') as out:
        out.write(HEAD)
        out.writelines(line + '\n' for line in lines)


def tables():
    rows = query(f"""
        select c.oid::int8, c.relname, c.relnamespace::int8, c.relisshared, c.reltype::int8,
               (select json_agg(json_build_array(attname, coalesce(nullif(typbasetype, 0), atttypid)::int8, atttypmod, attnotnull, attcollation::int8)
                                order by attnum)
                from pg_attribute join pg_type y on y.oid = atttypid
                where attrelid = c.oid and attnum > 0) as columns,
               (select json_agg(json_build_array(indexrelid::int8, i.relname, indisunique, indisprimary, indkey::text)
                                order by indexrelid)
                from pg_index x join pg_class i on i.oid = indexrelid where indrelid = c.oid) as indexes
        from pg_class c where {TABLES} order by c.oid""")
    lines = []
    for t in rows:
        lines.append(f"CAT_TABLE({t['oid']}, {t['relname']}, {t['relnamespace']}, {int(t['relisshared'])}, {t['reltype']})")
        for name, oid, typmod, notnull, collation in t['columns']:
            lines.append(f'CAT_COLUMN({t["relname"]}, {name}, {oid}, {typmod}, {int(notnull)}, {collation})')
        for oid, name, unique, primary, keys in t['indexes'] or []:
            lines.append(f'CAT_INDEX({t["relname"]}, {oid}, {name}, {int(unique)}, {int(primary)}, '
                         f'{", ".join(keys.split())})')
    write('tables.def', lines)
    return rows


def encode(value, default, name):
    """A field: empty = the column's default, ~ = NULL, \\e = the empty string, \\= the row's second column, else escaped."""
    if value == default:
        return ''
    if value is None:
        return '~'
    if value == '':
        return '\\e'
    if value == name and len(value) > 2:
        return '\\='
    text = value.replace('\\', '\\\\').replace('|', '\\p').replace('\n', '\\n')
    return '\\~' if text == '~' else text


def column_text(name, type_oid):
    if name == 'atttypid':
        return """(select coalesce(case when c.relkind = 'r' then nullif(y.typbasetype, 0) end, t.atttypid)
                    from pg_type y, pg_class c where y.oid = t.atttypid and c.oid = t.attrelid)::text as atttypid"""
    reg = {24: 'oid', 2205: 'oid', 2206: 'oid'}
    cast = f'::{reg[type_oid]}' if type_oid in reg else ''
    return f't.{name}{cast}::text as {name}'


def rows_of(table):
    """The rows of a table. The first is the defaults: each column's most frequent value, which other rows leave empty."""
    name = table['relname']
    schema = 'pg_catalog' if table['relnamespace'] == 11 else 'information_schema'
    columns = [c[0] for c in table['columns']]
    select = ', '.join(column_text(c[0], c[1]) for c in table['columns'] if c[0] != 'ev_action')
    rows = query(f"select {select} from {schema}.{name} t where {WHERE.get(name, 'true')} order by t::text collate \"C\"")
    for row in rows:
        row.update(FIXED.get(name, {}))
    if not rows:
        return None
    defaults = {c: Counter(row[c] for row in rows).most_common(1)[0][0] for c in columns}
    lines = [c_string('|'.join(encode(defaults[c], object(), None) for c in columns) + '\n')]
    first = columns[0]
    for row in sorted(rows, key=lambda r: (int(r[first]) if (r[first] or '').isdigit() else 0, str(r))):
        second = columns[1]
        fields = [encode(row[c], defaults[c], None if c == second else row[second]) for c in columns]
        while fields and fields[-1] == '':
            fields.pop()
        lines.append(c_string('|'.join(fields) + '\n'))
    return lines


def views():
    rows = query("""select c.oid::int8, n.nspname, c.relname, pg_get_viewdef(c.oid) as text
                    from pg_class c join pg_namespace n on n.oid = c.relnamespace where relkind = 'v' order by c.oid""")
    write('views.def', [f'CAT_VIEW({r["oid"]}, "{r["nspname"]}", "{r["relname"]}", {c_string(r["text"])})' for r in rows])


def main():
    all_tables = tables()
    listed = []
    for table in all_tables:
        lines = None if table['relname'] in NO_ROWS else rows_of(table)
        if lines:
            write(f"rows/{table['relname']}.def", lines)
            listed.append(table['relname'])
    write('rows.inc', [f'static const char rows_{n}[] =\n#include "catalog/gen/rows/{n}.def"\n    ;' for n in listed] +
          ['static const CatRows cat_rows[] = {'] + [f'    {{CAT_{n}, rows_{n}, sizeof rows_{n} - 1}},' for n in listed] +
          ['};'])
    views()


main()
