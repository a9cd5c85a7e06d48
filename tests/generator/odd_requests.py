#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Requests that protoc would not send, and the program run by hand.

    odd_requests.py PLUGIN
"""
import os
import pty
import subprocess
import sys
import tempfile
import unittest

from google.protobuf import descriptor_pb2
from google.protobuf.compiler import plugin_pb2

import tools

PLUGIN = sys.argv.pop(1)
NESTING = 70  # more than the generator takes, less than Python's protobuf does
Field = descriptor_pb2.FieldDescriptorProto


def request(parameter=""):
    """A request for one file with one message and one service; all of it correct."""
    whole = plugin_pb2.CodeGeneratorRequest(file_to_generate=["a.proto"], parameter=parameter)
    file = whole.proto_file.add(name="a.proto", package="p", syntax="proto3")
    message = file.message_type.add(name="M")
    message.field.add(name="text", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
    service = file.service.add(name="S")
    service.method.add(name="Call", input_type=".p.M", output_type=".p.M")
    return whole


class Requests(unittest.TestCase):
    """What the generator answers, on which stream and with which exit status."""

    def run_plugin(self, data):
        """Runs it; no input may ever upset a sanitizer or end it by a signal."""
        done = tools.run(PLUGIN, data)
        self.assertGreaterEqual(done.returncode, 0, done.stderr)
        self.assertNotRegex(done.stderr, b"Sanitizer|runtime error")
        return done

    def answer(self, whole):
        """The response to a request that is one."""
        done = self.run_plugin(whole.SerializeToString())
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return plugin_pb2.CodeGeneratorResponse.FromString(done.stdout)

    def assert_error(self, whole, text):
        """The response must be this error."""
        response = self.answer(whole)
        self.assertIn(text, response.error)
        self.assertEqual(len(response.file), 0)

    def assert_refused(self, data, text):
        """The request is no good: exit status 1, standard error, nothing on standard output."""
        done = self.run_plugin(data)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(text, done.stderr.decode())

    def test_correct(self):
        response = self.answer(request())
        self.assertEqual([f.name for f in response.file], ["a.msgsrv.h", "a.msgsrv.c"])
        self.assertEqual(response.supported_features, plugin_pb2.CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL)
        self.assertIn("p_S_Call_async", response.file[0].content)

    def test_no_file(self):
        self.assert_refused(b"", "names no file to generate")

    def test_garbage(self):
        self.assert_refused(b"\xff" * 100, "is not a CodeGeneratorRequest")
        self.assert_refused(b"syntax = \"proto3\";\n", "is not a CodeGeneratorRequest")

    def test_truncated(self):
        """Of a request cut anywhere nothing is generated, unless what is left is a request of its own."""
        data = request().SerializeToString()
        for size in range(len(data)):
            done = self.run_plugin(data[:size])
            self.assertIn(done.returncode, (0, 1))
            if done.returncode == 0:
                response = plugin_pb2.CodeGeneratorResponse.FromString(done.stdout)
                self.assertIn("the request does not contain this file", response.error)
            else:
                self.assertRegex(done.stderr, b"^protoc-gen-msgsrv: the request .+\n$")

    def test_nesting(self):
        whole = request()
        message = whole.proto_file[0].message_type[0]
        for _ in range(NESTING):
            message = message.nested_type.add(name="N")
        self.assert_refused(whole.SerializeToString(), "nested more than 64 deep")

    def test_nesting_without_end(self):
        """So deep that a decoder that recursed would run out of stack."""
        data = b""
        while len(data) < 200_000:
            data = b"\x1a" + varint(len(data)) + data
        for tag in (b"\x22", b"\x7a"):
            data = tag + varint(len(data)) + data
        self.assert_refused(data, "nested more than 64 deep")

    def test_too_many(self):
        whole = request()
        for _ in range(65_536):
            whole.proto_file[0].dependency.append("x")
        self.assert_refused(whole.SerializeToString(), "65,535")

    def test_unknown_file(self):
        whole = request()
        whole.file_to_generate.append("b.proto")
        self.assert_error(whole, "b.proto: error: the request does not contain this file")

    def test_names(self):
        for name in ("", "../a.proto", "/a.proto", "a//b.proto", 'a".proto', "a\n.proto", "./a.proto", "*/.proto"):
            whole = request()
            whole.file_to_generate[0] = whole.proto_file[0].name = name
            self.assert_error(whole, "error: a file name that is not a plain relative path")
        whole = request()
        whole.proto_file[0].package = "p;q"
        self.assert_error(whole, 'a.proto: error: "p;q" is not a package name')
        for name in ("", "M N", "1", "M\n", "M.N", "\u00fc"):
            whole = request()
            whole.proto_file[0].message_type[0].name = name
            self.assert_error(whole, "a.proto: error: a message without a usable name")
            whole = request()
            whole.proto_file[0].message_type[0].field[0].name = name
            self.assert_error(whole, "a.proto: error: a field without a usable name")
            whole = request()
            whole.proto_file[0].service[0].name = name
            self.assert_error(whole, "a.proto: error: a service without a usable name")
            whole = request()
            whole.proto_file[0].service[0].method[0].name = name
            self.assert_error(whole, "a.proto: error: a method without a usable name")

    def test_types(self):
        for name in ("", "p.M", ".p.X", "."):
            whole = request()
            whole.proto_file[0].service[0].method[0].input_type = name
            self.assert_error(whole, 'a type of the method "Call" is not in the request')
            whole = request()
            field = whole.proto_file[0].message_type[0].field[0]
            field.type, field.type_name = Field.TYPE_MESSAGE, name
            self.assert_error(whole, 'the type of the field "text" is not in the request')
        whole = request()
        whole.proto_file[0].message_type[0].field[0].ClearField("type")
        self.assert_error(whole, 'the field "text" has no number or no type')
        whole = request()
        whole.proto_file[0].message_type.add(name="M")
        self.assert_error(whole, 'the message "p.M" is there twice')

    def test_positions(self):
        """Locations that make no sense are not believed."""
        for span in ([-1, 0, 0], [2**31 - 1, 0, 0], [], [1]):
            whole = request()
            whole.proto_file[0].service[0].method[0].name = "blocking"
            whole.proto_file[0].source_code_info.location.add(path=[6, 0, 2, 0], span=span)
            self.assert_error(whole, 'a.proto: error: a method cannot be called "blocking"')
        whole = request()
        whole.proto_file[0].service[0].method[0].name = "blocking"
        whole.proto_file[0].source_code_info.location.add(path=[6, 0], span=[4, 2, 9])
        self.assert_error(whole, 'a.proto:5:3: error: a method cannot be called "blocking"')

    def test_many_errors(self):
        whole = request()
        for i in range(200):
            whole.proto_file[0].service[0].method.add(name=f"Stream{i}", input_type=".p.M", output_type=".p.None")
        self.assert_error(whole, 'a type of the method "Stream49" is not in the request\ntoo many errors')

    def test_extensionless(self):
        whole = request()
        whole.file_to_generate[0] = whole.proto_file[0].name = "dir.d/9 a"
        names = [f.name for f in self.answer(whole).file]
        self.assertEqual(names, ["dir.d/9 a.msgsrv.h", "dir.d/9 a.msgsrv.c"])

    def test_parameters(self):
        self.answer(request("setting=max_size:16,,options_path=/nonexistent"))
        for parameter in ("x", "options_path", "options_path=", "options_paths=a", "=", "setting=", "a=b"):
            self.assert_error(request(parameter), f'protoc-gen-msgsrv: error: unknown parameter "{parameter}"')
        self.assert_error(request("options=a,options=b"), "was given twice")
        self.assert_error(request("options=/nonexistent/a.options"),
                          "/nonexistent/a.options: error: there is no such options file")

    def test_settings(self):
        for setting, option in (("mangle_names:M_FLATTEN", "mangle_names"), ("mangle_names=1", "mangle_names"),
                                ("max_size:1 skip_message:true", "skip_message"), ('package:"a"', "package"),
                                ("type_override:TYPE_INT32", "type_override"), ("fallback_type:1", "fallback_type"),
                                ('callback_function:"f"', "callback_function")):
            self.assert_error(request(f"setting={setting}"),
                              f"-s {setting}: error: nanopb's option {option} is not supported with this value")
        for setting in ("nonsense", "a:", "a:'b", "a:[1", "a:[1 2]", ":b", "a:<b>", "a b"):
            self.assert_error(request(f"setting={setting}"), f"-s {setting}: error: a setting must be NAME:VALUE")
        for setting in ("mangle_names:M_NONE", "skip_message:false", "include:['<a.h>']", "type:FT_POINTER",
                        "exclude:'a' \"b\"; max_size:+4", "package:''", "callback_datatype:'pb_callback_t'"):
            self.assertEqual(len(self.answer(request(f"setting={setting}")).file), 2, setting)

    def test_options_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.options")
            with open(path, "wb") as file:
                file.write(b"p.M.text max_size:4\r\n\r\np.M mangle_names:M_FLATTEN\r\n")
            for parameter in (f"options_path=/nonexistent,options_path={folder}", f"options={path}",
                              f"options=a.options,options_path={folder}"):
                self.assert_error(request(parameter), f"{path}:3: error: nanopb's option mangle_names")

    def test_options_that_do_not_decode(self):
        whole = request()
        options = b"\x92\x3f\x05\x88\x01\x01\xff\xff"  # extension 1010 with an unfinished varint in it
        data = whole.SerializeToString()
        inner = descriptor_pb2.FileDescriptorProto()
        inner.CopyFrom(whole.proto_file[0])
        file = inner.SerializeToString() + b"\x42" + varint(len(options)) + options
        whole.ClearField("proto_file")
        data = whole.SerializeToString() + b"\x7a" + varint(len(file)) + file
        done = self.run_plugin(data)
        self.assertEqual(done.returncode, 0)
        self.assertIn("a.proto: error: the options do not decode",
                      plugin_pb2.CodeGeneratorResponse.FromString(done.stdout).error)

    def test_by_hand(self):
        for argument in ("--help", "--version"):
            done = subprocess.run([PLUGIN, argument], capture_output=True, check=True, timeout=tools.TIMEOUT_S)
            self.assertTrue(done.stdout.startswith(b"protoc-gen-msgsrv 1."))
            self.assertEqual(done.stderr, b"")
        for arguments in (["--frobnicate"], ["--help", "--version"], ["a.proto"]):
            done = subprocess.run([PLUGIN, *arguments], capture_output=True, check=False, timeout=tools.TIMEOUT_S)
            self.assertEqual((done.returncode, done.stdout), (64, b""))
            self.assertIn(b"unknown argument", done.stderr)

    def test_terminal(self):
        """From a terminal there comes no request; it says what it is instead of waiting for one."""
        ours, theirs = pty.openpty()
        try:
            done = subprocess.run([PLUGIN], stdin=theirs, capture_output=True, check=False, timeout=tools.TIMEOUT_S)
        finally:
            os.close(ours)
            os.close(theirs)
        self.assertEqual((done.returncode, done.stdout), (64, b""))
        self.assertIn(b"a plugin of protoc", done.stderr)

    def test_streams_that_fail(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PLUGIN], input=request().SerializeToString(), stdout=full, stderr=subprocess.PIPE,
                                  check=False, timeout=tools.TIMEOUT_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output: No space left on device", done.stderr)
        folder = os.open("/", os.O_RDONLY)
        try:
            done = subprocess.run([PLUGIN], stdin=folder, capture_output=True, check=False, timeout=tools.TIMEOUT_S)
        finally:
            os.close(folder)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard input: Is a directory", done.stderr)


def varint(number):
    """A number as protobuf writes lengths."""
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


if __name__ == "__main__":
    unittest.main()
