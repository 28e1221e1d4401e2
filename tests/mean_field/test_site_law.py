"""The stationary law of a site against plain simulations of many independent sites."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.special import expit

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    cell_named,
    minimalrnn,
    sigmoid,
    vanilla,
)
from rmt_jacobian.errors import HypothesisError, InfeasibleError
from rmt_jacobian.mean_field import SiteLaw, site_law, solve_site_law
from tests import gauss_legendre as gl
from tests.cells.two_gates import reads_the_state, two_gates, two_states
from tests.mean_field.points import POINTS, Point

SITES = 250_000


def simulated(point: Point, law: SiteLaw, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return (h, x, e) of independent sites in their stationary state."""
    e_mean, e_std = point.parameters.only.bias_mean, math.sqrt(law.preactivation_variance)
    h = np.zeros(SITES)
    for _ in range(point.memory):
        e = e_mean + e_std * rng.standard_normal(SITES)
        h = point.update(h, point.inputs(rng, (SITES,)), e)
    return h, point.inputs(rng, (SITES,)), e_mean + e_std * rng.standard_normal(SITES)


def assert_average(values: np.ndarray, expected: float) -> None:
    # 1e-10 is the rounding of central differences.  4.5 standard errors are one in 150,000 by
    # chance, and there are some two hundred comparisons.
    assert abs(values.mean() - expected) < 4.5 * values.std() / math.sqrt(values.size) + 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("name", POINTS)
def test_moments_and_averages_against_independent_sites(name: str) -> None:
    point = POINTS[name]
    law = site_law(point.cell, point.parameters)
    h, x, e = simulated(point, law, np.random.default_rng(11))
    for order in range(1, 9):
        assert_average(h**order, law.state_moment(order))
    # Averages of A and B, which are derivatives of the update: by central differences.
    step = 1e-5
    A = (point.update(h + step, x, e) - point.update(h - step, x, e)) / (2 * step)
    B = (point.update(h, x, e + step) - point.update(h, x, e - step)) / (2 * step)
    assert_average(A**2, law.direct_gain)
    assert_average(B**2, law.weight_gain)
    H, X, E = *point.cell.states, point.cell.input, *point.cell.gates
    assert_average(
        expit(e) ** 3 * (h - x) ** 2 * h, law.average(sigmoid(E) ** 3 * (H - X) ** 2 * H)
    )
    # Self-consistency: q* is what these states would produce.
    weights = point.parameters.only
    q = (
        weights.weight_std**2 * h**2
        + weights.input_std**2 * point.parameters.input_variance
        + weights.bias_std**2
    )
    assert_average(q, law.preactivation_variance)


@pytest.mark.parametrize("name", POINTS)
def test_the_fixed_point_is_one(name: str) -> None:
    point = POINTS[name]
    law = site_law(point.cell, point.parameters)
    assert law.implied_preactivation_variance == pytest.approx(
        law.preactivation_variance, rel=1e-13
    )


def test_minimalrnn_variance_from_its_printed_equation() -> None:
    for bias_mean, weight_std in ((0.0, 6.88), (4.0, 6.086), (-3.0, 20.0)):
        parameters = Parameters.of(
            minimalrnn, weight_std=weight_std, input_std=2, bias_mean=bias_mean, input_variance=0.46
        )
        law = site_law(minimalrnn, parameters)
        q = law.preactivation_variance
        kept = gl.normal_average(lambda e: gl.sigmoid(e) ** 2, bias_mean, q)
        new = gl.normal_average(lambda e: gl.sigmoid(-e) ** 2, bias_mean, q)
        assert law.state_variance == pytest.approx(0.46 * new / (1 - kept), rel=1e-12)
        assert q == pytest.approx(weight_std**2 * law.state_variance + 4 * 0.46, rel=1e-12)


def minimalrnn_variance(state_variance: float, parameters: Parameters) -> float:
    """One step of the map of Q in the literature, by the reference rule."""
    group = parameters.only
    q = group.weight_std**2 * state_variance + group.input_std**2 * parameters.input_variance
    kept = gl.normal_average(lambda e: gl.sigmoid(-e) * (1 + gl.sigmoid(e)), group.bias_mean, q)
    new = gl.normal_average(lambda e: gl.sigmoid(-e) ** 2, group.bias_mean, q)
    return parameters.input_variance * new / kept  # 1 - u^2 = (1 - u)(1 + u)


@pytest.mark.parametrize(
    ("bias_mean", "weight_std"), [(8.0, 30.0), (10.0, 60.0), (12.0, 100.0), (16.0, 200.0)]
)
def test_two_stable_states_of_the_variance(bias_mean: float, weight_std: float) -> None:
    parameters = Parameters.of(
        minimalrnn,
        weight_std=weight_std,
        input_std=0.1,
        bias_mean=bias_mean,
        input_variance=0.46,
    )
    found = []
    for start in (1e-7, 1.0):
        law = solve_site_law(minimalrnn, parameters, start_variance=start).unwrap()
        orbit = start
        for _ in range(30):
            orbit = minimalrnn_variance(orbit, parameters)
        # 1 - u loses its digits in floating point where u is close to 1: eps / (1 - u).
        rel = 1e-9 + 4e-16 * math.exp(bias_mean)
        assert law.state_variance == pytest.approx(orbit, rel=rel)
        found.append(law.state_variance)
    assert found[0] < 1e-3 < 0.3 < found[1]


@pytest.mark.parametrize("weight_std", [0.0, 0.5, 0.999])
def test_a_vanilla_state_dies_without_input(weight_std: float) -> None:
    parameters = Parameters.of(vanilla, weight_std=weight_std, input_std=0, input_variance=1)
    law = site_law(vanilla, parameters)
    assert law.state_variance == 0.0
    assert law.preactivation_variance == 0.0
    assert law.chi1 == pytest.approx(weight_std**2, rel=1e-15)


def test_a_vanilla_state_dies_on_the_order_chaos_line() -> None:
    law = site_law(vanilla, Parameters.of(vanilla, weight_std=1, input_std=0, input_variance=1))
    # There the map is Q - 2 Q^2 + ...: it moves Q by less than rounding below 1e-16.
    assert 0 <= law.state_variance < 1e-15
    assert law.chi1 == pytest.approx(1.0, abs=1e-14)


def test_a_vanilla_state_lives_above_the_line() -> None:
    law = site_law(vanilla, Parameters.of(vanilla, weight_std=1.1, input_std=0, input_variance=1))
    Q = law.state_variance
    expected = gl.normal_average(lambda e: np.tanh(e) ** 2, 0.0, 1.21 * Q)
    assert Q > 0.05
    assert pytest.approx(expected, rel=1e-12) == Q


@pytest.mark.parametrize("cell", [two_gates, two_states], ids=lambda cell: cell.name)
def test_cells_of_another_form_are_refused(cell: Cell) -> None:
    parameters = Parameters.of(cell, weight_std=1, input_std=1, input_variance=1)
    with pytest.raises(HypothesisError, match="one state h and one preactivation"):
        site_law(cell, parameters)


def test_a_source_that_is_not_the_state_is_refused() -> None:
    h, x, e = sp.symbols("h x e")
    cell = Cell("squared", (h,), x, (Preactivation("a", e, h**2),), (sp.tanh(e),))
    with pytest.raises(HypothesisError, match="one state h and one preactivation"):
        site_law(cell, Parameters.of(cell, weight_std=1, input_std=1, input_variance=1))


def test_an_update_that_is_not_linear_in_the_state_is_refused() -> None:
    parameters = Parameters.of(reads_the_state, weight_std=1, input_std=1, input_variance=1)
    with pytest.raises(HypothesisError):
        site_law(reads_the_state, parameters)


def test_averages_that_moments_do_not_give_are_refused() -> None:
    point = POINTS["figure 1"]
    law = site_law(point.cell, point.parameters)
    with pytest.raises(HypothesisError, match="not a polynomial"):
        law.average(sp.tanh(point.cell.states[0]))


@pytest.mark.parametrize(
    ("name", "weight_std", "how", "bound"),
    [
        ("vanilla:identity", 3.0, "9-fold a step", "below 1"),  # q' = 9 q + 0.25
        ("vanilla:identity", 1.0, "for ever", "below 1"),  # q' = q + 0.25
        ("vanilla:relu", 2.0, "2-fold a step", "below 1.41421"),  # E[relu(e)^2] = q / 2
        ("vanilla:relu", 1.5, "12.5 % a step", "below 1.41421"),
    ],
)
def test_a_variance_that_diverges_is_refused_with_the_reason(
    name: str, weight_std: float, how: str, bound: str
) -> None:
    cell = cell_named(name)
    values = Parameters.of(cell).with_values(weight_std=weight_std, input_std=0.5, bias_mean=0.0)
    with pytest.raises(InfeasibleError, match=f"{how}.*no stationary state.*{bound}"):
        site_law(cell, values)
    assert not solve_site_law(cell, values).converged
