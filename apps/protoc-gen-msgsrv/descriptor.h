/* SPDX-License-Identifier: MIT */
/*
 * Short names for protobuf's own messages as nanopb compiles them, and the numbers of the fields that paths
 * into a file (SourceCodeInfo.Location.path) are made of.
 */
#ifndef MSGSRV_GEN_DESCRIPTOR_H
#define MSGSRV_GEN_DESCRIPTOR_H

#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/compiler/plugin.pb.h"

typedef google_protobuf_compiler_CodeGeneratorRequest msi_request_proto;
typedef google_protobuf_compiler_CodeGeneratorResponse msi_response_proto;
typedef google_protobuf_compiler_CodeGeneratorResponse_File msi_output_proto;
typedef google_protobuf_FileDescriptorProto msi_file_proto;
typedef google_protobuf_DescriptorProto msi_message_proto;
typedef google_protobuf_FieldDescriptorProto msi_field_proto;
typedef google_protobuf_EnumDescriptorProto msi_enum_proto;
typedef google_protobuf_OneofDescriptorProto msi_oneof_proto;
typedef google_protobuf_ServiceDescriptorProto msi_service_proto;
typedef google_protobuf_MethodDescriptorProto msi_method_proto;
typedef google_protobuf_SourceCodeInfo_Location msi_location_proto;

#define MSI_TYPE_GROUP google_protobuf_FieldDescriptorProto_Type_TYPE_GROUP
#define MSI_TYPE_MESSAGE google_protobuf_FieldDescriptorProto_Type_TYPE_MESSAGE
#define MSI_TYPE_STRING google_protobuf_FieldDescriptorProto_Type_TYPE_STRING
#define MSI_TYPE_BYTES google_protobuf_FieldDescriptorProto_Type_TYPE_BYTES
#define MSI_TYPE_ENUM google_protobuf_FieldDescriptorProto_Type_TYPE_ENUM
#define MSI_LABEL_REPEATED google_protobuf_FieldDescriptorProto_Label_LABEL_REPEATED

/* Field numbers of FileDescriptorProto and what is inside it. */
enum {
    MSI_FILE_MESSAGE = 4,
    MSI_FILE_ENUM = 5,
    MSI_FILE_SERVICE = 6,
    MSI_FILE_EXTENSION = 7,
    MSI_FILE_OPTIONS = 8,
    MSI_MESSAGE_FIELD = 2,
    MSI_MESSAGE_NESTED = 3,
    MSI_MESSAGE_ENUM = 4,
    MSI_MESSAGE_EXTENSION = 6,
    MSI_MESSAGE_OPTIONS = 7,
    MSI_MESSAGE_ONEOF = 8,
    MSI_FIELD_OPTIONS = 8,
    MSI_SERVICE_METHOD = 2,
    MSI_REQUEST_FILE = 15,
    MSI_OPTION_MAP_ENTRY = 7,   /* in MessageOptions */
    MSI_NANOPB_EXTENSION = 1010 /* in all options */
};

/* Messages may be nested this deep; protoc itself allows 32. */
#define MSI_MAX_NESTING 64

/* The longest path that is looked up: all nesting, a field in it, and an option of that. */
#define MSI_MAX_PATH (2 * MSI_MAX_NESTING + 8)

#endif
