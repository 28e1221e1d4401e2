"""Moments of J J^T over one step, from words and R-diagonal cumulants."""

from functools import cache

import sympy as sp
from tqdm import tqdm

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, cell_named
from rmt_jacobian.counts import check_counts
from rmt_jacobian.derive.closed_paths import closed_words
from rmt_jacobian.derive.derivation import Derivation
from rmt_jacobian.derive.jacobian import jacobian_polynomial, weight_cumulants
from rmt_jacobian.derive.paper import VARIANCE_NAME, moment_name
from rmt_jacobian.derive.quantities import AverageBook
from rmt_jacobian.freeprob import Word, diagonal_trace, mixed_moment

__all__ = ["ONE_STEP_HYPOTHESES", "one_step_moment", "one_step_variance", "one_step_words"]

ONE_STEP_HYPOTHESES = (
    "N -> infinity",
    "W bi-invariant and free from the site diagonals",
    "sites independent and identically distributed",
)


@named_arguments
def one_step_moment(
    cell: Cell | str, k: int, *, independent: bool = False, progress: bool = False
) -> Derivation:
    r"""Derive the k-th moment of J J^T for one step.

    .. math:: m_k = \frac1d \sum_i \tau\bigl( ((J J^T)^k)_{ii} \bigr)

    with the d x d blocks of :func:`~rmt_jacobian.derive.jacobian_polynomial`; for one state and one
    preactivation J = A + B W.

    Parameters
    ----------
    cell
        Any cell: d states, any number of preactivations.
    k
        Order of the moment, at least 1.
    independent
        Whether to treat the diagonal letters as independent of each other, E[A^2 B^2] =
        E[A^2] E[B^2].  In a gated cell they are not: A and B read the same preactivation.
    progress
        Whether to show a progress bar on standard error after two seconds.

    Raises
    ------
    ParameterError
        If k is below 1.

    Notes
    -----
    The number of words grows fast with k where there are several W, see :func:`one_step_words`
    and the first lines of :mod:`.closed_paths`.

    References
    ----------
    :cite:t:`NicaSpeicher2006`, Lectures 14 and 15; :cite:t:`Chen2018`, eq. (11) for k = 1.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> one_step_moment(minimalrnn, 1).text()
    'E_A2 + E_B2*sigma_w**2'
    """
    cell = cell_named(cell)
    check_counts({"the order of a moment": k})
    if (cell, k, independent) not in _KNOWN:
        _KNOWN[cell, k, independent] = _derived(cell, k, independent, progress)
    return _KNOWN[cell, k, independent]


_KNOWN: dict[tuple[Cell, int, bool], Derivation] = {}


def _derived(cell: Cell, k: int, independent: bool, progress: bool) -> Derivation:
    J = jacobian_polynomial(cell)
    cumulants, symbols = weight_cumulants(cell, k)
    letters = dict(J.letters)
    groups = tuple(frozenset([letter]) for letter in letters) if independent else ()
    average = AverageBook(letters, groups)
    trace, known = diagonal_trace(average), dict[Word, sp.Expr]()

    def remembered(word: Word) -> sp.Expr:
        if word not in known:
            known[word] = trace(word)
        return known[word]

    words = closed_words(J.blocks, k)
    with tqdm(words.items(), desc=f"{cell.name}, moment {k}", unit="word", delay=2, leave=False,
              disable=not progress) as bar:  # fmt: skip
        terms = [
            sp.expand(sp.Rational(count, J.states) * mixed_moment(word, cumulants, remembered))
            for word, count in bar
        ]
    hypotheses = (*ONE_STEP_HYPOTHESES, *(["A and B independent"] if independent else []))
    return Derivation(
        cell,
        f"moment {k} of J J^T over one step",
        sp.Add(*terms),
        {**average.quantities, **symbols},
        hypotheses,
        moment_name(k),
    )


def one_step_words(cell: Cell | str, k: int) -> int:
    """Return how many words the trace of (J J^T)^k is the sum of, before equal ones are counted.

    Examples
    --------
    >>> one_step_words("minimalrnn", 2), one_step_words("lstm", 2)
    (16, 727)
    """
    counts = sp.Matrix([[len(words) for words in row] for row in jacobian_polynomial(
        cell_named(cell)).blocks])  # fmt: skip
    return int(((counts * counts.T) ** k).trace())


@named_arguments
@cache
def one_step_variance(cell: Cell | str, *, independent: bool = False) -> Derivation:
    r"""Derive the variance m_2 - m_1^2 of the spectrum of J J^T for one step.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> one_step_variance(vanilla).text()
    '-E_B2**2*s_1*sigma_w**4 - E_B2**2*sigma_w**4 + E_B4*sigma_w**4'
    """
    cell = cell_named(cell)
    mean = one_step_moment(cell, 1, independent=independent)
    square = one_step_moment(cell, 2, independent=independent)
    return Derivation(
        cell,
        "variance of the spectrum of J J^T over one step",
        sp.expand(square.expression - mean.expression**2),
        {**mean.symbols, **square.symbols},
        square.hypotheses,
        VARIANCE_NAME,
    )
