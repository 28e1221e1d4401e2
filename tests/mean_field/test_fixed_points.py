"""Fixed points of tied networks against adaptive quadrature, real networks and real spectra."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    relu,
    sigmoid,
    vanilla,
)
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field import fixed_points
from rmt_jacobian.mean_field.at_rest.moment_map import _on_the_line
from tests import gauss_legendre as gl
from tests.in_turn import in_turn
from tests.mean_field.tied import (
    gru_jacobian,
    lstm_jacobian,
    normal_average,
    run_gru,
    run_lstm,
)

QUIET = {"input_std": 0.0, "bias_mean": 0.0, "bias_std": 0.0, "input_variance": 1.0}


def gru_parameters(a_z, a_r, a_h, **others):
    stds = {"update.weight_std": a_z, "reset.weight_std": a_r, "candidate.weight_std": a_h}
    return Parameters.of(gru, {**QUIET, **stds, **others})


def lstm_parameters(stds, cell=lstm, **others):
    names = ("forget", "input", "output", "candidate")
    given = {f"{n}.weight_std": std for n, std in zip(names, stds, strict=True)}
    return Parameters.of(cell, {**QUIET, **given, **others})


@pytest.mark.parametrize(
    ("a_r", "a_h", "others", "count"),
    [
        (1.0, 3.0, {}, 2),
        (10.0, 1.8, {}, 3),
        (30.0, 2.5, {}, 2),
        (1.0, 1.3, {}, 1),
        (2.0, 1.5, {"input_std": 0.4, "reset.bias_mean": 0.7, "candidate.bias_mean": -0.3}, 1),
        (8.0, 1.5, {"reset.bias_mean": -2.0, "bias_std": 0.01}, 1),
    ],
)
def test_gru_solves_the_equations_of_the_reference(a_r, a_h, others, count):
    parameters = gru_parameters(2.0, a_r, a_h, **others)
    points = fixed_points(gru, parameters)
    assert len(points) == count
    given = parameters.named()
    for point in points:
        C_h, _, C_y = point.moments
        noise = {
            name: given[f"{name}.input_std"] ** 2 + given[f"{name}.bias_std"] ** 2
            for name in ("reset", "candidate")
        }
        q_r, q_y = a_r**2 * C_h + noise["reset"], a_h**2 * C_y + noise["candidate"]
        assert point.variances[1:] == pytest.approx((q_r, q_y), rel=1e-13)
        if point.vanishes:
            continue
        r2 = normal_average(lambda e: expit(e) ** 2, q_r, given["reset.bias_mean"])
        h2 = normal_average(lambda e: np.tanh(e) ** 2, q_y, given["candidate.bias_mean"])
        assert pytest.approx(h2, rel=1e-10) == C_h
        assert pytest.approx(r2 * h2, rel=1e-10) == C_y
        assert point.residual < 1e-12
        assert point.error < 1e-6


def test_gru_at_the_anchor():
    zero, point = fixed_points(gru, gru_parameters(1.0, 1.0, 3.0))
    assert zero.vanishes
    assert zero.moments == (0.0, 0.0, 0.0)
    assert point.moments[0] == pytest.approx(0.37989, abs=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_real_gru_settles_at_the_fixed_point(seed):
    stds, inputs = (1.0, 2.0, 1.3), (0.5, 0.6, 0.7)
    named = {
        f"{name}.input_std": value
        for name, value in zip(("update", "reset", "candidate"), inputs, strict=True)
    }
    (point,) = fixed_points(gru, gru_parameters(*stds, **named))
    assert point.stable
    h, change = run_gru(stds, inputs, 2000, 200, np.random.default_rng(seed))
    assert change < 1e-6
    # The variance of h^2 over 2000 sites, and the response of the network to it.
    spread = np.std(h**2) / np.sqrt(2000)
    assert np.mean(h**2) == pytest.approx(point.moments[0], abs=4 * 1.5 * spread)


def test_a_real_lstm_settles_at_the_fixed_point():
    stds, inputs = (2.0, 1.0, 1.5, 1.2), (1.0, 0.5, 0.4, 0.8)
    named = {
        f"{name}.input_std": value
        for name, value in zip(("forget", "input", "output", "candidate"), inputs, strict=True)
    }
    (point,) = fixed_points(lstm, lstm_parameters(stds, **named))
    h, change = run_lstm(stds, inputs, 1000, 600, np.random.default_rng(3))
    assert change < 1e-4
    spread = np.std(h**2) / np.sqrt(1000)
    assert np.mean(h**2) == pytest.approx(point.moments[0], abs=4 * 1.5 * spread)


@pytest.mark.parametrize("a_f", [1.0, 10.0])
def test_lstm_moments_against_plain_sampling(a_f):
    parameters = lstm_parameters((a_f, 1.0, 2.0, 3.0), **{"forget.bias_mean": 0.5})
    point = fixed_points(lstm, parameters)[-1]
    e = np.random.default_rng(5).normal(size=(4, 1_000_000))
    e = e * np.sqrt(np.array(point.variances))[:, None]
    c = expit(e[1]) * np.tanh(e[3]) * (1 + np.exp(e[0] + 0.5))
    squares = (expit(e[2]) * np.tanh(c)) ** 2
    assert squares.mean() == pytest.approx(point.moments[0], abs=4 * squares.std() / 1000)
    assert point.residual < 1e-12
    assert point.error < 1e-6


def test_peepholes_have_two_unknown_moments():
    parameters = lstm_parameters((0.1, 1.0, 1.0, 3.0), cell=lstm_peephole)
    zero, point = fixed_points(lstm_peephole, parameters)
    assert zero.vanishes
    e = np.random.default_rng(6).normal(size=(4, 1_000_000))
    e = e * np.sqrt(np.array(point.variances))[:, None]
    c = expit(e[1]) * np.tanh(e[3]) * (1 + np.exp(e[0]))
    h = expit(e[2]) * np.tanh(c)
    for k, values in ((0, c**2), (3, h**2)):
        assert values.mean() == pytest.approx(point.moments[k], abs=4 * values.std() / 1000)


def test_reset_after_the_product():
    parameters = Parameters.of(gru_reset_after, input_std=0)
    point = fixed_points(gru_reset_after, parameters)[-1]
    e = np.random.default_rng(7).normal(size=(4, 1_000_000))
    e = e * np.sqrt(np.array(point.variances))[:, None]
    squares = np.tanh(expit(e[1]) * e[2] + e[3]) ** 2
    assert squares.mean() == pytest.approx(point.moments[0], abs=4 * squares.std() / 1000)


def test_cells_without_feedback_and_without_gates():
    (point,) = fixed_points(minimalrnn, Parameters.of(minimalrnn))
    assert point.moments[0] == pytest.approx(Parameters.of(minimalrnn).input_variance)
    quiet = Parameters.of(vanilla, {**QUIET, "weight_std": 1.5})
    zero, point = fixed_points(vanilla, quiet)
    assert zero.vanishes
    assert normal_average(lambda e: np.tanh(e) ** 2, 2.25 * point.moments[0]) == pytest.approx(
        point.moments[0], rel=1e-10
    )
    # The chaotic phase of a network without gates has no stable fixed point.
    assert not zero.stable
    assert not point.stable
    assert zero.spectral_radius == pytest.approx(1.5)


def test_solutions_in_pairs_are_found_at_the_fold():
    # At a_h = 1.8 two solutions meet at a_r = 8.15697749996 (see test_gru_phases).
    close = 8.15697749996
    assert len(fixed_points(gru, gru_parameters(1.0, close * (1 + 1e-6), 1.8))) == 3
    assert len(fixed_points(gru, gru_parameters(1.0, close * (1 - 1e-6), 1.8))) == 1


def test_sites_have_the_law_of_the_fixed_point():
    point = fixed_points(gru, gru_parameters(3.0, 2.0, 3.0, **{"update.bias_mean": 1.0}))[-1]
    sites = point.sites(8192, seed=1)
    h = sites.states[0]
    assert np.allclose(sites.next_states[0], h)  # they rest
    assert np.mean(sites.gates[0]) == pytest.approx(1.0, abs=1e-3)
    assert np.var(sites.gates[0]) == pytest.approx(point.variances[0], rel=1e-3)
    for k in range(3):
        assert sites.preactivation_variance(k) == pytest.approx(point.variances[k], rel=2e-3)
    z, _, y = gru.gates
    for expression in (sigmoid(z) * sp.tanh(y) ** 2, gru.sources[2] ** 2 * sigmoid(z) ** 2):
        assert sites.average(expression) == pytest.approx(point.average(expression), rel=3e-3)
    again = point.sites(8192, seed=1)
    assert np.array_equal(again.states[0], h)
    assert point.sites(1000).count == 1000


def test_sites_of_an_lstm_rest():
    point = fixed_points(lstm, lstm_parameters((1.0, 1.0, 1.0, 3.0)))[-1]
    sites = point.sites(4096)
    for before, after in zip(sites.states, sites.next_states, strict=True):
        assert np.allclose(before, after)


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "kind"), in_turn(["lstm", "gru"], ["gaussian", "orthogonal"]))
def test_edge_of_sampled_spectra(cell, kind):
    width, rng = 700, np.random.default_rng(8)
    if cell == "gru":
        stds, jacobian = (0.5, 4.0, 3.0), gru_jacobian
        point = fixed_points(gru, gru_parameters(*stds))[-1]
    else:
        stds, jacobian = (0.2, 1.0, 6.0, 5.0), lstm_jacobian
        point = fixed_points(lstm, lstm_parameters(stds))[-1]
    radii = []
    for _ in range(3):
        gates = rng.normal(size=(len(stds), width)) * np.sqrt(point.variances)[:, None]
        radii.append(np.max(np.abs(np.linalg.eigvals(jacobian(gates, stds, kind, rng)))))
    assert point.spectral_radius > 1.05
    # Fluctuations of the drawn sites and of the last eigenvalue, a few percent at this width.
    assert np.mean(radii) == pytest.approx(point.spectral_radius, rel=0.03)


@pytest.mark.parametrize(("a_h", "stable"), [(1.9, True), (2.1, False)])
def test_zero_is_stable_below_two(a_h, stable):
    zero = fixed_points(gru, gru_parameters(5.0, 1.0, a_h))[0]
    assert zero.stable is stable
    assert zero.spectral_radius == pytest.approx(0.5 + a_h / 4)


def test_a_negative_memory_is_seen_on_the_negative_axis():
    h, x, e = sp.symbols("h x e")
    flips = Cell("flips", (h,), x, (Preactivation("candidate", e, h),), (-h / 2 + sp.tanh(e),))
    parameters = Parameters.of(flips, {**QUIET, "weight_std": 0.7})
    zero = fixed_points(flips, parameters)[0]
    # Eigenvalues fill the disk of radius 0.7 around -1/2.
    assert zero.spectral_radius == pytest.approx(1.2)
    assert not zero.stable


@pytest.mark.parametrize(
    ("update", "words"),
    [
        ("tanh(h) + tanh(e)", "not affine"),
        ("h + tanh(e)", "keeps its memory"),
    ],
)
def test_cells_that_cannot_be_solved(update, words):
    h, x, e = sp.symbols("h x e")
    updates = {"tanh(h) + tanh(e)": sp.tanh(h) + sp.tanh(e), "h + tanh(e)": h + sp.tanh(e)}
    cell = Cell("odd", (h,), x, (Preactivation("candidate", e, h),), (updates[update],))
    with pytest.raises(HypothesisError, match=words):
        fixed_points(cell, Parameters.of(cell, {**QUIET, "weight_std": 1.0}))


def test_more_variables_than_can_be_integrated():
    point = fixed_points(lstm, lstm_parameters((1.0, 1.0, 1.0, 3.0)))[-1]
    with pytest.raises(HypothesisError, match="more than can be integrated"):
        point.average(sp.tanh(sum(lstm.gates) * lstm.input))


def test_a_sum_of_all_variables_is_one_variable():
    point = fixed_points(lstm, lstm_parameters((1.0, 1.0, 1.0, 3.0)))[-1]
    found = point.average(sp.tanh(sum(lstm.gates) + lstm.input + 1))
    mean = 1 + sum(group.bias_mean for _, group in point.parameters.groups)
    variance = sum(point.variances) + point.parameters.input_variance
    assert found == pytest.approx(gl.normal_average(np.tanh, mean, variance), rel=1e-10)


class FakeMap:
    """The logarithm of an image over its argument, as a function of the logarithm."""

    def __init__(self, log_ratio: Callable[[float], float]) -> None:
        self.log_ratio = log_ratio

    def image(self, values: np.ndarray) -> np.ndarray:
        return values * np.exp(self.log_ratio(float(np.log(values[0]))))


def test_noise_of_the_thin_rule_is_no_solution() -> None:
    """Where rest is marginal the map is m (1 + 10 m), and a thin rule errs more than that."""
    exact = FakeMap(lambda log: 10 * np.exp(min(log, 0)))
    thin = FakeMap(lambda log: 10 * np.exp(min(log, 0)) + 1e-9 * np.sin(7 * log))
    assert _on_the_line(exact, thin) == []  # pyright: ignore[reportArgumentType]
    true = FakeMap(lambda log: 10 * np.exp(min(log, 0)) - 1e-2)
    (found,) = _on_the_line(true, true)  # pyright: ignore[reportArgumentType]
    assert found == pytest.approx([1e-3])


@pytest.mark.parametrize(
    ("kept", "reach"),
    [
        (lambda e, x: sp.Rational(9, 10) * (1 - sp.tanh(e) ** 2), 0.9),  # at e = 0
        (lambda e, x: sigmoid(3 * x) / 2, 0.5),  # at large inputs
        (lambda e, x: sp.tanh(e) - sp.tanh(e) ** 3, 2 / math.sqrt(27)),
        (lambda e, x: -relu(e), math.inf),
    ],
)
def test_the_reach_of_a_memory_that_is_largest_anywhere(kept, reach):
    h, x, e = sp.symbols("h x e", real=True)
    cell = Cell("anywhere", (h,), x, (Preactivation("a", e, h),), (kept(e, x) * h + sp.tanh(e),))
    p = Parameters.of(cell, weight_std=1.0, input_std=0.5, input_variance=1.0, bias_mean=0.3)
    point = fixed_points(cell, p)[-1]
    assert point.memory_reach == pytest.approx(reach, rel=1e-9)
    assert point.spectral_radius >= reach
