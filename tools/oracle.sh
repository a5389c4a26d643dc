#!/bin/sh
# Starts a private PostgreSQL 15 (the oracle), runs a command against it, and stops it.
#
#     tools/oracle.sh COMMAND [ARGUMENTS ...]
#
# The command finds the server in PGHOST (a socket folder), PGPORT and PGUSER. Data live in a temporary folder. The server
# runs as the user `postgres` when started by root.
set -eu
bin=/usr/lib/postgresql/15/bin
[ -x "$bin/postgres" ] || { echo "oracle.sh: PostgreSQL 15 is missing: run tools/install-deps.sh test" >&2; exit 1; }
dir=$(mktemp -d /tmp/rustdb-oracle-XXXXXX)
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
fi
chmod 755 "$dir"
stop() {
    as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >"$dir/stop.log" 2>&1 || true
    rm -rf "$dir"
}
trap stop EXIT INT TERM
cd /
as "$bin/initdb" -D "$dir/data" -U postgres --locale=C --encoding=UTF8 --no-sync >"$dir/initdb.log" 2>&1 ||
    { cat "$dir/initdb.log" >&2; exit 1; }
as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/server.log" \
    -o "-c listen_addresses='' -k $dir -p 54315 -c fsync=off -c full_page_writes=off" start >"$dir/start.log" 2>&1 ||
    { cat "$dir/start.log" "$dir/server.log" >&2; exit 1; }
export PGHOST="$dir" PGPORT=54315 PGUSER=postgres
cd "$OLDPWD"
"$@"
