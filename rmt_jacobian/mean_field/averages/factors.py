"""Expressions in independent variables as sums of products whose factors share none of them."""

from functools import cache, reduce
from typing import TypeAlias

import sympy as sp

from rmt_jacobian.cells import Cell
from rmt_jacobian.cells.activations import sigmoid

__all__ = [
    "complemented",
    "entangles",
    "independent_factors",
    "independent_products",
    "joint_products",
    "lost_power",
    "merged_variables",
    "with_all_digits",
]


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


def complemented(expression: sp.Expr) -> sp.Expr:
    """Write 1 - sigmoid(e) as sigmoid(-e), which keeps its digits where the gate saturates.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> complemented(sigmoid(e).diff(e))
    sigmoid(-e)*sigmoid(e)
    """
    at = {}
    for gate in expression.atoms(sigmoid):
        at[1 - gate] = sigmoid(-gate.args[0])
        at[gate - 1] = -sigmoid(-gate.args[0])
    return expression.xreplace(at)


@cache
def lost_power(kept: sp.Expr, power: int) -> sp.Expr:
    """Return 1 - a^n as (1 - a) (1 + a + ... + a^(n-1)), with all digits where a is close to 1.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> lost_power(sigmoid(e), 2)
    (sigmoid(e) + 1)*sigmoid(-e)
    """
    whole = complemented(sp.sympify(1 - kept, strict=True))
    return sp.Mul(whole, sp.Add(*(kept**i for i in range(power))))


@cache
def with_all_digits(expression: sp.Expr) -> sp.Expr:
    """Write 1 - tanh(e)^2 by sigmoids, which keep their digits where it saturates.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> with_all_digits(e * (2 - 2 * sp.tanh(4 * e) ** 2))
    8*e*sigmoid(-8*e)*sigmoid(8*e)
    """
    squares = {t**2: 4 * sigmoid(2 * t.args[0]) * sigmoid(-2 * t.args[0])
               for t in expression.atoms(sp.tanh)}  # fmt: skip

    def rewritten(total: sp.Add) -> sp.Expr:
        constant, square = total.as_two_terms()
        lost = squares.get(-square / constant) if constant.is_number else None
        return total if lost is None else constant * lost

    return expression.replace(lambda node: isinstance(node, sp.Add), rewritten)


Combination: TypeAlias = tuple[tuple[sp.Symbol, sp.Expr], ...]
"""The variables of a linear combination, and their coefficients."""


@cache
def merged_variables(
    expressions: tuple[sp.Expr, ...], gaussian: frozenset[sp.Symbol]
) -> tuple[tuple[sp.Expr, ...], dict[sp.Symbol, Combination]]:
    """Let one symbol stand for Gaussian variables that are only met in one linear combination.

    Examples
    --------
    >>> x, y, z = sp.symbols("x y z", real=True)
    >>> merged_variables((sp.tanh(x + 2 * y) * z,), frozenset((x, y, z)))
    ((z*tanh(x + 2*y),), {x + 2*y: ((x, 1), (y, 2))})
    """
    found: dict[sp.Symbol, Combination] = {}
    sums = {node for expression in expressions for node in expression.atoms(sp.Add)}
    for node in sorted(sums, key=sp.default_sort_key):
        terms = [term.as_coeff_Mul() for term in node.args]
        parts = tuple((v, a) for a, v in terms if v in gaussian)
        if len(parts) < 2:
            continue
        (first, scale), *others = parts
        whole = sp.Symbol(str(sp.Add(*(a * v for v, a in parts))), real=True)
        at = (whole - sum(a * v for v, a in others)) / scale
        changed = tuple(sp.sympify(each.subs(first, at), strict=True) for each in expressions)
        if not any(each.free_symbols & {v for v, _ in parts} for each in changed):
            found[whole], expressions = parts, changed
    return expressions, found


@cache
def joint_products(
    sides: tuple[sp.Expr, ...],
    random: frozenset[sp.Symbol],
    gaussian: frozenset[sp.Symbol] = frozenset(),
) -> tuple[tuple[tuple[sp.Expr, ...], ...], ...]:
    """Write f, or f(1) g(2), as a sum of products of factors that share no random variable.

    Factors are tuples of one side, or of two: functions of the variables of each network.

    Parameters
    ----------
    sides
        f, or f and g.
    random
        The variables.
    gaussian
        Those whose sums are no harder to average over than themselves.

    Examples
    --------
    >>> x, y = sp.symbols("x y", real=True)
    >>> joint_products((x * y, sp.tanh(x)), frozenset((x, y)))
    (((y, 1), (x, tanh(x))),)
    >>> f = (x + y + sp.tanh(x + y)) ** 2
    >>> joint_products((f,), frozenset((x, y)), frozenset((x, y))) == (((f,),),)
    True
    """
    whole = tuple(complemented(sp.sympify(side, strict=True)) for side in sides)
    merged_sides, merged = merged_variables(whole, gaussian)
    if not merged:
        return _multiplied_out(whole, random)
    sums = {symbol: sp.Add(*(a * v for v, a in parts)) for symbol, parts in merged.items()}
    return tuple(
        tuple(tuple(side.xreplace(sums) for side in factor) for factor in factors)
        for factors in _multiplied_out(merged_sides, random | set(merged))
    )


def _multiplied_out(
    sides: tuple[sp.Expr, ...], random: frozenset[sp.Symbol]
) -> tuple[tuple[tuple[sp.Expr, ...], ...], ...]:
    """Do the same where every variable counts for itself."""
    plans = [independent_products(side, random) for side in sides]
    if len(plans) == 1:
        return tuple(tuple((factor,) for factor in factors) for factors in plans[0])
    return tuple(_joined(left, right, random) for left in plans[0] for right in plans[1])


def _joined(
    left: tuple[sp.Expr, ...], right: tuple[sp.Expr, ...], random: frozenset[sp.Symbol]
) -> tuple[tuple[sp.Expr, ...], ...]:
    """Join factors of two networks that read a variable in common."""
    groups: list[tuple[frozenset[sp.Basic], sp.Expr, sp.Expr]] = []
    one = sp.S.One
    for factor, other in [*((f, one) for f in left), *((one, g) for g in right)]:
        symbols = (factor.free_symbols | other.free_symbols) & random
        apart = []
        for names, f, g in groups:
            if symbols & names:
                symbols, factor, other = symbols | names, f * factor, g * other
            else:
                apart.append((names, f, g))
        groups = [*apart, (frozenset(symbols), factor, other)]
    return tuple((f, g) for _, f, g in groups)


@cache
def entangles(cell: Cell, expressions: tuple[sp.Expr, ...]) -> bool:
    """Whether a factor reads more than one variable, so that averages may need point sets.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru, gru_reset_after
    >>> entangles(gru, gru.updates), entangles(gru_reset_after, gru_reset_after.updates)
    (False, True)
    """
    random = frozenset((*cell.gates, cell.input))
    for expression in expressions:
        for factors in joint_products((expression,), random, random):
            for sides in factors:
                (left,), _ = merged_variables(sides, random)
                if len(left.free_symbols - set(cell.states)) > 1:
                    return True
    return False
