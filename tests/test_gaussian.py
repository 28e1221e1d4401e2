import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, strategies as st

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.gaussian import bivariate_rule, normal_rule
from tests import gauss_legendre as gl

FUNCTIONS = {
    "sigmoid": gl.sigmoid,
    "1 - sigmoid": lambda e: gl.sigmoid(-e),
    "sigmoid'": gl.sigmoid_slope,
    "tanh": np.tanh,
    "tanh'": gl.tanh_slope,
}
MP_FUNCTIONS = {
    "sigmoid": lambda e: 1 / (1 + mp.exp(-e)),
    "1 - sigmoid": lambda e: 1 / (1 + mp.exp(e)),
    "sigmoid'": lambda e: 1 / (2 + mp.exp(e) + mp.exp(-e)),
    "tanh": mp.tanh,
    "tanh'": lambda e: mp.sech(e) ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("mean", "variance"), [(0.5, 0.3), (8.0, 4.0)])
def test_the_reference_rule_itself_against_mpmath(name: str, mean: float, variance: float) -> None:
    found = gl.normal_average(lambda e: FUNCTIONS[name](e) ** 4, mean, variance)
    with mp.workdps(25):
        s = mp.sqrt(variance)
        # Divided by the expected size: the stopping rule of mpmath is absolute.
        expected = mp.quad(
            lambda z: MP_FUNCTIONS[name](mean + s * z) ** 4 * mp.npdf(z) / found,
            [-26, -12, -8, -6, -4, -2, 0, 2, 4, 8, 20],
        )
    assert float(expected) == pytest.approx(1.0, rel=1e-13)


# 1e-11 is what is asked of the averages; the reference is good to rounding, about 1e-15 times the
# square root of its number of nodes.
@pytest.mark.parametrize("power", [1, 2, 4, 8])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("variance", [1e-6, 1e-3, 0.1, 1.0, 4.0, 20.0, 100.0, 1e4])
@pytest.mark.parametrize("mean", [0.0, 0.5, -2.0, 8.0])
def test_normal_averages_of_gates(name: str, power: int, variance: float, mean: float) -> None:
    def f(e: np.ndarray) -> np.ndarray:
        return FUNCTIONS[name](e) ** power

    expected = gl.normal_average(f, mean, variance)
    size = gl.normal_average(lambda e: abs(f(e)), mean, variance)  # tanh averages to 0
    rule = normal_rule(mean, variance)
    assert abs(rule.average(f(rule.nodes)) - expected) <= 1e-11 * size


@given(
    mean=st.floats(-8, 8),
    log_variance=st.floats(-14, 9),
    order=st.integers(0, 8),
)
def test_normal_rule_integrates_polynomials(mean: float, log_variance: float, order: int) -> None:
    variance = math.exp(log_variance)
    rule = normal_rule(mean, variance)
    expected = sum(
        math.comb(order, k)
        * mean ** (order - k)
        * math.sqrt(variance) ** k
        * math.prod(range(k - 1, 0, -2))
        for k in range(0, order + 1, 2)
    )
    size = float(rule.weights @ abs(rule.nodes) ** order)
    assert abs(rule.average(rule.nodes**order) - expected) <= 1e-11 * size


def test_a_rule_narrower_than_rounding_is_its_mean() -> None:
    rule = normal_rule(-15.0, 1e-40)
    assert rule.weights.sum() == pytest.approx(1.0)
    assert rule.average(rule.nodes) == pytest.approx(-15.0, rel=1e-14)
    pair = bivariate_rule(-15.0, 1e-40, 0.5)
    assert pair.average(pair.first + pair.second) == pytest.approx(-30.0, rel=1e-14)


@pytest.mark.parametrize(("mean", "std"), [(-15.0, 3e-5), (0.5, 1e-8), (1e4, 5.0)])
def test_narrow_rules_keep_the_digits_of_deviations(mean: float, std: float) -> None:
    """Centred moments are known; what is lost is the rounding of nodes far from 0."""
    lost = 20 * np.finfo(float).eps * abs(mean) / std
    rule = normal_rule(mean, std**2)
    z = (rule.nodes - mean) / std
    assert rule.average(z**2) == pytest.approx(1.0, abs=1e-12 + lost)
    assert rule.average(z**4) == pytest.approx(3.0, abs=1e-12 + 10 * lost)
    pair = bivariate_rule(mean, std**2, 0.3)
    first, second = (pair.first - mean) / std, (pair.second - mean) / std
    assert pair.average(first * second) == pytest.approx(0.3, abs=1e-12 + lost)


def test_a_rule_without_variance_is_one_point() -> None:
    rule = normal_rule(1.5, 0.0)
    assert rule.nodes.tolist() == [1.5]
    assert rule.average(np.array([3.0])) == 3.0


def test_error_estimate_is_an_upper_bound_that_shrinks_quadratically() -> None:
    # The gate sigmoid(20 e) has poles closer than the rule is made for, so errors can be seen.
    rule = normal_rule(0.05, 25.0)
    values = gl.sigmoid(20 * rule.nodes) ** 2
    expected = gl.normal_average(lambda e: gl.sigmoid(e) ** 2, 1.0, 1e4)
    error, estimate = abs(rule.average(values) - expected), rule.error_estimate(values)
    assert 1e-14 < error < estimate
    assert error < 100 * estimate**2


CORRELATIONS = [-1.0, -1 + 1e-9, -0.999, -0.5, 0.0, 0.3, 0.99, 1 - 1e-9, 1.0]


@pytest.mark.parametrize("correlation", CORRELATIONS)
@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1e-6), (2.0, 0.5), (-1.0, 16.0)])
def test_pair_averages_of_gates(mean: float, variance: float, correlation: float) -> None:
    rule = bivariate_rule(mean, variance, correlation)
    pairs = [("sigmoid", "1 - sigmoid"), ("sigmoid'", "sigmoid'"), ("tanh'", "sigmoid")]
    for left, right in pairs:
        f, g = FUNCTIONS[left], FUNCTIONS[right]
        expected = gl.pair_average(f, g, mean, variance, correlation)
        # The pair of tails beyond 10 standard deviations that the reference leaves out is 1e-22.
        assert rule.average(f(rule.first) * g(rule.second)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("correlation", CORRELATIONS)
def test_both_variables_have_the_same_law(correlation: float) -> None:
    rule, single = bivariate_rule(0.7, 9.0, correlation), normal_rule(0.7, 9.0)
    expected = single.average(gl.sigmoid(single.nodes) ** 3)
    assert rule.average(gl.sigmoid(rule.first) ** 3) == pytest.approx(expected, rel=1e-12)
    assert rule.average(gl.sigmoid(rule.second) ** 3) == pytest.approx(expected, rel=1e-12)
    covariance = rule.average((rule.first - 0.7) * (rule.second - 0.7))
    assert covariance == pytest.approx(9.0 * correlation, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("mean", [math.nan, math.inf])
def test_means_out_of_domain(mean: float) -> None:
    with pytest.raises(ParameterError, match="finite mean"):
        normal_rule(mean, 1.0)


@pytest.mark.parametrize("variance", [-1e-300, math.nan, math.inf])
def test_variances_out_of_domain(variance: float) -> None:
    with pytest.raises(ParameterError, match="variance"):
        normal_rule(0.0, variance)
    with pytest.raises(ParameterError, match="variance"):
        bivariate_rule(0.0, variance, 0.5)


@pytest.mark.parametrize("correlation", [1.0000001, -1.0000001, math.nan])
def test_correlations_out_of_domain(correlation: float) -> None:
    with pytest.raises(ParameterError, match=r"\[-1, 1\]"):
        bivariate_rule(0.0, 1.0, correlation)
