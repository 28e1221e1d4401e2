"""Triangular linear recursions with constant coefficients, solved for the number of steps."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import sympy as sp

__all__ = ["solve_triangular_recursion"]

# sum of coefficient * t^power * base^t
ExponentialPolynomial: TypeAlias = dict[tuple[Any, int], Any]


def solve_triangular_recursion(
    matrix: Mapping[tuple[sp.Symbol, sp.Symbol], Any],
    start: Mapping[sp.Symbol, Any],
    order: Sequence[sp.Symbol],
    steps: sp.Symbol,
) -> dict[sp.Symbol, Any]:
    r"""Solve x(t+1) = K x(t) for lower triangular K, eigenvalues possibly repeated.

    Parameters
    ----------
    matrix
        The entries K[row, column]; missing ones are zero.
    start
        x(0).
    order
        The variables, such that row i reads variables up to i only.
    steps
        The symbol of t.

    Returns
    -------
    dict
        Each variable as a sum of terms coefficient * t^p * lambda^t.  Eigenvalues with different
        expressions are taken to be different: where two of them coincide numerically the sum
        has a removable 0/0, and iterating the recursion is the way to evaluate it.

    Examples
    --------
    >>> x, y, t, a = sp.symbols("x y t a")
    >>> K = {(x, x): a, (y, x): 1, (y, y): a}
    >>> solution = solve_triangular_recursion(K, {x: 1, y: 0}, [x, y], t)
    >>> sp.simplify(solution[y] - t * a ** (t - 1))
    0
    """
    solved: dict[sp.Symbol, ExponentialPolynomial] = {}
    for row in order:
        forcing: ExponentialPolynomial = {}
        for column in solved:
            factor = matrix.get((row, column), sp.S.Zero)
            if factor != 0:
                _add(forcing, {key: factor * value for key, value in solved[column].items()})
        solved[row] = _first_order(matrix.get((row, row), sp.S.Zero), forcing, start[row])
    return {
        name: sp.Add(
            *(value * steps**power * base**steps for (base, power), value in terms.items())
        )
        for name, terms in solved.items()
    }


def _first_order(rate: Any, forcing: ExponentialPolynomial, start: Any) -> ExponentialPolynomial:
    """Solve x(t+1) = rate x(t) + forcing(t), x(0) = start."""
    if rate == 0 and any(base == 0 for base, _ in forcing):
        raise ValueError("a vanishing eigenvalue cannot force a vanishing eigenvalue")
    solution: ExponentialPolynomial = {}
    for (base, power), value in forcing.items():
        _add(solution, _particular(rate, base, power, value))
    at_start = sp.Add(*(value for (_, power), value in solution.items() if power == 0))
    _add(solution, {(rate, 0): start - at_start})
    return {key: value for key, value in solution.items() if value != 0}


def _particular(rate: Any, base: Any, power: int, value: Any) -> ExponentialPolynomial:
    """Return one solution of x(t+1) - rate x(t) = value t^power base^t."""
    resonant = sp.expand(base - rate) == 0
    degree = power + 1 if resonant else power
    t = sp.Dummy("t")
    unknown = sp.symbols(f"c0:{degree + 1}")
    ansatz = sum(c * t**n for n, c in enumerate(unknown))
    residual = base * ansatz.subs(t, t + 1) - rate * ansatz - value * t**power  # pyright: ignore
    if resonant:
        residual = residual.subs(rate, base).subs(unknown[0], 0)
    equations = sp.Poly(sp.expand(residual), t).coeffs()
    (found,) = sp.solve(equations, unknown[1:] if resonant else unknown, dict=True)
    return {(base, n): found[c] for n, c in enumerate(unknown) if c in found}


def _add(total: ExponentialPolynomial, terms: ExponentialPolynomial) -> None:
    for key, value in terms.items():
        total[key] = total.get(key, sp.S.Zero) + value
