#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes real requests and gives them to the program mutate.

    mutate.py MUTATE MESSAGES_DIR
"""
import pathlib
import subprocess
import sys
import tempfile

import tools

# How often a request is cut (a small one at every byte) and damaged.
CUTS = 4000
MUTATIONS = 3000
# Its answer: supported_features = FEATURE_PROTO3_OPTIONAL, and no files.
DUMP = "#!/bin/sh\ncat > \"$0.request\"\nprintf '\\020\\001'\n"


def dump(folder, name, proto, dirs):
    """The request that protoc makes of one file, written by a plugin that does nothing else."""
    plugin = pathlib.Path(folder) / name
    plugin.write_text(DUMP)
    plugin.chmod(0o700)
    includes = [f"-I{d}" for d in [*dirs, tools.nanopb_proto_dir()]]
    parameters = [f"--msgsrv_opt=options_path={d}" for d in dirs] + [f"--msgsrv_opt=setting={s}" for s in tools.SETTINGS]
    done = tools.protoc([*includes, *parameters, f"--msgsrv_out={folder}", proto], plugin)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return f"{plugin}.request"


def main():
    mutate, messages_dir = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        requests = [dump(folder, "messages", "messages.proto", [messages_dir]),
                    dump(folder, "nested", "nested.proto", [tools.HERE / "protos"]),
                    dump(folder, "inventory", "inventory.proto", [tools.HERE / "protos"]),
                    dump(folder, "streams", "streams.proto", [tools.HERE / "protos"])]
        for request in requests:
            done = subprocess.run([mutate, request, str(CUTS), str(MUTATIONS)], check=False, timeout=600)
            if done.returncode != 0:
                print(f"{request}: exit status {done.returncode}")
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
