# SPDX-License-Identifier: MIT
#
# What is installed: the libraries, the headers, the programs, the pkg-config and CMake package files, the man pages, the
# .proto files. Nothing of it holds an absolute path of ours, so it can be staged (DESTDIR) and moved.
include(CMakePackageConfigHelpers)

set(MSGSRV_INSTALL_PROTODIR ${CMAKE_INSTALL_DATADIR}/msgsrv/proto)
set(MSGSRV_INSTALL_CMAKEDIR ${CMAKE_INSTALL_LIBDIR}/cmake/msgsrv)
set(MSGSRV_INSTALL_PCDIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# The programs find the library from where they are; in a system's own prefix they need no help.
file(RELATIVE_PATH MSGSRV_RPATH ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
    set_target_properties(msgsrv-server msgsrv-client PROPERTIES INSTALL_RPATH "$ORIGIN/${MSGSRV_RPATH}")
endif()

install(TARGETS msgsrv msgsrv_headers protoc-gen-msgsrv EXPORT msgsrv-targets)
install(TARGETS msgsrv_static EXPORT msgsrv-static-targets)
install(TARGETS msgsrv-server msgsrv-client)
install(EXPORT msgsrv-targets NAMESPACE msgsrv:: DESTINATION ${MSGSRV_INSTALL_CMAKEDIR})
install(EXPORT msgsrv-static-targets NAMESPACE msgsrv:: DESTINATION ${MSGSRV_INSTALL_CMAKEDIR})

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/msgsrv DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/proto/ DESTINATION ${MSGSRV_INSTALL_PROTODIR}
    FILES_MATCHING PATTERN "*.proto" PATTERN "*.options")
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE TYPE DOC)

install(FILES ${PROJECT_SOURCE_DIR}/apps/msgsrv-server/msgsrv-server.1 ${PROJECT_SOURCE_DIR}/apps/msgsrv-client/msgsrv-client.1
    ${PROJECT_SOURCE_DIR}/apps/protoc-gen-msgsrv/protoc-gen-msgsrv.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# CMake's package files.
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/msgsrv-config.cmake.in
    ${CMAKE_CURRENT_BINARY_DIR}/msgsrv-config.cmake INSTALL_DESTINATION ${MSGSRV_INSTALL_CMAKEDIR}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/msgsrv-config-version.cmake
    COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/msgsrv-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/msgsrv-config-version.cmake
    ${PROJECT_SOURCE_DIR}/cmake/FindNanopb.cmake ${PROJECT_SOURCE_DIR}/cmake/MsgsrvGenerate.cmake
    DESTINATION ${MSGSRV_INSTALL_CMAKEDIR})

# pkg-config's file. nanopb is named by path only where it is not in a folder that compilers look into by themselves.
file(RELATIVE_PATH MSGSRV_PC_PREFIX ${CMAKE_INSTALL_PREFIX}/${MSGSRV_INSTALL_PCDIR} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" MSGSRV_PC_PREFIX ${MSGSRV_PC_PREFIX})
get_filename_component(MSGSRV_NANOPB_DIR ${Nanopb_LIBRARY} DIRECTORY)
set(MSGSRV_PC_NANOPB_CFLAGS -DPB_ENABLE_MALLOC=1)
set(MSGSRV_PC_NANOPB_LIBS -lprotobuf-nanopb)
if(NOT Nanopb_INCLUDE_DIR IN_LIST CMAKE_C_IMPLICIT_INCLUDE_DIRECTORIES)
    string(PREPEND MSGSRV_PC_NANOPB_CFLAGS "-I${Nanopb_INCLUDE_DIR} ")
endif()
if(NOT MSGSRV_NANOPB_DIR IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
    string(PREPEND MSGSRV_PC_NANOPB_LIBS "-L${MSGSRV_NANOPB_DIR} ")
endif()
configure_file(${PROJECT_SOURCE_DIR}/pkgconfig/msgsrv.pc.in ${CMAKE_CURRENT_BINARY_DIR}/msgsrv.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/msgsrv.pc DESTINATION ${MSGSRV_INSTALL_PCDIR})
