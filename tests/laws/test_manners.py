"""The manners of scipy.stats, against scipy's own integrals, quantiles and distributions."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

import rmt_jacobian as rj
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.laws import (
    FussCatalan,
    MarchenkoPastur,
    PointMasses,
    QuarterCircle,
    Semicircle,
)

# The semicircle is the law of scipy's semicircular distribution.
LAW, SCIPY = Semicircle(radius=1.5, centre=0.4), stats.semicircular(loc=0.4, scale=1.5)
X = np.linspace(-2, 2.5, 19)
POINT = rj.Parameters.of(rj.minimalrnn)


def test_all_agree_with_the_distribution_of_scipy() -> None:
    p = np.linspace(0, 1, 11)
    np.testing.assert_allclose(LAW.sf(X), SCIPY.sf(X), atol=1e-13)
    np.testing.assert_allclose(LAW.isf(p), SCIPY.isf(p), atol=1e-7)
    inside = np.abs(X - 0.4) < 1.5
    np.testing.assert_allclose(LAW.logpdf(X[inside]), SCIPY.logpdf(X[inside]), rtol=1e-12)
    assert np.all(LAW.logpdf(X[~inside]) == -np.inf)
    assert LAW.median() == pytest.approx(SCIPY.median(), rel=1e-12)
    np.testing.assert_allclose(LAW.interval(0.8), SCIPY.interval(0.8), rtol=1e-9)
    assert LAW.entropy() == pytest.approx(SCIPY.entropy(), rel=1e-9)
    for ends in ({}, {"lb": 0.5}, {"ub": 0.1}, {"lb": -0.3, "ub": 1.2}):
        for conditional in (False, True):
            found = LAW.expect(np.cos, conditional=conditional, **ends)
            known = SCIPY.expect(np.cos, conditional=conditional, **ends)
            assert found == pytest.approx(known, rel=1e-7)


def test_shapes_and_nan_are_those_of_the_cdf() -> None:
    assert np.shape(LAW.sf(0.3)) == ()
    assert LAW.isf(np.full((2, 3), 0.1)).shape == (2, 3)
    assert np.isnan(LAW.sf(np.nan))
    assert np.isnan(LAW.isf(1.5))


def test_expectations_of_functions_with_kinks_and_poles() -> None:
    law = MarchenkoPastur(ratio=0.5)
    low, high = law.support()
    kink = quad(lambda x: abs(x - 0.7) * law.pdf(x), low, high, points=[0.7], epsabs=1e-12)[0]
    assert law.expect(lambda x: np.abs(x - 0.7)) == pytest.approx(kink, rel=1e-8)
    square = QuarterCircle().expect(lambda s: 1 / np.sqrt(s))
    known = quad(lambda s: np.sqrt(4 - s * s) / np.pi / np.sqrt(s), 0, 2, epsabs=1e-12)[0]
    assert square == pytest.approx(known, rel=1e-6)


def test_an_expectation_that_cancels_is_0_to_the_digits_of_its_parts() -> None:
    assert Semicircle().expect(np.sign) == pytest.approx(0.0, abs=1e-9)
    assert Semicircle().expect(lambda x: x * np.abs(x)) == pytest.approx(0.0, abs=1e-9)


def test_atoms_count_where_they_sit() -> None:
    law = MarchenkoPastur(ratio=4.0)  # an atom of 3/4 at 0
    assert law.expect(np.ones_like, ub=0.0) == pytest.approx(0.75, rel=1e-12)
    assert law.expect(np.exp) - 0.75 == pytest.approx(law.expect(np.exp, lb=1e-9), rel=1e-9)
    assert law.expect(np.exp, ub=0.5, conditional=True) == pytest.approx(1.0, rel=1e-12)
    coin = PointMasses([0.0, 2.0], [0.25, 0.75])
    assert coin.expect(lambda x: x**2) == pytest.approx(3.0, rel=1e-15)
    assert coin.expect(lb=0.5, ub=1.5) == 0.0
    assert math.isnan(coin.expect(lb=0.5, ub=1.5, conditional=True))
    assert coin.entropy() == law.entropy() == -math.inf


def test_a_constant_is_a_function() -> None:
    assert LAW.expect(lambda x: 3.0) == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize("order", [pytest.param(1, marks=pytest.mark.thorough), 3])
def test_entropies_of_laws_with_a_hard_edge(order: int) -> None:
    law = FussCatalan(order)
    low, high = law.support()
    cuts = low + (high - low) * np.concatenate([[1e-300], 10.0 ** np.arange(-40, 0, 2.0), [1.0]])

    def surprise(x: float) -> float:
        return float(-law.pdf(x) * np.log(law.pdf(x)))

    known = sum(
        quad(surprise, *ends, epsabs=1e-8, limit=200)[0] for ends in itertools.pairwise(cuts)
    )
    assert law.entropy() == pytest.approx(known, rel=1e-5)


def test_what_is_infinite_or_ill_posed_is_refused() -> None:
    with pytest.raises(ConvergenceError, match="infinite"):
        FussCatalan(1).expect(lambda x: 1 / x)
    with pytest.raises(ConvergenceError, match="not finite"):
        PointMasses([0.0], [1.0]).expect(lambda x: np.log(x + 0 * x))
    with pytest.raises(ParameterError, match="lies above"):
        LAW.expect(lb=1.0, ub=0.0)
    with pytest.raises(ParameterError, match="confidence"):
        LAW.interval(1.5)


@pytest.mark.parametrize(("weights", "steps"), [("gaussian", 2), ("orthogonal", 3)])
def test_laws_of_products(weights: str, steps: int) -> None:
    law = rj.singular_value_law(rj.minimalrnn, POINT, weights=weights, steps=steps, sites=64)
    squares = law.squares()
    assert law.expect(lambda s: s**2) == pytest.approx(law.moment(2), rel=1e-5)
    assert squares.expect() == pytest.approx(squares.mean(), rel=1e-5)
    cuts = law.ppf([0.3, 0.8])
    assert law.expect(np.ones_like, *cuts) == pytest.approx(0.5, abs=1e-6)
    assert law.expect(np.log, *cuts) == pytest.approx(
        squares.expect(np.log, *cuts**2) / 2, rel=1e-9
    )
    # The density of s^2 is that of s over 2 s.
    shift = law.expect(lambda s: np.log(2 * s))
    assert squares.entropy() == pytest.approx(law.entropy() + shift, rel=1e-4, abs=1e-4)
    p = (np.arange(200_000) + 0.5) / 200_000
    drawn = -np.log(law.pdf(law.ppf(p))).mean()
    assert law.entropy() == pytest.approx(drawn, abs=2e-4)
