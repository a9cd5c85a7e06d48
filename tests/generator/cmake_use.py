#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""msgsrv_generate() in projects of its own: what it makes, what it makes again, and what it says to wrong arguments.

    cmake_use.py PLUGIN MSGSRV_GENERATE_CMAKE INCLUDE CMAKE GENERATOR CC
"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import tools

PLUGIN, MODULE, INCLUDE, CMAKE, GENERATOR, COMPILER = (sys.argv.pop(1) for _ in range(6))
TOP = f"""cmake_minimum_required(VERSION 3.20)
project(use C)
add_executable(msgsrv::protoc-gen-msgsrv IMPORTED)
set_target_properties(msgsrv::protoc-gen-msgsrv PROPERTIES IMPORTED_LOCATION "{PLUGIN}")
include("{MODULE}")
add_library(code OBJECT)
target_include_directories(code PUBLIC "{INCLUDE}")
"""
MAIN = """syntax = "proto3";
package use;
import "part.proto";
message Main { use.Part part = 1; }
service S { rpc Do(Main) returns (use.Part); }
"""
PART = """syntax = "proto3";
package use;
message Part { string text = 1; }
"""


class Use(unittest.TestCase):
    """Each test has a project of its own."""

    def setUp(self):
        # pylint: disable=consider-using-with
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.top = pathlib.Path(self.folder.name)
        self.write("proto/main.proto", MAIN)
        self.write("proto/part.proto", PART)
        self.code = self.top / "build" / "code.msgsrv"

    def write(self, name, text):
        """Writes a file of the project, newer than all that was built."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        newest = max((p.stat().st_mtime_ns for p in self.top.rglob("*") if p.is_file()), default=0)
        os.utime(path, ns=(newest + 10_000_000,) * 2)

    def cmake(self, *arguments):
        """Runs CMake; its output."""
        done = subprocess.run([CMAKE, *map(str, arguments)], capture_output=True, text=True, check=False,
                              timeout=tools.TIMEOUT_S)
        # CMake wraps its messages.
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def configure(self, call):
        """Configures a project that makes this call."""
        self.write("CMakeLists.txt", TOP + call + "\n")
        return self.cmake("-S", self.top, "-B", self.top / "build", "-G", GENERATOR, f"-DCMAKE_C_COMPILER={COMPILER}")

    def build(self):
        """Builds it; the output."""
        status, text = self.cmake("--build", self.top / "build")
        self.assertEqual(status, 0, text)
        return text

    def assert_refused(self, call, text):
        """Configuring must fail with this text."""
        status, said = self.configure(call)
        self.assertNotEqual(status, 0, said)
        self.assertIn(text, said)

    def test_everything(self):
        status, text = self.configure(
            "msgsrv_generate(TARGET code PROTOS proto/main.proto proto/part.proto IMPORT_DIRS proto\n"
            "    NANOPB_FLAGS -s long_names:false \"-s max_count:4\" OUT_VAR files)\n"
            "message(\"files: ${files}\")")
        self.assertEqual(status, 0, text)
        for name in ("main.pb.c", "main.pb.h", "main.msgsrv.c", "main.msgsrv.h", "part.msgsrv.h"):
            self.assertIn(str(self.code / name), text)
        self.build()
        header = (self.code / "main.msgsrv.h").read_text()
        self.assertIn('#include "part.msgsrv.h"', header)

    def test_without_import_dirs(self):
        status, text = self.configure("msgsrv_generate(TARGET code PROTOS proto/part.proto)\n"
                                      "msgsrv_generate(TARGET code PROTOS proto/main.proto)")
        self.assertEqual(status, 0, text)
        self.build()
        self.assertTrue((self.code / "main.msgsrv.h").exists())

    def test_included_elsewhere_before(self):
        """Functions are known everywhere once the module was included anywhere; so must be all that they need."""
        top = TOP.replace("include(", "add_subdirectory(sub)\ninclude(")
        self.write("sub/CMakeLists.txt", f'include("{MODULE}")\n')
        self.write("CMakeLists.txt", top + "msgsrv_generate(TARGET code PROTOS proto/part.proto)\n")
        status, text = self.cmake("-S", self.top, "-B", self.top / "build", "-G", GENERATOR)
        self.assertEqual(status, 0, text)
        self.build()
        header = (self.code / "part.pb.h").read_text()
        self.assertIn("char *text;", header)
        self.assertIn("#include <msgsrv/bytes.h>", header)

    def test_subfolder(self):
        self.write("proto/deep/er/inner.proto", PART.replace("use", "inner"))
        status, text = self.configure("msgsrv_generate(TARGET code PROTOS proto/deep/er/inner.proto IMPORT_DIRS proto)")
        self.assertEqual(status, 0, text)
        self.build()
        self.assertTrue((self.code / "deep" / "er" / "inner.msgsrv.h").exists())

    def test_what_changes_is_made_again(self):
        status, text = self.configure("msgsrv_generate(TARGET code PROTOS proto/main.proto proto/part.proto)")
        self.assertEqual(status, 0, text)
        self.build()
        self.assertNotIn("main.proto", self.build())
        self.write("proto/main.proto", MAIN.replace("rpc Do", "rpc Other"))
        self.build()
        self.assertIn("use_S_Other", (self.code / "main.msgsrv.h").read_text())
        # An import changes what is made of the importing file: here it is an error that names both.
        self.write("proto/part.proto", PART + "message S_Other {}\n")
        status, text = self.cmake("--build", self.top / "build")
        self.assertNotEqual(status, 0)
        self.assertIn('main.proto:5:13: error: the C name "use_S_Other"', text)
        self.write("proto/part.proto", PART)
        # An .options file that was not there before, and then one that changes.
        self.write("proto/part.options", "use.Part.text max_size:10\n")
        self.build()
        self.assertIn("char text[10]", (self.code / "part.pb.h").read_text())
        self.write("proto/part.options", "use.Part.text max_size:11\n")
        self.build()
        self.assertIn("char text[11]", (self.code / "part.pb.h").read_text())
        self.write("proto/part.options", "use.Part skip_message:true\n")
        status, text = self.cmake("--build", self.top / "build")
        self.assertNotEqual(status, 0)
        self.assertIn("part.options:1: error: nanopb's option skip_message", text)

    def test_settings_are_checked(self):
        status, text = self.configure("msgsrv_generate(TARGET code PROTOS proto/part.proto NANOPB_FLAGS"
                                      " -s mangle_names:M_FLATTEN)")
        self.assertEqual(status, 0, text)
        status, text = self.cmake("--build", self.top / "build")
        self.assertNotEqual(status, 0)
        self.assertIn("-s mangle_names:M_FLATTEN: error: nanopb's option mangle_names is not supported", text)

    def test_wrong_arguments(self):
        good = "msgsrv_generate(TARGET code PROTOS proto/main.proto"
        for call, text in (
                ("msgsrv_generate()", 'TARGET must name a target that exists, not ""'),
                ("msgsrv_generate(TARGET none PROTOS proto/main.proto)", 'a target that exists, not "none"'),
                ("msgsrv_generate(TARGET code)", "PROTOS names no file"),
                ("msgsrv_generate(TARGET code PROTOS proto/absent.proto)", "/proto/absent.proto"),
                ("msgsrv_generate(TARGET code PROTOS proto)", "there is no file"),
                (good + " IMPORT_DIRS absent)", "there is no import folder"),
                (good + " NANOPB_FLAGS -C)", 'NANOPB_FLAGS takes only -s <name:value>, not "-C"'),
                (good + " NANOPB_FLAGS -s)", "NANOPB_FLAGS ends with a -s without"),
                (good + " NANOPB_FLAGS -s a:1,b:2)", "protoc cannot pass a comma"),
                ("msgsrv_generate(code TARGET code PROTOS proto/main.proto)", "unknown arguments: code")):
            with self.subTest(call=call):
                self.assert_refused(call, text)

    def test_without_the_generator(self):
        self.write("CMakeLists.txt", f'cmake_minimum_required(VERSION 3.20)\nproject(use C)\ninclude("{MODULE}")\n'
                                     "add_library(code OBJECT)\nmsgsrv_generate(TARGET code PROTOS proto/part.proto)\n")
        status, text = self.cmake("-S", self.top, "-B", self.top / "build", "-G", GENERATOR)
        self.assertNotEqual(status, 0)
        self.assertIn("call find_package(msgsrv) first", text)


if __name__ == "__main__":
    unittest.main()
