"""``rmt-jacobian mean-field`` where a step forgets nothing, or next to nothing."""

import json
import math

import pytest
from scipy.integrate import quad

from rmt_jacobian.cli import main
from rmt_jacobian.cli.mean_field import known_digits, known_time

SEEN = {"input_std": 1.39, "input_variance": 0.46}


@pytest.fixture
def run(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["mean-field", *(str(argument) for argument in arguments), "--json", "-"])
        assert stopped.value.code == 0
        captured = capsys.readouterr()
        return json.loads(captured.out), captured.err

    return call


@pytest.mark.parametrize("input_correlation", [1.0, 0.5])
def test_he_initialisation_keeps_every_variance(run, input_correlation):
    """E[relu(e)^2] = q / 2 and E[relu(e)^4] = 3 q^2 / 2; the orbit starts at 1 and stays."""
    found, said = run(
        "vanilla:relu", "-p", f"weight_std={math.sqrt(2)}", "-p", "input_std=0", "--steps", 5,
        "--input-correlation", input_correlation,
    )  # fmt: skip
    expected = {"preactivation_variance": 2, "state_variance": 1, "state_fourth_moment": 6,
                "chi1": 1, "growth_rate": 1, "correlation": 1, "state_correlation": 1}  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    exact = set(expected) - {"correlation", "state_correlation"}
    assert all(found["errors"][name] < 1e-11 for name in exact)
    assert found["errors"]["correlation"] < 1e-8
    assert found["timescale"] is None  # infinite
    assert found["variance_timescale"] is None
    assert "+- inf" not in said
    assert "not known" not in said


@pytest.mark.parametrize("bias", [20.0, 30.0, 50.0, 60.0])
def test_a_gate_that_keeps_next_to_everything(run, bias):
    """1 - sigmoid(e) is exp(-e): lognormal moments, to the size of exp(-bias)."""
    given = [part for name, value in SEEN.items() for part in ("-p", f"{name}={value}")]
    found, said = run("minimalrnn", "-p", f"bias_mean={bias}", *given, "--input-correlation", 0.5)
    q, R = 1.39**2 * 0.46, 0.46
    rate = math.exp(-bias + q / 2)  # E[1 - u]
    near = pytest.approx
    small = max(1e-9, 100 * rate)
    assert found["state_variance"] == near(R * rate * math.exp(q) / 2, rel=small)
    # A step adds E[(1 - u_1) (1 - u_2)] to the product of two networks and forgets 2 E[1 - u].
    assert found["correlation"] == near(0.5, rel=small)
    assert found["state_correlation"] == near(0.5 * math.exp(-q / 2), rel=small)
    assert found["timescale"] == near(1 / (2 * rate), rel=small)
    assert found["errors"]["timescale"] < 1e-9 * found["timescale"]
    assert found["errors"]["state_variance"] < 1e-9 * found["state_variance"]
    assert "inf" not in said


def test_a_gate_that_keeps_much_against_quadrature(run):
    found, _ = run("minimalrnn", "-p", "bias_mean=15", "-p", "weight_std=0", "-p", "input_std=2")

    R = found["parameters"]["input_variance"]
    scale = math.sqrt(R)

    def average(function):
        def weighted(z):
            return function(1 / (1 + math.exp(15 + 2 * scale * z))) * math.exp(-(z**2) / 2)

        return quad(weighted, -12, 12, epsabs=0, epsrel=1e-12)[0] / math.sqrt(2 * math.pi)

    lost = average(lambda left: left * (2 - left))
    assert found["state_variance"] == pytest.approx(
        R * average(lambda s: s**2) / lost, rel=1e-10, abs=0
    )
    assert found["timescale"] == pytest.approx(-1 / math.log1p(-lost), rel=1e-10, abs=0)


def test_where_the_order_ends(run):
    """The map of vanilla at gain 1 is Q - 2 Q^2 + ...: 0 is approached, and not told from 1e-14."""
    found, said = run("vanilla", "-p", "weight_std=1", "-p", "input_std=0")
    assert abs(found["state_variance"]) < found["errors"]["state_variance"] < 1e-12
    assert found["chi1"] == pytest.approx(1, abs=1e-11)
    assert found["errors"]["chi1"] < 1e-11
    assert "at least" in said


def test_a_linear_network_keeps_every_correlation(run):
    found, said = run("vanilla:identity", "-p", "weight_std=1", "-p", "input_std=0")
    assert (found["state_variance"], found["correlation"], found["chi"]) == (1, 1, 1)
    assert found["errors"]["correlation"] < 1e-11
    assert "inf" in said


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(1.0, math.inf, "not known"), (0.0, math.inf, "not known"), (math.inf, math.inf, "inf")],
)
def test_no_number_has_an_infinite_error(value, error, text):
    assert known_digits(value, error) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(1e12, 1e13, "at least 9e+10"), (10.0, 0.1, "10.0 +- 0.1"), (0.0, 0.2, "0.0 +- 0.2")],
)
def test_timescales_that_may_be_infinite_have_a_bound(value, error, text):
    assert known_time(value, error) == text
