# SPDX-License-Identifier: MIT
#
# msgsrv_generate(): the C code of .proto files, as sources of a target. In this build and, through
# find_package(msgsrv), in others.
#
#   msgsrv_generate(TARGET <target>
#       PROTOS <file.proto>...
#       [IMPORT_DIRS <dir>...]             where imports are found; names of generated files are relative to them
#       [NANOPB_FLAGS <-s> <name:value>...]  further settings of nanopb
#       [OUT_VAR <variable>])              receives the generated files
#
# For NAME.proto it makes NAME.pb.h and NAME.pb.c with nanopb, NAME.msgsrv.h and NAME.msgsrv.c with protoc-gen-msgsrv,
# in a folder of the target's own, which is added to the target's include path. A .proto that is in none of the
# IMPORT_DIRS is found through its own folder. NAME.options beside NAME.proto, or in an import folder, is nanopb's
# as always. Calling it again for the same target adds to it. The target links libmsgsrv itself.
#
# All generated code is compiled for pointers (PB_ENABLE_MALLOC), and all that has no bound in .options becomes one.
include_guard(GLOBAL)

# protoc and the two plugins in <prefix>_protoc, _nanopb and _msgsrv; what generated files depend on in <prefix>_depends.
function(_msgsrv_generate_programs prefix)
    find_program(Nanopb_PROTOC protoc DOC "The protobuf compiler")
    find_program(Nanopb_PLUGIN protoc-gen-nanopb DOC "nanopb's plugin of protoc")
    if(NOT Nanopb_PROTOC OR NOT Nanopb_PLUGIN)
        message(FATAL_ERROR "msgsrv_generate needs protoc and protoc-gen-nanopb. "
            "On Debian: apt-get install protobuf-compiler nanopb")
    endif()
    if(TARGET protoc-gen-msgsrv)
        set(plugin protoc-gen-msgsrv)
    elseif(TARGET msgsrv::protoc-gen-msgsrv)
        set(plugin msgsrv::protoc-gen-msgsrv)
    else()
        message(FATAL_ERROR "msgsrv_generate needs the target protoc-gen-msgsrv; call find_package(msgsrv) first")
    endif()
    set(${prefix}_protoc ${Nanopb_PROTOC} PARENT_SCOPE)
    set(${prefix}_nanopb ${Nanopb_PLUGIN} PARENT_SCOPE)
    set(${prefix}_msgsrv $<TARGET_FILE:${plugin}> PARENT_SCOPE)
    set(${prefix}_depends ${plugin} ${Nanopb_PLUGIN} PARENT_SCOPE)
endfunction()

# What nanopb is always given, and then "-s;a:b;-sc:d" as "a:b;c:d". Other flags of nanopb would change names that
# generated code relies on.
function(_msgsrv_generate_settings out)
    set(settings "fallback_type:FT_POINTER" "callback_function:\"msgsrv_field_callback\""
        "include:\"<msgsrv/bytes.h>\"")
    set(value_comes FALSE)
    foreach(flag IN LISTS ARGN)
        if(value_comes)
            list(APPEND settings "${flag}")
            set(value_comes FALSE)
        elseif(flag STREQUAL "-s")
            set(value_comes TRUE)
        elseif(flag MATCHES "^-s *([^ ].*)$")
            list(APPEND settings "${CMAKE_MATCH_1}")
        else()
            message(FATAL_ERROR "msgsrv_generate: NANOPB_FLAGS takes only -s <name:value>, not \"${flag}\"")
        endif()
    endforeach()
    if(value_comes)
        message(FATAL_ERROR "msgsrv_generate: NANOPB_FLAGS ends with a -s without its <name:value>")
    endif()
    foreach(setting IN LISTS settings)
        if(setting MATCHES ",")
            message(FATAL_ERROR "msgsrv_generate: protoc cannot pass a comma to its plugins: \"${setting}\"")
        endif()
    endforeach()
    set(${out} "${settings}" PARENT_SCOPE)
endfunction()

# The name of a .proto as protoc sees it: relative to the first import folder that contains it; empty if none does.
function(_msgsrv_generate_relative out proto)
    set(${out} "" PARENT_SCOPE)
    foreach(dir IN LISTS ARGN)
        cmake_path(IS_PREFIX dir "${proto}" NORMALIZE inside)
        if(inside)
            cmake_path(RELATIVE_PATH proto BASE_DIRECTORY "${dir}" OUTPUT_VARIABLE name)
            set(${out} "${name}" PARENT_SCOPE)
            return()
        endif()
    endforeach()
endfunction()

# The .options files that nanopb may read for one .proto, those that exist. When one comes or goes, CMake runs again.
function(_msgsrv_generate_options out name)
    cmake_path(REMOVE_EXTENSION name LAST_ONLY OUTPUT_VARIABLE stem)
    set(files)
    foreach(dir IN LISTS ARGN)
        file(GLOB found CONFIGURE_DEPENDS "${dir}/${stem}.options")
        list(APPEND files ${found})
    endforeach()
    set(${out} "${files}" PARENT_SCOPE)
endfunction()

# Absolute paths of all .proto files, and the import folders: those given, and each .proto's own one when it is in none.
function(_msgsrv_generate_inputs out_protos out_dirs protos dirs)
    set(all_protos)
    set(all_dirs)
    foreach(dir IN LISTS dirs)
        cmake_path(ABSOLUTE_PATH dir BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
        if(NOT IS_DIRECTORY "${dir}")
            message(FATAL_ERROR "msgsrv_generate: there is no import folder ${dir}")
        endif()
        list(APPEND all_dirs "${dir}")
    endforeach()
    foreach(proto IN LISTS protos)
        cmake_path(ABSOLUTE_PATH proto BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
        if(NOT EXISTS "${proto}" OR IS_DIRECTORY "${proto}")
            message(FATAL_ERROR "msgsrv_generate: there is no file ${proto}")
        endif()
        list(APPEND all_protos "${proto}")
        _msgsrv_generate_relative(name "${proto}" ${all_dirs})
        if(NOT name)
            cmake_path(GET proto PARENT_PATH dir)
            list(APPEND all_dirs "${dir}")
        endif()
    endforeach()
    list(REMOVE_DUPLICATES all_dirs)
    set(${out_protos} "${all_protos}" PARENT_SCOPE)
    set(${out_dirs} "${all_dirs}" PARENT_SCOPE)
endfunction()

function(msgsrv_generate)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET;OUT_VAR" "PROTOS;IMPORT_DIRS;NANOPB_FLAGS")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "msgsrv_generate: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT arg_TARGET OR NOT TARGET "${arg_TARGET}")
        message(FATAL_ERROR "msgsrv_generate: TARGET must name a target that exists, not \"${arg_TARGET}\"")
    endif()
    if(NOT arg_PROTOS)
        message(FATAL_ERROR "msgsrv_generate: PROTOS names no file")
    endif()
    _msgsrv_generate_programs(program)
    _msgsrv_generate_settings(settings ${arg_NANOPB_FLAGS})
    _msgsrv_generate_inputs(protos dirs "${arg_PROTOS}" "${arg_IMPORT_DIRS}")

    set(out_dir ${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}.msgsrv)
    file(MAKE_DIRECTORY ${out_dir})
    set(flags)
    foreach(dir IN LISTS dirs)
        list(APPEND flags "-I${dir}" "--nanopb_opt=-I${dir}" "--msgsrv_opt=options_path=${dir}")
    endforeach()
    foreach(setting IN LISTS settings)
        list(APPEND flags "--nanopb_opt=-s ${setting}" "--msgsrv_opt=setting=${setting}")
    endforeach()
    # nanopb reads the .options of imports too, which are mostly files of the same call.
    set(all_options)
    foreach(proto IN LISTS protos)
        _msgsrv_generate_relative(name "${proto}" ${dirs})
        _msgsrv_generate_options(options "${name}" ${dirs})
        list(APPEND all_options ${options})
    endforeach()

    set(all_files)
    foreach(proto IN LISTS protos)
        _msgsrv_generate_relative(name "${proto}" ${dirs})
        cmake_path(REMOVE_EXTENSION name LAST_ONLY OUTPUT_VARIABLE stem)
        set(files)
        # The first one is the first that protoc names in the dependency file, or ninja would not believe that.
        foreach(extension msgsrv.c msgsrv.h pb.c pb.h)
            list(APPEND files ${out_dir}/${stem}.${extension})
        endforeach()
        add_custom_command(OUTPUT ${files}
            COMMAND ${program_protoc} --plugin=protoc-gen-nanopb=${program_nanopb}
                --plugin=protoc-gen-msgsrv=${program_msgsrv} ${flags}
                --dependency_out=${out_dir}/${stem}.d --nanopb_out=${out_dir} --msgsrv_out=${out_dir} ${proto}
            DEPENDS ${proto} ${all_options} ${program_depends}
            DEPFILE ${out_dir}/${stem}.d
            COMMENT "msgsrv: ${name}"
            VERBATIM)
        list(APPEND all_files ${files})
    endforeach()

    target_sources(${arg_TARGET} PRIVATE ${all_files})
    target_include_directories(${arg_TARGET} PUBLIC $<BUILD_INTERFACE:${out_dir}>)
    target_compile_definitions(${arg_TARGET} PUBLIC PB_ENABLE_MALLOC=1)
    if(arg_OUT_VAR)
        set(${arg_OUT_VAR} ${all_files} PARENT_SCOPE)
    endif()
endfunction()
