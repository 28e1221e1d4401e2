"""Convolutions of laws on very different scales, and of many factors, against closed forms."""

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.laws import (
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
from rmt_jacobian.laws.convolution.panels import antiderivative_in_panels

COIN, HALF = PointMasses((-1, 1), (0.5, 0.5)), PointMasses.bernoulli(0.5)


def test_a_law_that_is_tiny_beside_the_other_only_moves_it():
    large = MarchenkoPastur(0.3, 1e12)
    law = boxplus(PointMasses((1e-12, 3e-12), (0.4, 0.6)), large)
    x = np.linspace(1e11, 2.5e12, 30)
    np.testing.assert_allclose(law.pdf(x), large.pdf(x), rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x), large.cdf(x), rtol=0, atol=1e-12)
    assert law.support_intervals() == large.support_intervals()


def test_what_is_narrower_than_rounding_is_an_atom():
    law = boxplus(COIN, MarchenkoPastur(0.3, 1e-17))
    assert law.atoms() == ((-1.0, 0.5), (1.0, 0.5))
    assert law.cdf([-1.1, -1.0, 0.0, 1.0]).tolist() == [0.0, 0.5, 0.5, 1.0]
    assert law.ppf([0.2, 0.9]).tolist() == [-1.0, 1.0]
    assert law.moment(2) == 1.0


@pytest.mark.parametrize("size", [1e-9, 1e-13, 1e-30, 1e-200])
def test_an_atom_is_replaced_by_a_corner_of_the_small_law(size):
    # A corner of trace p of a semicircle of radius r is one of radius sqrt(p) r.
    p = 0.36
    law = boxplus(PointMasses((-1.0, 0.0), (1 - p, p)), Semicircle(size))
    corner = Semicircle(0.6 * size)
    x = corner.ppf([0.01, 0.3, 0.5, 0.9])
    np.testing.assert_allclose(law.cdf(x), 1 - p + p * corner.cdf(x), rtol=0, atol=3e-9)
    np.testing.assert_allclose(law.pdf(x) * size, p * corner.pdf(x) * size, rtol=1e-7)
    np.testing.assert_allclose(law.ppf(1 - p + p * corner.cdf(x)), x, rtol=0, atol=1e-8 * size)
    z = x[1] + 0.3j * size
    assert law.cauchy(z) == pytest.approx(p * corner.cauchy(z), rel=1e-7)
    assert law.var() == pytest.approx(p * (1 - p))


def test_perturbation_and_solver_meet():
    # At a scale at which both hold, to the second order of the scale.
    from rmt_jacobian.laws.convolution import dominated

    law, size = HALF, 1e-4
    small = MarchenkoPastur(0.7, size)
    solved = boxplus(law, small)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dominated, "_SMALL", 1e-2)
        near = boxplus(law, small)
    assert type(near) is not type(solved)
    low, high = solved.support_intervals()[0]
    x = np.linspace(low, high, 20)
    np.testing.assert_allclose(near.cdf(x), solved.cdf(x), rtol=0, atol=10 * size)


def test_a_nearly_constant_factor_of_a_product():
    # A corner of trace 1/2 of two coins a, b is arcsine-like: a projection in general position.
    size, p = 1e-10, 0.5
    near = PointMasses((1 - size, 1 + size), (0.5, 0.5))
    law = boxtimes(near, PointMasses((0.0, 4.0), (1 - p, p)))
    assert law.atoms()[0] == (0.0, 0.5)
    # p a p on the range of p, with trace 1/2 both: 2 cos^2 - 1 has the arcsine law on (-1, 1).
    t = np.array([-0.9, -0.3, 0.4, 0.8])
    x = 4 * (1 + size * t)
    expected = 0.5 + 0.5 * (0.5 + np.arcsin(t) / np.pi)
    np.testing.assert_allclose(law.cdf(x), expected, rtol=0, atol=1e-5)  # of the rounding of x


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1.0, 1e100])
def test_two_half_projections_make_the_arcsine_law(scale):
    law = boxtimes(PointMasses((0.0, scale), (0.5, 0.5)), HALF)
    share = np.array([1e-9, 0.1, 0.5, 0.9, 1 - 1e-9])
    expected = 0.5 + np.arcsin(np.sqrt(share)) / np.pi
    np.testing.assert_allclose(law.cdf(scale * share), expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(law.ppf(expected), scale * share, rtol=1e-6)
    assert law.atoms() == ((0.0, 0.5),)
    assert law.cdf(scale) == 1


def exact_cdf(x, power, factor):
    """The cdf of the law of z = (1 + u) / (u S^T), S the inverse of a product of (a + b u)^k.

    The logarithmic potential is the integral of u d log z, and its imaginary part over pi is the
    mass above.  The level u is followed from z < 0, where it is real, along the half circle.
    """
    powers = [(mpmath.mpf(1), 1, 1), *((mpmath.mpf(a), b, power * k) for a, b, k in factor)]
    least = min(a / b for a, b, _ in powers)

    def logarithm(u):
        return (
            sum(k * mpmath.log(a + b * u) for a, b, k in powers) - mpmath.log(-u) + 1j * mpmath.pi
        )

    with mpmath.workdps(60):
        low, high = mpmath.mpf(-3000), mpmath.mpf(3000)
        for _ in range(200):
            middle = (low + high) / 2
            u = -least / (1 + mpmath.exp(middle))
            below = mpmath.re(logarithm(u + 0j)) < mpmath.log(x)
            low, high = (middle, high) if below else (low, middle)
        for angle in np.linspace(np.pi, 0, 60):
            for _ in range(7):
                slope = sum(k * b / (a + b * u) for a, b, k in powers) - 1 / u
                u -= (logarithm(u) - mpmath.log(x) - 1j * mpmath.mpf(angle)) / slope
        assert abs(logarithm(u) - mpmath.log(x)) < 1e-20
        assert mpmath.im(u) < 0
        potential = sum(k * (u - a / b * mpmath.log(1 + b * u / a)) for a, b, k in powers) - u
        return float(1 - mpmath.im(potential) / mpmath.pi)


@pytest.mark.parametrize("power", [50, 100])
@pytest.mark.parametrize(
    ("law", "factor"),
    [
        (MarchenkoPastur(2.5), [(1, 2.5, 1)]),
        (MarchenkoPastur(0.5), [(1, 0.5, 1)]),
        (PointMasses.bernoulli(0.5), [(0.5, 1, 1), (1, 1, -1)]),
        (PointMasses.bernoulli(0.9), [(0.9, 1, 1), (1, 1, -1)]),
    ],
    ids=["mp-2.5", "mp-0.5", "half", "nine tenths"],
)
def test_cdf_of_high_powers(law, factor, power):
    found = boxtimes_power(law, power)
    low, high = (math.log(max(end, high * 1e-30)) for high in [found.support()[1]]
                 for end in found.support_intervals()[0])  # fmt: skip
    for share in (0.3, 0.95):
        x = math.exp(low + (high - low) * share)
        assert float(found.cdf(x)) == pytest.approx(exact_cdf(x, power, factor), abs=1e-10)


@pytest.mark.parametrize("power", [2, 10, 50, 100])
def test_powers_of_the_quarter_circle_have_their_moments(power):
    law, top = QuarterCircle(), boxtimes_power(QuarterCircle(), power)
    high = top.support()[1]

    def above(y):  # in the logarithm of x, as far as half of the range of numbers
        return 1 - float(top.cdf(high * math.exp(-y)))

    first = quad(lambda y: above(y) * math.exp(-y), 0, 300, limit=400, epsrel=1e-10)[0]
    second = quad(lambda y: 2 * above(y) * math.exp(-2 * y), 0, 300, limit=400, epsrel=1e-10)[0]
    mean = 8 / (3 * math.pi)
    assert first * high == pytest.approx(mean**power, rel=1e-9, abs=0)
    assert second * high**2 == pytest.approx(
        mean ** (2 * power) * (1 + power * (1 / mean**2 - 1)), rel=1e-9, abs=0
    )
    assert top.pdf(0.0) == math.inf
    assert law.pdf(0.0) == pytest.approx(2 / math.pi)


def test_density_at_zero_that_is_finite():
    # Where X has the density c at 0, the product with Y > 0 has c E[1/Y].
    law = boxtimes(QuarterCircle(), PointMasses((1, 2), (0.5, 0.5)))
    assert law.pdf(0.0) == pytest.approx(2 / math.pi * 0.75, rel=1e-9)
    assert law.edge_exponent_at_zero == 0


def test_a_gap_next_to_zero_is_found_in_logarithms():
    # z = (1 + u)^3 (1 + c u) / u is stationary at the edges.
    c = 1.001
    law = boxtimes(FussCatalan(2), MarchenkoPastur(c))
    with mpmath.workdps(40):
        top = np.poly1d([1, 3, 3, 1]) * np.poly1d([c, 1])
        stationary = mpmath.polyroots(list((top.deriv() * np.poly1d([1, 0]) - top).coeffs)[:5],
                                      maxsteps=500, extraprec=400)  # fmt: skip
        # Near u = -1 with d = 1 + u the equation is 3 (1 - c + c d) + c d = 0 but for d^2.
        d = 3 * (c - 1) / (4 * c)
        near = min(stationary, key=lambda u: abs(u + 1 - d))
        edge = float(mpmath.re((1 + near) ** 3 * (1 + c * near) / near))
    ((low, high),) = law.support_intervals()
    assert low == pytest.approx(edge, rel=1e-6, abs=0)
    assert law.atoms() == ((0.0, pytest.approx(1 - 1 / c)),)
    p = (np.arange(20000) + 0.5) / 20000
    assert np.mean(law.ppf(p)) == pytest.approx(1, abs=1e-6)
    assert high > 9


@pytest.mark.parametrize("ratio", [1 - 1e-8, 1.0])
def test_two_hard_edges_that_nearly_meet(ratio):
    law = boxtimes(MarchenkoPastur(), MarchenkoPastur(ratio))
    x = np.logspace(-9, 0.8, 20)
    np.testing.assert_allclose(law.cdf(x), FussCatalan(2).cdf(x), rtol=0, atol=1e-7)


@pytest.mark.parametrize("power", [2, 3])
def test_powers_of_a_law_that_is_nearly_a_point(power):
    # About its place the power of a product is that of a sum: of two equal coins, arcsine.
    size = 1e-9
    coin = PointMasses((2 - size, 2 + size), (0.5, 0.5))
    product, total = boxtimes_power(coin, power), boxplus_power(coin, power)
    assert product.mean() == pytest.approx(2.0**power, rel=1e-15)
    assert total.mean() == 2 * power
    # Kesten: radius 2 sqrt(T - 1) for T > 2, and T for T = 2, in units of the size.
    radius = size * 2 * math.sqrt(power - 1)
    low, high = total.support()
    assert high - low == pytest.approx(2 * radius, rel=1e-6, abs=0)
    low, high = product.support()
    assert high - low == pytest.approx(2 * radius * 2 ** (power - 1), rel=1e-6, abs=0)


def test_a_product_beyond_the_range_of_numbers_is_refused():
    with pytest.raises(ParameterError, match="1e\\+400"):
        boxtimes_power(PointMasses((1.0, 1e4), (0.5, 0.5)), 100)
    law = boxtimes_power(MarchenkoPastur(0.13, 5e4), 60)  # whose variance is out of range
    assert law.cdf(law.support()[1] / 2) > 0.9
    with pytest.raises(ParameterError, match="beyond the range"):
        law.moment(2)


def test_noise_is_refused_soon():
    rng = np.random.default_rng(0)
    with pytest.raises(ConvergenceError, match="noise"):
        antiderivative_in_panels(lambda t: rng.random(t.shape), 0.0, 1.0)


def test_a_quantile_at_the_end_of_an_interval_is_that_end():
    # Half of the mass lies below the gap; to rounding it may be more or less than 1/2.
    low, high = 1e-4, 1.0
    law = boxtimes(MarchenkoPastur(), PointMasses((low, high), (0.5, 0.5)))
    # R-transform of compound free Poisson: z(g) = 1/g + sum of p a / (1 - a g), stationary there.
    first, second = np.poly1d([-low, 1]), np.poly1d([-high, 1])
    g = np.poly1d([1, 0])
    numerator = (
        -1 * first**2 * second**2
        + g**2 * 0.5 * (low**2 * second**2 + high**2 * first**2)
    )  # fmt: skip
    real = [root.real for root in numerator.roots if abs(root.imag) < 1e-9 * abs(root)]
    ends = sorted(1 / t + 0.5 * (low / (1 - low * t) + high / (1 - high * t)) for t in real)
    gap = [end for end in ends if 1e-9 < end < 2][-2:]
    found = float(law.ppf(0.5))
    assert min(abs(found / end - 1) for end in gap) < 1e-9


def test_a_quantile_at_the_end_of_a_flat_density_is_that_end():
    law = boxplus(MarchenkoPastur(100.0), Semicircle(1e-2))
    corner = 1e-2 * math.sqrt(0.99)  # of an atom of mass 0.99, with corrections of the order 1e-6
    gap = (corner, law.support_intervals()[1][0])
    assert min(abs(float(law.ppf(0.99)) / end - 1) for end in gap) < 1e-5


def test_the_cdf_of_a_law_far_from_zero_ends_at_one():
    law = boxplus(Semicircle(1e-5, 1e8), MarchenkoPastur(0.3))
    assert law.cdf(law.support()[1]) == 1.0
