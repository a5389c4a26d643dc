"""The parser object shows the names its user calls and no other.

Arguments: the object file, the names.
"""

import subprocess
import sys

import tap

OBJECT, NAMES = sys.argv[1], set(sys.argv[2:])


def shows_only_its_names():
    symbols = subprocess.run(["nm", "-g", "--defined-only", "-P", OBJECT], check=True, capture_output=True, text=True)
    shown = {line.split()[0] for line in symbols.stdout.splitlines()}
    assert shown == NAMES, f"too many: {shown - NAMES}, missing: {NAMES - shown}"


def needs_only_the_c_library():
    symbols = subprocess.run(["nm", "-u", "-P", OBJECT], check=True, capture_output=True, text=True)
    needed = {line.split()[0] for line in symbols.stdout.splitlines()}
    strange = {name for name in needed if name.startswith(("pg_", "protobuf_", "XXH", "list_", "Memory"))}
    assert not strange, f"unresolved: {strange}"


tap.run(shows_only_its_names, needs_only_the_c_library)
