# SPDX-License-Identifier: MIT
"""What the tests of the generator have in common: running protoc with it, and building requests by hand."""
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SETTINGS = ("fallback_type:FT_POINTER", 'callback_function:"msgsrv_field_callback"', 'include:"<msgsrv/bytes.h>"')
TIMEOUT_S = 120


def nanopb_proto_dir():
    """The folder of nanopb.proto, which is installed with nanopb's Python modules."""
    import proto  # pylint: disable=import-outside-toplevel
    return os.path.dirname(proto.__file__)


def protoc(arguments, plugin=None, **more):
    """Runs protoc, with the generator if it is given."""
    command = [os.environ.get("PROTOC", "protoc")]
    if plugin:
        command.append(f"--plugin=protoc-gen-msgsrv={plugin}")
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S,
                          check=False, **more)


def generate(plugin, out, files, dirs, options=()):
    """Runs the generator alone on files, as msgsrv_generate() does; dirs are import folders."""
    arguments = [f"-I{d}" for d in [*dirs, nanopb_proto_dir()]]
    arguments += [f"--msgsrv_opt=options_path={d}" for d in dirs]
    arguments += [f"--msgsrv_opt=setting={s}" for s in SETTINGS]
    arguments += [f"--msgsrv_opt={o}" for o in options]
    return protoc([*arguments, f"--msgsrv_out={out}", *files], plugin)


def run(plugin, data):
    """Gives bytes to the generator itself."""
    return subprocess.run([plugin], input=data, capture_output=True, timeout=TIMEOUT_S, check=False)
