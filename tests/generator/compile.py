#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Generated code compiles as C99 with every warning an error, and its headers as C99 and as C++17, each alone.

    compile.py PLUGIN NANOPB_PLUGIN INCLUDE NANOPB_INCLUDE MESSAGES_DIR CC [CXX]
"""
import pathlib
import subprocess
import sys
import tempfile

import golden
import tools

WARNINGS = ("-pedantic -Wall -Wextra -Wshadow -Wundef -Wcast-qual -Wwrite-strings -Wpointer-arith -Wformat=2 "
            "-Wcast-function-type -Wcomment -Wunused-macros -Werror").split()
C_WARNINGS = "-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition".split()
# Whoever uses a header initialises structs as nanopb says.
USER = """#include "{header}"
#include "{header}"
{struct} user(void);
{struct} user(void)
{{
    {struct} zero = {struct}_init_zero;
    {struct} fresh = {struct}_init_default;
    {struct}_release(&fresh);
    return zero;
}}
"""
USES = {"inventory": "plant_inventory_v2_Image", "nested": "acme_store_v1_Empty", "messages": "messages_EchoMessage",
        "comments": "comments_Text", "nopackage": "Question", "classic": "classic_Data", "streams": "streams_v1_Item"}
NOT_CXX = ("classic",)  # a field is called class


def run(command, text=None):
    """Runs a compiler; its complaints."""
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False, timeout=tools.TIMEOUT_S)
    return done.stderr if done.returncode != 0 else ""


def generate_nanopb(nanopb_plugin, out, messages_dir):
    """nanopb's part, without which ours does not compile."""
    common = [f"--plugin=protoc-gen-nanopb={nanopb_plugin}", f"--nanopb_out={out}", "--nanopb_opt=-q"]
    common += [f"--nanopb_opt=-s {setting}" for setting in tools.SETTINGS]
    for folder, files in ((tools.HERE / "protos", [f"{name}.proto" for name in golden.PROTOS]),
                          (messages_dir, ["messages.proto"])):
        includes = [f"-I{folder}", f"-I{tools.nanopb_proto_dir()}", f"--nanopb_opt=-I{folder}"]
        done = tools.protoc([*common, *includes, *files])
        if done.returncode != 0:
            sys.exit(done.stderr)
    done = tools.protoc([*common, "google/protobuf/timestamp.proto"])
    if done.returncode != 0:
        sys.exit(done.stderr)


def main():
    plugin, nanopb_plugin, include, nanopb_include, messages_dir, compiler, *cxx = sys.argv[1:]
    with tempfile.TemporaryDirectory() as out:
        names = golden.generate_all(plugin, out, messages_dir)
        done = tools.generate(plugin, out, ["google/protobuf/timestamp.proto"], [])
        generate_nanopb(nanopb_plugin, out, messages_dir)
        # nanopb's own headers are the system's: their style is not ours to test.
        paths = ["-I", out, "-I", include, "-isystem", nanopb_include, "-DPB_ENABLE_MALLOC=1"]
        problems = [done.stderr]
        for name in names:
            path = str(pathlib.Path(out) / name)
            if name.endswith(".c"):
                problems.append(run([compiler, "-std=c99", *WARNINGS, *C_WARNINGS, *paths, "-fsyntax-only", path]))
        for name, struct in USES.items():
            text = USER.format(header=f"{name}.msgsrv.h", struct=struct)
            problems.append(run([compiler, "-std=c99", *WARNINGS, *C_WARNINGS, *paths, "-fsyntax-only", "-x", "c", "-"],
                                text))
            if cxx and name not in NOT_CXX:
                problems.append(run([*cxx, "-std=c++17", *WARNINGS, *paths, "-fsyntax-only", "-x", "c++", "-"], text))
    problems = [problem for problem in problems if problem]
    print(*problems, f"{len(names)} files", sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
