import subprocess
import sys
from pathlib import Path


def test_runs_that_are_killed_and_stopped_end_as_unbroken_ones():
    # A process of its own, which forks: this one has threads.
    command = [sys.executable, "-m", "tests.soak", "--kills", "9"]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 times broken, 0 differences" in done.stdout
