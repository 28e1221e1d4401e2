"""``rmt-jacobian lyapunov`` as a user types it."""

import json
import math

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, vanilla
from rmt_jacobian.cli import main
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.lyapunov import LongChain
from rmt_jacobian.mean_field import free_step_exponents, site_law

SMALL = ["--width", 16, "--steps", 30, "--samples", 2]


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stop:
            main(["lyapunov", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return call


def test_json_holds_samples_and_theory(run, tmp_path):
    status, out, err = run("vanilla", *SMALL, "--json", "found.json", "--figure", "found.png")
    assert (status, err) == (0, "")
    content = json.loads((tmp_path / "found.json").read_text())
    keys = ["quantile", "exponents", "standard_error", "theory"]
    assert [len(content[key]) for key in keys] == [16] * 4
    assert content["quantile"][0] == 1 / 32
    assert content["sampling"] == {"steps": 30, "transient": 3, "samples": 2, "tied": False,
                                   "spread": content["sampling"]["spread"]}  # fmt: skip
    p = Parameters.of(vanilla)
    expected = free_step_exponents(vanilla, p, "gaussian", content["quantile"])
    assert content["theory"] == pytest.approx(expected.tolist())
    assert content["largest_theory"] == pytest.approx(math.log(site_law(vanilla, p).chi1) / 2)
    assert np.mean(content["exponents"]) == pytest.approx(np.mean(content["theory"]), abs=0.2)
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    assert "std. error" in out
    assert "9 of 16 exponents are shown: --csv FILE writes all" in out
    assert len(out.splitlines()) == 2 + 10 + 2


def test_gated_cells_have_a_theory_with_an_error(run):
    status, out, err = run("minimalrnn", *SMALL, "--exponents", 2, "--json", "-")
    assert status == 0
    content = json.loads(out)
    assert content["theory"] == pytest.approx([-0.0577, -0.1545], abs=0.003)
    assert all(0 < error < 2e-3 for error in content["theory_error"])
    assert len(content["exponents"]) == 2
    assert content["largest_theory"] == pytest.approx(-0.00061062, rel=1e-4)
    assert "on drawn sites" in err


def test_a_network_at_rest_has_the_moduli_of_its_eigenvalues(run):
    point = ["-p", "weight_std=0.5", "-p", "input_std=0", "-p", "bias_mean=0"]
    status, out, _ = run("vanilla", "--tied", *point, "--width", 8, "--theory-only", "--json", "-")
    assert status == 0
    content = json.loads(out)
    # J = W: squared moduli are uniform up to 1/4.
    assert content["largest"] == pytest.approx(math.log(0.5), abs=1e-3)
    exponents, shares = np.array(content["cdf"]).T
    inner = (shares > 0.05) & (shares < 0.95)
    np.testing.assert_allclose(np.exp(2 * exponents[inner]) * 4, shares[inner], atol=0.02)


@pytest.mark.slow
@pytest.mark.thorough  # a ring of a gated cell takes a minute; tests/lyapunov has its law
def test_networks_that_keep_their_weights_have_a_theory_of_their_own(run):
    options = ["--tied", "--width", 48, "--steps", 300, "--samples", 2]
    status, out, err = run("minimalrnn", *options, "--json", "-")
    assert status == 0
    content = json.loads(out)
    assert content["largest"] == content["largest_theory"] == pytest.approx(0.016, abs=0.004)
    assert 0 < content["kaplan_yorke_dimension"] < 0.2
    assert 0 < content["entropy_rate"] < content["kaplan_yorke_dimension"] * content["largest"]
    exponents, shares = np.array(content["cdf"]).T
    assert np.all(np.diff(exponents) > 0)
    assert np.all(np.diff(shares) > 0)
    gaps = np.array(content["exponents"]) - content["theory"]
    assert np.abs(gaps[5:40]).max() < 0.15
    assert "dimension of the attractor" in err


def test_cells_that_remember_too_long_are_sampled_beside_their_largest_exponent(run):
    status, out, err = run("minimalrnn", *SMALL, "-p", "weight_std=0.001", "--json", "-")
    assert status == 0
    assert json.loads(out)["theory"] is json.loads(out)["theory_error"] is None
    assert "no theory of all exponents" in err


@pytest.mark.parametrize(
    "cell",
    [
        "gru-reset-after",
        pytest.param("lstm-peephole", marks=[pytest.mark.slow, pytest.mark.thorough]),
    ],
)
def test_cells_with_several_preactivations(run, cell):
    options = ["--width", 4, "--steps", 30, "--samples", 2, "-p", "input_std=1"]
    status, out, _ = run(cell, *options, "--json", "-")
    assert status == 0
    content = json.loads(out)
    count = 4 * (1 + (cell == "lstm-peephole"))
    assert [len(content[key]) for key in ("exponents", "theory", "theory_error")] == [count] * 3
    assert content["theory"][0] < content["largest_theory"]
    middle = slice(1, count - 1)
    gaps = np.array(content["theory"][middle]) - content["exponents"][middle]
    assert np.abs(gaps).max() < 0.5  # four neurons, but in the right place


def test_exponents_of_minus_infinity_are_named(run):
    status, out, _ = run("lstm", "-p", "input_std=0", "--theory-only", "--width", 3)
    assert status == 0
    assert "not full rank" in out
    assert "-inf" in out


def test_theory_only(run):
    status, out, _ = run(
        "vanilla", "--theory-only", "--width", 8, "--weights", "orthogonal", "--json", "-"
    )
    assert status == 0
    content = json.loads(out)
    assert content["sampling"] is content["exponents"] is content["standard_error"] is None
    assert len(content["theory"]) == 8


def test_a_single_network_has_no_standard_error(run):
    status, out, _ = run("vanilla", *SMALL[:4], "--samples", 1, "--json", "-")
    assert status == 0
    assert json.loads(out)["standard_error"] is None


def test_steps_that_kill_sites_are_named(run):
    status, out, _ = run("vanilla", *SMALL, "-p", "weight_std=60")
    assert status == 0
    assert "singular to rounding" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["vanilla", "--exponents", 300], "--exponents"),
        (["vanilla", "--steps", 0], "steps"),
        (["vanilla", "--figure", "figure.bmp"], ".png"),
        (["vanilla", "-p", "weight_std=0", "--theory-only"], "weight_std"),
        (["leaky", "--tied", "-p", "leak=2"], "leak must lie between 0 and 1"),
        (["vanilla", "--tied", "--biases", "redrawn", "-p", "bias_std=0.2"], "biases='redrawn'"),
    ],
)
def test_bad_input_gets_one_line(run, tmp_path, arguments, words):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert words in err
    assert list(tmp_path.iterdir()) == []


def test_a_failed_quantile_costs_one_cell_of_the_table(run, monkeypatch, tmp_path):
    solve = LongChain.wave

    def blocked(self, at, *rest):
        if 0.4 < at < 0.6:
            raise ConvergenceError("blocked there")
        return solve(self, at, *rest)

    monkeypatch.setattr(LongChain, "wave", blocked)
    path = tmp_path / "found.json"
    asked = ("--theory-only", "--width", 9, "--json", path, "--figure", tmp_path / "found.png")
    status, out, _ = run("minimalrnn", *asked)
    assert status == 0
    assert "no theory of 1 of the exponents: blocked there" in out
    assert sum(line.split()[-1:] == ["-"] for line in out.splitlines()) == 1
    theory = json.loads(path.read_text())["theory"]
    assert [k for k, value in enumerate(theory) if value is None] == [4]
