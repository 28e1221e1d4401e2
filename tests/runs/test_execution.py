"""Runs in one process: order, failures, full disks, and who may compute."""

import errno
import os
import random
import shutil
import subprocess
import time
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from rmt_jacobian.cells import Parameters, vanilla
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.runs import (
    Axis,
    Grid,
    Run,
    StoreError,
    Sweep,
    UnfinishedRunError,
    ensemble,
    execute,
    maps,
    open_store,
    quantities,
    store as store_module,
    summary,
    tasks,
)


@pytest.fixture
def whole(run, tmp_path, tree):
    return tree(execute(run, tmp_path / "whole", workers=1).path)


@pytest.fixture
def sweep():
    parameters = Parameters.of(vanilla, weight_std=1, input_std=1, input_variance=1)
    axis = Axis("weight_std", (0.5, 1.0, 1.5))
    return Run(vanilla, parameters, Sweep(("chi_1", "variance")), Grid((axis,)))


class Shuffled(Executor):
    """Computes tasks when asked, in any order; some may fail."""

    def __init__(self, seed=0, failures=(), at_once=4):
        self.rng, self.at_once = random.Random(seed), at_once
        self.failures, self.tasks, self.count = list(failures), [], 0

    def submit(self, function, /, *arguments):
        future = Future()
        self.tasks.append((future, function, arguments))
        if len(self.tasks) >= self.at_once:
            self.work()
        return future

    def work(self):
        self.rng.shuffle(self.tasks)
        for future, function, arguments in self.tasks:
            self.count += 1
            if self.failures:
                future.set_exception(self.failures.pop(0))
            else:
                future.set_result(function(*arguments))
        self.tasks = []


def test_the_order_of_tasks_does_not_matter(run, tmp_path, tree, whole):
    for seed in range(3):
        path = tmp_path / f"store{seed}"
        execute(run, path, executor=Shuffled(seed, at_once=3))
        assert tree(path) == whole


def test_threads_of_one_process(run, tmp_path, tree, whole):
    with ThreadPoolExecutor(4) as pool:
        execute(run, tmp_path / "store", executor=pool)
        assert pool.submit(max, 1, 2).result() == 2  # it is left open
    assert tree(tmp_path / "store") == whole


def blas_threads():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_one_blas_thread_as_long_as_any_task_runs(sweep, tmp_path, monkeypatch):
    """Tasks of one process share the setting; none may lift the limit of another."""
    seen = []

    def watches(point):
        time.sleep(0.05 * point.parameters.only.weight_std)
        seen.append(blas_threads())
        return 1.0

    monkeypatch.setitem(quantities.QUANTITIES, "variance", watches)
    with threadpool_limits(2):
        if blas_threads() != {2}:
            pytest.skip("this library of linear algebra has a fixed number of threads")
        with ThreadPoolExecutor(3) as pool:
            execute(sweep, tmp_path / "store", executor=pool)
        assert blas_threads() == {2}  # as it was
    assert seen == [{1}] * 3


def test_resuming_does_only_what_is_missing(run, tmp_path, tree, whole):
    path = tmp_path / "store"
    execute(run, path, workers=1)
    for k in (1, 4):
        (path / f"status/c.{k}").unlink()
    pool = Shuffled(at_once=2)
    execute(run, path, executor=pool, resume=True)
    assert pool.count == 2
    assert tree(path) == whole
    execute(run, path, executor=pool, resume=True)
    assert pool.count == 2


def test_lost_workers_are_replaced(run, tmp_path, tree, whole):
    lines = []
    pool = Shuffled(failures=[BrokenProcessPool("gone")] * 2, at_once=2)
    execute(run, tmp_path / "store", executor=pool, say=lines.append)
    assert tree(tmp_path / "store") == whole
    assert lines == ["a worker was lost: its tasks are given to others"]


def test_workers_that_keep_dying_end_the_run(run, tmp_path, tree, whole):
    path = tmp_path / "store"
    pool = Shuffled(failures=[BrokenProcessPool("gone")] * 100, at_once=2)
    with pytest.raises(UnfinishedRunError, match=r"lost 4 times in a row .*resume the run"):
        execute(run, path, executor=pool)
    execute(run, path, workers=1, resume=True)
    assert tree(path) == whole


def test_a_sample_that_kills_its_workers_does_not_keep_others_from_being_finished(run, tmp_path):
    class Poisoned(Shuffled):
        """A pool of one worker, in which one sample is fatal."""

        def work(self):
            tasks, self.tasks = self.tasks, []
            broken = False
            for future, function, arguments in tasks:
                broken = broken or arguments[1] == (0,)
                if broken:
                    future.set_exception(BrokenProcessPool("gone"))
                else:
                    future.set_result(function(*arguments))

    path = tmp_path / "store"
    with pytest.raises(UnfinishedRunError, match="lost 4 times in a row"):
        execute(run, path, executor=Poisoned(at_once=1))
    assert open_store(path).status().tolist() == [0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (MemoryError("8 GiB"), r"not enough memory at sample \d \(8 GiB\): use fewer workers"),
        (CancelledError(), "tasks were cancelled: .*scheduler of its cluster was lost; resume"),
        (ModuleNotFoundError("no module"), r"no module\): install rmt-jacobian where"),
    ],
)
def test_failures_of_workers_are_explained(run, tmp_path, failure, message):
    with pytest.raises(UnfinishedRunError, match=message):
        execute(run, tmp_path / "store", executor=Shuffled(failures=[failure], at_once=2))


def test_a_mistake_in_the_code_is_not_hidden(run, tmp_path):
    with pytest.raises(KeyError, match="mistake"):
        execute(run, tmp_path / "store", executor=Shuffled(failures=[KeyError("mistake")]))


def test_other_versions_are_noted_and_named(run, tmp_path, monkeypatch):
    path, lines = tmp_path / "store", []
    execute(run, path, workers=1, say=lines.append)
    (path / "status/c.2").unlink()
    own = tasks.environment()
    monkeypatch.setattr(tasks, "environment", lambda device: {**own, "numpy": "0.1"})
    execute(run, path, workers=1, resume=True, say=lines.append)
    assert [each["numpy"] for each in open_store(path).environments] == ["0.1", own["numpy"]]
    assert lines == [
        "the results in the store were not all computed with the same versions or on the same "
        "kind of processor: see its metadata; last digits may differ"
    ]


def test_a_closed_executor(run, tmp_path):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(UnfinishedRunError, match="cannot schedule new futures"):
        execute(run, tmp_path / "store", executor=pool)


def test_either_an_executor_or_workers(run, tmp_path):
    with pytest.raises(ParameterError, match="not both"):
        execute(run, tmp_path / "store", executor=Shuffled(), workers=2)
    with pytest.raises(ParameterError, match="workers must be"):
        execute(run, tmp_path / "store", workers=0)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("at", [0, 1, 2, 5, 10, 12])
def test_a_full_disk_loses_nothing_that_was_finished(run, tmp_path, tree, whole, monkeypatch, at):
    """Whichever write fails: of the environment, of values, or of the mark of a sample."""
    path, left = tmp_path / "store", [at]
    write_through = store_module._write_through

    def fills_up(stream, content):
        if not left[0]:
            stream.write(content[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        write_through(stream, content)

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_write_through", fills_up)
        with pytest.raises(UnfinishedRunError, match="No space left on device; what was finished"):
            execute(run, path, workers=1)
    # One write is that of the environment, and every sample takes two.
    assert summary(open_store(path)).finished == max(0, (at - 1) // 2)
    execute(run, path, workers=1, resume=True)
    assert tree(path) == whole


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system takes the rights of an administrator")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_file_system_that_is_really_full(run, small_disk, tmp_path, tree):
    run = replace(run, work=replace(run.work, samples=20))
    expected = tree(execute(run, tmp_path / "whole", workers=1).path)
    path = small_disk / "store"
    with pytest.raises(UnfinishedRunError, match="No space left on device"):
        execute(run, path, workers=1)
    stored = summary(open_store(path)).finished
    assert 0 < stored < 20
    larger = ["mount", "-o", "remount,size=2m", str(small_disk)]
    subprocess.run(larger, check=True)
    execute(run, path, workers=1, resume=True)
    assert tree(path) == expected


def test_a_store_that_cannot_be_made(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the store"):
        execute(run, tmp_path / "file" / "store", workers=1)
    assert os.listdir(tmp_path) == ["file"]


class Interrupting(Shuffled):
    """Finishes some tasks, and then the user presses Ctrl-C."""

    def work(self):
        tasks, self.tasks = self.tasks, []
        for future, function, arguments in tasks[:2]:
            future.set_result(function(*arguments))
        raise KeyboardInterrupt


def test_what_is_ready_is_stored_when_the_user_interrupts(run, tmp_path, tree, whole):
    path = tmp_path / "store"
    with pytest.raises(KeyboardInterrupt):
        execute(run, path, executor=Interrupting(at_once=4))
    assert summary(open_store(path)).finished == 2
    execute(run, path, workers=1, resume=True)
    assert tree(path) == whole


def test_points_without_an_answer_are_blank_and_counted(sweep, tmp_path, monkeypatch):
    def fails(point):
        if point.parameters.only.weight_std == 1.0:
            raise ConvergenceError("no luck")
        if point.parameters.only.weight_std == 1.5:
            raise ParameterError("no such thing")
        return 7.0

    monkeypatch.setitem(quantities.QUANTITIES, "variance", fails)
    lines = []
    store = execute(sweep, tmp_path / "store", workers=1, say=lines.append)
    found = summary(store)
    assert (found.finished, found.samples, found.unconverged, found.undefined) == (3, 3, 1, 1)
    assert maps(store)["variance"].tolist() == pytest.approx([7, np.nan, np.nan], nan_ok=True)
    assert np.isfinite(maps(store)["chi_1"]).all()  # the others are kept
    assert lines == [
        "no answer at weight_std = 1: variance: no luck",
        "no answer at weight_std = 1.5: variance: no such thing",
    ]
    assert store.status().tolist() == [1, 2, 3]
    before = store.checksum()
    assert execute(sweep, tmp_path / "store", workers=1, resume=True).checksum() == before


def test_not_a_number_is_no_answer(sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(quantities.QUANTITIES, "variance", lambda point: float("nan"))
    store = execute(sweep, tmp_path / "store", workers=1)
    assert store.status().tolist() == [2, 2, 2]


def test_a_product_beyond_floating_point_is_no_answer(run, tmp_path, monkeypatch):
    products = ensemble.jacobian_products

    def overflowing(network, steps):
        for t, step, product in products(network, steps):
            yield t, step, None if product is None else 1e300 * (1e300 * product)

    monkeypatch.setattr(ensemble, "jacobian_products", overflowing)
    with pytest.raises(ConvergenceError, match="spectrum = "):
        execute(run, tmp_path / "a", workers=1)
    grid = Grid((Axis("bias_std", (0.0, 1.0)),))
    store = execute(replace(run, grid=grid), tmp_path / "b", workers=1)
    assert store.status().tolist() == [[2] * 6] * 2
    assert np.isnan(store.values("singular_values")).all()


def test_without_a_grid_the_lack_of_an_answer_is_an_error(sweep, tmp_path, monkeypatch):
    def fails(point):
        raise ConvergenceError("no luck")

    monkeypatch.setitem(quantities.QUANTITIES, "variance", fails)
    with pytest.raises(ConvergenceError, match="no luck"):
        execute(replace(sweep, grid=Grid()), tmp_path / "store", workers=1)


def test_a_gpu_that_is_not_there(run, tmp_path):
    try:
        import cupy  # noqa: F401
    except ImportError:
        with pytest.raises(ParameterError, match="pip install"):
            execute(
                replace(run, work=replace(run.work, device="gpu")), tmp_path / "store", workers=1
            )
        assert not (tmp_path / "store").exists()
    else:
        pytest.skip("CuPy is installed")
