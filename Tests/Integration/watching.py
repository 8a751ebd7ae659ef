"""What the tests of watching share: clients that follow a job, and a stand-in for its worker."""

import json
import subprocess
import time

import httpx
import httpx_sse
import websockets.exceptions
from websockets.sync.client import connect

FINISHED = ("ready", "failed", "expired", "cancelled")


def is_end(message):
    data = message["data"]
    return (
        message["type"] == "complete"
        or message["type"] == "error" and data["final"]
        or message["type"] == "status" and data["status"] in ("cancelled", "expired")
    )


def name(message):
    data = message["data"]
    if message["type"] == "error":
        return "error:final" if data["final"] else "error"
    return message["type"] + (":" + data["status"] if "status" in data else "")


def names(messages, progress=False):
    return [name(message) for message in messages if progress or message["type"] != "progress"]


def check(messages):
    """What holds for every watcher, also across its connections."""
    numbers = [message["seq"] for message in messages]
    assert numbers == sorted(set(numbers)), numbers
    for message in messages:
        assert list(message) == ["type", "data", "seq", "timestamp"], message
        if message["type"] in ("status", "complete"):
            assert message["data"]["seq"] == message["seq"]
    return messages


def socket_url(host, job_id, since=None):
    query = "" if since is None else f"?since={since}"
    return f"ws://127.0.0.1:{host.port}/v1/download/subscribe/{job_id}{query}"


def stream_url(host, job_id):
    return f"{host.url}/v1/download/stream/{job_id}"


def open_socket(host, job_id, since=None, **options):
    return connect(socket_url(host, job_id, since), open_timeout=20, max_size=None, **options)


def by_socket(host, job_id, since=None, limit=None, codes=(1000,), messages=None):
    """Messages until the socket closes, or until so many have come and the client vanishes without a word."""
    messages = [] if messages is None else messages
    with open_socket(host, job_id, since) as connection:
        try:
            while limit is None or len(messages) < limit:
                messages.append(json.loads(connection.recv(200)))
            connection.socket.shutdown(2)
        except websockets.exceptions.ConnectionClosed as closed:
            assert closed.rcvd and closed.rcvd.code in codes, closed
    return messages


def by_stream(host, job_id, since=None, limit=None, messages=None):
    messages = [] if messages is None else messages
    headers = {} if since is None else {"last-event-id": str(since)}
    with httpx.Client(timeout=60) as client:
        with httpx_sse.connect_sse(client, "GET", stream_url(host, job_id), headers=headers) as source:
            if source.response.status_code == 204:
                return messages
            assert source.response.status_code == 200
            for event in source.iter_sse():
                if not event.data:
                    continue
                message = json.loads(event.data)
                assert (event.event, event.id) == (message["type"], str(message["seq"]))
                messages.append(message)
                if limit is not None and len(messages) >= limit:
                    break
    return messages


def by_curl(host, job_id, since=None):
    command = ["curl", "-sSN", "-m", "60", stream_url(host, job_id)]
    if since is not None:
        command += ["-H", f"last-event-id: {since}"]
    text = subprocess.run(command, check=True, capture_output=True, timeout=90).stdout.decode()
    blocks = [block.split("\n") for block in text.split("\n\n")]
    events = [dict(line.split(": ", 1) for line in block if line and line[0] != ":") for block in blocks]
    messages = [json.loads(event["data"]) for event in events if "data" in event]
    assert [event["id"] for event in events if "id" in event] == [str(message["seq"]) for message in messages]
    return messages


def by_polling(host, job_id, since=None, wait=20):
    """The job after each of its changes, as `status` messages."""
    messages, tag = [], since and f'"{since}"'
    while True:
        headers = {"if-none-match": tag} if tag else {}
        answer = host.client.get(f"/v1/download/job/{job_id}?wait={wait}", headers=headers)
        if answer.status == 304:
            if since:
                return messages
            continue
        assert answer.status == 200, answer.body
        tag, job = answer.headers["etag"], answer.json()
        assert tag == f'"{job["seq"]}"'
        if not messages or messages[-1]["seq"] != job["seq"]:
            messages.append({"type": "status", "data": job, "seq": job["seq"], "timestamp": job["updatedAt"]})
        if job["status"] in FINISHED:
            return messages


WAYS = {"socket": by_socket, "stream": by_stream, "curl": by_curl, "polling": by_polling}


class Worker:
    """Stands for a job's worker: changes the record and publishes in one step, as fast as a test wants."""

    def __init__(self, redis, job_id):
        self.redis, self.id = redis, job_id
        self.key, self.channel = f"ferry:job:{job_id}", f"job:{job_id}"
        self.published = []

    def listeners(self):
        return self.redis.pubsub_numsub(self.channel)[0][1]

    def advance(self, status, *kinds, files=()):
        """Each kind takes a number; `None` is one that is not published."""
        seq = int(self.redis.hget(self.key, "seq"))
        pipe = self.redis.pipeline(transaction=True)
        messages = []
        for kind in kinds:
            seq += 1
            if kind is None:
                continue
            progress = {"current": 0, "total": 1, "percentage": 0, "bytes": seq % 1000, "totalBytes": None,
                        "estimatedTimeRemaining": None}
            data = {
                "progress": {"progress": progress, "files": list(files)},
                "error": {"code": "storage_error", "message": "no", "final": status == "failed"},
            }.get(kind, {"jobId": self.id, "status": status, "progress": progress, "seq": seq})
            message = {"type": kind, "data": data, "seq": seq, "timestamp": "2026-11-23T15:04:05.678Z"}
            messages.append(message)
            pipe.publish(self.channel, json.dumps(message, separators=(",", ":")))
        pipe.hset(self.key, mapping={"status": status, "seq": seq, "updated": int(time.time() * 1000)})
        pipe.execute()
        self.published += messages

    def end(self, status):
        last = {"ready": ("status", None, "complete"), "failed": ("status", None, "error")}
        self.advance(status, *last.get(status, ("status",)))


def check_promise(published, seen):
    """Each message but progress was seen, or a later snapshot covers it."""
    check(seen)
    numbers = {message["seq"] for message in seen}
    newest = max(message["seq"] for message in seen if message["type"] == "status")
    for message in published:
        if message["type"] != "progress":
            assert message["seq"] in numbers or message["seq"] < newest, (name(message), message["seq"])
    assert is_end(seen[-1]) and seen[-1]["seq"] == published[-1]["seq"]
