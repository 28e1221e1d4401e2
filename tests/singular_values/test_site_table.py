"""Products whose singular values are those of their sites, against closed forms."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.special import expit, logit, ndtr
from scipy.stats import norm

from rmt_jacobian.cells import Cell, Parameters, Preactivation, hard_tanh, minimalrnn, vanilla
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.singular_values import singular_value_law

PARAMETERS = Parameters.of(vanilla).with_values(weight_std=1.5, input_std=0.5)


def exact_cdf(s: np.ndarray) -> np.ndarray:
    """The singular values are sigma_w / cosh(e)^2 with e ~ N(0, q)."""
    std = math.sqrt(site_law(vanilla, PARAMETERS).preactivation_variance)
    e = np.arccosh(np.sqrt(1.5 / np.minimum(s, 1.5)))
    return 2 * ndtr(-e / std)


def test_the_law_is_that_of_the_slopes() -> None:
    law = singular_value_law(vanilla, PARAMETERS, weights="orthogonal", steps=1)
    s = np.linspace(0.05, 1.499, 300)
    assert np.max(np.abs(law.cdf(s) - exact_cdf(s))) < 4 / 1024
    assert len(law.support_intervals()) == 1
    assert np.all(np.diff(law.cdf(s)) >= 0)
    assert 0 < law.error_estimate < 4 / 1024


def test_moments_are_those_of_the_equation() -> None:
    law = singular_value_law(vanilla, PARAMETERS, weights="orthogonal", steps=1, squared=True)
    point = site_law(vanilla, PARAMETERS)
    assert law.moment(1) == pytest.approx(point.chi1, rel=1e-8)
    assert law._integral(lambda s: s**2) == pytest.approx(point.chi1, rel=5e-3)
    assert law._integral(lambda s: 1 + 0 * s) == pytest.approx(1, abs=1e-9)


def test_solve_returns_the_smooth_law() -> None:
    law = singular_value_law(vanilla, PARAMETERS, weights="orthogonal", steps=1)
    x = np.array([0.5, 1.0])
    found = law.solve(x)
    assert found.converged.all()
    assert found.density == pytest.approx(law.pdf(x))


def test_gates_alone() -> None:
    """Without W the Jacobian of one state is its gate, sigmoid(e) with e ~ N(0.5, 1.2^2)."""
    p = Parameters.of(minimalrnn, weight_std=0.0, input_std=1.2, bias_mean=0.5, input_variance=1.0)
    law = singular_value_law(minimalrnn, p, weights="gaussian", steps=1)
    s = np.linspace(0.02, 0.98, 200)
    assert np.max(np.abs(law.cdf(s) - ndtr((logit(s) - 0.5) / 1.2))) < 4 / 1024
    assert law.atoms() == ()
    m_1 = quad(lambda e: expit(e) ** 2 * norm.pdf(e, 0.5, 1.2), -12, 12)[0]
    for steps in (1, 3):
        squares = singular_value_law(minimalrnn, p, weights="gaussian", steps=steps, squared=True)
        assert squares.moment(1) == pytest.approx(m_1**steps, rel=1e-9)  # of the recursion
        assert squares._integral(lambda s: s**2) == pytest.approx(m_1**steps, rel=2e-3)


def test_two_gates_alone() -> None:
    """The singular values are products of two gates: their distribution is one integral."""
    p = Parameters.of(minimalrnn, weight_std=0.0, input_std=1.2, bias_mean=0.5, input_variance=1.0)
    law = singular_value_law(minimalrnn, p, weights="gaussian", steps=2)

    def below(s: float) -> float:
        whole = logit(s)  # where the first gate is s the second must be 1

        def part(e: float) -> float:
            return ndtr((logit(s / expit(e)) - 0.5) / 1.2) * norm.pdf(e, 0.5, 1.2)

        return ndtr((whole - 0.5) / 1.2) + quad(part, whole, 12, epsabs=1e-10)[0]

    s = np.concatenate([np.geomspace(1e-3, 0.05, 12), np.linspace(0.06, 0.95, 30)])
    missed = np.max(np.abs(law.cdf(s) - [below(x) for x in s]))
    assert missed < 1.5 * law.error_estimate < 3e-3


def hard_gated() -> tuple[Cell, Parameters]:
    """J = (u 0; 1 0) with u = (1 + hard_tanh(e)) / 2 and e ~ N(0, 1): sqrt(1 + u^2), and 0."""
    s, t, x, e = sp.symbols("s t x e", real=True)
    cell = Cell("hard", (s, t), x, (Preactivation("g", e, t),),
                ((1 + hard_tanh(e)) / 2 * s + x, s))  # fmt: skip
    values = {"weight_std": 0.0, "input_std": 1.0, "input_variance": 1.0}
    return cell, Parameters.of(cell, values)


def test_atoms_where_many_sites_agree() -> None:
    law = singular_value_law(*hard_gated(), weights="orthogonal", steps=1)
    assert law.atoms() == ((0.0, 0.5),)
    s = np.linspace(1.001, 1.41, 200)
    expected = 0.5 + ndtr(2 * np.sqrt(s**2 - 1) - 1) / 2
    assert np.max(np.abs(law.cdf(s) - expected)) < 4 / 1024
    shut = ndtr(-1.0) / 2  # mass at 1, and at the square root of 2
    assert law.cdf(np.array([0.9, 1 - 1e-8, 1 + 1e-8, 1.42])) == pytest.approx(
        [0.5, 0.5, 0.5 + shut, 1.0], abs=4 / 1024
    )
    assert law.ppf([0.3, 0.51, 0.5 + shut / 2]) == pytest.approx([0, 1, 1], abs=1e-8)
    assert law.ppf([1 - shut / 2, 1]) == pytest.approx([2**0.5] * 2, abs=1e-8)
    (low, high), = law.support_intervals()  # fmt: skip
    assert (low, high) == pytest.approx((1, 2**0.5), abs=1e-8)
    assert 0 <= law.error_estimate < 4 / 1024


def test_moments_with_atoms() -> None:
    law = singular_value_law(*hard_gated(), weights="orthogonal", steps=1, squared=True)
    middle = quad(lambda e: ((1 + e) / 2) ** 2 * norm.pdf(e), -1, 1)[0]
    m_1 = (1 + middle + ndtr(-1.0)) / 2
    assert law.moment(1) == pytest.approx(m_1, rel=2e-3)
    assert law._integral(lambda s: s**2) == pytest.approx(m_1, rel=2e-3)
    assert 0 <= law.moment_errors[0] < 2e-3


def test_saturated_states_are_one_atom() -> None:
    """A hard tanh far from its slope passes nothing on: s' = 0.3 s, t' = s, 0 for the third."""
    s, t, r, x, e = sp.symbols("s t r x e", real=True)
    cell = Cell("shut", (s, t, r), x, (Preactivation("g", e, s),),
                (0.3 * s + 0.7 * hard_tanh(e), s, hard_tanh(e)))  # fmt: skip
    p = Parameters.of(cell, weight_std=0.8, input_std=0.1, bias_mean=-6.0, input_variance=1.0)
    law = singular_value_law(cell, p, weights="gaussian", steps=1)
    at = 1.09**0.5
    assert law.atoms() == ((0.0, pytest.approx(2 / 3)),)
    assert law.cdf(np.array([0.0, at - 1e-7, at + 1e-7])) == pytest.approx([2 / 3, 2 / 3, 1])
    (low, high), = law.support_intervals()  # fmt: skip
    assert (low, high) == pytest.approx((at, at), abs=1e-8)
    assert law.squares().moment(3) == pytest.approx(1.09**3 / 3, rel=1e-12)


def test_a_product_that_vanishes_has_no_law() -> None:
    p = Parameters.of(vanilla).with_values(weight_std=0.0, input_std=0.5)
    with pytest.raises(HypothesisError, match="product is 0"):
        singular_value_law(vanilla, p, weights="gaussian", steps=1).cdf(1.0)
