#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The documents against the tree.

    text.py TREE          prints each fault as FILE:LINE and exits 1 when there is any
    text.py --self-test   seeds a fault of each kind into a small tree, and expects each to be found

Code: a block in C or CMake stands below a paragraph whose last link is its file, and is a piece of it.
Links and paths: what is linked, and what looks like a path of ours, exists; so do headings that are linked.
Limits: the tables of docs/protocol.md have every constant of lib/base/limits.h that is an option, with its value.
Counters: docs/security.md names every refusal of include/msgsrv/stats.h, and no other.
"""
import pathlib
import re
import sys
import tempfile

from markdown import blocks, documents, prose

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
OURS = re.compile(r"^(?:\.ci|apps|bench|cmake|docs|examples|include|lib|pkgconfig|proto|scripts|tests)/[\w./*-]+$")
TYPEDEF = re.compile(r"^typedef struct (\w+) \{(.*?)^\} \1;", re.M | re.S)

# Constants that are no limit of a peer's, or are documented as text.
NO_ROW = {"MSI_KIB", "MSI_MIB", "MSI_RECV_SIZE", "MSI_FLUSH_SIZE", "MSI_STASH_SMALL"}
# Options whose constant has another name, by the table in which they stand.
OTHER_NAME = {"client": {"timeout_ms": "MSI_CALL_TIMEOUT_MS", "max_calls": "MSI_CLIENT_MAX_CALLS"}, "server": {}}
UNITS = {"": 1, "bytes": 1, "KiB": 1024, "MiB": 1024 * 1024, "ms": 1, "s": 1000}


def code_faults(folder, text):
    for number, language, before, code in blocks(text):
        if language not in ("c", "cmake"):
            continue
        named = (LINK.findall(before) or [""])[-1]
        if not (folder / named).is_file():
            yield number, f"a block of {language} below a paragraph that names no file"
        elif code not in (folder / named).read_text():
            yield number, f"the block is no piece of {named}"


def slug(heading):
    """A heading's anchor, as GitHub makes it."""
    kept = "".join(c for c in heading.lower().replace("`", "") if c.isalnum() or c in " -_")
    return kept.strip().replace(" ", "-")


def anchors(path):
    return {slug(line.lstrip("#").strip()) for _, line in prose(path.read_text()) if line.startswith("#")}


def link_faults(tree, path, text):
    for number, line in prose(text):
        for target in LINK.findall(line):
            if target.startswith("https://"):
                continue
            name, _, anchor = target.partition("#")
            linked = (path.parent / name).resolve() if name else path
            if not linked.exists():
                yield number, f"there is no {target}"
            elif anchor and anchor not in anchors(linked):
                yield number, f"there is no heading {target}"
        for code in CODE.findall(line):
            if OURS.match(code) and not any(tree.glob(code.rstrip("/"))):
                yield number, f"there is no {code}"


def value_of(expression, known):
    """A constant's value; the expressions are products of numbers and of names."""
    value = 1
    for factor in expression.strip("() ").split("*"):
        factor = factor.strip()
        value *= known[factor] if factor in known else int(factor.rstrip("u"), 8 if re.match(r"0\d", factor) else 10)
    return value


def constants(tree):
    known = {}
    for line in (tree / "lib/base/limits.h").read_text().splitlines():
        found = re.match(r"#define (MSI_\w+) ([^/]+?)\s*(?:/\*|$)", line)
        if found and not found.group(1).endswith("_H"):
            known[found.group(1)] = value_of(found.group(2), known)
    return known


def fields(tree, header, struct):
    """The names of a public struct's members."""
    for name, body in TYPEDEF.findall((tree / "include/msgsrv" / header).read_text()):
        if name == struct:
            return set(re.findall(r"\b(\w+);", body))
    return set()


def amount(text, option):
    """A default as the table writes it, in the unit of its option."""
    if option == "socket_mode":
        return int(text, 8)
    number, _, unit = text.partition(" ")
    value = int(number.replace(",", "")) * UNITS[unit]
    return value // 1000 if option.endswith("_s") else value


def rows(text):
    """(line number, "server" or "client", option, default) of each row of the tables of limits."""
    table = None
    side = "server"
    for number, line in enumerate(text.splitlines(), 1):
        if "msgsrv_client_options" in line:
            side = "client"
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else None
        if not cells:
            table = None
        elif cells[:3] == ["limit", "option", "default"]:
            table = side
        elif table and not cells[0].startswith("-"):
            yield number, table, cells[1].strip("`"), cells[2]


def limit_faults(tree, text):
    known = constants(tree)
    members = {side: fields(tree, f"{side}.h", f"msgsrv_{side}_options") for side in ("server", "client")}
    seen = set(re.findall(r"`(MSI_\w+)`", text))
    for number, side, option, default in rows(text):
        name = OTHER_NAME[side].get(option, option if option.startswith("MSI_") else "MSI_" + option.upper())
        seen.add(name)
        if name not in known:
            yield number, f"lib/base/limits.h has no {name}"
        elif amount(default, option) != known[name]:
            yield number, f"{option}: {default}, but {name} is {known[name]}"
        if not option.startswith("MSI_") and option not in members[side]:
            yield number, f"msgsrv_{side}_options has no {option}"
    for name in sorted(set(known) - seen - NO_ROW):
        yield 1, f"no row for {name}"


def counter_faults(tree, text):
    named = {}
    for number, line in prose(text):
        if line.startswith("| ") and line.count("|") == 4:
            for code in CODE.findall(line.split("|")[3]):
                named[code] = number
    real = set(re.findall(r'^    X\(\w+, "(\w+)"\)', (tree / "include/msgsrv/stats.h").read_text(), re.M))
    for name in sorted(set(named) - real):
        yield named[name], f"there is no counter {name}"
    for name in sorted(real - set(named)):
        yield 1, f"the counter {name} is not named"


def faults(tree):
    """Every fault of a tree, as text."""
    found = []
    for path in documents(tree):
        text = path.read_text()
        name = str(path.relative_to(tree))
        checks = [code_faults(path.parent, text), link_faults(tree, path, text)]
        if name == "docs/protocol.md":
            checks.append(limit_faults(tree, text))
        if name == "docs/security.md":
            checks.append(counter_faults(tree, text))
        found += [f"{name}:{number}: {what}" for check in checks for number, what in check]
    return found


# A tree without a fault; and for each kind a change of it, with what must be said.
CLEAN = {
    "README.md": "# A\nSee [b](docs/protocol.md#the-limits), `lib/base/limits.h`, `tests/*.c`.\n\n"
                 "From [a](examples/a.c):\n\n```c\nint a;\n```\n",
    "docs/protocol.md": "## The limits\n| limit | option | default | over it |\n|---|---|---|---|\n"
                        "| a | `max_a` | 4 MiB | |\n| b | `b_timeout_ms` | 60 s | |\n"
                        "| c | `keep_s` | 20 s | |\n| d | `MSI_D` | 64 bytes | |\n",
    "docs/security.md": "| what | bound | counter |\n|---|---|---|\n| a | b | `slow` |\n",
    "examples/a.c": "/* a */\nint a;\nint b;\n",
    "tests/a.c": "int a;\n",
    "lib/base/limits.h": "#define MSI_BASE_LIMITS_H\n#define MSI_KIB 1024u\n#define MSI_MIB (1024u * 1024u)\n"
                         "#define MSI_MAX_A (4 * MSI_MIB)\n#define MSI_B_TIMEOUT_MS 60000u\n"
                         "#define MSI_KEEP_S 20u\n#define MSI_D 64u /* d */\n",
    "include/msgsrv/server.h": "typedef struct msgsrv_server_options {\n    uint32_t max_a; /**< a */\n"
                               "    uint32_t b_timeout_ms;\n    uint32_t keep_s;\n} msgsrv_server_options;\n",
    "include/msgsrv/client.h": "typedef struct msgsrv_client_options {\n    int a;\n} msgsrv_client_options;\n",
    "include/msgsrv/stats.h": '    X(SLOW, "slow") /* slow */ \\\n',
}
SEEDS = [
    ("README.md", "int a;\n```", "int c;\n```", "no piece of examples/a.c"),
    ("README.md", "From [a](examples/a.c)", "Somewhere", "names no file"),
    ("README.md", "#the-limits", "#no-limits", "there is no heading"),
    ("README.md", "docs/protocol.md#", "docs/other.md#", "there is no docs/other.md"),
    ("README.md", "`tests/*.c`", "`tests/b.c`", "there is no tests/b.c"),
    ("docs/protocol.md", "4 MiB", "4 KiB", "MSI_MAX_A is 4194304"),
    ("docs/protocol.md", "60 s", "61 s", "MSI_B_TIMEOUT_MS is 60000"),
    ("docs/protocol.md", "20 s", "2 s", "MSI_KEEP_S is 20"),
    ("docs/protocol.md", "`keep_s`", "`keep_it`", "has no MSI_KEEP_IT"),
    ("docs/protocol.md", "| d | `MSI_D` | 64 bytes | |\n", "", "no row for MSI_D"),
    ("include/msgsrv/server.h", "max_a;", "max_b;", "msgsrv_server_options has no max_a"),
    ("docs/security.md", "`slow`", "`fast`", "there is no counter fast"),
    ("docs/security.md", "`slow`", "", "the counter slow is not named"),
]


def write_tree(tree, files):
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder).resolve()
        write_tree(tree, CLEAN)
        assert faults(tree) == [], faults(tree)
        for name, old, new, expected in SEEDS:
            assert old in CLEAN[name], (name, old)
            write_tree(tree, {**CLEAN, name: CLEAN[name].replace(old, new)})
            assert any(expected in fault for fault in faults(tree)), (name, old, new, faults(tree))
            write_tree(tree, CLEAN)
    return 0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--self-test":
        return self_test()
    found = faults(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(found) if found else "no fault")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
