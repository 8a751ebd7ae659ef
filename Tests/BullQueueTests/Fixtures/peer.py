"""The PyPI `bullmq` client as a peer of the Swift tests: adds, works and dumps the queue `q` when told to.

usage: peer.py scenarios        prints the table below as JSON
       peer.py serve SOCKET     answers commands, one JSON line each: ["flush"], ["add", name, first, step],
                                ["work", name, count], ["start", name], ["stop"], ["dump"]

A scenario has jobs as (name, data, options), or a flow; what each attempt of each job name does, as in make_golden.py;
`ended`, how many jobs end, unless all do; `backoffs`, the bounds in ms of each delay that a retry is given, in order.
To add a row, add it here. Schedules have their scenarios in make_golden.py; `start` then takes the script itself.
"""

import asyncio
import json
import sys
import time

import make_golden
import redis.asyncio
from bullmq import FlowProducer, Queue, UnrecoverableError, Worker

QUEUE = make_golden.QUEUE = "q"

RETRIED = {"a": ["!one", "!two", 3]}


def flow(child=None, parent=None):
    return {
        "name": "parent", "queueName": QUEUE, "data": {}, "opts": {"jobId": "p", **(parent or {})},
        "children": [{"name": "child", "queueName": QUEUE, "data": {}, "opts": {"jobId": "c", **(child or {})}}],
    }


SCENARIOS = {
    "plain": {"jobs": [("a", {"n": n, "text": "\u2603"}, {}) for n in range(12)], "script": {"a": [{"ok": True}]}},
    "failed": {"jobs": [("a", {}, {})], "script": {"a": ["!one"]}},
    "unrecoverable": {"jobs": [("a", {}, {"attempts": 5})], "script": {"a": ["!!never"]}},
    "delayed": {"jobs": [("a", {}, {"delay": 50})], "script": {"a": [1]}},
    "prioritized": {
        "jobs": [("a", {"n": n}, {"priority": priority} if priority else {}) for n, priority in enumerate([3, 1, 2, 0, 1])],
        "script": {"a": [1]}},
    "lifo": {"jobs": [("a", {"n": n}, {"lifo": True} if n > 1 else {}) for n in range(4)], "script": {"a": [1]}},
    "custom id": {
        "jobs": [("a", {}, {"jobId": "mine"}), ("a", {}, {"jobId": "mine"}), ("a", {}, {"jobId": "yours"})],
        "script": {"a": ["done"]}, "ended": 2},
    "retried at once": {"jobs": [("a", {}, {"attempts": 3})], "script": RETRIED},
    "retried, fixed": {
        "jobs": [("a", {}, {"attempts": 3, "backoff": {"type": "fixed", "delay": 60}})],
        "script": RETRIED, "backoffs": [[60, 60], [60, 60]]},
    "retried, a number": {
        "jobs": [("a", {}, {"attempts": 3, "backoff": 40})], "script": RETRIED, "backoffs": [[40, 40], [40, 40]]},
    "retried, exponential": {
        "jobs": [("a", {}, {"attempts": 3, "backoff": {"type": "exponential", "delay": 50}})],
        "script": RETRIED, "backoffs": [[50, 50], [100, 100]]},
    "retried, jitter": {
        "jobs": [("a", {}, {"attempts": 3, "backoff": {"type": "exponential", "delay": 100, "jitter": 0.5}})],
        "script": RETRIED, "backoffs": [[50, 100], [100, 200]]},
    "retried, prioritized": {
        "jobs": [("a", {}, {"attempts": 2, "priority": 5, "backoff": {"type": "fixed", "delay": 30}})],
        "script": {"a": ["!one", 2]}, "backoffs": [[30, 30]]},
    "exhausted": {
        "jobs": [("a", {}, {"attempts": 2, "backoff": {"type": "fixed", "delay": 20}})],
        "script": {"a": ["!one", "!two"]}, "backoffs": [[20, 20]]},
    "removed when completed": {
        "jobs": [("a", {"n": n}, {"removeOnComplete": True}) for n in range(3)], "script": {"a": [1]}},
    "removed when failed": {"jobs": [("a", {}, {"removeOnFail": True})], "script": {"a": ["!one"]}},
    "kept by count": {
        "jobs": [("a", {"n": n}, {"removeOnComplete": 2}) for n in range(5)], "script": {"a": [1]}},
    "kept by age": {
        "jobs": [("a", {"n": n}, {"removeOnComplete": {"age": 3600, "count": 3}}) for n in range(5)],
        "script": {"a": [1]}},
    "deduplicated": {
        "jobs": [("a", {"n": n}, {"deduplication": {"id": "k"}}) for n in range(3)],
        "script": {"a": [1]}, "ended": 1},
    "deduplicated, with a time": {
        "jobs": [("a", {"n": n}, {"deduplication": {"id": "k", "ttl": 3600000}}) for n in range(3)],
        "script": {"a": [1]}, "ended": 1},
    "deduplicated, replaced": {
        "jobs": [("a", {"n": n}, {"delay": 400, "deduplication": {"id": "k", "replace": True}}) for n in range(3)],
        "script": {"a": [1]}, "ended": 1},
    "parent and child": {
        "flow": flow(), "script": {"child": [{"c": 1}], "parent": [{"p": 1}]}, "ended": 2},
    "parent of a child that failed": {
        "flow": flow({"failParentOnFailure": True}), "script": {"child": ["!one"], "parent": [2]}, "ended": 2},
    "parent of a child that is ignored": {
        "flow": flow({"ignoreDependencyOnFailure": True}), "script": {"child": ["!one"], "parent": [2]}, "ended": 2},
    "parent with a priority": {
        "flow": flow({"priority": 3}, {"priority": 5}), "script": {"child": [1], "parent": [2]}, "ended": 2},
}


class Peer:
    def __init__(self, socket):
        options = {"unix_socket_path": socket, "decode_responses": True, "socket_timeout": None}
        self.redis = redis.asyncio.Redis(**options)
        self.connection = redis.asyncio.Redis(**options)
        self.queue = Queue(QUEUE, {"connection": self.connection})
        self.worker = None
        self.made = {}

    async def flush(self):
        await self.redis.flushall()

    async def add(self, name, first=0, step=1):
        """Adds the jobs from the first on, each `step`-th."""
        scenario = SCENARIOS[name]
        if "flow" in scenario:
            await FlowProducer({"connection": self.connection}).add(scenario["flow"])
        for job_name, data, options in scenario.get("jobs", [])[first::step]:
            await self.queue.add(job_name, data, dict(options))

    async def start(self, name):
        script, self.made = SCENARIOS[name]["script"] if isinstance(name, str) else name, {}

        async def process(job, token):
            # Attempts are counted in Redis: a job may have been another's before.
            steps = script[job.name]
            step = steps[min(job.attemptsMade + 1, len(steps)) - 1]
            self.made[job.id] = self.made.get(job.id, 0) + 1
            await asyncio.sleep(0.005)
            if isinstance(step, str) and step.startswith("!!"):
                raise UnrecoverableError(step[2:])
            if isinstance(step, str) and step.startswith("!"):
                raise Exception(step[1:])
            return step

        options = {"connection": self.connection, "stalledInterval": 60000, "autorun": False}
        self.worker = Worker(QUEUE, process, options)
        self.running = asyncio.ensure_future(self.worker.run())

    async def stop(self):
        await self.worker.close()
        self.running.cancel()
        return sum(self.made.values())

    async def work(self, name, count):
        """Works until so many jobs have ended; gives how many have."""
        await self.start(name)
        deadline = time.monotonic() + 20
        ended = 0
        while ended < count and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
            entries = await self.redis.xrange(f"bull:{QUEUE}:events")
            ended = sum(fields["event"] in ("completed", "failed") for _, fields in entries)
        await asyncio.sleep(0.05)
        await self.stop()
        return ended

    async def dump(self):
        result = await make_golden.dump(self.redis)
        entries = await self.redis.xrange(f"bull:{QUEUE}:events")
        # What the delay was when the server wrote the entry, a little after the worker decided it.
        delays = [
            int(fields["delay"]) - int(entry.split("-")[0]) for entry, fields in entries if fields["event"] == "delayed"]
        return {"keys": result, "delays": delays}


async def serve(socket):
    peer = Peer(socket)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command, *arguments = json.loads(line)
        print(json.dumps(await getattr(peer, command)(*arguments)), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "scenarios":
        print(json.dumps(SCENARIOS))
    else:
        asyncio.run(serve(sys.argv[2]))
