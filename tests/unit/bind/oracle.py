#!/usr/bin/env python3
"""Asks a PostgreSQL 15 what is wrong with each statement of errors.sql and prints errors.def:
    tools/oracle.sh tests/unit/bind/oracle.py > tests/unit/bind/errors.def
"""
import ctypes
import os
import sys

pq = ctypes.CDLL('libpq.so.5')
for name, kinds in (('PQconnectdb', [ctypes.c_char_p]), ('PQexec', [ctypes.c_void_p, ctypes.c_char_p])):
    getattr(pq, name).restype = ctypes.c_void_p
    getattr(pq, name).argtypes = kinds
pq.PQresultErrorField.restype = ctypes.c_char_p
pq.PQresultErrorField.argtypes = [ctypes.c_void_p, ctypes.c_int]
db = pq.PQconnectdb(b'dbname=postgres client_encoding=UTF8')


def run(sql):
    result = pq.PQexec(db, sql.encode())
    return [(pq.PQresultErrorField(result, ord(f)) or b'').decode() for f in 'CPMDH']


def quote(s):
    return '"' + s.replace('\\', '\\\\').replace('"', '\\"') + '"'


for sql in ("create table t(a int primary key, b text not null default 'x', c numeric(10,2), check (a > 0))",
            'create table u(a int, d varchar(3), e timestamp)'):
    assert run(sql)[0] == '', run(sql)
print('/* Made by oracle.py from errors.sql and a PostgreSQL 15. ERROR_CASE(sql, sqlstate, position, message, detail, hint) */')
here = os.path.dirname(os.path.abspath(__file__))
for sql in open(os.path.join(here, 'errors.sql'), encoding='utf-8').read().splitlines():
    run('begin')
    state, position, message, detail, hint = run(sql)
    run('rollback')
    if state == '':
        print('no error:', sql, file=sys.stderr)
        continue
    print(f'ERROR_CASE({quote(sql)}, "{state}", {position or 0},\n           {quote(message)}, {quote(detail)}, {quote(hint)})')
