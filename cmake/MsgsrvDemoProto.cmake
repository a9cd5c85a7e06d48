# SPDX-License-Identifier: MIT
#
# msgsrv_demo_proto: the generated code of proto/messages.proto, for the apps, the examples and the tests. Objects, not an
# archive, so that it does not matter where in a link line it stands; whoever links it links msgsrv or msgsrv_static as well.

add_library(msgsrv_demo_proto OBJECT)
set_target_properties(msgsrv_demo_proto PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(msgsrv_demo_proto PUBLIC msgsrv_headers)
msgsrv_generate(TARGET msgsrv_demo_proto
    PROTOS ${PROJECT_SOURCE_DIR}/proto/messages.proto
    IMPORT_DIRS ${PROJECT_SOURCE_DIR}/proto)
