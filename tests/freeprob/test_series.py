from functools import cache
from itertools import permutations

import pytest
import sympy as sp
from hypothesis import given, settings, strategies as st

from rmt_jacobian.errors import ParameterError, UndefinedTransformError
from rmt_jacobian.freeprob import (
    boxplus_moments,
    boxtimes_moments,
    boxtimes_power_moments,
    free_cumulants_from_moments,
    moments_from_free_cumulants,
    moments_from_s_series,
    s_coefficients,
    s_series_from_moments,
)
from tests.known_laws import KNOWN_LAWS, fuss_catalan

ORDER = 10
RATIONALS = st.fractions(min_value=-2, max_value=2, max_denominator=5)
MOMENTS = st.lists(RATIONALS, min_size=7, max_size=7)
WITH_MEAN = MOMENTS.filter(lambda moments: moments[0] != 0)

every_law = pytest.mark.parametrize("law", KNOWN_LAWS, ids=lambda law: law.name)
every_law_with_mean = pytest.mark.parametrize(
    "law", [law for law in KNOWN_LAWS if law.s_transform is not None], ids=lambda law: law.name
)


def exact(values):
    return tuple(sp.sympify(value) for value in values)


def expanded(values):
    return tuple(sp.expand(value) for value in values)


def set_partitions(elements):
    """All set partitions, crossing or not: no code in common with the package."""
    if not elements:
        yield []
        return
    first, rest = elements[0], elements[1:]
    for smaller in set_partitions(rest):
        yield [[first], *smaller]
        for i, block in enumerate(smaller):
            yield [*smaller[:i], [first, *block], *smaller[i + 1 :]]


def crosses(one, other):
    return any(
        a < b < c < d or b < a < d < c
        for a in one
        for c in one
        for b in other
        for d in other
        if a < c and b < d
    )


@cache
def block_sizes_without_crossings(n):
    return [
        [len(block) for block in partition]
        for partition in set_partitions(list(range(n)))
        if not any(crosses(one, other) for one, other in permutations(partition, 2))
    ]


def moment_by_enumeration(cumulants, n):
    products = (
        sp.Mul(*(cumulants[size - 1] for size in sizes))
        for sizes in block_sizes_without_crossings(n)
    )
    return sp.expand(sp.Add(*products))


@every_law
def test_free_cumulants_in_closed_form(law):
    computed = free_cumulants_from_moments(law.moments(ORDER))
    assert expanded(computed) == expanded(law.free_cumulants(ORDER))


@every_law
def test_moments_in_closed_form(law):
    computed = moments_from_free_cumulants(law.free_cumulants(ORDER))
    assert expanded(computed) == expanded(law.moments(ORDER))


@every_law_with_mean
def test_s_series_round_trip_to_order_ten(law):
    moments = law.moments(ORDER)
    back = moments_from_s_series(s_series_from_moments(moments))
    assert expanded(back) == expanded(moments)


@pytest.mark.parametrize("n", range(1, 7))
def test_cumulants_against_the_sum_over_noncrossing_partitions(n):
    cumulants = sp.symbols("k_1:7")
    computed = moments_from_free_cumulants(cumulants[:n])[-1]
    assert sp.expand(computed - moment_by_enumeration(cumulants, n)) == 0


def test_symbolic_round_trips():
    moments = sp.symbols("m_1:8")
    assert moments_from_free_cumulants(free_cumulants_from_moments(moments)) == moments
    assert moments_from_s_series(s_series_from_moments(moments)) == moments


@given(MOMENTS)
@settings(max_examples=30)
def test_cumulants_round_trip(moments):
    assert moments_from_free_cumulants(free_cumulants_from_moments(moments)) == exact(moments)
    assert free_cumulants_from_moments(moments_from_free_cumulants(moments)) == exact(moments)


@given(WITH_MEAN)
@settings(max_examples=30)
def test_s_series_round_trip(moments):
    assert moments_from_s_series(s_series_from_moments(moments)) == exact(moments)


def enumerated_cumulants(moments):
    """Free cumulants solved for one by one from the sum over partitions."""
    found = []
    for n, moment in enumerate(moments, start=1):
        unknown = sp.Dummy("k")
        found.append(
            sp.sympify(moment) - moment_by_enumeration([*found, unknown], n).subs(unknown, 0)
        )
    return found


@given(MOMENTS, MOMENTS)
@settings(max_examples=8)
def test_r_is_additive(a, b):
    cumulants = zip(enumerated_cumulants(a[:5]), enumerated_cumulants(b[:5]), strict=True)
    total = [one + other for one, other in cumulants]
    expected = [moment_by_enumeration(total, n) for n in range(1, 6)]
    assert boxplus_moments(a[:5], b[:5]) == tuple(expected)


@given(WITH_MEAN, WITH_MEAN)
@settings(max_examples=30)
def test_product_has_the_mixed_moments_of_free_variables(a, b):
    """The first three moments of a free product, as freeness gives them by centring."""
    (a_1, a_2, a_3), (b_1, b_2, b_3) = exact(a[:3]), exact(b[:3])
    expected = (
        a_1 * b_1,
        a_2 * b_1**2 + a_1**2 * b_2 - a_1**2 * b_1**2,
        a_3 * b_1**3
        + 3 * a_2 * a_1 * (b_2 * b_1 - b_1**3)
        + a_1**3 * (b_3 - 3 * b_2 * b_1 + 2 * b_1**3),
    )
    assert boxtimes_moments(a[:3], b[:3]) == expected


@given(WITH_MEAN, WITH_MEAN, WITH_MEAN)
@settings(max_examples=20)
def test_free_convolutions_are_commutative_and_associative(a, b, c):
    for convolve in (boxplus_moments, boxtimes_moments):
        assert convolve(a, b) == convolve(b, a)
        assert convolve(convolve(a, b), c) == convolve(a, convolve(b, c))


@given(WITH_MEAN, RATIONALS.filter(bool))
@settings(max_examples=30)
def test_scaling(moments, factor):
    scaled = [factor**n * moment for n, moment in enumerate(moments, start=1)]
    divided = [entry / sp.sympify(factor) for entry in s_series_from_moments(moments)]
    assert s_series_from_moments(scaled) == tuple(divided)
    assert s_coefficients(scaled) == s_coefficients(moments)


@given(MOMENTS, RATIONALS)
@settings(max_examples=30)
def test_adding_a_constant_moves_the_first_free_cumulant_only(moments, shift):
    raw = (sp.S.One, *exact(moments))
    shifted = [
        sp.Add(*(sp.binomial(n, k) * raw[k] * sp.sympify(shift) ** (n - k) for k in range(n + 1)))
        for n in range(1, 8)
    ]
    first, *higher = free_cumulants_from_moments(moments)
    assert free_cumulants_from_moments(shifted) == (first + sp.sympify(shift), *higher)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_powers_of_marchenko_pastur_are_fuss_catalan(count):
    catalan = [fuss_catalan(n, 1) for n in range(1, 7)]
    expected = tuple(fuss_catalan(n, count) for n in range(1, 7))
    assert boxtimes_power_moments(catalan, count) == expected
    symbolic = boxtimes_power_moments(catalan, sp.Symbol("T"))
    assert tuple(moment.subs("T", count) for moment in symbolic) == expected


def test_symbolic_power_keeps_the_mean_in_front():
    T, m_1, m_2 = sp.symbols("T m_1 m_2", positive=True)
    first, second = boxtimes_power_moments((m_1, m_2), T)
    assert first == m_1**T
    # The variance of a product of T free factors grows as T, relative to the squared mean.
    assert sp.simplify(second / m_1 ** (2 * T) - 1 - T * (m_2 / m_1**2 - 1)) == 0


def test_the_s_transform_needs_a_mean():
    for moments in ((0, 1, 0, 2), (sp.Symbol("x") - sp.Symbol("x"), 1), (0.0, 1.0)):
        with pytest.raises(UndefinedTransformError, match="non-zero mean"):
            s_series_from_moments(moments)
    with pytest.raises(UndefinedTransformError, match="non-zero mean"):
        boxtimes_moments((0, 1), (1, 2))
    with pytest.raises(UndefinedTransformError, match="non-zero mean"):
        s_coefficients((0, 1))


def test_bad_arguments_are_refused():
    with pytest.raises(ParameterError, match="first coefficient"):
        moments_from_s_series((0, 1))
    for count in (0, -1, sp.Rational(3, 2)):
        with pytest.raises(ParameterError, match="positive integer"):
            boxtimes_power_moments((1, 2), count)


def test_empty_sequences():
    for function in (
        free_cumulants_from_moments,
        moments_from_free_cumulants,
        s_series_from_moments,
        moments_from_s_series,
        s_coefficients,
    ):
        assert function(()) == ()
    assert boxtimes_power_moments((), 2) == ()
