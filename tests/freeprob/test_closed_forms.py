import pytest
import sympy as sp

from rmt_jacobian import freeprob as fp
from rmt_jacobian.errors import ParameterError, UndefinedTransformError
from tests.known_laws import KNOWN_LAWS, W, Z

ORDER = 6


def expanded(values):
    return tuple(sp.expand(sp.nsimplify(value)) for value in values)


@pytest.mark.parametrize(
    "law", [law for law in KNOWN_LAWS if law.s_transform is not None], ids=lambda law: law.name
)
def test_s_transforms_have_the_moments_of_the_law(law):
    coefficients = fp.series_of_transform(law.s_transform, Z, ORDER)
    assert expanded(fp.moments_from_s_series(coefficients)) == expanded(law.moments(ORDER))


@pytest.mark.parametrize(
    "law", [law for law in KNOWN_LAWS if law.r_transform is not None], ids=lambda law: law.name
)
def test_r_transforms_have_the_free_cumulants_of_the_law(law):
    coefficients = fp.series_of_transform(law.r_transform, W, ORDER)
    assert expanded(coefficients) == expanded(law.free_cumulants(ORDER))


def test_square_of_the_semicircle_is_marchenko_pastur_of_ratio_one():
    variance = sp.Symbol("v", positive=True)
    squared = fp.moments_from_free_cumulants((0, variance, *[0] * 8))[1::2]
    coefficients = fp.series_of_transform(fp.marchenko_pastur_s_transform(Z, 1, variance), Z, 5)
    assert fp.s_series_from_moments(squared) == coefficients
    assert fp.semicircle_squared_s_transform(Z, variance) == fp.marchenko_pastur_s_transform(
        Z, 1, variance
    )


def test_symmetric_projection_has_the_cumulants_of_the_symmetric_bernoulli_law():
    # A free sum of two such projections is the arcsine law, whose moments are central binomials.
    moments = (sp.Rational(1, 2),) * 8
    doubled = fp.boxplus_moments(moments, moments)
    assert doubled == tuple(sp.binomial(2 * n, n) / sp.Integer(2) ** n for n in range(1, 9))


@pytest.mark.parametrize(
    "transform",
    [
        lambda: fp.marchenko_pastur_s_transform(Z, scale=0),
        lambda: fp.free_poisson_s_transform(Z, rate=0),
        lambda: fp.haar_s_transform(0),
        lambda: fp.semicircle_squared_s_transform(Z, 0),
        lambda: fp.bernoulli_s_transform(Z, 0),
        lambda: fp.two_point_s_transform(Z, 1, -1, sp.Rational(1, 2)),
        lambda: fp.fuss_catalan_s_transform(Z, 2, scale=0),
    ],
)
def test_mean_zero_is_an_error(transform):
    with pytest.raises(UndefinedTransformError, match="mean is zero"):
        transform()


def test_bad_parameters_are_refused():
    for weight in (-1, 2):
        with pytest.raises(ParameterError, match="between 0 and 1"):
            fp.bernoulli_r_transform(W, weight)
    for order in (-1, 1.5):
        with pytest.raises(ParameterError, match="integer >= 0"):
            fp.fuss_catalan_s_transform(Z, order)  # pyright: ignore[reportArgumentType]


def test_defaults_are_the_unit_laws():
    half = sp.Rational(1, 2)
    # The Catalan numbers are the moments of M-P of ratio and mean 1: S = 1/(1+z), R = 1/(1-w).
    assert sp.simplify(fp.marchenko_pastur_s_transform(Z) - 1 / (1 + Z)) == 0
    assert sp.simplify(fp.marchenko_pastur_r_transform(W) - 1 / (1 - W)) == 0
    assert sp.simplify(fp.free_poisson_s_transform(Z, half) - 1 / (half + Z)) == 0
    assert sp.simplify(fp.free_poisson_r_transform(W, half) - half / (1 - W)) == 0
    assert sp.simplify(fp.fuss_catalan_s_transform(Z, 2) - 1 / (1 + Z) ** 2) == 0
    assert fp.haar_s_transform() == fp.haar_r_transform() == 1
    assert fp.semicircle_r_transform(W) == W
    assert sp.simplify(fp.semicircle_squared_s_transform(Z) - 1 / (1 + Z)) == 0
