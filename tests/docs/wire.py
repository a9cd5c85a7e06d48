#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The bytes and the Python of the documents against a server.

    wire.py TREE SERVER PROTOC

Each hex block of docs/protocol.md is a conversation: lines with > are sent, then the input is ended; what comes
back must be the lines with <. Both must be what protoc reads as one message. README's Python program must print 5;
it is left out where google.protobuf is missing.
"""
import contextlib
import importlib.util
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

from markdown import blocks

GUARD_S = 60  # what may take so long has failed


@contextlib.contextmanager
def running(server):
    """The port of a server of its own."""
    command = [server, "--listen", "tcp://127.0.0.1:0", "--log-level", "error"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        line = process.stdout.readline().decode()
        port = re.match(r"listening on tcp://127\.0\.0\.1:(\d+)$", line)
        if not port:
            raise AssertionError(f"the server says {line!r}")
        yield int(port.group(1))
        process.terminate()
        if process.wait(GUARD_S) != 0:
            raise AssertionError(f"the server ended with status {process.returncode}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def conversation(code):
    """What a block says is sent, and what comes back."""
    sides = {">": bytearray(), "<": bytearray()}
    for line in code.splitlines():
        sides[line[0]] += bytes.fromhex(line[1:].partition("#")[0])
    return bytes(sides[">"]), bytes(sides["<"])


def ask(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=GUARD_S) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as stream:
            return stream.read()


def decodes(protoc, tree, data):
    command = [protoc, f"--proto_path={tree}/proto", "--decode=msgsrv.wire.Stream", "msgsrv/wire.proto"]
    done = subprocess.run(command, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=GUARD_S,
                          check=False)
    return done.returncode == 0


def check_blocks(tree, port, protoc):
    found = []
    count = 0
    for number, language, _, code in blocks((tree / "docs/protocol.md").read_text()):
        if language != "hex":
            continue
        count += 1
        sent, expected = conversation(code)
        came = ask(port, sent)
        if came != expected:
            found.append(f"docs/protocol.md:{number}: what came back is {came.hex(' ')}")
        if not decodes(protoc, tree, sent) or not decodes(protoc, tree, expected):
            found.append(f"docs/protocol.md:{number}: protoc cannot read it")
    return found if count else ["docs/protocol.md: no block of hex"]


def check_python(tree, port, protoc):
    if importlib.util.find_spec("google") is None or importlib.util.find_spec("google.protobuf") is None:
        print("README.md: its Python is not run: no google.protobuf here")
        return []
    programs = [code for _, language, _, code in blocks((tree / "README.md").read_text()) if language == "python"]
    if len(programs) != 1 or programs[0].count("7070") != 1:
        return ["README.md: expected one program in Python, with one 7070"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([protoc, f"--python_out={folder}", "-I", f"{tree}/proto", "messages.proto"], check=True,
                       timeout=GUARD_S)
        done = subprocess.run([sys.executable, "-B", "-c", programs[0].replace("7070", str(port))],
                              stdout=subprocess.PIPE, timeout=GUARD_S, env={**os.environ, "PYTHONPATH": folder},
                              check=False)
    if (done.returncode, done.stdout) == (0, b"5\n"):
        return []
    return [f"README.md: its Python says {done.stdout!r}, status {done.returncode}"]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    tree, server, protoc = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    with running(server) as port:
        found = check_blocks(tree, port, protoc) + check_python(tree, port, protoc)
    print("\n".join(found) if found else "no fault")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
