"""What the tests of `ferry dev` share: functions that say their version, ways to save, and clients that keep score."""

import asyncio
import os
import time

HTTP = """import FunctionKit

struct Answer: HTTPFunction {{
    func handle(_ request: Request, _ context: Context) async throws -> Response {{
        try await Task.sleep(for: .milliseconds({pause}))
        return .text("{version}")
    }}
}}
"""


def source(version, pause=0):
    """A handler that answers with its version."""
    return HTTP.format(version=version, pause=pause)


def rewrite(path, text):
    """Saves as simple editors do: the file is emptied and written."""
    path.write_text(text)


def replace(path, text):
    """Saves as vim does: a swap file beside it, a backup, a new file in the place of the old one."""
    swap = path.with_name(f".{path.name}.swp")
    swap.write_text("b0VIM")
    backup = path.with_name(path.name + "~")
    if path.exists():
        os.rename(path, backup)
    path.write_text(text)
    backup.unlink(missing_ok=True)
    swap.unlink()


def rename_over(path, text):
    """Saves as safe writers do: a temporary file, renamed over the old one."""
    other = path.with_name(f".{path.name}.tmp-1")
    other.write_text(text)
    os.rename(other, path)


class Tally:
    """What the clients of a load have seen."""

    def __init__(self):
        self.answers = 0
        self.failures = []
        self.seen = set()

    def fail(self, text):
        if len(self.failures) < 20:
            self.failures.append(text)


class Load:
    """Keep-alive connections that ask for one path over and over, with a pause between requests."""

    def __init__(self, port, path, connections, pause=0.01):
        self.port, self.path, self.connections, self.pause = port, path, connections, pause
        self.tally = Tally()
        self.newest = 0
        self.stopped = False

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(self.client(i)) for i in range(self.connections)]
        return self

    async def __aexit__(self, *_):
        self.stopped = True
        await asyncio.gather(*self.tasks)

    async def client(self, number):
        """Counts everything but a whole answer of a version that is not older than the one before as a failure."""
        try:
            await asyncio.sleep(self.pause * number / self.connections)
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            last = 0
            request = f"GET {self.path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()
            while not self.stopped:
                writer.write(request)
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = (await asyncio.wait_for(reader.readexactly(length), 30)).decode()
                self.tally.answers += 1
                if not head.startswith(b"HTTP/1.1 200 "):
                    self.tally.fail(f"{head[:40]} {body[:200]}")
                    continue
                version = int(body)
                if not last <= version <= self.newest:
                    self.tally.fail(f"{version} after {last}, the newest is {self.newest}")
                last = version
                self.tally.seen.add(version)
                await asyncio.sleep(self.pause)
            writer.close()
        except Exception as error:  # noqa: BLE001 what ends a connection is what is counted
            self.tally.fail(repr(error))

    async def until_seen(self, version, timeout=60):
        """Waits for the first answer of a version and gives the time that it took, in seconds."""
        start = time.monotonic()
        while version not in self.tally.seen:
            assert time.monotonic() < start + timeout, (version, self.tally.seen, self.tally.failures)
            await asyncio.sleep(0.002)
        return time.monotonic() - start
