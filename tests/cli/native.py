# SPDX-License-Identifier: MIT
"""
A scripted server on the native wire (docs/protocol.md), for answers that msgsrv-server does not give.
"""
import contextlib

from programs import field, peer, varint

CALL, ITEM, END, HEAD = 16, 17, 18, 24
ID, METHOD, CODE, TEXT, METADATA, STREAMING, BODY = 1, 2, 2, 3, 4, 6, 15


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The fields of a message as (number, value), a value being an int or bytes."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if tag & 7 == 2:
            value, at = data[at:at + value], at + value
        yield tag >> 3, value


def frames(connection):
    """The frames that come on a connection, as (number, [(number, value)])."""
    with connection.makefile("rb") as stream:
        def one_varint():
            value = bytearray()
            while not value or value[-1] > 0x7F:
                byte = stream.read(1)
                if not byte:
                    raise EOFError
                value += byte
            return read_varint(bytes(value), 0)[0]
        with contextlib.suppress(EOFError, OSError):
            while True:
                number = one_varint() >> 3
                yield number, list(fields(stream.read(one_varint())))


def item(call, body):
    return field(ITEM, varint(ID << 3) + varint(call) + field(BODY, body))


def entries(metadata):
    return b"".join(field(METADATA, field(1, key.encode()) + field(2, value)) for key, value in metadata)


def head(call, metadata):
    return field(HEAD, varint(ID << 3) + varint(call) + entries(metadata))


def end(call, code=0, text="", body=None, metadata=()):
    return field(END, varint(ID << 3) + varint(call) + (varint(CODE << 3) + varint(code) if code else b"")
                 + (field(TEXT, text.encode()) if text else b"") + entries(metadata)
                 + (field(BODY, body) if body is not None else b""))


def native_server(methods, seen=None):
    """
    Serves methods of a dict: path to what is called with each message's bytes. What that returns is sent back: bytes as a response,
    (code, text) as the end of the call; a function makes the frames for a call's id. Where the client sends one message, bytes end the
    call. All other methods are UNIMPLEMENTED. The path and the metadata of each call are appended to `seen`.
    """
    def answer(connection):
        paths = {}
        for number, frame in frames(connection):
            values = dict(frame)
            call = values.get(ID, 0)
            if number == CALL:
                path = values[METHOD].decode()
                if seen is not None:
                    metadata = [dict(fields(value)) for key, value in frame if key == METADATA]
                    seen.append((path, [(entry[1].decode(), entry.get(2, b"")) for entry in metadata]))
                if path not in methods:
                    connection.sendall(end(call, 12, f"no method {path}"))
                    continue
                if not values.get(STREAMING):
                    result = methods[path](values.get(BODY, b""))
                    connection.sendall(result(call) if callable(result) else
                                       end(call, body=result) if isinstance(result, bytes) else end(call, *result))
                    continue
                paths[call] = path
            if call in paths and BODY in values and number in (CALL, ITEM):
                result = methods[paths[call]](values[BODY])
                connection.sendall(result(call) if callable(result) else
                                   item(call, result) if isinstance(result, bytes) else end(call, *result))
                if not isinstance(result, bytes):
                    del paths[call]
            if call in paths and number == END:
                connection.sendall(end(call))
                del paths[call]
    return peer(answer)
