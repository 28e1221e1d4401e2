"""Free convolutions against closed forms, roots of polynomials and sampled matrices."""

import math
from fractions import Fraction

import numpy as np
import pytest

from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.freeprob import boxplus_moments, boxtimes_moments
from rmt_jacobian.laws import (
    Affine,
    Empirical,
    FreePoisson,
    FreeSum,
    FussCatalan,
    MarchenkoPastur,
    PointMasses,
    QuarterCircle,
    Semicircle,
    boxplus,
    boxplus_power,
    boxtimes,
    boxtimes_power,
)

COIN = PointMasses((-1, 1), (0.5, 0.5))


def inner(law, count=60):
    ends = law.support_intervals()
    return np.concatenate([np.linspace(*pair, count + 2)[1:-1] for pair in ends])


def density_of_roots(polynomial, x):
    """The largest -Im G / pi over the roots of a polynomial in G with real coefficients."""
    return np.array([max(0.0, *np.roots(polynomial(t)).imag) / np.pi for t in x])


def marchenko_pastur_product(a, b):
    """Coefficients in M of z M = (1 + M) (1 + a M) (1 + b M), then G = (1 + M) / z."""

    def density(x):
        values = []
        for t in x:
            cubic = np.polymul(np.polymul([1, 1], [a, 1]), [b, 1])
            cubic[-2] -= t
            values.append(max(0.0, *np.roots(cubic).imag) / t / np.pi)
        return np.array(values)

    return density


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.3), (0.7, 2.0), (1.0, 0.4), (3.0, 1.5)])
def test_product_of_marchenko_pastur_laws_solves_its_cubic(a, b):
    law = boxtimes(MarchenkoPastur(a), MarchenkoPastur(b))
    x = inner(law, 400)
    expected = marchenko_pastur_product(a, b)(x)
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_semicircle_plus_marchenko_pastur_solves_its_cubic(ratio):
    law = boxplus(Semicircle(), MarchenkoPastur(ratio))
    x = inner(law, 1001)

    def polynomial(z):  # z = 1/G + G + 1 / (1 - ratio G), times G (1 - ratio G)
        return [-ratio, 1 + ratio * z, 1 - z - ratio, 1]

    def check(z):
        g = np.roots(polynomial(z))
        return np.abs(1 / g + g + 1 / (1 - ratio * g) - z).max()

    assert check(0.3) < 1e-12
    np.testing.assert_allclose(law.pdf(x), density_of_roots(polynomial, x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("radius", [0.5, 1.9, 2.1, 4.0])
def test_coin_plus_semicircle_opens_and_closes_its_gap(radius):
    law = boxplus(COIN, Semicircle(radius))
    assert len(law.support_intervals()) == (2 if radius < 2 else 1)
    variance = radius**2 / 4

    def polynomial(z):  # G = w / (w^2 - 1) with w = z - variance G
        return [variance**2, -2 * z * variance, z**2 - 1 + variance, -z]

    x = inner(law)
    np.testing.assert_allclose(law.pdf(x), density_of_roots(polynomial, x), rtol=1e-9, atol=1e-9)
    # The edges are the real double roots: the discriminant vanishes there.
    for edge in [end for pair in law.support_intervals() for end in pair]:
        s = Fraction(radius).limit_denominator() ** 2 / 4
        z = np.array([edge - 1e-9, edge + 1e-9])
        a, b, c, d = float(s) ** 2, -2 * z * float(s), z**2 - 1 + float(s), -z
        discriminant = 18 * a * b * c * d - 4 * b**3 * d + (b * c) ** 2 - 4 * a * c**3
        discriminant -= 27 * (a * d) ** 2
        assert discriminant[0] * discriminant[1] < 0


def test_two_coins_make_the_arcsine_law():
    law = boxplus(COIN, COIN)
    assert law.support() == (-2.0, 2.0)
    x = np.linspace(-2, 2, 101)[1:-1]
    np.testing.assert_allclose(law.pdf(x), 1 / (np.pi * np.sqrt(4 - x**2)), rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x), 0.5 + np.arcsin(x / 2) / np.pi, rtol=0, atol=1e-11)
    assert np.isinf(law.pdf(2.0))


def test_semicircles_add_their_variances():
    law, same = boxplus(Semicircle(1.5, 1.0), Semicircle(2.0, -0.5)), Semicircle(2.5, 0.5)
    x = np.linspace(*same.support(), 301)
    np.testing.assert_allclose(law.support(), same.support(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(law.pdf(x[1:-1]), same.pdf(x[1:-1]), rtol=1e-11)
    np.testing.assert_allclose(law.cdf(x), same.cdf(x), rtol=0, atol=1e-13)
    z = np.array([0.3 + 0.2j, -2 - 1j, 5.0, -7.0])
    np.testing.assert_allclose(law.cauchy(z), same.cauchy(z), rtol=1e-12)


def test_free_poisson_rates_add():
    law = boxplus(FreePoisson(0.7, 2.0), FreePoisson(1.5, 2.0))
    same = FreePoisson(2.2, 2.0)
    x = inner(same)
    np.testing.assert_allclose(law.pdf(x), same.pdf(x), rtol=1e-11)
    np.testing.assert_allclose(law.support(), same.support(), rtol=1e-12)
    few = boxplus(FreePoisson(0.2), FreePoisson(0.3))
    np.testing.assert_allclose(few.atoms(), FreePoisson(0.5).atoms(), rtol=0, atol=1e-15)


def test_convolution_powers_of_free_poisson_and_semicircle():
    law, same = boxplus_power(FreePoisson(0.4), 3.7), FreePoisson(0.4 * 3.7)
    x = inner(same)
    np.testing.assert_allclose(law.pdf(x), same.pdf(x), rtol=1e-10)
    np.testing.assert_allclose(law.support(), same.support(), rtol=1e-11)


@pytest.mark.parametrize("order", [2, 3, 7, 50])
def test_powers_of_marchenko_pastur_are_fuss_catalan(order):
    law, same = boxtimes_power(MarchenkoPastur(), order), FussCatalan(order)
    assert law.edge_exponent_at_zero == pytest.approx(same.edge_exponent_at_zero)
    np.testing.assert_allclose(law.support(), same.support(), rtol=1e-12)
    x = np.linspace(*same.support(), 402)[1:-1]
    np.testing.assert_allclose(law.pdf(x), same.pdf(x), rtol=1e-9)
    points = np.concatenate([10.0 ** -np.arange(1, 13), x[::40]])
    np.testing.assert_allclose(law.pdf(points), same.pdf(points), rtol=1e-9)
    np.testing.assert_allclose(law.cdf(points), same.cdf(points), rtol=0, atol=1e-11)
    assert law.moment(4) == pytest.approx(same.moment(4), rel=1e-12)


def test_products_fold_into_powers():
    law = MarchenkoPastur().boxtimes(MarchenkoPastur()).boxtimes(MarchenkoPastur())
    assert law == boxtimes_power(MarchenkoPastur(), 3)
    mixed = boxtimes(boxtimes(FussCatalan(2), MarchenkoPastur(0.5)), MarchenkoPastur())
    other = boxtimes(FussCatalan(3), MarchenkoPastur(0.5))
    x = inner(other)
    np.testing.assert_allclose(mixed.pdf(x), other.pdf(x), rtol=1e-10)


def test_sums_inside_products():
    # A free Poisson law of rate 2 is a sum of two of rate 1.
    part = boxplus(FreePoisson(1.0), FreePoisson(1.0))
    law, same = (
        boxtimes(part, MarchenkoPastur(0.5)),
        boxtimes(FreePoisson(2.0), MarchenkoPastur(0.5)),
    )
    x = inner(same, 20)
    np.testing.assert_allclose(law.support(), same.support(), rtol=1e-10)
    np.testing.assert_allclose(law.pdf(x), same.pdf(x), rtol=1e-9)


def test_atoms_of_sums_and_products():
    left, right = PointMasses((0, 3), (0.3, 0.7)), PointMasses((0, 2), (0.4, 0.6))
    assert boxplus(left, right).atoms() == ((3.0, pytest.approx(0.1)), (5.0, pytest.approx(0.3)))
    assert boxtimes(left, right).atoms() == ((0.0, 0.4), (6.0, pytest.approx(0.3)))
    assert boxplus_power(left, 1.5).atoms() == ((4.5, pytest.approx(0.55)),)
    zero, top = boxtimes_power(left, 1.5).atoms()
    assert zero == (0.0, 0.3)
    assert top == (pytest.approx(3**1.5), pytest.approx(0.55))


def test_atoms_and_density_have_mass_one_and_the_cdf_jumps():
    law = boxplus(PointMasses((0, 3), (0.35, 0.65)), PointMasses((0, 2), (0.35, 0.65)))
    assert law.cdf(5.0) == 1
    assert law.cdf(np.nextafter(5.0, 0)) == pytest.approx(0.7, abs=1e-9)
    assert law.ppf(0.8) == 5.0


def test_point_masses_move_and_stretch():
    five, two = PointMasses((5.0,), (1.0,)), PointMasses((2.0,), (1.0,))
    assert boxplus(Semicircle(), five) == Affine(Semicircle(), shift=5.0)
    assert boxtimes(two, MarchenkoPastur()) == Affine(MarchenkoPastur(), scale=2.0)
    assert boxtimes(two, five).atoms() == ((10.0, 1.0),)
    nothing = PointMasses((0.0,), (1.0,))
    assert boxtimes(nothing, MarchenkoPastur()).atoms() == ((0.0, 1.0),)
    law, same = Affine(MarchenkoPastur(0.5), 3.0), MarchenkoPastur(0.5, 3.0)
    x = np.linspace(*same.support(), 50)[1:-1]
    np.testing.assert_allclose(law.pdf(x), same.pdf(x), rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x), same.cdf(x), rtol=0, atol=1e-14)
    assert law.s_transform(0.2) == pytest.approx(same.s_transform(0.2))
    assert law.moment(3) == pytest.approx(same.moment(3))


def test_moments_and_transforms_are_those_of_the_factors():
    a, b = MarchenkoPastur(0.5, 2.0), FreePoisson(1.5, 0.7)
    first, second = ([law.moment(k) for k in range(1, 6)] for law in (a, b))
    total, product = boxplus(a, b), boxtimes(a, b)
    for k in range(5):
        assert total.moment(k + 1) == pytest.approx(float(boxplus_moments(first, second)[k]))
        assert product.moment(k + 1) == pytest.approx(float(boxtimes_moments(first, second)[k]))
    w, u = np.array([0.02, -0.03 + 0.01j]), np.array([0.1, -0.2 + 0.1j])
    np.testing.assert_allclose(total.r_transform(w), a.r_transform(w) + b.r_transform(w))
    np.testing.assert_allclose(product.s_transform(u), a.s_transform(u) * b.s_transform(u))
    # The R-transform once more, from the Cauchy transform alone.
    g = total.cauchy(40 + 3j)
    assert total.r_transform(g) + 1 / g == pytest.approx(40 + 3j, rel=1e-10)


def test_sampled_matrices_follow_the_law():
    rng = np.random.default_rng(4)
    size = 600
    x = rng.normal(size=(size, 2 * size)) / math.sqrt(2 * size)
    y = rng.normal(size=(size, size))
    y = (y + y.T) / math.sqrt(2 * size)
    values = np.linalg.eigvalsh(x @ x.T + y)
    law = boxplus(MarchenkoPastur(0.5), Semicircle())
    at = np.linspace(*law.support(), 30)
    sampled = np.searchsorted(values, at) / size
    np.testing.assert_allclose(law.cdf(at), sampled, rtol=0, atol=5 / size)


def test_empirical_laws_of_samples():
    rng = np.random.default_rng(8)
    sample = rng.normal(size=200)
    law = boxplus(Empirical(sample), Semicircle(1.0))
    x = inner(law, 50)
    # The density is Im of the fixed point of the equation of Pastur, checked directly.
    g = law.cauchy(x)
    np.testing.assert_allclose(
        g, [np.mean(1 / (t - h / 4 - sample)) for t, h in zip(x, g, strict=True)], rtol=1e-9
    )
    assert law.mean() == pytest.approx(sample.mean())


def test_solutions_report_residuals_and_certificates():
    law = boxtimes(MarchenkoPastur(0.5), QuarterCircle())
    solution = law.solve(np.linspace(-1, law.support()[1] + 1, 50))
    assert np.all(solution.converged)
    assert solution.residual.max() < 1e-11
    outside = (solution.x < law.support()[0]) | (solution.x > law.support()[1])
    assert np.all(solution.density[outside] == 0)
    assert np.all(np.isfinite(solution.cauchy))


def test_uncertified_points_are_nan_with_a_warning(monkeypatch):
    law = boxplus(Semicircle(), MarchenkoPastur())
    middle = sum(law.support()) / 2
    monkeypatch.setattr("rmt_jacobian.laws.convolution.subordination._FINAL", 0)
    monkeypatch.setattr("rmt_jacobian.laws.convolution.subordination._CORRECTIONS", 0)
    with pytest.warns(RuntimeWarning, match="no certified density"):
        assert np.isnan(law.pdf(middle))


def test_a_point_without_certificate_takes_the_value_of_a_neighbour(monkeypatch):
    law = boxplus(Semicircle(1.5), Semicircle(2.0))  # x = -2.5 cos t, with 2 sin(t)^2 / pi dt
    known = FreeSum._rate

    def with_a_hole(self, k, angle):
        return np.where(np.abs(angle - 1) < 1e-9, np.nan, known(self, k, angle))

    monkeypatch.setattr(FreeSum, "_rate", with_a_hole)
    angle = np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(
        law._solved_rate(0, angle), 2 / np.pi * np.sin(angle) ** 2, rtol=1e-7
    )
    monkeypatch.setattr(FreeSum, "_rate", lambda self, k, angle: np.full(angle.shape, np.nan))
    with pytest.raises(ConvergenceError, match="not found everywhere"):
        law._solved_rate(0, angle)


@pytest.mark.parametrize("times", [0.5, -1, math.nan, math.inf])
def test_powers_below_one_are_refused(times):
    for power in (boxplus_power, boxtimes_power):
        with pytest.raises(ParameterError, match="copies"):
            power(MarchenkoPastur(), times)


def test_products_need_positive_laws():
    with pytest.raises(HypothesisError, match="half line"):
        boxtimes(Semicircle(), MarchenkoPastur())
    with pytest.raises(HypothesisError, match="half line"):
        boxtimes_power(Semicircle(), 2)


def test_too_many_gaps_are_refused():
    rng = np.random.default_rng(1)
    law = boxplus(Empirical(rng.normal(size=800)), Empirical(rng.normal(size=900)))
    with pytest.raises(HypothesisError, match="gaps"):
        law.support()


def test_densities_within_rounding_of_an_edge() -> None:
    """The sum of two semicircles is one of radius 2 sqrt(2): f = sqrt(8 - x^2) / 4 pi."""
    law = boxplus(Semicircle(), Semicircle())
    edge = 2 * math.sqrt(2)
    distance = edge - (edge - np.array([1e-14, 1e-13, 5e-13, 2e-12]))
    found = law.solve(edge - distance)
    assert found.converged.all()
    exact = np.sqrt(distance * (2 * edge - distance)) / (4 * math.pi)
    # 2 sqrt(2) itself is rounded, by up to 2e-16: a hundredth of the least distance.
    assert found.density == pytest.approx(exact, rel=0.05, abs=0)
