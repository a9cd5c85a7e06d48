#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Builds a small program against an installation, in one of four ways, and runs it.
#
#   consume.sh shared|static|cxx|cmake STAGE SOURCE WORK CMAKE CC CXX
set -euo pipefail
way=$1 stage=$2 source=$3 work=$4 cmake=$5 cc=$6 cxx=${7-}
warnings=(-Wall -Wextra -Werror -Wshadow -Wcast-function-type)

rm -rf "$work"
mkdir -p "$work"
cd "$work"
pc_file=$(find "$stage" -name msgsrv.pc)
libdir=$(dirname "$(dirname "$pc_file")")
export PKG_CONFIG_PATH=${pc_file%/*}

# words COMMAND...: the words of its output, in the array "reply".
words()
{
    local text
    text=$("$@")
    read -ra reply <<<"$text"
}

# What docs tell users of make to do.
generate()
{
    local nanopb="-s fallback_type:FT_POINTER -s 'callback_function:\"msgsrv_field_callback\"'"
    nanopb+=" -s 'include:\"<msgsrv/bytes.h>\"'"
    protoc --plugin=protoc-gen-msgsrv="$(pkg-config --variable=generator msgsrv)" -I "$source" \
        --nanopb_opt="$nanopb" --nanopb_out=. --msgsrv_out=. "$source/calc.proto"
}

# check PROGRAM: runs it, and looks at what it says.
check()
{
    local said
    said=$("$1")
    echo "$1: $said"
    [[ $said == "42 apples" ]]
}

# needs PROGRAM: the shared libraries that it asks the loader for.
needs()
{
    objdump -p "$1" | awk '$1 == "NEEDED" { print $2 }'
}

# expect_needs PROGRAM yes|no: whether it asks for ours.
expect_needs()
{
    local found=no
    ! needs "$1" | grep -q '^libmsgsrv\.so\.1$' || found=yes
    if [[ $found != "$2" ]]; then
        echo "$1 needs libmsgsrv.so.1: $found, expected $2" >&2
        exit 1
    fi
}

case "$way" in
shared)
    generate
    words pkg-config --cflags --libs msgsrv
    "$cc" -std=c99 "${warnings[@]}" -I. "$source/calc.c" calc.pb.c calc.msgsrv.c -o calc "${reply[@]}"
    expect_needs calc yes
    if needs calc | grep libevent; then
        echo "a program that uses the shared library needs no libevent itself" >&2
        exit 1
    fi
    LD_LIBRARY_PATH=$libdir check ./calc
    ;;
static)
    generate
    words pkg-config --static --cflags --libs msgsrv
    # All static; the linker's remark that getaddrinfo() wants glibc's shared libraries is as it is.
    "$cc" -std=c99 "${warnings[@]}" -static -I. "$source/calc.c" calc.pb.c calc.msgsrv.c -o calc "${reply[@]}" 2>link.log ||
        { cat link.log >&2 && exit 1; }
    expect_needs calc no
    check ./calc
    # Only ours static, the rest shared.
    "$cc" -std=c99 "${warnings[@]}" -I. "$source/calc.c" calc.pb.c calc.msgsrv.c -o calc-mixed \
        "${reply[@]/#-lmsgsrv/-l:libmsgsrv.a}"
    expect_needs calc-mixed no
    check ./calc-mixed
    ;;
cxx)
    generate
    words pkg-config --cflags --libs msgsrv
    "$cc" -std=c99 "${warnings[@]}" -I. -c calc.pb.c calc.msgsrv.c "${reply[@]}"
    "$cxx" -std=c++17 "${warnings[@]}" -I. "$source/calc.cpp" calc.pb.o calc.msgsrv.o -o calc "${reply[@]}"
    expect_needs calc yes
    LD_LIBRARY_PATH=$libdir check ./calc
    ;;
cmake)
    "$cmake" -S "$source" -B build -DCMAKE_PREFIX_PATH="$stage" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_C_FLAGS="${warnings[*]}" >configure.log 2>&1 || { cat configure.log >&2 && exit 1; }
    "$cmake" --build build
    expect_needs build/calc-shared yes
    expect_needs build/nested/calc-static no
    check build/calc-shared
    check build/nested/calc-static
    ;;
*)
    echo "consume.sh: unknown way $way" >&2
    exit 64
    ;;
esac
