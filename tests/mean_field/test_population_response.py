"""Response series of populations against moments that close, and against eigenvalues."""

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit

from rmt_jacobian.cells import Cell, Parameters, Preactivation, gru, lstm, sigmoid
from rmt_jacobian.mean_field import PairState, untied_state
from rmt_jacobian.mean_field.populations.response import PopulationResponses
from rmt_jacobian.mean_field.populations.site_models import AffineSites, Drives
from rmt_jacobian.mean_field.populations.sites import PopulationSites
from tests.in_turn import in_turn

s, x, e, f = sp.symbols("s x e f", real=True)
# An open gate most of the time: what is left of a change rests on ever fewer sites.
OPEN = {"input_std": 1.3, "weight_std": 1.1, "update.bias_mean": 1.0, "update.input_std": 3.0}
MIXED = Cell(
    "mixed", (s,), x, (Preactivation("g", e, s), Preactivation("h", f, s * sigmoid(e))),
    (sigmoid(e) * s + (1 - sigmoid(e)) * sp.tanh(f) - s / 10,),
)  # fmt: skip
WILD = {"input_std": 2.0, "weight_std": 1.5, "g.bias_mean": -0.5, "input_variance": 0.7}
VARIANCES = (1.7, 0.9, 1.3)
CASES = [(gru, OPEN, None), (gru, OPEN, (0.6, 0.9, 0.2)), (MIXED, WILD, None),
         (MIXED, WILD, (-0.5, 0.3))]  # fmt: skip


def both(cell, values, correlations) -> tuple[AffineSites, PopulationSites, Drives]:
    p = Parameters.of(cell, values)
    exact = AffineSites.of(cell, p, 0)
    assert exact is not None
    drives = Drives(VARIANCES[: len(cell.gates)], correlations, 0.4)
    return exact, PopulationSites(cell, p, 4096), drives


def agree(found: np.ndarray, expected: float, bound: float = 4e-3) -> None:
    """Compare the mean of populations with a number, in units of their scatter."""
    noise = found.std(ddof=1) / np.sqrt(len(found))
    assert noise < bound * abs(expected)
    assert found.mean() == pytest.approx(expected, abs=5 * noise, rel=1e-3)


@pytest.mark.parametrize(("cell", "values", "correlations"), CASES)
def test_growth_rates_of_cells_whose_moments_close(cell, values, correlations) -> None:
    exact, sites, drives = both(cell, values, correlations)
    agree(sites.growth(drives), float(exact.growth(drives)[0]))
    assert sites.transient(drives, 1.0) < 2e-3


@pytest.mark.parametrize(("case", "steps"), in_turn(CASES, [1, 2, 15, 60]))
def test_growth_over_many_steps(case, steps) -> None:
    cell, values, correlations = case
    exact, sites, drives = both(cell, values, correlations)
    expected = exact.log_mean_squares(drives, steps)[0]
    found = sites.log_mean_squares(drives, steps)
    assert found.shape == (8, steps + 1)
    assert not found[:, 0].any()
    agree(np.exp((found[:, -1] - expected[-1]) / steps), 1.0, 8e-3)


def series(echoes: np.ndarray) -> PopulationResponses:
    """A series of one population, with a first column that nothing depends on."""
    N, K = echoes.shape[:2]
    whole = np.concatenate([np.zeros((N, K, 1)), echoes], axis=-1)[None]
    shape = (1, N + 1, 1 + K)
    return PopulationResponses(whole, np.ones(shape), np.zeros(shape))


@pytest.mark.parametrize(
    ("echoes", "kept", "rate"),
    [
        ([0.3], 0.0, 0.3),
        ([0.0, 0.25], 0.0, 0.5),
        ([-0.3], 0.0, -0.3),
        ([0.0, -0.25], 0.0, 0.5),  # +-i / 2
        ([0.3], 0.5, 0.8),  # a geometric series: 0.3 / (lambda - 0.5) = 1
        ([0.3, 0.15, 0.075], 0.5, 0.8),
        ([-0.3], 0.5, 0.5),  # the memory outlives 0.2
        ([0.0], 0.4, 0.4),
        ([-1e-8] + [0.0] * 63, 0.0, -1e-8),  # whose powers leave the range of numbers
        ([1e-200], 0.4, 0.4),
    ],
)
def test_rates_of_series(echoes, kept, rate) -> None:
    found = series(np.array(echoes)[:, None, None]).growth_rates(np.array([kept]))
    assert found == pytest.approx(rate, rel=1e-9, abs=0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("N", [60, 200])  # all eigenvalues, or the leading ones
def test_rates_of_many_preactivations(sign: float, N: int) -> None:
    """R_n = C A^(n - 1) B of a memory of three states, which has the rates of A + B C."""
    rng = np.random.default_rng(3)
    A = np.diag([0.5, 0.4, -0.3])
    B, C = rng.uniform(0, 0.8, (3, 2)), sign * rng.uniform(0, 0.8, (2, 3))
    values = np.linalg.eigvals(A + B @ C)
    expected = values[np.argmax(np.abs(values))]
    assert abs(expected) > 0.52
    echoes = np.stack([C @ np.linalg.matrix_power(A, n) @ B for n in range(N)])
    found = series(echoes).growth_rates(np.full(1, 0.5))[0]
    assert found == pytest.approx(expected.real, rel=1e-8)


def test_rates_of_a_long_series_of_both_signs() -> None:
    """A memory that is slow to forget, and a response that falls a hundred times in all."""
    A = np.diag([0.97, 0.5])
    B, C = np.array([[0.3, -0.1], [0.2, 0.4]]), np.array([[0.4, -0.3], [-0.2, 0.1]])
    values = np.linalg.eigvals(A + B @ C)
    expected = values[np.argmax(np.abs(values))]
    assert expected.imag == 0
    assert expected > 1.05
    echoes = np.stack([C @ np.linalg.matrix_power(A, n) @ B for n in range(250)])
    assert echoes.min() < 0 < echoes.max()
    found = series(echoes).growth_rates(np.full(1, 0.97))[0]
    assert found == pytest.approx(expected.real, rel=1e-8)


def test_rates_of_states_that_forget_alike_say_how_little_is_known() -> None:
    """Two traces in a row, s' = s / 2 + ...: the rate 1/4 to a root of rounding."""
    s1, s2, s3, u = sp.symbols("s1 s2 s3 u", real=True)
    cell = Cell(
        "traces", (s1, s2, s3), x, (Preactivation("g", u, s3),),
        (sp.tanh(u), s1 / 2 + s2 / 2, s2 / 2 + s3 / 2),
    )  # fmt: skip
    p = Parameters.of(cell, weight_std=1e-9, input_std=1.0, input_variance=1.0)
    model = AffineSites.of(cell, p, 0)
    assert model is not None
    drives = Drives((1.0,), (0.0,), 0.0)
    found = float(model.growth(drives)[0])
    assert 0 < abs(found - 0.25) <= 20 * model.transient(drives, found)
    assert model.transient(drives, found) < 1e-3


@pytest.mark.parametrize("steps", [1, 4, 12])
def test_rare_biases_that_remember(steps: int) -> None:
    r"""Without W, m_1(T) = E_b[E[u^2 | b]^T]: after twelve steps from biases 4 deviations away."""
    cell = Cell("slow", (s,), x, (Preactivation("g", e, s),),
                (sigmoid(e) * s + x * (1 - sigmoid(e)),))  # fmt: skip
    mean, bias_std, q = -2.135, 0.8519, 0.8
    p = Parameters.of(
        cell, weight_std=0.0, input_std=1.0, bias_mean=mean, bias_std=bias_std, input_variance=q,
        bias_kind="frozen",
    )  # fmt: skip
    z, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    b = np.linspace(-9, 9, 20_001)
    density = np.exp(-(b**2) / 2) / np.sqrt(2 * np.pi)
    kept = expit(mean + bias_std * b[:, None] + np.sqrt(q) * z) ** 2 @ weights
    expected = np.trapezoid(density * kept**steps, b)
    found = PopulationSites(cell, p, 8192).log_mean_squares(Drives((q,)), steps)[:, -1]
    agree(np.exp(found - np.log(expected)), 1.0, 0.02)


def test_growth_over_steps_where_hardly_any_w_is_felt() -> None:
    """With gates open the LSTM keeps c, and h = tanh(c) is +-1: a change that enters c stays.

    After T steps J J^T has the mean (1 + 9 E[tanh'(y)^2]) / 2, y ~ N(0, 10).
    """
    gates = {f"{gate}.bias_mean": 30.0 for gate in ("forget", "input", "output")}
    at = Parameters.of(lstm).with_values({**gates, "input_std": 1.0})
    state = untied_state(lstm, at)
    same = PairState(state, 1.0, state.source_squares)
    z = np.linspace(-10, 10, 20_001)
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    slopes = np.cosh(np.sqrt(10) * z) ** -4.0
    mean = (1 + 9 * np.sum(slopes * density) * (z[1] - z[0])) / 2
    for steps in (1, 40):
        found, error = same.growth_rate(steps), same.growth_rate_error(steps)
        assert abs(found - mean ** (1 / steps)) < 1.5 * error < 0.01


def test_a_small_echo_between_large_ones_does_not_end_a_series() -> None:
    """A change that comes back after three steps, and after two only as noise."""
    noise = np.random.default_rng(0).standard_normal(8) * 1e-3
    series = np.zeros((8, 4, 1, 1))
    series[:, 1, 0, 0], series[:, 2, 0, 0] = noise, 0.5 + 0.1 * noise
    echoes = np.concatenate([0 * series, series], axis=-1)
    responses = PopulationResponses(echoes, np.zeros((8, 5, 2)), np.zeros((8, 5, 2)))
    assert responses.reliable == responses.steps
    found = responses.shortened(responses.reliable).growth_rates(np.zeros(8))
    assert found.mean() == pytest.approx(0.5 ** (1 / 3), rel=1e-3)
