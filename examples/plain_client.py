#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client that knows nothing of calls: a bare ClientMessage out, a bare ServerMessage in, with python3-protobuf.

    protoc --python_out=examples -I proto messages.proto
    examples/plain_client.py HOST PORT A B

Both messages have exactly one member, so on the wire each is one field: a tag, a length, bytes. That is all the framing
there is.
"""
import socket
import sys

import messages_pb2


def read_varint(stream):
    """Returns a varint's value and its bytes."""
    data = b""
    while not data or data[-1] & 0x80:
        byte = stream.read(1)
        if not byte:
            raise EOFError("the server closed the connection")
        data += byte
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(data)), data


def read_message(stream):
    """Reads one ServerMessage; one that the server could not answer comes as an End, and has nothing set."""
    _, tag = read_varint(stream)
    length, size = read_varint(stream)
    return messages_pb2.ServerMessage.FromString(tag + size + stream.read(length))


def main():
    if len(sys.argv) != 5:
        sys.exit("usage: plain_client.py HOST PORT A B")
    host, port, a, b = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    request = messages_pb2.ClientMessage(add_request=messages_pb2.AddRequest(a=a, b=b))
    with socket.create_connection((host, port), timeout=30) as connection:
        connection.sendall(request.SerializeToString())
        answer = read_message(connection.makefile("rb"))
    if answer.WhichOneof("message") != "add_response":
        sys.exit("the server could not answer")
    print(answer.add_response.result)


if __name__ == "__main__":
    main()
