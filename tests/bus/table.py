#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/bus-conformance.md against the tests that it names.

    table.py TREE         each name in the table is a test, and each test of the suite is in the table
    table.py --self-test  a name without a test, a test without a row, and a row without a test are found
"""
import pathlib
import re
import sys
import tempfile

ROW = re.compile(r"^\| (\d+\.\d+) \| (.*) \| (.*) \|$")
TEST = re.compile(r"^START_TEST\((\w+)\)", re.M)


def faults(tree):
    """What does not fit, one line each."""
    known, suite = set(), set()
    for path in sorted((tree / "tests/bus").glob("*.c")):
        names = TEST.findall(path.read_text())
        known.update(names)
        if path.name.startswith("conf_"):
            suite.update(names)
    named, numbers = set(), set()
    for line in (tree / "docs/bus-conformance.md").read_text().splitlines():
        row = ROW.match(line)
        if not row:
            continue
        tests = re.findall(r"`(\w+)`", row.group(3))
        named.update(tests)
        if not tests:
            yield f"{row.group(1)} has no test"
        if row.group(1) in numbers:
            yield f"{row.group(1)} comes twice"
        numbers.add(row.group(1))
        for name in tests:
            if name not in known:
                yield f"{row.group(1)}: there is no test {name}"
    for name in sorted(suite - named):
        yield f"{name} is in no row"
    if not numbers:
        yield "there is no table"


def self_test():
    """0 when a sound pair passes and each seeded fault is found."""
    cases = [("| 1.1 | It works. | `works` |", 0), ("| 1.1 | It works. | `works`, `wrong` |", 1),
             ("| 1.1 | It works. |  |", 2), ("", 2), ("| 1.1 | A. | `works` |\n| 1.1 | B. | `works` |", 1)]
    status = 0
    for table, want in cases:
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            (tree / "tests/bus").mkdir(parents=True)
            (tree / "docs").mkdir()
            (tree / "tests/bus/conf_a.c").write_text("START_TEST(works)\n")
            (tree / "docs/bus-conformance.md").write_text(table + "\n")
            found = list(faults(tree))
            if len(found) != want:
                print(f"self-test: {table!r}: {found}", file=sys.stderr)
                status = 1
    return status


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(found) if found else "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
