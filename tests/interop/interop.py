# SPDX-License-Identifier: MIT
"""What the interoperability tests share: the generated Python of our .proto files, a server process, and a
connection whose frames are written and read by Google's protobuf runtime alone.

A connection is one endless message msgsrv.wire.Stream, so what is sent is `Stream(...).SerializeToString()`, and
what comes is cut at its tags and lengths, and parsed as one Stream for each frame.
"""
import os
import select
import socket
import subprocess
import sys
import tempfile
import time

GUARD_S = 20  # what may take so long has failed
SERVER = os.environ.get("MSGSRV_SERVER_PROGRAM", "msgsrv-server")
CLIENT = os.environ.get("MSGSRV_CLIENT_PROGRAM", "msgsrv-client")
PROTOC = os.environ.get("MSGSRV_PROTOC", "protoc")
PROTO = os.environ.get("MSGSRV_PROTO", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "proto"))

_generated = tempfile.TemporaryDirectory(prefix="msgsrv-interop-")
subprocess.run([PROTOC, f"--proto_path={PROTO}", f"--python_out={_generated.name}", "messages.proto",
                "msgsrv/wire.proto"], check=True, timeout=GUARD_S)
sys.path.insert(0, _generated.name)

from google.protobuf.internal.encoder import _VarintBytes  # noqa: E402
import messages_pb2 as messages  # noqa: E402
from msgsrv import wire_pb2 as wire  # noqa: E402

ADD = "/messages.Demo/Add"
ECHO = "/messages.Demo/Echo"

# gRPC's canonical codes.
OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED = range(5)
RESOURCE_EXHAUSTED, OUT_OF_RANGE, UNIMPLEMENTED, UNAVAILABLE = 8, 11, 12, 14


class Server:
    """A msgsrv-server on a free port, as a context."""

    def __init__(self, *options):
        command = [SERVER, "--listen", "tcp://127.0.0.1:0", "--log-level", "error", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        prefix = "listening on tcp://127.0.0.1:"
        if not line.startswith(prefix):
            self.close()
            raise AssertionError(f"the server says {line!r}")
        self.port = int(line[len(prefix):])

    def close(self):
        """Stops it; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(GUARD_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.process.stdout.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        status = self.close()
        if kind is None and status != 0:
            raise AssertionError(f"the server ended with {status}")


def varint(data, at):
    """The varint at a position and the position behind it, or None when it is cut off."""
    value = 0
    for shift in range(0, 70, 7):
        if at == len(data):
            return None
        value |= (data[at] & 0x7F) << shift
        at += 1
        if not data[at - 1] & 0x80:
            return value, at
    raise AssertionError("a varint of more than 10 bytes")


def field_end(data):
    """Where the first length-delimited field of the data ends, or None when it is cut off."""
    tag = varint(data, 0)
    if tag is None:
        return None
    if tag[0] & 7 != 2:
        raise AssertionError(f"wire type {tag[0] & 7}")
    length = varint(data, tag[1])
    if length is None or len(data) - length[1] < length[0]:
        return None
    return length[1] + length[0]


class Connection:
    """A socket with frames. Everything that came is kept in `capture`."""

    def __init__(self, port=None, sock=None):
        self.socket = sock or socket.create_connection(("127.0.0.1", port), GUARD_S)
        self.socket.settimeout(GUARD_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.capture = b""

    def send(self, data):
        """Sends all of it, taking in what comes meanwhile."""
        view = memoryview(data)
        until = time.monotonic() + GUARD_S
        while view:
            readable, writable, _ = select.select([self.socket], [self.socket], [], GUARD_S)
            if time.monotonic() > until:
                raise AssertionError("the peer takes no bytes")
            if readable and not self.receive():
                raise AssertionError("the peer closed")
            if writable:
                view = view[self.socket.send(view[:65536]):]

    def receive(self):
        """Takes in a portion; False at the end."""
        data = self.socket.recv(1 << 16)
        self.buffer += data
        self.capture += data
        return bool(data)

    def next_bytes(self):
        """The bytes of the next field, tag included, or None at the end."""
        while True:
            end = field_end(self.buffer)
            if end is not None:
                data, self.buffer = self.buffer[:end], self.buffer[end:]
                return data
            if not self.receive():
                if self.buffer:
                    raise AssertionError(f"the end inside a frame: {self.buffer!r}")
                return None

    def next(self):
        """The next frame as (its name in Stream, the message), or None at the end."""
        data = self.next_bytes()
        if data is None:
            return None
        stream = wire.Stream.FromString(data)
        fields = stream.ListFields()
        if len(fields) != 1 or len(fields[0][1]) != 1:
            raise AssertionError(f"not a frame: {data!r}")
        if stream.SerializeToString(deterministic=True) != data:
            raise AssertionError(f"the runtime writes {fields[0][0].name} another way than {data!r}")
        return fields[0][0].name, fields[0][1][0]

    def end_of_output(self):
        """No more is sent from here."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        """Closes the socket."""
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def frame(number, payload):
    """The bytes of a frame around a payload that the runtime need not have made."""
    return _VarintBytes(number << 3 | 2) + _VarintBytes(len(payload)) + payload


def call(number, method=None, body=None, **fields):
    """The bytes of a Call."""
    message = wire.Call(id=number, **fields)
    if method is not None:
        message.method = method
    if body is not None:
        message.body = body if isinstance(body, bytes) else body.SerializeToString()
    return wire.Stream(call=[message]).SerializeToString()
