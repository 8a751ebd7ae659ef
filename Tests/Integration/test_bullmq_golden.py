"""The golden file of the BullQueue tests is what the pinned `bullmq` client does today."""

import json
import subprocess
import sys

from conftest import ROOT

FIXTURES = ROOT / "Tests" / "BullQueueTests" / "Fixtures"


def test_golden_file_is_what_the_peer_does():
    made = subprocess.run(
        [sys.executable, str(FIXTURES / "make_golden.py")], capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(made.stdout) == json.loads((FIXTURES / "golden.json").read_text())
