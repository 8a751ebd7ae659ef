"""A PostgreSQL server for a benchmark: a fresh cluster with the server's defaults, so with fsync, on a Unix socket alone."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

from harness import BenchError

START_SECONDS = 60


class PostgreSQL:
    """Use it in `with`. It refuses to run as root, and runs as another user then."""

    def __init__(self, bench):
        folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda path: int(path.parent.name))
        self.binaries = folders[-1] if folders else pathlib.Path(bench.tool("initdb")).parent

    def __enter__(self):
        # The path of a socket has at most 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="ferry-pg-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.options = {"cwd": "/", "env": {"PATH": os.environ["PATH"], "HOME": "/", "LC_ALL": "C"}}
        if os.getuid() == 0:
            known = {entry.pw_name for entry in pwd.getpwall()}
            account = pwd.getpwnam("postgres" if "postgres" in known else "nobody")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self.log = f"{self.folder}.log"
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        data = f"{self.folder}/data"
        self.process = None
        with open(self.log, "ab") as log:
            output = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            made = [str(self.binaries / "initdb"), "-D", data, "-A", "trust", "-U", "ferry", "-E", "UTF8", "--locale=C"]
            if subprocess.run(made, timeout=120, **output, **self.options).returncode != 0:
                raise BenchError(f"initdb failed; see {self.log}:\n{self.tail()}")
            self.process = subprocess.Popen(
                [str(self.binaries / "postgres"), "-D", data, "-k", self.folder, "-c", "listen_addresses="],
                **output, **self.options)
        end = time.monotonic() + START_SECONDS
        while subprocess.run([str(self.binaries / "pg_isready"), "-q", "-h", self.folder], timeout=30).returncode != 0:
            if time.monotonic() > end or self.process.poll() is not None:
                raise BenchError(f"postgres does not answer; see {self.log}:\n{self.tail()}")
            time.sleep(0.05)

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        pathlib.Path(self.log).unlink(missing_ok=True)

    def tail(self):
        with open(self.log, errors="replace") as file:
            return file.read()[-2000:]

    def url(self, database="postgres"):
        return f"postgresql://ferry@{urllib.parse.quote(self.folder, safe='')}/{database}"

    def query(self, sql, database="postgres"):
        """Runs SQL and gives the first column of the first row, if there is one."""
        result = subprocess.run(
            [str(self.binaries / "psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, self.url(database)],
            capture_output=True, text=True, timeout=60)
        if result.returncode != 0:
            raise BenchError(f"psql: {result.stderr}")
        return result.stdout.partition("\n")[0]
