"""Real processes that are killed, and what is left of their runs."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rmt_jacobian.runs import execute, open_store, read_run, summary

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")

HERE = Path(__file__).parent
SAMPLES = 60
SPECIFICATION = f"""
cell = "minimalrnn"
weights = "orthogonal"
steps = 200
width = 24
samples = {SAMPLES}
seed = 1
"""
# A test run in the background of a shell ignores Ctrl-C, and what it starts would too.
PROGRAM = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from rmt_jacobian.cli import main; main()"
)
COMMAND = [sys.executable, "-c", PROGRAM, "run"]


@pytest.fixture(scope="module")
def specification(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "spec.toml"
    path.write_text(SPECIFICATION)
    return path


@pytest.fixture(scope="module")
def uninterrupted(specification):
    return execute(read_run(specification), specification.parent / "whole", workers=1).path


@pytest.fixture
def same(uninterrupted, tree):
    """Return a function that says whether a store has the bytes of an uninterrupted run."""

    def compare(path):
        expected, found = tree(uninterrupted), tree(path)
        assert sorted(found) == sorted(expected)
        return [name for name, content in found.items() if content != expected[name]] == []

    return compare


def stored(store):
    folder = store / "status"
    return len(list(folder.glob("c*"))) if folder.exists() else 0


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
    return found


def start(specification, store, *options):
    return subprocess.Popen(
        [*COMMAND, str(specification), "--store", str(store), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def children(pid):
    """Return the processes that compute for a run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            line = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == pid and "spawn_main" in line:
            found.append(int(folder.name))
    return found


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="the processes of a run are found in /proc"
)


@pytest.mark.slow
@needs_proc
def test_five_kills_at_random_moments(specification, tmp_path, same):
    """Four in one process each, the fifth with two workers; another one ends it."""
    store = tmp_path / "store"
    program = [sys.executable, str(HERE / "killing.py"), str(specification), str(store), "7", "4"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    kills = json.loads(done.stdout)
    assert [kill["signal"] for kill in kills] == [signal.SIGKILL] * 4
    assert all(kill["after"] >= kill["before"] for kill in kills)
    before = stored(store)
    assert 0 < before < SAMPLES
    run = start(specification, store, "--resume", "--workers", "2")
    wait_for(lambda: stored(store) > before)
    workers = children(run.pid)
    run.kill()
    run.communicate()
    assert len(workers) == 2
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))
    assert stored(store) < SAMPLES
    assert summary(open_store(store)).finished == stored(store)
    execute(read_run(specification), store, workers=1, resume=True)
    assert same(store)


@pytest.mark.slow
@needs_proc
def test_a_worker_is_killed_and_the_user_interrupts(specification, tmp_path, same):
    store = tmp_path / "store"
    run = start(specification, store, "--workers", "2")
    wait_for(lambda: stored(store) > 2)
    first = set(children(run.pid))
    os.kill(min(first), signal.SIGKILL)
    wait_for(lambda: len(set(children(run.pid)) - first) == 2)  # both are replaced
    before = stored(store)
    wait_for(lambda: stored(store) > before)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, err = run.communicate()
    assert run.returncode == 130, err
    assert out == ""
    lines = [line.rpartition("\r")[2] for line in err.splitlines() if "rmt-jacobian" in line]
    finished = stored(store)
    assert before < finished < SAMPLES
    assert lines == [
        "rmt-jacobian: a worker was lost: its tasks are given to others",
        f"rmt-jacobian: interrupted: {finished} of {SAMPLES} are stored; go on with: "
        f"rmt-jacobian run {specification} --store {store} --resume",
    ]
    assert "Traceback" not in err
    assert children(run.pid) == []
    execute(read_run(specification), store, workers=1, resume=True)
    assert same(store)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_dask_worker_is_killed(specification, tmp_path, same):
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("dask.distributed is not installed")
    store = tmp_path / "store"
    program = [sys.executable, str(HERE / "dask_killing.py"), str(specification), str(store)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0
    assert found["lost"] == 1
    assert 0 < found["seen"][0] < SAMPLES  # it was under way when the worker died
    assert same(store)
