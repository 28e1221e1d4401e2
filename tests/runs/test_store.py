"""Stores: what is in them, who can read them, and what is done about damage."""

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, vanilla
from rmt_jacobian.runs import (
    Axis,
    Ensemble,
    Grid,
    Run,
    StoreError,
    Sweep,
    execute,
    maps,
    open_store,
    summary,
)


@pytest.fixture
def store(run, tmp_path):
    return execute(run, tmp_path / "store", workers=1)


@pytest.fixture
def grid_run():
    axes = (Axis("weight_std", (0.5, 1.0, 2.0)), Axis("bias_mean", (0.0, 1.0)))
    parameters = Parameters.of(vanilla, weight_std=1, input_std=1, input_variance=1)
    return Run(vanilla, parameters, Ensemble("gaussian", 2, 6, samples=4), Grid(axes))


def test_xarray_reads_a_store(store):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    pytest.importorskip("zarr", reason="zarr is not installed")
    found = xarray.open_zarr(store.path)
    values = found.singular_values.values
    assert found.singular_values.dims == ("sample", "index")
    assert values.tolist() == store.values("singular_values").tolist()
    assert found.status.values.tolist() == [1] * 6
    assert found.status.attrs["flag_meanings"].split()[1] == "finished"
    assert found.attrs["seed"] == 3
    assert found.attrs["parameters"] == store.specification["parameters"]
    # The checksum as the documentation explains it.
    assert hashlib.sha256(values.tobytes()).hexdigest() == store.checksum()


def test_xarray_reads_coordinates_and_gaps(grid_run, tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    store = execute(grid_run, tmp_path / "store", workers=1)
    for name in ("singular_values/c.2.1.3.0", "status/c.2.1.3"):
        (store.path / name).unlink()
    found = xarray.open_zarr(store.path)
    assert found.singular_values.dims == ("weight_std", "bias_mean", "sample", "index")
    assert found.weight_std.values.tolist() == [0.5, 1.0, 2.0]
    chosen = found.singular_values.sel(weight_std=2.0, bias_mean=1.0).values
    assert np.isnan(chosen).tolist() == [[False] * 6] * 3 + [[True] * 6]
    assert found.status.values.sum() == 23


def test_a_store_is_a_dataset_without_zarr(grid_run, tmp_path):
    pytest.importorskip("xarray", reason="xarray is not installed")
    store = execute(grid_run, tmp_path / "store", workers=1)
    for name in ("singular_values/c.2.1.3.0", "status/c.2.1.3"):
        (store.path / name).unlink()
    found = store.to_xarray()
    assert found.singular_values.dims == ("weight_std", "bias_mean", "network", "value")
    assert found.singular_values.attrs["long_name"].startswith("singular values")
    assert found.weight_std.values.tolist() == [0.5, 1.0, 2.0]
    np.testing.assert_array_equal(found.singular_values, store.values("singular_values"))
    assert found.status.values.sum() == 23
    assert (found.attrs["cell"], found.attrs["width"]) == ("vanilla", 6)
    assert json.loads(found.attrs["grid"]) == {"weight_std": [0.5, 1, 2], "bias_mean": [0, 1]}


def test_a_sweep_is_a_dataset_over_its_grid(tmp_path):
    pytest.importorskip("xarray", reason="xarray is not installed")
    parameters = Parameters.of(vanilla, weight_std=0.5, input_std=0, input_variance=1)
    run = Run(vanilla, parameters, Sweep(("chi_1", "timescale")),
              Grid((Axis("weight_std", (0.5, 0.8)),)))  # fmt: skip
    found = execute(run, tmp_path / "store", workers=1).to_xarray()
    assert found.chi_1.sel(weight_std=[0.5, 0.8]).values == pytest.approx([0.25, 0.64])
    assert "slope of the correlation map" in found.chi_1.attrs["long_name"]
    assert found.timescale.attrs["units"] == "step"
    assert "weight_std" in found.weight_std.attrs["long_name"]


def test_xarray_reads_a_single_point(tmp_path):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    parameters = Parameters.of(vanilla, weight_std=0.5, input_std=0, input_variance=1)
    store = execute(Run(vanilla, parameters, Sweep(("chi_1",))), tmp_path / "store", workers=1)
    assert float(xarray.open_zarr(store.path).chi_1) == 0.25 == float(store.values("chi_1"))


def test_a_summary(store):
    found = summary(store)
    assert (found.finished, found.samples, found.complete) == (6, 6, True)
    values = store.values("singular_values")
    assert found.checksum == hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
    (environment,) = found.metadata["environments"]
    assert environment["backend"] == "numpy"
    assert environment["numpy"] == np.__version__
    assert "workers" not in json.dumps(found.metadata)


def test_the_checksum_of_an_unfinished_run_is_that_of_its_samples(store):
    values = np.delete(store.values("singular_values"), [0, 4], axis=0)
    for k in (0, 4):
        (store.path / f"status/c.{k}").unlink()
    found = summary(open_store(store.path))
    assert (found.finished, found.complete) == (4, False)
    assert found.checksum == hashlib.sha256(values.tobytes()).hexdigest()


def test_maps_of_an_ensemble_are_its_sampled_moments(grid_run, tmp_path):
    store = execute(grid_run, tmp_path / "store", workers=1)
    squares = store.values("singular_values") ** 2
    mean, second = squares.mean(axis=(2, 3)), (squares**2).mean(axis=(2, 3))
    found = maps(store)
    assert found["growth_rate"] == pytest.approx(mean**0.5, rel=1e-12)
    assert found["relative_variance"] == pytest.approx(second / mean**2 - 1, rel=1e-9)


def test_values_keep_all_their_bits(run, store):
    for k in range(6):
        alone = run.work.tasks(run.cell, run.parameters, (k,))["singular_values"]()
        assert store.read("singular_values", (k,)).tobytes() == alone.tobytes()


def _truncate(file):
    file.write_bytes(file.read_bytes()[:-1])


def _flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def _edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


DAMAGE = {
    "a truncated sample": (lambda p: _truncate(p / "singular_values/c.2.0"), "is damaged"),
    "a flipped bit": (lambda p: _flip(p / "singular_values/c.2.0"), "is damaged"),
    "an empty sample": (lambda p: (p / "singular_values/c.2.0").write_bytes(b""), "is damaged"),
    "a lost sample": (lambda p: (p / "singular_values/c.2.0").unlink(), "is missing"),
    "a pickle": (
        lambda p: (p / "singular_values/c.2.0").write_bytes(pickle.dumps([1.0] * 8)),
        "is damaged",
    ),
    "another sample's size": (
        lambda p: (p / "singular_values/c.2.0").write_bytes((p / "status/c.2").read_bytes()),
        "is damaged",
    ),
    "a truncated mark": (lambda p: _truncate(p / "status/c.2"), "is damaged"),
    "an impossible index": (
        lambda p: (p / "status/c.77").write_bytes((p / "status/c.2").read_bytes()),
        "does not belong",
    ),
    "a truncated header": (lambda p: _truncate(p / "zarr.json"), "is not what it was"),
    "half a header": (
        lambda p: (p / "zarr.json").write_bytes((p / "zarr.json").read_bytes()[:300]),
        "is not JSON",
    ),
    "an empty header": (lambda p: (p / "zarr.json").write_bytes(b""), "is not JSON"),
    "no header": (lambda p: (p / "zarr.json").unlink(), "not the store of a run"),
    "a list as header": (lambda p: (p / "zarr.json").write_text("[]"), "no JSON object"),
    "a foreign header": (
        lambda p: (p / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}'),
        "not the store of a run",
    ),
    "a newer version": (
        lambda p: _edit(p / "zarr.json", '"format_version": 1', '"format_version": 2'),
        r"newer version of rmt_jacobian \(format 2 of Zarr 3;.*upgrade",
    ),
    "a newer Zarr": (
        lambda p: _edit(p / "zarr.json", '"zarr_format": 3', '"zarr_format": 4'),
        "newer version .*of Zarr 4;.*upgrade",
    ),
    "no version": (
        lambda p: _edit(p / "zarr.json", '"format_version": 1', '"format_version": null'),
        "damaged",
    ),
    "an older version": (
        lambda p: _edit(p / "zarr.json", '"format_version": 1', '"format_version": 0'),
        "damaged",
    ),
    "another layout": (lambda p: _edit(p / "zarr.json", '"index": 8', '"index": 9'), "damaged"),
    "another array": (
        lambda p: _edit(p / "singular_values/zarr.json", "float64", "float32"),
        "is not what it was",
    ),
    "a lost array": (lambda p: (p / "status/zarr.json").unlink(), "cannot read"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named_and_nothing_is_changed(run, store, tree, damage):
    change, message = DAMAGE[damage]
    change(store.path)
    before = tree(store.path)
    with pytest.raises(StoreError, match=message):
        summary(open_store(store.path))
    with pytest.raises(StoreError, match=message):
        execute(run, store.path, workers=1, resume=True)
    assert tree(store.path) == before


def test_a_damaged_sample_is_redone_as_the_message_says(run, store, tree):
    before = tree(store.path)
    _flip(store.path / "singular_values/c.2.0")
    with pytest.raises(StoreError, match=r"delete .*status/c\.2 and resume"):
        open_store(store.path).check()
    (store.path / "status/c.2").unlink()
    execute(run, store.path, workers=1, resume=True)
    assert tree(store.path) == before


def test_what_is_not_a_store(tmp_path, run, tree):
    with pytest.raises(StoreError, match="there is no store at"):
        open_store(tmp_path / "nothing")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    (tmp_path / "file").write_text("text")
    before = tree(tmp_path)
    for path in (folder, tmp_path / "file"):
        for resume in (True, False):
            with pytest.raises(StoreError, match="not the store of a run"):
                execute(run, path, workers=1, resume=resume)
    assert tree(tmp_path) == before


def test_a_store_is_not_overwritten(run, store, tree):
    before = tree(store.path)
    with pytest.raises(StoreError, match="exists already: add --resume"):
        execute(run, store.path, workers=1)
    assert tree(store.path) == before


def test_a_zarr_store_of_somebody_else(run, tmp_path, tree):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    path = tmp_path / "theirs"
    xarray.Dataset({"x": ("i", [1.0, 2.0])}).to_zarr(path, consolidated=False)
    before = tree(path)
    for resume in (True, False):
        with pytest.raises(StoreError, match="not the store of a run"):
            execute(run, path, workers=1, resume=resume)
    assert tree(path) == before


def test_an_empty_folder_becomes_a_store(run, tmp_path, store, tree):
    empty = tmp_path / "empty"
    empty.mkdir()
    execute(run, empty, workers=1)
    assert tree(empty) == tree(store.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 4}, "seed is 3 there and 4 here"),
        ({"samples": 7}, "samples is 6 there and 7 here"),
        ({"spectrum": "log"}, "spectrum is plain there and log here"),
    ],
)
def test_the_store_of_another_run_is_refused(run, store, tree, change, message):
    before = tree(store.path)
    with pytest.raises(StoreError, match=f"another run: {message}$"):
        execute(replace(run, work=replace(run.work, **change)), store.path, workers=1, resume=True)
    parameters = run.parameters.with_values(weight_std=2.0)
    with pytest.raises(StoreError, match=r"parameters.weight_std is 6.88 there and 2.0 here"):
        execute(replace(run, parameters=parameters), store.path, workers=1, resume=True)
    grid = Grid((Axis("bias_std", (0.0, 1.0)),))
    with pytest.raises(StoreError, match=r"grid\.bias_std is missing there"):
        execute(replace(run, grid=grid), store.path, workers=1, resume=True)
    assert tree(store.path) == before


def test_the_order_of_axes_matters(tmp_path):
    first, second = Axis("weight_std", (0.5, 1.0)), Axis("bias_mean", (0.0, 1.0))
    parameters = Parameters.of(vanilla, weight_std=1, input_std=1, input_variance=1)
    runs = [
        Run(vanilla, parameters, Sweep(("chi_1",)), Grid(axes))
        for axes in ((first, second), (second, first))
    ]
    execute(runs[0], tmp_path / "store", workers=1)
    with pytest.raises(StoreError, match="the order of grid differs"):
        execute(runs[1], tmp_path / "store", workers=1, resume=True)


def test_two_runs_cannot_share_a_store(run, store, tree):
    pytest.importorskip("fcntl", reason="this system has no flock")
    before = tree(store.path)
    with store.locked(), pytest.raises(StoreError, match="another run is using"):
        execute(run, store.path, workers=1, resume=True)
    execute(run, store.path, workers=1, resume=True)
    assert tree(store.path) == before


def test_a_lock_ends_with_its_process(run, store):
    """Even where a process that was forked meanwhile lives on."""
    pytest.importorskip("fcntl", reason="this system has no flock")
    code = (
        "import os, sys, time; from rmt_jacobian.runs import open_store\n"
        "with open_store(sys.argv[1]).locked():\n"
        "    child = os.fork()\n"
        "    if child: print(child, flush=True)\n"
        "    time.sleep(300)\n"
    )
    command = [sys.executable, "-c", code, str(store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(StoreError, match="another run is using"):
                execute(run, store.path, workers=1, resume=True)
            holder.kill()
            holder.wait()
            os.kill(child, 0)  # it is alive
            execute(run, store.path, workers=1, resume=True)
        finally:
            os.kill(child, signal.SIGKILL)


def test_environments_accumulate_in_an_order_of_their_own(store):
    (own,) = store.environments
    others = [{**own, "numpy": version} for version in ("9.0", "0.1")]
    for environment in (others[0], others[1], others[0], own):
        store.add_environment(environment)
    assert [each["numpy"] for each in open_store(store.path).environments] == [
        "0.1", np.__version__, "9.0",
    ]  # fmt: skip


def test_leftovers_of_killed_runs_are_removed(run, store, tree):
    before = tree(store.path)
    leftovers = [
        store.path / "status/.c.3.abcd1234",
        store.path / "singular_values/.c.3.0.abcd1234",
        store.path / ".zarr.json.abcd1234",
    ]
    for file in leftovers:
        file.write_bytes(b"half")
    unfinished = store.path.parent / f".{store.path.name}.abcd1234.new"
    unfinished.mkdir()
    assert summary(store).complete  # they do not count
    execute(run, store.path, workers=1, resume=True)
    assert tree(store.path) == before
    assert not unfinished.exists()
