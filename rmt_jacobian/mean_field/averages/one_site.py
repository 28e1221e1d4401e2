"""Averages over one site: Gaussian preactivation, state and input, independent of one another.

An expression in site variables is split into terms g(e) h^a x^b.  The first factor is averaged by
quadrature, by a rule that follows from g; the others by moments, so that no law of the state but
its moments is ever needed.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field.averages.factors import complemented
from rmt_jacobian.mean_field.averages.quadrature import (
    expression_average,
    infinite_where_met,
    pair_expression_average,
    pair_slope_parts,
)

__all__ = [
    "Preactivations",
    "SiteTerm",
    "is_single_site",
    "pair_average",
    "single_site",
    "site_average",
    "site_terms",
]

Moment = Callable[[int], float]


@dataclass(frozen=True)
class SiteTerm:
    """One term g(e) h^state_power x^input_power of an expression in site variables."""

    coefficient: sp.Expr
    state_power: int
    input_power: int


@dataclass(frozen=True)
class Preactivations:
    """The Gaussian law of e, and of two copies of it."""

    mean: float
    variance: float
    correlation: float = 1.0


def is_single_site(cell: Cell) -> bool:
    """Whether a cell has one state h and one preactivation, whose source is h: J = A + B W."""
    return len(cell.states) == 1 and len(cell.gates) == 1 and cell.sources == cell.states


def single_site(cell: Cell) -> tuple[sp.Symbol, sp.Symbol, sp.Symbol]:
    """Return the symbols (h, x, e) of a cell with one state, one preactivation and source h.

    Raises
    ------
    HypothesisError
        If the cell is not of that form.
    """
    if not is_single_site(cell):
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
    exact = complemented(sp.sympify(expression, strict=True))
    gate_factor, rest = exact.as_independent(h, x, as_Add=False)
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
    cell: Cell,
    expression: sp.Expr,
    law: Preactivations,
    state_moment: Moment,
    input_moment: Moment,
    *,
    order: int = 0,
) -> float:
    r"""Average an expression in (h, x, e) over independent h, x and e.

    Parameters
    ----------
    cell, expression
        Whose symbols are averaged over, and a polynomial in h and x.
    law
        Of e.
    state_moment, input_moment
        E[h^n] and E[x^n].
    order
        Of a further factor :math:`z^n, z = (e - \mu) / \sqrt q`.
    """
    (e,) = cell.gates
    return sum(
        expression_average(term.coefficient, e, law.mean, law.variance, order)
        * state_moment(term.state_power)
        * input_moment(term.input_power)
        for term in site_terms(cell, expression)
    )


def pair_average(
    cell: Cell,
    expression: sp.Expr,
    law: Preactivations,
    state_mean: float,
    state_covariance: float,
    input_covariance: float,
    *,
    slope: bool = False,
) -> float:
    """Average f(h_1, x_1, e_1) f(h_2, x_2, e_2) over two copies of a site.

    Parameters
    ----------
    expression
        f, at most linear in the state and in the input.
    law
        Of e_1 and e_2.
    state_mean, state_covariance
        E[h_1] = E[h_2] and E[h_1 h_2].
    input_covariance
        E[x_1 x_2]; inputs have mean zero.
    slope
        Whether to return the derivative by the covariance of e_1 and e_2 instead.
    """
    terms = site_terms(cell, expression)
    if any(term.state_power > 1 or term.input_power > 1 for term in terms):
        raise HypothesisError(
            f"{expression} is not linear in the state and the input: the correlation of two "
            "networks does not follow from second moments"
        )
    state = {(0, 0): 1.0, (1, 0): state_mean, (0, 1): state_mean, (1, 1): state_covariance}
    inputs = {(0, 0): 1.0, (1, 0): 0.0, (0, 1): 0.0, (1, 1): input_covariance}
    total, factors, parts = 0.0, [], []
    for left, right in itertools.product(terms, terms):
        factor = (
            state[left.state_power, right.state_power] * inputs[left.input_power, right.input_power]
        )
        both = (left.coefficient, right.coefficient, cell.gates[0], law.mean, law.variance,
                law.correlation)  # fmt: skip
        if factor and slope:
            factors.append(factor)
            parts.append(pair_slope_parts(*both))
        elif factor:
            total += factor * pair_expression_average(*both)
    if not slope:
        return total
    finite, met = np.array(parts, dtype=float).reshape(-1, 2).T
    return float(infinite_where_met(factors @ finite, factors @ met, np.abs(factors) @ np.abs(met)))
