"""The real nginx with the shipped deploy/nginx/ferry.conf, and hosts behind it."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess

from conftest import ROOT
from support import Client, wait_until

SHIPPED = ROOT / "deploy" / "nginx"


def nginx_binary():
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    assert found, "nginx was not found; scripts/setup test installs it"
    return found


class Nginx:
    """nginx in a folder of its own, on a port of its own."""

    def __init__(self, folder, ports, server=""):
        self.folder = pathlib.Path(folder) / "nginx"
        (self.folder / "ferry.d").mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        shutil.copy(SHIPPED / "ferry.conf", self.folder)
        self.hosts_path = self.folder / "ferry.d" / "hosts.conf"
        text = (SHIPPED / "ferry.d" / "hosts.conf").read_text()
        for shipped, port in zip(["3001", "3002", "3003"], ports, strict=True):
            text = text.replace(f":{shipped} ", f":{port} ")
        self.hosts_path.write_text(text)
        self.access_path = self.folder / "access.log"
        (self.folder / "ferry.d" / "server.conf").write_text(
            f"listen 127.0.0.1:{self.port};\naccess_log {self.access_path} ferry;\n{server}")
        temporary = "".join(
            f"{name}_temp_path {self.folder}/{name};\n" for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        # Workers that are not root could not read the test's folder.
        user = "user root;\n" if os.getuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            f"daemon off; {user} pid {self.folder}/nginx.pid; worker_processes 2; worker_rlimit_nofile 8192;\n"
            f"events {{ worker_connections 4000; }}\nhttp {{ {temporary} include ferry.conf; }}\n")
        self.command = [nginx_binary(), "-p", str(self.folder), "-e", str(self.folder / "error.log")]
        self.command += ["-c", str(self.folder / "nginx.conf")]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

        def answers():
            assert self.process.poll() is None, self.errors()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        wait_until(answers, 20, self.errors)
        self.client = Client("127.0.0.1", self.port)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def check(self):
        return subprocess.run([*self.command, "-t"], capture_output=True, text=True, timeout=20)

    def errors(self):
        path = self.folder / "error.log"
        return path.read_text(errors="replace")[-4000:] if path.exists() else ""

    def access(self):
        return self.access_path.read_text()
