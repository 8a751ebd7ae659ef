"""What the benchmarks share: release builds, programs of the system, the line that tells a figure."""

import functools
import json
import os
import shutil
import subprocess
import sys


class BenchError(Exception):
    """A benchmark that could not be run."""


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.root = folder.parent
        self.scratch = os.path.abspath(os.environ.get("SCRATCH") or self.root / ".build-release")

    @functools.cache
    def ferry(self):
        """The release build of the host: what FERRY names, else what `make build` makes."""
        ready = os.environ.get("FERRY")
        if ready:
            return os.path.abspath(ready)
        command = ["make", "--no-print-directory", "-C", str(self.root), "build", "CONFIG=release"]
        self.check(command + [f"SCRATCH={self.scratch}"], stdout=sys.stderr)
        return os.path.join(self.scratch, "release", "ferry")

    @functools.cache
    def build(self, product):
        """Builds a program of this package in release mode and gives its path."""
        command = ["swift", "build", "-c", "release", "--package-path", str(self.folder)]
        command += ["--scratch-path", os.path.join(self.scratch, "bench")]
        self.check(command + ["--product", product], stdout=sys.stderr)
        path = self.check(command + ["--show-bin-path"], stdout=subprocess.PIPE)
        return os.path.join(path.strip(), product)

    def tool(self, name):
        """Finds a program of the system, also where only root's PATH leads."""
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if not path:
            raise BenchError(f"{name} was not found; scripts/setup bench installs it")
        return path

    def check(self, command, timeout=3600, **options):
        """Runs a command to its end and gives its output, if it is a pipe; failure ends the benchmark."""
        try:
            result = subprocess.run(command, timeout=timeout, text=True, **options)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchError(str(error)) from error
        if result.returncode != 0:
            raise BenchError(f"{' '.join(map(str, command))} ended with {result.returncode}")
        return result.stdout

    def json(self, command, timeout=120):
        """Runs a command that prints JSON and gives the value."""
        return json.loads(self.check(command, timeout=timeout, stdout=subprocess.PIPE))

    def python(self, source, *arguments, timeout=120):
        """Runs Python source in a process of its own; it prints JSON."""
        return self.json([sys.executable, "-c", source, *map(str, arguments)], timeout=timeout)

    def figure(self, name, value, unit, peer, ratio):
        """Prints a figure: the ratio is ours to the peer's."""
        print(f"bench {name} {value:.4g} {unit} vs {peer} {ratio:.3g}", flush=True)

    def note(self, text):
        """Prints what helps to read the figures."""
        print(f"  note: {text}", file=sys.stderr, flush=True)
