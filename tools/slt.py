#!/usr/bin/python3
"""Runs sqllogictest files against a server that speaks PostgreSQL's protocol.

    tools/slt.py [options] FILE-OR-FOLDER ...

Each file runs in a database of its own, created and dropped here. Records as described in
https://www.sqlite.org/sqllogictest, with PostgreSQL's SQLSTATE after `statement error`, and our additions: type U (text
exactly), B (boolean as t or f), `connection NAME` (the next record runs on a second connection), .gz files.
Records listed in a KNOWN_PG15.tsv above the file (script, line, reason) are left out.
Ends with the line `N passed, N failed, N skipped`; the status is 0 only when something ran and nothing failed.
"""
import argparse
import gzip
import hashlib
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pgwire import Connection, PgError  # noqa: E402

ENGINE = "postgresql"
CUT = 20  # failures shown per file


class Record:
    def __init__(self, line, lines):
        self.line, self.lines = line, lines


def read_records(path):
    """Yields records: blocks of lines between blank ones, without comment lines."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as f:
        start, block = 0, []
        for number, text in enumerate(f, 1):
            text = text.rstrip("\r\n")
            if text.strip() == "":
                if block:
                    yield Record(start, block)
                block = []
            elif block or not text.startswith("#"):
                if not block:
                    start = number
                block.append(text)
        if block:
            yield Record(start, block)


def show(value, kind):
    """A value as the file writes it."""
    if value is None:
        return "NULL"
    text = value.decode("utf-8", "surrogateescape")
    if kind == "I":
        try:
            return str(int(text))
        except ValueError:
            try:
                return str(int(float(text)))
            except ValueError:
                return {"t": "1", "f": "0"}.get(text, text)
    if kind == "R":
        try:
            return f"{float(text):.3f}"
        except ValueError:
            return text
    if kind == "B":
        return text
    if kind == "U":
        return (text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
                or "(empty)")
    return "".join(c if " " <= c <= "~" else "@" for c in text) or "(empty)"


class Runner:
    def __init__(self, options):
        self.options = options
        self.passed = self.failed = self.skipped = 0
        self.labels = {}

    def connect(self, database):
        o = self.options
        return Connection(host=o.host, port=o.port, user=o.user, database=database, password=o.password)

    # ---- one file ----

    def run_file(self, path, known):
        admin = self.connect(self.options.database)
        name = f"slt_{os.getpid()}"
        admin.query(f"DROP DATABASE IF EXISTS {name}")
        admin.query(f"CREATE DATABASE {name}")
        self.connections = {"": self.connect(name)}
        self.database, self.labels, self.shown = name, {}, 0
        before = self.failed
        try:
            for record in read_records(path):
                if not self.run_record(path, record, known):
                    break
        except ConnectionError as e:
            self.fail(path, record.line, f"connection lost: {e}")
        for c in self.connections.values():
            c.close()
        self.drop(admin, name)
        admin.close()
        return self.failed == before

    @staticmethod
    def drop(admin, name):
        for attempt in range(50):
            try:
                admin.query(f"DROP DATABASE IF EXISTS {name}")
                return
            except PgError:
                if attempt == 49:
                    raise
                time.sleep(0.1)

    def fail(self, path, line, text):
        self.failed += 1
        self.shown += 1
        if self.shown <= CUT:
            print(f"{path}:{line}: {text}", flush=True)

    # ---- one record ----

    def run_record(self, path, record, known):
        """False: the file ends here."""
        lines, connection = list(record.lines), ""
        while lines:
            words = lines[0].split()
            if words[0] == "skipif" and words[1] == ENGINE or words[0] == "onlyif" and words[1] != ENGINE:
                return True
            if words[0] == "connection":
                connection = words[1]
            elif words[0] == "halt":
                return False
            elif words[0] in ("skipif", "onlyif", "hash-threshold"):
                pass
            else:
                break
            lines.pop(0)
        if not lines:
            return True
        if record.line in known or any(record.line + i in known for i in range(len(record.lines))):
            self.skipped += 1
            return True
        problem = self.execute(lines, self.connection(connection))
        if problem:
            self.fail(path, record.line, problem)
        else:
            self.passed += 1
        return True

    def connection(self, name):
        if name not in self.connections:
            self.connections[name] = self.connect(self.database)
        return self.connections[name]

    def execute(self, lines, connection):
        words = lines[0].split()
        if words[0] == "statement":
            return self.statement(words, "\n".join(lines[1:]), connection)
        if words[0] == "query":
            at = next((i for i, text in enumerate(lines) if text.rstrip() == "----"), len(lines))
            return self.query(words, "\n".join(lines[1:at]), lines[at + 1:], connection)
        return f"unknown record: {lines[0]}"

    @staticmethod
    def statement(words, sql, connection):
        try:
            results = connection.query(sql)
        except PgError as e:
            if words[1] != "error":
                return str(e)
            return f"expected {words[2]}, got {e}" if len(words) > 2 and words[2] != e.sqlstate else None
        if words[1] == "error":
            return "expected an error, got none"
        if words[1] == "count":
            count = results[-1].tag.split()[-1]
            return f"expected {words[2]} rows, got {count}" if count != words[2] else None
        return None

    def query(self, words, sql, expected, connection):
        types = words[1] if len(words) > 1 else ""
        sort = words[2] if len(words) > 2 else "nosort"
        label = words[3] if len(words) > 3 else None
        try:
            result = connection.query(sql)[-1]
        except PgError as e:
            return str(e)
        if result.rows and len(result.rows[0]) != len(types):
            return f"expected {len(types)} columns, got {len(result.rows[0])}"
        rows = [[show(v, types[i]) for i, v in enumerate(row)] for row in result.rows]
        if sort == "rowsort":
            rows.sort()
        values = [v for row in rows for v in row]
        if sort == "valuesort":
            values.sort()
        if label is not None:
            digest = hashlib.md5("\n".join(values).encode("utf-8", "surrogateescape")).hexdigest()
            if self.labels.setdefault(label, digest) != digest:
                return f"result differs from that of label {label}"
        return self.compare(values, expected)

    @staticmethod
    def compare(values, expected):
        if len(expected) == 1 and " values hashing to " in expected[0]:
            count, digest = expected[0].split(" values hashing to ")
            got = hashlib.md5("".join(v + "\n" for v in values).encode("utf-8", "surrogateescape")).hexdigest()
            if int(count) != len(values) or digest != got:
                return f"expected {expected[0]}, got {len(values)} values hashing to {got}"
            return None
        if values == expected:
            return None
        for i in range(max(len(values), len(expected))):
            got = values[i] if i < len(values) else "(nothing)"
            want = expected[i] if i < len(expected) else "(nothing)"
            if got != want:
                return f"value {i + 1} of {len(values)}: expected {want!r}, got {got!r}"
        return None


def find_known(path):
    """Lines to leave out, from the nearest KNOWN_PG15.tsv above the file."""
    folder = os.path.dirname(os.path.abspath(path))
    while folder != "/":
        table = os.path.join(folder, "KNOWN_PG15.tsv")
        if os.path.exists(table):
            script = os.path.relpath(os.path.abspath(path), folder)
            names = {script, script.removesuffix(".gz")}
            with open(table, encoding="utf-8") as f:
                rows = [line.split("\t") for line in f if not line.startswith("#")]
            return {int(r[1]) for r in rows if r[0] in names}
        folder = os.path.dirname(folder)
    return set()


def find_files(arguments):
    for a in arguments:
        if os.path.isdir(a):
            for folder, _, names in sorted(os.walk(a)):
                for n in sorted(names):
                    if n.endswith((".slt", ".test", ".slt.gz", ".test.gz")):
                        yield os.path.join(folder, n)
        else:
            yield a


def main():
    p = argparse.ArgumentParser(description="Runs sqllogictest files over PostgreSQL's protocol.")
    p.add_argument("files", nargs="+", help="files or folders of .slt, .test, and .gz of them")
    p.add_argument("--host", default="127.0.0.1", help="address, or a folder with a Unix socket (default 127.0.0.1)")
    p.add_argument("--port", type=int, default=5432)
    p.add_argument("--user", default="postgres")
    p.add_argument("--password", default=None)
    p.add_argument("--database", default="postgres", help="to connect to for CREATE DATABASE (default postgres)")
    p.add_argument("--quiet", action="store_true", help="only failures and the last line")
    options = p.parse_args()
    runner = Runner(options)
    for path in find_files(options.files):
        start = time.monotonic()
        ok = runner.run_file(path, find_known(path))
        if not options.quiet:
            print(f"{'ok    ' if ok else 'FAILED'} {path} {time.monotonic() - start:.1f}s", flush=True)
    print(f"{runner.passed} passed, {runner.failed} failed, {runner.skipped} skipped")
    return 0 if runner.passed > 0 and runner.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
