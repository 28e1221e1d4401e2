"""What single laws promise beyond the contract."""

import warnings

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from rmt_jacobian.errors import ConvergenceError, ParameterError, UndefinedTransformError
from rmt_jacobian.laws import (
    Empirical,
    FreePoisson,
    FussCatalan,
    MarchenkoPastur,
    PointMasses,
    QuarterCircle,
    Semicircle,
    s_transform_near_zero,
)
from rmt_jacobian.laws.known.trinomial import principal_root
from rmt_jacobian.laws.spectral import antiderivative
from tests.laws.table import Bands

RATIOS = st.floats(0.01, 50)
SCALES = st.floats(0.1, 10)
HALF_PLANE = st.builds(complex, st.floats(-20, 20), st.floats(0.01, 20))


@pytest.mark.parametrize(
    "make",
    [
        lambda: MarchenkoPastur(0),
        lambda: MarchenkoPastur(1, -1),
        lambda: MarchenkoPastur(np.inf),
        lambda: MarchenkoPastur(np.nan),
        lambda: Semicircle(0),
        lambda: Semicircle(1, np.nan),
        lambda: QuarterCircle(-2),
        lambda: FreePoisson(0),
        lambda: FreePoisson(1, 0),
        lambda: FussCatalan(0),
        lambda: FussCatalan(1.5),
        lambda: FussCatalan(101),
        lambda: PointMasses((), ()),
        lambda: PointMasses((1, 2), (1,)),
        lambda: PointMasses((1, 1), (0.5, 0.5)),
        lambda: PointMasses((1, 2), (0.5, 0.6)),
        lambda: PointMasses((1, 2), (0, 1)),
        lambda: PointMasses((np.inf,), (1,)),
        lambda: PointMasses.bernoulli(1.2),
        lambda: Empirical([]),
        lambda: Empirical([1.0, np.nan]),
        lambda: Empirical([1j]),
    ],
)
def test_bad_parameters_are_refused_in_one_line(make):
    with pytest.raises(ParameterError) as raised:
        make()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "law",
    [Semicircle(), PointMasses((-1, 1), (0.5, 0.5)), Bands(0.4)],
    ids=["semicircle", "two-masses", "bands"],
)
def test_no_s_transform_without_a_mean(law):
    with pytest.raises(UndefinedTransformError, match="mean is zero"):
        law.s_transform(0.01)


def test_transforms_near_zero_refuse_points_outside_their_disc():
    law = QuarterCircle()
    with pytest.raises(ParameterError, match="R-transform is computed"):
        law.r_transform([0.01, 0.2])
    with pytest.raises(ParameterError, match="S-transform is computed"):
        law.s_transform(2.0)


def test_the_s_transform_near_zero_is_known_on_the_edge_of_its_disc():
    # The law of ratio 1 lies on [0, 4]: 3/4 of 1 / 12; and S(u) = 1 / (1 + u).
    u = np.array([0.0625, -0.0625, 0.0625j])
    assert s_transform_near_zero(MarchenkoPastur(), u) == pytest.approx(1 / (1 + u), rel=1e-12)
    with pytest.raises(ParameterError, match=r"abs\(u\) <= 0\.0625"):
        s_transform_near_zero(MarchenkoPastur(), np.array([0.0626]))


def test_single_atom_has_constant_transforms():
    law = PointMasses((2.5,), (1.0,))
    assert law.r_transform(3.0) == 2.5
    assert law.s_transform(-0.3) == 0.4


@given(RATIOS, SCALES, HALF_PLANE)
def test_marchenko_pastur_solves_its_equation(ratio, scale, z):
    g = complex(MarchenkoPastur(ratio, scale).cauchy(z))
    terms = (ratio * scale * z * g**2, -(z + scale * (ratio - 1)) * g, 1)
    assert abs(sum(terms)) <= 1e-13 * max(map(abs, terms))
    assert g.imag < 0


@given(RATIOS, SCALES, st.floats(0, 1))
def test_scale_stretches_marchenko_pastur(ratio, scale, p):
    law, unit = MarchenkoPastur(ratio, scale), MarchenkoPastur(ratio)
    assert law.ppf(p) == pytest.approx(scale * unit.ppf(p), rel=1e-12, abs=1e-14)
    u, w = 0.1 + 0.2j, 0.05 - 0.03j
    assert law.s_transform(u) == pytest.approx(unit.s_transform(u) / scale)
    assert law.r_transform(w) == pytest.approx(scale * unit.r_transform(scale * w))


@given(RATIOS)
def test_the_two_gram_matrices_share_their_bulk(ratio):
    # G G^T and G^T G have the same non-zero eigenvalues, as shares of N and of M.
    law, other = MarchenkoPastur(ratio), MarchenkoPastur(1 / ratio, ratio)
    x = np.linspace(*law.support_intervals()[0], 7)[1:-1]
    np.testing.assert_allclose(ratio * law.pdf(x), other.pdf(x), rtol=1e-9)


@given(st.floats(0.02, 20), SCALES)
def test_free_poisson_is_marchenko_pastur(rate, jump):
    law, same = FreePoisson(rate, jump), MarchenkoPastur(1 / rate, rate * jump)
    x = np.linspace(*law.support(), 9)[1:]
    np.testing.assert_array_equal(law.cdf(x), same.cdf(x))
    assert sum(mass for _, mass in law.atoms()) == pytest.approx(max(0, 1 - rate), abs=1e-15)
    np.testing.assert_allclose(law.free_cumulants(4), rate * jump ** np.arange(1.0, 5), rtol=1e-12)


@given(SCALES, st.floats(-5, 5), st.floats(0, 1))
def test_semicircle_moves_and_stretches(radius, centre, p):
    expected = centre + radius / 2 * Semicircle().ppf(p)
    assert Semicircle(radius, centre).ppf(p) == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_quarter_circle_squared_is_marchenko_pastur():
    x = np.linspace(0.01, 3, 50)
    squared = MarchenkoPastur(scale=9 / 4).cdf(x**2)
    np.testing.assert_allclose(QuarterCircle(3).cdf(x), squared, rtol=0, atol=1e-15)


def test_generic_code_agrees_with_the_closed_forms():
    # The law of the square of a variable of two bands is Marchenko-Pastur.
    for ratio in (0.4, 1.0, 2.0):
        x = np.linspace(0.01, 1 + np.sqrt(ratio), 40)
        folded = 2 * Bands(ratio).cdf(x) - 1
        expected = MarchenkoPastur(ratio).cdf(x**2)
        np.testing.assert_allclose(folded, expected, rtol=0, atol=1e-12)


def test_fuss_catalan_of_order_one_is_marchenko_pastur():
    law, same = FussCatalan(1), MarchenkoPastur()
    x = np.linspace(1e-6, 4, 200)
    np.testing.assert_allclose(law.pdf(x), same.pdf(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(law.cdf(x), same.cdf(x), rtol=0, atol=1e-15)
    z = np.array([1 + 1j, -2 - 0.1j, 5, -1, 1e-3j])
    np.testing.assert_allclose(law.cauchy(z), same.cauchy(z), rtol=1e-13)


@pytest.mark.parametrize("order", [1, 2, 3, 7])
def test_fuss_catalan_density_solves_the_equation_in_high_precision(order):
    law = FussCatalan(order)
    edge = law.support()[1]
    points = edge * np.concatenate([10.0 ** np.arange(-30, 0, 6), np.linspace(0.05, 0.99, 8)])
    with mpmath.workdps(60):
        for x, density in zip(points, law.pdf(points), strict=True):
            # The roots of B^(p+1) = x (B - 1); that of the law has the largest argument below
            # pi / (p+1), which is the only pair in the sector.
            roots = mpmath.polyroots(
                [1, *[0] * (order - 1), -mpmath.mpf(x), mpmath.mpf(x)], maxsteps=500, extraprec=400
            )
            sector = mpmath.pi / (order + 1)
            pair = [root for root in roots if 0 < mpmath.arg(root) < sector]
            assert len(pair) == 1
            assert density == pytest.approx(float(pair[0].imag / x / mpmath.pi), rel=1e-11)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_fuss_catalan_hard_edge_has_its_exponent(order):
    law = FussCatalan(order)
    x = np.array([1e-40, 1e-36])
    slope = np.diff(np.log(law.pdf(x))) / np.diff(np.log(x))
    # The correction is of the relative size x^(1/(p+1)), at most 1e-6 here.
    assert slope[0] == pytest.approx(-law.edge_exponent_at_zero, abs=1e-5)
    assert law.pdf(0.0) == np.inf
    assert law.pdf(law.support()[1]) == 0


@settings(max_examples=40)
@given(st.integers(1, 12), st.floats(-3, 3), st.floats(-0.5, 1.5), st.booleans())
def test_fuss_catalan_cauchy_solves_its_equation(order, log_size, turns, upper):
    angle = np.pi * min(max(turns, 0.01), 0.99) * (1 if upper else -1)
    z = 10**log_size * np.exp(1j * angle)
    law = FussCatalan(order)
    g = complex(law.cauchy(z))
    b = z * g
    terms = (b ** (order + 1), -z * b, z)
    assert abs(sum(terms)) <= 1e-12 * max(map(abs, terms))
    assert g.imag * z.imag < 0
    assert law.r_transform(g) + 1 / g == pytest.approx(z, rel=1e-9)


def test_uncertified_points_are_nan_with_a_warning(monkeypatch):
    monkeypatch.setattr("rmt_jacobian.laws.known.trinomial._RESIDUAL", -1.0)
    with pytest.warns(RuntimeWarning, match="no certified root"):
        root = principal_root(np.array([0.1, np.nan]), 2)
    assert np.all(np.isnan(root))


def test_nan_argument_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(FussCatalan(2).cauchy(np.nan))


def test_density_that_is_not_smooth_is_refused():
    with pytest.raises(ConvergenceError, match="do not resolve"):
        antiderivative(lambda angle: np.sign(angle - 1))


def test_empirical_keeps_a_sorted_copy():
    samples = np.array([[3.0, 1.0], [2.0, 2.0]])
    law = Empirical(samples)
    samples[:] = 0
    assert law.atoms() == ((1.0, 0.25), (2.0, 0.5), (3.0, 0.25))


def test_empirical_cauchy_in_blocks_is_the_direct_sum():
    rng = np.random.default_rng(2)
    samples, z = rng.normal(size=30_000), rng.normal(size=(70, 2)) + 0.1j
    law = Empirical(samples)  # 4.2 million pairs, more than one block
    expected = [[np.mean(1 / (entry - samples)) for entry in row] for row in z]
    np.testing.assert_allclose(law.cauchy(z), expected, rtol=1e-12)
