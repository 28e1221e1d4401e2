"""The product of all earlier steps as a letter, and the traces in which it meets diagonals."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp

from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.freeprob import Diagonal, Word

__all__ = ["History", "history_trace"]


@dataclass(frozen=True)
class History:
    """M = J J^T of all earlier steps: self-adjoint, neither diagonal nor free from diagonals."""

    @property
    def adjoint_letter(self) -> "History":
        """M is its own adjoint."""
        return self


def history_trace(
    average: Callable[[Any], Any],
    reads_the_past: Callable[[sp.Expr], bool],
    *,
    diagonal: sp.Symbol,
    mean: sp.Symbol,
    second_moment: sp.Symbol,
    square_of_diagonal: Callable[[Any], Any],
) -> Callable[[Word], Any]:
    r"""Return the trace of words in diagonal letters and at most two histories M.

    .. math::
        \tau(D M) = E[D d], \qquad
        \tau(D_1 M D_2 M) = E[D_1] E[D_2] (m_2 - E[d^2]) + E[D_1 D_2] E[d^2]

    with d the diagonal of M.  The second holds for D_1, D_2 drawn afresh at this step: only then
    are they independent of the off-diagonal entries of M.

    Parameters
    ----------
    average
        Average over sites of a polynomial in letters and in ``diagonal``.
    reads_the_past
        Whether an expression in letters depends on the state before this step.
    diagonal, mean, second_moment
        The symbols of d, of m_1 = tau(M) and of m_2 = tau(M^2).
    square_of_diagonal
        Average over sites of a polynomial in fresh letters, times d^2.

    Raises
    ------
    HypothesisError
        By the returned function, for a word outside these rules.
    """

    def trace(word: Word) -> Any:
        diagonals, histories = _split(word)
        if histories == 0:
            return average(diagonals[0])
        if histories == 1:
            product = sp.Mul(*diagonals)
            return mean if product == 1 else average(product * diagonal)
        if histories == 2:
            first, second = diagonals
            if first == second == 1:
                return second_moment
            if reads_the_past(first) or reads_the_past(second):
                raise HypothesisError(
                    "the direct part of the Jacobian reads the previous state, so it is not "
                    "independent of the product of earlier steps; use the paired theory on sites"
                )
            diagonal_part = square_of_diagonal(sp.S.One)
            off_diagonal = average(first) * average(second) * (second_moment - diagonal_part)
            return off_diagonal + square_of_diagonal(first * second)
        raise HypothesisError(f"no rule for the trace of a word with {histories} histories")

    return trace


def _split(word: Word) -> tuple[list[Any], int]:
    """Return the products of diagonals between histories, cyclically, and how many those are."""
    positions = [i for i, letter in enumerate(word) if isinstance(letter, History)]
    if not positions:
        return [_value(word)], 0
    word = word[positions[0] :] + word[: positions[0]]
    diagonals: list[Any] = []
    for letter in word:
        if isinstance(letter, History):
            diagonals.append(sp.S.One)
        else:
            diagonals[-1] *= _value((letter,))
    return diagonals, len(diagonals)


def _value(word: Word) -> Any:
    for letter in word:
        if not isinstance(letter, Diagonal):
            raise HypothesisError(f"{letter} is neither diagonal nor a history")
    return sp.Mul(*(letter.value for letter in word if isinstance(letter, Diagonal)))
