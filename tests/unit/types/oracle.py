#!/usr/bin/env python3
"""Compares functions, operators, casts and text input of src/types with a running PostgreSQL 15, value by value.

    oracle.py EVAL [--seed N] [--rounds N] [--only NAME] [psql options ...]

EVAL is the program types_eval. Every function that has a kernel is called with generated arguments of each of its types
(polymorphic ones with int4, text and numeric), on both sides; results are compared as text, errors by SQLSTATE. What is
known to differ stands in KNOWN, with the reason. Exit 1 when something else differs.
"""
import argparse
import random
import subprocess
import sys
import time

# prosrc or "cast a b" -> why it may differ.
KNOWN = {
    'now': 'the clock', 'statement_timestamp': 'the clock', 'clock_timestamp': 'the clock',
    'drandom': 'random', 'interval_scale': 'typmods that no parser makes',
}
TYPES = {16: 'bool', 17: 'bytea', 18: '"char"', 19: 'name', 20: 'int8', 21: 'int2', 23: 'int4', 25: 'text', 26: 'oid',
         27: 'tid', 28: 'xid', 29: 'cid', 700: 'float4', 701: 'float8', 1042: 'bpchar', 1043: 'varchar', 1082: 'date',
         1083: 'time', 1114: 'timestamp', 1184: 'timestamptz', 1186: 'interval', 1266: 'timetz', 1700: 'numeric',
         2950: 'uuid', 3220: 'pg_lsn', 5069: 'xid8', 22: 'int2vector', 30: 'oidvector', 1007: '_int4', 1009: '_text',
         1231: '_numeric', 1016: '_int8', 1005: '_int2', 1022: '_float8', 1000: '_bool', 1115: '_timestamp'}
ARRAY_OF = {23: 1007, 25: 1009, 1700: 1231, 20: 1016, 21: 1005, 701: 1022, 16: 1000, 1114: 1115}

INTS = ['0', '1', '-1', '2', '3', '7', '10', '100', '-100', '42']
FLOATS = ['0', '-0', '1', '-1', '0.5', '2.5', '-2.5', '3.5', '1e10', '1e15', '1e16', '123456.789', '1e-5', '1e-320',
          '1e300', '-1e300', '1e308', 'NaN', 'Infinity', '-Infinity', '0.1', '30', '45', '60', '90', '180', '3.14159265',
          '1e38', '123456789', '1e100', '0.3']
NUMERICS = ['0', '0.00', '1', '-1', '1.10', '1.1', '0.5', '2.5', '-2.5', '3', '10', '100000', '0.00001', '99999.99',
            '-12345.678', '123456789012345678', '1234567890123456789012345678.901234', 'NaN', 'Infinity', '-Infinity',
            '1e20', '1e-20', '999999999.999999999', '1000000000', '0.000000001', '12345678901234567890.12345678901234',
            '2', '0.1', '7.000', '1e100', '3.3e-50', '33', '17', '0.9999', '1.0001']
TEXTS = ['', 'a', 'abc', 'Abc', 'hello world', 'aXbXc', '  trim  ', 'é', 'naïve Straße', '日本語テキスト', 'x' * 13, 'ab' * 40,
         "it's", 'back\\slash', 'a,b,,c', 'NULL', '%', '_', 'a%b', 'Zebra', 'select', '12', '-3.5', 'MiXeD caSe wOrd',
         'true', '\n', 'tab\there', 'a b', '{1,2}', 'abcdefghijklm', 'abcdefghijkl', '100', ',', 'X', 'b', 'lo']
DATES = ['2000-01-01', '1999-12-31', '2024-02-29', '2024-01-31', '1970-01-01', '0001-01-01', '4713-01-01 BC',
         'infinity', '-infinity', '2024-03-10', '2024-11-03', '9999-12-31', '1900-02-28', '0044-03-15 BC', '20240102',
         'January 8, 1999', '1999-Jan-08', '2024-12-30', '5874897-12-31']
TIMES = ['00:00', '04:05:06', '23:59:59.999999', '24:00:00', '12:34:56.789', '04:05 PM', '12:00 am', '1:2:3.4', '040506']
ZONES = ['', 'Z', '+00', '-08', '+05:30', ' America/New_York', ' EST', ' Europe/Paris', '-0330']
INTERVALS = ['0', '1 day', '1 month', '1 year 2 mons', '-1 year 2 mons', '1 day 25 hours', '1.5 months', '04:05:06.789',
             '-3 days', '1 mon -1 day', '100 years', '2 weeks', '90 minutes', '1:30', 'P1Y2M3DT4H5M6S', '1-2', '3 4:05:06',
             '@ 1 minute ago', '-1 day +02:03', '0.1 sec', '1.5 years', '1.25 days', '30 days', '24 hours', '-0.7 months',
             '1 century', '1 decade 3 microseconds', '99999 hours']


def gen_int(rng, bits, signed=True):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    pick = rng.random()
    if pick < 0.5:
        value = int(rng.choice(INTS))
    elif pick < 0.7:
        value = rng.choice([low, high, low + 1, high - 1])
    else:
        value = rng.randint(low, high) >> rng.randint(0, bits - 1)
    return str(max(low, min(high, value)))


def gen_numeric(rng):
    if rng.random() < 0.6:
        return rng.choice(NUMERICS)
    digits = rng.randint(1, rng.choice([4, 10, 20, 45]))
    text = str(rng.randint(0, 10 ** digits))
    point = rng.randint(0, len(text))
    text = text[:point] + ('.' + text[point:] if point < len(text) else '')
    text = text if not text.startswith('.') else '0' + text
    return rng.choice(['', '-']) + text


def gen_date(rng):
    if rng.random() < 0.6:
        return rng.choice(DATES)
    return f'{rng.randint(1, 3000):04d}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}'


def gen_time(rng):
    return rng.choice(TIMES) if rng.random() < 0.5 else (
        f'{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}.{rng.randint(0, 999999):06d}')


def gen_timestamp(rng):
    date = gen_date(rng)
    if 'infinity' in date or date == '5874897-12-31':
        return date if 'infinity' in date else '294276-12-31 23:59:59'
    if ' BC' in date:
        return date.replace(' BC', ' ' + gen_time(rng) + ' BC')
    return date + ' ' + gen_time(rng)


def gen_array(rng, elem):
    if rng.random() < 0.1:
        return '{}'

    def item():
        if rng.random() < 0.15:
            return 'NULL'
        text = gen(rng, elem)
        return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'
    if rng.random() < 0.15:
        return '{{' + ','.join(item() for _ in range(2)) + '},{' + ','.join(item() for _ in range(2)) + '}}'
    body = '{' + ','.join(item() for _ in range(rng.randint(1, 4))) + '}'
    if rng.random() < 0.1:
        count = body.count('",') + body.count('NULL,') + 1
        return f'[2:{count + 1}]=' + body
    return body


def gen(rng, oid):
    """A text that the type reads (mostly)."""
    if oid in (21, 23, 20):
        return gen_int(rng, {21: 16, 23: 32, 20: 64}[oid])
    if oid in (26, 28, 29):
        return gen_int(rng, 32, False)
    if oid == 5069:
        return gen_int(rng, 64, False)
    if oid == 16:
        return rng.choice('tf')
    if oid in (700, 701):
        text = rng.choice(FLOATS) if rng.random() < 0.7 else repr(rng.uniform(-1000, 1000))
        return '1e30' if oid == 700 and ('e300' in text or 'e308' in text or 'e100' in text or '320' in text) else text
    if oid == 1700:
        return gen_numeric(rng)
    if oid in (25, 1043, 1042, 19, 2275, 705):
        return rng.choice(TEXTS) if rng.random() < 0.8 else ''.join(
            rng.choice('ab%_\\cXé ') for _ in range(rng.randint(0, 20)))
    if oid == 18:
        return rng.choice('aZ0 ~')
    if oid == 17:
        return '\\x' + ''.join(rng.choice('0123456789abcdef') for _ in range(2 * rng.randint(0, 20)))
    if oid == 1082:
        return gen_date(rng)
    if oid == 1083:
        return gen_time(rng)
    if oid == 1266:
        return gen_time(rng) + rng.choice(['Z', '+00', '-08', '+05:30', '-0330'])
    if oid == 1114:
        return gen_timestamp(rng)
    if oid == 1184:
        stamp = gen_timestamp(rng)
        return stamp if 'infinity' in stamp or ' BC' in stamp else stamp + rng.choice(ZONES)
    if oid == 1186:
        return rng.choice(INTERVALS) if rng.random() < 0.7 else (
            f'{rng.randint(-50, 50)} mons {rng.randint(-50, 50)} days {rng.randint(-99, 99)}:{rng.randint(0, 59)}:00')
    if oid == 2950:
        return '%032x' % rng.getrandbits(128)
    if oid == 27:
        return f'({rng.randint(0, 99)},{rng.randint(0, 9)})'
    if oid == 3220:
        return f'{rng.randint(0, 99):X}/{rng.getrandbits(32):X}'
    if oid in (22, 30):
        return ' '.join(gen_int(rng, 15, False) for _ in range(rng.randint(0, 4)))
    for elem, array in ARRAY_OF.items():
        if array == oid:
            return gen_array(rng, elem)
    return None


def broken(rng, text):
    """A text with a small accident, for the error paths of input functions."""
    if not text or rng.random() < 0.8:
        return text
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(['', 'x', ' ', '9', '-', '.', ':']) + text[at + rng.randint(0, 1):]


def psql(args, sql):
    done = subprocess.run(['psql', '-X', '-A', '-t', '-q', *args, '-c', sql], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


# Functions whose cost in PostgreSQL explodes with the size of their arguments.
SMALL = ('numeric_power', 'numeric_exp', 'numeric_ln', 'numeric_log', 'numeric_sqrt', 'log(numeric)',
         'generate_series_numeric', 'generate_series_step_numeric')
SMALL_NUMERICS = ['0', '1', '-1', '2', '0.5', '-0.5', '1.5', '3', '10', '100', '-3', '0.001', '99.99', '12.34567', '1.1', '0.9',
                  '7.25', '1e-10', '16', '17', '0.00001', '123456.789', '-2', 'NaN', 'Infinity', '-Infinity', '1.0000000001',
                  '33.333333333333333333', '0.25', '1000', '20', '5.000', '1e10']
ZONE_NAMES = ['UTC', 'America/New_York', 'Europe/Paris', 'EST', 'CEST', 'Asia/Kolkata', 'nosuch', 'europe/london',
              'Australia/Lord_Howe', 'UTC+3', '<+03>-3', 'EST5EDT']

PATTERNS = ['a', 'b+', '^a', 'c$', '[a-c]+', '[^a]', '(a|ab)(c|bcd)(d*)', 'x*', '\\d+', '\\mw', 'o\\M', '\\s', '(', '[', '*a',
            'a{2}', 'a{2,1}', '^(.*)$', '(?i)ABC', '***=a.b', 'foo|foobar', 'l+?', '.', '', '(b)?a', 'h.*o', '[[:alpha:]]+',
            '[]a]', '\\Aa', 'd\\Z', '(a)\\1', 'a|b|', '\\', 'é', '^(pg_catalog|public)$', '^(abc)$']
LIKES = ['%', '_', 'a%', '%c', '%b%', 'a_c', '__', '%l_ w%', '\\%', 'a\\', '%\\_%', 'é', '%ï%', 'ABC', 'hello%', '%a%b%', '',
         '%%', '_%_', 'a\\%b', '%é', 'abc']

POLY = {2283: 0, 2776: 0, 2277: 1, 5077: 0, 5078: 1, 5079: 0, 2276: 0}


def instances(row):
    """Argument and result types, polymorphic ones made concrete."""
    args, result = row['args'], row['result']
    if not any(a in POLY for a in args):
        return [(args, result)]
    found = []
    for elem in (23, 25, 1700, 701, 20):
        def concrete(oid, chosen=elem):
            return oid if oid not in POLY else ARRAY_OF[chosen] if POLY[oid] else chosen
        found.append(([concrete(a) for a in args], concrete(result)))
    return found


def escape(text):
    return '\\N' if text is None else text.replace('\\', '\\\\').replace('\t', '\\t').replace('\n', '\\n').replace('\r', '\\r')


def literal(text, oid):
    return f'NULL::{TYPES[oid]}' if text is None else "'" + text.replace("'", "''") + f"'::{TYPES[oid]}"


SETUP = '''
set standard_conforming_strings = on; set timezone = 'America/New_York'; set datestyle = 'ISO, MDY';
set extra_float_digits = 1; set intervalstyle = postgres; set client_min_messages = error;
create or replace function pg_temp.run(q text) returns text language plpgsql as $$
declare r text;
begin
  execute q into r;
  return case when r is null then 'N' else 'V' || chr(9) || r end;
exception when others then
  return 'E' || chr(9) || sqlstate || chr(9) || sqlerrm;
end $$;
'''


def ask_postgres(args, queries, batch=250):
    """One answer a query; 'T' where PostgreSQL takes longer than the limit."""
    answers = []
    for start in range(0, len(queries), batch):
        part = queries[start:start + batch]
        lines = [SETUP, f"set statement_timeout = '{4 if batch > 1 else 1}s'; create temp table q(i int, q text);",
                 'copy q from stdin;']
        lines += [f'{i}\t{escape(q)}' for i, q in enumerate(part)]
        lines += ['\\.', 'copy (select i, pg_temp.run(q) from q order by i) to stdout;']
        done = subprocess.run(['psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', *args], input='\n'.join(lines),
                              capture_output=True, encoding='utf-8', errors='replace', check=False)
        got = [unescape(line.split('\t', 1)[1]) for line in done.stdout.splitlines() if '\t' in line]
        if done.returncode == 0 and len(got) == len(part):
            answers += got
        elif batch == 1:
            answers.append('T')
        else:
            answers += ask_postgres(args, part, 25 if batch > 25 else 1)
    return answers


def unescape(text):
    out, i = [], 0
    while i < len(text):
        if text[i] == '\\' and i + 1 < len(text):
            out.append({'t': '\t', 'n': '\n', 'r': '\r', 'b': '\b', 'f': '\f', 'v': '\v'}.get(text[i + 1], text[i + 1]))
            i += 2
        else:
            out.append(text[i])
            i += 1
    return ''.join(out)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('eval')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--rounds', type=int, default=8)
    parser.add_argument('--only')
    parser.add_argument('--show', type=int, default=3)
    parser.add_argument('--dump', help='writes the lines for EVAL to a file')
    options, args = parser.parse_known_args()
    rng = random.Random(options.seed)
    ours = set(subprocess.run([options.eval, '--list'], capture_output=True, text=True, check=True).stdout.split())
    rows = []
    for line in psql(args, f'''select p.oid, proname, replace(prosrc, '|', ' '), prorettype::oid, array_to_string(proargtypes::oid[], ','),
                               proretset, provolatile from pg_proc p
                               where p.oid in ({','.join(ours)}) and prokind = 'f' order by 1'''):
        oid, name, src, result, arg_types, retset, volatile = line.split('|')
        rows.append({'oid': int(oid), 'name': name, 'src': src, 'result': int(result), 'retset': retset == 't',
                     'args': [int(a) for a in arg_types.split(',') if a], 'volatile': volatile})
    jobs = []  # (label, line for us, query for PostgreSQL)
    for row in rows:
        if options.only and options.only not in (row['name'], row['src']) or row['src'] in KNOWN:
            continue
        for arg_types, result in instances(row):
            if not all(a in TYPES for a in arg_types):
                continue
            for _ in range(options.rounds):
                texts = [None if rng.random() < 0.03 else gen(rng, a) for a in arg_types]
                if row['retset'] or row['name'] in ('repeat', 'lpad', 'rpad', 'factorial'):
                    texts = [t if a not in (20, 23) or t is None else str(int(t) % 50 - 10)
                             for t, a in zip(texts, arg_types)]
                if row['src'] in ('bpchar', 'varchar', 'numeric'):
                    texts[1] = str(rng.choice([-1, 4, 5, 9, 40, 262150, 655374]))
                if 'regex' in row['src']:
                    texts[1] = rng.choice(PATTERNS)
                    if len(texts) > 3:
                        texts[3] = rng.choice(['', 'g', 'i', 'gi', 'q', 'gn'])
                if 'like' in row['src'] and 'escape' not in row['src'] and arg_types[1] == 25:
                    texts[1] = rng.choice(LIKES)
                if row['src'] in SMALL:
                    texts = [t if a != 1700 or t is None else rng.choice(SMALL_NUMERICS) for t, a in zip(texts, arg_types)]
                if row['src'].startswith(('timestamp_zone', 'timestamptz_zone')):
                    texts[0] = rng.choice(ZONE_NAMES)
                call = f"pg_catalog.\"{row['name']}\"({', '.join(literal(t, a) for t, a in zip(texts, arg_types))})"
                shown = f'textin(bpcharout({call}))' if result == 1042 else f'({call})::text'
                if result == 16:
                    shown = f"case when {call} then 't' when not {call} then 'f' end"
                query = f'select {shown}'
                if row['retset']:
                    query = (f"select coalesce(string_agg(coalesce(x::text, '\\N'), '|'), '') from "
                             f"(select {call} as x limit 300) s")
                jobs.append((f"{row['name']}({','.join(TYPES[a] for a in arg_types)})",
                             '\t'.join(['fn', str(row['oid']), str(result), ','.join(map(str, arg_types)),
                                        *map(escape, texts)]), query))
    if not options.only:
        jobs += cast_jobs(rng, options.rounds, psql(args, "select castsource::oid, casttarget::oid from pg_cast order by 1, 2"))
    if options.only == 'in':
        jobs += cast_jobs(rng, options.rounds, [])
    report(options, args, jobs)


def cast_jobs(rng, rounds, casts):
    """Casts of pg_cast, input of every type, output and typmods through text."""
    pairs = {(int(a), int(b)) for a, b in (line.split('|') for line in casts)}
    pairs |= {(25, oid) for oid in TYPES} | {(oid, 25) for oid in TYPES}
    pairs |= {(a, b) for a in ARRAY_OF.values() for b in ARRAY_OF.values() if a not in (1009, 1000, 1115)}
    mods = {1043: [(5, '(1)'), (9, '(5)')], 1042: [(5, '(1)'), (9, '(5)')],
            1700: [((4 << 16 | 2) + 4, '(4,2)'), ((20 << 16 | 5) + 4, '(20,5)'), ((50 << 16 | 10) + 4, '(50,10)')],
            1114: [(3, '(3)')], 1184: [(0, '(0)')], 1083: [(2, '(2)')]}
    jobs = []
    for a, b in sorted(pairs):
        if a not in TYPES or b not in TYPES or (a == b and b not in mods):
            continue
        for typmod, text_mod in [(-1, '')] + mods.get(b, []):
            if a == b and typmod == -1 or (b == 1042 and typmod == -1):
                continue
            for _ in range(rounds):
                text = broken(rng, gen(rng, b)) if a == 25 else gen(rng, a)
                target = TYPES[b] + text_mod
                value = f'({literal(text, a)})::{target}'
                shown = f"case when {value} then 't' when not {value} then 'f' end" if b == 16 else f'{value}::text'
                if b == 1042:
                    shown = f"replace({value}::cstring::text, '', '')" if False else f'textin(bpcharout({value}))'
                jobs.append((f'cast {TYPES[a]} {target}', '\t'.join(['cast', str(a), str(b), str(typmod), escape(text)]),
                             f'select {shown}'))
    return jobs


def report(options, args, jobs):
    begin = time.time()
    if options.dump:
        with open(options.dump, 'w', encoding='utf-8') as out:
            out.writelines(f'{line}\n' for _, line, _ in jobs)
    theirs = ask_postgres(args, [query for _, _, query in jobs])
    middle = time.time()
    mine = subprocess.run([options.eval], input='\n'.join(line for _, line, _ in jobs) + '\n', capture_output=True,
                          encoding='utf-8', errors='replace', check=False)
    got = [unescape(line) for line in mine.stdout.split('\n')[:-1]]
    if len(got) != len(jobs):
        print(f'types_eval stopped at: {jobs[len(got)][:2]} {mine.stderr[-2000:]}')
        sys.exit(1)
    print(f'PostgreSQL {middle - begin:.1f} s, here {time.time() - middle:.1f} s')
    differing = {}
    messages = {}
    for (label, line, query), want, have in zip(jobs, theirs, got):
        if 'cmp(' in label and want.startswith('V'):  # the sign is what counts
            want = 'V\t' + str((int(want[2:]) > 0) - (int(want[2:]) < 0))
        want_key = want.split('\t')[:2] if want.startswith('E') else want.split('\t', 1)
        have_key = have.split('\t')[:2] if have.startswith('E') else have.rstrip('\t').split('\t', 1) if have.startswith('N') else have.split('\t', 1)
        if want == 'T':
            print(f'PostgreSQL takes too long: {query}')
            continue
        if want_key != have_key:
            differing.setdefault(label, []).append((query, want, have))
        elif want.startswith('E') and want != have:
            messages.setdefault(label, []).append((query, want, have))
    for label, cases in differing.items():
        for query, want, have in cases[:options.show]:
            print(f'{label}: {query}\n    PostgreSQL {want!r}\n    here       {have!r}')
    for label, cases in list(messages.items()):
        for query, want, have in cases[:1]:
            print(f'text of {label}: {query}\n    PostgreSQL {want!r}\n    here       {have!r}')
    bad = sum(len(cases) for cases in differing.values())
    print(f'seed {options.seed}: {len(jobs)} calls, {bad} differ in {len(differing)} functions and casts, '
          f'{sum(map(len, messages.values()))} error texts differ')
    sys.exit(bad > 0)


if __name__ == '__main__':
    main()
