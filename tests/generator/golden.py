#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compares what is generated with the files in golden/, byte for byte.

    golden.py PLUGIN MESSAGES_DIR             MESSAGES_DIR: the folder of messages.proto
    golden.py PLUGIN MESSAGES_DIR --update    writes the golden files; look at the difference before you commit
"""
import difflib
import pathlib
import shutil
import sys
import tempfile

import tools

PROTOS = ("nested", "nopackage", "comments", "classic", "inventory", "common/base", "common/facade", "common/hidden",
          "common/unused", "streams")
GOLDEN = tools.HERE / "golden"


def generate_all(plugin, out, messages_dir):
    """Generates everything into a folder; returns the files' names."""
    runs = [([f"{name}.proto" for name in PROTOS], tools.HERE / "protos"), (["messages.proto"], messages_dir)]
    for files, folder in runs:
        done = tools.generate(plugin, out, files, [folder])
        if done.returncode != 0 or done.stderr:
            sys.exit(f"protoc: exit status {done.returncode}\n{done.stderr}")
    return sorted(str(path.relative_to(out)) for path in pathlib.Path(out).rglob("*") if path.is_file())


def compare(out, names):
    """Prints every difference; the exit status."""
    golden = sorted(str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.is_file())
    status = 0
    if names != golden:
        print(f"generated: {names}\ngolden: {golden}")
        status = 1
    for name in set(names) & set(golden):
        old = (GOLDEN / name).read_text().splitlines(True)
        new = (pathlib.Path(out) / name).read_text().splitlines(True)
        difference = list(difflib.unified_diff(old, new, f"golden/{name}", name))
        if difference:
            print("".join(difference))
            status = 1
    return status


def main():
    plugin, messages_dir = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as out:
        names = generate_all(plugin, out, messages_dir)
        if sys.argv[3:] != ["--update"]:
            return compare(out, names)
        shutil.rmtree(GOLDEN, ignore_errors=True)
        shutil.copytree(out, GOLDEN)
        print(f"{len(names)} files written to {GOLDEN}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
