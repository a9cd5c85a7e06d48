#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Habits of the sources that a grep can see.

    sources.py no-sleep TREE   no test waits for a time; it waits for an event
    sources.py licence TREE    every source file begins with its licence
    sources.py --self-test     seeds a violation of each kind and expects it to be found
"""
import pathlib
import re
import sys
import tempfile

SUFFIXES = {".c", ".h", ".py", ".sh", ".cmake"}
NAMES = {"CMakeLists.txt"}
FOLDERS = ("apps", "bench", "cmake", "examples", "include", "lib", "scripts", "tests")
GENERATED = re.compile(r"\.(pb|msgsrv)\.[ch]$|_pb2\.py$")
SLEEP_CALL = re.compile(r"\b(?:u|nano|clock_nano)?sleep\s*\(")
SLEEP_COMMAND = re.compile(r"^(?:.*[;&|({]|.*\b(?:do|then|else))?\s*sleep\s+[\d.$\"]")
# The one place that polls, for what nobody can be told of, e.g. a thread's end.
MAY_SLEEP = "tests/support/guard.c"
LICENCE = "SPDX-License-Identifier: MIT"


def files(tree, folders):
    """All source files below the folders, generated ones left out."""
    for folder in folders:
        for path in sorted((tree / folder).rglob("*")) if (tree / folder).is_dir() else []:
            named = path.suffix in SUFFIXES or path.name in NAMES
            if named and path.is_file() and not GENERATED.search(path.name) and "__pycache__" not in path.parts:
                yield path


def no_sleep(tree):
    """Lines of tests and examples that wait for a time."""
    for path in files(tree, ("tests", "examples")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            pattern = SLEEP_COMMAND if path.suffix == ".sh" else SLEEP_CALL
            if pattern.search(line) and str(path.relative_to(tree)) != MAY_SLEEP:
                yield f"{path.relative_to(tree)}:{number}: waits for a time: {line.strip()}"


def licence(tree):
    """Files whose first two lines do not name the licence."""
    for path in files(tree, FOLDERS):
        if not any(LICENCE in line for line in path.read_text().splitlines()[:2]):
            yield f"{path.relative_to(tree)}: does not begin with {LICENCE}"


CHECKS = {"no-sleep": no_sleep, "licence": licence}
SEEDS = [
    ("no-sleep", "tests/a.c", "    us" "leep (10);"),
    ("no-sleep", "tests/a.c", "    sl" "eep(1);"),
    ("no-sleep", "tests/a.py", "time.sl" "eep(0.1)"),
    ("no-sleep", "tests/a.sh", "while true; do sl" "eep 0.1; done"),
    ("no-sleep", "tests/a.sh", "sl" 'eep "$time"'),
    ("licence", "lib/base/a.c", "int x;\nint y;"),
]
CLEAN = f"/* {LICENCE} */\nint asleep(void); /* we do not sleep here */\n"


def self_test():
    """0 when a clean file passes and each seed is found."""
    status = 0
    for check, name, text in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            (tree / name).parent.mkdir(parents=True)
            (tree / name).write_text(CLEAN)
            before = list(CHECKS[check](tree))
            (tree / name).write_text(text + "\n")
            after = list(CHECKS[check](tree))
        if before or len(after) != 1:
            print(f"self-test: {check} {text!r}: before {before}, after {after}", file=sys.stderr)
            status = 1
    return status


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 3 or sys.argv[1] not in CHECKS:
        sys.exit(__doc__)
    found = list(CHECKS[sys.argv[1]](pathlib.Path(sys.argv[2])))
    print("\n".join(found) if found else "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
