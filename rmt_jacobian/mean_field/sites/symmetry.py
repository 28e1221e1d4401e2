"""Exact symmetries of a cell: changes of sign, and sources that are one."""

import itertools
from dataclasses import dataclass
from functools import cache

import sympy as sp

from rmt_jacobian.cells import Cell, Parameters

__all__ = ["SignFlip", "distinct_sources", "sign_flip"]

_MOST_SYMBOLS = 12  # whose signs are tried


@dataclass(frozen=True)
class SignFlip:
    """Signs of the variables of a site under which its law and its equations do not change.

    Attributes
    ----------
    states, gates, sources
        1 or -1 for each.
    input
        Of x.
    """

    states: tuple[int, ...]
    gates: tuple[int, ...]
    sources: tuple[int, ...]
    input: int


def sign_flip(cell: Cell, parameters: Parameters) -> SignFlip | None:
    """Return the change of signs that turns most sources, or None if there is none.

    A preactivation may change its sign if its mean is 0 and its bias is not frozen; the input is
    even in law.

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> sign_flip(lstm, Parameters.of(lstm, input_std=0))
    SignFlip(states=(-1, -1), gates=(1, 1, 1, -1), sources=(-1, -1, -1, -1), input=1)
    """
    frozen = parameters.bias_kind == "frozen"
    free = tuple(
        group.bias_mean == 0 and not (frozen and group.bias_std > 0)
        for _, group in parameters.groups
    )
    return _flip(cell, free)


@cache
def _flip(cell: Cell, free: tuple[bool, ...]) -> SignFlip | None:
    d, K = len(cell.states), len(cell.gates)
    if d + sum(free) + 1 > _MOST_SYMBOLS:
        return None
    choices = [(1, -1)] * d + [(1, -1) if each else (1,) for each in free] + [(1, -1)]
    found = [
        flip
        for signs in itertools.product(*choices)
        if (flip := _checked(cell, signs[:d], signs[d : d + K], signs[-1])) is not None
    ]
    best = max(found, key=lambda flip: flip.sources.count(-1), default=None)
    return best if best is not None and -1 in best.sources else None


def _checked(
    cell: Cell, states: tuple[int, ...], gates: tuple[int, ...], x: int
) -> SignFlip | None:
    signs = dict(zip((*cell.states, *cell.gates, cell.input), (*states, *gates, x), strict=True))
    at = {symbol: -symbol for symbol, sign in signs.items() if sign < 0}

    def parity(expression: sp.Expr) -> int:
        flipped = expression.subs(at, simultaneous=True)
        return 1 if flipped == expression else -1 if sp.expand(flipped + expression) == 0 else 0

    for update, sign in zip(cell.updates, states, strict=True):
        if update != 0 and parity(update) != sign:
            return None
    sources = tuple(parity(source) if source != 0 else 1 for source in cell.sources)
    return SignFlip(states, gates, sources, x) if 0 not in sources else None


@cache
def distinct_sources(cell: Cell) -> tuple[int, ...]:
    """Return a number for each preactivation, the same where the sources are.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> distinct_sources(gru)
    (0, 0, 1)
    """
    seen: list[object] = []
    for source in cell.sources:
        if source not in seen:
            seen.append(source)
    return tuple(seen.index(source) for source in cell.sources)
