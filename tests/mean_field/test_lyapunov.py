"""Newman's law against closed forms, the Haagerup-Larsen moments and its own definition."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr

from rmt_jacobian.cells import Cell, Parameters, Preactivation, minimalrnn, vanilla, vanilla_cell
from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.mean_field import (
    FreeStepLaw,
    free_step_exponents,
    free_step_law,
    isolated_exponent,
    site_law,
)

_h, _x, _e = sp.symbols("h x e", real=True)


def one_gate(update: sp.Expr) -> Cell:
    return Cell("test", (_h,), _x, (Preactivation("candidate", _e, _h),), (update,))


LINEAR = one_gate(_e)
STRONG = Parameters.of(vanilla, {"weight_std": 2.5, "input_std": 0.4, "bias_mean": 0.3,
                                 "bias_std": 0.2, "input_variance": 0.7})  # fmt: skip
X = np.array([1e-9, 0.01, 0.2, 0.5, 0.77, 0.99, 1 - 1e-9])


def linear(weight_std: float) -> Parameters:
    return Parameters.of(LINEAR, {"weight_std": weight_std, "input_std": 0.1, "bias_mean": 0.0,
                                  "bias_std": 0.0, "input_variance": 1.0})  # fmt: skip


def test_linear_gaussian_steps_follow_newman():
    found = free_step_exponents(LINEAR, linear(0.7), "gaussian", X)
    assert found == pytest.approx(math.log(0.7) + np.log1p(-X) / 2, rel=1e-9)


def test_linear_orthogonal_steps_have_one_exponent():
    law = free_step_law(LINEAR, linear(0.7), "orthogonal")
    assert law.exponents(X) == pytest.approx(math.log(0.7), rel=1e-12)
    assert law.support() == pytest.approx((math.log(0.7),) * 2, rel=1e-12)
    assert law.cdf([math.log(0.7) - 1e-9, math.log(0.7) + 1e-9]).tolist() == [0.0, 1.0]


def two_slopes(weights: str) -> FreeStepLaw:
    """Half of the sites pass 3 on, a third pass 1, the rest nothing."""
    values = np.array([9.0, 1.0, 0.0])
    with np.errstate(divide="ignore"):
        return FreeStepLaw(np.log(values), np.array([1 / 2, 1 / 3, 1 / 6]), weights, 0.5)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_against_the_definition_of_the_s_transform(weights):
    """S(u) = (1 + u)/u chi(u) with psi(chi) = u on the negative axis, solved by Brent's method."""
    law = two_slopes(weights)
    for x in (0.05, 0.4, 0.6, 0.8):

        def psi(z: float) -> float:
            return 1 / 2 * 9 * z / (1 - 9 * z) + 1 / 3 * z / (1 - z)

        chi = brentq(lambda z, x=x: psi(z) + x, -1e6, -1e-12, xtol=1e-300, rtol=1e-14)
        s = (1 - x) / -x * chi / 0.25
        if weights == "gaussian":
            s /= 1 - x
        assert law.exponents(x) == pytest.approx(-math.log(s) / 2, rel=1e-9)
    assert law.exponents([5 / 6 + 1e-9, 1.0]).tolist() == [-math.inf, -math.inf]
    assert law.cdf(-1e3) == pytest.approx(1 / 6, rel=1e-9)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_ends_of_the_support(weights):
    law = free_step_law(vanilla, STRONG, weights)
    largest = math.log(site_law(vanilla, STRONG).chi1) / 2
    assert law.exponents(0.0) == pytest.approx(largest, rel=1e-10)
    assert law.exponents(1e-12) == pytest.approx(largest, abs=1e-10)
    assert law.support()[1] == law.exponents(0.0)


def test_lowest_exponent_with_orthogonal_weights():
    """-log(E[phi'^-2]) / 2 + log sigma_w, which for narrow Gaussians is finite."""
    p = Parameters.of(vanilla)
    q = site_law(vanilla, p).preactivation_variance
    mean = quad(
        lambda z: math.cosh(math.sqrt(q) * z) ** 4 * math.exp(-z * z / 2), -12, 12, epsabs=1e-13
    )[0] / math.sqrt(2 * math.pi)
    expected = math.log(p.only.weight_std) - math.log(mean) / 2
    assert free_step_exponents(vanilla, p, "orthogonal", 1.0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_mean_is_that_of_the_log_determinant(weights):
    """The exponents add up to E log|det J| / N: E log phi' + log sigma_w, - 1/2 for Gaussian W."""
    law = free_step_law(vanilla, STRONG, weights)
    group, q = STRONG.only, site_law(vanilla, STRONG).preactivation_variance
    log_slope = quad(
        lambda z: -2
        * math.log(math.cosh(group.bias_mean + math.sqrt(q) * z))
        * math.exp(-z * z / 2),
        -12, 12, epsabs=1e-12,
    )[0] / math.sqrt(2 * math.pi)  # fmt: skip
    nodes, masses = np.polynomial.legendre.leggauss(200)
    w = (nodes + 1) / 2  # x = 1 - w^2 tames the logarithm at x = 1
    total = np.sum(masses * w * law.exponents(1 - w * w))
    expected = log_slope + math.log(group.weight_std) - (weights == "gaussian") / 2
    assert total == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_distribution_functions_belong_together(weights):
    law = free_step_law(vanilla, STRONG, weights)
    p = np.array([[1e-6, 0.1, 0.4], [0.6, 0.9, 1 - 1e-6]])
    exponents = law.ppf(p)
    assert law.cdf(exponents) == pytest.approx(p, rel=1e-9)
    step = 1e-5
    inner = exponents[:, 1:2]
    slope = (law.cdf(inner + step) - law.cdf(inner - step)) / (2 * step)
    assert law.pdf(inner) == pytest.approx(slope, rel=1e-6)
    high = law.support()[1]
    assert law.cdf([high, high + 1, np.nan])[:2].tolist() == [1.0, 1.0]
    assert np.isnan(law.cdf(np.nan))
    assert np.isnan(law.pdf(np.nan))
    assert law.pdf(high + 1) == 0
    assert np.isnan(law.exponents([-0.1, 1.1])).all()


def test_wide_preactivations_are_resolved():
    """Against evenly spaced nodes, many of them, for slopes down to 1e-30."""
    p = Parameters.of(vanilla, {"weight_std": 9.0, "input_std": 3.0, "bias_mean": 0.0,
                                "bias_std": 0.0, "input_variance": 1.0})  # fmt: skip
    law = free_step_law(vanilla, p, "gaussian")
    std = math.sqrt(site_law(vanilla, p).preactivation_variance)
    e = np.linspace(-10 * std, 10 * std, 40_001)
    masses = np.exp(-e * e / (2 * std**2))
    log_b = -4 * (np.abs(e) + np.log1p(np.exp(-2 * np.abs(e))) - math.log(2))
    fine = FreeStepLaw(log_b, masses / masses.sum(), "gaussian", 9.0)
    assert law.exponents(X[1:-1]) == pytest.approx(fine.exponents(X[1:-1]), rel=1e-8)


@pytest.mark.parametrize(
    ("cell", "word"),
    [(minimalrnn, "not free"), (one_gate(_x * sp.tanh(_e)), "reads the input")],
)
def test_steps_that_are_not_free_are_refused(cell, word):
    with pytest.raises(HypothesisError, match=word):
        free_step_law(cell, Parameters.of(cell, dict(STRONG.named())), "gaussian")


def test_arguments_out_of_domain():
    with pytest.raises(ParameterError, match="unknown weights"):
        free_step_law(vanilla, STRONG, "wishart")
    with pytest.raises(ParameterError, match="weight_std"):
        free_step_law(vanilla, Parameters.of(vanilla, {**STRONG.named(), "weight_std": 0.0}),
                      "gaussian")  # fmt: skip


def test_without_noise_all_sites_are_equal():
    """sigma_w < 1 and no input: e = 0, so that J is W."""
    p = Parameters.of(vanilla, {"weight_std": 0.5, "input_std": 0.0, "bias_mean": 0.0,
                                "bias_std": 0.0, "input_variance": 0.0})  # fmt: skip
    found = free_step_exponents(vanilla, p, "gaussian", [0.0, 0.75])
    assert found == pytest.approx(math.log(0.5) + np.array([0, math.log(0.25) / 2]), rel=1e-9)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_hard_tanh_is_alive_where_it_is_not_saturated(weights):
    """B^2 = 1 with probability s, else 0: x = s v / (1 + v), exponents below s are -infinity."""
    hard = vanilla_cell("hard-tanh")
    p = Parameters.of(hard, {"weight_std": 1.3, "input_std": 0.6, "bias_mean": 0.2,
                             "input_variance": 0.8})  # fmt: skip
    law = free_step_law(hard, p, weights)
    std = math.sqrt(site_law(hard, p).preactivation_variance)
    s = ndtr((1 - 0.2) / std) - ndtr((-1 - 0.2) / std)
    assert law.cdf(-1e3) == pytest.approx(1 - s, abs=1e-13)
    x = np.array([0.1, 0.5, 0.9]) * s
    log_s = np.log((1 - x) / (s - x)) - 2 * math.log(1.3)
    if weights == "gaussian":
        log_s -= np.log(1 - x)
    assert law.exponents(x) == pytest.approx(-log_s / 2, abs=1e-11)
    assert law.support()[0] == -math.inf


def test_a_network_at_rest_on_a_kink_has_half_of_its_sites():
    """sigma_w < sqrt 2 and no input: the variance of relu networks goes to 0, not their slope."""
    relu = vanilla_cell("relu")
    p = Parameters.of(relu, {"weight_std": 1.0, "input_std": 0.0, "bias_mean": 0.0,
                             "input_variance": 0.0})  # fmt: skip
    law = free_step_law(relu, p, "gaussian")
    assert site_law(relu, p).chi1 == 0.5
    assert law.support()[1] == pytest.approx(math.log(0.5) / 2, rel=1e-14)
    assert np.isneginf(law.exponents(0.6))


def growth_of_the_inverse(weight_std: float, input_std: float, bias: float, seed: int) -> float:
    """Run a tanh network with fresh Haar W, and send a vector back through its inverse steps."""
    rng, N, T = np.random.default_rng(seed), 200, 240
    h, steps = rng.normal(size=N), []
    for _ in range(T):
        q, r = np.linalg.qr(rng.normal(size=(N, N)))
        W = weight_std * q * np.sign(np.diag(r))
        h = np.tanh(W @ h + input_std * rng.normal(size=N) + bias)
        steps.append((W, 1 - h**2))
    v, logs = rng.normal(size=N), []
    for W, slope in reversed(steps):
        v = W.T @ (v / slope) / weight_std**2
        logs.append(math.log(np.linalg.norm(v)))
        v /= np.linalg.norm(v)
    return float(np.mean(logs[40:-40]))


@pytest.mark.parametrize(("weight_std", "input_std", "bias"), [(1.08, 0.02, 0.0), (1.1, 0.1, 0.2)])
def test_one_exponent_of_orthogonal_weights_lies_apart(weight_std, input_std, bias):
    p = Parameters.of(vanilla, weight_std=weight_std, input_std=input_std, bias_mean=bias,
                      input_variance=1)  # fmt: skip
    found = isolated_exponent(vanilla, p, "orthogonal")
    assert found < free_step_law(vanilla, p, "orthogonal").support()[0] - 0.05
    rates = [growth_of_the_inverse(weight_std, input_std, bias, seed) for seed in range(4)]
    error = np.std(rates, ddof=1) / 2
    assert -found == pytest.approx(np.mean(rates), abs=4 * error + 4 / 200)  # and 1 / N
    assert isolated_exponent(vanilla, p, "gaussian") is None


def test_no_exponent_leaves_a_bulk_that_is_wide():
    p = Parameters.of(vanilla, weight_std=0.9, input_std=1, input_variance=1)
    assert isolated_exponent(vanilla, p, "orthogonal") is None
