"""The PyPI client `bullmq` doing what queue-bench does, and what a queue holds afterwards. Prints JSON.

usage: bullmq_peer.py SOCKET add JOBS BULK            adds jobs, BULK at a time; 1 adds one after the other
       bullmq_peer.py SOCKET drain JOBS CONCURRENCY   has one worker complete as many jobs as there are
       bullmq_peer.py SOCKET dump JOBS                what was left, of a sample of the jobs

Its fastest set-up that we found: see `connection`. The locks are BullMQ's own 30 s, which no run outlives.
"""

import asyncio
import gc
import json
import sys
import time

import redis.asyncio
from bullmq import Queue, Worker

QUEUE = "bench"
BASE = f"bull:{QUEUE}:"
SAMPLE = 200
TIMES = {"timestamp", "processedOn", "finishedOn"}


def connection(socket):
    # socket_timeout: redis-py's own 5 s would end the worker's blocking call for markers.
    # single_connection_client: what `bullmq` itself does when it is given options.
    return redis.asyncio.Redis(
        unix_socket_path=socket, decode_responses=True, socket_timeout=None, single_connection_client=True)


async def add(socket, jobs, bulk):
    queue = Queue(QUEUE, {"connection": connection(socket)})
    await queue.client.ping()
    gc.disable()
    start = time.perf_counter()
    if bulk == 1:
        for number in range(jobs):
            await queue.add("noop", {"n": number})
    else:
        for first in range(0, jobs, bulk):
            last = min(first + bulk, jobs)
            await queue.addBulk([{"name": "noop", "data": {"n": number}} for number in range(first, last)])
    seconds = time.perf_counter() - start
    await queue.close()
    return {"jobs": jobs, "seconds": seconds}


async def drain(socket, jobs, concurrency):
    done = asyncio.Event()
    count = 0

    async def work(job, token):
        return None

    def completed(job, result):
        nonlocal count
        count += 1
        if count == jobs:
            done.set()

    options = {"connection": connection(socket), "concurrency": concurrency, "autorun": False}
    worker = Worker(QUEUE, work, options)
    worker.on("completed", completed)
    await worker.client.ping()
    gc.disable()
    start = time.perf_counter()
    running = asyncio.ensure_future(worker.run())
    await asyncio.wait_for(done.wait(), 600)
    seconds = time.perf_counter() - start
    await worker.close()
    running.cancel()
    return {"jobs": jobs, "seconds": seconds}


async def dump(socket, jobs):
    """Keys, hashes, scores and events, with times masked; a score that is not its job's `finishedOn` shows."""
    r = connection(socket)
    ids = [str(1 + index * (jobs // SAMPLE)) for index in range(SAMPLE)]
    names = {key[len(BASE):] for key in [key async for key in r.scan_iter(BASE + "*", count=5000)]}
    result = {"jobs": sum(name.isdigit() for name in names)}
    # Who woke or looked last is a matter of time.
    result["keys"] = sorted(
        name for name in names if not name.isdigit() and name not in {"marker", "stalled", "stalled-check"})
    result["lists"] = {name: await r.llen(BASE + name) for name in ["wait", "active", "paused"]}
    result["sets"] = {
        name: await r.zcard(BASE + name) for name in ["completed", "failed", "delayed", "prioritized"]}
    result["meta"] = await r.hgetall(BASE + "meta")
    result["id"] = await r.get(BASE + "id")
    result["sample"] = {}
    for job in ids:
        fields = await r.hgetall(BASE + job)
        score = await r.zscore(BASE + "completed", job)
        if "finishedOn" in fields:
            fields["score"] = "finishedOn" if score == float(fields["finishedOn"]) else score
        for name in TIMES & fields.keys():
            fields[name] = "T" if abs(int(fields[name]) - time.time() * 1000) < 3600000 else fields[name]
        for name in ["data", "opts", "returnvalue"]:
            if name in fields:
                fields[name] = json.loads(fields[name])
        fields.get("opts", {}).pop("delay", None)  # the peer writes a delay of 0, too
        result["sample"][job] = fields
    # The stream is cut at about 10 000 entries, so it holds what happened last; each job's events in their order.
    events = {}
    for _, entry in await r.xrange(BASE + "events"):
        if "jobId" in entry:
            events.setdefault(entry.pop("jobId"), []).append(entry)
    last = [str(number) for number in range(jobs - SAMPLE, jobs + 1)]
    result["events"] = {job: events[job] for job in last if job in events}
    await r.aclose()
    return result


if __name__ == "__main__":
    task = {"add": add, "drain": drain, "dump": dump}[sys.argv[2]]
    print(json.dumps(asyncio.run(task(sys.argv[1], *map(int, sys.argv[3:])))))
