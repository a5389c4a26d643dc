#!/bin/sh
# Installs the Debian packages RustDB needs; does nothing, in milliseconds, when all are there.
#   tools/install-deps.sh          what a build needs
#   tools/install-deps.sh test     and what the tests and development targets need
# Without root it names what is missing and the command that installs it.
set -eu

build_packages='
gcc binutils make meson ninja-build pkg-config python3
libpg-query-dev postgresql-server-dev-15
libcmocka-dev libedit-dev libgmp-dev libicu-dev libinih-dev libjemalloc-dev liblz4-dev libmpfr-dev
libpcre2-dev libsodium-dev libssl-dev liburing-dev libxxhash-dev uthash-dev
tzdata
'
test_packages='
clang clang-format libclang-rt-dev llvm
postgresql-15 postgresql-client-15
shellcheck util-linux
'

case "${1-}" in
'') wanted=$build_packages ;;
test) wanted="$build_packages $test_packages" ;;
*)
    echo "usage: $0 [test]" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null; then
    echo "$0: no dpkg-query: this is not Debian, the packages are taken as installed" >&2
    exit 0
fi

# dpkg-query fails when it knows no such package; those are missing too.
# shellcheck disable=SC2086 # the lists are meant to be split
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null) || true
missing=
for package in $wanted; do
    case "
$installed
" in
    *"
installed $package
"*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "Missing Debian packages:$missing" >&2
    echo "Install them with: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi

# Installing a PostgreSQL server would create a cluster and start it on port 5432, which is the port RustDB serves on.
# A drop-in forbids it for the time of the installation.
drop_in=/etc/postgresql-common/createcluster.d/rustdb.conf
case "$missing" in
*postgresql-15*)
    mkdir -p "${drop_in%/*}"
    echo 'create_main_cluster = false' >"$drop_in"
    trap 'rm -f "$drop_in"' EXIT
    trap 'exit 1' INT TERM
    ;;
esac

echo "Installing Debian packages:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
# shellcheck disable=SC2086
apt-get -q install -y --no-install-recommends $missing
