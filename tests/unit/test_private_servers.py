"""``python -m tests.servers``: what it takes."""

import subprocess
import sys

from tests.conftest import ROOT


def test_the_servers_explain_themselves_and_refuse_what_they_are_not() -> None:
    command = [sys.executable, "-m", "tests.servers"]
    told = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "postgres, mysql, pgbouncer" in told
    refused = subprocess.run([*command, "oracle"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "there is no oracle" in refused.stderr
