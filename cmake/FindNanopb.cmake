# SPDX-License-Identifier: MIT
#
# Finds nanopb: its header, its static library, protoc and nanopb's plugin. Its own CMake package is not used because
# Debian's computes a wrong prefix. Installed with libmsgsrv, whose package file uses it too.
#
#   Nanopb::headers        imported target: pb.h and how it must be compiled
#   Nanopb::nanopb         imported target: the library, and Nanopb::headers
#   Nanopb_PROTOC          protoc
#   Nanopb_PLUGIN          protoc-gen-nanopb
#   Nanopb_VERSION         e.g. 0.4.7
#
# Hints: the usual CMAKE_PREFIX_PATH, or Nanopb_ROOT.

find_path(Nanopb_INCLUDE_DIR pb.h PATH_SUFFIXES nanopb DOC "Folder of nanopb's pb.h")
find_library(Nanopb_LIBRARY NAMES libprotobuf-nanopb.a protobuf-nanopb DOC "nanopb's static library")
find_program(Nanopb_PROTOC protoc DOC "The protobuf compiler")
find_program(Nanopb_PLUGIN protoc-gen-nanopb DOC "nanopb's plugin of protoc")

unset(Nanopb_VERSION)
if(Nanopb_INCLUDE_DIR)
    file(STRINGS ${Nanopb_INCLUDE_DIR}/pb.h _nanopb_version REGEX "^#define +NANOPB_VERSION")
    string(REGEX REPLACE ".*nanopb-([0-9]+(\\.[0-9]+)*).*" "\\1" Nanopb_VERSION "${_nanopb_version}")
    unset(_nanopb_version)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Nanopb
    REQUIRED_VARS Nanopb_LIBRARY Nanopb_INCLUDE_DIR Nanopb_PROTOC Nanopb_PLUGIN
    VERSION_VAR Nanopb_VERSION
    REASON_FAILURE_MESSAGE "On Debian: apt-get install libnanopb-dev nanopb protobuf-compiler")
mark_as_advanced(Nanopb_INCLUDE_DIR Nanopb_LIBRARY Nanopb_PROTOC Nanopb_PLUGIN)

if(Nanopb_FOUND AND NOT TARGET Nanopb::nanopb)
    # Messages with pointers are what generated code is made of, so every user of pb.h must see it the same way.
    add_library(Nanopb::headers INTERFACE IMPORTED)
    set_target_properties(Nanopb::headers PROPERTIES
        INTERFACE_INCLUDE_DIRECTORIES "${Nanopb_INCLUDE_DIR}"
        INTERFACE_COMPILE_DEFINITIONS "PB_ENABLE_MALLOC=1")
    add_library(Nanopb::nanopb UNKNOWN IMPORTED)
    set_target_properties(Nanopb::nanopb PROPERTIES
        IMPORTED_LOCATION "${Nanopb_LIBRARY}"
        INTERFACE_LINK_LIBRARIES Nanopb::headers)
endif()
