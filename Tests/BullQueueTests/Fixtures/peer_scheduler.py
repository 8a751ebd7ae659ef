"""The PyPI `bullmq` client as a peer of the scheduler tests.

peer_scheduler.py SOCKET upsert ID REPEAT [NAME DATA OPTS]   makes a scheduler of the queue `q`; the last ones are JSON
peer_scheduler.py SOCKET work COUNT                          works until so many jobs have ended, and prints their ids
"""

import asyncio
import json
import sys

import redis.asyncio
from bullmq import Queue, Worker


async def main(socket, verb, *rest):
    connect = lambda: redis.asyncio.Redis(unix_socket_path=socket, decode_responses=True, socket_timeout=None)
    if verb == "upsert":
        name, data, opts = (list(rest[2:]) + [None, None, None])[:3]
        await Queue("q", {"connection": connect()}).upsertJobScheduler(
            rest[0], json.loads(rest[1]), name, data and json.loads(data), opts and json.loads(opts))
        return
    count, ended = int(rest[0]), []
    done = asyncio.Event()

    async def process(job, token):
        ended.append(job.id)
        if len(ended) >= count:
            done.set()
        return 1

    worker = Worker("q", process, {"connection": connect(), "autorun": False})
    running = asyncio.ensure_future(worker.run())
    await asyncio.wait_for(done.wait(), 30)
    await worker.close()
    running.cancel()
    print("\n".join(ended))


asyncio.run(main(*sys.argv[1:]))
