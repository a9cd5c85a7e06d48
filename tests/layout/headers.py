#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The public headers: each compiles alone, every function is documented, and version.h is right.

    headers.py compile INCLUDE NANOPB_INCLUDE LANGUAGE STANDARD COMPILER...   each header alone, without a warning
    headers.py documented INCLUDE        a comment directly above every public function and callback type
    headers.py version INCLUDE VERSION   version.h says what the build says
    headers.py functions INCLUDE         prints the names of all public functions
"""
import pathlib
import re
import subprocess
import sys

API = re.compile(r"^MSGSRV_API\b")
CALLBACK = re.compile(r"^typedef [^;{]*\(\*\w+\)\(")
DATA = re.compile(r"^extern MSGSRV_API \w[\w ]* (\w+);", re.M)
FUNCTION = re.compile(r"^MSGSRV_API\s[^;(]*?\b(\w+)\(", re.MULTILINE)


def headers(include):
    """All public headers."""
    found = sorted(pathlib.Path(include, "msgsrv").glob("*.h"))
    if not found:
        sys.exit(f"no headers in {include}/msgsrv")
    return found


def compile_alone(include, nanopb, language, standard, *compiler):
    """Compiles each header twice in one file, which also tries its include guard."""
    status = 0
    for header in headers(include):
        line = f"#include <msgsrv/{header.name}>\n"
        command = [*compiler, "-x", language, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror",
                   "-fsyntax-only", "-I", include, "-isystem", nanopb, "-H", "-"]
        done = subprocess.run(command, input=line * 2 + "int main(void) { return 0; }\n", text=True,
                              capture_output=True, check=False)
        used = re.findall(r"^\.+ (.*)$", done.stderr, re.MULTILINE)
        foreign = [path for path in used if "/event2/" in path or re.search(r"/pb(_\w+)?\.h$", path)]
        if done.returncode != 0:
            print(f"{header.name} does not compile alone as {standard}:\n{done.stderr}")
            status = 1
        if foreign and header.name not in ("service.h", "bus.h"):  # bus.h needs service.h
            print(f"{header.name} includes {foreign}")
            status = 1
    return status


def documented(include):
    """Every declaration has a /** comment that ends on the line above it."""
    status = 0
    for header in headers(include):
        lines = header.read_text().splitlines()
        for number, line in enumerate(lines):
            if not API.match(line) and not CALLBACK.match(line):
                continue
            top = number - 1
            while lines[top].endswith("*/") or lines[top].startswith(" *"):
                if lines[top].lstrip().startswith("/**"):
                    break
                top -= 1
            if not lines[number - 1].endswith("*/") or not lines[top].startswith("/**"):
                print(f"{header.name}:{number + 1}: no comment directly above: {line}")
                status = 1
    return status


def version(include, wanted):
    """version.h's four macros against the build's version."""
    text = pathlib.Path(include, "msgsrv/version.h").read_text()
    parts = [re.search(rf"#define MSGSRV_VERSION_{name} (\d+)", text).group(1) for name in ("MAJOR", "MINOR", "PATCH")]
    whole = re.search(r'#define MSGSRV_VERSION "([^"]*)"', text).group(1)
    if ".".join(parts) == whole == wanted:
        return 0
    print(f'version.h says {".".join(parts)} and "{whole}", the build {wanted}')
    return 1


def functions(include):
    """Prints every public function, and every public constant, sorted."""
    texts = [header.read_text() for header in headers(include)]
    print("\n".join(sorted(name for text in texts for name in FUNCTION.findall(text) + DATA.findall(text))))
    return 0


def main():
    commands = {"compile": compile_alone, "documented": documented, "version": version, "functions": functions}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    return commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
