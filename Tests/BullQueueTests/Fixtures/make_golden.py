"""Writes golden.json: what the PyPI `bullmq` client leaves in Redis for each scenario.

Run with the versions of Tests/requirements.txt: `python make_golden.py > golden.json`. Tests/Integration/test_bullmq_golden.py
checks that the file is still what the client does; the Swift tests compare what BullQueue leaves behind.

A scenario has jobs, and an attempt script: for each attempt of each job name either a return value or an error.
A dump maps each key (without the queue's prefix) to its contents. Times are replaced by "T", scores of `delayed` by "S",
stacktraces by how many there are; what depends on who woke first (marker, stalled, stalled-check) is left out.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time

import redis.asyncio
from bullmq import FlowProducer, Queue, UnrecoverableError, Worker

NOW = time.time() * 1000
QUEUE = "golden"
SKIPPED = {"marker", "stalled", "stalled-check"}

# name: (jobs as (name, data, opts), {name: [what each attempt does]})
ADDED = {
    "plain": [("mail", {"a": 1}, {})],
    "data": [("n\u00e9", {"text": "\u2603 \"q\" \\ / \n", "n": [1, 2.5, None, True]}, {})],
    "delayed": [("mail", {}, {"delay": 3600000}), ("mail", {}, {"delay": 7200000})],
    "prioritized": [("a", {}, {"priority": 2}), ("b", {}, {"priority": 1}), ("c", {}, {})],
    "lifo": [("a", {}, {}), ("b", {}, {"lifo": True})],
    "custom": [("a", {}, {"jobId": "mine"}), ("b", {}, {"jobId": "mine"}), ("c", {}, {})],
    "options": [
        ("mail", {}, {
            "attempts": 3, "backoff": {"type": "exponential", "delay": 100}, "priority": 2,
            "removeOnComplete": {"age": 3600}, "removeOnFail": {"age": 10, "count": 5},
        }),
        ("mail", {}, {"attempts": 5, "backoff": 250, "removeOnComplete": True, "removeOnFail": 7}),
    ],
    "deduplicated": [("a", {}, {"deduplication": {"id": "k"}}), ("b", {}, {"deduplication": {"id": "k"}})],
    "deduplicated otherwise": [("a", {}, {"deduplication": {"id": "k"}}), ("b", {}, {"deduplication": {"id": "l"}})],
    "deduplicated with ttl": [("a", {}, {"deduplication": {"id": "k", "ttl": 3600000}})] * 2,
    "deduplicated, extended": [("a", {}, {"deduplication": {"id": "k", "ttl": 3600000, "extend": True}})] * 2,
    "deduplicated, replaced": [
        ("a", {"n": n}, {"delay": 3600000, "deduplication": {"id": "k", "ttl": 3600000, "replace": True}})
        for n in range(3)
    ],
    "deduplicated, replaced and extended": [
        ("a", {"n": n}, {"delay": 3600000, "deduplication": {"id": "k", "ttl": 3600000, "replace": True, "extend": True}})
        for n in range(2)
    ],
    "deduplicated, replaced without ttl": [
        ("a", {"n": n}, {"delay": 3600000, "deduplication": {"id": "k", "replace": True}}) for n in range(2)
    ],
    "deduplicated, not replaced": [("a", {}, {"deduplication": {"id": "k", "replace": True}})] * 2,
    "deduplicated, kept": [
        ("a", {"n": 1}, {"deduplication": {"id": "k", "keepLastIfActive": True}}), ("!activate", {}, {}),
        ("b", {"n": 2}, {"deduplication": {"id": "k", "keepLastIfActive": True}, "priority": 3}),
        ("c", {"n": 3}, {"deduplication": {"id": "k", "keepLastIfActive": True}}),
    ],
    "deduplicated, kept with ttl": [
        ("a", {"n": 1}, {"deduplication": {"id": "k", "ttl": 3600000}}), ("!activate", {}, {}),
        ("b", {"n": 2}, {"deduplication": {"id": "k", "keepLastIfActive": True, "ttl": 3600000}}),
    ],
    "deduplicated, replaced or kept": [
        ("a", {"n": 1}, {"deduplication": {"id": "k", "keepLastIfActive": True, "replace": True}}), ("!activate", {}, {}),
        ("b", {"n": 2}, {"deduplication": {"id": "k", "keepLastIfActive": True, "replace": True}}),
    ],
    "deduplicated, not kept": [("a", {}, {"deduplication": {"id": "k", "keepLastIfActive": True}})] * 2,
    "deduplicated, holder gone": [
        ("a", {}, {"deduplication": {"id": "k"}}), ("!forget", {}, {}), ("b", {}, {"deduplication": {"id": "k"}}),
    ],
    "deduplicated custom id": [
        ("a", {}, {"deduplication": {"id": "k"}, "jobId": "x"}), ("a", {}, {"deduplication": {"id": "k"}, "jobId": "y"}),
    ],
}

WORKED = {
    "completes": ([("a", {"x": 1}, {})], {"a": [{"ok": True}]}),
    "null": ([("a", {}, {})], {"a": [None]}),
    "text": ([("a", {}, {})], {"a": ["\u2603"]}),
    "fixed": ([("a", {}, {"attempts": 3, "backoff": {"type": "fixed", "delay": 20}})], {"a": ["!one", "!two", 3]}),
    "exponential": (
        [("a", {}, {"attempts": 3, "backoff": {"type": "exponential", "delay": 10}})], {"a": ["!one", "!two", 3]}),
    "immediate": ([("a", {}, {"attempts": 2})], {"a": ["!one", 2]}),
    "immediate prioritized": ([("a", {}, {"attempts": 2, "priority": 4})], {"a": ["!one", 2]}),
    "exhausted": ([("a", {}, {"attempts": 2})], {"a": ["!one", "!two"]}),
    "single": ([("a", {}, {})], {"a": ["!one"]}),
    "unrecoverable": ([("a", {}, {"attempts": 5})], {"a": ["!!never"]}),
    "delayed": ([("a", {}, {"delay": 30})], {"a": [1]}),
    "delayed prioritized": ([("a", {}, {"delay": 30, "priority": 3})], {"a": [1]}),
    "progress": ([("a", {}, {})], {"a": ["progress"]}),
    "remove completed": ([("a", {}, {"removeOnComplete": True})], {"a": [1]}),
    "remove failed": ([("a", {}, {"removeOnFail": True})], {"a": ["!one"]}),
    "keep two": ([("a", {"n": n}, {"removeOnComplete": 2}) for n in range(4)], {"a": [1]}),
    "keep by age": ([("a", {}, {"removeOnComplete": {"age": 3600, "count": 3}}) for n in range(5)], {"a": [1]}),
    "stacktraces": ([("a", {}, {"attempts": 3, "stackTraceLimit": 1})], {"a": ["!one", "!two", "!three"]}),
    "deduplicated": ([("a", {}, {"deduplication": {"id": "k1"}}), ("a", {}, {"deduplication": {"id": "k1"}})], {"a": [1]}),
    "deduplicated with ttl": ([("a", {}, {"deduplication": {"id": "k1", "ttl": 3600000}})], {"a": [1]}),
    "deduplicated failure": ([("a", {}, {"deduplication": {"id": "k1"}})], {"a": ["!one"]}),
}

# name: (child's options, parent's options, attempts)
FLOWS = {
    "child completes": ({}, {}, {"child": [{"c": 1}], "parent": [{"p": 1}]}),
    "child completes and is removed": ({"removeOnComplete": True}, {}, {"child": [1], "parent": [2]}),
    "parent prioritized": ({}, {"priority": 5}, {"child": [1], "parent": [2]}),
    "parent delayed": ({}, {"delay": 30}, {"child": [1], "parent": [2]}),
    "child fails parent": ({"failParentOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child ignored": ({"ignoreDependencyOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child removed": ({"removeDependencyOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child continues": ({"continueParentOnFailure": True}, {}, {"child": ["!one"], "parent": [2]}),
    "child fails": ({}, {}, {"child": ["!one"]}),
}


def is_time(text):
    try:
        return abs(float(text) - NOW) < 30 * 86400000
    except (TypeError, ValueError):
        return False


def masked(name, value):
    if name == "stacktrace":
        return len(json.loads(value))
    if name in ("data", "opts", "returnvalue", "progress", "parent"):
        return json.loads(value)
    return "T" if is_time(value) else value


async def dump(r):
    result = {}
    base = f"bull:{QUEUE}:"
    for key in sorted(await r.keys(base + "*")):
        name = key[len(base):]
        if name in SKIPPED:
            continue
        kind = await r.type(key)
        if kind == "hash":
            result[name] = {k: masked(k, v) for k, v in sorted((await r.hgetall(key)).items())}
        elif kind == "list":
            result[name] = await r.lrange(key, 0, -1)
        elif kind == "set":
            result[name] = sorted(await r.smembers(key))
        elif kind == "zset":
            mask = lambda s: "T" if is_time(s) else "S" if is_time(s / 4096) else int(s)
            result[name] = [[m, mask(s)] for m, s in await r.zrange(key, 0, -1, withscores=True)]
        elif kind == "string":
            result[name] = {"value": await r.get(key), "expires": await r.pttl(key) > 0}
        elif kind == "stream":
            result[name] = [[[k, masked(k, v)] for k, v in e[1].items()] for e in await r.xrange(key)]
    return result


async def work(r, connection, script, terminal):
    """Works the queue with one worker until so many jobs have ended."""
    made = {}

    async def process(job, token):
        number = made[job.id] = made.get(job.id, 0) + 1
        steps = script[job.name]
        step = steps[min(number, len(steps)) - 1]
        if step == "progress":
            await job.updateProgress({"p": 50})
        elif isinstance(step, str) and step.startswith("!!"):
            raise UnrecoverableError(step[2:])
        elif isinstance(step, str) and step.startswith("!"):
            raise Exception(step[1:])
        return step

    worker = Worker(QUEUE, process, {"connection": connection, "stalledInterval": 60000, "autorun": False})
    running = asyncio.ensure_future(worker.run())
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        events = await r.xrange(f"bull:{QUEUE}:events")
        if sum(e[1]["event"] in ("completed", "failed") for e in events) >= terminal:
            break
        await asyncio.sleep(0.01)
    else:
        print("not finished in time:", events, file=sys.stderr)
    await asyncio.sleep(0.05)
    await worker.close()
    running.cancel()


async def main(socket):
    options = {"unix_socket_path": socket, "decode_responses": True, "socket_timeout": None}
    r = redis.asyncio.Redis(**options)
    connection = redis.asyncio.Redis(**options)
    golden = {"added": {}, "worked": {}, "flows": {}}
    for name, jobs in ADDED.items():
        await r.flushall()
        queue = Queue(QUEUE, {"connection": connection})
        for job_name, data, opts in jobs:
            if job_name == "!activate":
                await r.rpoplpush(f"bull:{QUEUE}:wait", f"bull:{QUEUE}:active")
            elif job_name == "!forget":
                await r.delete(f"bull:{QUEUE}:1")
            else:
                await queue.add(job_name, data, dict(opts))
        golden["added"][name] = {"jobs": jobs, "dump": await dump(r)}
        golden["added"][name]["marker"] = await r.zrange(f"bull:{QUEUE}:marker", 0, -1)
    for name, (jobs, script) in WORKED.items():
        await r.flushall()
        queue = Queue(QUEUE, {"connection": connection})
        for job_name, data, opts in jobs:
            await queue.add(job_name, data, dict(opts))
        before = await dump(r)
        terminal = len({k for k in before if k.isdigit()})
        await work(r, connection, script, terminal)
        golden["worked"][name] = {"script": script, "before": before, "terminal": terminal, "after": await dump(r)}
    for name, (child, parent, script) in FLOWS.items():
        await r.flushall()
        flow = FlowProducer({"connection": connection})
        await flow.add({
            "name": "parent", "queueName": QUEUE, "data": {}, "opts": {"jobId": "p", **parent},
            "children": [{"name": "child", "queueName": QUEUE, "data": {}, "opts": {"jobId": "c", **child}}],
        })
        before = await dump(r)
        terminal = len(script)
        await work(r, connection, script, terminal)
        golden["flows"][name] = {"child": child, "parent": parent, "script": script, "before": before, "terminal": terminal, "after": await dump(r)}
    print(json.dumps(golden, indent=1, sort_keys=True))


if __name__ == "__main__":
    folder = tempfile.mkdtemp()
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", folder + "/s", "--save", "", "--appendonly", "no", "--dir", folder],
        stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if subprocess.run(["redis-cli", "-s", folder + "/s", "ping"], capture_output=True).stdout == b"PONG\n":
                break
            time.sleep(0.02)
        asyncio.run(main(folder + "/s"))
    finally:
        server.terminate()
