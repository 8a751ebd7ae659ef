"""Servers under test, and the load on them. Each server is a process of its own in a temporary folder."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

from harness import BenchError

START_SECONDS = 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cpu_seconds(pid):
    """The CPU time of a process so far, in user and kernel mode."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """The processes that a process has started and that have not ended."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{int(entry)}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except (ValueError, OSError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry))
    return found


def resident_megabytes(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) / 1024


class Server:
    """A process that listens on a port of 127.0.0.1; use it in `with`."""

    def __init__(self, command, port, log):
        self.command, self.port, self.log = command, port, log

    def __enter__(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise BenchError(f"{self.command[0]} does not listen; see {self.log}:\n{self.tail()}")

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def tail(self):
        with open(self.log, errors="replace") as file:
            return file.read()[-2000:]

    def request(self, method, path, body=None):
        """Sends one request and gives status and JSON body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body and json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text)


def nginx(bench, folder):
    """nginx as one process that answers 200 with a few bytes, without an access log."""
    port = free_port()
    os.makedirs(f"{folder}/nginx", exist_ok=True)
    paths = "".join(
        f"{name}_temp_path {folder}/nginx/{name};\n" for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(
            f"daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;\n"
            f"error_log {folder}/nginx-error.log; events {{ worker_connections 1024; }}\n"
            f"http {{ access_log off; keepalive_requests 1000000000;\n{paths}"
            f"server {{ listen 127.0.0.1:{port}; location / {{ default_type text/plain; return 200 'ok\\n'; }} }} }}\n")
    command = [bench.tool("nginx"), "-p", folder, "-e", f"{folder}/nginx-error.log", "-c", f"{folder}/nginx.conf"]
    return Server(command, port, f"{folder}/nginx-error.log")


def ferry(bench, folder, functions, only=None, settings=None, arguments=()):
    """A release host that shares the data folder with the others of this folder."""
    port = free_port()
    configuration = {"http": {"accessLog": False}, "storage": {"port": storage_port(folder)}}
    for key, value in (settings or {}).items():
        configuration[key] = configuration.get(key, {}) | value
    path = f"{folder}/config-{port}.json"
    with open(path, "w") as file:
        json.dump(configuration, file)
    command = [bench.ferry(), "serve", "--functions", str(functions), "--data", f"{folder}/data", "--config", path]
    command += ["--listen", f"127.0.0.1:{port}"] + (["--only", only] if only else []) + list(arguments)
    return Server(command, port, f"{folder}/ferry.log")


def storage_port(folder):
    """The port of the folder's S3 endpoint, chosen once."""
    path = f"{folder}/storage-port"
    if not os.path.exists(path):
        with open(path, "w") as file:
            file.write(str(free_port()))
    with open(path) as file:
        return int(file.read())


def build_modules(bench, folder, functions, *names):
    command = [bench.ferry(), "build", "--functions", str(functions), "--data", f"{folder}/data", *names]
    bench.check(command, stdout=subprocess.DEVNULL)


def redis_pid(folder):
    with open(f"{folder}/data/redis/redis.pid") as file:
        return int(file.read())


class Round:
    """Requests of one wrk run and what they cost each watched process, in CPU microseconds a request."""

    def __init__(self, bench, server, path, seconds, connections=64, watched=()):
        pids = [server.pid, *watched]
        before = [cpu_seconds(pid) for pid in pids]
        text = bench.check(
            [bench.tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
             f"http://127.0.0.1:{server.port}{path}"], stdout=subprocess.PIPE)
        after = [cpu_seconds(pid) for pid in pids]
        if "Non-2xx" in text or "Socket errors" in text:
            raise BenchError(f"errors under load:\n{text}")
        self.requests = int(re.search(r"(\d+) requests in", text)[1])
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
        self.p99 = re.search(r"99%\s+(\S+)", text)[1]
        costs = [(end - start) * 1e6 / self.requests for start, end in zip(before, after)]
        self.cost, self.watched = costs[0], costs[1:]
