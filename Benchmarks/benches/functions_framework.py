"""A no-op beside another function host: PyPI `functions-framework` over its production server, gunicorn, as it comes.

CPU microseconds of all processes of each side for a request, under the same load: the peer's master and worker; the host
and the redis-server that it starts. One worker beside one event loop, no access log on either side; the rounds
alternate, so that both see the same machine.
"""

import os
import pathlib
import statistics
import tempfile

import servers
from harness import BenchError

NAME = "functions-framework"
ROUNDS = 3
SECONDS = 3
CONNECTIONS = 16


def descendants(pid):
    """The processes that a process has started, and theirs."""
    parents = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found[1:]


def peer(bench, folder):
    program = bench.root / ".venv" / "peers" / "functions-framework" / "bin" / "functions-framework"
    if not os.access(program, os.X_OK):
        raise BenchError("functions-framework was not found; scripts/setup bench installs it")
    port = servers.free_port()
    command = [str(program), "--source", str(bench.folder / "peers" / "functions_framework_peer.py"), "--target", "noop",
               "--host", "127.0.0.1", "--port", str(port)]
    return servers.Server(command, port, f"{folder}/functions-framework.log")


def load(bench, server, path, seconds):
    """One round, and what it cost all processes of a server."""
    round = servers.Round(bench, server, path, seconds, connections=CONNECTIONS, watched=descendants(server.pid))
    return round, round.cost + sum(round.watched)


def run(bench):
    functions = bench.folder / "functions"
    with tempfile.TemporaryDirectory() as folder:
        servers.build_modules(bench, folder, functions)
        with peer(bench, folder) as other:
            with servers.ferry(bench, folder, functions, settings={"http": {"loops": 1}}) as ours:
                for server, path in [(other, "/"), (ours, "/noop")]:
                    load(bench, server, path, 1)
                rounds = [(load(bench, ours, "/noop", SECONDS), load(bench, other, "/", SECONDS))
                          for _ in range(ROUNDS)]
    ratio = statistics.median(mine[1] / theirs[1] for mine, theirs in rounds)
    cost = statistics.median(mine[1] for mine, _ in rounds)
    bench.figure(NAME, cost, "cpu-us/request", "python-functions-framework", ratio)
    for who, index in [("ferry", 0), ("functions-framework", 1)]:
        bench.note(f"{NAME}: {who} " + ", ".join(
            f"{pair[index][1]:.1f} us at {pair[index][0].rate:.0f}/s (p99 {pair[index][0].p99})" for pair in rounds))
