#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The descriptors in generated code are what protoc itself says of the files, and bring all their imports along.

    descriptors.py PLUGIN MESSAGES_DIR
"""
import pathlib
import re
import sys
import tempfile
import unittest

from google.protobuf import descriptor_pb2

import golden
import tools

PLUGIN, MESSAGES_DIR = sys.argv.pop(1), sys.argv.pop(1)
PROTOS = tools.HERE / "protos"
BYTES = re.compile(r"^static const unsigned char (\w+)_bytes\[\] = \{\n([^}]*)\};$", re.MULTILINE)
IMPORTS = re.compile(r"^static const msgsrv_proto_file \*const (\w+)_imports\[\] = \{\n([^}]*)    NULL,\n\};$",
                     re.MULTILINE)
FILE = re.compile(r'^(static )?const msgsrv_proto_file (\w+) = \{\n    \.name = "([^"\n]+)",\n'
                  r"    \.descriptor = \2_bytes,\n    \.descriptor_size = sizeof \2_bytes,\n"
                  r"    \.imports = (NULL|\2_imports),\n\};$", re.MULTILINE)


class Object:  # pylint: disable=too-few-public-methods
    """One msgsrv_proto_file."""

    def __init__(self, name, own, data, imports):
        self.name, self.own, self.data, self.imports = name, own, data, imports


def objects(path):
    """Those of one generated file, by their C names. What is `static` has to come before it is used."""
    text = path.read_text()
    data = {name: bytes(int(number, 16) for number in re.findall("0x([0-9a-f]{2}),", body))
            for name, body in BYTES.findall(text)}
    imports = {name: re.findall(r"^    &(\w+),$", body, re.MULTILINE) for name, body in IMPORTS.findall(text)}
    found = {}
    for storage, c_name, name, list_name in FILE.findall(text):
        assert all(item in found or "_proto_file_import_" not in item for item in imports.get(c_name, ())), c_name
        assert (list_name == "NULL") == (c_name not in imports), c_name
        found[c_name] = Object(name, not storage, data[c_name], imports.get(c_name, []))
    assert len(found) == len(data), path
    return found


def described(folder, files, *options):
    """What protoc says of files and of all that they import, by name."""
    with tempfile.TemporaryDirectory() as out:
        result = pathlib.Path(out) / "set"
        done = tools.protoc([f"-I{folder}", f"-I{tools.nanopb_proto_dir()}", "--include_imports", *options,
                             f"--descriptor_set_out={result}", *files])
        assert done.returncode == 0, done.stderr
        return {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(result.read_bytes()).file}


def comments(file):
    """The places of a file that have comments."""
    return {tuple(at.path): (at.leading_comments, at.trailing_comments, tuple(at.leading_detached_comments))
            for at in file.source_code_info.location
            if at.HasField("leading_comments") or at.HasField("trailing_comments") or at.leading_detached_comments}


class Descriptors(unittest.TestCase):
    """All protos of the tests, generated as one request and each alone."""

    @classmethod
    def setUpClass(cls):
        # pylint: disable=consider-using-with
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.out = pathlib.Path(cls.folder.name)
        cls.sources = golden.generate_all(PLUGIN, cls.out, MESSAGES_DIR)
        cls.sources = [name for name in cls.sources if name.endswith(".c")]
        cls.objects = {name: objects(cls.out / name) for name in cls.sources}
        # The objects that others may refer to.
        cls.shared = {c_name: item for found in cls.objects.values() for c_name, item in found.items() if item.own}
        cls.protoc = described(PROTOS, [f"{name}.proto" for name in golden.PROTOS])
        cls.protoc.update(described(MESSAGES_DIR, ["messages.proto"]))
        cls.commented = described(PROTOS, [f"{name}.proto" for name in golden.PROTOS], "--include_source_info")
        cls.commented.update(described(MESSAGES_DIR, ["messages.proto"], "--include_source_info"))

    def test_as_protoc_says(self):
        """Byte for byte: also options that only somebody else's extensions know."""
        count = 0
        for found in self.objects.values():
            for item in found.values():
                with self.subTest(name=item.name):
                    file = descriptor_pb2.FileDescriptorProto.FromString(item.data)
                    file.ClearField("source_code_info")
                    self.assertEqual(file.SerializeToString(), self.protoc[item.name].SerializeToString())
                    if not item.own:
                        self.assertEqual(item.data, self.protoc[item.name].SerializeToString())
                    count += 1
        self.assertGreater(count, len(self.sources))

    def test_comments_are_kept_and_places_are_not(self):
        kept = 0
        for item in self.shared.values():
            file = descriptor_pb2.FileDescriptorProto.FromString(item.data)
            with self.subTest(name=item.name):
                expected = comments(self.commented[item.name])
                self.assertEqual(comments(file), expected)
                self.assertEqual(len(file.source_code_info.location), len(expected))
                self.assertEqual(file.HasField("source_code_info"), bool(expected))
                self.assertFalse(any(at.span for at in file.source_code_info.location))
                kept += len(expected)
        self.assertGreater(kept, 10)

    def test_kinds_of_comments(self):
        places = comments(descriptor_pb2.FileDescriptorProto.FromString(self.shared["comments_proto_file"].data))
        for kind, name in enumerate(("leading", "trailing", "detached")):
            self.assertTrue(any(place[kind] for place in places.values()), name)

    def test_all_imports(self):
        """From each file all that protoc would include is reached, by objects that are in the same program."""
        for source, found in self.objects.items():
            own = next(item for item in found.values() if item.own)
            folder = MESSAGES_DIR if own.name == "messages.proto" else PROTOS
            with self.subTest(source=source):
                reached, todo = {}, [(found, own)]
                while todo:
                    scope, item = todo.pop()
                    if item.name in reached:
                        continue
                    reached[item.name] = item
                    names = []
                    for c_name in item.imports:
                        other = scope.get(c_name) or self.shared.get(c_name)
                        if other is None:
                            # timestamp.proto is generated apart from the others.
                            self.assertEqual(c_name, "google_protobuf_timestamp_proto_file")
                            names.append("google/protobuf/timestamp.proto")
                            reached[names[-1]] = None
                            continue
                        names.append(other.name)
                        home = next(objs for objs in self.objects.values() if other in objs.values())
                        todo.append((home, other))
                    self.assertEqual(names, list(self.protoc[item.name].dependency))
                self.assertEqual(set(reached), set(described(folder, [own.name])))

    def test_not_by_the_request(self):
        """A file is the same whatever else is generated with it, so that builds can be repeated."""
        for source in self.sources:
            name = source.replace(".msgsrv.c", ".proto")
            folder = MESSAGES_DIR if name == "messages.proto" else PROTOS
            with self.subTest(source=source), tempfile.TemporaryDirectory() as out:
                done = tools.generate(PLUGIN, out, [name], [folder])
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual((pathlib.Path(out) / source).read_text(), (self.out / source).read_text())


if __name__ == "__main__":
    unittest.main()
