# SPDX-License-Identifier: MIT
"""
msgsrv-server: its options, what it listens on, its signals, its end.
"""
import contextlib
import json
import os
import re
import signal
import socket
import stat
import unittest

from programs import SERVER, SOURCE_DIR, VERSION, TestCase, broken_pipe, client, connect, field, read_all, run, server

USAGE = 64
IO = 74
FORMS = "tcp://host:port, tcp://[IPv6]:port, unix:///path or unix:@name"


def limits():
    """The numeric fields of msgsrv_server_options, as the options are named: without a time's unit."""
    with open(os.path.join(SOURCE_DIR, "include/msgsrv/server.h"), encoding="utf-8") as header:
        struct = re.search(r"struct msgsrv_server_options \{(.*?)\n\} msgsrv_server_options;", header.read(), re.S)
    names = re.findall(r"^    uint32_t (\w+);", struct.group(1), re.M)
    return [re.sub(r"_m?s$", "", name).replace("_", "-") for name in names]


def bus_limits():
    """Those of the bus, which are the last of msgsrv_bus_options."""
    with open(os.path.join(SOURCE_DIR, "include/msgsrv/bus.h"), encoding="utf-8") as header:
        struct = re.search(r"those of the handle that opened it first hold\. \*/(.*?)\n\} msgsrv_bus_options;", header.read(), re.S)
    names = re.findall(r"^    uint(?:32|64)_t (\w+);", struct.group(1), re.M)
    return ["bus-" + re.sub(r"_ms$", "", name).replace("_", "-") for name in names]


class Options(TestCase):
    VALUES = {"max-message": "1MiB", "max-metadata": "8KiB", "max-output": "64KiB", "first-byte-timeout": "60s",
              "frame-timeout": "30000ms", "output-timeout": "1m", "keepalive-idle": "1m", "keepalive-interval": "20s",
              "linger": "1s", "linger-bytes": "65536", "max-stream-output": "64KiB", "max-unread": "1MiB", "plain-max-bytes": "1MiB", "plain-timeout": "30s",
              "socket-mode": "0660", "bus-topic-idle": "60s", "bus-max-match-nodes": "64",
              "bus-max-retained-bytes": "1MiB", "bus-max-event": "100KiB"}

    NONE = ("max-connections", "first-byte-timeout", "frame-timeout", "output-timeout", "keepalive-idle",
            "pings-per-second", "idle-frames-per-second", "resets-per-second", "plain-timeout")

    def refuse(self, *arguments, text):
        self.check(run(SERVER, *arguments), USAGE, err=f"msgsrv-server: {text}\n")

    def test_the_headers_have_limits(self):
        self.assertGreater(len(limits()), 20)
        self.assertEqual(len(bus_limits()), 9)

    def test_every_limit_is_an_option(self):
        arguments = [word for name in limits() + bus_limits() for word in (f"--{name}", self.VALUES.get(name, "3"))]
        with server(*arguments, "--grace", "1s") as program:
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            self.check(program.stop(), 0)

    def test_none(self):
        arguments = [word for name in self.NONE for word in (f"--{name}", "none")]
        with server(*arguments, "--grace", "none") as program:
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            self.check(program.stop(), 0)

    def test_every_limit_is_read_strictly(self):
        for name in limits() + bus_limits():
            for value in ("0", "0s", "", "x", "12x", "-1", " 1", "1 ", "none", "99999999999999999999s",
                          "99999999999999999999"):
                if value == "none" and name in self.NONE:
                    continue
                with self.subTest(name=name, value=value):
                    self.check_match(run(SERVER, f"--{name}", value), USAGE, "",
                                     rf"msgsrv-server: --{name}: '?{re.escape(value)}'? is not .+\n")

    def test_ranges_are_the_librarys(self):
        for name, value in (("max-message", "65MiB"), ("threads", "257"), ("socket-mode", "01000"),
                            ("keepalive-idle", "32768s"), ("max-metadata", "13KiB"), ("bus-max-match-nodes", "63"),
                            ("bus-max-event", "64MiB")):
            with self.subTest(name=name):
                result = run(SERVER, "--listen", "tcp://127.0.0.1:0", f"--{name}", value)
                self.check_match(result, USAGE, "",
                                 rf"msgsrv-server: start: INVALID_ARGUMENT: .*{name.replace('bus-', '').replace('-', '_')}.*\n")

    def test_messages(self):
        self.refuse("--max-message", "4MB", text="--max-message: '4MB' is not a size such as 4096, 64KiB or 4MiB")
        self.refuse("--max-message", "0", text="--max-message: 0 is not between 1 and 4294967294")
        self.refuse("--linger", "5", text="--linger: '5' is not a time such as 500ms, 5s or 2m")
        self.refuse("--first-byte-timeout", "5",
                    text="--first-byte-timeout: '5' is not a time such as 500ms, 5s or 2m, nor none")
        self.refuse("--keepalive-interval", "1500ms",
                    text="--keepalive-interval: '1500ms' is not a time of whole seconds such as 5s or 2m")
        self.refuse("--socket-mode", "0680", text="--socket-mode: '0680' is not an octal mode such as 0660")
        self.refuse("--grace", "soon", text="--grace: 'soon' is not a time such as 500ms, 5s or 2m, nor none")
        self.refuse("--log-level", "loud", text="--log-level: 'loud' is not error, warning, info or debug")
        self.refuse("--max-mesage", "1", text="unknown option '--max-mesage'; did you mean '--max-message'?")
        self.refuse("--max", "1", text="option '--max' is ambiguous (see --help)")
        self.refuse("-x", text="unknown option '-x' (see --help)")
        self.refuse("--threads", text="--threads needs a value")
        self.refuse("--stats=1", text="--stats takes no value")
        self.refuse("tcp://127.0.0.1:0", text="unexpected argument 'tcp://127.0.0.1:0' (see --help)")
        self.refuse(*["--listen", "tcp://127.0.0.1:0"] * 65, text="--listen: more than 64 addresses")

    def test_help(self):
        result = run(SERVER, "--help")
        self.assertEqual((result.status, result.err), (0, ""))
        for name in [*limits(), *bus_limits(), "no-bus", "listen", "insecure", "log-level", "stats", "json", "grace", "help", "version"]:
            self.assertIn(f"--{name}", result.out)
        for name in self.NONE:
            self.assertRegex(result.out, rf"(?m)^  --{name} \w+\* ")

    def test_version(self):
        self.check(run(SERVER, "--version"), 0, f"msgsrv-server {VERSION}\n")


class Listening(TestCase):
    def test_beyond_loopback_only_on_request(self):
        for url in ("tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://10.1.2.3:0", "tcp://128.0.0.1:0", "tcp://127.1:0",
                    "tcp://example.org:0", "tcp://localhost.example.org:0", "tcp://[::ffff:127.0.0.1]:0"):
            with self.subTest(url=url):
                self.check(run(SERVER, "--listen", "tcp://127.0.0.1:0", "--listen", url), USAGE,
                           err=f"msgsrv-server: --listen: {url} is not a loopback address; "
                           "--insecure allows it, without TLS and authentication\n")
        with server("--insecure", listen=("tcp://0.0.0.0:0",)) as program:
            self.check(client(f"tcp://127.0.0.1:{program.port}", "add", "1", "2"), 0, "3\n")

    def test_several_addresses(self):
        urls = ("tcp://127.0.0.1:0", "tcp://127.1.2.3:0", f"unix://{self.folder}/socket", f"unix:@{self.folder}")
        with server(listen=urls) as program:
            self.assertRegex(program.urls[0], r"\Atcp://127\.0\.0\.1:[1-9]\d*\Z")
            self.assertRegex(program.urls[1], r"\Atcp://127\.1\.2\.3:[1-9]\d*\Z")
            self.assertEqual(program.urls[2:], list(urls[2:]))
            for url in program.urls:
                self.check(client(url, "add", "20", "3"), 0, "23\n")
            self.assertEqual(stat.S_IMODE(os.stat(f"{self.folder}/socket").st_mode), 0o600)
            self.check(program.stop(), 0)
        self.assertFalse(os.path.exists(f"{self.folder}/socket"))

    def test_ipv6(self):
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            self.skipTest("no IPv6 here")
        with server(listen=("tcp://[::1]:0",)) as program:
            self.assertRegex(program.url, r"\Atcp://\[::1\]:[1-9]\d*\Z")
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            self.check(client(program.url, "--plain", "add", "1", "2"), 0, "3\n")

    def test_localhost(self):
        with server(listen=("tcp://LocalHost:0",)) as program:
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")

    def test_socket_mode(self):
        with server("--socket-mode", "0666", listen=(f"unix://{self.folder}/socket",)):
            self.assertEqual(stat.S_IMODE(os.stat(f"{self.folder}/socket").st_mode), 0o666)

    def test_bad_addresses(self):
        for url in ("nonsense", "tcp://127.0.0.1", "http://127.0.0.1:80", "unix:relative", "unix://relative", ""):
            with self.subTest(url=url):
                self.check(run(SERVER, "--listen", url), USAGE,
                           err=f"msgsrv-server: --listen: '{url}' is not {FORMS}\n")

    def test_an_address_in_use(self):
        with server() as first:
            self.check(run(SERVER, "--listen", "tcp://127.0.0.1:0", "--listen", first.url), 6,
                       err=f"msgsrv-server: listen: ALREADY_EXISTS: cannot listen on {first.url}: "
                       "Address already in use\n")

    def test_a_socket_in_use_and_one_left_behind(self):
        url = f"unix://{self.folder}/socket"
        with server(listen=(url,)) as first:
            self.check_match(run(SERVER, "--listen", url), 6, "",
                             r"msgsrv-server: listen: ALREADY_EXISTS: .*socket.*\n")
            first.process.kill()
            first.process.wait()
            with server(listen=(url,)):
                self.check(client(url, "add", "1", "2"), 0, "3\n")

    def test_no_such_folder(self):
        url = f"unix://{self.folder}/none/socket"
        self.check(run(SERVER, "--listen", url), 14,
                   err=f"msgsrv-server: listen: UNAVAILABLE: cannot listen on {url}: No such file or directory\n")

    def test_restart_on_the_same_port(self):
        with server() as first, connect(first.url) as open_connection:
            self.check(client(first.url, "add", "1", "2"), 0, "3\n")
            open_connection.sendall(field(2, b""))
            self.assertEqual(open_connection.recv(2), field(2, b""))
            self.check(first.stop(), 0)  # it closes the connection, so that the port stays in TIME_WAIT
            with server(listen=(first.url,)) as second:
                self.assertEqual(second.url, first.url)
                self.check(client(second.url, "add", "1", "2"), 0, "3\n")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            result = run(SERVER, "--listen", "tcp://127.0.0.1:0", stdout=full)
        self.check(result, IO, err="msgsrv-server: standard output: No space left on device\n")
        with broken_pipe() as broken: # a server is no filter
            result = run(SERVER, "--listen", "tcp://127.0.0.1:0", stdout=broken)
        self.check(result, IO, err="msgsrv-server: standard output: Broken pipe\n")


class Ends(TestCase):
    TEXT = b"x" * 3000000  # more than a Unix socket's buffers

    @contextlib.contextmanager
    def busy(self, *arguments):
        """A server with an answer that does not go out, since its client does not read."""
        url = f"unix://{self.folder}/socket"
        with server("--stats", "--json", *arguments, listen=(url,)) as program, connect(url) as connection:
            connection.sendall(field(1, field(1, self.TEXT)))
            first = connection.recv(1)  # the answer is on its way
            yield program, connection, first

    def test_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with server() as program:
                self.check(client(program.url, "add", "1", "2"), 0, "3\n")
                self.check(program.stop(number), 0)

    def test_a_signal_at_once(self):
        for _ in range(5):
            with server() as program:
                self.check(program.stop(), 0)

    def test_threads(self):
        with server("--threads", "3") as program:
            self.assertEqual(client(program.url, "bench", "--seconds", "0.1", "--connections", "4").status, 0)
            self.check(program.stop(), 0)

    def test_a_drain_finishes_what_is_open(self):
        with self.busy("--log-level", "info") as (program, connection, data):
            program.send(signal.SIGTERM)
            program.wait_for_line("(?i)drain")
            data += read_all(connection)
            answer = field(1, field(1, self.TEXT))
            self.assertTrue(data.startswith(answer))
            self.assertEqual(data[len(answer):len(answer) + 2], b"\xba\x01")  # then a GoAway, and no more
            self.assertEqual(len(data), len(answer) + 3 + data[len(answer) + 2])
            result = program.wait()
            self.assertEqual(result.status, 0)

    def test_a_drain_takes_no_new_connections(self):
        with self.busy("--log-level", "info") as (program, connection, _):
            program.send(signal.SIGTERM)
            program.wait_for_line("(?i)drain")
            self.assertEqual(client(program.url, "add", "1", "2").status, 14)
            read_all(connection)
            self.assertEqual(program.wait().status, 0)

    def test_the_grace_ends_a_drain(self):
        with self.busy("--grace", "50ms") as (program, _, __):
            self.assertEqual(program.stop().status, 0)

    def test_a_second_signal_stops_at_once(self):
        with self.busy("--grace", "none", "--log-level", "info") as (program, _, __):
            program.send(signal.SIGTERM)
            program.wait_for_line("(?i)drain")
            self.assertEqual(program.stop(signal.SIGINT).status, 0)


class Reports(TestCase):
    def test_stats_at_the_end(self):
        with server("--stats") as program:
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            self.check(client(program.url, "--plain", "add", "1", "2"), 0, "3\n")
            self.assertEqual(client(program.url, "add", "2147483647", "2").status, 11)
            result = program.stop()
        self.assertEqual((result.status, result.out), (0, ""))
        for line in ("connections_accepted 3", "connections_open 0", "calls_started 3", "calls_open 0",
                     "plain_calls 1", "calls_ended OK 2", "calls_ended OUT_OF_RANGE 1"):
            self.assertIn(line, re.sub(" +", " ", result.err).splitlines())
        self.assertNotRegex(result.err, "(?m)^refused")

    def test_stats_on_request(self):
        with server("--stats", "--json") as program:
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            program.send(signal.SIGUSR1)
            line, seen = program.wait_for_line(r"^\{")
            self.assertEqual(json.loads(line)["calls_ended"]["OK"], 1)
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            program.send(signal.SIGUSR1)
            line, _ = program.wait_for_line(r"^\{", seen)
            self.assertEqual(json.loads(line)["calls_ended"]["OK"], 2)
            result = program.stop()
        self.assertEqual(result.status, 0)
        self.assertEqual(len(result.err.splitlines()), 3)
        stats = json.loads(result.err.splitlines()[2])
        self.assertEqual(len(stats["calls_ended"]), 17)
        self.assertIn("slow_reader", stats["refused"])

    def test_refusals_are_counted(self):
        with server("--stats", "--max-message", "1000", "--log-level", "error") as program:
            self.assertEqual(client(program.url, "echo", "x" * 2000).status, 8)
            result = program.stop()
        self.assertRegex(re.sub(" +", " ", result.err), r"(?m)^refused message_size 1$")

    def test_the_log(self):
        with server("--log-level", "debug") as program:
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            result = program.stop()
        self.assertEqual(result.status, 0)
        for line in result.err.splitlines():
            self.assertRegex(line, r"\Amsgsrv-server: (error|warning|info|debug): .+\Z")
        self.assertRegex(result.err, r"(?m)^msgsrv-server: info: ")

    def test_warnings_are_logged(self):
        for level, lines in (("warning", 1), ("error", 0)):
            with server("--log-level", level) as program:
                with connect(program.url) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    with contextlib.suppress(ConnectionResetError):
                        read_all(connection)
                result = program.stop()
            self.assertRegex(result.err, r"\A(msgsrv-server: warning: .+\n){%d}\Z" % lines)

    def test_the_log_is_quiet_by_default(self):
        with server() as program:
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")
            self.check(program.stop(), 0)


class Bus(TestCase):
    EVENT = ("pub", "a", '{"text": "x"}', "--type", "messages.EchoMessage")

    def test_served_unless_told_otherwise(self):
        with server() as program:
            self.assertIn("msgsrv.bus.v1.Bus\n", client(program.url, "list").out)
            self.check(client(program.url, *self.EVENT), 0)
        with server("--no-bus") as program:
            self.assertNotIn("msgsrv.bus.v1.Bus\n", client(program.url, "list").out)

    def test_bounds(self):
        with server("--bus-max-topics", "1", "--bus-max-queues", "1", "--bus-max-event", "1KiB") as program:
            self.check(client(program.url, *self.EVENT), 0)
            self.check_match(client(program.url, "pub", "b", "{}", "--type", "messages.EchoMessage"), 8, "",
                             r"msgsrv-client: Publish: RESOURCE_EXHAUSTED: .*max_topics.*\n")
            self.check_match(client(program.url, "pub", "a", json.dumps({"text": "x" * 1024})), 8, "",
                             r"msgsrv-client: Publish: RESOURCE_EXHAUSTED: .*max_event.*\n")
            self.check(client(program.url, "queue", "declare", "q"), 0)
            self.check_match(client(program.url, "queue", "declare", "r"), 8, "",
                             r"msgsrv-client: DeclareQueue: RESOURCE_EXHAUSTED: .*max_queues.*\n")

    def test_events_fit_into_messages(self):
        with server("--max-message", "128KiB") as program:
            self.check(client(program.url, "pub", "a", json.dumps({"text": "x" * 65000}), "--type", "messages.EchoMessage"), 0)
            self.check_match(client(program.url, "pub", "a", json.dumps({"text": "x" * 65600})), 8, "",
                             r"msgsrv-client: Publish: RESOURCE_EXHAUSTED: .*max_event.*\n")
        self.check_match(run(SERVER, "--listen", "tcp://127.0.0.1:0", "--max-message", "128KiB", "--bus-max-event", "128KiB"),
                         USAGE, "", r"msgsrv-server: start: INVALID_ARGUMENT: .*max_event.*max_message.*\n")
        with server("--max-message", "64KiB") as program:
            self.assertNotIn("msgsrv.bus.v1.Bus\n", client(program.url, "list").out)
            self.check(program.stop(), 0)

    def test_stats(self):
        with server("--stats") as program:
            client(program.url, *self.EVENT)
            result = program.stop()
            self.assertRegex(result.err, r"(?m)^bus published +1\n(.*\n)*bus unmatched +1\nbus topics +1\n")
        with server("--stats", "--json") as program:
            client(program.url, *self.EVENT)
            self.assertEqual(json.loads(program.stop().err)["bus"]["published"], 1)
        with server("--stats", "--json", "--no-bus") as program:
            self.assertNotIn("bus", json.loads(program.stop().err))

    def test_losses_are_logged(self):
        with server() as program, server("--log-level", "error") as quiet:
            for url in (program.url, quiet.url):
                self.check_match(client(url, "bench", "pubsub", "--seconds", "0.3", "--outstanding", "20000"), 0, r"(.*\n)+", "")
            self.assertEqual(quiet.stop().err, "")


class Peers(TestCase):
    def test_plain_messages_in_order(self):
        with server() as program, connect(program.url) as connection:
            connection.sendall(field(2, b"\x08\x01\x10\x02") + field(1, field(1, b"text")) + field(2, b""))
            connection.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(connection),
                             field(2, b"\x08\x03") + field(1, field(1, b"text")) + field(2, b""))

    def test_an_unbound_plain_message(self):
        with server() as program, connect(program.url) as connection:
            connection.sendall(field(3, b""))
            self.assertEqual(read_all(connection)[:2], b"\xba\x01")  # a GoAway
            self.check(client(program.url, "add", "1", "2"), 0, "3\n")

    def test_the_default_address(self):
        with contextlib.closing(socket.socket()) as bound:
            try:
                bound.bind(("127.0.0.1", 7070))
                self.check(client(None, "add", "1", "2"), 14,
                           err="msgsrv-client: Add: UNAVAILABLE: connection refused (tcp://127.0.0.1:7070)\n")
            except OSError:
                pass  # it is somebody else's, and as much in use as if it were ours
            self.check_match(run(SERVER), 6, "",
                             r"msgsrv-server: listen: ALREADY_EXISTS: .*tcp://127\.0\.0\.1:7070.*\n")


if __name__ == "__main__":
    unittest.main()
