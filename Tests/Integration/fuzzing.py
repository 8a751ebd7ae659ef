"""Sends cases to a host, many connections at a time, and judges what comes back and what becomes of the host."""

import asyncio
import dataclasses
import json
import os
import pathlib
import re
import time

from support import resident_kib, wait_until

DEADLINE = 20
# What is documented; 501 and 505 only where the request asks for a coding or a version that there is not.
STATUSES = {
    101, 200, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 414, 415, 417, 422, 426, 429, 431, 501, 505,
}
ERROR_KEYS = {"error", "code", "message", "requestId", "details"}
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (trace|debug|info|notice|warning|error|critical) ")
CLOSE_CODES = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000}


class Wrong(AssertionError):
    """The host's answer, or its silence, is not as it should be."""


def need(condition, *what):
    if not condition:
        raise Wrong(*what)


class Reply:
    def __init__(self, status, fields, body, rest):
        self.status, self.fields, self.body, self.rest = status, fields, body, rest

    def get(self, name):
        return self.fields.get(name)


def parse(data, is_head, is_cut):
    """The next answer in `data`, strictly as RFC 9112 has it; `None` when `is_cut` and it is not whole."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        need(is_cut, "half a head", data[:300])
        return None
    line, *lines = head.split(b"\r\n")
    match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [A-Za-z0-9 '-]*", line)
    need(match, "no status line", line[:200])
    status, fields = int(match[1]), {}
    for field in lines:
        name, colon, value = field.partition(b":")
        need(colon and TOKEN.fullmatch(name), "no field", field[:200])
        need(all(byte == 9 or 32 <= byte != 127 for byte in value), "a control character in a field", field[:200])
        name = name.decode().lower()
        need(name not in fields or name in ("vary", "set-cookie", "www-authenticate"), "a field twice", field[:200])
        fields[name] = value.strip().decode("latin-1")
    need("injected" not in fields, "an injected field", head[:600])
    if status < 200 or status in (204, 304) or is_head:
        need(status in (101, 304) or is_head or "content-length" not in fields, "a length without a body", head[:300])
        return Reply(status, fields, b"", rest)
    if "content-length" in fields:
        need("transfer-encoding" not in fields, "two framings", head[:300])
        length = int(fields["content-length"])
        need(is_cut or len(rest) >= length, "a body cut short", head[:300], len(rest))
        return Reply(status, fields, rest[:length], rest[length:]) if len(rest) >= length else None
    need(fields.get("transfer-encoding") == "chunked", "no framing", head[:300])
    body = b""
    while True:
        size, separator, rest = rest.partition(b"\r\n")
        if not separator:
            need(is_cut, "chunks cut short", head[:300])
            return Reply(status, fields, body, b"")
        need(re.fullmatch(rb"[0-9a-fA-F]{1,8}", size), "no chunk size", size[:100])
        count = int(size, 16)
        if len(rest) < count + 2:
            need(is_cut, "a chunk cut short", head[:300])
            return Reply(status, fields, body, b"")
        need(rest[count : count + 2] == b"\r\n", "no end of a chunk", rest[count : count + 20])
        body, rest = body + rest[:count], rest[count + 2 :]
        if count == 0:
            return Reply(status, fields, body, rest)


def judge(case, data, is_cut, statuses):
    """Checks all that came back on the connection of a case."""
    sent = case.data
    has_head = b"HEAD" in sent
    if has_head and case.ids is None:
        # Whether a body follows depends on which of the requests was understood.
        need(not data or data.startswith(b"HTTP/1.1 "), "no answer", data[:300])
        return
    ids = []
    is_last = False
    while data:
        need(not is_last, "an answer after the last one", data[:300])
        reply = parse(data, False, is_cut)
        if reply is None:
            return
        data = reply.rest
        if reply.status == 100:
            need(b"100-" in sent, "an unasked 100")
            continue
        check(reply, case, sent)
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
        ids.append(reply.get("x-request-id"))
        is_last = reply.get("connection") == "close"
        if reply.status == 101:
            frames(data, is_cut)
            break
        if (reply.get("content-type") or "").startswith("text/event-stream"):
            events(reply.body)
    need(len(ids) <= case.count or case.ids is None, "too many answers", ids)
    if case.ids is not None:
        need(ids == case.ids[: len(ids)], "answers out of order", ids, case.ids)
        # The host may go when our side has ended before a slow answer.
        need(ids == case.ids or is_last or is_cut or case.ending in ("shut", "reset"), "no answer", ids, case.ids)


def judge_s3(case, data, is_cut, statuses):
    """Answers of the local S3 endpoint: one at least begins as it should, and none says that the endpoint failed."""
    need(not data or re.match(rb"HTTP/1\.[01] \d{3} ", data), "no answer", data[:300])
    for found in re.findall(rb"(?m)^HTTP/1\.[01] (\d{3}) ", data):
        status = int(found)
        statuses[status] = statuses.get(status, 0) + 1
        need(status < 500 or status == 501, "the endpoint failed", data[:600])
    need(b"\r\ninjected:" not in data.lower(), "an injected field", data[:600])


def check(reply, case, sent):
    need(reply.status in STATUSES, "an undocumented status", reply.status, reply.body[:500])
    if reply.status == 501:
        need(b"ransfer" in sent or b"RANSFER" in sent or case.kind == "bytes", "501 without a coding", reply.body[:300])
    if reply.status == 505:
        need(case.kind in ("line", "bytes", "pipeline", "garbage"), "505 for HTTP/1.1", reply.body[:300])
    need(not case.is_forged or not 200 <= reply.status < 300, "a forgery was believed", reply.status, reply.body[:300])
    need(reply.get("x-content-type-options") == "nosniff" or reply.status == 101, "no security fields", reply.fields)
    if reply.status >= 400:
        need(reply.get("content-type") == "application/json", "an error of another kind", reply.fields)
        error = json.loads(reply.body)
        need(set(error) <= ERROR_KEYS and {"error", "code", "message", "requestId"} <= set(error), "another shape", reply.body[:500])
        need(error["requestId"] == reply.get("x-request-id"), "two request ids", reply.body[:300])
        need(re.fullmatch(r"[a-z0-9_]+", error["code"]), "no code", reply.body[:300])
        need(reply.status != 405 or reply.get("allow"), "405 without Allow")
        need(reply.status not in (429,) or reply.get("retry-after"), "no Retry-After")
        need(reply.status != 401 or reply.get("www-authenticate"), "no challenge")
        need(all(set(detail) == {"field", "problem"} for detail in error.get("details", [])), "other details", reply.body[:300])
    elif reply.get("content-type") == "application/json":
        json.loads(reply.body)


def events(body):
    """Event streams are UTF-8, each data a JSON text with the number of its event."""
    for block in body.split(b"\n\n")[:-1]:
        fields = dict(line.partition(b": ")[::2] for line in block.split(b"\n") if line and not line.startswith(b":"))
        if b"data" in fields:
            message = json.loads(fields[b"data"])
            need(str(message["seq"]).encode() == fields[b"id"] and message["type"].encode() == fields[b"event"], "an event", block[:300])


def frames(data, is_cut):
    """What a socket's server may send."""
    while data:
        if len(data) < 2:
            return need(is_cut, "half a frame", data)
        first, length, start = data[0], data[1], 2
        need(length < 128 and first & 15 in (1, 2, 8, 9, 10) and first & 0x80 and not first & 0x30, "a wrong frame", data[:20])
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            return need(is_cut, "a frame cut short", data[:20])
        payload, data = data[start : start + length], data[start + length :]
        if first & 15 == 1 and not first & 0x40:
            json.loads(payload)
        if first & 15 == 8:
            need(not payload or int.from_bytes(payload[:2], "big") in CLOSE_CODES, "a wrong close code", payload[:50])
            payload[2:].decode()
            need(not data, "frames after the close frame", data[:50])


class Fuzz:
    """One host under fire."""

    def __init__(self, host, mutator, width=32, port=None, judge=judge):
        self.host, self.mutator, self.width = host, mutator, width
        self.port, self.judge = port or host.port, judge
        self.statuses, self.kinds, self.slowest = {}, {}, (0, None)
        # How many requests were begun, in how many cases.
        self.requests = self.number = 0
        self.under_way = {}
        self.failures = []

    def run(self, until, seconds):
        """Sends the next cases, until there are so many requests in all; raises for what went wrong or took too long."""
        try:
            asyncio.run(asyncio.wait_for(self.send_all(until), seconds))
        except TimeoutError:
            raise AssertionError(f"{self.requests} requests of {until} within {seconds} s\n{self.report()}") from None
        if self.failures or self.host.process.poll() is not None:
            raise AssertionError(self.report())

    def report(self):
        text = [f"seed {self.mutator.seed}"]
        if self.host.process.poll() is not None:
            text.append(f"the host ended with {self.host.process.returncode}; under way were")
            text += [str(case)[:2000] for case in self.under_way.values()]
        for case, error, data in self.failures[:8]:
            text.append(f"{error!r}\n  {case}\n  answer = {data[:1500]!r}")
        return "\n".join([*text, self.host.text()[-3000:]])

    async def send_all(self, until):
        async def work():
            while self.requests < until and len(self.failures) < 8 and self.host.process.poll() is None:
                number = self.number
                self.number += 1
                case = self.mutator.case(number)
                self.requests += case.count
                self.under_way[number] = case
                began = time.monotonic()
                data, error = b"", None
                try:
                    data, is_cut = await asyncio.wait_for(self.send(case), DEADLINE)
                    self.judge(case, data, is_cut, self.statuses)
                except TimeoutError:
                    error = Wrong(f"the connection did not end within {DEADLINE} s")
                except (Wrong, ValueError, KeyError) as wrong:
                    error = wrong
                except OSError:
                    # The process is gone; what was under way tells why.
                    await asyncio.sleep(0.5)
                    if self.host.process.poll() is None:
                        error = Wrong("the host takes no connection")
                    else:
                        return
                if error is not None:
                    self.failures.append((case, error, data))
                self.kinds[case.kind] = self.kinds.get(case.kind, 0) + case.count
                self.slowest = max(self.slowest, (time.monotonic() - began, case.number))
                # What killed a process is among those that had just ended, too.
                self.under_way.pop(number - 4 * self.width, None)

        await asyncio.gather(*(work() for _ in range(self.width)))

    async def send(self, case):
        """All that comes back, and whether it may be cut anywhere."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        try:
            return await self.exchange(case, reader, writer)
        finally:
            writer.transport.abort()

    async def exchange(self, case, reader, writer):
        received = bytearray()
        sending = asyncio.create_task(self.write(case, case.pieces, writer, not case.frames))
        is_reset = False
        try:
            if case.ending == "reset":
                await sending
                await asyncio.sleep(0)
                return b"", True
            while True:
                is_stream = b"text/event-stream" in received[:2000]
                try:
                    chunk = await asyncio.wait_for(reader.read(1 << 16), 0.15 if is_stream else DEADLINE)
                except TimeoutError:
                    if is_stream:
                        return bytes(received), True
                    raise
                received += chunk
                if not chunk:
                    break
                if case.frames and received.startswith(b"HTTP/1.1 101 ") and b"\r\n\r\n" in received:
                    await sending
                    pieces, case = case.frames, dataclasses.replace(case, frames=[])
                    sending = asyncio.create_task(self.write(case, pieces, writer, True))
        except ConnectionError:
            is_reset = True
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        return bytes(received), is_reset

    async def write(self, case, pieces, writer, ends):
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if ends and case.ending == "shut":
                writer.write_eof()
        except OSError:
            pass  # Refused before all was sent; the answer tells.


# What becomes of the host


def processes(host):
    """The host's process and those of its functions."""
    found = [host.process.pid]
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "serve-function" in words and str(host.data) in words:
            found.append(int(path.parent.name))
    return found


def memory_kib(host):
    """What each process holds."""
    return {pid: resident_kib(pid) for pid in processes(host)}


def growth_kib(before, after):
    """How much more is held by those that were there before."""
    return sum(after[pid] - before[pid] for pid in before if pid in after)


def descriptors(host):
    return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in processes(host)}


def settled(host, before, timeout=30):
    """Waits until those that were there before have no more files open than then, but for a few of every new process."""

    def is_so():
        now = descriptors(host)
        few = 8 + 8 * len(now.keys() - before.keys())
        return all(now[pid] <= before[pid] + few for pid in before if pid in now)

    wait_until(is_so, timeout, lambda: f"{descriptors(host)} files are open, not {before}")


def check_log(host):
    """No crash, no line that is none, nothing that a terminal or another program would take for something else."""
    data = host.log_path.read_bytes()
    text = data.decode()
    for number, line in enumerate(text.split("\n")[:-1]):
        where = f"line {number + 1}: {line[:500]!r}"
        assert all(ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0 and char not in "\u2028\u2029" for char in line), where
        assert LINE.match(line) or number < 60 and not line.startswith(("GET", "injected")), where
        assert "Fatal error" not in line and "*** " not in line, where
        # A job whose files are not there is what it should be.
        assert not re.search(r" (error|critical) (?!a download failed)", line[:60]), where
