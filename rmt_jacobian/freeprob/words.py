r"""Mixed moments of words in R-diagonal letters and letters that are free from them.

The trace :math:`\tau` is the limit of :math:`\tfrac{1}{N} \mathbb{E} \operatorname{tr}`.  A
polynomial is a mapping from words to coefficients, or simply a collection of words with
coefficient one: :math:`J = A + B W` is ``((A,), (B, W))``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TypeAlias

import sympy as sp

from rmt_jacobian.errors import HypothesisError, ParameterError
from rmt_jacobian.freeprob.letters import Diagonal, Letter, RDiagonal, Word
from rmt_jacobian.freeprob.partitions import (
    alternating_noncrossing_partitions,
    complement_of_noncrossing,
)
from rmt_jacobian.freeprob.power_series import (
    Scalar,
    Series,
    expression,
    multiply_series,
    revert_series,
)

__all__ = [
    "Diagonal",
    "Letter",
    "Polynomial",
    "RDiagonal",
    "Trace",
    "Word",
    "adjoint",
    "diagonal_trace",
    "mixed_moment",
    "multiply",
    "power_trace",
    "r_diagonal_cumulants",
]

Trace: TypeAlias = Callable[[Word], sp.Expr]
"""The trace of a non-empty word without R-diagonal letters."""

Polynomial: TypeAlias = Mapping[Word, sp.Expr] | Iterable[Word]
"""Words with coefficients, or words with coefficient one."""


def r_diagonal_cumulants(
    s_coefficients: Sequence[Scalar], order: int, scale: Scalar = sp.S.One
) -> Series:
    r"""Compute the determining sequence of an R-diagonal letter from its S-coefficients.

    .. math::
        \alpha_n = \kappa_{2n}(W, W^*, \ldots, W, W^*), \qquad
        \sum_{n \ge 1} \alpha_n z^n = \bigl[w \mapsto w (1 + w) S_{W W^*}(w)\bigr]^{-1}(z)

    The inverse is compositional.  With :math:`w` in the place of :math:`w (1 + w)` it would give
    the free cumulants of :math:`W W^*`, of which the :math:`\alpha_n` are the free cumulants in
    turn: this is the convolution of the determining sequence with the zeta function.

    Parameters
    ----------
    s_coefficients : sequence of sympy.Expr or number
        :math:`(s_1, s_2, \ldots)` of :math:`S_{W W^*}(z) = (1 + s_1 z + s_2 z^2 + \cdots) /`
        ``scale``; at least ``order - 1`` of them.
    order : int
        Length of the result: words of up to ``2 * order`` letters :math:`W, W^*` are covered.
    scale : sympy.Expr or number, default 1
        :math:`\tau(W W^*)`, not zero.

    Returns
    -------
    tuple of sympy.Expr
        :math:`(\alpha_1, \ldots, \alpha_{\text{order}})`.

    Raises
    ------
    ParameterError
        If ``order`` is below 1 or there are too few coefficients.

    References
    ----------
    Nica & Speicher 2006, Proposition 15.6.

    Examples
    --------
    >>> s_1, s = sp.symbols("s_1 s")
    >>> r_diagonal_cumulants((s_1,), 2, s)
    (s, -s**2*s_1 - s**2)
    >>> r_diagonal_cumulants((-1, 1, -1), 4)  # Gaussian
    (1, 0, 0, 0)
    """
    if order < 1:
        raise ParameterError(f"the order must be at least 1, not {order}")
    if len(s_coefficients) < order - 1:
        raise ParameterError(
            f"order {order} needs {order - 1} S-coefficients, not {len(s_coefficients)}; pass more"
        )
    series = (sp.S.One, *s_coefficients[: order - 1])
    linear = (sp.S.One, sp.S.One, *[sp.S.Zero] * (order - 2))[:order]
    shape = revert_series(multiply_series(series, linear))
    unit = expression(scale)
    return tuple(sp.expand(unit**n * value) for n, value in enumerate(shape, start=1))


def diagonal_trace(average: Callable[[sp.Expr], sp.Expr]) -> Trace:
    r"""Trace of words in diagonal letters only, from the average over sites.

    .. math:: \tau(D_1 \cdots D_n) = \mathbb{E}[d_1 \cdots d_n]

    Parameters
    ----------
    average : callable
        Takes the product of the entries to its average over sites.

    Returns
    -------
    callable
        Raises :class:`~rmt_jacobian.errors.HypothesisError` at a letter that is not diagonal.

    Examples
    --------
    >>> u, v = sp.symbols("u v")
    >>> diagonal_trace(sp.Function("E"))((Diagonal(u), Diagonal(u * v)))
    E(u**2*v)
    """

    def trace(word: Word) -> sp.Expr:
        for letter in word:
            if not isinstance(letter, Diagonal):
                raise HypothesisError(f"{letter} is not diagonal; pass a trace that handles it")
        return average(_product(word))

    return trace


def mixed_moment(
    word: Sequence[Letter], cumulants: Mapping[str, Sequence[Scalar]], trace: Trace
) -> sp.Expr:
    r"""Trace of a word in R-diagonal letters and letters free from them.

    .. math::
        \tau(w_1 d_1 w_2 d_2 \cdots w_n d_n)
        = \sum_{\pi} \prod_{V \in \pi} \alpha_{|V|/2} \prod_{U \in K(\pi)}
        \tau \Bigl( \prod_{i \in U} d_i \Bigr),

    over the non-crossing partitions :math:`\pi` of the R-diagonal letters :math:`w_i` whose
    blocks alternate between one letter and its adjoint; :math:`d_i` is whatever stands between
    :math:`w_i` and :math:`w_{i+1}`, cyclically.

    Parameters
    ----------
    word : sequence of letters
        Any letters, in any order; the trace is cyclic.
    cumulants : mapping from str to sequence of sympy.Expr or number
        The determining sequence :math:`(\alpha_1, \alpha_2, \ldots)` of each R-diagonal name, see
        :func:`r_diagonal_cumulants`.
    trace : callable
        Takes a non-empty tuple of free letters, in cyclic order from any of them on and with
        neighbouring diagonal letters merged, to its trace.  The trace of the empty word is one
        and is not asked for.

    Raises
    ------
    ParameterError
        If a determining sequence is missing or too short.

    Notes
    -----
    Assumes that R-diagonal letters of different names are free from each other, and all of them
    from the other letters; that :math:`\tau` is tracial.

    References
    ----------
    Nica & Speicher 2006, Theorem 14.4 (products of free families) and Definition 15.3.

    Examples
    --------
    >>> a, b, s_1, E = sp.Symbol("a"), sp.Symbol("b"), sp.Symbol("s_1"), sp.Function("E")
    >>> A, B, W = Diagonal(a), Diagonal(b), RDiagonal("W")
    >>> alphas = {"W": r_diagonal_cumulants((s_1,), 2)}
    >>> mixed_moment((W, A, W.adjoint_letter, B), alphas, diagonal_trace(E))
    E(a)*E(b)
    >>> mixed_moment((W, W.adjoint_letter) * 2, alphas, diagonal_trace(E))
    1 - s_1
    """
    return _moment(_cyclic(tuple(word)), cumulants, trace)


def adjoint(polynomial: Polynomial) -> dict[Word, sp.Expr]:
    r"""Adjoint of a polynomial with real coefficients.

    .. math:: (x_1 \cdots x_n)^* = x_n^* \cdots x_1^*

    Parameters
    ----------
    polynomial : mapping from word to coefficient, or iterable of words
        The polynomial.

    Examples
    --------
    >>> W = RDiagonal("W")
    >>> adjoint([(Diagonal(sp.Symbol("b")), W)])
    {(RDiagonal(name='W', adjoint=True), Diagonal(value=b)): 1}
    """
    return {
        tuple(letter.adjoint_letter for letter in reversed(word)): coefficient
        for word, coefficient in _terms(polynomial).items()
    }


def multiply(*factors: Polynomial) -> dict[Word, sp.Expr]:
    r"""Product of non-commutative polynomials; neighbouring diagonal letters are merged.

    .. math:: \Bigl(\sum_u p_u u\Bigr) \Bigl(\sum_v q_v v\Bigr) = \sum_{u, v} p_u q_v \, u v

    Parameters
    ----------
    *factors : mapping from word to coefficient, or iterable of words
        The factors, in order; no factors give the identity.

    Examples
    --------
    >>> A = Diagonal(sp.Symbol("a"))
    >>> multiply([(A,)], [(A,)])
    {(Diagonal(value=a**2),): 1}
    """
    result: dict[Word, sp.Expr] = {(): sp.S.One}
    for factor in factors:
        terms, product = _terms(factor), dict[Word, sp.Expr]()
        for left, coefficient in result.items():
            for right, other in terms.items():
                word = _merged(left + right)
                product[word] = product.get(word, sp.S.Zero) + coefficient * other
        result = product
    return result


def power_trace(
    polynomial: Polynomial, k: int, cumulants: Mapping[str, Sequence[Scalar]], trace: Trace
) -> sp.Expr:
    r"""Compute the k-th moment of :math:`J J^*` for a polynomial :math:`J` in the letters.

    .. math:: m_k = \tau \bigl( (J J^*)^k \bigr)

    Parameters
    ----------
    polynomial : mapping from word to coefficient, or iterable of words
        :math:`J`, with real coefficients.
    k : int
        Order of the moment, at least 0.
    cumulants : mapping from str to sequence of sympy.Expr or number
        Determining sequences, as in :func:`mixed_moment`.
    trace : callable
        Trace of the free letters, as in :func:`mixed_moment`; asked once for each block.

    Raises
    ------
    ParameterError
        If ``k`` is negative, or a determining sequence is missing or too short.

    References
    ----------
    Nica & Speicher 2006, Theorem 14.4.

    Examples
    --------
    >>> a, b, E = sp.Symbol("a"), sp.Symbol("b"), sp.Function("E")
    >>> A, B, W = Diagonal(a), Diagonal(b), RDiagonal("W")
    >>> power_trace([(A,), (B, W)], 1, {"W": (2,)}, diagonal_trace(E))
    E(a**2) + 2*E(b**2)
    """
    if k < 0:
        raise ParameterError(f"the order of the moment must be at least 0, not {k}")
    square = multiply(polynomial, adjoint(polynomial))
    words: dict[Word, sp.Expr] = {}
    for word, coefficient in multiply(*[square] * k).items():
        cyclic = _cyclic(word)
        words[cyclic] = words.get(cyclic, sp.S.Zero) + coefficient
    known: dict[Word, sp.Expr] = {}

    def remembered(word: Word) -> sp.Expr:
        if word not in known:
            known[word] = trace(word)
        return known[word]

    return sp.Add(
        *(factor * _moment(word, cumulants, remembered) for word, factor in words.items())
    )


def _terms(polynomial: Polynomial) -> dict[Word, sp.Expr]:
    if isinstance(polynomial, Mapping):
        return {tuple(word): expression(factor) for word, factor in polynomial.items()}
    terms: dict[Word, sp.Expr] = {}
    for word in polynomial:
        terms[tuple(word)] = terms.get(tuple(word), sp.S.Zero) + 1
    return terms


def _product(diagonals: Iterable[Letter]) -> sp.Expr:
    return sp.Mul(*(letter.value for letter in diagonals if isinstance(letter, Diagonal)))


def _merged(word: Word) -> Word:
    """Multiply neighbouring diagonal letters and leave out the identity."""
    letters: list[Letter] = []
    for is_diagonal, run in groupby(word, key=lambda letter: isinstance(letter, Diagonal)):
        if not is_diagonal:
            letters.extend(run)
        elif (value := _product(run)) != 1:
            letters.append(Diagonal(value))
    return tuple(letters)


def _cyclic(word: Word) -> Word:
    """One representative of all the rotations of a word; an R-diagonal letter stands first."""
    word = _merged(word)
    if len(word) > 1 and isinstance(word[0], Diagonal) and isinstance(word[-1], Diagonal):
        word = _merged((word[-1], *word[:-1]))
    starts = [i for i, letter in enumerate(word) if isinstance(letter, RDiagonal)]
    rotations = [word[i:] + word[:i] for i in starts or range(len(word))]
    if len(rotations) < 2:
        return rotations[0] if rotations else ()
    # Any total order will do: it decides only which of the equal traces is computed.
    return min(rotations, key=lambda rotation: tuple(map(_spelled, rotation)))


@lru_cache(maxsize=4096)
def _spelled(letter: Letter) -> str:
    return repr(letter)


def _moment(word: Word, cumulants: Mapping[str, Sequence[Scalar]], trace: Trace) -> sp.Expr:
    """Sum over partitions for a word as :func:`_cyclic` returns it."""
    if not word:
        return sp.S.One
    starts = [i for i, letter in enumerate(word) if isinstance(letter, RDiagonal)]
    if not starts:
        return trace(word)
    letters = [letter for letter in word if isinstance(letter, RDiagonal)]
    gaps = [word[i + 1 : j] for i, j in zip(starts, [*starts[1:], len(word)], strict=True)]
    # Few of the products differ: they are counted first, and made once each.
    inner: dict[tuple[int, ...], int] = {}
    numbers: dict[Word, int] = {}
    counts: Counter[tuple[tuple[tuple[str, int], ...], tuple[int, ...]]] = Counter()
    for partition in alternating_noncrossing_partitions(letters):
        blocks = [(letters[block[0] - 1].name, len(block) // 2) for block in partition]
        between = []
        for block in complement_of_noncrossing(partition, len(letters)):
            if block not in inner:
                word = _cyclic(sum((gaps[i - 1] for i in block), ()))
                inner[block] = numbers.setdefault(word, len(numbers))
            between.append(inner[block])
        counts[tuple(sorted(blocks)), tuple(sorted(between))] += 1
    known, total = list(numbers), list[sp.Expr]()
    traces: dict[int, sp.Expr] = {}
    for (blocks, between), count in counts.items():
        factors = [_cumulant(*block, cumulants) for block in blocks]
        if sp.S.Zero in factors:
            continue
        for number in between:
            if number not in traces:
                traces[number] = trace(known[number]) if known[number] else sp.S.One
        total.append(sp.Mul(count, *factors, *(traces[number] for number in between)))
    return sp.Add(*total)


def _cumulant(name: str, order: int, cumulants: Mapping[str, Sequence[Scalar]]) -> sp.Expr:
    if name not in cumulants:
        raise ParameterError(f"no determining sequence for {name!r}; add it to `cumulants`")
    if len(cumulants[name]) < order:
        raise ParameterError(
            f"the determining sequence of {name!r} has {len(cumulants[name])} entries; "
            f"this word needs {order}"
        )
    return expression(cumulants[name][order - 1])
