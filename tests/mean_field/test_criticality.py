import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from rmt_jacobian.cells import Cell, Parameters, cell_named, minimalrnn, vanilla
from rmt_jacobian.errors import InfeasibleError, ParameterError
from rmt_jacobian.mean_field import (
    critical_weights,
    feasible_preactivation_variances,
    order_chaos_line,
    site_law,
)
from tests import gauss_legendre as gl
from tests.in_turn import in_turn


def next_variance(cell: Cell, Q: float, q: float, bias_mean: float, R: float) -> float:
    """E[h'^2] from independent h of variance Q, at e ~ N(bias_mean, q), by the reference rule."""
    if cell is vanilla:
        return gl.normal_average(lambda e: np.tanh(e) ** 2, bias_mean, q)
    kept = gl.normal_average(lambda e: gl.sigmoid(e) ** 2, bias_mean, q)
    return kept * Q + R * gl.normal_average(lambda e: gl.sigmoid(-e) ** 2, bias_mean, q)


def by_brute_force(cell: Cell, q: float, bias_mean: float, R: float) -> tuple[float, float]:
    """Return sigma_v^2 of the critical point and the slope of the map of Q there.

    Where the slope exceeds 1 the point repels: no network stays at it.
    """
    Q = next_variance(cell, 0.0, q, bias_mean, R)
    if cell is vanilla:
        weight = 1 / gl.normal_average(lambda e: gl.tanh_slope(e) ** 2, bias_mean, q)
    else:
        kept = gl.normal_average(lambda e: gl.sigmoid(e) ** 2, bias_mean, q)
        Q /= 1 - kept
        bent = gl.normal_average(lambda e: gl.sigmoid_slope(e) ** 2, bias_mean, q)
        weight = (1 - kept) / ((Q + R) * bent)
    step = 1e-4 * min(Q, q / weight)
    f = [
        next_variance(cell, Q + k * step, q + weight * k * step, bias_mean, R)
        for k in (-2, -1, 1, 2)
    ]
    return (q - weight * Q) / R, (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * step)


@settings(max_examples=20)
@given(
    cell=st.sampled_from([minimalrnn, vanilla]),
    q=st.floats(0.05, 200),
    bias_mean=st.floats(-3, 5),
    R=st.floats(0.05, 3),
)
def test_critical_points_are_critical(cell: Cell, q: float, bias_mean: float, R: float) -> None:
    expected, slope = by_brute_force(cell, q, bias_mean, R)

    def solve():
        return critical_weights(
            cell, preactivation_variance=q, bias_mean=bias_mean, input_variance=R
        )

    if expected < -1e-9 * q / R:
        with pytest.raises(InfeasibleError, match="input_std"):
            solve()
        return
    if expected < 1e-9 * q / R or slope > 1 - 1e-4:
        return  # on the border to rounding, or repelling, see below
    found = solve()
    assert found.parameters.only.input_std**2 == pytest.approx(expected, rel=1e-9, abs=1e-9 * q / R)
    # Plugged back: start from its own Q*, in case there are other fixed points.
    law = site_law(cell, found.parameters, start_variance=found.state_variance)
    assert law.chi1 == pytest.approx(1.0, abs=1e-10)
    assert law.preactivation_variance == pytest.approx(q, rel=1e-9)
    assert law.state_variance == pytest.approx(found.state_variance, rel=1e-9)


@pytest.mark.parametrize(
    ("bias_mean", "cell"),
    in_turn([-2.0, 0.0, 2.0, 5.0], [minimalrnn, vanilla]),
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_feasible_intervals_against_brute_force(cell: Cell, bias_mean: float) -> None:
    intervals = feasible_preactivation_variances(
        cell, bias_mean=bias_mean, input_variance=0.46, low=1e-2, high=1e3, resolution=60
    )
    for left, right in intervals:
        assert 1e-2 <= left < right <= 1e3
    for q in np.geomspace(1.0001e-2, 0.9999e3, 150):
        margin, slope = by_brute_force(cell, float(q), bias_mean, 0.46)
        inside = any(left <= q <= right for left, right in intervals)
        if abs(margin) > 1e-9 * q and abs(slope - 1) > 1e-6:
            assert inside == (margin > 0 and slope < 1), q


@pytest.mark.parametrize("bias_mean", [3.5, 4.0, 5.0, 6.0])
def test_points_that_repel_the_variance_are_not_offered(bias_mean: float) -> None:
    # sigma_v^2 > 0, but the slope of the map of Q exceeds 1: simulated sites leave this point for
    # another one, where chi_1 is up to 1.5.
    margin, slope = by_brute_force(minimalrnn, 2.0, bias_mean, 0.46)
    assert margin > 0.1
    assert slope > 1.003
    with pytest.raises(InfeasibleError):
        critical_weights(
            minimalrnn, preactivation_variance=2.0, bias_mean=bias_mean, input_variance=0.46
        )


def test_the_message_names_values_that_work() -> None:
    with pytest.raises(InfeasibleError, match=r"between 14\.29\d* and 10000"):
        critical_weights(minimalrnn, preactivation_variance=1.0, bias_mean=0.0, input_variance=0.46)


@pytest.mark.parametrize(
    ("q", "bias_mean"), [(1.0, 0.0), (1.0, 2.0), (1.0, 5.0), (4.0, 0.0), (10.0, 0.0), (0.1, 2.0)]
)
def test_infeasible_points(q: float, bias_mean: float) -> None:
    with pytest.raises(InfeasibleError):
        critical_weights(
            minimalrnn, preactivation_variance=q, bias_mean=bias_mean, input_variance=0.46
        )


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_variances_out_of_domain(value: float) -> None:
    with pytest.raises(ParameterError, match="preactivation_variance"):
        critical_weights(
            minimalrnn, preactivation_variance=value, bias_mean=0.0, input_variance=0.46
        )
    with pytest.raises(ParameterError, match="input_variance"):
        critical_weights(
            minimalrnn, preactivation_variance=1.0, bias_mean=0.0, input_variance=value
        )


@pytest.mark.parametrize("solve_for", ["weight_std", "bias_mean", "input_std"])
def test_the_order_chaos_line(solve_for: str) -> None:
    parameters = Parameters.of(
        minimalrnn, weight_std=6.5, input_std=2.0, bias_mean=0.5, input_variance=0.46
    )
    search = {
        "weight_std": [1.0, 4.0, 8.0, 20.0],
        "bias_mean": [-4.0, -1.0, 2.0, 5.0],
        "input_std": [0.1, 2.0, 6.0, 30.0],
    }[solve_for]

    def chi1(value: float) -> float:
        return site_law(minimalrnn, parameters.with_values(**{solve_for: value})).chi1

    found = order_chaos_line(minimalrnn, parameters, solve_for=solve_for, search=search)
    signs = [chi1(value) > 1 for value in search]
    assert len(found) == sum(a != b for a, b in pairwise(signs)) >= 1
    for value in found:
        assert chi1(value) == pytest.approx(1.0, abs=1e-12)


def test_the_line_of_the_vanilla_network_without_input() -> None:
    parameters = Parameters.of(vanilla, weight_std=2, input_std=0, input_variance=1)
    found = order_chaos_line(vanilla, parameters, solve_for="weight_std", search=[0.5, 1.5])
    assert found == pytest.approx([1.0], abs=1e-7)


def test_unknown_names_on_the_line() -> None:
    with pytest.raises(ParameterError, match="weight_std"):
        order_chaos_line(minimalrnn, Parameters.of(minimalrnn), solve_for="weights", search=[1, 2])


@pytest.mark.parametrize("q", [0.3, 1.0, 7.0])
def test_an_isometry_needs_no_input(q: float) -> None:
    # phi' = 1: sigma_w = 1 keeps any variance, and whatever the input added would stay for ever.
    found = critical_weights(
        cell_named("vanilla:identity"), preactivation_variance=q, bias_mean=0.0, input_variance=0.5
    )
    assert found.parameters.only.weight_std == pytest.approx(1, rel=1e-12)
    assert found.parameters.only.input_std == pytest.approx(0, abs=1e-6)
