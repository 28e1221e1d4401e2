"""Expressions in independent variables as sums of products whose factors share none of them."""

from functools import cache, reduce

import sympy as sp

__all__ = ["independent_factors", "independent_products"]


@cache
def independent_products(
    expression: sp.Expr, random: frozenset[sp.Symbol]
) -> tuple[tuple[sp.Expr, ...], ...]:
    """Write an expression as a sum of products of factors that share no random variable.

    Products are multiplied out only where that takes variables apart.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> found = independent_products(sp.tanh(x) * (y**2 + x * y), frozenset((x, y)))
    >>> sorted(sorted(map(str, factors)) for factors in found)
    [['tanh(x)', 'y**2'], ['x*tanh(x)', 'y']]
    """
    if isinstance(expression, sp.Add):
        return tuple(
            product for term in expression.args for product in independent_products(term, random)
        )
    factors = independent_factors(expression, random)
    if len(factors) > 1:
        plans = [independent_products(factor, random) for factor in factors]
        return tuple(reduce(lambda a, b: tuple(x + y for x in a for y in b), plans))
    if len(expression.free_symbols & random) > 1:
        expanded = sp.expand(expression, deep=False)
        if isinstance(expanded, sp.Add) and _is_simpler(expanded, expression, random):
            return independent_products(expanded, random)
    return ((expression,),)


def independent_factors(expression: sp.Expr, random: frozenset[sp.Symbol]) -> list[sp.Expr]:
    """Group the factors of a product so that no two groups share a random variable."""
    groups: list[tuple[frozenset[sp.Basic], sp.Expr]] = []
    for factor in sp.Mul.make_args(expression):
        symbols, product, apart = factor.free_symbols & random, factor, []
        for others, other in groups:
            if symbols & others or symbols == others:
                symbols, product = symbols | others, product * other
            else:
                apart.append((others, other))
        groups = [*apart, (frozenset(symbols), product)]
    return [product for _, product in groups]


def _is_simpler(expanded: sp.Expr, whole: sp.Expr, random: frozenset[sp.Symbol]) -> bool:
    """Whether some term reads fewer variables together."""
    count = len(whole.free_symbols & random)
    return any(
        max(len(part.free_symbols & random) for part in independent_factors(term, random)) < count
        for term in sp.Add.make_args(expanded)
    )
