"""A program that runs the command line on a dask cluster and kills a worker of it."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path


def stored(store: Path) -> int:
    """Return the number of finished samples."""
    folder = store / "status"
    return sum(name.startswith("c") for name in os.listdir(folder)) if folder.exists() else 0


def kill_after(count: int, store: Path, worker: int, seen: list[int]) -> None:
    """Kill a process once so many samples are finished."""
    end = time.monotonic() + 120
    while stored(store) < count and time.monotonic() < end:
        time.sleep(0.001)
    os.kill(worker, signal.SIGKILL)
    seen.append(stored(store))


def main() -> None:
    """Read the specification and the store."""
    from distributed import Client, LocalCluster

    from rmt_jacobian.cli import main as command

    specification, store = sys.argv[1:]
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        with Client(cluster, set_as_default=False) as client:
            workers = client.run(os.getpid)
        seen: list[int] = []
        killer = threading.Thread(
            target=kill_after, args=(3, Path(store), next(iter(workers.values())), seen)
        )
        killer.start()
        try:
            command(["run", specification, "--store", store, "--dask", cluster.scheduler_address])
        except SystemExit as ended:
            killer.join()
            with Client(cluster, set_as_default=False) as client:
                after = client.run(os.getpid)
            lost = set(workers.values()) - set(after.values())
            print(json.dumps({"code": ended.code, "seen": seen, "lost": len(lost)}))


if __name__ == "__main__":
    main()
