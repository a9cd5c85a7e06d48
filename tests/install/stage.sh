#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Installs a build as a packager does (DESTDIR), then moves the result to where nobody expected it; the consumers use it there.
#
#   stage.sh CMAKE BUILD PREFIX STAGE
set -euo pipefail
cmake=$1 build=$2 prefix=$3 stage=$4

rm -rf "$stage" "$stage.destdir"
DESTDIR=$stage.destdir "$cmake" --install "$build" --prefix "$prefix" >/dev/null
if [[ $(find "$stage.destdir" ! -type d | grep -cv "^$stage.destdir$prefix/") != 0 ]]; then
    echo "installed outside of $prefix:" >&2
    find "$stage.destdir" ! -type d | grep -v "^$stage.destdir$prefix/" >&2
    exit 1
fi
mv "$stage.destdir$prefix" "$stage"
rm -rf "$stage.destdir"

# Nothing that is installed knows where it was built or what it was installed as. (Debug information may.)
if grep -rIl -e "$build" -e "$prefix/lib" -e "$stage.destdir" "$stage"; then
    echo "the files above hold paths of the build or of the prefix" >&2
    exit 1
fi

find "$stage" ! -type d -printf '%P\n' | LC_ALL=C sort
for program in msgsrv-server msgsrv-client protoc-gen-msgsrv; do
    "$stage/bin/$program" --version </dev/null
done
