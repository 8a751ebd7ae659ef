"""What a status request costs: a job of three files that is in Redis, beside nginx's `return 200`.

As http-noop; the private redis-server is a process of its own and its cost a note beside the figure.
"""

import statistics
import tempfile

import servers
from http_noop import compare
from harness import BenchError

NAME = "http-status"
FILES = [100001, 100002, 100003]


def make_job(server):
    """Makes a job that waits, as no worker runs, and gives the path of its status."""
    status, body = server.request("POST", "/v1/download/initiate", {"file_ids": FILES})
    if status != 202:
        raise BenchError(f"initiate answered {status}: {body}")
    path = f"/v1/download/job/{body['jobId']}"
    status, body = server.request("GET", path)
    if status != 200:
        raise BenchError(f"{path} answered {status}: {body}")
    return path


def run(bench):
    functions = bench.root / "functions"
    with tempfile.TemporaryDirectory() as folder:
        servers.build_modules(bench, folder, functions, "initiate", "status")
        with servers.nginx(bench, folder) as peer:
            with servers.ferry(bench, folder, functions, "initiate,status", {"http": {"loops": 1}}) as ours:
                path = make_job(ours)
                rounds = compare(bench, NAME, ours, peer, path, watched=[servers.redis_pid(folder)])
                cost = statistics.median(mine.watched[0] for mine in rounds)
                bench.note(f"{NAME}: redis-server itself {cost:.1f} us")
