# SPDX-License-Identifier: MIT
"""
msgsrv-client queues, queue, consume and dlq: what is taken, given back, rejected and put back; and every wrong input.
"""
import json
import re
import signal
import unittest

from buses import BusTestCase

USAGE = 64
IO = 74


class Queues(BusTestCase):
    def info(self, name):
        queue, = self.values("queues", name)[0]["queues"]
        return queue

    def numbers(self, name, *keys):
        info = self.info(name)
        return tuple(info[key] for key in keys)

    def test_declare(self):
        self.assertEqual(self.good("queue", "declare", "jobs"), "")
        self.assertEqual(self.values("queue", "declare", "jobs"), [{"queue": "jobs", "existed": True}])
        self.assertEqual(self.values("queue", "declare", "more", "--pattern", "a.*", "--pattern", "b.>", "--type", "a.B"),
                         [{"queue": "more", "existed": False}])
        self.check_match(self.run_client("queue", "declare", "jobs", "--max-deliver", "7"), 6, "",
                         r"msgsrv-client: DeclareQueue: ALREADY_EXISTS: .+\n")
        for name in ("", "two words", "x" * 65, "$other.x"):
            self.check_match(self.run_client("queue", "declare", name), 3, "",
                             r"msgsrv-client: DeclareQueue: INVALID_ARGUMENT: .+\n")
        self.check_match(self.run_client("queue", "declare", "bad", "--pattern", "a..b"), 3, "",
                         r"msgsrv-client: DeclareQueue: INVALID_ARGUMENT: .+\n")

    def test_settings(self):
        self.good("queue", "declare", "q", "--pattern", "a.>", "--max-messages", "5", "--max-bytes", "64KiB", "--drop-oldest",
                  "--ack-wait", "2m", "--max-deliver", "none", "--ttl", "1m", "--no-dead-letters", "--dedup-time", "none",
                  "--dedup-ids", "10")
        settings = self.info("q")["settings"]
        for key, value in (("patterns", ["a.>"]), ("max_messages", 5), ("max_bytes", 65536), ("drop_oldest", True),
                           ("ack_wait_ms", 120000), ("max_deliver", "none"), ("ttl_ms", 60000), ("no_dead_letters", True),
                           ("dedup_ms", "none"), ("dedup_ids", 10)):
            self.assertEqual(settings[key], value, key)

    def test_types(self):
        self.good("queue", "declare", "q", "--type", "EchoMessage", "--type", ".messages.AddRequest")
        self.assertEqual(self.info("q")["settings"]["types"], ["messages.EchoMessage", "messages.AddRequest"])
        self.pub("anything", "x")
        self.assertEqual(self.good("consume", "q", "--count", "1"), 'anything #1 {"text":"x"}\n')
        self.check(self.run_client("queue", "declare", "r", "--type", "EchoMesage"), 0,
                   err='msgsrv-client: queue: no type "EchoMesage" is known yet (did you mean messages.EchoMessage?)\n')

    def test_table(self):
        self.good("queue", "declare", "b")
        self.good("queue", "declare", "a")
        self.pub("b", "x")
        lines = self.good("queues").splitlines()
        self.assertEqual(lines[0].split(), ["QUEUE", "MESSAGES", "BYTES", "UNSETTLED", "DELAYED", "DEAD", "CONSUMERS",
                                            "PUBLISHED", "DELIVERED", "ACKED", "REJECTED", "EXPIRED", "REFUSED", "DROPPED"])
        rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
        self.assertEqual(set(rows), {"a", "b"})
        self.assertEqual((rows["a"][0], rows["b"][0]), ("0", "1"))
        self.assertEqual(self.good("queues", "a").count("\n"), 2)

    def test_consume(self):
        self.good("queue", "declare", "q", "--pattern", "a.*")
        for number in range(5):
            self.pub("a.x", str(number))
        self.assertEqual(self.good("consume", "q", "--count", "2"), 'a.x #1 {"text":"0"}\na.x #2 {"text":"1"}\n')
        self.assertEqual(self.numbers("q", "messages", "acked"), (3, 2))
        messages = self.values("consume", "q", "--count", "3", "--prefetch", "1")
        self.assertEqual([(message["queue"], message["topic"], message["message"]["text"]) for message in messages],
                         [("q", "a.x", "2"), ("q", "a.x", "3"), ("q", "a.x", "4")])
        self.assertEqual(self.numbers("q", "messages", "acked", "consumers", "unsettled"), (0, 5, 0, 0))

    def test_consume_until_interrupted(self):
        self.good("queue", "declare", "q")
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.talk("consume", "q") as talk:
                self.wait_for_consumers(1)
                self.pub("q", "x")
                self.assertRegex(talk.line(), r'\Aq #\d+ \{"text":"x"\}\Z')
                self.check(self.interrupt(talk, number), 0)
                self.assertEqual(self.numbers("q", "messages"), (0,))

    def test_nak(self):
        self.good("queue", "declare", "q", "--max-deliver", "3")
        self.pub("q", "x")
        out = self.good("consume", "q", "--nak", "--delay", "0ms", "--reason", "not today", "--count", "3")
        self.assertEqual(out, 'q #1 {"text":"x"}\nq #1 (redelivered) (delivery 2) {"text":"x"}\n'
                              'q #1 (redelivered) (delivery 3) {"text":"x"}\n')
        letter, = self.values("dlq", "list", "q")
        self.assertEqual((letter["reason"], letter["first_error"], letter["last_error"], letter["deaths"]),
                         ("max-deliver", "not today", "not today", 1))

    def test_nak_waits(self):
        self.good("queue", "declare", "q")
        self.pub("q", "x")
        self.good("consume", "q", "--nak", "--delay", "60m", "--count", "1")
        self.assertEqual(self.numbers("q", "messages", "delayed"), (1, 1))

    def test_reject_and_retry(self):
        self.good("queue", "declare", "q")
        for text in ("x", "y"):
            self.pub("q", text)
        self.good("consume", "q", "--reject", "--reason", "bad\x1b[2Jnews", "--count", "2")
        self.assertEqual(self.numbers("q", "messages", "dead", "rejected"), (0, 2, 2))
        lines = self.good("dlq", "list", "q").splitlines()
        ids = [int(re.fullmatch(r'q #\d (?:\(\w+\) )?\(id (\d+), deliveries 1, rejected: bad\?\[2Jnews\) \{"text":"[xy]"\}', line)[1])
               for line in lines]
        self.assertEqual(len(ids), 2)
        self.assertEqual(self.good("dlq", "list", "q", "--count", "1").count("\n"), 1)
        self.assertEqual(self.good("dlq", "retry", "q", str(ids[0])), "1 retried\n")
        self.check_match(self.run_client("dlq", "retry", "q", str(ids[0])), 5, "",
                         rf"msgsrv-client: Retry: NOT_FOUND: .*{ids[0]}\n")
        self.assertEqual(self.values("dlq", "retry", "q"), [{"queue": "q", "retried": 1}])
        self.assertEqual(self.numbers("q", "messages", "dead"), (2, 0))
        self.assertEqual(self.good("consume", "q", "--count", "2").count("\n"), 2)

    def test_consume_dead_letters(self):
        self.good("queue", "declare", "q")
        self.pub("q", "x")
        self.good("consume", "q", "--reject", "--count", "1")
        self.assertRegex(self.good("consume", "$dlq.q", "--count", "1"), r'\Aq #1 .*\{"text":"x"\}\n\Z')
        self.assertEqual(self.numbers("q", "dead"), (0,))

    def test_purge_and_delete(self):
        self.good("queue", "declare", "q")
        for text in ("x", "y", "z"):
            self.pub("q", text)
        self.good("consume", "q", "--reject", "--count", "1")
        self.assertEqual(self.good("dlq", "purge", "q"), "1 purged\n")
        self.assertEqual(self.values("queue", "purge", "q"), [{"queue": "q", "purged": 2}])
        self.assertEqual(self.numbers("q", "messages", "dead"), (0, 0))
        self.assertEqual(self.good("queue", "delete", "q"), "")
        self.assertEqual(self.values("queues"), [{"queues": []}])

    def test_a_deleted_queue_ends_its_consumer(self):
        self.good("queue", "declare", "q")
        with self.talk("consume", "q") as talk:
            self.wait_for_consumers(1)
            self.good("queue", "delete", "q")
            result = talk.end_without_closing()
            self.assertEqual((result.status, result.out), (5, ""))
            self.assertRegex(result.err, r"\Amsgsrv-client: Consume: NOT_FOUND: .+\n\Z")

    def test_peek(self):
        self.good("queue", "declare", "q")
        self.assertEqual(self.good("queue", "peek", "q"), "")
        self.good("pub", "q", "-", "--type", "messages.EchoMessage",
                  stdin=b"".join(b'{"text": "%d"}\n' % number for number in range(2500)))
        messages = self.values("queue", "peek", "q")  # more than one page
        self.assertEqual([message["message"]["text"] for message in messages], [str(number) for number in range(2500)])
        self.assertEqual((messages[0]["deliveries"], messages[0]["unsettled"], messages[0]["topic"]), (0, False, "q"))
        self.assertEqual(self.good("queue", "peek", "q", "--count", "1"), 'q #1 (id 1, deliveries 0) {"text":"0"}\n')
        self.assertEqual(self.good("queue", "peek", "q", "--count", "1500").count("\n"), 1500)
        self.assertEqual(self.numbers("q", "messages", "delivered"), (2500, 0))

    def test_peek_at_what_is_with_a_consumer(self):
        self.good("queue", "declare", "q")
        self.pub("q", "x", "--delay", "60m", "--ttl", "120m")
        message, = self.values("queue", "peek", "q")
        self.assertRegex(message["not_before"], r"\A20.*Z\Z")
        self.assertRegex(message["expires"], r"\A20.*Z\Z")
        self.assertLess(message["not_before"], message["expires"])

    def test_ids_are_recognised(self):
        self.good("queue", "declare", "q")
        receipts = [self.values("pub", "q", "{}", "--type", "messages.EchoMessage", "--id", "one")[0] for _ in range(2)]
        self.assertEqual([(receipt["sequence"], receipt["duplicate"]) for receipt in receipts], [(1, False), (1, True)])
        self.assertEqual(self.numbers("q", "messages", "duplicates"), (1, 1))

    def test_a_message_expires(self):
        self.good("queue", "declare", "q")
        self.pub("q", "x", "--ttl", "1ms")
        self.wait_for(lambda sample: self.numbers("q", "dead", "expired") == (1, 1))
        letter, = self.values("dlq", "list", "q")
        self.assertEqual(letter["reason"], "expired")

    def test_a_full_queue_refuses(self):
        self.good("queue", "declare", "q", "--max-messages", "1")
        self.pub("q", "x")
        self.check_match(self.run_client("pub", "q", "{}"), 8, "",
                         r"msgsrv-client: Publish: RESOURCE_EXHAUSTED: .*queue q is full.*\n")

    def test_what_is_not_acknowledged_comes_again(self):
        self.good("queue", "declare", "q", "--ack-wait", "100ms")
        self.pub("q", "x")
        with open("/dev/full", "wb") as full:
            self.check(self.run_client("consume", "q", stdout=full), IO,
                       err="msgsrv-client: standard output: No space left on device\n")
        self.assertEqual(self.good("consume", "q", "--count", "1"), 'q #1 (redelivered) (delivery 2) {"text":"x"}\n')

    def test_no_such_queue(self):
        self.good("queue", "declare", "invoices")
        near = ' (did you mean invoices?)'
        for command, what in ((("queues", "invoces"), "queues"), (("consume", "invoces"), "consume"),
                              (("consume", "$dlq.invoces"), "consume"), (("queue", "peek", "invoces"), "Peek"),
                              (("queue", "purge", "invoces"), "Purge"), (("queue", "delete", "invoces"), "DeleteQueue"),
                              (("dlq", "list", "invoces"), "Peek"), (("dlq", "purge", "invoces"), "Purge"),
                              (("dlq", "retry", "invoces"), "Retry")):
            with self.subTest(command=command):
                self.check_match(self.run_client(*command), 5, "",
                                 rf"msgsrv-client: {what}: NOT_FOUND: .*invoces.*{re.escape(near)}\n")
        self.check(self.run_client("consume", "elsewhere"), 5,
                   err='msgsrv-client: consume: NOT_FOUND: there is no queue "elsewhere"\n')

    def test_the_dead_letter_queue_instead_of_the_queue(self):
        self.good("queue", "declare", "q")
        for action, method in (("list", "Peek"), ("retry", "Retry"), ("purge", "Purge")):
            self.check(self.run_client("dlq", action, "$dlq.q"), 3,
                       err=f'msgsrv-client: {method}: INVALID_ARGUMENT: the queue "$dlq.q": the queue itself is meant, '
                       "without $dlq.\n")

    def test_usage(self):
        for arguments, text in (
                (("queue",), "queue takes declare, peek, purge or delete, and the NAME of a queue (see --help)"),
                (("queue", "list", "q"), "queue takes declare, peek, purge or delete, and the NAME of a queue (see --help)"),
                (("dlq", "peek", "q"), "dlq takes list, retry or purge, a QUEUE, and for retry at most an ID (see --help)"),
                (("dlq", "list", "q", "1"), "dlq list takes one QUEUE (see --help)"),
                (("dlq", "retry", "q", "x"), "dlq retry: 'x' is not the ID of a message"),
                (("dlq", "retry", "q", "0"), "dlq retry: '0' is not the ID of a message"),
                (("dlq", "retry", "q", "99999999999999999999"), "dlq retry: '99999999999999999999' is not the ID of a message"),
                (("queue", "peek", "q", "--ack-wait", "1s"), "--ack-wait is no option of queue peek (see --help)"),
                (("queue", "declare", "q", "--count", "1"), "--count is no option of queue declare (see --help)"),
                (("queue", "declare", "q", *["--pattern", "a"] * 65), "--pattern: there are more than 64"),
                (("queue", "declare", "q", "--max-bytes", "1"), "--max-bytes: 1 is not between 4096 and 4294967294"),
                (("dlq", "purge", "q", "--count", "1"), "--count is no option of dlq purge (see --help)"),
                (("dlq", "list", "q", "--type", "x"), "--type is no option of dlq (see --help)"),
                (("consume", "q", "--reject", "--nak"), "--reject and --nak exclude each other"),
                (("consume", "q", "--delay", "1s"), "--delay needs --nak"),
                (("consume", "q", "--reason", "x"), "--reason needs --reject or --nak"),
                (("consume",), "consume takes one QUEUE (see --help)")):
            with self.subTest(arguments=arguments):
                self.check(self.run_client(*arguments), USAGE, err=f"msgsrv-client: {text}\n")


class Doctor(BusTestCase):
    def kinds(self, *arguments):
        """What the doctor finds; its exit status must fit."""
        result = self.run_client("doctor", *arguments, "--json")
        self.assertEqual(result.err, "")
        kinds = [finding["kind"] for finding in json.loads(result.out)["findings"]]
        self.assertEqual(result.status, 0 if kinds == ["FINE"] else 1, result)
        return kinds

    def publisher(self, topic):
        """bench's publisher stays; ours are gone when they have published."""
        return self.talk("bench", "pubsub", "--seconds", "100")

    def test_no_such_topic(self):
        self.pub("sensors.kitchen", "x")
        self.assertEqual(self.kinds("sensors.kitchem")[0], "NO_SUCH_TOPIC")
        result = self.run_client("doctor", "sensors.kitchem")
        self.assertEqual((result.status, result.err), (1, ""))
        self.assertIn("sensors.kitchen", result.out.splitlines()[0])
        self.assertEqual(self.kinds("elsewhere"), ["NO_SUCH_TOPIC", "NOBODY_SUBSCRIBES"])

    def test_bad_name(self):
        for name in ("a..b", "", "x" * 300, "a b"):
            self.assertEqual(self.kinds(name), ["BAD_NAME"])

    def test_nobody_publishes_or_subscribes(self):
        self.declare_topic("a")
        self.assertEqual(self.kinds("a"), ["NOBODY_PUBLISHES", "NOBODY_SUBSCRIBES"])
        self.pub("a", "x")
        self.assertEqual(self.kinds("a"), ["NOBODY_PUBLISHES", "NOBODY_SUBSCRIBES"])
        self.assertIn("published the 1 event on a ", self.run_client("doctor", "a").out)

    def test_published_one_by_one(self):
        with self.talk("sub", "a"):
            self.wait_for_subscriptions(1)
            self.pub("a", "x")
            self.assertEqual(self.kinds("a"), ["FINE"])

    def test_fine(self):
        with self.talk("bench", "pubsub", "--seconds", "1000", "--outstanding", "1") as talk:
            sample = self.wait_for(lambda sample: any(topic["events"] > 0 for topic in sample["topics"]))
            topic = sample["topics"][0]["topic"]
            self.assertEqual(self.kinds(topic), ["FINE"])
            result = self.run_client("doctor", topic, "--long")
            self.assertEqual((result.status, result.err), (0, ""))
            self.assertRegex(result.out, r"(?m)^publisher msgsrv-bench \(.+\): events \d+$")
            self.assertRegex(result.out, rf"(?m)^subscriber msgsrv-bench \(.+\): pattern {re.escape(topic)}, drop-oldest, waiting "
                                         r"\d+, delivered \d+, lost 0$")
            value = json.loads(self.run_client("doctor", topic, "--json").out)
            self.assertEqual((value["topic"]["topic"], value["publishers"][0]["publisher"]), (topic, "msgsrv-bench"))
            self.assertEqual((value["subscriptions"][0]["pattern"], value["subscriptions"][0]["matches"]), (topic, True))
            talk.interrupt()

    def test_wrong_type(self):
        self.pub("a", "x")
        self.assertIn("WRONG_TYPE", self.kinds("a", "--type", "messages.AddRequest"))
        self.assertIn("WRONG_TYPE", self.kinds("a", "--type", "AddRequest"))
        self.assertNotIn("WRONG_TYPE", self.kinds("a", "--type", "EchoMessage"))
        result = self.run_client("doctor", "a", "--type", "EchoMesage")
        self.assertEqual((result.status, result.err), (1, 'msgsrv-client: doctor: no type "EchoMesage" is known yet (did you mean '
                                                          "messages.EchoMessage?)\n"))
        with self.talk("sub", "--type", "AddRequest"):
            self.wait_for_subscriptions(1)
            self.assertIn("WRONG_TYPE", self.kinds("a"))

    def test_a_pattern_that_nearly_matches(self):
        self.pub("sensors.kitchen.temperature", "x")
        with self.talk("sub", "sensors.*"):
            self.wait_for_subscriptions(1)
            self.assertIn("PATTERN_NEARLY_MATCHES", self.kinds("sensors.kitchen.temperature"))

    def test_a_group(self):
        self.pub("a", "x")
        with self.talk("sub", "a", "--group", "workers"):
            self.wait_for_subscriptions(1)
            self.assertIn("GROUP_TAKES_IT", self.kinds("a"))

    def test_a_slow_subscriber(self):
        self.pub("a", "x")
        with self.talk("sub", "a", "--max-events", "4") as talk:
            self.wait_for_subscriptions(1)
            self.good("pub", "a", "-", stdin=(json.dumps({"text": "x" * 60000}) + "\n").encode() * 200)
            self.wait_for(lambda sample: sample["bus"]["lost"] > 0)
            self.assertIn("DROPPED_BY_POLICY", self.kinds("a"))
            self.wait_for(lambda sample: "SUBSCRIBER_STALLED" in self.kinds("a"))
            talk.process.kill()

    def test_queues(self):
        self.good("queue", "declare", "a", "--max-messages", "1")
        self.pub("a", "x")
        kinds = self.kinds("a")
        self.assertIn("QUEUE_FULL", kinds)
        self.assertIn("QUEUE_WITHOUT_CONSUMER", kinds)

    def test_usage(self):
        self.check(self.run_client("doctor"), USAGE, err="msgsrv-client: doctor takes one TOPIC (see --help)\n")
        self.check(self.run_client("doctor", "a", "--count", "1"), USAGE,
                   err="msgsrv-client: --count is no option of doctor (see --help)\n")


if __name__ == "__main__":
    unittest.main()
