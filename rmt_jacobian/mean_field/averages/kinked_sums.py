"""Functions with kinks along one sum of Gaussian variables, written in that sum and others."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import sympy as sp

from rmt_jacobian.cells.activations import in_pieces
from rmt_jacobian.mean_field.averages.bends import HARD

__all__ = ["along_one_sum"]

Laws = Mapping[sp.Symbol, tuple[float, float]]


def along_one_sum(expression: sp.Expr, laws: Laws) -> tuple[sp.Expr, Laws] | None:
    r"""Turn the variables so that all kinks lie along the first of them.

    Where every kink is at a multiple of :math:`u = \sum_k p_k e_k`, plus a number, e is u and what
    is independent of it; None where that is not so.

    Parameters
    ----------
    expression
        Of independent Gaussian variables.
    laws
        Mean and variance of each.

    Examples
    --------
    >>> a, b = sp.symbols("a b", real=True)
    >>> turned, laws = along_one_sum(b**2 * sp.Abs(a + b - 1), {a: (1.0, 3.0), b: (0.0, 1.0)})
    >>> [variance for mean, variance in laws.values()]  # of u and of what is beside it
    [4.0, 1.0]
    """
    found = _in_sum(expression)
    if found is None:
        return None
    kinked, u, slopes = found
    summed = [symbol for symbol, _ in slopes]
    means, variances = np.array([laws[symbol] for symbol in summed], dtype=float).T
    p, deviations = np.array([slope for _, slope in slopes]), np.sqrt(variances)
    mean, variance = float(p @ means), float(p**2 @ variances)
    if not variance:
        return None
    # The first column is the direction of u among the normal variables, the others complete it.
    basis = np.linalg.qr(np.column_stack([p * deviations, np.eye(len(p))]))[0]
    std = math.sqrt(variance)
    direction = p * deviations / std
    others = sp.symbols(f"y1:{len(p)}", real=True, cls=sp.Dummy)
    turned = {
        symbol: float(means[k])
        + float(deviations[k] * direction[k] / std) * (u - mean)
        + sum(float(deviations[k] * basis[k, j + 1]) * y for j, y in enumerate(others))
        for k, symbol in enumerate(summed)
    }
    rest = {symbol: law for symbol, law in laws.items() if symbol not in turned}
    standard = dict.fromkeys(others, (0.0, 1.0))
    return kinked.xreplace(turned), {u: (mean, variance), **standard, **rest}


@cache
def _in_sum(
    expression: sp.Expr,
) -> tuple[sp.Expr, sp.Symbol, tuple[tuple[sp.Symbol, float], ...]] | None:
    """Return an expression whose kinks read u alone, u, and the slopes of u."""
    kinks = {node.args[0] for node in in_pieces(expression).atoms(*HARD)}
    first = max(kinks, key=lambda each: len(each.free_symbols), default=sp.S.Zero)
    symbols = sorted(first.free_symbols, key=str)
    slopes = {symbol: first.diff(symbol) for symbol in symbols}
    if len(symbols) < 2 or not all(slope.is_number for slope in slopes.values()):
        return None
    u = sp.Dummy("u", real=True)

    def of_sum(argument: sp.Expr) -> sp.Expr | None:
        """Return c u + d for c sum_k p_k e_k + d."""
        share = argument.diff(symbols[0]) / slopes[symbols[0]]
        rest = sp.expand(argument - share * sum(p * e for e, p in slopes.items()))
        return share * u + rest if share.is_number and rest.is_number and share != 0 else None

    def replaced(node: sp.Expr) -> sp.Expr:
        arguments = [of_sum(each) if each.free_symbols else each for each in node.args]
        if any(each is None for each in arguments):
            return node
        return node.func(*arguments)

    found = expression.replace(lambda node: isinstance(node, sp.Function), replaced)
    read = [node.args[0].free_symbols for node in in_pieces(found).atoms(*HARD)]
    if any(each - {u} for each in read):
        return None
    return found, u, tuple((symbol, float(slopes[symbol])) for symbol in symbols)
