"""Averages over one site: Gaussian preactivation, state and input, independent of one another.

An expression in site variables is split into terms g(e) h^a x^b.  The first factor is averaged by
quadrature, the others by moments, so that no law of the state but its moments is ever needed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, array_function
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.gaussian import BivariateRule, NormalRule

__all__ = ["SiteTerm", "pair_average", "single_site", "site_average", "site_terms"]

Moment = Callable[[int], float]


@dataclass(frozen=True)
class SiteTerm:
    """One term g(e) h^state_power x^input_power of an expression in site variables."""

    coefficient: sp.Expr
    state_power: int
    input_power: int

    def on(self, cell: Cell, nodes: np.ndarray) -> np.ndarray:
        """Evaluate g at preactivations."""
        return array_function(cell.gates, self.coefficient)(nodes)


def single_site(cell: Cell) -> tuple[sp.Symbol, sp.Symbol, sp.Symbol]:
    """Return the symbols (h, x, e) of a cell with one state, one preactivation and source h.

    Raises
    ------
    HypothesisError
        If the cell is not of that form.
    """
    if len(cell.states) != 1 or len(cell.gates) != 1 or cell.sources != cell.states:
        raise HypothesisError(
            f"cell {cell.name!r}: this theory is for one state h and one preactivation "
            "e = W h + V x + b; use a cell of that form, such as minimalrnn or vanilla"
        )
    return cell.states[0], cell.input, cell.gates[0]


@cache
def site_terms(cell: Cell, expression: sp.Expr) -> tuple[SiteTerm, ...]:
    """Split an expression in (h, x, e) into terms g(e) h^a x^b.

    Raises
    ------
    HypothesisError
        If it is not a polynomial in the state and the input.
    """
    h, x, _ = single_site(cell)
    # The factor that reads e alone stays whole: expanded, u^8 (1 - u)^8 would lose its digits.
    gate_factor, rest = sp.sympify(expression, strict=True).as_independent(h, x, as_Add=False)
    try:
        polynomial = sp.Poly(rest, h, x)
    except sp.PolynomialError as error:
        raise HypothesisError(
            f"{expression} is not a polynomial in the state {h} and the input {x}: "
            "its average does not follow from moments"
        ) from error
    return tuple(
        SiteTerm(gate_factor * sp.factor(coefficient), int(a), int(b))
        for (a, b), coefficient in polynomial.terms()
        if coefficient != 0
    )


def site_average(
    cell: Cell, expression: sp.Expr, rule: NormalRule, state_moment: Moment, input_moment: Moment
) -> float:
    """Average an expression in (h, x, e) over independent h, x and e."""
    return sum(
        rule.average(term.on(cell, rule.nodes))
        * state_moment(term.state_power)
        * input_moment(term.input_power)
        for term in site_terms(cell, expression)
    )


def pair_average(
    cell: Cell,
    expression: sp.Expr,
    rule: BivariateRule,
    state_mean: float,
    state_covariance: float,
    input_covariance: float,
) -> float:
    """Average f(h_1, x_1, e_1) f(h_2, x_2, e_2) over two copies of a site.

    Parameters
    ----------
    expression
        f, at most linear in the state and in the input.
    rule
        The joint law of (e_1, e_2).
    state_mean, state_covariance
        E[h_1] = E[h_2] and E[h_1 h_2].
    input_covariance
        E[x_1 x_2]; inputs have mean zero.
    """
    terms = site_terms(cell, expression)
    if any(term.state_power > 1 or term.input_power > 1 for term in terms):
        raise HypothesisError(
            f"{expression} is not linear in the state and the input: the correlation of two "
            "networks does not follow from second moments"
        )
    state = {(0, 0): 1.0, (1, 0): state_mean, (0, 1): state_mean, (1, 1): state_covariance}
    inputs = {(0, 0): 1.0, (1, 0): 0.0, (0, 1): 0.0, (1, 1): input_covariance}
    total = 0.0
    for left in terms:
        for right in terms:
            factor = (
                state[left.state_power, right.state_power]
                * inputs[left.input_power, right.input_power]
            )
            if factor:
                values = left.on(cell, rule.first) * right.on(cell, rule.second)
                total += factor * rule.average(values)
    return total
