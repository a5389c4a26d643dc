#!/bin/sh
# Runs fresh seeds of the transaction gate: tools/soak.sh BUILD SECONDS [LOG]
#
# BUILD is asan, tsan or release (ASSERT on, optimistic latches, every optimistic index look-up repeated under latches).
# The log gets a line a run: build, date, form, seed, result. The seconds of earlier runs in it count: a soak that was
# stopped goes on until SECONDS are full. A run that fails leaves its line without "ok" and ends the soak.
set -eu
cd "$(dirname "$0")/.."

build=${1:?usage: tools/soak.sh asan|tsan|release SECONDS [LOG]}
seconds=${2:?usage: tools/soak.sh asan|tsan|release SECONDS [LOG]}
log=${3:-soak.log}
dir=${BUILD:-build}-$build
case $build in
asan) setup='-Doptimization=1 -Db_sanitize=address,undefined' ;;
tsan) setup='-Doptimization=1 -Db_sanitize=thread' ;;
release) setup='' ;;
*) echo "unknown build $build" >&2; exit 2 ;;
esac
# The sanitizers cannot place their shadow in a very random address space.
fixed=''
if [ "$build" != release ] && setarch -R true 2>/dev/null; then
    fixed='setarch -R'
fi

# shellcheck disable=SC2086 # words are wanted
tools/configure.sh "$dir" $setup
ninja -C "$dir" -j"${JOBS:-$(nproc)}" tests/crash/crash_txn_cuts >/dev/null

# Milliseconds that clean runs of this build took so far.
done_ms() {
    [ -f "$log" ] && awk -v b="$build" '$1 == b && $5 == "ok" { ms += $6 } END { print ms + 0 }' "$log" || echo 0
}

while [ "$(done_ms)" -lt $((seconds * 1000)) ]; do
    left=$((seconds - $(done_ms) / 1000))
    slice=$((left < 60 ? left + 1 : 60))
    RDB_TXN_BUILD=$build RDB_TXN_SECONDS=$slice RDB_TXN_LOG=$log $fixed "$dir/tests/crash/crash_txn_cuts" || {
        echo "soak: failed; the seed is in the last line of $log; add it to tests/crash/txn_seeds.txt" >&2
        exit 1
    }
done
echo "soak: $build clean for $(($(done_ms) / 1000)) s"
