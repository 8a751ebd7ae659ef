"""What a process boundary costs a call: the same function through `ferry serve --isolate` and in the host's own process.

CPU microseconds of all processes, the supervisor's and the function's, for each request, under the same load and one event
loop each; the rounds alternate.
"""

import statistics
import tempfile

import servers
from cold_isolate import function_processes
from harness import BenchError

NAME = "isolate-call"
ROUNDS = 5
SECONDS = 4


def run(bench):
    functions = bench.folder / "functions"
    with tempfile.TemporaryDirectory() as folder:
        servers.build_modules(bench, folder, functions)
        settings = {"http": {"loops": 1}}
        with servers.ferry(bench, folder, functions, settings=settings) as alone:
            with servers.ferry(bench, folder, functions, settings=settings, arguments=["--isolate"]) as host:
                servers.Round(bench, alone, "/noop", 1)
                servers.Round(bench, host, "/noop", 1)
                processes = function_processes(host)
                if len(processes) != 1:
                    raise BenchError(f"{len(processes)} processes serve the function")
                rounds = []
                for _ in range(ROUNDS):
                    mine = servers.Round(bench, alone, "/noop", SECONDS)
                    rounds.append((servers.Round(bench, host, "/noop", SECONDS, watched=processes), mine))
    costs = [(isolated.cost + sum(isolated.watched), mine.cost) for isolated, mine in rounds]
    ratio = statistics.median(isolated / mine for isolated, mine in costs)
    bench.figure(NAME, statistics.median(cost for cost, _ in costs), "cpu-us/request", "in-process", ratio)
    bench.note(f"{NAME}: " + ", ".join(
        f"{isolated.cost:.1f} + {sum(isolated.watched):.1f} us at {isolated.rate:.0f}/s (p99 {isolated.p99}) beside "
        f"{mine.cost:.1f} at {mine.rate:.0f}/s (p99 {mine.p99})" for isolated, mine in rounds))
