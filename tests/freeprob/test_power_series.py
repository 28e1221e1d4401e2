import pytest
import sympy as sp
from hypothesis import given, settings, strategies as st

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.freeprob import multiply_series, power_of_series, revert_series

RATIONALS = st.fractions(min_value=-3, max_value=3, max_denominator=6)
SERIES = st.lists(RATIONALS, min_size=6, max_size=6)
INVERTIBLE = SERIES.filter(lambda series: series[0] != 0)


def polynomial(coefficients, variable):
    return sp.Add(*(sp.sympify(c) * variable**k for k, c in enumerate(coefficients)))


def truncated(expression, variable, order):
    poly = sp.Poly(expression, variable)
    return tuple(poly.coeff_monomial(variable**k) for k in range(order))


@given(SERIES, SERIES)
def test_product_is_the_product_of_polynomials(a, b):
    z = sp.Symbol("z")
    expected = truncated(polynomial(a, z) * polynomial(b, z), z, 6)
    assert multiply_series(a, b) == expected


@given(INVERTIBLE, st.integers(min_value=1, max_value=4))
def test_integer_powers_are_repeated_products(a, exponent):
    expected = (1, 0, 0, 0, 0, 0)
    for _ in range(exponent):
        expected = multiply_series(expected, a)
    assert power_of_series(a, exponent) == expected
    assert multiply_series(power_of_series(a, -exponent), expected) == (1, 0, 0, 0, 0, 0)


def test_symbolic_power_interpolates_the_integer_ones():
    T, f_0 = sp.symbols("T f_0", positive=True)
    symbolic = power_of_series((f_0, 2, sp.Rational(1, 3), -1), T)
    for exponent in (1, 2, 5):
        values = [sp.expand(entry.subs(T, exponent)) for entry in symbolic]
        assert tuple(values) == power_of_series((f_0, 2, sp.Rational(1, 3), -1), exponent)


@given(INVERTIBLE)
@settings(max_examples=15)
def test_reversion_composes_to_the_identity(f):
    z = sp.Symbol("z")
    inverse = z * polynomial(revert_series(f), z)
    composed = sp.expand(polynomial((0, *f), z).subs(z, inverse))
    assert truncated(composed, z, 7) == (0, 1, 0, 0, 0, 0, 0)


def test_floats_stay_floats_and_exact_numbers_stay_exact():
    assert power_of_series((1, 1), 0.5)[1].is_Float
    assert multiply_series((0.5, 1), (2, 3)) == (sp.Float(1.0), sp.Float(3.5))
    assert power_of_series((4, 1), sp.Rational(1, 2)) == (2, sp.Rational(1, 4))


def test_what_has_no_power_or_inverse_is_refused():
    with pytest.raises(ParameterError, match="constant term"):
        power_of_series((0, 1), 2)
    with pytest.raises(ParameterError, match="linear term"):
        revert_series((0, 1))
    with pytest.raises(ParameterError, match="not a number"):
        multiply_series((sp.true,), (1,))
