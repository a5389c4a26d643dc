#!/bin/sh
# Runs each fuzzer (<module>_fuzz_<what>) in DIR for FUZZ_SECONDS. Inputs that teach it something gather in build-fuzz/.../corpus-NAME; a crash
# leaves its input beside them and fails the run.
#   tools/fuzz.sh DIR
set -eu
dir=$1
seconds=${FUZZ_SECONDS:-60}

count=0
for fuzzer in "$dir"/*_fuzz_*; do
    if [ ! -f "$fuzzer" ] || [ ! -x "$fuzzer" ]; then continue; fi
    name=${fuzzer##*/}
    mkdir -p "$dir/corpus-$name"
    echo "== $name, $seconds s"
    "$fuzzer" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$dir/$name-" "$dir/corpus-$name"
    count=$((count + 1))
done
if [ "$count" -eq 0 ]; then
    echo "make fuzz: there are no fuzzers yet" >&2
    exit 1
fi
echo "$count fuzzers found nothing"
