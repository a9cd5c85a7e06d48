#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our JSON mapping against Google's json_format.

    differential.py JSON_PIPE PROTOC [ROUNDS [FIRST_SEED]]

Random messages of kinds.proto, with fixed seeds, go both ways; tables of texts say what both refuse and both accept, and
EXCEPTIONS where we mean to differ.
"""
import base64
import difflib
import json
import math
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import warnings

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message import DecodeError

HERE = pathlib.Path(__file__).resolve().parent
TYPES = ("Plain", "Optional", "Repeated", "Unpacked", "Choice", "Maps", "Known", "Names", "Everything")
FLOAT_MAX = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]

# Texts that both refuse.
REFUSED = [
    ("Plain", text) for text in (
        "", "{", "1", "null", '"x"', "{,}", '{"aInt32": 1,}', '{"aInt32" 1}', "{} {}", "{'aInt32': 1}",
        '{"aInt32": 1, "aInt32": 2}', '{"nobody": 1}', '{"aInt32": 01}',
        '{"aInt32": 1.5}', '{"aInt32": "1.5"}', '{"aInt32": 2147483648}', '{"aInt32": -2147483649}', '{"aInt32": "x"}',
        '{"aInt32": ""}', '{"aInt32": "0x10"}', '{"aInt32": []}', '{"aInt32": {}}',
        '{"aInt32": "1 "}', '{"aInt32": " 1"}', '{"aInt32": 1e10}', '{"aUint32": -1}', '{"aUint32": 4294967296}',
        '{"aInt64": "9223372036854775808"}', '{"aInt64": 9223372036854775808}', '{"aUint64": "18446744073709551616"}',
        '{"aUint64": "-1"}', '{"aUint64": 18446744073709551616}', '{"aInt64": 1e19}', '{"aInt64": 1e400}',
        '{"aFixed32": 4294967296}', '{"aSfixed32": 2147483648}', '{"aSint32": 2147483648}',
        '{"aDouble": "x"}', '{"aDouble": ""}', '{"aDouble": {}}', '{"aDouble": 1e400}',
        '{"aFloat": 1e39}', '{"aFloat": -1e39}', '{"aDouble": NaN}', '{"aDouble": Infinity}',
        '{"aDouble": 1.}', '{"aDouble": .5}', '{"aDouble": +1}',
        '{"aBool": 1}', '{"aBool": "true"}', '{"aBool": 0}', '{"aBool": "false"}', '{"aString": 1}', '{"aString": true}',
        '{"aString": []}', '{"aString": {}}', '{"aBytes": "A"}', '{"aBytes": 1}',
        '{"aColour": "BLUE"}', '{"aColour": "red"}', '{"aColour": {}}',
        '{"aColour": 2147483648}', '{"aColour": "1.0"}', '{"aColour": "1e0"}', '{"aColour": ""}', '{"aInner": 1}', '{"aInner": "x"}', '{"aInner": {"x": 1}}',
        '{"aInner": {"child": {"size": "HUGE"}}}', '{"aString": "\x01"}', '{"aString": "\\x"}',
        '{"aString": "\\ud800"}', '{"aString": "\\udc00"}', '{"aString": "\\ud800\\ud800"}',
    )
] + [
    ("Repeated", text) for text in (
        '{"aInt32": 1}', '{"aInt32": {}}', '{"aInt32": [1, "x"]}', '{"aInt32": [null]}', '{"aString": [null]}',
        '{"aInner": [null]}', '{"aInt32": [[1]]}', '{"aInner": {}}', '{"aBool": [true, "x"]}',
    )
] + [
    ("Choice", '{"aInt32": 1, "aString": "x"}'), ("Choice", '{"aInt32": 1, "aInner": {}}'),
    ("Maps", '{"byInt32": []}'), ("Maps", '{"byInt32": {"x": "y"}}'), ("Maps", '{"byInt32": {"1": null}}'),
    ("Maps", '{"byInt32": {"1.5": "y"}}'), ("Maps", '{"byInt32": {"2147483648": "y"}}'), ("Maps", '{"byBool": {"1": "y"}}'),
    ("Maps", '{"byBool": {"True": "y"}}'), ("Maps", '{"byUint32": {"-1": "y"}}'), ("Maps", '{"byInt32": {"": "y"}}'),
    ("Maps", '{"toInt32": {"a": "x"}}'), ("Maps", '{"toInner": {"a": 1}}'), ("Maps", '{"toInner": {"a": null}}'),
    ("Maps", '{"byString": {"a": "1", "a": "2"}}'),
] + [
    ("Known", '{"aTimestamp": %s}' % text) for text in (
        '1', '""', '"x"', '"2026-01-31"', '"2026-01-31T12:00:00"', '"2026-13-31T12:00:00Z"', '"2026-02-29T12:00:00Z"',
        '"2026-01-31T24:00:00Z"', '"2026-01-31T12:60:00Z"', '"0000-01-01T00:00:00Z"', '"10000-01-01T00:00:00Z"',
        '"2026-01-31T12:00:00.0123456789Z"', '"2026-01-31t12:00:00Z"', '"2026-01-31 12:00:00Z"', '"2026-01-31T12:00:00+0100"',
        '"2026-01-31T12:00:00ZZ"', '{}', '[]',
    )
] + [
    ("Known", '{"aDuration": %s}' % text) for text in (
        '1', '""', '"s"', '"1"', '"1.5"', '"1x"', '"315576000001s"', '"-315576000001s"', '{}',
    )
] + [
    ("Known", '{"aFieldmask": 1}'), ("Known", '{"aFieldmask": {}}'), ("Known", '{"aStruct": 1}'), ("Known", '{"aStruct": []}'),
    ("Known", '{"aListvalue": {}}'), ("Known", '{"aListvalue": 1}'), ("Known", '{"aInt32value": "x"}'),
    ("Known", '{"aInt32value": {}}'), ("Known", '{"aBoolvalue": 1}'), ("Known", '{"aStringvalue": 1}'),
    ("Known", '{"aInt32value": {"value": 1}}'), ("Known", '{"listInt32value": [null]}'), ("Known", '{"listTimestamp": [null]}'),
    ("Known", '{"aAny": 1}'), ("Known", '{"aAny": {"value": 1}}'), ("Known", '{"aAny": {"@type": "type.googleapis.com/x.Y"}}'),
    ("Known", '{"aAny": {"@type": "type.googleapis.com/kinds.Inner", "x": 1}}'),
    ("Known", '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Duration"}}'),
    ("Known", '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "x"}}'),
    ("Known", '{"aEmpty": {"x": 1}}'), ("Known", '{"aEmpty": 1}'),
    ("Known", '{"nullValue": "x"}'), ("Names", '{"snakecasename": 1}'), ("Names", '{"CamelCase": 1}'),
]

# Odd texts that both accept, and read as the same.
ACCEPTED = [
    ("Plain", text) for text in (
        "{}", " {\t}\r\n", '{"aInt32": 1.0}', '{"aInt32": "1"}', '{"aInt32": 1e3}', '{"aInt32": -0}',
        '{"aInt32": 2147483647}', '{"aInt32": "-2147483648"}', '{"aInt64": "9223372036854775807"}',
        '{"aInt64": "-9223372036854775808"}', '{"aInt64": -9223372036854775808}', '{"aInt64": 9223372036854775807}',
        '{"aInt64": 9007199254740993}', '{"aUint64": "18446744073709551615"}', '{"aUint64": 18446744073709551615}',
        '{"aUint64": 9223372036854775809}', '{"aUint32": 4294967295.0}', '{"aInt64": 1e18}', '{"aUint64": 1e19}',
        '{"aDouble": 18446744073709551616}', '{"aDouble": 123456789012345678901234567890}',
        '{"aDouble": 1, "aUint64": 18446744073709551615, "aString": "9223372036854775808 \\" 1"}',
        '{"aDouble": "1.5"}', '{"aDouble": "1e3"}', '{"aDouble": 1}', '{"aDouble": -0.0}', '{"aDouble": "-0"}', '{"aDouble": "NaN"}',
        '{"aDouble": "Infinity"}', '{"aDouble": "-Infinity"}', '{"aFloat": "NaN"}', '{"aFloat": 3.4028234e38}', '{"aFloat": 0.1}',
        '{"aFloat": 1e-46}', '{"aDouble": 5e-324}', '{"aDouble": 1E+2}', '{"aBytes": "-_8="}',
        '{"aBytes": "+/8="}', '{"aBytes": "-_8"}', '{"aBytes": ""}', '{"aBytes": "AAAA"}', '{"aString": "\\u0000"}',
        '{"aString": "\\ud83d\\ude00"}', '{"aString": "\\/\\b\\f\\n\\r\\t"}', '{"aString": "\u2028\U0001f600"}',
        '{"aColour": 1}', '{"aColour": "GREEN"}', '{"aColour": "MINUS"}', '{"aColour": -3}', '{"aColour": 99}', '{"aColour": -99}',
        '{"aColour": "1"}', '{"a_int32": 1, "aUint32": 2}', '{"aInner": {}}',
        '{"aInner": null, "aInt32": null, "aString": null, "aBytes": null, "aColour": null, "aBool": null, "aDouble": null}',
        '{"aBool": false, "aString": ""}',
    )
] + [
    ("Optional", '{"aInt32": 0, "aString": "", "aColour": 0, "aBool": false, "aBytes": "", "aDouble": 0}'),
    ("Optional", '{"aInt32": null, "aInner": null}'), ("Repeated", '{"aInt32": []}'), ("Repeated", '{"aInt32": null}'),
    ("Repeated", '{"aInt32": [0, "1", 2.0], "aColour": [0, "RED", 77], "aInner": [{}, {"name": "x"}]}'),
    ("Unpacked", '{"aInt32": [0, 1], "aDouble": ["NaN", 1]}'), ("Choice", '{"aInt32": 0}'), ("Choice", '{"aString": ""}'),
    ("Choice", '{"aInt32": null, "aString": "x"}'), ("Choice", '{"aNull": null}'), ("Choice", '{"aValue": null}'),
    ("Maps", "{}"), ("Maps", '{"byInt32": {}}'), ("Maps", '{"byInt32": null}'), ("Maps", '{"byInt32": {"-1": "x", "2": ""}}'),
    ("Maps", '{"byBool": {"true": "x", "false": "y"}}'), ("Maps", '{"byInt64": {"9223372036854775807": "x"}}'),
    ("Maps", '{"byUint64": {"18446744073709551615": "x"}}'), ("Maps", '{"byString": {"": "x", "\\u00e9": "y"}}'),
    ("Maps", '{"toValue": {"a": null, "b": [1, null, {"c": "d"}]}}'), ("Maps", '{"toColour": {"a": 5, "b": "RED"}}'),
    ("Maps", '{"toBytes": {"a": "-_8"}, "toDouble": {"a": "Infinity"}, "toInner": {"a": {}}}'),
    ("Maps", '{"toInt32": {"a": 0}, "byString": {"a": ""}}'), ("Maps", '{"toTime": {"1": "1970-01-01T00:00:00Z"}}'),
] + [
    ("Known", '{"aTimestamp": %s}' % text) for text in (
        "null", '"1970-01-01T00:00:00Z"', '"2026-01-31T12:00:00.1Z"', '"2026-01-31T12:00:00.123456789Z"',
        '"2026-01-31T12:00:00+01:30"', '"2026-01-31T12:00:00.5-08:00"', '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59.999999999Z"',
        '"2024-02-29T00:00:00Z"', '"1969-12-31T23:59:59.5Z"', '"1900-03-01T00:00:00-00:00"', '"2000-02-29T23:59:59Z"',
    )
] + [
    ("Known", '{"aDuration": %s}' % text) for text in (
        "null", '"0s"', '"1s"', '"-1s"', '"1.5s"', '"-0.5s"', '"-1.000000001s"', '"315576000000s"', '"-315576000000s"',
        '"0.000000001s"', '"3.10s"', '"01s"',
    )
] + [
    ("Known", text) for text in (
        '{"aFieldmask": ""}', '{"aFieldmask": "a"}', '{"aFieldmask": "fooBar,baz.quuxCorge"}', '{"aFieldmask": null}',
        '{"aStruct": {}}', '{"aStruct": null}', '{"aStruct": {"": null, "a": [{}, [], true, "x", 1e300, -1]}}',
        '{"aValue": null}', '{"aValue": 1}', '{"aValue": "x"}', '{"aValue": true}', '{"aValue": []}', '{"aValue": {}}',
        '{"aValue": 123456789012345678901234567890}', '{"aValue": [18446744073709551615]}',
        '{"listValue": [null, 1, "x", [null], {"a": null}]}', '{"aListvalue": []}', '{"aListvalue": null}',
        '{"aListvalue": [null]}', '{"aInt32value": 0}', '{"aInt32value": null}', '{"aInt32value": "5"}', '{"aInt64value": "5"}',
        '{"aInt64value": 1e3}', '{"aBoolvalue": false}', '{"aStringvalue": ""}', '{"aBytesvalue": "-_8"}', '{"aDoublevalue": "NaN"}',
        '{"aFloatvalue": 1}', '{"listInt32value": [0, 1]}', '{"nullValue": null}', '{"aEmpty": {}}',
        '{"aAny": {}}', '{"aAny": {"@type": "type.googleapis.com/kinds.Inner"}}',
        '{"aAny": {"name": "x", "@type": "type.googleapis.com/kinds.Inner"}}',
        '{"aAny": {"@type": "example.com/a/b/kinds.Inner", "some_number": 3}}',
        '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1.5s"}}',
        '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Int32Value", "value": 3}}',
        '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"a": 1}}}',
        '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Value", "value": [1]}}',
        '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Empty"}}',
        '{"aAny": {"@type": "type.googleapis.com/google.protobuf.Any", "value": {"@type": "a/kinds.Inner", "name": "x"}}}',
    )
] + [
    ("Names", '{"snakeCaseName": 1, "camelCase": 2, "Upper": 3, "Leading": 4, "with1Digit": 5, "Some other-name": 6, "trailing": 7}'),
    ("Names", '{"snake_case_name": 1, "camelCase": 2, "Upper": 3, "_leading": 4, "with_1_digit": 5, "given": 6, "trailing_": 7}'),
]

# Where we mean to differ: type, text, whether Google accepts it, whether we do, and why.
EXCEPTIONS = [
    ("Plain", "[]", True, False, "Google's loop over members takes an empty list for an object"),
    ("Plain", '{"aInner": []}', True, False, "the same"),
    ("Known", '{"aEmpty": []}', True, False, "the same"),
    ("Plain", '{"aInt32": 1, "a_int32": 2}', True, False, "one field twice, under both names: Google's C++ refuses it as well"),
    ("Plain", '{"aFloat": "1e39"}', True, False, "out of range as a text as it is as a number"),
    ("Plain", '{"aColour": 1.5}', True, False, "Google cuts the fraction off"),
    ("Known", '{"aDuration": "1.0000000001s"}', True, False, "more than nine digits: Google rounds"),
    ("Known", '{"aDuration": "1 s"}', True, False, "Google's int() takes white space"),
    ("Maps", '{"byString": {"\\u0000": "x"}}', True, False, "jansson has no NUL in the names of members"),
    ("Known", '{"aFieldmask": "a,"}', True, False, "an empty path is none"),
    ("Known", '{"aFieldmask": "a,,b"}', True, False, "the same"),
    ("Known", '{"nullValues": [null, null]}', False, True, "null is what a NullValue is; so Google writes it"),
]


# Odd encodings, in hexadecimal, that both read as the same, or both refuse.
ENCODINGS = [
    ("Plain", text) for text in (
        "18 80 80 80 80 10", "18 81 80 80 80 10", "18 ff ff ff ff 0f", "28 80 80 80 80 10", "38 80 80 80 80 10", "38 ff ff ff ff ff ff ff ff ff 01",
        "68 02", "68 80 80 80 80 10", "80 01 80 80 80 80 10", "80 01 fd ff ff ff 0f", "80 01 fd ff ff ff ff ff ff ff ff 01",
        "1d 01 00 00 00", "1a 01 05", "0d 00 00 00 00", "72 00", "72 01 ff", "72 03 61 00 ff", "72 03 61 00 62", "8a 01 00", "8a 01 01 ff", "18", "18 80", "1f", "18 ff ff ff ff ff ff ff ff ff ff 01",
        "8a 01 03 0a 01 41 8a 01 02 10 05 8a 01 03 1a 01 42", "08 01", "18 05 18 00", "9a 06 02 08 01",
    )
] + [
    # Unknown groups: empty, with fields, inside of others, of a known number; and those that do not end, or as others.
    ("Plain", text) for text in (
        "9b 06 9c 06", "18 05 9b 06 08 01 15 00 00 00 00 1a 01 61 21 00 00 00 00 00 00 00 00 9c 06 28 07", "9b 06 a3 06 a4 06 9c 06",
        "9b 06 9b 06 9c 06 9c 06 18 05", "1b 18 05 1c", "8b 01 0a 01 41 8c 01", "9b 06", "9b 06 a4 06", "9b 06 a3 06 9c 06 a4 06",
        "9b 06 08 9c 06", "9b 06 1a 05 61 9c 06", "9b 06 00 01 9c 06", "9b 06 06 9c 06", "8a 01 04 9b 06 9c 06", "8a 01 02 9b 06 9c 06",
    )
] + [
    ("Known", text) for text in (
        "0a 06 08 01 9b 06 9c 06", "12 06 9b 06 9c 06 10 01", "7a 0a 0a 01 61 9b 06 9c 06 0a 01 62", "6a 04 9b 06 9c 06",
        "6a 08 9b 06 9c 06 19 00 00 00", "3a 06 9b 06 9c 06 08 01", "82 01 04 9b 06 9c 06", "0a 02 9b 06",
    )
] + [
    ("Maps", "0a 09 08 05 9b 06 9c 06 12 01 61"), ("Maps", "0a 07 08 05 9b 06 12 01 61"), ("Maps", "0a 03 9b 06 9c 06"),
    ("Known", "6a 00"), ("Known", "72 02 0a 00"), ("Known", "6a 04 32 02 0a 00"),
] + [
    ("Repeated", "1a 03 01 02 03 18 04 1a 00 1a 01 05"), ("Repeated", "1a 02 01 80"), ("Repeated", "0a 07 00 00 00 00 00 00 00"),
    ("Repeated", "6a 03 00 01 02"), ("Repeated", "6a 80 80 80 80 10 01"), ("Unpacked", "1a 03 01 02 03 18 04"), ("Repeated", "82 01 02 01 63"),
    ("Repeated", "72 01 61 72 00"), ("Optional", "18 00 72 00 8a 01 00"),
    ("Choice", "18 05 72 01 61"), ("Choice", "72 01 61 18 00"), ("Choice", "8a 01 03 0a 01 41 8a 01 02 10 05"),
    ("Choice", "8a 01 03 0a 01 41 18 01 8a 01 02 10 05"), ("Choice", "f0 01 00"), ("Choice", "82 02 02 08 00"),
    ("Maps", "0a 00"), ("Maps", "0a 02 08 05"), ("Maps", "0a 03 12 01 61"), ("Maps", "0a 05 12 01 61 08 05"), ("Maps", "0a 04 08 05 08 06"),
    ("Maps", "0a 05 08 05 12 01 61 0a 05 08 05 12 01 62"), ("Maps", "0a 07 08 05 12 01 61 18 01"), ("Maps", "0a 04 08 05 12 80"),
    ("Maps", "0a 06 08 05 12 01 61 08"), ("Maps", "5a 02 08 02"), ("Maps", "ea 01 0a 0a 01 6b 12 00 12 03 0a 01 41"),
    ("Maps", "ea 01 0e 0a 01 6b 12 03 0a 01 41 12 04 10 05 1a 00"), ("Maps", "0a 03 0a 01 61"), ("Maps", "ea 01 00"),
    ("Known", "0a 06 08 01 10 80 94 eb dc 03"), ("Known", "12 04 08 01 10 01"),
    ("Known", "12 0d 08 01 10 ff ff ff ff ff ff ff ff ff 01"), ("Known", "0a 0b 08 ff ff ff ff ff ff ff ff 7f"), ("Known", "12 0b 08 ff ff ff ff ff ff ff ff 7f"),
    ("Known", "7a 03 0a 01 41"), ("Known", "7a 05 0a 03 61 5f 5f"), ("Known", "7a 05 0a 03 61 5f 31"), ("Known", "7a 03 0a 01 61 7a 03 0a 01 62"),
    ("Known", "3a 04 08 01 08 02"), ("Known", "3a 02 08 01 3a 00"), ("Known", "6a 04 08 00 1a 00"),
    ("Known", "82 01 05 0a 03 61 2f 62"), ("Known", "82 01 03 12 01 61"), ("Known", "82 01 00"), ("Known", "8a 01 02 08 01"),
]

# Encodings of which Google's reading differs: what we say (None: refused), and why.
ENCODING_EXCEPTIONS = [
    ("Known", "7a 02 0a 00", None, "an empty path of a FieldMask: it could not be told from none"),
    ("Known", "7a 05 0a 03 61 2c 62", None, "a path with a comma would be read as two"),
    ("Known", "6a 09 11 00 00 00 00 00 00 f8 7f", None, "a Value that is not finite: an error by struct.proto; Google's Python writes NaN"),
    ("Known", "0a 0b 10 ff ff ff ff ff ff ff ff ff 01", None, "nanos below 0: not valid by timestamp.proto; Google's Python takes them"),
    ("Plain", "00 01", None, "a field of the number 0: Google's C++ stops there, with a warning"),
    ("Plain", "9c 06", None, "the end of a group that never began: Google's C++ stops there, with a warning"),
]

# Texts that Google reads with ignore_unknown_fields, and we as the same with ignore_unknown.
IGNORING = [
    ("Plain", '{"nobody": {"x": [1]}, "aInt32": 1}'), ("Plain", '{"aColour": "1"}'), ("Plain", '{"aColour": "-3"}'), ("Plain", '{"aColour": "99"}'),
    ("Plain", '{"aColour": "RED"}'), ("Repeated", '{"aColour": ["1", "RED", "77"]}'), ("Maps", '{"toColour": {"a": "1", "b": "77"}}'),
    ("Known", '{"nullValue": "0"}'), ("Known", '{"nullValue": "NULL_VALUE"}'),
]


# With ignore_unknown, a text that is none of an enum's names counts as if it were not there: such a text, and what it is read as. Google's
# newer runtimes do the same (conformance tests IgnoreUnknownEnumStringValue*); Python's of 2023 still refuses it.
DROPPED = [
    ("Plain", '{"aInt32": 5, "aColour": "BLUE"}', '{"aInt32": 5}'), ("Plain", '{"aColour": "1.0"}', "{}"), ("Plain", '{"aColour": ""}', "{}"),
    ("Optional", '{"aColour": "BLUE"}', "{}"), ("Choice", '{"aColour": "BLUE"}', "{}"),
    ("Repeated", '{"aColour": ["RED", "BLUE", "GREEN"]}', '{"aColour": ["RED", "GREEN"]}'), ("Repeated", '{"aColour": ["BLUE"]}', "{}"),
    ("Unpacked", '{"aColour": ["RED", "BLUE"]}', '{"aColour": ["RED"]}'), ("Maps", '{"toColour": {"a": "BLUE"}}', "{}"),
    ("Maps", '{"toColour": {"a": "RED", "b": "BLUE", "c": 7}}', '{"toColour": {"a": "RED", "c": 7}}'),
]


class Mismatch(Exception):
    """Not the same."""


class Google:
    """kinds.proto, as Google's runtime knows it."""

    def __init__(self, path):
        files = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
        self.pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self.pool.Add(file)
        self.factory = message_factory.MessageFactory(self.pool)

    def new(self, name, data=b""):
        """A message by its full name."""
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name)).FromString(data)

    def to_json(self, message, **options):
        """As a tree."""
        return json.loads(json_format.MessageToJson(message, descriptor_pool=self.pool, **options))

    def read(self, name, text, **options):
        """A text's message; json_format.ParseError and others if it is none."""
        return json_format.Parse(text, self.new(name), descriptor_pool=self.pool, **options)


def text_of(rng):
    return "".join(rng.choice('abc_Z09 "\\/\n\x00\x1f\x7f\u00e9\u2028\ufffe\U0001f600<>') for _ in range(rng.choice((0, 1, 3, 12))))


def key_of(rng, field):
    """A map's key. None with a NUL: what reads JSON for us has no such member names."""
    key = scalar(rng, field)
    return key.replace("\0", "") if isinstance(key, str) else key


def whole(rng, bits, signed):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return rng.choice((0, 1, low, high, high - 1, rng.randint(low, high), rng.randint(max(low, -300), 300), 1 << 24, 1 << 30))


def real(rng, single):
    value = rng.choice((0.0, -0.0, 1.0, -1.5, 0.1, 1e16, 1e21, 123456789.0, rng.random(), rng.uniform(-1e6, 1e6), math.inf, -math.inf,
                        math.nan, rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 30), 1e-40, FLOAT_MAX,
                        5e-324 if not single else 1e-45, 1.7976931348623157e308 if not single else 3e38))
    return struct.unpack("<f", struct.pack("<f", value))[0] if single else value


def scalar(rng, field):
    """A random value for it."""
    kind = field.type
    if kind in (F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32):
        return whole(rng, 32, True)
    if kind in (F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64):
        return whole(rng, 64, True)
    if kind in (F.TYPE_UINT32, F.TYPE_FIXED32):
        return whole(rng, 32, False)
    if kind in (F.TYPE_UINT64, F.TYPE_FIXED64):
        return whole(rng, 64, False)
    if kind in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        return real(rng, kind == F.TYPE_FLOAT)
    if kind == F.TYPE_BOOL:
        return rng.random() < 0.5
    if kind == F.TYPE_STRING:
        return text_of(rng)
    if kind == F.TYPE_BYTES:
        return rng.randbytes(rng.choice((0, 1, 2, 3, 10)))
    if field.enum_type.full_name == "google.protobuf.NullValue":
        return 0
    return rng.choice((0, 1, 2, -3, 99, -1))


class Filler:
    """Fills messages at random."""

    def __init__(self, google, seed):
        self.google = google
        self.rng = random.Random(seed)

    def known(self, message, depth):
        """Well-known types, whose values are bound to rules. False for the others."""
        rng = self.rng
        name = message.DESCRIPTOR.full_name
        if name == "google.protobuf.Timestamp":
            message.seconds = rng.choice((0, -62135596800, 253402300799, rng.randint(-62135596800, 253402300799), rng.randint(0, 2 << 30)))
            message.nanos = rng.choice((0, 1, 999999999, 500000000, 120000000, 123456000, rng.randint(0, 999999999)))
        elif name == "google.protobuf.Duration":
            sign = rng.choice((-1, 1))
            message.seconds = sign * rng.choice((0, 1, 315576000000 - 1, rng.randint(0, 100000)))
            message.nanos = sign * rng.choice((0, 1, 999999999, 500000000, rng.randint(0, 999999999)))
        elif name == "google.protobuf.FieldMask":
            message.paths.extend(rng.choice(("a", "foo_bar", "foo.bar_baz.x", "a1.b_c_d")) for _ in range(rng.randint(0, 3)))
        elif name == "google.protobuf.Value":
            self.value(message, depth)
        elif name == "google.protobuf.Struct":
            for _ in range(rng.randint(0, 3)):
                self.value(message.fields[text_of(rng).replace("\0", "")], depth + 1)
        elif name == "google.protobuf.ListValue":
            for _ in range(rng.randint(0, 3)):
                self.value(message.values.add(), depth + 1)
        elif name == "google.protobuf.Any":
            if rng.random() < 0.8:
                inner = self.message(rng.choice(("kinds.Inner", "kinds.Plain", "google.protobuf.Duration", "google.protobuf.Struct",
                                                 "google.protobuf.BytesValue", "google.protobuf.Empty", "google.protobuf.Value",
                                                 "google.protobuf.Any")), depth + 2)
                message.type_url = "type.googleapis.com/" + inner.DESCRIPTOR.full_name
                message.value = inner.SerializeToString()
        else:
            return False
        return True

    def value(self, message, depth):
        rng = self.rng
        kind = rng.choice("nfsb" if depth > 5 else "nfsbol")
        if kind == "n":
            message.null_value = 0
        elif kind == "f":
            number = real(rng, False)
            message.number_value = number if math.isfinite(number) else 7
        elif kind == "s":
            message.string_value = text_of(rng)
        elif kind == "b":
            message.bool_value = rng.random() < 0.5
        elif kind == "o":
            message.struct_value.SetInParent()
            self.known(message.struct_value, depth + 1)
        else:
            message.list_value.SetInParent()
            self.known(message.list_value, depth + 1)

    def fill(self, message, depth):
        """Fields at random."""
        rng = self.rng
        if self.known(message, depth):
            return message
        fields = message.DESCRIPTOR.fields
        rate = 0.35 if depth < 2 else 0.15 if depth < 5 else 0.0
        for field in fields:
            if rng.random() >= (rate if field.message_type or depth >= 5 else max(rate, 0.3)):
                continue
            entry = field.message_type if field.message_type and field.message_type.GetOptions().map_entry else None
            if entry:
                to = getattr(message, field.name)
                for _ in range(rng.randint(0, 3)):
                    key = key_of(rng, entry.fields_by_number[1])
                    if entry.fields_by_number[2].message_type:
                        self.fill(to[key], depth + 1)
                    else:
                        to[key] = scalar(rng, entry.fields_by_number[2])
            elif field.label == F.LABEL_REPEATED:
                to = getattr(message, field.name)
                for _ in range(rng.choice((0, 1, 2, 3))):
                    if field.message_type:
                        self.fill(to.add(), depth + 1)
                    else:
                        to.append(scalar(rng, field))
            elif field.message_type:
                getattr(message, field.name).SetInParent()
                self.fill(getattr(message, field.name), depth + 1)
            else:
                setattr(message, field.name, scalar(rng, field))
        return message

    def message(self, name, depth=0):
        """A new one."""
        return self.fill(self.google.new(name), depth)


class Ours:
    """Questions to json_pipe, all asked at once."""

    def __init__(self, program, descriptors):
        self.command = [program, str(descriptors)]
        self.lines = []
        self.checks = []

    def ask(self, direction, name, options, data, check):
        """check(ok, answer) is called by run(), with the bytes, or the error's text."""
        self.lines.append(f"{direction} {name} {options or '-'} {base64.b64encode(data).decode()}\n")
        self.checks.append((f"{direction} {name} {options}", data, check))

    def run(self):
        """Returns how many were wrong."""
        done = subprocess.run(self.command, input="".join(self.lines).encode(), stdout=subprocess.PIPE, check=True)
        answers = done.stdout.decode().split("\n")[:-1]
        assert len(answers) == len(self.lines), f"{len(answers)} answers to {len(self.lines)} questions"
        wrong = 0
        for (what, data, check), answer in zip(self.checks, answers):
            ok, _, rest = answer.partition(" ")
            try:
                check(ok == "ok", base64.b64decode(rest) if ok == "ok" else rest)
            except Mismatch as mismatch:
                wrong += 1
                if wrong <= 20:
                    print(f"{what}: {mismatch}: {data[:300]!r}", file=sys.stderr)
        self.lines, self.checks = [], []
        return wrong


def difference(left, right, path="$"):
    """Where two trees differ; None if they do not."""
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return f"{path}: members {sorted(left.keys() ^ right.keys())}"
        return next(filter(None, (difference(left[key], right[key], f"{path}.{key}") for key in left)), None)
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return f"{path}: {len(left)} and {len(right)} elements"
        return next(filter(None, (difference(*pair, f"{path}[{i}]") for i, pair in enumerate(zip(left, right)))), None)
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (left, right))
    same = left == right and (numbers or type(left) is type(right)) and str(left)[:1] == str(right)[:1]
    return None if same else f"{path}: {left!r} is not {right!r}"


def expect_json(wanted):
    def check(ok, answer):
        if not ok:
            raise Mismatch(f"refused: {answer}")
        wrong = difference(json.loads(answer), wanted)
        if wrong:
            raise Mismatch(wrong)
    return check


def canonical(google, message):
    """A copy with what is inside of its Anys encoded anew: members of a Struct have no order, and an empty value is as good as none."""
    copy = google.new(message.DESCRIPTOR.full_name)
    copy.CopyFrom(message)
    waiting = [copy]
    while waiting:
        at = waiting.pop()
        if at.DESCRIPTOR.full_name == "google.protobuf.Any":
            if at.type_url:
                inner = google.new(at.type_url.rpartition("/")[2], at.value)
                at.value = canonical(google, inner).SerializeToString(deterministic=True)
            continue
        for field, value in at.ListFields():
            if not field.message_type:
                continue
            if field.label != F.LABEL_REPEATED:
                waiting.append(value)
            elif not field.message_type.GetOptions().map_entry:
                waiting.extend(value)
            elif field.message_type.fields_by_number[2].message_type:
                waiting.extend(value.values())
    return copy


def expect_message(google, wanted):
    expected = canonical(google, wanted).SerializeToString(deterministic=True)

    def check(ok, answer):
        if not ok:
            raise Mismatch(f"refused: {answer}")
        got = google.new(wanted.DESCRIPTOR.full_name, answer)
        if canonical(google, got).SerializeToString(deterministic=True) != expected:
            lines = difflib.unified_diff(str(wanted).split("\n"), str(got).split("\n"), "Google", "ours", lineterm="", n=2)
            raise Mismatch("\n".join(list(lines)[:30]))
    return check


def expect_refusal(ok, answer):
    if ok:
        raise Mismatch(f"accepted: {answer!r}")
    if not answer.startswith("INVALID_ARGUMENT "):
        raise Mismatch(answer)


def expect_as_google(google, name, data):
    """Of an odd encoding: the same tree, or refused by both."""
    try:
        return expect_json(google.to_json(google.new(name, data)))
    except (json_format.Error, DecodeError, ValueError, TypeError):
        return expect_refusal


def expect_acceptance(ok, answer):
    if not ok:
        raise Mismatch(f"refused: {answer}")


def pieces(data):
    """The fields of an encoding, one by one."""
    def varint(at):
        value = shift = 0
        while True:
            value |= (data[at] & 0x7F) << shift
            shift += 7
            at += 1
            if data[at - 1] < 0x80:
                return value, at
    at = 0
    while at < len(data):
        start = at
        tag, at = varint(at)
        if tag & 7 == 0:
            _, at = varint(at)
        elif tag & 7 == 2:
            size, at = varint(at)
            at += size
        else:
            at += 8 if tag & 7 == 1 else 4
        yield data[start:at]


def ask_random(google, ours, seed):
    """The questions of one seed."""
    filler = Filler(google, seed)
    for short in TYPES:
        name = "kinds." + short
        message = filler.message(name)
        data = message.SerializeToString()
        ours.ask("json", name, "", data, expect_json(google.to_json(message)))
        ours.ask("json", name, "p2", data, expect_json(google.to_json(message, preserving_proto_field_name=True)))
        ours.ask("json", name, "e", data, expect_json(google.to_json(message, use_integers_for_enums=True)))
        ours.ask("json", name, "a", data, expect_json(google.to_json(message, including_default_value_fields=True)))
        for names in (False, True):
            text = json_format.MessageToJson(message, descriptor_pool=google.pool, preserving_proto_field_name=names)
            ours.ask("wire", name, "", text.encode(), expect_message(google, message))
        other = filler.message(name).SerializeToString()
        mixed = list(pieces(data)) + list(pieces(other))
        filler.rng.shuffle(mixed)
        for odd in (data + other, b"".join(mixed), data + b"\xfa\x7d\x03abc\xf0\x7d\x01" + other):
            ours.ask("json", name, "", odd, expect_as_google(google, name, odd))


def google_reads(google, name, text):
    """The message, or None."""
    try:
        return google.read(name, text)
    except (json_format.Error, ValueError, TypeError, AttributeError, KeyError):
        return None


def ask_tables(google, ours):
    """The tables; returns how often Google is not as they say."""
    wrong = 0

    def say(what, short, text):
        nonlocal wrong
        wrong += 1
        print(f"Google {what} {short} {text}", file=sys.stderr)

    for short, text in REFUSED:
        if google_reads(google, "kinds." + short, text) is not None:
            say("accepts", short, text)
        ours.ask("wire", "kinds." + short, "", text.encode(errors="surrogatepass"), expect_refusal)
    for short, text in ACCEPTED:
        message = google_reads(google, "kinds." + short, text)
        if message is None:
            say("refuses", short, text)
        ours.ask("wire", "kinds." + short, "", text.encode(), expect_message(google, message) if message else expect_acceptance)
    for short, text, same in DROPPED:
        ours.ask("wire", "kinds." + short, "i", text.encode(), expect_message(google, google.read("kinds." + short, same)))
    for short, text in IGNORING:
        message = google.read("kinds." + short, text, ignore_unknown_fields=True)
        ours.ask("wire", "kinds." + short, "i", text.encode(), expect_message(google, message))
    for short, text in ENCODINGS:
        data = bytes.fromhex(text)
        ours.ask("json", "kinds." + short, "", data, expect_as_google(google, "kinds." + short, data))
    for short, text, tree, _ in ENCODING_EXCEPTIONS:
        data = bytes.fromhex(text)
        if expect_as_google(google, "kinds." + short, data) is expect_refusal:
            say("refuses", short, text)
        ours.ask("json", "kinds." + short, "", data, expect_refusal if tree is None else expect_json(tree))
    for short, text, theirs, mine, _ in EXCEPTIONS:
        if (google_reads(google, "kinds." + short, text) is not None) != theirs:
            say("accepts" if not theirs else "refuses", short, text)
        ours.ask("wire", "kinds." + short, "", text.encode(), expect_acceptance if mine else expect_refusal)
    return wrong


def main():
    program, protoc, *numbers = sys.argv[1:]
    warnings.simplefilter("ignore")  # "Not all data was converted", of a field of the number 0
    rounds, first = [int(number) for number in numbers] + [150, 1][len(numbers):]
    with tempfile.TemporaryDirectory() as folder:
        descriptors = pathlib.Path(folder) / "kinds.set"
        subprocess.run([protoc, "-I", str(HERE), "--include_imports", f"--descriptor_set_out={descriptors}",
                        str(HERE / "kinds.proto")], check=True)
        google = Google(descriptors)
        ours = Ours(program, descriptors)
        wrong = ask_tables(google, ours)
        for seed in range(first, first + rounds):
            ask_random(google, ours, seed)
        questions = len(ours.lines)
        wrong += ours.run()
    print(f"{questions} questions, {wrong} mismatches")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
