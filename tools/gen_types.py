#!/usr/bin/env python3
"""Writes src/types/gen/*.def: facts of PostgreSQL 15's built-in objects, read from a running PostgreSQL 15 by psql.

    tools/gen_types.py [psql options: -h DIR -p PORT -U USER]

The output is checked in, and only this program writes it. What we decide ourselves (how a type lies in memory) stands here in
PHYS; all else is asked of the server: OIDs, names, signatures. Functions of all languages are listed, so that overload
resolution sees PostgreSQL's own candidates.
"""
import json
import os
import subprocess
import sys

PHYS = {
    'bool': 'P_BOOL', 'char': 'P_BOOL', 'int2': 'P_I16', 'int4': 'P_I32', 'date': 'P_I32', 'oid': 'P_I32',
    'xid': 'P_I32', 'cid': 'P_I32', 'int8': 'P_I64', 'timestamp': 'P_I64', 'timestamptz': 'P_I64', 'time': 'P_I64',
    'xid8': 'P_I64', 'tid': 'P_I64', 'pg_lsn': 'P_I64', 'float4': 'P_F32', 'float8': 'P_F64', 'interval': 'P_I128',
    'timetz': 'P_I128', 'uuid': 'P_I128', 'numeric': 'P_STR', 'void': 'P_BOOL',
    'reg': 'P_I32',
    **{name: 'P_STR' for name in '''text varchar bpchar name cstring unknown bytea int2vector oidvector aclitem
       refcursor pg_node_tree record any anyarray anyelement anynonarray anycompatible anycompatiblearray
       anycompatiblenonarray'''.split()},
}
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, 'src', 'types', 'gen')
SCHEMA = "(select oid from pg_namespace where nspname = 'pg_catalog')"


def query(sql):
    """All rows of a query as dictionaries."""
    done = subprocess.run(['psql', '-X', '-A', '-t', '-q', *sys.argv[1:], '-c',
                           f'select to_jsonb(x) from ({sql}) x'], check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def c_string(text):
    return 'NULL' if text is None else json.dumps(text, ensure_ascii=True)


def c_char(text):
    return f"'{text}'" if text else "0"


def c_bool(value):
    return 'true' if value else 'false'


def write(name, lines):
    os.makedirs(OUT, exist_ok=True)
    with open(os.path.join(OUT, name), 'w', encoding='ascii') as out:
        out.write('/* Written by tools/gen_types.py from a PostgreSQL 15. Do not edit. */\n')
        out.writelines(line + '\n' for line in lines)
    print(f'{name}: {len(lines)}')


def write_types():
    rows = query(f'''
        select oid::int8, typname, typlen, typbyval, typispreferred, typtype, typcategory, typalign, typstorage,
               typdelim, typelem::int8, typarray::int8, typcollation::int8, typinput::text as input,
               typoutput::text as output, typreceive::text as receive, typsend::text as send, typmodin::text as modin,
               typmodout::text as modout, typsubscript::text as subscript
        from pg_type where typnamespace = {SCHEMA} and oid < 10000
          and (typtype in ('b', 'p', 'r', 'm') or typname = 'record')
          and not exists (select from pg_type e where e.oid = pg_type.typelem and e.typtype in ('c', 'd'))
        order by oid''')
    names = {row['oid']: row['typname'] for row in rows}

    def phys(row):
        name = row['typname']
        if row['subscript'] == 'array_subscript_handler' and row['typname'].startswith('_'):
            return 'P_STR' if phys_of_name(names.get(row['typelem'], '')) != 'P_NONE' else 'P_NONE'
        return phys_of_name(name)

    def phys_of_name(name):
        return PHYS.get(name) or (PHYS['reg'] if name.startswith('reg') else 'P_NONE')

    write('types.def', [
        'TYPE({oid}, {0}, {1}, {typlen}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {typelem}, {typarray}, {typcollation}, '
        '"{input}", "{output}", "{receive}", "{send}", "{modin}", "{modout}", "{subscript}")'.format(
            c_string(row['typname']), phys(row), c_bool(row['typbyval']), c_bool(row['typispreferred']),
            c_char(row['typtype']), c_char(row['typcategory']), c_char(row['typalign']), c_char(row['typstorage']),
            c_char(row['typdelim']), **row) for row in rows])
    return set(names)


def write_functions(types):
    rows = query(f'''
        select p.oid::int8, proname, prokind, provolatile, proparallel, proisstrict, proretset, proleakproof,
               pronargdefaults, prorettype::int8, provariadic::int8, prorows::int8,
               (select coalesce(array_agg(a::int8 order by n), '{{}}')
                from unnest(proargtypes) with ordinality as u(a, n)) as args,
               proallargtypes::int8[] as all_args, proargmodes as modes, proargnames as arg_names,
               pg_get_expr(proargdefaults, 0) as defaults,
               case when l.lanname = 'sql'
                    then proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' else prosrc end as src,
               case l.lanname when 'internal' then 'i' when 'c' then 'c' else 's' end as language,
               (select string_agg(format_type(a, null), ', ' order by n)
                from unnest(proargtypes) with ordinality as u(a, n)) as signature
        from pg_proc p join pg_language l on l.oid = p.prolang
        where pronamespace = {SCHEMA} and p.oid < 10000 order by p.oid''')
    rows = [row for row in rows
            if row['prorettype'] in types and all(a in types for a in row['args'] + (row['all_args'] or []))]
    lines = []
    for row in rows:
        if row['language'] == 's':
            row['src'] = f"{row['proname']}({row['signature'] or ''})"
        flags = [flag for flag, on in (('FN_STRICT', row['proisstrict']), ('FN_RETSET', row['proretset']),
                                       ('FN_LEAKPROOF', row['proleakproof'])) if on]
        args = f"FN_ARGS({', '.join(map(str, row['args']))})" if row['args'] else 'NULL'
        all_args = f"FN_ARGS({', '.join(map(str, row['all_args']))}, 0)" if row['all_args'] else 'NULL'
        modes = ''.join(row['modes']) if row['modes'] else None
        names = ','.join(row['arg_names']) if row['arg_names'] else None
        lines.append(
            f"FN({row['oid']}, {c_string(row['proname'])}, {c_string(row['src'])}, {c_char(row['prokind'])}, "
            f"{c_char(row['provolatile'])}, {c_char(row['proparallel'])}, {c_char(row['language'])}, "
            f"{' | '.join(flags) or '0'}, {len(row['args'])}, {row['pronargdefaults']}, {row['prorettype']}, "
            f"{row['provariadic']}, {args}, {all_args}, {c_string(modes)}, {c_string(names)}, "
            f"{c_string(row['defaults'])}, {row['prorows']})")
    write('functions.def', lines)
    write_name_index('function_names.def', [row['proname'] for row in rows])
    return {row['oid'] for row in rows}


def write_name_index(file_name, names):
    """Row numbers in the order of (name bytes, OID)."""
    order = sorted(range(len(names)), key=lambda i: (names[i].encode(), i))
    write(file_name, [', '.join(map(str, order[i:i + 20])) + ',' for i in range(0, len(order), 20)])


def write_operators(types, functions):
    rows = query(f'''
        select oid::int8, oprname, oprleft::int8, oprright::int8, oprresult::int8, oprcom::int8, oprnegate::int8,
               oprcode::oid::int8 as fn, oprcanmerge, oprcanhash, oprrest::text as restrict_fn, oprjoin::text as join_fn
        from pg_operator where oprnamespace = {SCHEMA} and oid < 10000 order by oid''')
    rows = [row for row in rows if row['fn'] in functions and row['oprresult'] in types]
    write('operators.def', [
        'OPER({oid}, {0}, {oprleft}, {oprright}, {oprresult}, {oprcom}, {oprnegate}, {fn}, {1}, {2}, "{restrict_fn}", '
        '"{join_fn}")'.format(c_string(row['oprname']), c_bool(row['oprcanmerge']), c_bool(row['oprcanhash']), **row)
        for row in rows])
    write_name_index('operator_names.def', [row['oprname'] for row in rows])
    return {row['oid'] for row in rows}


def write_rest(types, functions, operators):
    rows = query('''select oid::int8, castsource::int8, casttarget::int8, castfunc::int8, castcontext, castmethod
                    from pg_cast where oid < 16384 order by castsource::int8, casttarget::int8''')
    write('casts.def', [
        'CAST({oid}, {castsource}, {casttarget}, {castfunc}, {0}, {1})'.format(
            c_char(row['castcontext']), c_char(row['castmethod']), **row)
        for row in rows if row['castsource'] in types and row['casttarget'] in types
        and (row['castfunc'] == 0 or row['castfunc'] in functions)])
    rows = query('''select aggfnoid::oid::int8 as fn, aggkind, aggnumdirectargs, aggsortop::int8,
                           aggtranstype::int8, aggtransfn::text as transfn, aggfinalfn::text as finalfn, agginitval
                    from pg_aggregate order by aggfnoid::oid::int8''')
    write('aggregates.def', [
        'AGG({fn}, {0}, {aggnumdirectargs}, {aggsortop}, {aggtranstype}, "{transfn}", "{finalfn}", {1})'.format(
            c_char(row['aggkind']), c_string(row['agginitval']), **row) for row in rows if row['fn'] in functions])
    rows = query(f'''select oid::int8, opcname, opcmethod::int8, opcfamily::int8, opcintype::int8, opckeytype::int8,
                            opcdefault
                     from pg_opclass where opcmethod in (403, 405) and opcnamespace = {SCHEMA} order by oid''')
    write('opclasses.def', [
        'OPCLASS({oid}, "{opcname}", {opcmethod}, {opcfamily}, {opcintype}, {opckeytype}, {0})'.format(
            c_bool(row['opcdefault']), **row) for row in rows if row['opcintype'] in types])
    rows = query('''select oid::int8, amopfamily::int8, amoplefttype::int8, amoprighttype::int8, amopstrategy,
                           amopopr::int8, amopmethod::int8
                    from pg_amop where amopmethod in (403, 405) and amoppurpose = 's'
                    order by amopfamily::int8, amoplefttype::int8, amoprighttype::int8, amopstrategy''')
    write('amops.def', [
        'AMOP({oid}, {amopfamily}, {amoplefttype}, {amoprighttype}, {amopstrategy}, {amopopr}, {amopmethod})'.format(
            **row) for row in rows if row['amopopr'] in operators])
    rows = query('''select oid::int8, collname, collprovider, collcollate from pg_collation
                    where oid < 1000 order by oid''')
    write('collations.def', [
        'COLLATION({oid}, "{collname}", {0}, {1})'.format(c_char(row['collprovider']), c_string(row['collcollate']),
                                                          **row) for row in rows])


def write_abbreviations():
    rows = query("""select abbrev, extract(epoch from utc_offset)::int as east_s, is_dst from pg_timezone_abbrevs
                    order by abbrev""")
    write('tz_abbreviations.def', [
        'TZ_ABBREVIATION("{abbrev}", {east_s}, {0})'.format(c_bool(row['is_dst']), **row) for row in rows])


def write_keywords():
    """Keywords that an identifier must be quoted for: all but the unreserved ones."""
    rows = query("select word from pg_get_keywords() where catcode <> 'U' order by word collate \"C\"")
    write('keywords.def', ['KEYWORD("{word}")'.format(**row) for row in rows])


def main():
    types = write_types()
    functions = write_functions(types)
    operators = write_operators(types, functions)
    write_rest(types, functions, operators)
    write_abbreviations()
    write_keywords()


if __name__ == '__main__':
    main()
