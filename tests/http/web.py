# SPDX-License-Identifier: MIT
"""
What the tests of HTTP/1.1 share: a connection that sends exact bytes and reads whole answers, and the server's counters.
"""
import json
import re

from programs import client, connect


class Answer:
    """A status, headers (names in small letters, in order) and a body."""

    def __init__(self, head, body):
        lines = head.decode("ascii").split("\r\n")
        self.version, status, self.reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.lines = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.headers = {name.lower(): value for name, value in self.lines}
        self.body = body

    def __repr__(self):
        return f"{self.status} {self.reason} {self.lines} {self.body!r}"


class Web:
    """A plain socket, and what came over it."""

    def __init__(self, url):
        self.socket = connect(url)
        self.data = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def more(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise EOFError(self.data)
        self.data += got

    def answer(self, head_only=False):
        """Reads one answer."""
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        answer = Answer(head, b"")
        size = 0 if head_only or answer.status == 100 else int(answer.headers["content-length"])
        while len(self.data) < size:
            self.more()
        answer.body, self.data = self.data[:size], self.data[size:]
        return answer

    def at_end(self):
        """Whether the server has ended its output, and nothing was left."""
        return not self.data and self.socket.recv(1) == b""


def head(method, path, *lines, host="x", version="HTTP/1.1"):
    """A head with CRLFs."""
    lines = ([f"Host: {host}"] if host is not None else []) + list(lines)
    return "".join(f"{line}\r\n" for line in [f"{method} {path} {version}", *lines, ""]).encode("latin-1")


def post(path, body, *lines, media="application/json"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head("POST", path, f"Content-Type: {media}", *lines, f"Content-Length: {len(body)}") + body


ADD = "/messages.Demo/Add"
ECHO = "/messages.Demo/Echo"


def refused(url, name):
    """A counter of the server's refusals, asked for natively."""
    return json.loads(client(url, "stats", "--json").out)["refused"].get(name, 0)


SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.e+-]+|\+Inf|NaN)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def metrics(text):
    """
    Reads Prometheus's text format 0.0.4 strictly: {(name, ((label, value), ...)): number}. Each family has one HELP and one TYPE,
    its samples are together, and no sample comes twice.
    """
    samples, types, family, seen = {}, {}, None, set()
    if not text.endswith("\n"):
        raise ValueError("no newline at the end")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family = line.split(" ", 3)[2]
            if family in seen:
                raise ValueError(f"{family} comes twice")
            seen.add(family)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            if name != family or kind not in ("counter", "gauge", "histogram"):
                raise ValueError(line)
            types[name] = kind
            if (kind == "counter") != name.endswith("_total"):
                raise ValueError(f"{name} is a {kind}")
        else:
            match = SAMPLE.match(line)
            if not match:
                raise ValueError(line)
            name, labels, value = match.groups()
            suffixes = ("_bucket", "_sum", "_count") if types.get(family) == "histogram" else ("",)
            if name not in [family + suffix for suffix in suffixes]:
                raise ValueError(f"{name} in the family {family}")
            pairs = LABEL.findall(labels or "")
            if labels and "".join(f'{key}="{text}",' for key, text in pairs) != labels + ",":
                raise ValueError(line)
            key = (name, tuple(pairs))
            if key in samples:
                raise ValueError(f"twice: {line}")
            samples[key] = float(value)
    return samples
