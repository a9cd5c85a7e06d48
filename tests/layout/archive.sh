#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The static library defines no name that a program's own code may have: neither other prefixes than ours, nor those of the
# generated code of .proto files that a program may compile as well.
#
#   archive.sh LIBRARY
set -euo pipefail
library=$1

# A sanitizer's own names begin with two underscores.
foreign=$(nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' | grep -vE '^(msgsrv_|msi_|__)' || true)
generated=$(nm -g --defined-only "$library" | awk 'NF == 3 { print $3 }' | grep -E '^msgsrv_(info|bus_v1|bus_proto)_' || true)
if [[ $foreign || $generated ]]; then
    echo "$library defines names that are not its own:"
    echo "$foreign$generated"
    exit 1
fi
echo "every name is the library's own"
