import pytest
import sympy as sp

from rmt_jacobian.errors import HypothesisError, ParameterError, UndefinedTransformError
from rmt_jacobian.freeprob import (
    moments_from_s_series,
    r_transform_from_s_transform,
    s_series_from_moments,
    s_transform_from_r_transform,
    scaled_r_transform,
    scaled_s_transform,
    series_of_transform,
    shifted_r_transform,
    shifted_s_transform,
)
from tests.known_laws import KNOWN_LAWS, THIRD, W, Z, projection, semicircle

LAWS = {law.name: law for law in KNOWN_LAWS}
BOTH = [law for law in KNOWN_LAWS if None not in (law.s_transform, law.r_transform)]

each = pytest.mark.parametrize("law", BOTH, ids=lambda law: law.name)


def numeric(expression, **values):
    """Value at rational points for the symbols left over: exact comparison without simplify."""
    points = {"c": THIRD, "s": sp.S(2), "p": THIRD, "z": sp.Rational(1, 20)}
    points |= {"w": sp.Rational(1, 25), **values}
    known = {symbol: points[symbol.name] for symbol in expression.free_symbols}
    return complex(expression.subs(known).evalf(30))


@each
def test_r_and_s_determine_each_other(law):
    s_transform = s_transform_from_r_transform(law.r_transform, W, Z)
    r_transform = r_transform_from_s_transform(law.s_transform, Z, W)
    assert numeric(s_transform) == pytest.approx(numeric(law.s_transform), rel=1e-12)
    assert numeric(r_transform) == pytest.approx(numeric(law.r_transform), rel=1e-12)
    assert sp.simplify(s_transform.subs(Z, 0) * law.moment(1)) == 1


@pytest.mark.parametrize("mean", [sp.S(2), sp.S(-3), sp.Symbol("m")])
def test_the_branch_does_not_depend_on_the_sign_of_the_mean(mean):
    s_transform = s_transform_from_r_transform(shifted_r_transform(W, mean), W, Z)
    moments = (mean, mean**2 + 1, mean**3 + 3 * mean, mean**4 + 6 * mean**2 + 2)
    assert series_of_transform(s_transform, Z, 4) == s_series_from_moments(moments)


def test_shift_of_a_projection_is_a_two_point_law():
    law = LAWS["mass 1/3 at 1, the rest at 3"]
    reflected = scaled_s_transform(projection(THIRD).s_transform, -2)
    shifted = shifted_s_transform(reflected, Z, 3)
    assert numeric(shifted) == pytest.approx(numeric(law.s_transform), rel=1e-12)
    moments = moments_from_s_series(series_of_transform(shifted, Z, 6))
    assert tuple(sp.nsimplify(moment) for moment in moments) == law.moments(6)


def test_scaling_of_both_transforms():
    law, scale = LAWS["Marchenko-Pastur, ratio 1, scale 1"], sp.Symbol("a", positive=True)
    r_transform = scaled_r_transform(law.r_transform, W, scale)
    s_transform = scaled_s_transform(law.s_transform, scale)
    cumulants, moments = law.free_cumulants(5), law.moments(5)
    assert series_of_transform(r_transform, W, 5) == tuple(
        scale**n * value for n, value in enumerate(cumulants, start=1)
    )
    assert moments_from_s_series(series_of_transform(s_transform, Z, 5)) == tuple(
        scale**n * value for n, value in enumerate(moments, start=1)
    )


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ((sp.sqrt(1 + 4 * Z) - 1) / Z, (2, -2, 4, -10)),
        (sp.exp(2 * Z), (1, 2, 2, sp.Rational(4, 3))),
        (Z**2, (0, 0, 1, 0)),
        (sp.Integer(3), (3, 0, 0, 0)),
    ],
    ids=str,
)
def test_series_of_any_analytic_expression(function, expected):
    assert series_of_transform(function, Z, 4) == expected
    assert series_of_transform(function, Z, 0) == ()
    assert series_of_transform(function, Z, 1) == expected[:1]


def test_a_law_with_mean_zero_has_no_s_transform():
    with pytest.raises(UndefinedTransformError, match="non-zero mean"):
        s_transform_from_r_transform(semicircle(sp.S.One).r_transform, W, Z)
    with pytest.raises(UndefinedTransformError, match="non-zero mean"):
        shifted_s_transform(sp.S.One, Z, -1)
    with pytest.raises(UndefinedTransformError, match="a != 0"):
        scaled_s_transform(sp.S.One, 0)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (1 / W, "not analytic"),
        (1 + W**3, "degree two"),
        (sp.exp(W), "not algebraic"),
    ],
    ids=str,
)
def test_no_closed_form_is_an_error(transform, message):
    with pytest.raises(HypothesisError, match=message):
        s_transform_from_r_transform(transform, W, Z)


def test_bad_arguments_are_refused():
    with pytest.raises(HypothesisError, match="not analytic"):
        series_of_transform(1 / Z, Z, 3)
    with pytest.raises(HypothesisError, match="not analytic"):
        series_of_transform(sp.sqrt(Z), Z, 3)
    with pytest.raises(ParameterError, match="at least 0"):
        series_of_transform(Z, Z, -1)
    with pytest.raises(ParameterError, match="cannot be zero"):
        r_transform_from_s_transform(Z, Z, W)
