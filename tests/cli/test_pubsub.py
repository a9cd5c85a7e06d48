# SPDX-License-Identifier: MIT
"""
msgsrv-client pub, sub, topics, hz, bw, top and bench pubsub: events from JSON and to JSON, types from everywhere, and every wrong input.
"""
import base64
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import unittest

from buses import BusTestCase, descriptor_set
from native import native_server
from programs import (CLIENT, ENVIRONMENT, GUARD, TestCase, client, conversation, field, refusing_url, run, server,
                      varint)

IO = 74
USAGE = 64
TYPE = ("--type", "messages.EchoMessage")


class Pub(BusTestCase):
    def test_silent_and_json(self):
        self.assertEqual(self.good("pub", "a.b", '{"text": "x"}', *TYPE), "")
        receipt, = self.values("pub", "a.b", '{"text": "y"}')
        self.assertEqual((receipt["topic"], receipt["type"], receipt["sequence"], receipt["duplicate"]),
                         ("a.b", "messages.EchoMessage", 2, False))
        self.assertGreater(int(receipt["epoch"]), 0)

    def test_lines(self):
        receipts = self.values("pub", "a", "-", *TYPE, stdin=b'{"text": "1"}\n\n \t\r\n{"text": "2"}\n{"text": "3"}')
        self.assertEqual([receipt["sequence"] for receipt in receipts], [1, 2, 3])

    def test_lines_as_they_come(self):
        with self.talk("pub", "a", "-", "--json", *TYPE) as talk:
            for sequence in (1, 2):
                talk.write('{"text": "x"}\n')
                self.assertEqual(json.loads(talk.line())["sequence"], sequence)
            self.check(talk.end(), 0)

    def test_a_bad_line_ends_it(self):
        result = self.run_client("pub", "a", "-", "--json", *TYPE, stdin=b'{"text": "1"}\n{"text": 2}\n{"text": "3"}\n')
        self.assertEqual((result.status, result.out.count("\n")), (3, 1))
        self.assertRegex(result.err, r"\Amsgsrv-client: Publish: line 2: INVALID_ARGUMENT: .*text.*\n\Z")
        self.check(run("/bin/sh", "-c", '"$0" --server "$1" pub a - --type EchoMessage < "$2"', CLIENT, self.url, self.folder),
                   IO, err="msgsrv-client: standard input: Is a directory\n")

    def test_types(self):
        for word in ("EchoMessage", "messages.EchoMessage", ".messages.EchoMessage"):
            self.good("pub", "a", "{}", "--type", word)
        self.good("pub", "a", "{}")
        self.check(self.run_client("pub", "a", "{}", "--type", "EchoMesage"), 5,
                   err='msgsrv-client: pub: no type "EchoMesage" (did you mean messages.EchoMessage?)\n')
        self.check(self.run_client("pub", "a", "{}", "--type", "Frobnicator"), 5,
                   err='msgsrv-client: pub: no type "Frobnicator" (see msgsrv-client list)\n')
        self.check(self.run_client("pub", "a", "{}", "--type", "a", "--type", "b"), USAGE,
                   err="msgsrv-client: --type: there is more than one\n")

    def test_a_type_that_only_the_bus_knows(self):
        self.declare_topic("w", "weather.Wind", descriptor_set("weather", "Wind", "knots"), retain=5)
        self.good("pub", "w", '{"knots": 7}')
        self.good("pub", "w", '{"knots": 8}', "--type", "Wind")
        self.assertEqual(self.good("sub", "w", "--count", "2"),
                         'w #1 (retained) {"knots":7}\nw #2 (retained) {"knots":8}\n')
        self.check(self.run_client("pub", "w", "{}", "--type", "Wimd"), 5,
                   err='msgsrv-client: pub: no type "Wimd" (did you mean weather.Wind?)\n')

    def test_a_type_that_nobody_knows(self):
        self.declare_topic("w", "weather.Wind")
        self.check(self.run_client("pub", "w", "{}"), 5, err="msgsrv-client: pub: NOT_FOUND: the descriptor of weather.Wind is "
                   "not known, neither to the bus nor to the server's reflection\n")

    def test_a_topic_without_a_type(self):
        self.pub("sensors.kitchen", "x")
        self.check(self.run_client("pub", "sensors.kitchem", "{}"), 5,
                   err='msgsrv-client: pub: NOT_FOUND: there is no topic "sensors.kitchem", whose type --type would tell '
                       "(did you mean sensors.kitchen?)\n")
        self.check(self.run_client("pub", "elsewhere", "{}"), 5,
                   err='msgsrv-client: pub: NOT_FOUND: there is no topic "elsewhere", whose type --type would tell\n')
        self.declare_topic("bare")
        self.check(self.run_client("pub", "bare", "{}"), 9,
                   err='msgsrv-client: pub: FAILED_PRECONDITION: topic "bare" has no type yet; --type tells it\n')

    def test_refusals_of_the_bus(self):
        self.pub("a", "x")
        self.check_match(self.run_client("pub", "a", "{}", "--type", "messages.AddRequest"), 9, "",
                         r"msgsrv-client: Publish: FAILED_PRECONDITION: .*messages\.EchoMessage.*messages\.AddRequest.*\n")
        for topic in ("", "a..b", "a b", "$dlq.x", "a.*", "x" * 256, "ü"):
            with self.subTest(topic=topic):
                self.check_match(self.run_client("pub", topic, "{}", *TYPE), 3, "",
                                 r"msgsrv-client: Publish: INVALID_ARGUMENT: .+\n")
        for text in ("", "{", "[]", '{"frob": 1}', '{"text": 1}'):
            with self.subTest(text=text):
                self.check_match(self.run_client("pub", "a", text), 3, "",
                                 r"msgsrv-client: Publish: INVALID_ARGUMENT: .+\n")

    def test_headers(self):
        self.pub("a", "x", "--retain", "1", "--header", "colour=red", "--header", "raw-bin=AAE=", "--header", "empty=")
        event, = self.values("sub", "a", "--count", "1")
        self.assertEqual(event["headers"], [{"key": "colour", "value": "red"}, {"key": "raw-bin", "value": "AAE="},
                                            {"key": "empty", "value": ""}])
        self.check(self.run_client("pub", "a", "{}", "--header", "x"), USAGE,
                   err="msgsrv-client: --header: 'x' is not KEY=VALUE\n")
        self.check(self.run_client("pub", "a", "{}", "--header", "x-bin=!"), USAGE,
                   err="msgsrv-client: --header: the value of 'x-bin' is not base64\n")
        self.check_match(self.run_client("pub", "a", "{}", "--header", "UPPER=1"), 3, "",
                         r"msgsrv-client: Publish: INVALID_ARGUMENT: .+\n")
        self.check(self.run_client("pub", "a", "{}", "--header", "x=" + "y" * 70000), USAGE,
                   err="msgsrv-client: --header: the value of 'x' is too long\n")

    def test_retain(self):
        for number in range(5):
            self.pub("a", str(number), "--retain", "3")
        events = self.values("sub", "a", "--count", "3")
        self.assertEqual([event["message"]["text"] for event in events], ["2", "3", "4"])
        self.check(self.run_client("pub", "a", "{}", "--retain", "1001"), USAGE,
                   err="msgsrv-client: --retain: 1001 is not between 0 and 1000\n")

    def test_without_reflection(self):
        with server("--no-reflection") as program:
            self.check(client(program.url, "pub", "a", "{}", "--type", "messages.EchoMessage"), 5,
                       err='msgsrv-client: pub: no type "messages.EchoMessage" (see msgsrv-client list)\n')


class Sub(BusTestCase):
    def test_live_events(self):
        with self.talk("sub", "a.*", "--count", "2") as talk:
            self.wait_for_subscriptions(1)
            self.pub("b", "not this one")
            self.pub("a.x", "one")
            self.assertEqual(talk.line(), 'a.x #1 {"text":"one"}')
            self.pub("a.y", "two")
            self.assertEqual(talk.line(), 'a.y #1 {"text":"two"}')
            self.check(talk.end(), 0)

    def test_signals(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.talk("sub") as talk:
                self.wait_for_subscriptions(1)
                self.check(self.interrupt(talk, number), 0)

    def test_json(self):
        self.pub("a", "x", "--retain", "2")
        event, = self.values("sub", "--count", "1")
        self.assertEqual((event["topic"], event["type"], event["sequence"], event["message"], event["retained"]),
                         ("a", "messages.EchoMessage", 1, {"text": "x"}, True))
        self.assertRegex(event["time"], r"\A20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
        self.assertEqual(event["publisher"], "msgsrv-client")
        self.assertNotIn("headers", event)

    def test_last(self):
        for number in range(4):
            self.pub("a", str(number), "--retain", "10")
        texts = [event["message"]["text"] for event in self.values("sub", "a", "--last", "2", "--count", "2")]
        self.assertEqual(texts, ["2", "3"])
        for none in ("0", "none"):
            with self.talk("sub", "a", "--last", none, "--count", "1") as talk:
                self.wait_for_subscriptions(1)
                self.pub("a", "new")
                self.assertEqual(re.sub(r"#\d+", "#", talk.line()), 'a # {"text":"new"}')
                self.check(talk.end(), 0)

    def test_type(self):
        with self.talk("sub", "--type", "AddRequest", "--count", "1") as talk:
            self.wait_for_subscriptions(1)
            self.pub("a", "x")
            self.good("pub", "b", '{"a": 1}', "--type", "messages.AddRequest")
            self.assertEqual(talk.line(), 'b #1 {"a":1}')
            self.check(talk.end(), 0)

    def test_unknown_type(self):
        self.declare_topic("w", "weather.Wind", retain=2)
        payload = base64.b64encode(b"\x08\x01").decode()
        self.good("call", "msgsrv.bus.v1.Bus/Publish", json.dumps(
            {"publication": {"topic": "w", "type": "weather.Wind", "payload": payload}}))
        self.assertEqual(self.good("sub", "w", "--count", "1"), f"w #1 (retained) weather.Wind {payload}\n")
        event, = self.values("sub", "w", "--count", "1")
        self.assertEqual((event["type"], event["payload"]), ("weather.Wind", payload))
        self.assertNotIn("message", event)

    def test_names_that_are_near(self):
        self.pub("sensors.kitchen", "x")
        for arguments, what in ((("sensors.kitchem",), 'topic "sensors.kitchem" is known yet (did you mean sensors.kitchen?)'),
                                (("--type", "EchoMesage"), 'type "EchoMesage" is known yet (did you mean messages.EchoMessage?)')):
            with self.talk("sub", *arguments) as talk:
                self.wait_for_subscriptions(1)
                self.check(self.interrupt(talk), 0, err=f"msgsrv-client: sub: no {what}\n")

    def test_refusals(self):
        self.pub("a", "x")
        self.check_match(self.run_client("sub", "a", "--type", "messages.AddRequest"), 9, "",
                         r"msgsrv-client: Subscribe: FAILED_PRECONDITION: .*messages\.EchoMessage.*messages\.AddRequest.*\n")
        for pattern in ("a..b", "a.>.b", "a*", "x" * 256):
            with self.subTest(pattern=pattern):
                result = self.run_client("sub", pattern)
                self.assertEqual((result.status, result.out), (3, ""), result)
                self.assertRegex(result.err, r"\Amsgsrv-client: (sub|Subscribe): INVALID_ARGUMENT: .+\n\Z")
        self.check_match(self.run_client("sub", "--group", "two words"), 3, "",
                         r"msgsrv-client: Subscribe: INVALID_ARGUMENT: .+\n")
        self.check(self.run_client("sub", "--policy", "latst"), USAGE,
                   err="msgsrv-client: --policy: 'latst' is not drop-oldest, drop-newest, latest or disconnect\n")
        self.check(self.run_client("sub", "a", "b"), USAGE,
                   err="msgsrv-client: sub takes at most one PATTERN (see --help)\n")

    def test_timeout(self):
        result = self.run_client("sub", "--timeout", "300ms")
        self.assertEqual((result.status, result.out), (4, ""))
        self.assertRegex(result.err, r"\Amsgsrv-client: \w+: DEADLINE_EXCEEDED: .+\n\Z")

    def test_group(self):
        with self.talk("sub", "a", "--group", "g") as one, self.talk("sub", "a", "--group", "g") as two:
            self.wait_for_subscriptions(2)
            for number in range(20):
                self.pub("a", str(number))
            self.wait_for(lambda sample: sample["bus"]["delivered"] == 20)
            results = [self.interrupt(talk) for talk in (one, two)]
            self.assertEqual([result.status for result in results], [0, 0])
            # What one had not confirmed when it went away, the other gets again.
            lines = [line for result in results for line in result.out.splitlines() if "(redelivered)" not in line]
            self.assertEqual(sorted(int(re.search(r"#(\d+)", line)[1]) for line in lines), list(range(1, 21)))

    def test_a_gap_has_its_line(self):
        for more, gap in (((), r"gap: \d+ events are missing \(slow\): a #\d+ to #\d+\n"),
                          (("--json",), r'\{"gap": \{"total": \d+, "unknown": false, "reason": "slow", "topics": '
                                        r'\[\{"topic": "a", "first": \d+, "last": \d+, "count": \d+\}\]\}\}\n')):
            # Somebody who does not read: the pipe is full, then the client waits, then its connection, then its queue is.
            with subprocess.Popen([CLIENT, "--server", self.url, "sub", "a", "--max-events", "4", *more], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as program:
                self.wait_for_subscriptions(1)
                text = "x" * 60000
                lines = (json.dumps({"text": text}) + "\n").encode() * 200
                self.good("pub", "a", "-", *TYPE, stdin=lines)
                seen = b""
                while not re.search(gap.encode(), seen):
                    got = os.read(program.stdout.fileno(), 1 << 20)
                    self.assertTrue(got, program)
                    seen += got
                program.kill()
            self.wait_for_subscriptions(0)

    def flood(self, *arguments):
        """sub, behind which nobody reads until it has lost something; then all that it prints."""
        with self.talk("sub", "a", "--max-events", "4", *arguments) as talk:
            self.wait_for_subscriptions(1)
            self.good("pub", "a", "-", *TYPE, stdin=(json.dumps({"text": "x" * 60000}) + "\n").encode() * 200)
            yield talk

    def test_latest(self):
        for talk in self.flood("--policy", "latest"):
            line = ""
            while "(replaced " not in line:
                line = talk.line()
            self.assertRegex(line, r'\Aa #\d+ \(replaced \d+\) \{"text":"x+"\}\Z')
            talk.interrupt()

    def test_disconnect(self):
        for talk in self.flood("--policy", "disconnect"):
            result = talk.end()
            self.assertEqual(result.status, 8)
            self.assertRegex(result.err, r"\Amsgsrv-client: Subscribe: RESOURCE_EXHAUSTED: .+\n\Z")
            self.assertRegex(result.out.splitlines()[-1], r"\Agap: .*\(slow\): a #\d+.*\Z")

    def test_nobody_reads_any_more(self):
        with open("/dev/full", "wb") as full:
            self.pub("a", "x", "--retain", "1")
            self.check(self.run_client("sub", "a", stdout=full), IO,
                       err="msgsrv-client: standard output: No space left on device\n")

    def test_a_server_that_comes_back(self):
        listen = f"unix://{self.folder}/socket"
        with server(listen=(listen,)) as first:
            with conversation(listen, "sub", "a") as talk:
                self.url = listen
                self.wait_for_subscriptions(1)
                self.pub("a", "before")
                self.assertEqual(talk.line(), 'a #1 {"text":"before"}')
                self.assertEqual(first.stop().status, 0)
                with server(listen=(listen,)):
                    self.wait_for_subscriptions(1)
                    self.assertEqual(talk.line(), "gap: events may be missing (restarted): a")
                    self.pub("a", "after")
                    self.assertEqual(talk.line(), 'a #1 {"text":"after"}')
                    self.assertEqual(self.interrupt(talk).status, 0)


class Topics(BusTestCase):
    def test_table(self):
        self.pub("sensors.kitchen", "x", "--retain", "3")
        self.pub("a", "y")
        lines = self.good("topics").splitlines()
        self.assertEqual(lines[0].split(), ["TOPIC", "TYPE", "PUBLISHERS", "SUBSCRIBERS", "QUEUES", "EVENTS", "BYTES", "RETAINED",
                                            "LOST"])
        self.assertEqual([line.split()[0] for line in lines[1:]], ["a", "sensors.kitchen"])
        self.assertEqual(lines[2].split()[1:], ["messages.EchoMessage", "0", "0", "0", "1", "3", "1", "0"])
        self.assertEqual(self.good("topics", "sensors.>").count("\n"), 2)
        self.assertEqual(self.good("topics", "nothing.>").count("\n"), 1)

    def test_json(self):
        self.pub("a", "x", "--retain", "2")
        value, = self.values("topics")
        topic, = value["topics"]
        self.assertEqual((topic["topic"], topic["type"], topic["events"], topic["retained"], topic["retain"], topic["lost"]),
                         ("a", "messages.EchoMessage", 1, 1, 2, 0))
        self.assertEqual((value["bus"]["topics"], value["bus"]["published"], value["more"]), (1, 1, False))
        self.assertNotIn("events_per_second", topic)

    def test_watch(self):
        self.pub("a", "x")
        with self.talk("topics", "--watch", "--interval", "100ms") as talk:
            self.assertRegex(talk.line(), r"\Aa  type messages\.EchoMessage  publishers 0  subscribers 0  queues 0  events/s -  "
                                          r"B/s -  events 1  bytes 3  retained 0  lost 0\Z")
            self.assertRegex(talk.line(), r"  events/s 0\.0  B/s 0\.0  ")
            self.check_match(self.interrupt(talk), 0, r"(a  type .*\n)*", "")

    def test_watch_json(self):
        self.pub("a", "x")
        with self.talk("topics", "--watch", "--interval", "100ms", "--json") as talk:
            first, second = (json.loads(talk.line()) for _ in range(2))
            self.assertNotIn("events_per_second", first["topics"][0])
            self.assertEqual(second["topics"][0]["events_per_second"], 0)
            self.assertLess(first["time_ns"], second["time_ns"])
            self.assertEqual(self.interrupt(talk).status, 0)

    def test_no_such_topic(self):
        self.pub("sensors.kitchen", "x")
        for command in ("topics", "hz", "bw"):
            self.check_match(self.run_client(command, "sensors.kitchem"), 5, "",
                             rf'msgsrv-client: {command}: NOT_FOUND: there is no topic "sensors\.kitchem" '
                             r"\(did you mean sensors\.kitchen\?\)\n")
            self.check_match(self.run_client(command, "elsewhere"), 5, "",
                             rf'msgsrv-client: {command}: NOT_FOUND: there is no topic "elsewhere"\n')
            self.check_match(self.run_client(command, "a..b"), 3, "", rf"msgsrv-client: {command}: INVALID_ARGUMENT: .+\n")
        for command in ("hz", "bw"):
            self.check(self.run_client(command, "sensors.*"), 3, err=f'msgsrv-client: {command}: INVALID_ARGUMENT: "sensors.*" '
                       "is a pattern; one topic is wanted\n")

    def test_rates(self):
        self.pub("a", "x")
        for command, unit in (("hz", "events/s"), ("bw", "B/s")):
            self.assertRegex(self.good(command, "a", "--interval", "100ms", "--count", "2"),
                             rf"\A(mean 0\.0 {unit}  min 0\.0  max 0\.0  window \d+\.\d s\n){{2}}\Z")

    def test_rates_are_counted_in_the_server(self):
        self.pub("a", "x")
        for command in ("hz", "bw"):
            with self.talk(command, "a", "--interval", "100ms", "--json") as talk:
                talk.line()
                self.good("pub", "a", "-", stdin=b'{"text": "12345678"}\n' * 500)
                while True:
                    value = json.loads(talk.line())
                    if value["events"] == 500:
                        break
                self.assertEqual(value["bytes"], 5000)
                self.assertTrue(0 <= value["min"] <= value["mean"] <= value["max"] and value["max"] > 0, value)
                total = 500 if command == "hz" else 5000
                self.assertAlmostEqual(value["mean"], total / value["window_seconds"], delta=1 + value["mean"] / 100)
                self.assertEqual(self.interrupt(talk).status, 0)

    def test_watchers_end_with_the_server(self):
        self.pub("a", "x")
        with self.talk("topics", "--watch") as topics, self.talk("hz", "a", "--interval", "100ms") as rates, \
                self.talk("top") as top:
            for talk in (topics, rates, top):
                self.assertIsNotNone(talk.line())
            self.program.stop()
            for talk, what in ((topics, "topics"), (rates, "hz"), (top, "top")):
                result = talk.end_without_closing()
                self.assertEqual(result.status, 14, result)
                self.assertRegex(result.err, rf"\Amsgsrv-client: {what}: UNAVAILABLE: .+\n\Z")


class Top(BusTestCase):
    def test_lines(self):
        self.pub("a", "x")
        self.good("queue", "declare", "jobs")
        with self.talk("top", "--interval", "100ms") as talk:
            line = (r"\Atopics 1  subscriptions 0  queues 1  consumers 0  published/s {0}  delivered/s {0}  lost/s {0}  refused 0  "
                    r"waiting 0  messages 0  dead 0\Z")
            self.assertRegex(talk.line(), line.format("-"))
            self.assertRegex(talk.line(), line.format(r"0\.0"))
            self.assertEqual(self.interrupt(talk).status, 0)

    def test_json(self):
        self.pub("a", "x")
        self.good("queue", "declare", "jobs")
        with self.talk("top", "--interval", "100ms", "--json") as talk:
            value = json.loads(talk.line())
            self.assertEqual((value["topics"][0]["topic"], value["queues"][0]["queue"], value["bus"]["topics"]),
                             ("a", "jobs", 1))
            self.assertEqual(self.interrupt(talk).status, 0)

    def screen(self, columns, rows, *command):
        """What a command draws twice on a terminal."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        with os.fdopen(master, "rb", buffering=0) as terminal, subprocess.Popen(
                [CLIENT, "--server", self.url, *command], stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE,
                env=ENVIRONMENT) as program:
            os.close(slave)
            seen = b""
            while not re.search(rb"\x1b\[J.*\x1b\[\d+A.*\x1b\[J", seen, re.S):
                got = terminal.read(65536)
                self.assertTrue(got, seen)
                seen += got
            program.send_signal(signal.SIGINT)
            while b"\x1b[?25h" not in seen:
                seen += terminal.read(65536)
            self.assertEqual(program.wait(GUARD), 0)
            self.assertEqual(program.stderr.read(), b"")
        return re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", seen.decode().split("\x1b[J")[0]).replace("\r", "").split("\n")

    def test_screen(self):
        self.pub("sensors.kitchen", "x")
        self.good("queue", "declare", "jobs")
        lines = self.screen(120, 30, "top", "--interval", "100ms")
        self.assertEqual(lines[0], self.url)
        self.assertRegex(lines[5], r"\ATOPIC +PUB +SUB +QUEUES +EVENTS/S +B/S +EVENTS +RETAIN +LOST\Z")
        self.assertRegex(lines[6], r"\Asensors\.kitchen +0 +0 +0 +- +- +1 +0 +0  messages\.E")
        self.assertRegex(lines[8], r"\AQUEUE +MESSAGES +BYTES +UNSETTLED +DELAYED +DEAD +CONSUMERS +ACKED\Z")
        self.assertRegex(lines[9], r"\Ajobs +0 +0 +0 +0 +0 +0 +0\Z")
        self.assertTrue(all(len(line) <= 120 for line in lines), lines)

    def test_small_screen(self):
        self.pub("sensors.kitchen", "x")
        for command in (("top",), ("topics", "--watch")):
            lines = self.screen(40, 4, *command, "--interval", "100ms")
            self.assertLessEqual(len(lines), 4)
            self.assertTrue(all(len(line) <= 40 for line in lines), lines)


class Bench(BusTestCase):
    def bench(self, *arguments):
        report, = self.values("bench", "pubsub", "--seconds", "0.2", *arguments)
        return report

    def test_json(self):
        for arguments, subscribers, size in (((), 1, 64), (("--subscribers", "3", "--size", "1000"), 3, 1000),
                                             (("--size", "16", "--outstanding", "10"), 1, 16),
                                             (("--size", "256KiB", "--outstanding", "2"), 1, 262144)):
            with self.subTest(arguments=arguments):
                report = self.bench(*arguments)
                self.assertEqual((report["subscribers"], report["size"], report["failed"]), (subscribers, size, {}))
                self.assertGreater(report["published"], 0)
                self.assertGreater(report["delivered"], 0)
                latency = report["latency_us"]
                self.assertTrue(0 < latency["p50"] <= latency["p99"] <= latency["max"], latency)
                self.wait_for_subscriptions(0)

    def test_text(self):
        self.assertRegex(self.good("bench", "pubsub", "--seconds", "0.1"),
                         r"\Asubscribers  1, events of 64 B, 1000 unanswered\npublished +\d+ in \d\.\d{3} s: \d+/s\n"
                         r"delivered +\d+: \d+/s\nlost +\d+, failed 0\nlatency .*\n\Z")

    def test_usage(self):
        for arguments, text in ((("pubsub", "--payload", "1"), "--payload is no option of bench pubsub (see --help)"),
                                (("pubsub", "--connections", "1"), "--connections is no option of bench pubsub (see --help)"),
                                (("--size", "100"), "--size needs bench pubsub"),
                                (("--subscribers", "1"), "--subscribers needs bench pubsub"),
                                (("pubsub", "--size", "15"), "--size: 15 is not between 16 and 67108863"),
                                (("calls",), "bench takes no arguments, or pubsub (see --help)")):
            self.check(self.run_client("bench", *arguments), USAGE, err=f"msgsrv-client: {text}\n")

    def test_events_that_are_too_large(self):
        result = self.run_client("bench", "pubsub", "--size", "5MiB", "--seconds", "0.1", "--json")
        self.assertEqual(result.status, 8, result)
        self.assertRegex(result.err, r"\Amsgsrv-client: bench: RESOURCE_EXHAUSTED: .+\n\Z")


class Others(TestCase):
    COMMANDS = (("pub", "a", "{}", "--type", "x"), ("pub", "a", "{}"), ("sub",), ("topics",), ("topics", "--watch"), ("hz", "a"),
                ("bw", "a"), ("queues",), ("consume", "q"), ("top",), ("bench", "pubsub"))

    def test_usage(self):
        for arguments, text in ((("pub",), "pub takes a TOPIC, and JSON or - for standard input (see --help)"),
                                (("pub", "a"), "pub takes a TOPIC, and JSON or - for standard input (see --help)"),
                                (("hz",), "hz takes one TOPIC (see --help)"),
                                (("bw", "a", "b"), "bw takes one TOPIC (see --help)"),
                                (("top", "a", "b"), "top takes at most one PATTERN (see --help)"),
                                (("topic",), "unknown command 'topic'; did you mean 'topics'?"),
                                (("quue", "peek", "q"), "unknown command 'quue'; did you mean 'queue'?"),
                                (("consme", "q"), "unknown command 'consme'; did you mean 'consume'?"),
                                (("topics", "--interval", "1s"), "--interval needs --watch"),
                                (("hz", "a", "--interval", "99ms"), "--interval of hz is between 100ms and 60m"),
                                (("top", "--interval", "61m"), "--interval of top is between 100ms and 60m"),
                                (("pub", "a", "{}", "--metadata", "a=b"), "--metadata is no option of pub (see --help)"),
                                (("call", "a", "--header", "a=b"), "--header is no option of call (see --help)"),
                                (("sub", "--last", "-1"), "--last: '-1' is not a number, nor none"),
                                (("pub", "a", "{}", "--ttl", "5"), "--ttl: '5' is not a time such as 500ms, 5s or 2m"),
                                (("sub", "--polcy", "latest"), "unknown option '--polcy'; did you mean '--policy'?")):
            with self.subTest(arguments=arguments):
                self.check(client(None, *arguments), USAGE, err=f"msgsrv-client: {text}\n")

    def test_nobody_listens(self):
        with refusing_url() as url:
            for command in self.COMMANDS:
                with self.subTest(command=command):
                    self.check(client(url, *command), 14,
                               err=f"msgsrv-client: {command[0]}: UNAVAILABLE: connection refused ({url})\n")
            self.check(client(url, "doctor", "a"), 14, err=f"msgsrv-client: Diagnose: UNAVAILABLE: connection refused ({url})\n")

    def test_no_bus(self):
        with server("--no-bus") as program:
            self.assertNotIn("msgsrv.bus.v1.Bus", client(program.url, "list").out)
            for command in self.COMMANDS[1:]:
                with self.subTest(command=command):
                    self.check(client(program.url, *command), 12,
                               err=f"msgsrv-client: {command[0]}: UNIMPLEMENTED: the server has no bus ({program.url})\n")

    HOSTILE = b"\x1b[2Ja\xc2\x9b"

    def scripted(self, **methods):
        return native_server({f"/msgsrv.bus.v1.Bus/{name}": (lambda body, answer=answer: answer)
                              for name, answer in methods.items()})

    def check_clean(self, url, *command, status=0):
        """What a hostile bus says reaches no terminal as it is."""
        for more in ((), ("--json",)):
            with self.subTest(command=command, more=more):
                result = client(url, *command, *more)
                self.assertEqual(result.status, status, result)
                self.assertNotIn("\x1b", result.out + result.err)
                if not more:
                    self.assertNotIn("\x9b", result.out + result.err)

    def test_names_of_a_hostile_bus(self):
        topic = field(1, self.HOSTILE) + field(2, self.HOSTILE) + varint(8 << 3) + varint(7)
        topics = field(1, topic)
        queues = field(1, field(1, self.HOSTILE) + field(2, field(1, self.HOSTILE)))
        event = field(1, self.HOSTILE) + field(2, self.HOSTILE) + field(4, b"\xff") + field(7, self.HOSTILE)
        peeked = field(1, varint(1 << 3) + varint(1) + field(2, event) + field(7, self.HOSTILE) + field(9, self.HOSTILE))
        found = (field(1, varint(1 << 3) + varint(2) + field(2, self.HOSTILE))
                 + field(3, field(1, self.HOSTILE) + field(3, self.HOSTILE)) + field(4, field(1, self.HOSTILE)))
        with self.scripted(Topics=topics, Queues=queues, Peek=peeked, Diagnose=found, WatchTopics=topics) as url:
            for command in (("topics",), ("queues",), ("queue", "peek", "q"), ("dlq", "list", "q")):
                self.check_clean(url, *command)
            self.check_clean(url, "doctor", "a", "--long", status=1)
            self.check_clean(url, "consume", "?[2Jb??", status=5)
            self.check_clean(url, "pub", "b", "{}", status=5)

    def test_answers_without_what_belongs_there(self):
        empty = field(1, b"")
        with self.scripted(Topics=empty, Queues=empty, Peek=empty, Diagnose=empty) as url:
            for command, what in ((("topics",), "topic"), (("queues",), "queue")):
                self.check(client(url, *command), 13, err=f"msgsrv-client: {command[0]}: INTERNAL: a {what} has no name ({url})\n")
            self.check(client(url, "queue", "peek", "q"), 0, " #0 (id 0, deliveries 0)  \n")
            self.check(client(url, "doctor", "a"), 1, "\n")

    def test_broken_answers(self):
        with self.scripted(Topics=b"\xff", Queues=b"\xff", Peek=b"\xff", Diagnose=b"\xff") as url:
            for command, what in ((("topics",), "topics"), (("queues",), "queues"), (("queue", "peek", "q"), "Peek"),
                                  (("doctor", "a"), "Diagnose")):
                self.check_match(client(url, *command), 13, "", rf"msgsrv-client: {what}: INTERNAL: .+\n")


if __name__ == "__main__":
    unittest.main()
