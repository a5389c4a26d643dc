#!/bin/sh
# Starts the server on DATA; at a terminal, opens the shell on it and stops the server when the shell ends.
#   tools/run.sh PROGRAM DATA
set -eu
program=$1
data=$2
port=${PORT:-5432}

if [ ! -t 0 ] || [ ! -t 1 ]; then
    exec "$program" serve --data "$data" --port "$port"
fi

# A session of its own keeps the shell's Ctrl-C away from the server.
setsid "$program" serve --data "$data" --port "$port" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" || true' EXIT
trap 'exit 130' INT TERM HUP

tries=0
until "$program" shell --host 127.0.0.1 --port "$port" -c 'select 1' >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || exit 1 # it said why
    tries=$((tries + 1))
    if [ "$tries" -ge 600 ]; then # one minute: recovery may take a while
        echo "the server does not answer on port $port" >&2
        exit 1
    fi
    sleep 0.1
done
trap : INT # from here on Ctrl-C cancels a statement
"$program" shell --host 127.0.0.1 --port "$port"
