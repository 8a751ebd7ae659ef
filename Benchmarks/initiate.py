"""Accepted downloads: requests per second of `initiate` on 64 connections, with the history and without.

Both sides are the same host and the same handler. Without the history means that a module of the benchmark's own
(peers/WithoutHistory.swift, compiled beside the handler) lends it one that keeps nothing; the host itself has no such
switch. Each round has a fresh data folder, so a fresh Redis and an empty history; the jobs are not worked.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time

import servers
from harness import BenchError

ROUNDS = 5
SECONDS = 5
CONNECTIONS = 64
# Jobs that nobody works would all be looked up as lost ones.
SETTINGS = {"downloads": {"reconcileInterval": "1h", "reconcileAge": "1h"}}


def make_functions(bench, folder):
    """The function as it is, and beside it the one without a history. Gives the folders of both."""
    source = bench.root / "functions" / "initiate"
    plain, without = pathlib.Path(folder) / "with", pathlib.Path(folder) / "without"
    shutil.copytree(source, plain / "initiate")
    shutil.copytree(source, without / "initiate")
    shutil.copy(bench.folder / "peers" / "WithoutHistory.swift", without / "initiate")
    manifest = json.loads((source / "function.json").read_text())
    (without / "initiate" / "function.json").write_text(json.dumps(manifest | {"handler": "WithoutHistory"}))
    return plain, without


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


class Round:
    """A fresh host under load for a few seconds."""

    def __init__(self, bench, functions, modules, settings, count):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(modules / "modules", f"{folder}/data/modules")
            with servers.ferry(bench, folder, functions, "initiate", SETTINGS | settings) as host:
                self.load(bench, host, 1)
                redis = servers.redis_pid(folder)
                before = [servers.cpu_seconds(host.pid), servers.cpu_seconds(redis)]
                text = self.load(bench, host, SECONDS)
                after = [servers.cpu_seconds(host.pid), servers.cpu_seconds(redis)]
                accepted = int(re.search(r"(\d+) requests in", text)[1])
                self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
                self.p50, self.p99 = (milliseconds(re.search(rf"\s{part}%\s+(\S+)", text)[1]) for part in (50, 99))
                self.costs = [(end - start) * 1e6 / accepted for start, end in zip(before, after)]
            self.kept = count(folder)
            self.accepted = accepted

    @staticmethod
    def load(bench, host, seconds):
        text = bench.check(
            [bench.tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s",
             str(bench.folder / "peers" / "initiate.lua"), f"http://127.0.0.1:{host.port}/v1/download/initiate"],
            stdout=subprocess.PIPE)
        if "Non-2xx" in text or "Socket errors" in text:
            raise BenchError(f"errors under load:\n{text}\n{host.tail()}")
        return text


def count_in_file(folder):
    """How many jobs the history in a data folder has."""
    with contextlib.closing(sqlite3.connect(f"{folder}/data/history.sqlite")) as database:
        return database.execute("SELECT count(*) FROM download_jobs").fetchone()[0]


def sync_milliseconds(folder):
    """What it costs here to have 4 KiB more of a file on the disk: the median of 200."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(200):
            os.write(file.fileno(), bytes(4096))
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def compare(bench, name, settings, count):
    """Loads both sides in turn and prints the figure.

    `settings()` gives the settings of a round with a history, `count(folder)` how many jobs it has at the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        sides = []
        for functions in make_functions(bench, folder):
            modules = functions.with_name(f"{functions.name}-modules")
            bench.check(
                [bench.ferry(), "build", "--functions", str(functions), "--data", str(modules)],
                stdout=subprocess.DEVNULL)
            sides.append((functions, modules))
        disk = sync_milliseconds(folder)
        rounds = []
        for _ in range(ROUNDS):
            without = Round(bench, *sides[1], {}, count_in_file)
            if without.kept:
                raise BenchError(f"without a history {without.kept} jobs were kept")
            ours = Round(bench, *sides[0], settings(), count)
            if ours.kept < ours.accepted:
                raise BenchError(f"{ours.accepted} jobs were accepted, {ours.kept} are in the history")
            rounds.append((ours, without))
    ratios = sorted(ours.rate / without.rate for ours, without in rounds)
    rate = statistics.median(ours.rate for ours, _ in rounds)
    bench.figure(name, rate, "requests/s", "without-history", statistics.median(ratios))
    bench.note(f"{name}: single rounds {ratios[0]:.2f} to {ratios[-1]:.2f}; a sync of the disk takes {disk:.2f} ms")
    for who, index in [("with", 0), ("without", 1)]:
        bench.note(f"{name}: {who} " + ", ".join(
            f"{side.rate:.0f}/s (p50 {side.p50:.1f} ms, p99 {side.p99:.1f}; {side.costs[0]:.0f} us of the host, "
            f"{side.costs[1]:.0f} of redis-server)" for side in (pair[index] for pair in rounds)))
