"""``rmt-jacobian mean-field`` for cells with several preactivations or states."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, gru, lstm
from rmt_jacobian.cli import main
from rmt_jacobian.cli.mean_field import known_digits
from rmt_jacobian.mean_field import untied_state

CELLS = {
    "gru": ["update", "reset", "candidate"],
    "gru-reset-after": ["update", "reset", "candidate", "candidate_input"],
    "lstm": ["forget", "input", "output", "candidate"],
    "lstm-peephole": ["forget", "input", "output", "candidate"],
}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["mean-field", *(str(argument) for argument in arguments)])
        captured = capsys.readouterr()
        return stopped.value.code, captured.out, captured.err

    return call


@pytest.mark.parametrize("cell", CELLS)
def test_every_preactivation_and_state_has_its_numbers(run, cell):
    status, out, err = run(cell, "-p", "input_std=1", "--json", "-")
    assert status == 0
    found = json.loads(out)
    for name in ("preactivation_variance", "source_variance", "correlation"):
        assert list(found[name]) == CELLS[cell]
    assert list(found["state_variance"]) == (["h", "c"] if "lstm" in cell else ["h"])
    for name, q in found["preactivation_variance"].items():
        std = found["parameters"].get(f"{name}.weight_std", 0)
        # Preactivations without an input have no input_std, those without weights no weight_std.
        expected = std**2 * found["source_variance"][name]
        expected += found["parameters"].get(f"{name}.input_std", 0) ** 2
        assert q == pytest.approx(expected, rel=1e-9)
        assert found["correlation"][name] == pytest.approx(1, abs=1e-9)  # inputs are the same
    assert found["chi"] == pytest.approx(found["chi1"])
    assert found["timescale"] == pytest.approx(-1 / math.log(found["chi"]))
    assert "growth of squared gradients" in err
    norm = math.sqrt(found["chi1"])
    fate = "vanish" if norm < 1 else "explode"
    said = re.search(
        rf"Gradients {fate}( slowly)?: their norm changes by a factor of ([\d.]+)", err
    )
    assert said is not None
    assert float(said[2]) == pytest.approx(norm, rel=0.01)


def test_zero_states_in_closed_form(run):
    """All gates are 1/2: J J^T has mean 1/4 + (a_h / 4)^2 with a_h = 3, in the GRU and the LSTM."""
    for cell in CELLS:
        status, out, _ = run(cell, "-p", "input_std=0", "--json", "-")
        assert status == 0
        found = json.loads(out)
        assert set(found["preactivation_variance"].values()) == {0}
        assert found["chi1"] == pytest.approx(1 / 4 + 9 / 16, rel=1e-9)


def test_gru_against_a_simulation_by_hand(run):
    status, out, _ = run(
        "gru", "-p", "input_std=1", "-p", "update.bias_mean=1", "--input-correlation", 0.5,
        "--json", "-",
    )  # fmt: skip
    assert status == 0
    found = json.loads(out)
    rng = np.random.default_rng(0)
    stds, h = np.array([3.0, 1.0, 3.0]), np.zeros((2, 300_000))

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    def correlated(y, std, mean=0.0):
        """Two networks whose inputs have correlation 1/2."""
        covariance = std**2 * (y @ y.T) / y.shape[1] + np.array([[1, 0.5], [0.5, 1]])
        return mean + np.linalg.cholesky(covariance) @ rng.standard_normal(y.shape), covariance

    for _ in range(60):
        z, of_z = correlated(h, stds[0], 1.0)
        r, _ = correlated(h, stds[1])
        y, of_y = correlated(logistic(r) * h, stds[2])
        h = logistic(z) * h + (1 - logistic(z)) * np.tanh(y)
    # Monte Carlo over 300 000 sites.
    q = found["preactivation_variance"]
    assert [q["update"], q["candidate"]] == pytest.approx([of_z[0, 0], of_y[0, 0]], rel=0.01)
    c = found["correlation"]
    expected = [of_z[0, 1] / of_z[0, 0], of_y[0, 1] / of_y[0, 0]]
    assert [c["update"], c["candidate"]] == pytest.approx(expected, abs=0.01)
    assert found["state_variance"]["h"] == pytest.approx(np.mean(h**2), rel=0.01)


def test_what_is_not_given_comes_from_the_cell(run):
    status, out, _ = run("lstm", "-p", "forget.bias_mean=2", "--json", "-")
    assert status == 0
    expected = Parameters.of(lstm).with_values({"forget.bias_mean": 2.0})
    assert json.loads(out)["parameters"] == expected.named()


def test_groups_of_a_file(run, tmp_path):
    (tmp_path / "gru.toml").write_text(
        "[parameters]\ninput_std = 1\n[parameters.update]\nweight_std = 4\nbias_mean = -1\n"
    )
    status, out, _ = run("gru", "--config", "gru.toml", "--json", "-")
    assert status == 0
    expected = Parameters.of(gru).with_values(
        {"input_std": 1.0, "update.weight_std": 4.0, "update.bias_mean": -1.0}
    )
    assert json.loads(out)["parameters"] == expected.named()


def test_biases_are_frozen_or_redrawn(run):
    found = {}
    for kind in (None, "frozen", "redrawn"):
        chosen = [] if kind is None else ["--biases", kind]
        given = ("-p", "bias_std=2", "-p", "input_std=1")
        status, out, _ = run("gru", *given, *chosen, "--json", "-")
        assert status == 0
        found[kind] = json.loads(out)
    assert found[None] == found["frozen"]
    assert [found[kind]["biases"] for kind in (None, "redrawn")] == ["frozen", "redrawn"]
    parameters = Parameters.of(gru).with_values({"bias_std": 2.0, "input_std": 1.0})
    expected = untied_state(gru, replace(parameters, bias_kind="redrawn")).state_squares[0]
    assert found["redrawn"]["state_variance"]["h"] == pytest.approx(expected, rel=1e-6)
    assert abs(found["frozen"]["state_variance"]["h"] / expected - 1) > 0.01


def test_numbers_have_errors_and_are_printed_as_far_as_they_are_known(run):
    given = ("lstm", "-p", "forget.bias_mean=1", "-p", "input_std=0.6")
    status, out, err = run(*given, "--tolerance", 0.01, "--json", "-")
    assert status == 0
    found = json.loads(out)
    errors = found["errors"]
    assert found["tolerance"] == 0.01
    for name, q in found["preactivation_variance"].items():
        assert 0 < errors["preactivation_variance"][name] <= 0.01 * q
    assert 0 < errors["chi1"] <= 0.01 * found["chi1"]
    (line,) = (line for line in err.splitlines() if " chi1 " in line)
    value, _, error = line.split()[1:4]
    assert float(error) == float(f"{errors['chi1']:.0e}")
    assert abs(float(value) - found["chi1"]) <= float(error)
    assert len(value.split(".")[1]) == len(error.split(".")[1])
    status, out, err = run(*given, "--tolerance", 1e-9)
    assert (status, out) == (1, "")
    assert "ask for a larger tolerance" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.7367598, 0.00046, "0.7368 +- 0.0005"),
        (0.7367598, 0.00096, "0.737 +- 0.001"),
        (256.4, 14.5, "260 +- 10"),
        (2 / 3, 1e-15, "0.6666666667"),
        (0.0, 0.0, "0"),
        (math.inf, 1.0, "inf"),
        (-0.02, 0.3, "-0.02 +- 0.3"),
    ],
)
def test_digits_follow_errors(value, error, text):
    assert known_digits(value, error) == text


def test_growth_over_steps(run):
    given = ("gru", "-p", "input_std=1", "-p", "update.bias_std=0.3")
    status, out, err = run(*given, "--json", "-")
    assert status == 0
    found = json.loads(out)
    assert found["chi1"] == pytest.approx(1)
    assert found["growth_rate"] < 1  # over 20 steps
    assert "Slopes are those in the end" in err
    assert "Gradients vanish" in err
    assert "over 20 steps" in err
    status, out, err = run(*given, "--steps", 12, "--json", "-")
    found = json.loads(out)
    assert status == 0
    # Sites simulated as in the tests of stationary states, six times 60,000: 0.90594 +- 0.00021.
    assert found["growth_rate"] == pytest.approx(0.90594, abs=0.0008)
    assert "over 12 steps" in err
    status, out, _ = run("minimalrnn", "-p", "bias_mean=1", "--steps", 5, "--json", "-")
    found = json.loads(out)
    assert found["growth_rate"] == found["chi1"]
    assert found["errors"]["chi1"] < 1e-10


BAD = [
    (["gru", "--steps", "0"], "0 is not in the range"),
    (["gru", "--tolerance", "0"], "0.0 is not in the range"),
    (["gru", "-p", "update.bias_mean=400"], "h grows for ever"),
    (["gruu"], "did you mean gru?"),
    (["lstmm"], "did you mean lstm?"),
    (["gru", "-p", "update.weight=3"], "did you mean update.weight_std?"),
    (["gru", "-p", "forget.weight_std=1"], "no parameter 'forget.weight_std'"),
    (["gru-reset-after", "-p", "candidate.input_std=1"], "no parameter 'candidate.input_std'"),
    (["gru", "-p", "update.weight_std"], "not of the form name=value"),
    (["gru", "-p", "update.weight_std=x"], "must be a number"),
    (["gru", "-p", "weight_std=-1"], "must be >= 0"),
    (["lstm", "-p", "forget.bias_mean=inf"], "forget.bias_mean must be finite"),
    (["gru", "--biases", "cold"], "'cold' is not one of 'frozen', 'redrawn'"),
    (["lstm", "-p", "input_variance=-1"], "input_variance"),
    (["gru", "--input-correlation", "2"], "not in the range -1<=x<=1"),
    (["gru", "--input-correlation", "nan"], "nan is not a finite number"),
    (["gru", "--inputs", "uniform"], "'gaussian', 'tanh'"),
    (["gru", "--json", "file/found.json"], "cannot write"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_gets_one_line_and_leaves_nothing(run, tmp_path, arguments, words):
    (tmp_path / "file").write_text("a file, no folder")
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
