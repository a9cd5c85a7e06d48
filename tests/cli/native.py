# SPDX-License-Identifier: MIT
"""
A scripted server on the native wire (docs/protocol.md), for answers that msgsrv-server does not give.
"""
import contextlib

from programs import field, peer, varint

CALL, ITEM, END, CREDIT = 16, 17, 18, 20
ID, METHOD, CODE, TEXT, BODY = 1, 2, 2, 3, 15


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
    """The frames that come on a connection, as (number, fields)."""
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
                yield number, dict(fields(stream.read(one_varint())))


def item(call, body):
    return field(ITEM, varint(ID << 3) + varint(call) + field(BODY, body))


def end(call, code=0, text="", body=None):
    return field(END, varint(ID << 3) + varint(call) + (varint(CODE << 3) + varint(code) if code else b"")
                 + (field(TEXT, text.encode()) if text else b"") + (field(BODY, body) if body is not None else b""))


def native_server(methods):
    """
    Serves methods of a dict: path to what is called with each message's bytes. What that returns is sent back: bytes as a response,
    (code, text) as the end of the call. Of a unary call, bytes are the response. All others are UNIMPLEMENTED.
    """
    def answer(connection):
        paths = {}
        for number, frame in frames(connection):
            call = frame.get(ID, 0)
            if number == CALL:
                path = frame[METHOD].decode()
                if path not in methods:
                    connection.sendall(end(call, 12, f"no method {path}"))
                    continue
                if not frame.get(6):
                    result = methods[path](frame.get(BODY, b""))
                    connection.sendall(end(call, body=result) if isinstance(result, bytes) else end(call, *result))
                    continue
                paths[call] = path
            if call in paths and BODY in frame and number in (CALL, ITEM):
                result = methods[paths[call]](frame[BODY])
                if isinstance(result, bytes):
                    connection.sendall(item(call, result))
                else:
                    connection.sendall(end(call, *result))
                    del paths[call]
            if call in paths and number == END:
                connection.sendall(end(call))
                del paths[call]
    return peer(answer)
