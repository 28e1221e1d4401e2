"""``rmt-jacobian run`` and ``rmt-jacobian show`` as a user types them."""

import json
import os

import pytest

from rmt_jacobian.cli import main
from rmt_jacobian.runs import execution, open_store, store as store_module

ENSEMBLE = 'cell = "vanilla"\nweights = "gaussian"\nsteps = 2\nwidth = 8\nsamples = 4\nseed = 2\n'
SWEEP = (
    'cell = "vanilla"\nquantity = ["chi_1", "variance"]\n[parameters]\ninput_std = 0.5\n[grid]\n'
    "weight_std = [0.5, 1.0, 1.5]\nbias_mean = { from = 0, to = 1, points = 2 }\n"
)


@pytest.fixture
def call(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return run


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text(ENSEMBLE)
    return path


def complaint(err):
    """Return what is said after the progress bar, without its name."""
    return err.splitlines()[-1].rpartition("\r")[2]


def test_run_and_show(call, spec):
    status, out, err = call("run", spec, "--store", "store", "--workers", 1, "--json", "run.json")
    assert status == 0
    assert "4/4" in err
    status, out, _ = call("show", "store", "--json", "-")
    assert status == 0
    found = json.loads(out)
    with open("run.json") as file:
        assert json.load(file) == found
    assert (found["finished"], found["samples"]) == (4, 4)
    assert (found["unconverged"], found["undefined"]) == (0, 0)
    assert found["checksum"] == open_store("store").checksum()
    metadata = found["metadata"]
    assert {key: metadata[key] for key in ("cell", "weights", "steps", "width", "seed")} == {
        "cell": "vanilla", "weights": "gaussian", "steps": 2, "width": 8, "seed": 2,
    }  # fmt: skip
    assert metadata["environments"][0]["rmt_jacobian"]
    assert metadata["environments"][0]["backend"] == "numpy"


def test_show_for_the_reader(call, spec, tmp_path):
    call("run", spec, "--store", "store", "--workers", 1)
    os.unlink("store/status/c.3")
    status, out, _ = call("show", "store", "--figure", "spectrum.png")
    assert status == 0
    assert "finished 3 of 4 samples" in out
    assert "gaussian W, T = 2, N = 8, seed 2" in out
    assert "mean of J J^T" in out
    assert (tmp_path / "spectrum.png").stat().st_size > 1000


def test_resume_starts_what_is_not_there(call, spec):
    assert call("run", spec, "--store", "a", "--workers", 1, "--resume")[0] == 0
    status, _, err = call("run", spec, "--store", "a", "--workers", 1)
    assert status == 2
    assert "a exists already: add --resume" in complaint(err)
    assert call("run", spec, "--store", "a", "--workers", 1, "--resume")[0] == 0
    spec.write_text(ENSEMBLE.replace("seed = 2", "seed = 3"))
    status, _, err = call("run", spec, "--store", "a", "--workers", 1, "--resume")
    assert status == 2
    assert "another run: seed is 2 there and 3 here" in complaint(err)


def test_a_sweep_with_its_figure(call, spec, tmp_path):
    spec.write_text(SWEEP)
    status, out, _ = call("run", spec, "--store", "map", "--workers", 1, "--figure", "map.png")
    assert status == 0
    assert "finished 6 of 6 points" in out
    header = next(line for line in out.splitlines() if "chi_1" in line)
    assert header.split() == ["weight_std", "bias_mean", "chi_1", "variance"]
    assert (tmp_path / "map.png").stat().st_size > 1000
    assert call("show", "map", "--figure", "again.png")[0] == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "map.png").read_bytes()


def test_a_full_disk(call, spec, monkeypatch):
    def full(stream, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_write_through", full)
        status, out, err = call("run", spec, "--store", "store", "--workers", 1)
    assert (status, out) == (1, "")
    assert "No space left on device" in complaint(err)
    assert "go on with: rmt-jacobian run" in complaint(err)
    assert call("run", spec, "--store", "store", "--workers", 1, "--resume")[0] == 0


def test_ctrl_c(call, spec, monkeypatch):
    done = []

    def interrupted(run, index):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(index)
        return perform(run, index)

    perform = execution.perform
    monkeypatch.setattr(execution, "perform", interrupted)
    status, out, err = call("run", spec, "--store", "my store", "--workers", 1)
    assert (status, out) == (130, "")
    assert complaint(err) == (
        "rmt-jacobian: interrupted: 2 of 4 are stored; go on with: "
        f"rmt-jacobian run {spec} --store 'my store' --resume"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workers", "0"], "--workers"),
        (["--workers", "2", "--dask", "tcp://nowhere:1"], "give only one"),
        (["--figure", "map.bmp"], "end its name in .png"),
        (["--json", "."], "cannot write ."),
    ],
)
def test_wrong_options(call, spec, tmp_path, arguments, message):
    status, _, err = call("run", spec, "--store", "store", *arguments)
    assert status == 2
    assert message in complaint(err)
    assert not (tmp_path / "store").exists()


def test_a_cluster_that_does_not_answer(call, spec, monkeypatch, tmp_path):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    from rmt_jacobian.cli import run as module

    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    status, _, err = call("run", spec, "--store", "store", "--dask", "tcp://127.0.0.1:9")
    assert status == 2
    assert "no dask scheduler answers at tcp://127.0.0.1:9" in complaint(err)
    assert not (tmp_path / "store").exists()


def test_more_axes_than_a_figure_has(call, spec):
    spec.write_text(
        ENSEMBLE + "[grid]\nweight_std = [1, 2]\nbias_mean = [0, 1]\ninput_std = [1, 2]"
    )
    status, _, err = call("run", spec, "--store", "store", "--figure", "map.png")
    assert status == 2
    assert "a grid of 3 axes cannot be drawn" in complaint(err)


def test_show_what_is_not_a_store(call, spec):
    status, _, err = call("show", "nothing")
    assert status == 2
    assert "there is no store at nothing" in complaint(err)
    status, _, err = call("show", spec)
    assert status == 2
    assert "not the store of a run" in complaint(err)
