"""Fast ensembles, devices and precisions on the command line."""

import json
import sys

import array_api_strict
import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import sample_singular_values


def test_verify_takes_fast_ensembles(run):
    status, out, err = run(
        "verify", "--weights", "fast-gaussian", "--weights", "fast-orthogonal", "--steps", 2,
        "--width", 64, "--samples", 4, "--no-spectra", "--no-shared", "--json", "-",
    )  # fmt: skip
    assert status == 0, err
    content = json.loads(out)
    fast = {row["weights"]: row["second_moment"]["exact"] for row in content["rows"]}
    assert set(fast) == {"fast-gaussian", "fast-orthogonal"}
    status, out, err = run(
        "verify", "--steps", 2, "--width", 16, "--samples", 2, "--no-spectra", "--no-shared",
        "--json", "-",
    )  # fmt: skip
    exact = {row["weights"]: row["second_moment"]["exact"] for row in json.loads(out)["rows"]}
    assert fast == {f"fast-{name}": value for name, value in exact.items()}
    assert [row["exact"] for row in content["s_1"]] == [-1.0, 0.0]


def test_spectrum_in_single_precision_says_how_it_was_drawn(run, tmp_path):
    status, out, err = run(
        "spectrum", "minimalrnn", "--weights", "fast-orthogonal", "--steps", 1, "--width", 32,
        "--samples", 3, "--seed", 8, "--dtype", "float32", "--out", "found.npz", "--json", "-",
    )  # fmt: skip
    assert status == 0, err
    content = json.loads(out)
    with np.load(tmp_path / "found.npz") as file:
        values, stored = file["singular_values"], json.loads(str(file["metadata"]))
    assert values.dtype == np.float32
    assert stored["metadata"] == content["metadata"]
    metadata = content["metadata"]
    assert (metadata["dtype"], metadata["device"]) == ("float32", "cpu")
    assert metadata["versions"]["numpy"] == np.__version__
    # Drawn again from what the metadata say.
    again = sample_singular_values(
        minimalrnn, Parameters.of(minimalrnn), weights="fast-orthogonal", steps=1, width=32,
        samples=3, seed=np.random.SeedSequence(metadata["seed"]["entropy"]), dtype="float32",
    )  # fmt: skip
    assert np.array_equal(again, values)


@pytest.mark.parametrize("command", ["density", "eigenvalues", "lyapunov", "spectrum", "verify"])
def test_a_gpu_that_is_not_there(run, tmp_path, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "cupy", None)  # None makes the import fail
    out = ["--out", "found.npz"] if command == "spectrum" else []
    status, out, err = run(command, "minimalrnn", *out, "--device", "gpu")
    assert status == 2
    assert err.count("\n") == 1
    assert "pip install 'rmt-jacobian[gpu]'" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "law"),
    [
        ("density", "singular_values.singular_value_law"),
        ("eigenvalues", "eigenvalues.eigenvalue_law"),
    ],
)
def test_laws_are_solved_on_the_device(run, monkeypatch, command, law):
    def solved(*_, device, **__):
        raise ParameterError(f"solved on {device}")

    monkeypatch.setattr("rmt_jacobian.arrays._cupy_namespace", lambda: array_api_strict)
    monkeypatch.setattr(f"rmt_jacobian.{law}", solved)
    sites = ("--sites", 512)
    assert "solved on gpu" in run(command, "minimalrnn", *sites, "--device", "gpu")[2]
    assert "solved on cpu" in run(command, "minimalrnn", *sites)[2]


@pytest.mark.parametrize("command", ["density", "lyapunov"])
def test_laws_of_fast_ensembles_are_those_of_the_ensembles_they_stand_for(run, command):
    arguments = {
        "density": ("--sites", 64, "--points", 20),
        "lyapunov": ("--theory-only", "--width", 8),
    }[command]
    found = []
    for weights in ("orthogonal", "fast-orthogonal"):
        status, out, err = run(command, "vanilla", *arguments, "--weights", weights, "--json", "-")
        assert status == 0, err
        content = json.loads(out)
        assert content.pop("weights") == weights
        found.append(content)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("derive", "minimalrnn", "--variance", "--weights", "fast-gaussian"),
        ("critical-init", "gru", "--weights", "fast-orthogonal"),
        ("spectrum", "gru", "--out", "found.npz", "--dtype", "float16"),
        ("spectrum", "gru", "--out", "found.npz", "--device", "tpu"),
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_what_is_not_offered(run, arguments):
    status, _, err = run(*arguments)
    assert status == 2
    assert err.count("\n") == 1
    assert "is not one of" in err
