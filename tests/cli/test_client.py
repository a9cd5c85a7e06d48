# SPDX-License-Identifier: MIT
"""
msgsrv-client: its commands, and every error with its exact text and exit status.
"""
import json
import re
import signal
import unittest

from programs import CLIENT, NOT_UTF8, VERSION, TestCase, broken_pipe, client, peer, read_all, refusing_url, run, server

USAGE = 64
IO = 74
FORMS = "tcp://host:port, tcp://[IPv6]:port, unix:///path, unix:@name, grpc://host:port or grpc+unix:///path"


class Calls(TestCase):
    """With a server that answers."""

    @classmethod
    def setUpClass(cls):
        cls.context = server()
        cls.url = cls.context.__enter__().url

    @classmethod
    def tearDownClass(cls):
        cls.context.__exit__(None, None, None)

    def call(self, *arguments, **more):
        return client(self.url, *arguments, **more)

    def test_add(self):
        for a, b, total in ((2, 3, 5), (-5, 3, -2), (-5, -6, -11), (0, 0, 0), (2147483647, -2147483648, -1),
                            (2147483646, 1, 2147483647), (-2147483647, -1, -2147483648)):
            self.check(self.call("add", str(a), str(b)), 0, f"{total}\n")

    def test_add_json(self):
        result = self.call("add", "2", "-3", "--json")
        self.check(result, 0, '{"result": -1}\n')
        self.assertEqual(json.loads(result.out), {"result": -1})

    def test_add_overflows(self):
        self.check(self.call("add", "2147483647", "1"), 11,
                   err="msgsrv-client: Add: OUT_OF_RANGE: 2147483647 + 1 does not fit int32\n")
        self.check(self.call("add", "-2147483648", "-1", "--json"), 11,
                   err="msgsrv-client: Add: OUT_OF_RANGE: -2147483648 + -1 does not fit int32\n")

    def test_echo(self):
        for text in ("hello", "", "two words", "grüße €uro 🙂", "a\nb\ttab", "-5", "x" * 100000):
            self.check(self.call("echo", text), 0, text + "\n")
        self.check(self.call("echo", "--", "--help"), 0, "--help\n")

    def test_echo_of_standard_input_is_exact(self):
        for text in (b"", b"no newline", b"one\n", b"\n\n", "ünïcödé\n".encode(), b"x" * 3000000):
            self.check(self.call("echo", "-", stdin=text), 0, text.decode())

    def test_echo_json(self):
        for text in ("plain", "", 'quotes " and \\ and /', "\b\f\n\r\t\x01\x1f\x7f", "é\u2028🙂"):
            result = self.call("--json", "echo", text)
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertEqual(result.out.count("\n"), 1)
            self.assertEqual(json.loads(result.out), {"text": text})

    def test_echo_of_what_is_no_text(self):
        self.check(self.call("echo", "-", stdin=b"a\0b"), 3,
                   err="msgsrv-client: Echo: INVALID_ARGUMENT: standard input has a NUL, which no string can hold\n")
        self.check(self.call("echo", "-", stdin=b"\xff\xfe"), 3,
                   err=f"msgsrv-client: Echo: INVALID_ARGUMENT: {NOT_UTF8} ({self.url})\n")

    def test_echo_of_a_folder(self):
        result = run("/bin/sh", "-c", '"$0" --server "$1" echo - < "$2"', CLIENT, self.url, self.folder)
        self.check(result, IO, err="msgsrv-client: standard input: Is a directory\n")

    def test_echo_over_the_servers_limit(self):
        self.check_match(self.call("echo", "-", stdin=b"x" * (5 << 20)), 8, "",
                         r"msgsrv-client: Echo: RESOURCE_EXHAUSTED: .+ is over the limit of 4194304\n")

    def test_ping(self):
        result = self.call("ping", "--count", "3", "--interval", "0ms")
        number = r"\d+\.\d{3} ms"
        self.check_match(result, 0, f"1: {number}\n2: {number}\n3: {number}\n"
                         f"min {number}, median {number}, p99 {number}, max {number}\n", "")

    def test_ping_json(self):
        result = self.call("ping", "--count", "4", "--interval", "1ms", "--json")
        self.assertEqual((result.status, result.err), (0, ""))
        pings = json.loads(result.out)
        self.assertEqual((pings["server"], pings["count"], pings["answered"]), (self.url, 4, 4))
        times = pings["round_trip_us"]
        self.assertTrue(0 < times["min"] <= times["median"] <= times["p99"] <= times["max"], times)

    def test_ping_waits_between(self):
        result = self.call("ping", "--count", "2", "--interval", "20ms", "--json")
        self.assertEqual(json.loads(result.out)["answered"], 2)

    def test_too_many_pings_end_the_connection(self):
        result = self.call("ping", "--count", "100000", "--interval", "0ms", "--json", "--timeout", "20s")
        self.assertRegex(result.err, r"\Amsgsrv-client: Ping: UNAVAILABLE: .*ping.* \(tcp://.+\)\n\Z")
        self.assertEqual(result.status, 14)
        self.assertGreaterEqual(json.loads(result.out)["answered"], 100)

    def test_server_from_the_environment(self):
        self.check(client(None, "add", "1", "2", env={"MSGSRV_SERVER": self.url}), 0, "3\n")
        with refusing_url() as nobody:
            self.check(client(self.url, "add", "1", "2", env={"MSGSRV_SERVER": nobody}), 0, "3\n")

    def test_options_before_and_behind(self):
        self.check(run(CLIENT, "--timeout", "5s", "add", "1", "--server=" + self.url, "2", "--json"), 0,
                   '{"result": 3}\n')

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            result = self.call("add", "1", "2", stdout=full)
        self.check(result, IO, err="msgsrv-client: standard output: No space left on device\n")
        with broken_pipe() as broken: # as filters do: by the signal, unless whoever started it ignores that
            for command in (("ping",), ("add", "1", "2"), ("health",), ("list",), ("stats", "--watch"), ("--help",)):
                self.check(self.call(*command, stdout=broken), -signal.SIGPIPE)
            result = self.call("ping", stdout=broken, restore_signals=False)
        self.check(result, IO, err="msgsrv-client: standard output: Broken pipe\n")
        result = run("/bin/sh", "-c", '"$0" --server "$1" add 1 2 >&-', CLIENT, self.url)
        self.check(result, IO, err="msgsrv-client: standard output: Bad file descriptor\n")


class Refusals(TestCase):
    """With no server, or something that is none."""

    def test_nobody_listens(self):
        with refusing_url() as url:
            for command, name in ((("add", "1", "2"), "Add"), (("echo", "x"), "Echo"), (("ping",), "Ping"),
                                  (("bench",), "bench")):
                self.check(client(url, *command), 14,
                           err=f"msgsrv-client: {name}: UNAVAILABLE: connection refused ({url})\n")

    def test_several_benches_fail_at_once(self):
        with refusing_url() as url:
            result = client(url, "bench", "--connections", "3")
            self.check(result, 14,
                       err=f"msgsrv-client: bench: 3 calls failed: UNAVAILABLE: connection refused ({url})\n")

    def test_no_such_unix_socket(self):
        url = f"unix://{self.folder}/none"
        self.check(client(url, "add", "1", "2"), 14,
                   err=f"msgsrv-client: Add: UNAVAILABLE: no such file or directory ({url})\n")

    def test_no_such_name(self):
        url = "tcp://no-such-host.invalid:7070"
        self.check_match(client(url, "--timeout", "20s", "add", "1", "2"), 14, "",
                         r'msgsrv-client: Add: UNAVAILABLE: cannot look up "no-such-host\.invalid": .+ '
                         rf"\({re.escape(url)}\)\n")

    def test_a_server_that_closes(self):
        with peer(lambda connection: connection.recv(1)) as url:
            self.check(client(url, "add", "1", "2"), 14,
                       err=f"msgsrv-client: Add: UNAVAILABLE: the server closed the connection ({url})\n")

    def test_an_http_server(self):
        def answer(connection):
            connection.recv(1)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        with peer(answer) as url:
            self.check(client(url, "add", "1", "2"), 14,
                       err="msgsrv-client: Add: UNAVAILABLE: the server broke the protocol: its first byte is 0x48; "
                       f"is this a msgsrv server? ({url})\n")

    def test_a_server_that_says_nothing(self):
        with peer(read_all) as url:
            self.check(client(url, "--timeout", "300ms", "add", "1", "2"), 4,
                       err=f"msgsrv-client: Add: DEADLINE_EXCEEDED: the deadline has passed ({url})\n")


class Usage(TestCase):
    """Wrong arguments: one line, status 64, nothing on standard output, and no server asked."""

    CASES = (
        ((), "a command is missing (see --help)"),
        (("ad", "1", "2"), "unknown command 'ad'; did you mean 'add'?"),
        (("pign",), "unknown command 'pign'; did you mean 'ping'?"),
        (("bnech",), "unknown command 'bnech'; did you mean 'bench'?"),
        (("Echo", "x"), "unknown command 'Echo'; did you mean 'echo'?"),
        (("frobnicate",), "unknown command 'frobnicate' (see --help)"),
        (("x" * 100,), f"unknown command '{'x' * 100}' (see --help)"),
        (("",), "unknown command '' (see --help)"),
        (("add",), "add takes two numbers, A and B (see --help)"),
        (("add", "1"), "add takes two numbers, A and B (see --help)"),
        (("add", "1", "2", "3"), "add takes two numbers, A and B (see --help)"),
        (("add", "1", "2", "3", "4", "5"), "add takes two numbers, A and B (see --help)"),
        (("echo",), "echo takes one TEXT, or - for standard input (see --help)"),
        (("echo", "two", "words"), "echo takes one TEXT, or - for standard input (see --help)"),
        (("ping", "x"), "ping takes no arguments (see --help)"),
        (("bench", "x"), "bench takes no arguments, or pubsub (see --help)"),
        (("add", "12x", "1"), "add: '12x' is not a number"),
        (("add", "1", ""), "add: '' is not a number"),
        (("add", " 1", "1"), "add: ' 1' is not a number"),
        (("add", "1 ", "1"), "add: '1 ' is not a number"),
        (("add", "+1", "1"), "add: '+1' is not a number"),
        (("add", "0x10", "1"), "add: '0x10' is not a number"),
        (("add", "1.5", "1"), "add: '1.5' is not a number"),
        (("add", "--", "-", "1"), "add: '-' is not a number"),
        (("add", "-1x", "1"), "add: '-1x' is not a number"),
        (("add", "2147483648", "1"), "add: 2147483648 does not fit int32"),
        (("add", "1", "-2147483649"), "add: -2147483649 does not fit int32"),
        (("add", "99999999999999999999999999", "1"), "add: 99999999999999999999999999 does not fit int32"),
        (("add", "1", "2", "--frob"), "unknown option '--frob' (see --help)"),
        (("--sevrer", "x", "ping"), "unknown option '--sevrer'; did you mean '--server'?"),
        (("--se", "x", "ping"), "option '--se' is ambiguous (see --help)"),
        (("-x", "ping"), "unknown option '-x' (see --help)"),
        (("ping", "--count"), "--count needs a value"),
        (("ping", "--json=yes"), "--json takes no value"),
        (("add", "1", "2", "--count", "3"), "--count is no option of add (see --help)"),
        (("ping", "--seconds", "3"), "--seconds is no option of ping (see --help)"),
        (("ping", "--plain"), "--plain is no option of ping (see --help)"),
        (("bench", "--plain"), "--plain is no option of bench (see --help)"),
        (("bench", "--payload", "10"), "--payload needs --method echo"),
        (("bench", "--method", "sub"), "--method: 'sub' is not add or echo"),
        (("ping", "--count", "0"), "--count: 0 is not between 1 and 1000000"),
        (("ping", "--count", "-1"), "--count: '-1' is not a number"),
        (("ping", "--count", "1x"), "--count: '1x' is not a number"),
        (("ping", "--count", "99999999999999999999"),
         "--count: 99999999999999999999 is not between 1 and 1000000"),
        (("ping", "--timeout", "5"), "--timeout: '5' is not a time such as 500ms, 5s or 2m"),
        (("ping", "--timeout", ""), "--timeout: '' is not a time such as 500ms, 5s or 2m"),
        (("ping", "--timeout", "5 s"), "--timeout: '5 s' is not a time such as 500ms, 5s or 2m"),
        (("ping", "--timeout", "5h"), "--timeout: '5h' is not a time such as 500ms, 5s or 2m"),
        (("ping", "--timeout", "s"), "--timeout: 's' is not a time such as 500ms, 5s or 2m"),
        (("ping", "--timeout", "none"), "--timeout: 'none' is not a time such as 500ms, 5s or 2m"),
        (("ping", "--timeout", "0s"), "--timeout: 0s is not between 1ms and 4294967294ms"),
        (("ping", "--timeout", "4294968s"), "--timeout: 4294968s is not between 1ms and 4294967294ms"),
        (("bench", "--seconds", "0"), "--seconds: 0 is not between 0.001 and 86400"),
        (("bench", "--seconds", "1."), "--seconds: '1.' is not a number of seconds such as 5 or 0.25"),
        (("bench", "--seconds", ".5"), "--seconds: '.5' is not a number of seconds such as 5 or 0.25"),
        (("bench", "--seconds", "1e3"), "--seconds: '1e3' is not a number of seconds such as 5 or 0.25"),
        (("bench", "--seconds", "0.2505"), "--seconds: '0.2505' is not a number of seconds such as 5 or 0.25"),
        (("bench", "--method", "echo", "--payload", "65MiB"), "--payload: 65MiB is not between 0 and 67108864"),
        (("bench", "--method", "echo", "--payload", "1kB"),
         "--payload: '1kB' is not a size such as 4096, 64KiB or 4MiB"),
        (("--server", "localhost", "ping"), f"--server: 'localhost' is not {FORMS}"),
        (("--server", "http://localhost:1", "ping"), f"--server: 'http://localhost:1' is not {FORMS}"),
        (("--server", "tcp://localhost", "ping"), f"--server: 'tcp://localhost' is not {FORMS}"),
        (("--server", "tcp://localhost:x", "ping"), f"--server: 'tcp://localhost:x' is not {FORMS}"),
        (("--server", "tcp://localhost:65536", "ping"), f"--server: 'tcp://localhost:65536' is not {FORMS}"),
        (("--server", "tcp://::1:7070", "ping"), f"--server: 'tcp://::1:7070' is not {FORMS}"),
        (("--server", "tcp://[::1:7070", "ping"), f"--server: 'tcp://[::1:7070' is not {FORMS}"),
        (("--server", "tcp://:7070", "ping"), f"--server: 'tcp://:7070' is not {FORMS}"),
        (("--server", "unix:relative", "ping"), f"--server: 'unix:relative' is not {FORMS}"),
        (("--server", "unix:@", "ping"), f"--server: 'unix:@' is not {FORMS}"),
        (("lits",), "unknown command 'lits'; did you mean 'list'?"),
        (("list", "a", "b"), "list takes at most the NAME of a service (see --help)"),
        (("describe",), "describe takes one NAME (see --help)"),
        (("describe", "a", "b"), "describe takes one NAME (see --help)"),
        (("call",), "call takes a METHOD, and JSON or - for standard input (see --help)"),
        (("call", "a", "{}", "{}"), "call takes a METHOD, and JSON or - for standard input (see --help)"),
        (("health", "a", "b"), "health takes at most one SERVICE (see --help)"),
        (("stats", "a"), "stats takes no arguments (see --help)"),
        (("describe", "a", "--json"), "--json is no option of describe (see --help)"),
        (("call", "a", "--long"), "--long is no option of call (see --help)"),
        (("list", "--watch"), "--watch is no option of list (see --help)"),
        (("add", "1", "2", "--headers"), "--headers is no option of add (see --help)"),
        (("list", "--metadata", "a=b"), "--metadata is no option of list (see --help)"),
        (("call", "a", "--metadata", "novalue"), "--metadata: 'novalue' is not KEY=VALUE"),
        (("call", "a", "--metadata", "a-bin=*"), "--metadata: the value of 'a-bin' is not base64"),
        (("call", "a", "--metadata", "a-bin=AAAAA"), "--metadata: the value of 'a-bin' is not base64"),
        (("call", "a", "--metadata", "a-bin=AB=="), "--metadata: the value of 'a-bin' is not base64"),
        (("call", "a", *("--metadata", "a=b") * 65), "--metadata: there are more than 64"),
        (("stats", "--interval", "1s"), "--interval needs --watch"),
        (("stats", "--watch", "--interval", "99ms"), "--interval of stats is between 100ms and 60m"),
        (("stats", "--watch", "--interval", "61m"), "--interval of stats is between 100ms and 60m"),
        (("health", "--interval", "1s"), "--interval is no option of health (see --help)"),
        (("\x1b[31mred",), "unknown command '?[31mred' (see --help)"),
    )

    def test_wrong_usage(self):
        for arguments, message in self.CASES:
            with self.subTest(arguments=arguments):
                self.check(client(None, *arguments), USAGE, err=f"msgsrv-client: {message}\n")

    def test_wrong_environment(self):
        self.check(client(None, "ping", env={"MSGSRV_SERVER": "nonsense"}), USAGE,
                   err=f"msgsrv-client: MSGSRV_SERVER: 'nonsense' is not {FORMS}\n")

    def test_help(self):
        for arguments in (("--help",), ("add", "--help"), ("--help", "frobnicate")):
            result = client(None, *arguments)
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertTrue(result.out.startswith("Usage: msgsrv-client "), result)
            for word in ("list [NAME]", "describe NAME", "call METHOD", "health [SERVICE]", "stats", "--long",
                         "--metadata", "--headers", "--watch", "add A B", "echo TEXT|-", "ping", "bench", "pub TOPIC", "sub [PATTERN]", "topics", "hz TOPIC", "bw TOPIC", "doctor TOPIC",
                         "top [PATTERN]", "queues", "queue declare", "consume QUEUE", "dlq list", "bench pubsub", "--server", "--timeout", "--json", "--plain",
                         "--count", "--interval", "--connections", "--outstanding", "--seconds", "--method", "--payload"):
                self.assertIn(word, result.out)

    def test_version(self):
        self.check(client(None, "--version"), 0, f"msgsrv-client {VERSION}\n")

    def test_help_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            result = run(CLIENT, "--help", stdout=full)
        self.check(result, IO, err="msgsrv-client: standard output: No space left on device\n")


if __name__ == "__main__":
    unittest.main()
