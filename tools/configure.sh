#!/bin/sh
# Makes BUILD_DIR ready for ninja: sets it up once, and again when the options or the set of meson.build files
# changed (Meson does not notice by itself that a module came into being).
#   tools/configure.sh BUILD_DIR [options of meson setup...]
set -eu
build=$1
shift

meson=/usr/bin/meson # Debian's own first: others may shadow it in PATH
[ -x "$meson" ] || meson=meson

wanted=$(echo "$*" && find src tests -name meson.build | LC_ALL=C sort)
stamp=$build/configured
if [ ! -f "$build/build.ninja" ]; then
    "$meson" setup "$build" "$@"
elif [ "$wanted" != "$(cat "$stamp" 2>/dev/null)" ]; then
    "$meson" setup --reconfigure "$build" "$@"
fi
printf '%s\n' "$wanted" >"$stamp"
