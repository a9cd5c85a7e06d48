#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What C encodes Python decodes, and the other way round; and the errors of what does not decode name the field.

    roundtrip.py ROUNDTRIP
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import tools

ROUNDTRIP = sys.argv.pop(1)
PROTOS = ("inventory.proto", "common/base.proto")


class RoundTrip(unittest.TestCase):
    """Of one device, which roundtrip.c knows in C."""

    def setUp(self):
        # pylint: disable=consider-using-with
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        folder = pathlib.Path(self.folder.name)
        done = tools.protoc([f"-I{tools.HERE / 'protos'}", f"-I{tools.nanopb_proto_dir()}", f"--python_out={folder}",
                             *PROTOS, "nanopb.proto"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.file = folder / "device"
        sys.path.insert(0, str(folder))
        self.addCleanup(sys.path.remove, str(folder))

    def run_c(self, what):
        """Runs the C side; its exit status and what it says."""
        done = subprocess.run([ROUNDTRIP, what, self.file], capture_output=True, text=True, check=False,
                              timeout=tools.TIMEOUT_S)
        self.assertNotRegex(done.stderr, "Sanitizer|runtime error")
        return done.returncode, done.stderr

    def test_both_ways(self):
        import inventory_pb2  # pylint: disable=import-error,import-outside-toplevel
        self.assertEqual(self.run_c("write"), (0, ""))
        device = inventory_pb2.Device.FromString(self.file.read_bytes())
        self.assertEqual((device.id, device.name, device.kind), (2**64 - 1, "pump \u20ac", 2))
        self.assertEqual(len(device.firmware), 100000)
        self.assertEqual(list(device.owners), ["Ada", "", "J\u00fcrgen"])
        self.assertEqual(dict(device.labels), {"site": "north", "": ""})
        self.assertEqual(device.by_number[4].number, 4)
        self.assertEqual(device.gateway.bus, 9)
        self.assertEqual(device.parts[0].secret, b"\0\1\2")
        self.assertTrue(device.HasField("note") and device.HasField("retired"))
        self.assertEqual((device.signal_dbm, device.revision), (-2**15, 2**63 - 1))
        self.file.write_bytes(device.SerializeToString(deterministic=True))
        self.assertEqual(self.run_c("read"), (0, ""))
        device.id = 1
        self.file.write_bytes(device.SerializeToString())
        self.assertEqual(self.run_c("read")[0], 1)

        # Each of these is refused, naming the field.
        for data, field in ((b"\x12\x01\xff", "name"), (b"\x52\x02a\0", "owners"), (b"\x32\x03\x0a\x01\xff", "key"),
                            (b"\x42" + bytes([17]) + bytes(17), "serial")):
            self.file.write_bytes(data)
            status, text = self.run_c("read")
            self.assertEqual(status, 1)
            self.assertRegex(text, rf"^decode: .*\b{field}\b", data)


if __name__ == "__main__":
    unittest.main()
