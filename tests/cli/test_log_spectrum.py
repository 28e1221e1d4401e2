"""``rmt-jacobian spectrum --log``: log singular values of long products."""

import json

import numpy as np

from rmt_jacobian.cells import Parameters, lstm, minimalrnn
from rmt_jacobian.sampling import sample_log_singular_values


def test_log_values_and_their_errors_are_stored(run, tmp_path):
    status, out, err = run(
        "spectrum", "minimalrnn", "--log", "--weights", "orthogonal", "--steps", 300, "--width", 8,
        "--samples", 2, "--seed", 5, "--workers", 1, "--out", "found.npz", "--json", "-",
    )  # fmt: skip
    assert status == 0, err
    content = json.loads(out)
    expected = sample_log_singular_values(
        minimalrnn, Parameters.of(minimalrnn), weights="orthogonal", steps=300, width=8, samples=2,
        seed=5, workers=1,
    )  # fmt: skip
    with np.load(tmp_path / "found.npz") as file:
        assert set(file.files) == {"log_singular_values", "errors", "metadata"}
        assert np.array_equal(file["log_singular_values"], expected.values)
        assert np.array_equal(file["errors"], expected.errors)
        assert json.loads(str(file["metadata"]))["steps"] == 300
    assert content["largest_log"] == expected.values.max()
    assert content["smallest_log"] == expected.values.min() < -500  # exp of it is less than 1e-200
    assert content["median_log"] == np.median(expected.values)
    assert content["largest_error"] == expected.errors.max() < 1e-6
    assert (content["zeros"], content["unresolved"]) == (0, 0)


def test_values_that_are_not_resolved_are_counted(run):
    """Without input an LSTM dies out; half of its singular values then are noise."""
    status, out, err = run(
        "spectrum", "lstm", "-p", "input_std=0", "--log", "--steps", 150, "--width", 4,
        "--samples", 1, "--out", "found.npz", "--json", "-",
    )  # fmt: skip
    assert status == 0, err
    content = json.loads(out)
    found = sample_log_singular_values(
        lstm, Parameters.of(lstm, input_std=0), weights="gaussian", steps=150, width=4, samples=1
    )
    assert content["unresolved"] == (~found.resolved).sum() > 0
    assert "median_log" not in content
    assert content["smallest_log"] == found.values[found.resolved].min()


def test_report_and_figure(run, tmp_path):
    status, out, err = run(
        "spectrum", "vanilla", "--log", "--steps", 50, "--width", 12, "--samples", 2, "--out",
        "found.npz", "--figure", "found.png",
    )  # fmt: skip
    assert status == 0, err
    for words in ("largest log s", "median log s", "exact zeros", "wrote found.npz",
                  "wrote found.png"):  # fmt: skip
        assert words in out
    assert (tmp_path / "found.png").stat().st_size > 1000


def test_single_precision_is_refused(run):
    status, _, err = run("spectrum", "vanilla", "--log", "--dtype", "float32", "--out", "found.npz")
    assert status == 2
    assert "double precision" in err
