"""The one-step Jacobian of a cell as a polynomial in diagonal letters and random matrices."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.derive.closed_paths import Blocks
from rmt_jacobian.derive.quantities import Quantity, s_symbols, unused_name, weight_std_symbol
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.freeprob import Diagonal, RDiagonal, Word, r_diagonal_cumulants

__all__ = ["JacobianPolynomial", "jacobian_polynomial", "weight_cumulants"]


@dataclass(frozen=True)
class JacobianPolynomial:
    """J as sums of words, and what each diagonal letter is at a site.

    Attributes
    ----------
    blocks
        The words whose sum is the block from state j to state i, in row i and column j.
    letters
        Each diagonal letter and its expression in the site variables.
    """

    blocks: Blocks
    letters: tuple[tuple[sp.Symbol, sp.Expr], ...]

    @property
    def states(self) -> int:
        """The number of rows of blocks."""
        return len(self.blocks)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of the only block.

        Raises
        ------
        HypothesisError
            If the cell has several states.
        """
        if self.states != 1:
            raise HypothesisError(
                f"the Jacobian of {self.states} states has no single polynomial: take its blocks"
            )
        return self.blocks[0][0]


def jacobian_polynomial(cell: Cell) -> JacobianPolynomial:
    r"""Return the blocks of the Jacobian of a cell as sums of words.

    .. math:: J_{ij} = A_{ij} + \sum_k B_{ik} \, dE_{kj}, \qquad
              dE_{kj} = W_k \Bigl( C_{kj} + \sum_{l<k} D_{kl} \, dE_{lj} \Bigr)

    For one state and one preactivation with source h this is J = A + B W.  A preactivation without
    W has dE = 0.

    References
    ----------
    :cite:t:`Chen2018`, eq. (10).

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm, minimalrnn
    >>> J = jacobian_polynomial(minimalrnn)
    >>> len(J.words), [str(letter) for letter, _ in J.letters]
    (2, ['A', 'B'])
    >>> [[len(words) for words in row] for row in jacobian_polynomial(lstm).blocks]
    [[4, 1], [3, 1]]
    """
    letters: dict[sp.Symbol, sp.Expr] = {}
    several = len(cell.states) > 1

    def letter(name: str, expression: Any) -> Word | None:
        """Return the one-letter word of a diagonal, the empty word for 1, None for 0."""
        if expression == 0:
            return None
        if expression == 1:
            return ()
        symbol = sp.Symbol(unused_name(name, cell.site_symbols), real=True)
        letters[symbol] = expression
        return (Diagonal(symbol),)

    alone = len(cell.gates) == 1
    suffixes = ["" if alone else f"_{each.name}" for each in cell.preactivations]
    names = [f"_{state}" if several else "" for state in cell.states]
    blocks: list[list[list[Word]]] = []
    for i, row in enumerate(cell.state_derivatives):
        direct = [letter(f"A{names[i]}{names[j]}", entry) for j, entry in enumerate(row)]
        blocks.append([[] if word is None else [word] for word in direct])
    changes: list[list[list[Word]]] = []  # dE_k as words, for a change of every state
    for k, preactivation in enumerate(cell.preactivations):
        inner: list[list[Word]] = []
        for j in range(len(cell.states)):
            name = f"C{suffixes[k]}{names[j]}"
            through_state = letter(name, cell.source_state_derivatives[k][j])
            inner.append([] if through_state is None else [through_state])
        for m in range(k):
            if not any(changes[m]):
                continue
            name = f"D{suffixes[k]}_{cell.preactivations[m].name}"
            through_gate = letter(name, cell.source_gate_derivatives[k][m])
            if through_gate is not None:
                for words, change in zip(inner, changes[m], strict=True):
                    words += [through_gate + word for word in change]
        changes.append([[(RDiagonal(preactivation.name), *w) for w in words] for words in inner])
        if not any(changes[k]):
            continue
        for i, row in enumerate(blocks):
            gate = letter(f"B{names[i]}{suffixes[k]}", cell.gate_derivatives[i][k])
            if gate is not None:
                for words, change in zip(row, changes[k], strict=True):
                    words += [gate + word for word in change]
    return JacobianPolynomial(
        tuple(tuple(tuple(words) for words in row) for row in blocks), tuple(letters.items())
    )


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
        if not preactivation.reads_state:
            continue
        sigma, quantity = weight_std_symbol(cell, preactivation.name)
        symbols[sigma] = quantity
        cumulants[preactivation.name] = tuple(
            r_diagonal_cumulants(tuple(coefficients), order, sigma**2)
        )
    return cumulants, symbols
