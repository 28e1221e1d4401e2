"""The one-step Jacobian of a cell as a polynomial in diagonal letters and random matrices."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.derive.quantities import Quantity, s_symbols, unused_name, weight_std_symbol
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.freeprob import Diagonal, RDiagonal, Word, r_diagonal_cumulants

__all__ = ["JacobianPolynomial", "jacobian_polynomial", "weight_cumulants"]


@dataclass(frozen=True)
class JacobianPolynomial:
    """J as a sum of words, and what each diagonal letter is at a site.

    Attributes
    ----------
    words
        J is their sum.
    letters
        Each diagonal letter and its expression in the site variables.
    """

    words: tuple[Word, ...]
    letters: tuple[tuple[sp.Symbol, sp.Expr], ...]


def jacobian_polynomial(cell: Cell) -> JacobianPolynomial:
    r"""Return the Jacobian of a cell with one state as a sum of words.

    .. math:: J = A + \sum_k B_k \, dE_k, \qquad
              dE_k = W_k \Bigl( C_k + \sum_{j<k} D_{kj} \, dE_j \Bigr)

    For one preactivation with source h this is J = A + B W.

    Raises
    ------
    HypothesisError
        If the cell has several states.

    References
    ----------
    :cite:t:`Chen2018`, eq. (10).

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> J = jacobian_polynomial(minimalrnn)
    >>> len(J.words), [str(letter) for letter, _ in J.letters]
    (2, ['A', 'B'])
    """
    if len(cell.states) != 1:
        raise HypothesisError(
            f"cell {cell.name!r} has {len(cell.states)} states: symbolic moments are derived for "
            "one state only"
        )
    letters: dict[sp.Symbol, sp.Expr] = {}

    def letter(name: str, expression: Any) -> Word | None:
        """Return the one-letter word of a diagonal, the empty word for 1, None for 0."""
        if expression == 0:
            return None
        if expression == 1:
            return ()
        symbol = sp.Symbol(unused_name(name, cell.site_symbols), real=True)
        letters[symbol] = expression
        return (Diagonal(symbol),)

    direct = letter("A", cell.state_derivatives[0][0])
    words = [] if direct is None else [direct]
    to_preactivation: list[list[Word]] = []  # dE_k as words
    alone = len(cell.gates) == 1
    for k, preactivation in enumerate(cell.preactivations):
        suffix = "" if alone else f"_{preactivation.name}"
        inner: list[Word] = []
        through_state = letter(f"C{suffix}", cell.source_state_derivatives[k][0])
        if through_state is not None:
            inner.append(through_state)
        for j in range(k):
            name = f"D{suffix}_{cell.preactivations[j].name}"
            through_gate = letter(name, cell.source_gate_derivatives[k][j])
            if through_gate is not None:
                inner += [through_gate + word for word in to_preactivation[j]]
        to_preactivation.append([(RDiagonal(preactivation.name), *word) for word in inner])
        gate = letter(f"B{suffix}", cell.gate_derivatives[0][k])
        if gate is not None:
            words += [gate + word for word in to_preactivation[k]]
    return JacobianPolynomial(tuple(words), tuple(letters.items()))


def weight_cumulants(
    cell: Cell, order: int
) -> tuple[dict[str, tuple[sp.Expr, ...]], dict[sp.Symbol, Quantity]]:
    """Return the R-diagonal cumulants of every W_k, and what their symbols stand for.

    All W_k come from one ensemble, so they share s_1, s_2, ... and differ in their scale.

    Parameters
    ----------
    order
        Half the length of the longest block: words with up to 2 * order letters W.
    """
    coefficients = s_symbols(order - 1)
    symbols = dict(coefficients)
    cumulants = {}
    for preactivation in cell.preactivations:
        sigma, quantity = weight_std_symbol(cell, preactivation.name)
        symbols[sigma] = quantity
        cumulants[preactivation.name] = tuple(
            r_diagonal_cumulants(tuple(coefficients), order, sigma**2)
        )
    return cumulants, symbols
