"""Edges and densities of features very much smaller than the support, against multiprecision."""

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from rmt_jacobian.laws import (
    MarchenkoPastur,
    PointMasses,
    Semicircle,
    boxplus,
    boxplus_power,
    boxtimes,
)


def smoothed_density(size, x, ratio=1.0):
    """Density of a Marchenko-Pastur law plus a semicircle, by a root of its cubic in G.

    With v the variance of the semicircle and c the ratio, z = 1 / (1 - c G) + v G + 1 / G.
    """
    with mpmath.workdps(60):
        v, c, z = mpmath.mpf(size) ** 2 / 4, mpmath.mpf(ratio), mpmath.mpf(float(x))
        cubic = [-v * c, v + c * z, 1 - c - z, 1]
        roots = mpmath.polyroots(cubic, maxsteps=500, extraprec=400)
        return float(max(-mpmath.im(g) for g in roots) / mpmath.pi)


@pytest.mark.parametrize("size", [1e-4, 1e-7, 1e-10, 1e-13])
def test_a_hard_edge_under_a_tiny_semicircle(size):
    law = boxplus(MarchenkoPastur(), Semicircle(size))
    v = mpmath.mpf(size) ** 2 / 4
    with mpmath.workdps(60):
        # z' = 1 / (1 - G)^2 + v - 1 / G^2 vanishes at the lower edge, where G is large and < 0.
        stationary = mpmath.polyroots([v, -2 * v, v, 2, -1], maxsteps=500, extraprec=600)
        g = min(mpmath.re(t) for t in stationary if abs(mpmath.im(t)) < 1e-30 * abs(t))
        edge = float(1 / (1 - g) + v * g + 1 / g)
    ((low, high),) = law.support_intervals()
    assert low == pytest.approx(edge, rel=1e-9, abs=0)
    assert high == pytest.approx(4, rel=1e-6)
    x = np.concatenate([low * np.array([0.9, 0.5, 0.1]), -low * np.logspace(-2, 3, 6), [0.5, 3.0]])
    expected = [smoothed_density(size, t) for t in x]
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-7)
    # Further out than the smoothing reaches, the mass below is that of the hard edge.
    far = math.sqrt(-low)
    assert float(law.cdf(far)) == pytest.approx(float(MarchenkoPastur().cdf(far)), rel=1e-3)
    p = np.array([1e-9, 0.01, 0.5, 0.99])
    np.testing.assert_allclose(law.cdf(law.ppf(p)), p, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1e-9, 1e-12, 1e-14])
def test_a_band_next_to_zero_that_is_tiny_beside_the_support(size):
    # Of the atom of mass 1 - 1/c, next to a bulk that begins at 2.5e-7.
    ratio = 1.001
    law = boxplus(MarchenkoPastur(ratio), Semicircle(size))
    (low, high), bulk = law.support_intervals()
    corner = size * math.sqrt(1 - 1 / ratio)
    assert (low, high) == pytest.approx((-corner, corner), rel=1e-2, abs=0)
    x = np.concatenate([low + (high - low) * np.array([0.01, 0.3, 0.6, 0.99]), [bulk[0] * 1.1, 1]])
    expected = [smoothed_density(size, t, ratio) for t in x]
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-7)
    assert float(law.cdf(high)) == pytest.approx(1 - 1 / ratio, abs=1e-11)


def compound_density(atoms, x):
    """Density of G^T D G for D with some atoms, by z = 1/g + sum of p a / (1 - a g)."""
    with mpmath.workdps(80):
        z = mpmath.mpf(float(x))
        jumps = [(mpmath.mpf(a), mpmath.mpf(p)) for a, p in atoms]

        def times(first, second):
            out = [mpmath.mpf(0)] * (len(first) + len(second) - 1)
            for i, a in enumerate(first):
                for j, b in enumerate(second):
                    out[i + j] += a * b
            return out

        whole = [mpmath.mpf(1)]
        for a, _ in jumps:
            whole = times(whole, [1, -a])  # lowest power first
        total = [mpmath.mpf(0)] * (len(whole) + 1)
        for k, c in enumerate(whole):
            total[k] += c
            total[k + 1] -= z * c
        for k, (a, p) in enumerate(jumps):
            rest = [mpmath.mpf(1)]
            for other, _ in jumps[:k] + jumps[k + 1 :]:
                rest = times(rest, [1, -other])
            for i, c in enumerate(rest):
                total[i + 1] += p * a * c
        roots = mpmath.polyroots(total[::-1], maxsteps=500, extraprec=400)
        return float(max(-mpmath.im(g) for g in roots) / mpmath.pi)


@pytest.mark.parametrize(
    "atoms",
    [
        [(1e-6, 0.5), (1.0, 0.5)],
        [(1e-12, 0.5), (1.0, 0.5)],
        [(1e-17, 0.3), (1.0, 0.7)],
        [(1e-17, 0.2), (1.0, 0.5), (1e17, 0.3)],
    ],
    ids=["6", "12", "17", "34"],
)
def test_products_of_atoms_on_very_different_scales(atoms):
    law = boxtimes(MarchenkoPastur(), PointMasses(*zip(*atoms, strict=True)))
    assert len(law.support_intervals()) == len(atoms)
    assert law.support_intervals()[0][0] == 0
    mass = 0.0
    for (low, high), (_, weight) in zip(law.support_intervals(), atoms, strict=True):
        x = low + (high - low) * np.array([1e-3, 0.1, 0.5, 0.9, 0.999])
        np.testing.assert_allclose(law.pdf(x), [compound_density(atoms, t) for t in x], rtol=1e-7)
        mass += weight  # of every band, by the trace of D there
        assert float(law.cdf(high)) == pytest.approx(mass, abs=1e-10)


def continued_density(first, second, x):
    """Density of the sum of two laws given by F = 1/G and its slope, from far above the axis.

    The subordination points u and z - u + F have equal values of F.
    """
    with mpmath.workdps(70):
        height = mpmath.mpf(64)
        z = mpmath.mpf(float(x)) + 1j * height
        u = z
        for _ in range(60):
            u = z + second(z + first(u)[0] - u)[0] - (z + first(u)[0] - u)
        while height > 1e-40:
            height *= mpmath.mpf("0.4")
            z = mpmath.mpf(float(x)) + 1j * height
            for _ in range(6):
                f, slope = first(u)
                other, other_slope = second(z + f - u)
                step = (f - other) / (slope - other_slope * (slope - 1))
                while mpmath.im(u - step) <= 0 or mpmath.im(z + f - u) <= 0:
                    step /= 2
                u -= step
        assert abs(step) < 1e-30 * mpmath.im(u)
        return float(-mpmath.im(1 / first(u)[0]) / mpmath.pi)


def atomic(locations, weights):
    """1/G of some atoms, and its slope."""
    pairs = [(mpmath.mpf(at), mpmath.mpf(p)) for at, p in zip(locations, weights, strict=True)]

    def reciprocal(z):
        g = sum(p / (z - at) for at, p in pairs)
        return 1 / g, sum(p / (z - at) ** 2 for at, p in pairs) / g**2

    return reciprocal


def round_law(radius):
    """1/G of a semicircle, and its slope."""
    r = mpmath.mpf(radius)

    def reciprocal(z):
        root = mpmath.sqrt(z - r) * mpmath.sqrt(z + r)
        return (z + root) / 2, (1 + z / root) / 2

    return reciprocal


@pytest.mark.parametrize("missing", [1e-4, 1e-6, 1e-8, 1e-9])
def test_a_projection_that_takes_little_off_a_hard_edge(missing):
    # P G G^T P is Marchenko-Pastur of ratio p: its lower edge is at about (1 - p)^2 / 4.
    p = 1 - missing
    law = boxtimes(MarchenkoPastur(), PointMasses((0.0, 1.0), (missing, p)))
    with mpmath.workdps(40):
        edge = float((1 - mpmath.sqrt(mpmath.mpf(p))) ** 2)
    ((low, high),) = law.support_intervals()
    assert low == pytest.approx(edge, rel=1e-5, abs=0)
    x = np.array([1.01 * edge, 2 * edge, 100 * edge, 1e-3, 0.5, 3.0])
    expected = p * np.sqrt((high - x) * (x - edge)) / (2 * math.pi * p * x)
    np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-4)
    np.testing.assert_allclose(law.pdf(x[2:]), expected[2:], rtol=1e-7)
    far = math.sqrt(edge)
    # With x = edge cosh(y)^2 the density times the slope is smooth.
    below = quad(
        lambda y: np.tanh(y) ** 2 * math.sqrt(edge * (high - edge * np.cosh(y) ** 2)) * np.cosh(y),
        0,
        math.asinh(math.sqrt((far - edge) / edge)),
        epsabs=0,
        epsrel=1e-10,
    )[0]
    assert float(law.cdf(far)) == pytest.approx(missing + below / math.pi, rel=1e-7)
    assert law.atoms() == ((0.0, missing),)


@pytest.mark.parametrize("size", [1e-5, pytest.param(1e-8, marks=pytest.mark.thorough), 1e-10])
def test_bands_of_atoms_that_are_narrow_beside_their_place(size):
    # An atom of mass m becomes a band of mass m: each eigenspace keeps its trace.
    at, weights = (-2.0, 0.0, 1e-3, 3.0), (0.1, 0.2, 0.3, 0.4)
    law = boxplus(PointMasses(at, weights), Semicircle(size))
    assert len(law.support_intervals()) == 4
    mass = 0.0
    for (low, high), place, weight in zip(law.support_intervals(), at, weights, strict=True):
        radius = size * math.sqrt(weight)
        shift = (
            size**2
            / 4
            * sum(
                p / (place - other) for p, other in zip(weights, at, strict=True) if other != place
            )
        )  # of the second order
        rounding = 4e-16 * abs(place)
        assert low == pytest.approx(place + shift - radius, rel=0, abs=2e-4 * radius + rounding)
        assert high == pytest.approx(place + shift + radius, rel=0, abs=2e-4 * radius + rounding)
        x = low + (high - low) * np.array([0.2, 0.5, 0.7])
        expected = [continued_density(atomic(at, weights), round_law(size), t) for t in x]
        np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-7 + rounding / radius)
        mass += weight
        assert float(law.cdf(high)) == pytest.approx(mass, abs=1e-9)
    p = np.array([0.05, 0.2, 0.5, 0.9])
    x = law.ppf(p)
    below, above = (law.cdf(x + sign * np.spacing(np.abs(x))) for sign in (-1, 1))
    assert np.all((below <= p + 1e-9) & (p - 1e-9 <= above))
    assert np.isnan(law.pdf(np.nan))
    z = 3 + 0.5j * size
    f = 1 / law.cauchy(z)
    with mpmath.workdps(60):  # u is where the atoms see the sum, z - u what the semicircle adds
        u = mpmath.mpc(z) - mpmath.mpf(size) ** 2 / 4 / mpmath.mpc(f)
        assert abs(complex(atomic(at, weights)(u)[0]) / f - 1) < 1e-6


@pytest.mark.parametrize("apart", [1e-6, pytest.param(1e-9, marks=pytest.mark.thorough), 1e-12])
def test_atoms_that_nearly_coincide_meet_a_coin(apart):
    # Seen from afar there is an atom of 0.6, which leaves 0.6 + 0.5 - 1 at each side of the coin.
    at, weights = (0.0, apart, 1.0), (0.3, 0.3, 0.4)
    law = boxplus(PointMasses(at, weights), PointMasses((-1.0, 1.0), (0.5, 0.5)))
    narrow = [pair for pair in law.support_intervals() if pair[1] - pair[0] < 1e-3]
    assert len(narrow) == 2
    for place, (low, high) in zip((-1.0, 1.0), narrow, strict=True):
        assert place - 4e-16 <= low < high <= place + apart + 4e-16
        x = place + np.array([0.3, 0.5, 0.6]) * apart
        x = x[(x > low) & (x < high)]
        first, second = atomic(at, weights), atomic((-1.0, 1.0), (0.5, 0.5))
        expected = [continued_density(first, second, t) for t in x]
        np.testing.assert_allclose(law.pdf(x), expected, rtol=1e-6)
        inside = float(law.cdf(high)) - float(law.cdf(np.nextafter(low, -2)))
        assert inside == pytest.approx(0.1, abs=1e-9)


def test_a_power_of_atoms_that_coincide_to_rounding():
    law = boxplus_power(PointMasses((1.0, 1.0 + 1e-15, 2.0), (0.3, 0.3, 0.4)), 2)
    assert law.atoms() == ((pytest.approx(2.0, rel=1e-14), pytest.approx(0.2)),)
    assert law.mean() == pytest.approx(2.8)
    assert float(law.cdf(2.0)) - float(law.cdf(1.999999)) == pytest.approx(0.2, abs=1e-5)
    # Of two atoms of 0.6 and 0.4: symmetric about 3 but for the atom.
    assert law.support() == pytest.approx((2.0, 3 + 2 * math.sqrt(0.24)), abs=1e-7)
