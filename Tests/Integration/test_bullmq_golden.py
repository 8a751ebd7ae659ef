"""The golden files of the BullQueue tests are what the pinned `bullmq` client does today."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

FIXTURES = ROOT / "Tests" / "BullQueueTests" / "Fixtures"


@pytest.mark.parametrize("name", ["golden", "cron"])
def test_golden_file_is_what_the_peer_does(name):
    made = subprocess.run(
        [sys.executable, str(FIXTURES / f"make_{name}.py")], capture_output=True, text=True, timeout=180, check=True
    )
    assert json.loads(made.stdout) == json.loads((FIXTURES / f"{name}.json").read_text())
