"""Correlation maps against plain networks, and their fixed points where they are hard to find."""

import math
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq

from rmt_jacobian.cells import Cell, Parameters, minimalrnn, vanilla
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import (
    CorrelationMap,
    SiteLaw,
    site_law,
    stable_correlation,
    timescale,
    variance_slope,
)
from tests import gauss_legendre as gl
from tests.mean_field.points import POINTS, Point
from tests.mean_field.two_routes import by_map

EPS = np.finfo(float).eps


def law_at(name: str) -> SiteLaw:
    return site_law(POINTS[name].cell, POINTS[name].parameters)


def two_networks(
    point: Point, law: SiteLaw, correlation: float, input_correlation: float, seed: int
) -> tuple[float, float]:
    """Correlations (c, C') of two networks of width 2000 after one step, averaged over networks."""
    rng, width, found = np.random.default_rng(seed), 2000, []
    group = point.parameters.only
    rest = math.sqrt(1 - correlation**2), math.sqrt(1 - input_correlation**2)
    for _ in range(8):
        # States of variance Q*: only the first two moments enter when the mean vanishes.
        z = rng.standard_normal((2, width))
        h = np.stack([z[0], correlation * z[0] + rest[0] * z[1]], axis=1)
        h *= math.sqrt(law.state_variance)
        z = rng.standard_normal((2, width))
        x = np.stack([z[0], input_correlation * z[0] + rest[1] * z[1]], axis=1)
        x *= math.sqrt(point.parameters.input_variance)
        W = rng.standard_normal((width, width)) * (group.weight_std / math.sqrt(width))
        V = rng.standard_normal((width, width)) * (group.input_std / math.sqrt(width))
        b = group.bias_std * rng.standard_normal((width, 1))
        e = W @ h + V @ x + b
        new = point.update(h, x, e + group.bias_mean)
        found.append([np.mean(e[:, 0] * e[:, 1]), np.mean(new[:, 0] * new[:, 1])])
    samples = np.array(found) / [law.preactivation_variance, law.state_variance]
    mean, error = samples.mean(axis=0), samples.std(axis=0, ddof=1) / math.sqrt(8)
    return [*mean, *error]  # pyright: ignore[reportReturnType]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("figure 1", marks=pytest.mark.thorough),
        "random biases",
        pytest.param("vanilla, random biases", marks=pytest.mark.thorough),
    ],
)
def test_one_step_of_two_networks(name: str) -> None:
    point, law = POINTS[name], law_at(name)
    for seed, (C, sigma_12) in enumerate([(0.3, -0.5), (0.95, 1.0)]):
        ours = CorrelationMap(law, sigma_12)
        c, new, c_error, new_error = two_networks(point, law, C, sigma_12, seed)
        # 5.4 standard errors of eight samples: Student's t with 7 degrees leaves 0.1 %.
        assert abs(c - ours.preactivation_correlation(C)) < 5.4 * c_error
        assert abs(new - ours.next(C)) < 5.4 * new_error


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("input_correlation", [-1.0, 0.4, 1.0])
def test_slope_against_finite_differences(name: str, input_correlation: float) -> None:
    ours = CorrelationMap(law_at(name), input_correlation)
    step = 1e-4
    for C in (-0.6, 0.0, 0.5, 0.9):
        # Five points: truncation step^4 f^(5) / 30, rounding about 2 eps / step.
        f = [ours.next(C + k * step) for k in (-2, -1, 1, 2)]
        found = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
        assert ours.slope(C) == pytest.approx(found, abs=1e-10 + 1e3 * step**4)


@pytest.mark.parametrize("name", POINTS)
def test_preactivation_and_state_correlations_have_the_same_slope(name: str) -> None:
    # chi = d c' / d c as well: c is linear in C, with the same coefficients at every step.
    ours = CorrelationMap(law_at(name), 0.4)
    step, C = 1e-4, 0.3

    def next_c(at: float) -> float:
        return ours.preactivation_correlation(ours.next(at))

    change = next_c(C + step) - next_c(C - step)
    base = ours.preactivation_correlation(C + step) - ours.preactivation_correlation(C - step)
    # Second differences of third order, and the cancellation in both changes.
    allowed = 1e3 * step**2 + 4 * EPS / abs(base)
    assert change / base == pytest.approx(ours.slope(C), abs=allowed)


@pytest.mark.parametrize("name", POINTS)
def test_equal_inputs_keep_equal_states_equal(name: str) -> None:
    law = law_at(name)
    ours = CorrelationMap(law, 1.0)
    assert ours.next(1.0) == pytest.approx(1.0, abs=1e-12)
    assert ours.slope(1.0) == pytest.approx(law.chi1, rel=1e-12)


@pytest.mark.parametrize("weight_std", [0.9, 6.88])
def test_minimalrnn_slope_from_its_equation(weight_std: float) -> None:
    parameters = Parameters.of(
        minimalrnn, weight_std=weight_std, input_std=1.39, bias_std=0.8, input_variance=0.46
    )
    law = site_law(minimalrnn, parameters)
    C, sigma_12 = 0.35, 0.6
    c = (
        weight_std**2 * law.state_variance * C + 1.39**2 * 0.46 * sigma_12 + 0.64
    ) / law.preactivation_variance
    gates = gl.pair_average(gl.sigmoid, gl.sigmoid, 0.0, law.preactivation_variance, c)
    slopes = gl.pair_average(gl.sigmoid_slope, gl.sigmoid_slope, 0.0, law.preactivation_variance, c)
    expected = gates + weight_std**2 * (law.state_variance * C + 0.46 * sigma_12) * slopes
    assert CorrelationMap(law, sigma_12).slope(C) == pytest.approx(expected, rel=1e-11)


FAMILIES: dict[str, tuple[Cell, dict[str, float]]] = {
    "minimalrnn": (minimalrnn, {"input_std": 1.39, "input_variance": 0.46}),
    "minimalrnn, long memory": (
        minimalrnn,
        {"input_std": 4.8, "input_variance": 0.46, "bias_mean": 4.0},
    ),
    "vanilla": (vanilla, {"input_std": 0.025, "input_variance": 1.0}),
    "vanilla with bias": (vanilla, {"input_std": 0.5, "input_variance": 0.5, "bias_mean": 0.3}),
}


@cache
def law_near_the_line(family: str, distance: float) -> SiteLaw:
    """The law at chi_1 = 1 + distance, which is reached by the weights."""
    cell, values = FAMILIES[family]

    def law(weight_std: float) -> SiteLaw:
        return site_law(cell, Parameters.of(cell, values, weight_std=weight_std))

    grid = [float(w) for w in np.geomspace(0.5, 200, 60)]
    excess = [law(w).chi1 - 1 - distance for w in grid]
    k = next(k for k in range(59) if excess[k] < 0 <= excess[k + 1])
    found = law(brentq(lambda w: law(w).chi1 - 1 - distance, grid[k], grid[k + 1], rtol=4 * EPS))
    assert found.chi1 - 1 == pytest.approx(distance, abs=1e-12)
    return found


DISTANCES = [-0.1, -1e-3, -1e-8, *(10.0**k for k in range(-10, 1))]


@pytest.mark.parametrize("input_correlation", [-1.0, -0.5, 0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_stable_fixed_point_is_found(
    family: str, distance: float, input_correlation: float
) -> None:
    ours = CorrelationMap(law_near_the_line(family, distance), input_correlation)
    C = stable_correlation(ours).unwrap()
    assert -1 <= C <= 1
    assert ours.next(C) == pytest.approx(C, abs=1e-13)
    # The map is known to some 4 eps; where its curvature is of order 1, a fixed point near the
    # line is known to the square root of that, 3e-8, and its slope likewise.
    assert ours.slope(C) <= 1 + 1e-7
    if input_correlation == 1.0 and abs(distance) <= 1e-3:
        # In the chaotic phase the slope is 1 - distance at the stable point, to first order.
        assert ours.slope(C) == pytest.approx(1 - abs(distance), abs=0.1 * abs(distance) + 1e-7)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("distance", [-0.1, 0.1, 0.5])
@pytest.mark.parametrize("input_correlation", [-0.5, 0.5, 1.0])
def test_orbits_end_at_the_stable_fixed_point(
    family: str, distance: float, input_correlation: float
) -> None:
    ours = CorrelationMap(law_near_the_line(family, distance), input_correlation)
    C = 0.5
    for _ in range(60):
        C = ours.next(C)
    # Slopes are at most 0.95 here, so 0.95^60 = 0.05 of the start may be left; the fixed point is
    # then within that of the last move / (1 - slope).
    target = stable_correlation(ours).unwrap()
    left = abs(ours.next(C) - C) / (1 - ours.slope(target))
    assert abs(C - target) <= 1.5 * left + 1e-12


@pytest.mark.parametrize("weight_std", [0.8, 1.0, 1.05, 1.5])
@pytest.mark.parametrize("input_correlation", [-0.5, 0.0, 0.5, 1.0])
def test_inputs_that_do_not_reach_the_state_do_not_matter(
    weight_std: float, input_correlation: float
) -> None:
    def state_correlation(of_inputs: float) -> float:
        parameters = Parameters.of(
            vanilla, weight_std=weight_std, input_std=0, bias_std=0.3, input_variance=1
        )
        return by_map(vanilla, parameters, input_correlation=of_inputs).state_correlation

    found = state_correlation(input_correlation)
    assert found == pytest.approx(state_correlation(1.0), abs=1e-9)


@pytest.mark.parametrize("weight_std", [0.8, 0.95, 1.02, 1.1])
def test_opposite_inputs_of_an_odd_network(weight_std: float) -> None:
    # tanh is odd: with inputs x and -x and no bias, h and -h; stable in the ordered phase.
    parameters = Parameters.of(vanilla, weight_std=weight_std, input_std=0.5, input_variance=1)
    found = by_map(vanilla, parameters, input_correlation=-1.0)
    same = by_map(vanilla, parameters, input_correlation=1.0)
    assert found.state_correlation == pytest.approx(-same.state_correlation, abs=1e-12)
    assert found.chi == pytest.approx(same.chi, abs=1e-12)


@pytest.mark.parametrize("input_correlation", [1.5, -1.5, math.nan])
def test_input_correlations_out_of_domain(input_correlation: float) -> None:
    with pytest.raises(ParameterError, match=r"\[-1, 1\]"):
        CorrelationMap(law_at("vanilla"), input_correlation)


def test_a_dead_state_is_equal_to_itself() -> None:
    parameters = Parameters.of(vanilla, weight_std=0.7, input_std=0, input_variance=1)
    found = by_map(vanilla, parameters, input_correlation=0.2)
    assert (found.correlation, found.state_correlation) == (1.0, 1.0)
    assert found.chi == found.chi1 == pytest.approx(0.49, rel=1e-14)


@pytest.mark.parametrize("slope", [0.01, 0.5, 0.999999])
def test_timescale_is_the_time_of_decay_by_e(slope: float) -> None:
    assert slope ** timescale(slope) == pytest.approx(math.exp(-1), rel=1e-9)


def test_timescale_at_the_ends() -> None:
    assert timescale(1.0) == timescale(1.5) == math.inf
    assert timescale(0.0) == 0.0


def test_timescale_of_deviations_that_change_sign() -> None:
    # An AR(1) process x' = -0.2 x: |x_t| = 0.2^t = exp(-t / tau).
    assert timescale(-0.2) == pytest.approx(1 / math.log(5), rel=1e-15)
    assert timescale(-1.0) == timescale(-1.5) == math.inf


# Where the state has a mean, it moves along with the variance; those cells are left out.
@pytest.mark.parametrize("name", [n for n in POINTS if POINTS[n].cell in (minimalrnn, vanilla)])
def test_variance_slope_against_finite_differences(name: str) -> None:
    point, law = POINTS[name], law_at(name)
    group = point.parameters.only

    def next_variance(Q: float) -> float:
        """E[h'^2] from independent h of variance Q, by the reference rule."""
        q = (
            group.weight_std**2 * Q
            + group.input_std**2 * point.parameters.input_variance
            + group.bias_std**2
        )
        if point.cell is vanilla:
            return gl.normal_average(lambda e: np.tanh(e) ** 2, group.bias_mean, q)
        kept = gl.normal_average(lambda e: gl.sigmoid(e) ** 2, group.bias_mean, q)
        new = gl.normal_average(lambda e: gl.sigmoid(-e) ** 2, group.bias_mean, q)
        return kept * Q + new * point.parameters.input_variance

    Q = law.state_variance
    step = 1e-3 * Q
    f = [next_variance(Q + k * step) for k in (-2, -1, 1, 2)]
    found = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)
    # Truncation (step / Q)^4 times a derivative of order 1, rounding eps / (step / Q).
    assert variance_slope(law) == pytest.approx(found, abs=1e-10)
