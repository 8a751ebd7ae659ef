"""Bytes archived per second of CPU time, STORE, to a null sink, beside Python's zipfile doing the same.

Buffers in memory go through ZipFile.writestr, files on a tmpfs through ZipFile.write; each side reads its own.
"""

import os
import tempfile

NAME = "zip-store"

# Name, members, their size; the first is the headline figure.
FROM_MEMORY = [("zip-store", 64, 1 << 20), ("zip-store-large", 4, 64 << 20), ("zip-store-small", 4096, 16 << 10)]
FROM_FILES = [("zip-store-files", 64, 1 << 20)]

PEER = """
import json, os, sys, time, zipfile

members, size = map(int, sys.argv[1:3])
folder = sys.argv[3] if len(sys.argv) > 3 else None
contents = [b"" if folder else os.urandom(size) for _ in range(members)]

class NullSink:
    count = 0
    def write(self, data):
        self.count += len(data)
        return len(data)
    def flush(self):
        pass

def archive():
    sink = NullSink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as target:
        for index, data in enumerate(contents):
            if folder:
                target.write(f"{folder}/{index}", f"member-{index}.bin")
            else:
                target.writestr(zipfile.ZipInfo(f"member-{index}.bin"), data)
    return sink.count

archive()
total, start = 0, time.process_time()
while time.process_time() - start < 2:
    total += archive()
print(json.dumps({"bytes": total, "cpu_seconds": time.process_time() - start}))
"""


def rate(result):
    return result["bytes"] / result["cpu_seconds"] / 1e9


def compare(bench, program, name, *arguments):
    # One after the other, twice each, the better of both: the machine may be busy for a moment.
    ours, peer = 0, 0
    for _ in range(2):
        ours = max(ours, rate(bench.json([program, *map(str, arguments)])))
        peer = max(peer, rate(bench.python(PEER, *arguments)))
    bench.figure(name, ours, "GB/cpu-s", "python-zipfile", ours / peer)


def run(bench):
    program = bench.build("zip-store")
    for name, members, size in FROM_MEMORY:
        compare(bench, program, name, members, size)
    for name, members, size in FROM_FILES:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            for index in range(members):
                with open(f"{folder}/{index}", "wb") as file:
                    file.write(os.urandom(size))
            compare(bench, program, name, members, size, folder)
