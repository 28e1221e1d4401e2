import time
from dataclasses import dataclass

import pytest
import sympy as sp
from hypothesis import given, settings, strategies as st

from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.freeprob import (
    Diagonal,
    Letter,
    RDiagonal,
    adjoint,
    boxtimes_moments,
    boxtimes_power_moments,
    diagonal_trace,
    free_cumulants_from_moments,
    mixed_moment,
    moments_from_s_series,
    multiply,
    power_trace,
    r_diagonal_cumulants,
    s_coefficients_of_weights,
)

a, b, scale, s_1, s_2, s_3 = sp.symbols("a b scale s_1 s_2 s_3")
A, B = Diagonal(a), Diagonal(b)
W, V = RDiagonal("W"), RDiagonal("V")
SHAPE = (s_1, s_2, s_3)
GENERIC = {"W": r_diagonal_cumulants(SHAPE, 4, scale)}
HAAR = r_diagonal_cumulants(s_coefficients_of_weights("orthogonal", 4), 5)
GAUSSIAN = r_diagonal_cumulants(s_coefficients_of_weights("gaussian", 4), 5)
STEP = ((A,), (B, W))


def average(product):
    """One symbol for each monomial in a and b: nothing is assumed of their joint law."""
    i, j = sp.Poly(product, a, b).monoms()[0]
    return sp.Symbol(f"E_{i}_{j}")


def E(i, j):
    return sp.Symbol(f"E_{i}_{j}")


trace = diagonal_trace(average)


@dataclass(frozen=True)
class History:
    """An opaque self-adjoint matrix, free from the R-diagonal letters."""

    name: str = "M"

    @property
    def adjoint_letter(self):
        return self


def trace_by_name(word):
    """The same symbol for all the rotations of a word, as a trace must."""
    names = [letter.name if isinstance(letter, History) else "d" for letter in word]
    return sp.Symbol("t_" + min("".join(names[i:] + names[:i]) for i in range(len(names))))


def test_variance_of_one_gated_step():
    m_1, m_2 = (power_trace(STEP, k, GENERIC, trace) for k in (1, 2))
    mu_2 = scale * E(0, 2)
    expected = (
        E(4, 0)
        - E(2, 0) ** 2
        + scale**2 * (E(0, 4) - E(0, 2) ** 2)
        + 2 * scale * E(2, 2)
        - s_1 * mu_2**2
    )
    assert m_1 == E(2, 0) + mu_2
    assert sp.expand(m_2 - m_1**2 - expected) == 0


@pytest.mark.parametrize("k", range(1, 5))
def test_diagonal_times_weights_follows_the_s_transform(k):
    """For J = B W the moments are those of the free product of B^2 and W W^*."""
    squares = tuple(E(0, 2 * n) for n in range(1, k + 1))
    shape = tuple(entry / scale for entry in (1, *SHAPE))[:k]
    expected = boxtimes_moments(squares, moments_from_s_series(shape))[-1]
    assert sp.expand(power_trace([(B, W)], k, GENERIC, trace) - expected) == 0


@pytest.mark.parametrize("k", range(1, 5))
def test_moments_of_the_weights_alone(k):
    expected = moments_from_s_series(tuple(entry / scale for entry in (1, *SHAPE)))
    assert sp.expand(power_trace([(W,)], k, GENERIC, trace) - expected[k - 1]) == 0


def test_product_of_free_weights_follows_the_s_transform():
    cumulants = {"W": GENERIC["W"], "V": GAUSSIAN}
    one = moments_from_s_series(tuple(entry / scale for entry in (1, s_1, s_2)))
    expected = boxtimes_moments(one, (1, 2, 5))
    for k in (1, 2, 3):
        moment = power_trace([(W, V)], k, cumulants, trace)
        assert sp.expand(moment - expected[k - 1]) == 0
    fuss_catalan = boxtimes_power_moments((1, 2, 5), 3)
    names = {name: GAUSSIAN for name in "UVW"}
    assert power_trace([(RDiagonal("U"), V, W)], 3, names, trace) == fuss_catalan[2]


def test_sums_of_free_haar_matrices():
    """|1 + U|^2 has the arcsine law, so the moments are central binomials (Kesten 1959)."""
    for k in range(1, 5):
        moment = power_trace([(W,), (V,)], k, {"W": HAAR, "V": HAAR}, trace)
        assert moment == sp.binomial(2 * k, k)


def test_sums_of_free_gaussians_are_gaussian():
    for k in range(1, 5):
        moment = power_trace([(W,), (V,)], k, {"W": GAUSSIAN, "V": GAUSSIAN}, trace)
        assert moment == 2**k * sp.catalan(k)


def test_determining_sequences_of_the_two_ensembles():
    assert GAUSSIAN == (1, 0, 0, 0, 0)
    signed = [(-1) ** (n - 1) * sp.catalan(n - 1) for n in range(1, 6)]
    assert tuple(signed) == HAAR  # Nica & Speicher 2006, Proposition 15.1
    assert r_diagonal_cumulants((s_1,), 2, scale)[1] == sp.expand(-(1 + s_1) * scale**2)


def test_determining_sequence_is_the_cumulants_of_the_cumulants():
    moments = moments_from_s_series(tuple(entry / scale for entry in (1, *SHAPE)))
    twice = free_cumulants_from_moments(free_cumulants_from_moments(moments))
    assert [sp.expand(entry) for entry in twice] == list(GENERIC["W"])


LETTERS = st.lists(
    st.sampled_from([A, B, W, W.adjoint_letter, V, V.adjoint_letter]), min_size=1, max_size=8
)
TWO_NAMES = {"W": (1, *sp.symbols("u_2:5")), "V": sp.symbols("v_1:5")}


@given(LETTERS, st.integers(min_value=0, max_value=7))
@settings(max_examples=60)
def test_trace_is_cyclic_and_real(word, shift):
    value = mixed_moment(word, TWO_NAMES, trace)
    rotation = word[shift % len(word) :] + word[: shift % len(word)]
    assert mixed_moment(rotation, TWO_NAMES, trace) == value
    reverse = [letter.adjoint_letter for letter in reversed(word)]
    assert mixed_moment(reverse, TWO_NAMES, trace) == value


def test_known_words():
    w, v = W.adjoint_letter, V.adjoint_letter
    alphas = {"W": (1, s_2), "V": (1, s_3)}
    for word, expected in {
        (): 1,
        (W,): 0,
        (W, W): 0,
        (W, A, w, B): E(1, 0) * E(0, 1),
        (W, A, W, B, w, w): E(1, 0) * E(0, 1),
        (W, w, V, v): 1,
        (W, V, w, v): 0,
        (W, A, w, B, W, A, w, B): E(1, 0) ** 2 * E(0, 2)
        + E(2, 0) * E(0, 1) ** 2
        + s_2 * E(1, 0) ** 2 * E(0, 1) ** 2,
    }.items():
        assert sp.expand(mixed_moment(word, alphas, trace) - expected) == 0


def test_opaque_letters_reach_the_trace_in_cyclic_order():
    M, K, w = History("M"), History("K"), W.adjoint_letter
    assert isinstance(M, Letter)
    free = {"W": (1, 0)}
    assert mixed_moment((W, M, w), free, trace_by_name) == sp.Symbol("t_M")
    assert mixed_moment((M, A, B, K), free, trace_by_name) == sp.Symbol("t_KMd")
    # W* d ... W pairs enclose B M and leave K A outside, or the other way round.
    word = (w, B, M, W, K, A)
    expected = sp.Symbol("t_Md") * sp.Symbol("t_Kd")
    assert mixed_moment(word, free, trace_by_name) == expected


def test_blocks_are_asked_for_once_and_merged():
    asked = []

    def remember(word):
        asked.append(word)
        return trace(word)

    power_trace(STEP, 3, GENERIC, remember)
    assert len(asked) == len(set(asked))
    assert all(len(word) == 1 for word in asked)


def test_second_step_matches_the_diagonal_valued_recursion():
    """J = A + B W acting on a history M: the second moment of J M J^*."""
    M, w = History("M"), W.adjoint_letter
    inner = {(A, M, A): 1, (A, M, w, B): 1, (B, W, M, A): 1, (B, W, M, w, B): 1}
    square = multiply(inner, inner)
    total = sum(
        coefficient * mixed_moment(word, GENERIC, history_trace)
        for word, coefficient in square.items()
    )
    m_1, m_2 = sp.symbols("t_1 t_2")
    expected = (
        history_trace((Diagonal(a**2), M, Diagonal(a**2), M))
        + 2 * scale * m_1 * history_trace((Diagonal(a**2 * b**2), M))
        + 2 * scale * history_trace((Diagonal(a**2), M, M)) * E(0, 2)
        + scale**2 * (m_2 * E(0, 2) ** 2 + m_1**2 * E(0, 4) - (1 + s_1) * m_1**2 * E(0, 2) ** 2)
    )
    assert sp.expand(total - expected) == 0


def history_trace(word):
    """A symbol for each pattern of diagonals between copies of M, up to rotation."""
    if word == (History(),):
        return sp.Symbol("t_1")
    if word == (History(), History()):
        return sp.Symbol("t_2")
    if not any(isinstance(letter, History) for letter in word):
        return trace(word)
    names = ["M" if isinstance(letter, History) else str(letter.value) for letter in word]
    rotations = [",".join(names[i:] + names[:i]) for i in range(len(names))]
    return sp.Symbol(min(rotations))


def test_polynomial_arithmetic():
    w = W.adjoint_letter
    assert adjoint([(A, W, V)]) == {(V.adjoint_letter, w, A): 1}
    assert multiply() == {(): 1}
    assert multiply({(A,): 2}, [(B,), (W,)]) == {(Diagonal(a * b),): 2, (A, W): 2}
    assert multiply([(A,)], [(Diagonal(1 / a),)]) == {(): 1}
    assert multiply([(A,), (A,)], [(W,)]) == {(A, W): 2}
    assert power_trace({(W,): 3}, 2, {"W": (1, 0)}, trace) == 81 * 2
    assert power_trace(STEP, 0, {}, trace) == 1


def test_high_moments_are_affordable():
    start = time.process_time()
    moment = power_trace(STEP, 4, GENERIC, trace)
    assert time.process_time() - start < 10
    only_gate = {symbol: 0 for symbol in moment.free_symbols if not symbol.name.endswith("_0")} | {
        scale: 0
    }
    assert moment.subs(only_gate) == E(8, 0)


def test_bad_arguments_are_refused():
    with pytest.raises(ParameterError, match="no determining sequence for 'V'"):
        mixed_moment((V, V.adjoint_letter), {"W": (1,)}, trace)
    with pytest.raises(ParameterError, match="this word needs 2"):
        power_trace([(W,)], 2, {"W": (1,)}, trace)
    with pytest.raises(ParameterError, match="at least 0"):
        power_trace([(W,)], -1, {"W": (1,)}, trace)
    with pytest.raises(ParameterError, match="needs 2 S-coefficients"):
        r_diagonal_cumulants((1,), 3)
    with pytest.raises(ParameterError, match="at least 1"):
        r_diagonal_cumulants((), 0)
    with pytest.raises(HypothesisError, match="not diagonal"):
        trace((History(),))
