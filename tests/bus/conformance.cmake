# SPDX-License-Identifier: MIT
#
# The event bus as its document says it is, over each engine: the conformance suite, random histories, and a soak.

find_program(MSGSRV_PYTHON NAMES python3 PATHS /usr/bin NO_DEFAULT_PATH DOC "Python 3")
find_program(MSGSRV_PYTHON NAMES python3)

add_library(msgsrv_bus_test STATIC world.c world_told.c)
target_include_directories(msgsrv_bus_test PUBLIC ${CMAKE_CURRENT_SOURCE_DIR} PRIVATE ${PROJECT_SOURCE_DIR}/lib)
target_link_libraries(msgsrv_bus_test PUBLIC msgsrv_test_support PkgConfig::MSGSRV_LIBEVENT)

# msgsrv_add_bus_program(NAME source...): a program that is run once for each engine.
function(msgsrv_add_bus_program name)
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE msgsrv_bus_test msgsrv_test_support msgsrv_demo_proto msgsrv_static
        PkgConfig::MSGSRV_CHECK PkgConfig::MSGSRV_LIBEVENT)
endfunction()

# msgsrv_add_bus_run(NAME PROGRAM argument...)
function(msgsrv_add_bus_run name program)
    add_test(NAME ${name} COMMAND ${program} ${ARGN})
    set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endfunction()

file(GLOB MSGSRV_BUS_CONFORMANCE CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/conf_*.c)
msgsrv_add_bus_program(bus_conformance conformance.c ${MSGSRV_BUS_CONFORMANCE})
msgsrv_add_bus_run(bus_conformance_mem bus_conformance mem)
msgsrv_add_bus_run(bus_conformance_mem_base bus_conformance mem base)
msgsrv_add_bus_run(bus_conformance_remote bus_conformance remote)
msgsrv_add_bus_run(bus_conformance_remote_base bus_conformance remote base)
