"""Watchers of the three transports on aiohttp, which come back as browsers do, and hold the host to its promise."""

import asyncio
import json
import random

import aiohttp

ENDED = ("ready", "failed", "cancelled", "expired")


class Watcher:
    """Follows one job to its end. `messages` are all it got, `ends` how its connections ended."""

    def __init__(self, session, base, job_id, transport):
        self.session, self.base, self.job_id, self.transport = session, base, job_id, transport
        self.messages, self.ends, self.seq, self.is_over, self.retry = [], [], 0, False, 0.2

    @property
    def types(self):
        return [kind for kind, _ in self.messages]

    async def run(self):
        follow = {"websocket": self.socket, "sse": self.stream, "polling": self.poll}[self.transport]
        while not self.is_over:
            try:
                await follow()
            except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.ends.append(type(error).__name__)
            if not self.is_over:
                await asyncio.sleep(min(self.retry, 0.5))
        return self

    def take(self, kind, seq, data):
        assert seq > self.seq, f"{self.transport} got {kind} {seq} after {self.messages[-5:]}"
        if not self.messages:
            assert kind == "status" or self.transport == "polling", f"the first message is {kind}"
        self.seq = seq
        self.messages.append((kind, seq))
        final = kind == "complete" or (kind == "error" and data["final"])
        self.is_over = final or (kind == "status" and data["status"] in ("cancelled", "expired"))

    async def socket(self):
        since = f"?since={self.seq}" if self.seq else ""
        async with self.session.ws_connect(f"{self.base}/v1/download/subscribe/{self.job_id}{since}") as socket:
            async for message in socket:
                value = json.loads(message.data)
                self.take(value["type"], value["seq"], value["data"])
                if self.is_over:
                    break
        self.ends.append(socket.close_code)

    async def stream(self):
        headers = {"accept": "text/event-stream"} | ({"last-event-id": str(self.seq)} if self.seq else {})
        async with self.session.get(f"{self.base}/v1/download/stream/{self.job_id}", headers=headers) as answer:
            self.ends.append(answer.status)
            if answer.status != 200:
                assert answer.status in (502, 503), answer.status
                return
            fields = {}
            async for line in answer.content:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if line != b"\n":
                    fields[name] = value
                    continue
                if "retry" in fields:
                    self.retry = int(fields["retry"]) / 1000
                    self.ends.append("retry")
                if "data" in fields:
                    message = json.loads(fields["data"])
                    assert fields["event"] == message["type"] and int(fields["id"]) == message["seq"]
                    self.take(message["type"], message["seq"], message["data"])
                fields = {}

    async def poll(self):
        headers = {}
        while not self.is_over:
            url = f"{self.base}/v1/download/job/{self.job_id}" + ("?wait=20" if headers else "")
            async with self.session.get(url, headers=headers) as answer:
                self.ends.append(answer.status)
                if answer.status == 304:
                    continue
                if answer.status != 200:
                    assert answer.status in (502, 503), answer.status
                    return
                job = await answer.json()
                headers = {"if-none-match": answer.headers["etag"]}
                if job["seq"] > self.seq:
                    kind = {"ready": "complete", "failed": "error"}.get(job["status"], "status")
                    self.take(kind, job["seq"], {"final": True, "status": job["status"]})


async def watch_all(base, jobs, count, during, timeout=120):
    """Has `count` watchers of the transports in turn follow the jobs, while `during(watchers)` runs; gives the watchers."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=timeout)) as session:
        transports = ["websocket", "sse", "polling"]
        watchers = [Watcher(session, base, jobs[n // 3 % len(jobs)], transports[n % 3]) for n in range(count)]
        # Not in turn: by the same turn a balancer would give each host one transport.
        random.Random(7).shuffle(watchers)
        async with asyncio.timeout(timeout):
            async with asyncio.TaskGroup() as group:
                for watcher in watchers:
                    group.create_task(watcher.run())
                group.create_task(during(watchers))
    return watchers


async def until(condition, timeout=60):
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.02)
