"""What the benchmarks share: release builds, child processes, the line that tells a figure."""

import json
import os
import subprocess
import sys


class BenchError(Exception):
    """A benchmark that could not be run."""


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.root = folder.parent
        scratch = os.environ.get("SCRATCH")
        self.scratch = os.path.abspath(scratch) if scratch else str(self.root / ".build-bench")

    def build(self, product, package=None):
        """Builds a product in release mode and gives its path; by default one of this package's, else e.g. bench.root's."""
        package = package or self.folder
        scratch = os.path.join(self.scratch, "bench" if package == self.folder else "root")
        command = ["swift", "build", "-c", "release", "--package-path", str(package), "--scratch-path", scratch]
        self.check(command + ["--product", product], stdout=sys.stderr)
        path = self.check(command + ["--show-bin-path"], stdout=subprocess.PIPE)
        return os.path.join(path.strip(), product)

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
