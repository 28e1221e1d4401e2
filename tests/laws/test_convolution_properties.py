"""Properties of free convolutions over drawn laws, against letters that are free and matrices."""

import math
from functools import partial

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings, strategies as st

from rmt_jacobian.comparison import ks_distance
from rmt_jacobian.freeprob import (
    Diagonal,
    RDiagonal,
    diagonal_trace,
    kreweras_complement,
    mixed_moment,
    multiply,
    noncrossing_partitions,
    r_diagonal_cumulants,
)
from rmt_jacobian.laws import (
    Affine,
    FreePoisson,
    FussCatalan,
    Law,
    MarchenkoPastur,
    PointMasses,
    Semicircle,
    boxplus,
    boxplus_power,
    boxtimes,
    boxtimes_power,
)

OPERATIONS = {"sum": boxplus, "product": boxtimes}
SCALES = st.floats(0.4, 2.5)


@st.composite
def point_masses(draw) -> PointMasses:
    steps = draw(st.lists(st.floats(0.1, 1.0), min_size=2, max_size=4))
    weights = np.array([draw(st.floats(0.1, 1.0)) for _ in steps])
    start = draw(st.sampled_from([0.0, 0.2]))
    at = np.concatenate([[start], start + np.cumsum(steps[1:])])
    return PointMasses(tuple(at), tuple(weights / weights.sum()))


POSITIVE = st.one_of(
    st.builds(MarchenkoPastur, st.sampled_from([0.2, 1.0, 1.7]), SCALES),
    st.builds(FreePoisson, st.floats(0.3, 3.0), SCALES),
    st.builds(partial(Affine, FussCatalan(2)), SCALES),
    point_masses(),
)
ANY = st.one_of(POSITIVE, st.builds(Semicircle, SCALES, st.floats(-2.0, 2.0)))


@st.composite
def convolutions(draw) -> tuple[str, Law, Law]:
    kind = draw(st.sampled_from(sorted(OPERATIONS)))
    laws = POSITIVE if kind == "product" else ANY
    return kind, draw(laws), draw(laws)


@settings(max_examples=12)
@given(convolutions(), st.floats(-3, 3), st.floats(1e-6, 10))
def test_cauchy_is_that_of_a_probability_law(case, real, imag):
    kind, a, b = case
    law = OPERATIONS[kind](a, b)
    centre, width = law.mean(), law.support()[1] - law.support()[0]
    assert np.imag(law.cauchy(centre + width * (real + 1j * imag))) < 0
    far = centre + 1e4j * width
    assert law.cauchy(far) * (far - centre) == pytest.approx(1, abs=1e-8)


@settings(max_examples=5)
@given(convolutions())
def test_mass_is_one_and_no_density_is_negative(case):
    kind, a, b = case
    law = OPERATIONS[kind](a, b)
    mass = sum(mass for _, mass in law.atoms())
    for k, (low, high) in enumerate(law.support_intervals()):
        assert np.all(law.pdf(np.linspace(low, high, 50)[1:-1]) > 0)
        mass += float(law._mass_below(k, np.array(np.pi)))
    assert mass == pytest.approx(1, abs=1e-9)


@settings(max_examples=20)
@given(ANY, ANY, st.floats(1.0, 6.0), st.floats(0.1, 3.0))
def test_r_transform_adds(a, b, times, turn):
    law = boxplus(a, boxplus_power(b, times))
    width = law.support()[1] - law.support()[0]
    z = law.mean() + 3 * width * np.exp(1j * turn)
    g = law.cauchy(z)  # from the solved equations, not from the transforms of the factors
    assert a.r_transform(g) + times * b.r_transform(g) == pytest.approx(z - 1 / g, rel=1e-8)


@settings(max_examples=8)
@given(POSITIVE, POSITIVE, st.floats(1.0, 6.0), st.floats(0.1, 3.0))
def test_s_transform_multiplies(a, b, times, turn):
    law = boxtimes(a, boxtimes_power(b, times))
    z = 8 * law.support()[1] * np.exp(1j * turn)
    u = z * law.cauchy(z) - 1
    expected = a.s_transform(u) * b.s_transform(u) ** times
    assert (1 + u) / (u * z) == pytest.approx(expected, rel=1e-8)


# Letters that are free from each other: W W* of Fuss-Catalan law, and a diagonal matrix.

ORDER = 4
SHAPE = FussCatalan(2), PointMasses((0.0, 1.0, 2.5), (0.25, 0.5, 0.25))
D = sp.Symbol("d")


def trace_of(word) -> float:
    """Return the trace of a word in W, its adjoint and the diagonal letter."""
    moments = [SHAPE[1].moment(k) for k in range(ORDER + 1)]
    average = diagonal_trace(
        lambda entry: sp.Add(
            *(c * moments[n] for (n,), c in sp.Poly(entry, D).terms())  # the mean of a power of d
        )
    )
    alphas = {"W": r_diagonal_cumulants((-2, 3, -4), ORDER)}  # S = (1 + u)^-2
    return float(mixed_moment(word, alphas, average))


def test_moments_are_those_of_words_in_free_letters():
    w = RDiagonal("W")
    square, diagonal = (w, w.adjoint_letter), (Diagonal(D),)
    for n in range(1, ORDER + 1):
        product = trace_of((*square, *diagonal) * n)
        assert boxtimes(*SHAPE).moment(n) == pytest.approx(product, rel=1e-12)
        words = multiply(*[[square, diagonal]] * n)
        total = math.fsum(float(c) * trace_of(word) for word, c in words.items())
        assert boxplus(*SHAPE).moment(n) == pytest.approx(total, rel=1e-12)


def over_blocks(partition, values) -> float:
    """Return the product over the blocks of the value that belongs to their size."""
    return math.prod(values[len(block) - 1] for block in partition)


def test_moments_are_sums_over_noncrossing_partitions():
    a, b = MarchenkoPastur(0.4, 1.3), FreePoisson(0.7, 2.0)
    first = a.free_cumulants(5)
    both = first + b.free_cumulants(5)
    moments = [b.moment(k) for k in range(1, 6)]
    for n in range(1, 6):
        partitions = list(noncrossing_partitions(n))
        total = math.fsum(over_blocks(partition, both) for partition in partitions)
        assert boxplus(a, b).moment(n) == pytest.approx(total, rel=1e-12)
        product = math.fsum(
            over_blocks(partition, first) * over_blocks(kreweras_complement(partition, n), moments)
            for partition in partitions
        )
        assert boxtimes(a, b).moment(n) == pytest.approx(product, rel=1e-12)


# Eigenvalues of U A U^T + B and A^(1/2) U B U^T A^(1/2), with quantiles on the diagonals.

SIZE = 400


def quantiles(law: Law) -> np.ndarray:
    return law.ppf((np.arange(SIZE) + 0.5) / SIZE)


def rotation(rng) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))
    return q * np.sign(np.diag(r))


@pytest.mark.parametrize(
    ("kind", "a", "b"),
    [
        ("sum", PointMasses((-1, 1), (0.5, 0.5)), PointMasses((0, 1, 3), (0.4, 0.3, 0.3))),
        ("sum", PointMasses((-3, 1), (0.25, 0.75)), PointMasses((0, 2), (0.5, 0.5))),
        ("sum", MarchenkoPastur(0.5), Semicircle(1.0)),
        ("product", MarchenkoPastur(0.5), PointMasses((1, 8), (0.5, 0.5))),
        ("product", PointMasses((0, 1), (0.3, 0.7)), PointMasses((0, 1), (0.5, 0.5))),
        ("product", FreePoisson(0.6), FussCatalan(2)),
    ],
)
def test_rotated_matrices_follow_the_law(kind, a, b):
    u = rotation(np.random.default_rng(31))
    inner, outer = u * quantiles(a) @ u.T, quantiles(b)
    if kind == "sum":
        values = np.linalg.eigvalsh(inner + np.diag(outer))
    else:
        root = np.sqrt(outer)
        values = np.linalg.eigvalsh(root[:, None] * inner * root)
    # Eigenvalues are rigid: counts are off by the logarithm of the size, not by its square root.
    assert ks_distance(values, OPERATIONS[kind](a, b)) < math.log(SIZE) / SIZE


# Where rounding decides: a number must not be certified.


def test_density_hidden_by_an_atom_is_not_certified():
    law = boxtimes_power(PointMasses((0, 1), (0.7, 0.3)), 1.5)  # x G goes to 0.7 at 0
    solution = law.solve(np.logspace(-200, -1, 200))
    assert np.all(solution.density[solution.converged] > 0)
    assert not np.any(solution.converged[:150])
    with pytest.warns(RuntimeWarning, match="no certified density"):
        assert np.isnan(law.pdf(1e-100))


def test_density_that_turns_within_rounding_of_an_edge_is_not_certified():
    # z (m - 1) = T m^3 - (T - 1) m^2 for m = w G(w) at the subordination point w.
    times = 1.0001
    law = boxplus_power(FussCatalan(2), times)  # the lower edge is at 1.5e-13
    for x in np.logspace(-13, -6, 15):
        roots = np.roots([times, 1 - times, -x, x])
        expected = np.max(-np.imag((roots - 1) / roots**2)) / np.pi
        solution = law.solve(x)
        assert not solution.converged or solution.density == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("radius", [1.9, 1.99, 1.999, 2.001])
def test_narrow_gaps_do_not_stop_the_solver(radius):
    law = boxplus(PointMasses((-1, 1), (0.5, 0.5)), Semicircle(radius))
    assert law.cdf(0.0) == pytest.approx(0.5, abs=1e-9)
    low, high = law.support_intervals()[0]
    distances = np.logspace(-10, -1, 200) * (high - low)
    x = np.concatenate([low + distances, high - distances])
    # With v = z - b G the equation is G = v / (v^2 - 1).
    b = radius**2 / 4
    g = law.cauchy(x)
    v = x - b * g
    np.testing.assert_allclose(g, v / (v**2 - 1), rtol=1e-9)
