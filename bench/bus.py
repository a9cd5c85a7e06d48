# SPDX-License-Identifier: MIT
"""The bus's part of the benchmark: events over TCP beside the limit and beside nats-server, a queue, a subscriber that
reads nothing, and events within one process."""

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess

from harness import Failure, Server, check, check_least, check_load, show_check

WARMUP_S = 0.15  # before each window
LOAD_SLACK_S = 45  # beyond a load's own seconds; it gives up by itself after 10 s of silence

SIZES = {"16": ["--payload", "16"], "1k": ["--payload", "1024", "--batch", "16", "--window", "1024"]}
MODES = {"flat": [], "paced": ["--mode", "paced"]}
CELLS = ["flat16/1to1", "flat16/1to8", "flat1k/1to1", "flat1k/1to8", "paced16/1to1", "paced16/1to8"]
CPU = "server_cpu_us_per_request"

# Server CPU per delivered event, and p99, as a multiple of the limit's.
CPU_TARGETS = {"flat16/1to1": 4.0, "flat16/1to8": 2.5, "flat1k/1to1": 1.4, "flat1k/1to8": 1.4,
               "paced16/1to1": 1.2, "paced16/1to8": 1.2}
P99_TARGET = 1.3
QUEUE_TARGET = 300_000  # messages of 256 B in a second, published, delivered and acknowledged
STALLED_TARGET = 0.95  # of the rate without the subscriber that reads nothing
IN_PROCESS_TARGETS = {"typed": 5e6, "encoded": 2.5e6, "bytes": 8e6}  # events in a second
IN_PROCESS = {"typed": "typed, the struct is handed over", "encoded": "typed, and bytes are needed",
              "bytes": "as bytes", "typed_to_8": "typed, to 8", "bytes_to_8": "as bytes, to 8"}


class BusBench:
    """Where the bus's programs are, and how one window is measured."""

    def __init__(self, bench, options):
        directory = os.path.join(os.path.abspath(options.build), "bench")
        self.bench, self.seconds, self.rounds = bench, options.seconds, options.rounds
        self.load = os.path.join(directory, "msgsrv-bench-bus-load")
        self.cost = os.path.join(directory, "msgsrv-bench-bus-cost")
        listen = ["--listen", "tcp://127.0.0.1:0"]
        self.servers = {
            "limit": [os.path.join(directory, "msgsrv-bench-fanout-limit")] + listen,
            "library": [os.path.join(directory, "msgsrv-bench-bus-server")] + listen,
        }
        for path in [self.load, self.cost] + [command[0] for command in self.servers.values()]:
            if not os.path.exists(path):
                raise Failure(f"not built: {path}")
        nats = shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if nats:
            self.servers["nats"] = [nats, "--addr", "127.0.0.1", "--port", "-1"]

    def measure(self, name, what, load_options):
        """One window on a fresh server."""
        warmup = min(WARMUP_S, self.seconds)
        with contextlib.closing(Server(name, self.servers[name], self.bench)) as server:
            command = [self.load, "--connect", server.address, "--pid", str(server.pid),
                       "--seconds", str(self.seconds), "--warmup", str(warmup),
                       "--protocol", "nats" if name == "nats" else "native"] + load_options
            load = subprocess.run(self.bench.pinned(self.bench.load_cpu, command), stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=self.seconds + warmup + LOAD_SLACK_S, check=False)
            if load.returncode != 0:
                raise Failure(f"{what} on {name}: {load.stderr.decode().strip()} {server.read_log().strip()}")
            return check_load(json.loads(load.stdout))


class BusCell:
    """A kind of load, with what was measured on each server, round by round."""

    def __init__(self, name, servers):
        kind, shape = name.split("/")
        mode, size = re.fullmatch(r"([a-z]+)(\d.*)", kind).groups()
        self.name, self.paced = name, mode == "paced"
        self.load_options = MODES[mode] + SIZES[size] + ["--subscribers", shape.removeprefix("1to")]
        self.rounds = {server: [] for server in servers}

    def median(self, name, key):
        return statistics.median(r[key] for r in self.rounds[name])

    def ratio(self, name, key):
        pairs = zip(self.rounds[name], self.rounds["limit"])
        return statistics.median(of[key] / limit[key] for of, limit in pairs)

    def checks(self):
        yield check(f"CPU ratio {self.name}", self.ratio("library", CPU), CPU_TARGETS[self.name])
        if self.paced:
            yield check(f"p99 ratio {self.name}", self.ratio("library", "p99_us"), P99_TARGET)

    def row(self):
        marks = " ".join(f"{'p99 ' if 'p99' in m['what'] else ''}<= {m['target']} {m['verdict']}" for m in self.checks())
        text = f"{self.name:<14}" + "".join(f"{self.median(name, CPU):>9.3f}" for name in self.rounds)
        text += " " * 9 * (3 - len(self.rounds))
        for name in ("library", "nats"):
            text += f"{self.ratio(name, CPU):>8.2f}" if name in self.rounds else f"{'-':>8}"
        for name in self.rounds:
            text += f"{self.median(name, 'rps'):>12,.0f}"
        text += " " * 12 * (3 - len(self.rounds))
        return f"{text}   {marks}"

    def latencies(self):
        return ", ".join(f"{name} p50 {self.median(name, 'p50_us'):,.0f} p99 {self.median(name, 'p99_us'):,.0f}"
                         + (f" ({self.ratio(name, 'p99_us'):.2f})" if name != "limit" else "")
                         for name in self.rounds)

    def describe(self):
        return {"name": self.name, "rounds": self.rounds, "checks": list(self.checks()),
                "cpu_ratio": {name: self.ratio(name, CPU) for name in self.rounds if name != "limit"}}


def measure_cells(bus, names):
    """Prints a row as each cell is done. The servers take turns."""
    print("\nBus: CPU per delivered event; flat out or paced at 10,000 a second, payload, publishers to subscribers")
    print(f"{'':14}{'CPU us/event':^27}{'ratio':^16}{'events/s':^36}")
    print(f"{'cell':14}{'limit':>9}{'lib':>9}{'nats':>9}{'lib':>8}{'nats':>8}{'limit':>12}{'lib':>12}{'nats':>12}   target")
    cells = [BusCell(name, bus.servers) for name in names]
    for cell in cells:
        for _ in range(bus.rounds):
            for name, rounds in cell.rounds.items():
                rounds.append(bus.measure(name, cell.name, cell.load_options))
        print(cell.row(), flush=True)
        if cell.paced:
            print(f"{'':14}us: {cell.latencies()}")
    return [cell.describe() for cell in cells]


def measure_queue(bus):
    """Publish, deliver and acknowledge over TCP."""
    options = ["--mode", "queue", "--payload", "256"]
    rounds = [bus.measure("library", "queue", options) for _ in range(bus.rounds)]
    rate = statistics.median(r["rps"] for r in rounds)
    cpu = statistics.median(r[CPU] for r in rounds)
    print(f"\nQueue in memory, 256 B: published, delivered and acknowledged over TCP; server CPU {cpu:.3f} us a message, "
          f"server busy {statistics.median(r['server_cpu_share'] for r in rounds):.0%}")
    result = check_least("queue, messages a second", rate, QUEUE_TARGET)
    show_check(result)
    return {"rounds": rounds, "checks": [result]}


def measure_stalled(bus):
    """Seven subscribers that read, without and with one that does not. Losing an event fails the load."""
    alone, beside = [], []
    for _ in range(bus.rounds):
        for rounds, stalled in ((alone, "0"), (beside, "1")):
            rounds.append(bus.measure("library", "stalled", SIZES["16"] + ["--subscribers", "7", "--stalled", stalled]))
    rate, cpu = (statistics.median(b[key] / a[key] for a, b in zip(alone, beside)) for key in ("rps", CPU))
    print(f"\nOne subscriber that reads nothing beside seven that do: they lost nothing; "
          f"CPU per event that they got {cpu:.3f} of what it is without it")
    result = check_least("their rate, of what it is without it", rate, STALLED_TARGET)
    show_check(result)
    return {"alone": alone, "beside": beside, "checks": [result]}


def measure_in_process(bus):
    rounds = []
    for _ in range(bus.rounds):
        done = subprocess.run(bus.bench.pinned(bus.bench.server_cpu, [bus.cost, str(bus.seconds)]),
                              stdout=subprocess.PIPE, timeout=10 * bus.seconds + LOAD_SLACK_S, check=False)
        if done.returncode != 0:
            raise Failure("events within a process were not measured")
        rounds.append(json.loads(done.stdout))
    print("\nIn one process, published and handled, 16 B, events a second of CPU")
    checks = []
    for way, text in IN_PROCESS.items():
        rate = statistics.median(r[way] for r in rounds)
        if way in IN_PROCESS_TARGETS:
            checks.append(check_least(text, rate, IN_PROCESS_TARGETS[way]))
            show_check(checks[-1])
        else:
            print(f"  {text}: {rate:,.4g}")
    return {"rounds": rounds, "checks": checks}


EXTRAS = {"queue": measure_queue, "stalled": measure_stalled, "in-process": measure_in_process}


def choose(options):
    """The names of cells, and of what else there is."""
    names = CELLS + list(EXTRAS)
    if options.cells:
        names = [n for n in names if any(re.search(p, n) for p in options.cells.split(","))]
    return names


def report(bench, options):
    """Measures all that was chosen."""
    names, bus = choose(options), BusBench(bench, options)
    result = {"cells": []}
    cells = [name for name in names if name in CELLS]
    if cells:
        if "nats" not in bus.servers:
            print("\nnats-server is not installed (scripts/setup --bench), so it is left out.")
        result["cells"] = measure_cells(bus, cells)
    for name, measure in EXTRAS.items():
        if name in names:
            result[name] = measure(bus)
    return result
