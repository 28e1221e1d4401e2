"""``rmt-jacobian eigenvalues`` as a user types it."""

import json

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.cli import main
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.mean_field import fixed_points, gru_zero_spectrum


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["eigenvalues", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return call


def test_zero_state_of_the_gru_is_a_disk(run):
    """Without inputs untied networks come to rest at 0: J = 1/2 + W / 4, a uniform disk."""
    status, out, err = run(
        "gru", "-p", "input_std=0", "--dynamics", "untied", "--disk", "0.5,0,0.3",
        "--disk", "0.5,0.2,0.1", "--disk", "0,0,2", "--points", 60, "--json", "-",
    )  # fmt: skip
    assert status == 0
    found = json.loads(out)
    disk = gru_zero_spectrum(Parameters.of(gru, input_std=0))
    assert found["spectral_radius"] == pytest.approx(disk.spectral_radius, rel=1e-9)
    (curve,) = found["boundary"]
    z = np.array(curve) @ [1, 1j]
    assert abs(z - disk.centre) == pytest.approx(disk.radius + 0 * np.abs(z), rel=1e-6)
    shares = [(0.3 / 0.75) ** 2, (0.1 / 0.75) ** 2, 1.0]
    assert found["inside"] == pytest.approx(shares, abs=1e-3)
    assert found["atoms"] == []
    assert found["disks"] == ["0.5,0,0.3", "0.5,0.2,0.1", "0,0,2"]
    assert (found["cell"], found["weights"], found["dynamics"]) == ("gru", "gaussian", "untied")
    assert found["parameters"] == Parameters.of(gru, input_std=0).named()
    assert "spectral radius  1.25" in err


def test_atoms_are_named(run):
    """At the zero state of an LSTM half of the eigenvalues are 0."""
    status, out, _ = run(
        "lstm", "-p", "input_std=0", "--dynamics", "untied", "--json", "found.json"
    )
    assert status == 0
    with open("found.json") as file:
        ((re, im, mass),) = json.load(file)["atoms"]
    assert (re, im, mass) == pytest.approx((0, 0, 0.5), abs=1e-6)
    assert "of mass 0.5" in out


def test_the_larger_fixed_point_is_taken(run):
    status, out, _ = run(
        "gru", "-p", "input_std=0", "--dynamics", "fixed-point", "--sites", 4096, "--json", "-"
    )
    assert status == 0
    zero, other = fixed_points(gru, Parameters.of(gru, input_std=0))
    assert zero.vanishes
    # Sites are a sample of 4096; the edge is known to a few thousandths.
    radius = json.loads(out)["spectral_radius"]
    assert radius == pytest.approx(other.spectral_radius, abs=5e-3)


def test_orthogonal_weights_leave_a_ring(run):
    """1/2 + W / 4 with Haar W of size 3: eigenvalues on a circle, none inside."""
    status, out, _ = run(
        "gru", "-p", "input_std=0", "--dynamics", "untied", "--weights", "orthogonal",
        "--disk", "0.5,0,0.7", "--disk", "0.5,0,0.8", "--json", "-",
    )  # fmt: skip
    assert status == 0
    assert json.loads(out)["inside"] == pytest.approx([0, 1], abs=1e-3)


@pytest.mark.slow
def test_tied_network_and_figure(run, tmp_path):
    status, out, err = run(
        "gru", "-p", "input_std=0", "-p", "update.weight_std=1", "--sites", 2048, "--width", 60,
        "--samples", 2, "--figure", "cloud.png", "--json", "-", "--seed", 3,
    )  # fmt: skip
    assert status == 0
    found = json.loads(out)
    assert found["dynamics"] == "tied"
    assert found["parameters"]["update.weight_std"] == 1
    assert 1 < found["spectral_radius"] < 1.2  # chaotic
    assert (tmp_path / "cloud.png").read_bytes().startswith(b"\x89PNG")
    assert "wrote cloud.png" in err


def test_without_weights_only_the_memory_is_left(run):
    status, out, _ = run("gru", "-p", "weight_std=0", "-p", "input_std=0", "--json", "-")
    assert status == 0
    found = json.loads(out)
    assert found["boundary"] == []
    assert found["atoms"] == [pytest.approx([0.5, 0, 1])]
    assert found["spectral_radius"] == pytest.approx(0.5)


BAD = [
    (["gruu"], "did you mean gru?"),
    (["gru", "--dynamics", "tide"], "'tied', 'untied', 'fixed-point'"),
    (["gru", "--weights", "haar"], "'gaussian', 'orthogonal'"),
    (["gru", "--disk", "1,2"], "not of the form RE,IM,R"),
    (["gru", "--disk", "1,2,3,4"], "not of the form RE,IM,R"),
    (["gru", "--disk", "a,b,c"], "not of the form RE,IM,R"),
    (["gru", "--disk", "0,0,0"], "radius must be positive"),
    (["gru", "--disk", "0,0,-1"], "radius must be positive"),
    (["gru", "--disk", "nan,0,1"], "all numbers finite"),
    (["gru", "--disk", "0,inf,1"], "all numbers finite"),
    (["gru", "-p", "candidat.weight_std=2"], "did you mean candidate.weight_std?"),
    (["gru", "-p", "forget.weight_std=2"], "no parameter 'forget.weight_std'"),
    (["gru-reset-after", "-p", "candidate.input_std=2"], "no parameter 'candidate.input_std'"),
    (["gru", "-p", "update.weight_std=x"], "must be a number"),
    (["gru", "-p", "update.weight_std=nan"], "must be finite"),
    (["gru", "-p", "update.weight_std=-1"], "must be >= 0"),
    (["gru", "--sites", "2"], "--sites"),
    (["gru", "--points", "3"], "--points"),
    (["gru", "--width", "0"], "--width"),
    (["gru", "--seed", "-1"], "--seed"),
    (["gru", "--figure", "cloud.bmp"], ".png, .pdf or .svg"),
    (["gru", "--figure", "file/cloud.png"], "cannot write"),
    (["gru", "--json", "file/found.json"], "cannot write"),
    (["gru", "--json", "."], "it is a folder"),
    (["gru", "--config", "none.toml"], "cannot read none.toml"),
    ([], "Missing argument 'CELL'"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_gets_one_line_and_leaves_nothing(run, tmp_path, arguments, words):
    (tmp_path / "file").write_text("a file, no folder")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.startswith("rmt-jacobian: ")
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_state_that_is_not_found_is_said_so_and_not_returned(run, tmp_path, monkeypatch):
    def lost(*arguments, **options):
        raise ConvergenceError("it remembers for longer than can be shown")

    monkeypatch.setattr("rmt_jacobian.mean_field.tied_steady_state", lost)
    status, out, err = run("gru", "--json", "found.json")
    assert (status, out) == (1, "")
    assert err == "rmt-jacobian: it remembers for longer than can be shown\n"
    assert not list(tmp_path.iterdir())


def test_the_steady_state_is_printed_with_its_error(run):
    point = (
        "-p", "input_std=0", "-p", "update.weight_std=1", "-p", "reset.weight_std=10",
        "--sites", 960,
    )  # fmt: skip
    status, out, err = run("gru", *point, "--tolerance", 0.05, "--json", "-")
    assert status == 0
    steady = json.loads(out)["steady_state"]
    assert not steady["frozen"]
    assert 0 < steady["relative_error"] <= 0.05
    value, error = steady["preactivation_variances"]["update"]
    # Eight networks of width 1000, by twenty lines of their own: 0.3511 +- 0.0015.
    assert abs(value - 0.3511) < 4 * np.hypot(error, 0.0015)
    assert "steady state: variances known to" in err
    assert "correlation time 4." in err
    status, _, err = run("gru", "--dynamics", "untied", "--tolerance", 0.1)
    assert (status, err) == (
        2, "rmt-jacobian: --tolerance is for --dynamics tied: leave it out\n"
    )  # fmt: skip


def test_parameters_of_a_two_state_cell_are_read(run):
    status, out, _ = run(
        "lstm", "--dynamics", "untied", "-p", "forget.bias_mean=2", "-p", "input_std=1",
        "--sites", 1024, "--json", "-",
    )  # fmt: skip
    assert status == 0
    named = json.loads(out)["parameters"]
    expected = Parameters.of(lstm).with_values({"forget.bias_mean": 2.0, "input_std": 1.0})
    assert named == expected.named()
