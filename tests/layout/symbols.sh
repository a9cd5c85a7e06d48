#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What the shared library exports is what is committed, and what is committed is what the headers declare.
#
#   symbols.sh LIBRARY SYMBOLS.TXT HEADERS.PY INCLUDE
#
# After a change of the interface: headers.py functions INCLUDE > symbols.txt
set -euo pipefail
library=$1 committed=$2 headers=$3 include=$4

exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort)
status=0
if ! diff -u --label "committed ($committed)" --label "exported ($library)" "$committed" <(echo "$exported"); then
    status=1
fi
if ! diff -u --label "committed ($committed)" --label "declared in the public headers" "$committed" \
    <(/usr/bin/python3 "$headers" functions "$include" | LC_ALL=C sort); then
    status=1
fi
exit "$status"
