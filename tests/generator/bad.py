#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Inputs that must fail: bad/NAME.proto says in its lines `// EXPECT text` which errors it gets, all of them.

    bad.py PLUGIN
"""
import pathlib
import sys
import tempfile

import tools


def expected(path):
    """The errors that a file announces."""
    return [line.split(" EXPECT ", 1)[1] for line in path.read_text().splitlines() if line.startswith("// EXPECT ")]


def check(plugin, path):
    """What is wrong with how the generator treats one file; nothing when all is as it should be."""
    errors = expected(path)
    with tempfile.TemporaryDirectory() as out:
        done = tools.generate(plugin, out, [path.name], [path.parent])
        written = [p for p in pathlib.Path(out).rglob("*") if p.is_file()]
    if done.returncode == 0 or written:
        yield f"exit status {done.returncode}, written: {written}"
    for error in errors:
        # The folder of an .options file is named as it was given.
        if error not in done.stderr.replace(f"{path.parent}/", ""):
            yield f"missing: {error}"
    if done.stderr.count(": error: ") != len(errors) or not errors:
        yield f"{len(errors)} errors expected"
    if "Sanitizer" in done.stderr or "runtime error" in done.stderr:
        yield "a sanitizer complains"


def main():
    plugin = sys.argv[1]
    status = 0
    files = sorted((tools.HERE / "bad").glob("*.proto"))
    for path in files:
        problems = list(check(plugin, path))
        if problems:
            done = tools.generate(plugin, "/nonexistent", [path.name], [path.parent])
            print(f"{path.name}:", *problems, "it says:", done.stderr, sep="\n    ")
            status = 1
    print(f"{len(files)} files")
    return status if files else 1


if __name__ == "__main__":
    sys.exit(main())
