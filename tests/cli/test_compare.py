"""``rmt-jacobian compare``."""

import json

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, minimalrnn
from rmt_jacobian.cli import main
from rmt_jacobian.comparison import ks_distance
from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.sampling import sample_singular_values

LAW = ("--law", "quarter-circle(2)")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_info:
        main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    return exit_info.value.code, captured.out, captured.err


@pytest.fixture
def gaussian(tmp_path):
    """Four Gaussian matrices, and their file."""
    rng = np.random.default_rng(2)
    matrices = rng.standard_normal((4, 96, 96)) / np.sqrt(96)
    values = np.linalg.svd(matrices, compute_uv=False)
    np.save(tmp_path / "values.npy", values)
    return values, tmp_path / "values.npy"


def test_gaussian_matrices_beside_a_quarter_circle(capsys, gaussian, tmp_path):
    values, path = gaussian
    figure = tmp_path / "values.png"
    code, out, _ = run(capsys, path, *LAW, "--json", "-", "--figure", figure)
    assert code == 0
    found = json.loads(out)
    assert found["verdict"] == "agrees"
    assert found["ks"] == pytest.approx(ks_distance(values, QuarterCircle()), rel=1e-12)
    assert (found["networks"], found["width"]) == (4, 96)
    assert found["law_mean_square"] == pytest.approx(1.0, rel=1e-9)
    assert found["mean_square"] == pytest.approx(np.mean(values**2), rel=1e-12)
    assert figure.stat().st_size > 1000
    code, out, _ = run(capsys, path, "--law", "quarter-circle(2.3)")
    assert code == 0
    assert "fails" in out


@pytest.mark.parametrize("squared", [pytest.param(False, marks=pytest.mark.thorough), True])
def test_jacobians_beside_the_law_of_their_cell(capsys, tmp_path, squared):
    values = sample_singular_values(
        minimalrnn, Parameters.of(minimalrnn), weights="orthogonal", steps=2, width=128, samples=4,
        seed=5,
    )  # fmt: skip
    path = tmp_path / "values.npz"
    np.savez(path, mine=values**2 if squared else values)
    options = ("--cell", "minimalrnn", "--weights", "orthogonal", "--sites", "128")
    squares = ("--squared",) * squared
    figure = tmp_path / "values.svg"
    code, out, _ = run(capsys, path, *options, *squares, "--steps", 2, "--figure", figure)
    assert code == 0
    assert "agrees" in out
    assert "singular value" in figure.read_text() or "log" in figure.read_text()
    code, out, _ = run(capsys, path, *options, *squares, "--steps", 1)
    assert code == 0
    assert "fails" in out


def test_text_and_named_arrays(capsys, gaussian, tmp_path):
    values, _ = gaussian
    np.savetxt(tmp_path / "values.csv", values, delimiter=",")
    np.savetxt(tmp_path / "values.txt", values)
    np.savez(tmp_path / "two.npz", a=values, b=2 * values)
    np.savez(tmp_path / "ours.npz", singular_values=values, metadata=np.array("{}"))
    agreeing = [("values.csv",), ("values.txt",), ("two.npz", "--key", "a"), ("ours.npz",)]
    for name, *key in agreeing:
        code, out, _ = run(capsys, tmp_path / name, *key, *LAW)
        assert code == 0
        assert "agrees" in out
    code, out, _ = run(capsys, tmp_path / "two.npz", "--key", "b", *LAW)
    assert "fails" in out


def test_bad_input_is_one_line(capsys, gaussian, tmp_path):
    values, path = gaussian
    np.save(tmp_path / "negative.npy", -values)
    np.save(tmp_path / "infinite.npy", np.append(values.ravel(), np.inf))
    np.save(tmp_path / "cube.npy", np.ones((2, 2, 2)))
    np.save(tmp_path / "complex.npy", values + 1j)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "two.npz", a=values, b=values)
    (tmp_path / "words.txt").write_text("hello")
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "empty.txt").write_text("")
    for name in ("torn.npz", "torn.npy"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "archive.npy").write_bytes((tmp_path / "two.npz").read_bytes())
    for arguments, message in [
        ((path,), "either --law or --cell"),
        ((path, *LAW, "--cell", "gru"), "either --law or --cell"),
        ((path, *LAW, "--squared"), "--squared is for --cell"),
        ((path, *LAW, "-p", "weight_std=1"), "-p is for --cell"),
        ((path, *LAW, "--steps", 3), "--steps is for --cell"),
        ((path, *LAW, "--biases", "frozen"), "--biases is for --cell"),
        ((tmp_path / "torn.npz", *LAW), "no array of numbers"),
        ((tmp_path / "torn.npy", *LAW), "no array of numbers"),
        ((tmp_path / "empty.txt", *LAW), "real numbers"),
        ((tmp_path / "archive.npy", *LAW), "--key"),
        ((path, "--law", "quarter-square(2)"), "law"),
        ((tmp_path / "missing.npy", *LAW), "cannot read"),
        ((tmp_path / "negative.npy", *LAW), "below 0"),
        ((tmp_path / "infinite.npy", *LAW), "not finite"),
        ((tmp_path / "cube.npy", *LAW), "shape (networks, N)"),
        ((tmp_path / "complex.npy", *LAW), "real numbers"),
        ((tmp_path / "objects.npy", *LAW), "no array of numbers"),
        ((tmp_path / "words.txt", *LAW), "no array of numbers"),
        ((tmp_path / "empty.npy", *LAW), "no array of numbers"),
        ((tmp_path / "two.npz", *LAW), "--key"),
        ((tmp_path / "two.npz", *LAW, "--key", "c"), "--key"),
        ((path, "--cell", "lstm", "--figure", tmp_path / "x.bmp"), ".png"),
    ]:
        code, out, error = run(capsys, *arguments)
        assert (code, out) == (2, ""), arguments
        assert message in error
        assert error.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))


def test_the_values_of_a_cell_of_two_states_come_in_pairs(capsys, tmp_path):
    np.save(tmp_path / "odd.npy", np.ones(7))
    code, _, error = run(capsys, tmp_path / "odd.npy", "--cell", "lstm", "--sites", "16")
    assert code == 2
    assert "2 states" in error
