"""The phase diagram of the GRU against adaptive quadrature and the general search."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit

from rmt_jacobian.cells import Parameters, gru
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import (
    GRUFixedPoint,
    fixed_points,
    gru_bifurcation,
    gru_bifurcation_asymptotes,
    gru_bifurcation_point,
    gru_marginal_edge,
    gru_marginal_edge_end,
    gru_nonzero_points,
    gru_open_gain,
    gru_phase,
)
from tests.mean_field.tied import normal_average

PRINTED = {1.5: 74.49, 1.6: 24.48, 1.7: 13.03, 1.8: 8.160, 1.9: 5.381}


def square(q):
    return normal_average(lambda e: np.tanh(e) ** 2, q)


def reset_square(t):
    return normal_average(lambda e: expit(e) ** 2, t)


def general(a_h, a_r, a_z=1.0):
    parameters = Parameters.of(
        gru,
        {"update.weight_std": a_z, "reset.weight_std": a_r, "candidate.weight_std": a_h},
        input_std=0.0,
        input_variance=1.0,
    )
    return fixed_points(gru, parameters)


@pytest.mark.parametrize(("a_h", "printed"), PRINTED.items())
def test_printed_bifurcations(a_h, printed):
    assert gru_bifurcation(a_h) == pytest.approx(printed, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("a_h", [1.45, 1.7, 1.95])
def test_bifurcation_against_adaptive_quadrature(a_h):
    """Least a_r over C_h of the two equations of the reference, solved as they stand."""

    def reset_std(log_q):
        q = math.exp(log_q)
        C_h = square(q)
        C_y = q / a_h**2

        def gap(log_t):
            return C_h * reset_square(math.exp(log_t)) - C_y

        return math.sqrt(math.exp(brentq(gap, -30, 30, xtol=1e-13)) / C_h)

    q = math.log(gru_bifurcation_point(a_h).candidate_variance)
    least = minimize_scalar(reset_std, bracket=(q - 0.1, q + 0.07), tol=1e-8)
    assert gru_bifurcation(a_h) == pytest.approx(least.fun, rel=1e-8)
    assert q == pytest.approx(least.x, abs=1e-4)


@pytest.mark.parametrize("a_h", [1.45, 1.7, 1.95])
def test_two_solutions_appear_exactly_there(a_h):
    critical = gru_bifurcation(a_h)
    counts = [len(general(a_h, critical * (1 + shift))) for shift in (-1e-7, 1e-7)]
    assert counts == [1, 3]


@pytest.mark.parametrize(("a_h", "a_r"), [(3.0, 1.0), (2.01, 0.0), (1.8, 10.0), (6.0, 20.0)])
def test_points_on_the_curve_are_those_of_the_general_search(a_h, a_r):
    found = [point.state_variance for point in gru_nonzero_points(a_h, a_r)]
    points = [point for point in general(a_h, a_r) if not point.vanishes]
    assert found == pytest.approx([point.moments[0] for point in points], rel=1e-9)
    gains = [point.gain for point in gru_nonzero_points(a_h, a_r)]
    assert gains == pytest.approx([gru_open_gain(point) for point in points], rel=1e-9)


def test_anchor():
    (point,) = gru_nonzero_points(3.0, 1.0)
    assert point.state_variance == pytest.approx(0.37989, abs=1e-5)
    assert point.gain == pytest.approx(1.25122, abs=1e-5)


def test_gain_by_its_definition():
    (point,) = gru_nonzero_points(2.5, 3.0)
    q, C_h = point.candidate_variance, point.state_variance
    slope = normal_average(lambda e: np.cosh(e) ** -4, q)
    prime = normal_average(lambda e: (expit(e) * expit(-e)) ** 2, 9 * C_h)
    expected = 2.5**2 * slope * (reset_square(9 * C_h) + 9 * prime * C_h)
    assert point.gain == pytest.approx(expected, rel=1e-11)


def test_every_nonzero_fixed_point_is_unstable():
    for a_h in (1.45, 1.7, 1.99, 2.05, 3.0, 8.0):
        for a_r in (0.0, 1.0, 10.0, 100.0, 1000.0):
            for point in gru_nonzero_points(a_h, a_r):
                assert point.gain > 1
    for a_z in (0.0, 10.0):
        zero, *others = general(1.8, 12.0, a_z)
        assert zero.stable
        assert [point.stable for point in others] == [False, False]


def test_near_the_onset_the_bifurcation_diverges():
    for distance, allowed in ((1e-2, 0.08), (1e-3, 0.01), (1e-4, 1.5e-3)):
        a_h = math.sqrt(2) + distance
        ratio = gru_bifurcation(a_h) / gru_bifurcation_asymptotes(a_h)[0]
        assert ratio == pytest.approx(1, abs=allowed)


def test_near_the_instability_of_zero_it_ends_at_the_root_of_eight():
    for distance, allowed in ((1e-3, 5e-3), (1e-5, 5e-5), (1e-7, 1e-6)):
        ratio = gru_bifurcation(2 - distance) / gru_bifurcation_asymptotes(2 - distance)[1]
        assert ratio == pytest.approx(1, abs=allowed)
    assert gru_bifurcation(2 - 1e-9) == pytest.approx(math.sqrt(8), rel=1e-4)


@pytest.mark.parametrize("excess", [1e-4, 1e-6])
def test_state_beyond_the_tricritical_point(excess):
    """C20 (21): sqrt(3 eps / 31) at a_r = sqrt 8, where sqrt(eps) / 4 is printed."""
    (point,) = gru_nonzero_points(2 + excess, math.sqrt(8))
    assert point.state_variance == pytest.approx(math.sqrt(3 * excess / 31), rel=20 * excess**0.5)
    assert abs(point.state_variance / (math.sqrt(excess) / 4) - 1) > 0.2


@pytest.mark.parametrize("a_r", [0.0, 1.0, 2.0])
def test_state_beyond_the_continuous_bifurcation(a_r):
    (point,) = gru_nonzero_points(2 + 1e-6, a_r)
    assert point.state_variance == pytest.approx(4e-6 / (8 - a_r**2), rel=1e-4)


def test_state_at_the_discontinuous_bifurcation():
    # C_h jumps to 3 (a_r^2 - 8) / 124 to leading order.
    a_r = math.sqrt(8.01)
    (point,) = gru_nonzero_points(2 + 1e-12, a_r)
    assert point.state_variance == pytest.approx(3 * 0.01 / 124, rel=1e-2)


def test_marginal_edge():
    assert gru_marginal_edge(gru_marginal_edge_end()).candidate_std == pytest.approx(
        6.546, abs=5e-4
    )
    assert gru_marginal_edge(gru_marginal_edge_end()).reset_std == 0.0
    for q in (1e-3, 0.1, 1.0, 5.0, 7.7):
        edge = gru_marginal_edge(q)
        near = min(
            gru_nonzero_points(edge.candidate_std, edge.reset_std),
            key=lambda point, q=q: abs(point.candidate_variance - q),
        )
        assert near.candidate_variance == pytest.approx(q, rel=1e-6)
        assert near.gain == pytest.approx(2, rel=1e-6)
    edge = gru_marginal_edge(3.0)
    (below,) = gru_nonzero_points(edge.candidate_std, 0.99 * edge.reset_std)
    (above,) = gru_nonzero_points(edge.candidate_std, 1.01 * edge.reset_std)
    assert below.marginal
    assert not above.marginal


def test_marginal_edge_touches_the_bifurcation():
    a_h = brentq(lambda a: gru_bifurcation_point(a).gain - 2, 1.5, 1.6)
    fold = gru_bifurcation_point(a_h)
    edge = gru_marginal_edge(fold.candidate_variance)
    assert (edge.candidate_std, edge.reset_std) == pytest.approx((a_h, fold.reset_std), rel=1e-8)
    assert (a_h, fold.reset_std) == pytest.approx((1.5486, 39.01), rel=1e-3)


@pytest.mark.parametrize(
    ("a_h", "a_r", "phase"),
    [
        (1.4, 1e4, "zero"),
        (1.8, 8.15, "zero"),
        (1.8, 8.17, "three"),
        (2.0, 2.8, "zero"),
        (2.0, 2.9, "nonzero"),
        (2.1, 0.0, "nonzero"),
    ],
)
def test_phases(a_h, a_r, phase):
    assert gru_phase(a_h, a_r) == phase
    expected = {"zero": 0, "three": 2, "nonzero": 1}[phase]
    assert len(gru_nonzero_points(a_h, a_r)) == expected


@pytest.mark.parametrize("a_h", [1.0, math.sqrt(2), 2.0, 3.0, math.nan, -1.7])
def test_no_bifurcation_elsewhere(a_h):
    with pytest.raises(ParameterError, match="strictly between"):
        gru_bifurcation(a_h)


@pytest.mark.parametrize("arguments", [(-1.0, 1.0), (2.5, -1.0), (math.inf, 1.0), (2.5, math.nan)])
def test_points_of_impossible_parameters(arguments):
    with pytest.raises(ParameterError, match="finite number"):
        gru_nonzero_points(*arguments)


@pytest.mark.parametrize("q", [0.0, -1.0, 8.0, math.nan])
def test_the_marginal_edge_ends(q):
    with pytest.raises(ParameterError, match="between 0 and"):
        gru_marginal_edge(q)


def test_points_are_plain_data():
    assert GRUFixedPoint(3.0, 1.0, 0.5) == GRUFixedPoint(3.0, 1.0, 0.5)
