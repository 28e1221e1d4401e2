"""How long a user waits before anything happens; the bare interpreter is the yardstick."""

import subprocess
import sys

import pytest

COMMANDS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "import rmt_jacobian": [sys.executable, "-c", "import rmt_jacobian"],  # goal: 0.5 s
    "rmt-jacobian --help": [  # goal: 1 s
        sys.executable, "-c", "from rmt_jacobian.cli import main; main(['--help'])",
    ],
    "rmt-jacobian mean-field": [
        sys.executable, "-c", "from rmt_jacobian.cli import main; main(['mean-field', 'vanilla'])",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_startup(benchmark, name):
    def run() -> None:
        subprocess.run(COMMANDS[name], check=True, stdout=subprocess.DEVNULL)

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
