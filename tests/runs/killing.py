"""A program that runs the command line again and again and kills it at random moments."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path


def stored(store: Path) -> int:
    """Return the number of finished samples."""
    folder = store / "status"
    return sum(name.startswith("c") for name in os.listdir(folder)) if folder.exists() else 0


def kill_once(arguments: list[str], store: Path, rng: random.Random) -> dict[str, int]:
    """Fork, so that nothing need be imported again; kill the child after a few samples."""
    from rmt_jacobian.cli import main

    before = stored(store)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        main(arguments)
    wanted, end = before + rng.choice([0, 1, 1, 2]), time.monotonic() + 60
    while stored(store) < wanted and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(0.03 * rng.random())
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
        "before": before,
        "after": stored(store),
    }


def main() -> None:
    """Read the specification, the store, a seed and the number of kills."""
    from rmt_jacobian.runs import read_run
    from rmt_jacobian.runs.tasks import perform

    specification, store, seed, kills = sys.argv[1:]
    perform(read_run(specification), (0,))  # what this compiles, every child inherits
    arguments = ["run", specification, "--store", store, "--workers", "1", "--resume"]
    rng = random.Random(int(seed))
    print(json.dumps([kill_once(arguments, Path(store), rng) for _ in range(int(kills))]))


if __name__ == "__main__":
    main()
