# SPDX-License-Identifier: MIT
#
# How everything of this project is compiled: C11 with GNU's declarations, the warnings, the sanitizers. Included
# once by the top level, before any target; as a part of another build it touches our own directories only.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
add_compile_definitions(_GNU_SOURCE)

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, Release, RelWithDebInfo or MinSizeRel" FORCE)
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
    -Wcast-function-type -Wundef -Wformat=2)
if(MSGSRV_WERROR)
    add_compile_options(-Werror)
endif()

if(MSGSRV_SANITIZE)
    string(REPLACE ";" "," MSGSRV_SANITIZE_LIST "${MSGSRV_SANITIZE}")
    add_compile_options(-fsanitize=${MSGSRV_SANITIZE_LIST} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${MSGSRV_SANITIZE_LIST})
endif()

if(MSGSRV_BUILD_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "MSGSRV_BUILD_FUZZ needs clang, for libFuzzer: configure with -DCMAKE_C_COMPILER=clang")
    endif()
    # Coverage of the library itself; each fuzz target links libFuzzer's main on its own.
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()
