#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Who may include whom: greps the #include lines of a source tree against the table below.

    layering.py TREE          prints each violation as FILE:LINE and exits 1 when there is any
    layering.py --self-test   seeds one violation of each kind into a small tree, and expects each to be found
"""
import pathlib
import re
import sys
import tempfile

# The layers of lib/, and what each may include besides itself and the public headers.
LAYERS = {
    "base": set(),
    "wire": {"base"},
    "schema": {"base", "wire"},
    "net": {"base"},
    "call": {"base", "net", "wire", "schema"},
    "protocol": {"base", "net", "wire", "schema", "call"},
    "rpc": {"base", "net", "wire", "schema", "call", "protocol"},
    "bus": {"base", "net", "schema", "wire"},
    "engines": {"base", "net", "wire", "schema", "call", "rpc", "bus"},
    "services": set(),  # see PUBLIC_ONLY
}

# Whose headers a layer does not know: the pure ones can be tested and fuzzed alone.
NO_LIBEVENT = {"base", "wire", "schema"}
NO_NANOPB = {"base", "wire", "net"}
# Written against the public headers alone, and the generated ones of proto/; lib/services against its own as well.
PUBLIC_ONLY = ("apps", "examples", "lib/services")
# But for the bus's service, which is a part of the library like the bus itself.
BUS_SERVICE = ("lib/services", "bus_", {"base", "wire", "bus"})
# How a server gets its built-in services: the one header of theirs that another layer may include.
BUILTIN = ("rpc", "services/builtin.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    """(line number, bracket, name) of each #include of a file."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def sources(tree, folder):
    """All .c and .h files below a folder."""
    return sorted(path for path in (tree / folder).rglob("*.[ch]") if path.is_file())


def layer_faults(tree, layer, path):
    """What a file of lib/LAYER includes and may not."""
    allowed = LAYERS[layer] | {layer}
    for number, bracket, name in includes(path):
        first = name.split("/")[0]
        if ".." in name.split("/"):
            yield number, f"{name}: includes are named from lib/, never by .."
        elif (layer, name) == BUILTIN:
            continue
        elif bracket == '"' and first in LAYERS and first not in allowed:
            yield number, f"{layer} may not include {first} ({name})"
        elif bracket == '"' and "/" in name and first not in LAYERS:
            yield number, f"{name}: there is no layer {first}"
        elif first in ("event2", "event.h", "evhttp.h") and layer in NO_LIBEVENT:
            yield number, f"{layer} knows no libevent ({name})"
        elif re.match(r"pb(_\w+)?\.h$", name) and layer in NO_NANOPB:
            yield number, f"{layer} knows no nanopb ({name})"
        elif bracket == "<" and first == "msgsrv" and not (tree / "include" / name).exists():
            yield number, f"{name}: there is no such public header"


def public_faults(tree, path):
    """What a file that may use the public headers alone includes besides."""
    built_in = tree / "lib/services" in path.parents
    folder, prefix, more = BUS_SERVICE
    more = more if tree / folder in path.parents and path.name.startswith(prefix) else ()
    for number, bracket, name in includes(path):
        first = name.split("/")[0]
        if bracket == '"' and first in more:
            continue
        if (built_in and first == "services") or (tree / "proto" / name.replace(".msgsrv.h", ".proto")).is_file():
            continue
        beside = (path.parent / name).resolve()
        internal = beside.exists() and tree.resolve() / "lib" in beside.parents and beside.parent != path.parent.resolve()
        if internal or (tree / "lib" / name).exists():
            yield number, f"only public headers may be included here ({name})"
        elif first == "msgsrv" and not (tree / "include" / name).exists() and not (path.parent / name).exists():
            yield number, f"{name}: there is no such public header"


def header_faults(path):
    """What a public header includes and may not."""
    for number, bracket, name in includes(path):
        if bracket == '"':
            yield number, f"{name}: public headers are included as <msgsrv/...>"
        elif name.startswith("event"):
            yield number, f"public headers include nothing of libevent's ({name})"
        elif re.match(r"pb(_\w+)?\.h$", name) and path.name != "service.h":
            yield number, f"of the public headers only service.h includes nanopb's ({name})"


def faults(tree):
    """Every violation of a tree, as text."""
    found = []

    def note(path, list_of_faults):
        found.extend(f"{path.relative_to(tree)}:{number}: {text}" for number, text in list_of_faults)

    for folder in sorted(path for path in (tree / "lib").iterdir() if path.is_dir()):
        if folder.name not in LAYERS:
            found.append(f"lib/{folder.name}: a layer that the table does not have")
            continue
        if f"lib/{folder.name}" not in PUBLIC_ONLY:
            for path in sources(tree, folder.relative_to(tree)):
                note(path, layer_faults(tree, folder.name, path))
    for folder in PUBLIC_ONLY:
        for path in sources(tree, folder) if (tree / folder).is_dir() else []:
            note(path, public_faults(tree, path))
    for path in sources(tree, "include"):
        note(path, header_faults(path))
    return found


# A tree without a fault, and violations to seed: file, line, what must be said of it.
CLEAN = {
    "include/msgsrv/call.h": "#include <stddef.h>\n",
    "include/msgsrv/service.h": "#include <pb.h>\n#include <msgsrv/call.h>\n",
    "lib/base/url.h": "#include <msgsrv/call.h>\n",
    "lib/base/url.c": '#include "base/url.h"\n',
    "lib/wire/frame.c": '#include "base/url.h"\n',
    "lib/net/loop.h": '#include <event2/event.h>\n#include "base/url.h"\n',
    "lib/call/call.h": '#include "net/loop.h"\n',
    "lib/rpc/server.c": '#include "call/call.h"\n#include "net/loop.h"\n',
    "lib/services/builtin.h": "#include <msgsrv/service.h>\n",
    "lib/services/health.c": '#include <msgsrv/service.h>\n#include "msgsrv/info.msgsrv.h"\n#include "services/builtin.h"\n',
    "lib/bus/core.h": "#include <msgsrv/call.h>\n",
    "lib/services/bus_service.c": '#include "bus/core.h"\n#include "base/url.h"\n#include "msgsrv/info.msgsrv.h"\n',
    "lib/rpc/start.c": '#include "services/builtin.h"\n',
    "proto/msgsrv/info.proto": "",
    "apps/tool/main.c": '#include <msgsrv/call.h>\n#include "msgsrv/info.msgsrv.h"\n#include "options.h"\n',
    "apps/tool/options.h": "#include <stddef.h>\n",
    "examples/server.c": "#include <msgsrv/call.h>\n",
}
SEEDS = [
    ("lib/base/url.c", '#include "net/loop.h"', "base may not include net"),
    ("lib/base/url.c", "#include <event2/event.h>", "base knows no libevent"),
    ("lib/base/url.c", "#include <pb_decode.h>", "base knows no nanopb"),
    ("lib/base/url.c", '# include  "../net/loop.h"', "never by .."),
    ("lib/base/url.c", "#include <msgsrv/missing.h>", "no such public header"),
    ("lib/base/url.c", '#include "other/thing.h"', "no layer other"),
    ("lib/wire/frame.c", '#include "call/call.h"', "wire may not include call"),
    ("lib/net/loop.h", '#include "call/call.h"', "net may not include call"),
    ("lib/call/call.h", '#include "rpc/server.h"', "call may not include rpc"),
    ("lib/services/health.c", '#include "base/url.h"', "only public headers"),
    ("lib/services/health.c", '#include "bus/core.h"', "only public headers"),
    ("lib/services/bus_service.c", '#include "call/call.h"', "only public headers"),
    ("lib/services/health.c", '#include "msgsrv/other.msgsrv.h"', "no such public header"),
    ("lib/rpc/server.c", '#include "services/health.h"', "rpc may not include services"),
    ("lib/call/call.h", '#include "services/builtin.h"', "call may not include services"),
    ("lib/unknown/x.c", "", "the table does not have"),
    ("apps/tool/main.c", '#include "base/url.h"', "only public headers"),
    ("apps/tool/main.c", '#include "../../lib/base/url.h"', "only public headers"),
    ("examples/server.c", '#include "call/call.h"', "only public headers"),
    ("include/msgsrv/call.h", "#include <event2/event.h>", "nothing of libevent's"),
    ("include/msgsrv/call.h", "#include <pb.h>", "only service.h"),
    ("include/msgsrv/call.h", '#include "base/url.h"', "included as <msgsrv/...>"),
]


def write_tree(tree, seed=None):
    """Writes the clean tree, and appends the seed to its file."""
    files = dict(CLEAN)
    if seed:
        files[seed[0]] = files.get(seed[0], "") + seed[1] + "\n"
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def self_test():
    """0 when the clean tree passes and each seed is found, and nothing else."""
    status = 0
    for seed in [None] + SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            write_tree(pathlib.Path(folder), seed)
            found = faults(pathlib.Path(folder))
        wanted = 1 if seed else 0
        if len(found) != wanted or (seed and seed[2] not in found[0]):
            print(f"self-test: {seed}: found {found}", file=sys.stderr)
            status = 1
    return status


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = faults(pathlib.Path(sys.argv[1]))
    print("\n".join(found) if found else "every include is allowed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
