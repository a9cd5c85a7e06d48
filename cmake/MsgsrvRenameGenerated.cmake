# SPDX-License-Identifier: MIT
#
# Renames the generated code of the built-in services inside libmsgsrv.a, so that a program may have generated code of the same
# .proto files, with other .options even. In the shared library they are hidden anyway.
#
#   cmake -DARCHIVE=libmsgsrv.a -DNM=nm -DOBJCOPY=objcopy -P MsgsrvRenameGenerated.cmake
set(pattern "(grpc_health_v1_|grpc_reflection_v1_|grpc_reflection_v1alpha_|msgsrv_info_|msgsrv_bus_v1_|msgsrv_bus_proto_)[A-Za-z0-9_]+")

execute_process(COMMAND ${NM} --defined-only --extern-only --format=posix ${ARCHIVE}
    OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
# A sanitizer's own symbols end with the name of what they are about.
string(REGEX MATCHALL "\n[^ \n]*${pattern} " found "${symbols}")
set(renames)
foreach(symbol IN LISTS found)
    string(STRIP "${symbol}" symbol)
    string(REGEX REPLACE "${pattern}$" "msi_generated_\\0" renamed "${symbol}")
    if(NOT symbol MATCHES "msi_generated_")
        string(APPEND renames "${symbol} ${renamed}\n")
    endif()
endforeach()
if(renames)
    file(WRITE ${ARCHIVE}.renames "${renames}")
    execute_process(COMMAND ${OBJCOPY} --redefine-syms=${ARCHIVE}.renames ${ARCHIVE} COMMAND_ERROR_IS_FATAL ANY)
    file(REMOVE ${ARCHIVE}.renames)
endif()
