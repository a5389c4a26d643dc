#!/bin/bash
# Format and small checks of the source tree.
#   tools/lint.sh format    rewrites C sources into the common format
#   tools/lint.sh check     changes nothing; fails when something is out of order
set -eu
cd "$(dirname "$0")/.."
shopt -s globstar nullglob

sources=(src/**/*.[ch] tests/**/*.[ch] include/*.h bench/**/*.[ch])
headers=(src/**/*.h include/*.h)
scripts=(tools/*.sh .ci/run)

case "${1-}" in
format)
    [ ${#sources[@]} -eq 0 ] || clang-format -i "${sources[@]}"
    exit
    ;;
check) ;;
*)
    echo "usage: $0 format|check" >&2
    exit 2
    ;;
esac

failed=0
for source in "${sources[@]}"; do
    if ! clang-format --dry-run --Werror "$source" 2>/dev/null; then
        echo "lint: $source is not in the common format ('make format' puts that right)" >&2
        failed=1
    fi
done

# A header includes what it uses.
for header in "${headers[@]}"; do
    gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Isrc -Iinclude -fsyntax-only -include "$header" -x c /dev/null || {
        echo "lint: $header does not compile alone" >&2
        failed=1
    }
done

shellcheck "${scripts[@]}" || failed=1
[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
