#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the seeds of the fuzz targets: small files, one story each, in corpus/frame, corpus/server, corpus/h2, corpus/decode,
corpus/json and corpus/http1.

    corpus.py           writes them anew
    corpus.py --check   says whether the files there are these

Needs nothing but Python: the few encodings are written out here.
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent / "corpus"
PLAIN_ECHO, PLAIN_ADD = 1, 2
CALL, ITEM, END, CANCEL, CREDIT, PING, PONG, GO_AWAY, HEAD = range(16, 25)
# The order of fuzz_decode.c.
EVERYTHING, INNER, BLOB, ECHO_MESSAGE, ADD_REQUEST, ADD_RESPONSE, CLIENT_MESSAGE, SERVER_MESSAGE = range(8)


def varint(value):
    """A minimal varint."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def uint(number, value):
    """A varint field."""
    return varint(number << 3) + varint(value & (1 << 64) - 1)


def field(number, payload):
    """A length-delimited field."""
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def metadata(key, value):
    """A Metadata inside a Call, End or Head."""
    return field(4, field(1, key) + field(2, value))


def call(number, method="/messages.Demo/Add", body=uint(1, 2) + uint(2, 3), more=b""):
    """A Call."""
    return field(CALL, uint(1, number) + field(2, method) + more + field(15, body))


def echo(number, text, more=b""):
    """A Call of Echo."""
    return call(number, "/messages.Demo/Echo", field(1, text), more)


def stream(number, method, more=b""):
    """A Call whose requests are Items."""
    return field(CALL, uint(1, number) + field(2, "/messages.Demo/" + method) + uint(6, 1) + more)


def item(number, body):
    """An Item."""
    return field(ITEM, uint(1, number) + field(15, body))


def end(number):
    """A client's End."""
    return field(END, uint(1, number))


def plain_echo(text):
    """A plain echo_message."""
    return field(PLAIN_ECHO, field(1, text))


STREAMS = {
    "plain_echo": plain_echo("hello"),
    "plain_add": field(PLAIN_ADD, uint(1, 2) + uint(2, 3)),
    "plain_empty": field(PLAIN_ADD, b"") + field(PLAIN_ECHO, b""),
    "plain_overflow": field(PLAIN_ADD, uint(1, 2147483647) + uint(2, 1)),
    "plain_held": plain_echo("hold") * 3 + field(PLAIN_ADD, uint(1, 1)) * 20,
    "plain_not_utf8": field(PLAIN_ECHO, field(1, b"\xc3\x28")),
    "plain_unbound": field(5, "nobody"),
    "plain_waiting": plain_echo("hold") + plain_echo("x" * 300) * 6,
    "plain_long": plain_echo("x" * 4093) + plain_echo("x" * 4094),
    "call": call(1),
    "calls": b"".join(call(i) for i in range(1, 20)),
    "call_echo": echo(1, "text") + echo(300, "more text"),
    "call_held": echo(1, "hold") + echo(2, "hold") + field(CANCEL, uint(1, 1)) + call(3),
    "call_deadline": echo(1, "hold", uint(3, 1)) + call(2),
    "call_metadata": call(1, more=metadata("key", "value") + metadata("key-bin", bytes(range(40)))),
    "call_metadata_bad": call(1, more=metadata("Key", "value")) + call(2, more=metadata("key", "\n")),
    "call_require": call(1, more=metadata("msgsrv-require", "x")),
    "call_reserved": call(1, more=metadata("grpc-x", "x") + metadata("msgsrv-x", "y")),
    "call_metadata_long": call(1, more=metadata("key", "v" * 9000)),
    "call_no_method": field(CALL, uint(1, 1)),
    "call_unknown_method": call(1, "/no.Such/Method") + call(2, ""),
    "call_streaming": call(1, more=uint(6, 1)) + field(CALL, uint(1, 2) + field(2, "/messages.Demo/Add") + uint(6, 1)),
    "call_credit": call(1, more=uint(5, 3)) + field(CREDIT, uint(1, 1) + uint(2, 5) + uint(3, 100)),
    "call_item": echo(1, "hold") + field(ITEM, uint(1, 1) + field(15, "item")) + field(END, uint(1, 1)),
    "call_ids": call(5) + call(5),
    "call_id_zero": call(0),
    "call_order": field(CALL, field(15, uint(1, 1)) + uint(3, 1000) + field(2, "/messages.Demo/Add") + uint(1, 9)),
    "call_unknown_fields": field(CALL, uint(1, 1) + field(2, "/messages.Demo/Add") + uint(8, 1) + b"\x4d1234" +
                                 b"\x4912345678" + field(14, "unknown")),
    "call_body_bad": call(1, body=b"\x08\xff") + call(2, "/messages.Demo/Echo", b"\x0a\x7f"),
    "call_too_many": b"".join(echo(i, "hold") for i in range(1, 12)),
    "call_over_limit": echo(1, "x" * 5000) + call(2),
    "call_skipped": echo(1, "x" * 30000) + call(2),
    "call_skipped_no_id": field(CALL, field(15, "x" * 30000)),
    "call_length": b"\x82\x01\x80\x80\x80\x20\x08\x01",
    "call_length_2g": b"\x82\x01\x80\x80\x80\x80\x08",
    "call_cut_off": call(1)[:-3],
    "method_not_utf8": call(1, b"/\xc3\x28"),
    "stream_down": call(1, "/messages.Demo/Count", uint(2, 5)),
    "stream_down_credit": call(1, "/messages.Demo/Count", uint(2, 300), uint(5, 2) + uint(7, 9)) +
                          field(CREDIT, uint(1, 1) + uint(2, 10) + uint(3, 100)) * 3 + field(CANCEL, uint(1, 1)),
    "stream_down_large": call(1, "/messages.Demo/Count", uint(2, 9000), uint(5, 100000) + uint(7, 100000)),
    "stream_down_none": call(1, "/messages.Demo/Count", uint(2, 3), uint(5, 0) + uint(7, 0)),
    "stream_up": stream(1, "Sum") + item(1, uint(1, 5)) * 3 + end(1),
    "stream_up_paused_then_ended": stream(1, "Sum") + item(1, uint(1, -1)) + item(1, uint(1, 7)) * 3 + end(1),
    "stream_up_paused": stream(1, "Sum") + item(1, uint(1, -1)) + item(1, uint(1, 7)) * 70 + end(1),
    "stream_up_fails": stream(1, "Sum") + item(1, uint(1, 13)) + item(1, uint(1, 5)) + end(1),
    "stream_up_bad": stream(1, "Sum") + item(1, b"\x08\xff") + end(1) + end(1),
    "stream_after_end": stream(1, "Sum") + end(1) + item(1, uint(1, 1)) + stream(2, "Chat") + end(2) + end(2),
    "stream_both": stream(1, "Chat", uint(5, 3)) + item(1, field(1, "hello")) + item(1, field(1, "you")) * 2 + end(1),
    "stream_both_cancel": stream(1, "Chat") + item(1, field(1, "hello")) * 2 + field(CANCEL, uint(1, 1)) + call(2),
    "stream_both_stuck": stream(1, "Chat", uint(5, 1)) + item(1, field(1, "x" * 300)) * 9,
    "stream_over_limit": stream(1, "Sum") + item(1, "x" * 30000) + call(2),
    "stream_flags": stream(1, "Count") + call(2, "/messages.Demo/Sum") + call(3, "/messages.Demo/Chat"),
    "stream_health": call(1, "/grpc.health.v1.Health/Watch", b"") + call(2, "/msgsrv.info.v1.Info/GetInfo", b""),
    "stream_reflection": field(CALL, uint(1, 1) + field(2, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo") +
                               uint(6, 1)) + item(1, field(7, "*")) + item(1, field(4, "messages.Demo")) + end(1),
    "item_not_open": field(ITEM, uint(1, 7) + field(15, "item")),
    "end_full": field(END, uint(1, 7) + uint(2, 5) + field(3, "text") + metadata("key", "value") + field(15, "body")),
    "end_empty": field(END, b""),
    "cancel_not_open": field(CANCEL, uint(1, 99)),
    "credit_not_open": field(CREDIT, uint(1, 99) + uint(2, 1)),
    "ping": field(PING, field(1, "ping")) + field(PING, b""),
    "pings": field(PING, field(1, "x")) * 12,
    "ping_long": field(PING, field(1, "x" * 65)),
    "pong": field(PONG, field(1, "pong")),
    "go_away": field(GO_AWAY, uint(1, 14) + field(2, "text") + uint(3, 9)),
    "head": field(HEAD, uint(1, 1) + metadata("key", "value")),
    "unknown": field(25, "x") + field(1000, "y") + field(536870911, "z") + call(1),
    "unknowns": field(25, b"") * 100,
    "mixed": plain_echo("a") + call(1) + field(PING, field(1, "p")) + plain_echo("hold") + echo(2, "hold") + call(3),
    "wire_type": b"\x80\x01\x01",
    "number_zero": call(1) + b"\x02\x01x",
    "tag_not_minimal": call(1) + b"\x92\x00\x01x",
    "tag_long": call(1) + b"\xff\xff\xff\xff\xff\xff\xff",
    "length_not_minimal": call(1) + b"\xaa\x01\x80\x00",
    "length_long": call(1) + b"\xaa\x01\xff\xff\xff\xff\xff\xff",
    "http1": b"GET / HTTP/1.1\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http_p": b"PR",
    "tls": b"\x16\x03\x01\x02\x00",
}

INNER_BYTES = field(1, "name") + uint(2, -1) + field(3, "tag") * 3
BODIES = {
    "echo": (ECHO_MESSAGE, field(1, "text")),
    "echo_unicode": (ECHO_MESSAGE, field(1, "\u20ac\U0001f600")),
    "echo_not_utf8": (ECHO_MESSAGE, field(1, b"\xed\xa0\x80")),
    "echo_nul": (ECHO_MESSAGE, field(1, b"a\0b")),
    "echo_twice": (ECHO_MESSAGE, field(1, "first") + field(1, "second")),
    "echo_not_utf8_behind_long_varint": (ECHO_MESSAGE, b"\x48" + b"\xff" * 10 + b"\x01" + field(1, b"\xc3\x28")),
    "echo_cut_off": (ECHO_MESSAGE, b"\x0a\x7fabc"),
    "add": (ADD_REQUEST, uint(1, 2) + uint(2, -3)),
    "add_long_varint": (ADD_REQUEST, b"\x08" + b"\xff" * 9 + b"\x01"),
    "add_eleven_bytes": (ADD_REQUEST, b"\x08" + b"\xff" * 10 + b"\x01"),
    "sum": (ADD_RESPONSE, uint(1, 5)),
    "client_echo": (CLIENT_MESSAGE, field(1, field(1, "text"))),
    "client_both": (CLIENT_MESSAGE, field(1, field(1, "text")) + field(2, uint(1, 7))),
    "client_twice": (CLIENT_MESSAGE, field(1, field(1, "text")) * 2),
    "server_sum": (SERVER_MESSAGE, field(2, uint(1, 7))),
    "inner": (INNER, INNER_BYTES),
    "inner_many": (INNER, field(3, "t") * 50),
    "blob": (BLOB, field(1, bytes(range(256)))),
    "everything_empty": (EVERYTHING, b""),
    "everything_strings": (EVERYTHING, field(1, "text") + field(2, "label") + field(3, b"\0\1") + field(4, b"\2\3") +
                           field(5, bytes(300))),
    "everything_label_long": (EVERYTHING, field(2, "l" * 40)),
    "everything_digest_long": (EVERYTHING, field(4, "d" * 40)),
    "everything_packed": (EVERYTHING, field(6, bytes([1, 2, 3, 0x7F])) + uint(6, 5)),
    "everything_packed_cut": (EVERYTHING, field(6, b"\xff")),
    "everything_repeated": (EVERYTHING, field(7, "a") + field(7, "b") + field(9, INNER_BYTES) * 2 +
                            field(20, b"part") * 3),
    "everything_inner": (EVERYTHING, field(8, INNER_BYTES) * 2),
    "everything_choice": (EVERYTHING, field(10, "text") + uint(11, 9) + field(12, INNER_BYTES) + field(10, "again")),
    "everything_choice_merge": (EVERYTHING, field(12, INNER_BYTES) * 2),
    "everything_maps": (EVERYTHING, field(13, field(1, "k") + uint(2, 1)) * 2 +
                        field(14, field(1, "k") + field(2, INNER_BYTES))),
    "everything_map_bad": (EVERYTHING, field(13, field(1, b"\xff"))),
    "everything_optional": (EVERYTHING, uint(15, 2) + uint(16, 0) + field(17, "") + b"\x91\x0112345678" +
                            b"\x99\x0112345678"),
    "everything_groups": (EVERYTHING, b"\x0b\x0c" + field(1, "x")),
}


def fixed64(number, data=b"12345678"):
    """A fixed64 field."""
    return varint(number << 3 | 1) + data


# Descriptors: a field of a message, a message, an enum, a method; and files of them.
def described(name, number, kind, label=1, more=b""):
    """A FieldDescriptorProto."""
    return field(2, field(1, name) + uint(3, number) + uint(4, label) + uint(5, kind) + more)


ENTRY = field(3, field(1, "ByNameEntry") + described("key", 1, 9) + described("value", 2, 5) + field(7, uint(7, 1)))
FILE = field(1, "a.proto") + field(2, "a.b") + field(12, "proto3")
MESSAGE = field(4, field(1, "M") + described("some_text", 1, 9) + described("inner", 2, 11, 1, field(6, ".a.b.M")) +
                described("numbers", 3, 5, 3) + described("by_name", 4, 11, 3, field(6, ".a.b.M.ByNameEntry")) + ENTRY +
                described("kind", 5, 14, 1, field(6, ".a.b.E") + uint(9, 0)) + field(8, field(1, "choice")))
ENUM = field(5, field(1, "E") + field(2, field(1, "ZERO") + uint(2, 0)) + field(2, field(1, "MINUS") + uint(2, -1)))
SERVICE = field(6, field(1, "S") + field(2, field(1, "Do") + field(2, ".a.b.M") + field(3, ".a.b.M") + uint(6, 1)))
COMMENT = field(9, field(1, field(1, b"\x04\x00") + field(3, " Of M.\n") + field(4, " Behind.\n")))

# By the first byte of fuzz_json.c.
DESCRIPTOR, WIRE, TEXT, VALUE = range(4)
KNOWN_TEXT = """{"known": {"aTimestamp": "2026-01-31T12:00:00.5+01:00", "aDuration": "-1.5s", "aStruct": {"a": [1, null, {}]},
 "aFieldmask": "fooBar,b", "aInt64value": "5", "aAny": {"@type": "x/kinds.Inner", "name": "y"},
 "listAny": [{"@type": "x/google.protobuf.Duration", "value": "1s"}]}}"""
JSON = {
    "descriptor": (DESCRIPTOR, FILE + MESSAGE + ENUM + SERVICE + COMMENT),
    "descriptor_all": (DESCRIPTOR | 12, FILE + MESSAGE + ENUM),
    "descriptor_twice": (DESCRIPTOR, FILE + MESSAGE * 2),
    "descriptor_empty": (DESCRIPTOR, b""),
    "descriptor_map_of_messages": (DESCRIPTOR, FILE + field(4, field(1, "M") + described("key", 1, 11, 1, field(6, ".a.b.M")) +
                                                            described("value", 2, 11, 3, field(6, ".a.b.M")) + field(7, uint(7, 1)))),
    "wire_plain": (WIRE, field(1, uint(3, 5) + uint(7, -1) + fixed64(1) + field(14, "text") + field(15, "\0\1"))),
    "wire_known": (WIRE, field(7, field(1, uint(1, 5) + uint(2, 5000)) + field(2, uint(1, 5)) + field(13, field(3, "x")) +
                               field(15, field(1, "foo_bar") + field(1, "b")) + field(16, field(1, "x/kinds.Inner") + field(2, field(1, "y"))))),
    "wire_maps": (WIRE, field(6, field(12, field(1, "k") + field(2, "v")) * 2 + field(11, uint(1, 1)) + field(30, field(1, "v") + field(2, uint(1, 0))))),
    "wire_value": (WIRE, field(7, field(13, field(5, field(1, field(1, "k") + field(2, field(6, field(1, uint(4, 1)))))) * 2))),
    "wire_unknown": (WIRE | 4, field(99, "x") + field(1, uint(99, 1))),
    "wire_groups": (WIRE | 4, field(1, b"\x9b\x06\x08\x01\x9b\x06\x9c\x06\x9c\x06" + uint(3, 5)) + b"\x0b\x0c"),
    "wire_groups_deep": (WIRE | 4, b"\x9b\x06" * 120 + b"\x9c\x06" * 120),
    "wire_choice": (WIRE, field(5, uint(3, 5) + field(17, field(1, "a")) + field(17, field(1, "b")) + uint(30, 0))),
    "text_plain": (TEXT, """{"plain": {"aInt32": 1.0, "aUint64": 18446744073709551615, "aBytes": "-_8", "aColour": "RED", "aFloat": "NaN"}}"""),
    "text_names": (TEXT | 16, """{"names": {"snake_case_name": 1, "_leading": 2, "Some other-name": 3}}"""),
    "text_maps": (TEXT, """{"maps": {"byInt32": {"-1": "x"}, "byBool": {"true": "y"}, "toValue": {"": [null]}}}"""),
    "text_known": (TEXT, KNOWN_TEXT),
    "text_unknown": (TEXT | 68, """{"nobody": 1, "@unknown": "CAE=", "plain": {"aColour": "BLUE"}}"""),
    "text_nested": (TEXT, """{"next": """ * 120 + "{}" + "}" * 120),
    "value": (VALUE, """[1, 2.5e3, "x\\u00e9", null, true, {"a": {"b": []}}, 123456789012345678901]"""),
}


def http(method, path, *headers, body=b"", host="Host: x"):
    """A request as it should be."""
    body = body.encode() if isinstance(body, str) else body
    lines = [f"{method} {path} HTTP/1.1", host, *headers] + ([f"Content-Length: {len(body)}"] if body else [])
    return "".join(line + "\r\n" for line in lines if line).encode() + b"\r\n" + body


ADD, ECHO = "/messages.Demo/Add", "/messages.Demo/Echo"
AS_JSON, AS_PROTO, CHUNKED = "Content-Type: application/json", "Content-Type: application/proto", "Transfer-Encoding: chunked"
# gzip.compress(b'{"a":2,"b":3}', mtime=0)
GZIPPED = bytes.fromhex("1f8b0800000000000203ab564a54b232d2514a52b232ae050021f8d5580d000000")
HTTP = {
    "page": http("GET", "/healthz"),
    "pages": http("GET", "/healthz") + http("HEAD", "/readyz") + http("GET", "/metrics"),
    "json": http("POST", ADD, AS_JSON, body='{"a":2,"b":3}'),
    "json_bad": http("POST", ADD, AS_JSON, body='{"a":"x"}') + http("GET", "/healthz"),
    "proto": http("POST", ADD, AS_PROTO, body=uint(1, 2) + uint(2, 3)),
    "held": http("POST", ECHO, AS_JSON, body='{"text":"hold"}') + http("POST", ECHO, AS_JSON, body='{"text":"x"}') * 3,
    "metadata": http("POST", ADD, AS_JSON, "X-Bin: a", "key: value", "data-bin: AAEC, AwQ", body='{}'),
    "timeout": http("POST", ECHO, AS_JSON, "Connect-Timeout-Ms: 5", "Connect-Protocol-Version: 1", body='{"text":"hold"}'),
    "chunked": http("POST", ADD, AS_JSON, CHUNKED) + b'6\r\n{"a":2\r\n7;e=1\r\n,"b":3}\r\n0\r\nTrailer: x\r\n\r\n',
    "chunks_bad": http("POST", ADD, AS_JSON, CHUNKED) + b"5;\n\r\n{}\r\n",
    "gzip": http("POST", ADD, AS_JSON, "Content-Encoding: gzip", body=GZIPPED),
    "gzip_cut": http("POST", ADD, AS_JSON, "Content-Encoding: gzip", body=GZIPPED[:20]),
    "takes_gzip": http("POST", ECHO, AS_JSON, "Accept-Encoding: br, gzip;q=1", body='{"text":"%s"}' % ("x" * 2000)),
    "expects": http("POST", ADD, AS_JSON, "Expect: 100-continue", body='{"a":2}'),
    "not_found": http("POST", "/nobody", AS_JSON, body="{}") + http("GET", "/x?y"),
    "not_allowed": http("DELETE", "/healthz") + http("GET", ADD),
    "media": http("POST", ADD, body="{}") + http("POST", ADD, "Content-Type: application/connect+json", body="{}"),
    "streaming": http("POST", "/messages.Demo/Count", AS_JSON, body="{}"),
    "long": http("POST", ADD, AS_JSON, "Content-Length: 5000"),
    "two_lengths": http("POST", ADD, AS_JSON, "Content-Length: 2", body="{}"),
    "length_and_coding": http("POST", ADD, AS_JSON, CHUNKED, body="0\r\n\r\n"),
    "folded": http("GET", "/healthz", "A: b", " c"),
    "no_host": http("GET", "/healthz", host=""),
    "absolute": http("GET", "http://host:1/healthz?q"),
    "upgrade": http("GET", "/healthz", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings"),
    "old": b"GET /healthz HTTP/1.0\r\n\r\n",
    "blank_lines": http("GET", "/healthz") + b"\r\n" + http("GET", "/healthz") + b"\r\n\r\n",
    "bare": b"GET /healthz HTTP/1.1\nHost: x\n\n",
    "connect": http("CONNECT", "host:80"),
}


def h2(kind, flags, stream, payload=b""):
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def h2_request(method, stream, end=False, **more):
    """A request's headers, literally: nothing of it is in a table."""
    fields = {":method": "POST", ":scheme": "http", ":path": f"/messages.Demo/{method}", "content-type": "application/grpc", **more}
    block = b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                     for name, value in ((name.replace("_", "-"), value) for name, value in fields.items()))
    return h2(1, 5 if end else 4, stream, block)


def grpc(body, compressed=0):
    return bytes([compressed]) + len(body).to_bytes(4, "big") + body


H2_ECHO = h2_request("Echo", 1) + h2(0, 1, 1, grpc(field(1, "text")))
H2 = {
    "echo": H2_ECHO,
    "held": h2_request("Echo", 1) + h2(0, 1, 1, grpc(field(1, "held"))) + h2(3, 0, 1, b"\0\0\0\x08"),
    "metadata": h2_request("Add", 1, a_bin="AAEC,Aw==", b="text") + h2(0, 1, 1, grpc(uint(1, 5))),
    "timeout": h2_request("Echo", 1, grpc_timeout="5m") + h2(0, 1, 1, grpc(field(1, "held"))),
    "count": h2_request("Count", 1) + h2(0, 1, 1, grpc(uint(2, 3000))) + h2(8, 0, 1, b"\0\0\1\0") + h2(3, 0, 1, b"\0\0\0\x08"),
    "sum": h2_request("Sum", 1) + h2(0, 0, 1, grpc(uint(1, 5)) * 9) + h2(0, 1, 1),
    "chat": h2_request("Chat", 1) + h2(0, 0, 1, grpc(field(1, "a")) + grpc(field(1, "hb"))) + h2(0, 1, 1, grpc(b"")),
    "pieces": h2_request("Echo", 1) + b"".join(h2(0, 0, 1, bytes([c])) for c in grpc(field(1, "text"))) + h2(0, 1, 1),
    "long": h2_request("Echo", 1) + h2(0, 1, 1, grpc(field(1, "x" * 4000))),
    "too_long": h2_request("Echo", 1) + h2(0, 1, 1, grpc(field(1, "x" * 5000))),
    "compressed": h2_request("Echo", 1, grpc_encoding="gzip") + h2(0, 1, 1, grpc(bytes.fromhex(
        "1f8b08000000000002ffe36229492d2e0100b8e5a3d206000000"), 1)),
    "unknown": h2_request("No", 1, True),
    "not_grpc": h2_request("Echo", 1, True, content_type="text/html"),
    "padding": h2_request("Echo", 1) + h2(0, 9, 1, b"\5" + grpc(field(1, "text")) + bytes(5)),
    "two": H2_ECHO + h2_request("Add", 3) + h2(0, 1, 3, grpc(uint(1, 5))),
    "backwards": h2_request("Echo", 3, True) + h2_request("Echo", 1, True),
    "settings": h2(4, 0, 0, b"\0\4\0\0\0\1") + H2_ECHO + h2(8, 0, 1, b"\0\0\0\x05") + h2(4, 0, 0, b"\0\4\0\1\0\0"),
    "pings": h2(6, 0, 0, bytes(8)) * 6,
    "continuation": h2(1, 0, 1, h2_request("Echo", 1)[9:40]) + h2(9, 4, 1, h2_request("Echo", 1)[40:]) + h2(0, 1, 1, grpc(b"")),
    "others": h2(2, 0, 1, bytes(5)) + h2(7, 0, 0, bytes(8)) + h2(99, 0, 0, b"x") + H2_ECHO,
}


def literals(*pairs):
    """A header block without compression."""
    return b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in pairs)


GRPC_HEAD = b"\x88" + literals(("content-type", "application/grpc"))
GRPC_GZIP = bytes.fromhex("1f8b08000000000002ff4b04008316dce801000000")


def grpc_message(body, flag=0):
    return bytes([flag]) + len(body).to_bytes(4, "big") + body


def grpc_end(code, *more):
    return literals(("grpc-status", code), *more)


# What a server answers to calls on streams 1 (unary), 3 (it sends a stream) and 5 (both send).
GRPC_ANSWERS = {
    "unary": h2(1, 4, 1, GRPC_HEAD) + h2(0, 0, 1, grpc_message(b"a")) + h2(1, 5, 1, grpc_end("0")),
    "all": b"".join(h2(1, 4, n, GRPC_HEAD) + h2(0, 0, n, grpc_message(b"a")) for n in (1, 3, 5)) +
           b"".join(h2(1, 5, n, grpc_end("0", ("x", "y"), ("y-bin", "AAE"))) for n in (5, 3, 1)),
    "trailers_only": h2(1, 5, 1, GRPC_HEAD + grpc_end("5", ("grpc-message", "%41%zz"))),
    "http": h2(1, 4, 1, b"\x8d") + h2(1, 5, 3, literals((":status", "503"))) + h2(1, 5, 5, b"\x88" + literals(("content-type", "text/html"))),
    "informational": h2(1, 4, 1, literals((":status", "103"))) + h2(1, 4, 1, GRPC_HEAD) + h2(1, 5, 1, grpc_end("0")),
    "resets": h2(3, 0, 1, b"\0\0\0\x07") + h2(3, 0, 3, b"\0\0\0\x08") + h2(3, 0, 5, b"\0\0\0\x0b"),
    "goaway": h2(7, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0") + h2(7, 0, 0, b"\0\0\0\x01\0\0\0\x0btoo_many_pings"),
    "gzip": h2(1, 4, 3, GRPC_HEAD + literals(("grpc-encoding", "gzip"))) + h2(0, 0, 3, grpc_message(GRPC_GZIP, 1) * 3) + h2(1, 5, 3, grpc_end("0")),
    "long": h2(1, 4, 3, GRPC_HEAD) + h2(0, 0, 3, grpc_message(b"a" * 4096)) + h2(0, 0, 3, b"\0\0\1\0\0"),
    "pings": h2(6, 0, 0, b"12345678") * 3 + h2(6, 1, 0, b"12345678") + h2(4, 1, 0) + h2(8, 0, 5, b"\0\0\0\1"),
    "settings": h2(4, 0, 0, bytes.fromhex("000400000000000300000000")) + h2(4, 0, 0, bytes.fromhex("00047fffffff")),
    "http1": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


def seeds():
    """Every file's path below corpus/, and its bytes."""
    for name, stream in STREAMS.items():
        yield f"frame/{name}", stream
        yield f"server/{name}", b"\0" + stream
    for name in ("mixed", "calls", "call_skipped", "plain_waiting", "call_held", "stream_up", "stream_both",
                 "stream_down_credit"):
        yield f"server/{name}_in_sevens", b"\3" + STREAMS[name]
        yield f"server/{name}_closed", b"\x09" + STREAMS[name]
    for name, stream in H2.items():
        yield f"h2/{name}", b"\0" + stream
        yield f"h2/{name}_in_sevens", b"\3" + stream
        yield f"h2/{name}_closed", b"\x09" + stream
    for name, (kind, body) in BODIES.items():
        yield f"decode/{name}", bytes([kind]) + body
    for name, data in HTTP.items():
        yield f"http1/{name}", b"\0" + data
    for name in ("chunked", "held", "pages", "metadata"):
        yield f"http1/{name}_byte_by_byte", b"\1" + HTTP[name]
        yield f"http1/{name}_closed", b"\x0b" + HTTP[name]
    for name, answer in GRPC_ANSWERS.items():
        yield f"grpc_client/{name}", b"\x08" + answer
    for name in ("all", "gzip"):
        yield f"grpc_client/{name}_in_sevens", b"\x0b" + GRPC_ANSWERS[name]
    yield "grpc_client/no_settings", b"\0" + GRPC_ANSWERS["unary"]
    for name, (kind, body) in JSON.items():
        yield f"json/{name}", bytes([kind]) + (body.encode() if isinstance(body, str) else body)


def main():
    wanted = dict(seeds())
    there = {str(path.relative_to(HERE)): path for path in HERE.rglob("*") if path.is_file()}
    if sys.argv[1:] == ["--check"]:
        other = [name for name in wanted if name in there and there[name].read_bytes() != wanted[name]]
        wrong = sorted(set(wanted) ^ set(there)) + other
        print("\n".join(wrong) if wrong else f"{len(wanted)} seeds")
        return 1 if wrong else 0
    for name in set(there) - set(wanted):
        there[name].unlink()
    for name, data in wanted.items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
