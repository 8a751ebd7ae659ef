"""What the host costs: a function that answers a few bytes, beside nginx's `return 200`.

CPU microseconds of the server's process, user and kernel, for each request, under the same load; one event loop beside
one worker; no access log on either side. The rounds alternate, so that both see the same machine.
"""

import statistics
import tempfile

import servers

NAME = "http-noop"
ROUNDS = 5
SECONDS = 4


def compare(bench, name, ours, peer, path, watched=()):
    """Loads both in turn and prints the figure. Gives the rounds of ours."""
    for server, target in [(peer, "/"), (ours, path)]:
        servers.Round(bench, server, target, 1)
    rounds = []
    for _ in range(ROUNDS):
        other = servers.Round(bench, peer, "/", SECONDS)
        rounds.append((servers.Round(bench, ours, path, SECONDS, watched=watched), other))
    ratio = statistics.median(mine.cost / other.cost for mine, other in rounds)
    cost = statistics.median(mine.cost for mine, _ in rounds)
    bench.figure(name, cost, "cpu-us/request", "nginx-return-200", ratio)
    for who, index in [("ferry", 0), ("nginx", 1)]:
        bench.note(f"{name}: {who} " + ", ".join(
            f"{pair[index].cost:.1f} us at {pair[index].rate:.0f}/s (p99 {pair[index].p99})" for pair in rounds))
    return [mine for mine, _ in rounds]


def run(bench):
    functions = bench.folder / "functions"
    with tempfile.TemporaryDirectory() as folder:
        servers.build_modules(bench, folder, functions)
        with servers.nginx(bench, folder) as peer:
            with servers.ferry(bench, folder, functions, settings={"http": {"loops": 1}}) as ours:
                compare(bench, NAME, ours, peer, "/noop")
