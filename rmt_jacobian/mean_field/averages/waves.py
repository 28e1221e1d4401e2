r"""Averages of polynomials in sines and cosines over Gaussian variables, in closed form.

.. math::
    E\, e^{i a e} = e^{i a \mu - a^2 q / 2}, \qquad
    E\, e^{i (a e_1 + b e_2)} = e^{i (a + b) \mu - (a^2 + b^2 + 2 a b c) q / 2} .

Where the variable is wide such functions turn so often that quadrature takes thousands of nodes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

__all__ = ["Waves", "waves_in"]

_Terms = Mapping[sp.Expr, sp.Expr]
_HIGHEST, _MOST = 6, 256  # power, and waves of a product
_WIDE = 3.0  # deviation times frequency
_LEAST = 1e-5  # root mean square of a function, of the sum of its amplitudes


@dataclass(frozen=True, eq=False)
class Waves:
    r"""A function :math:`\sum_k c_k e^{i a_k e}`.

    Attributes
    ----------
    frequencies, amplitudes
        a and c, shape (waves,).
    """

    frequencies: np.ndarray
    amplitudes: np.ndarray

    def serve(self, means: Any, variance: float) -> bool:
        """Whether the function turns so often that this is the way to average it.

        Waves that nearly cancel would leave no digits of their sum.
        """
        if variance * float(np.max(np.abs(self.frequencies), initial=0.0)) ** 2 < _WIDE**2:
            return False
        size = float(np.sum(np.abs(self.amplitudes)))
        squares = self.pair_averages(self, means, variance, 1.0)
        return bool(np.min(squares) >= (_LEAST * size) ** 2)

    def averages(self, means: Any, variance: float) -> np.ndarray:
        """Return the averages at several means.

        Examples
        --------
        >>> e = sp.Symbol("e", real=True)
        >>> waves = waves_in(sp.sin(e) ** 2, e)
        >>> waves.averages(np.zeros(1), 100.0)
        array([0.5])
        """
        a, means = self.frequencies, np.asarray(means, dtype=float)
        phases = np.exp(1j * means[..., None] * a - a**2 * variance / 2)
        return np.asarray((phases @ self.amplitudes).real)

    def pair_averages(
        self, other: "Waves", means: Any, variance: float, correlation: float
    ) -> np.ndarray:
        """Return the averages of f(e_1) g(e_2), g the other function."""
        a, b = self.frequencies[:, None], other.frequencies[None, :]
        means = np.asarray(means, dtype=float)[..., None, None]
        spread = (a**2 + b**2 + 2 * a * b * correlation) * variance / 2
        phases = np.exp(1j * means * (a + b) - spread)
        weights = self.amplitudes[:, None] * other.amplitudes[None, :]
        return np.asarray(np.sum(phases * weights, axis=(-2, -1)).real)


@lru_cache(maxsize=1024)
def waves_in(expression: sp.Expr, symbol: sp.Symbol) -> Waves | None:
    """Return a polynomial in sines and cosines as waves; None of anything else.

    Examples
    --------
    >>> e = sp.Symbol("e", real=True)
    >>> waves_in(sp.cos(2 * e) + 1, e).frequencies
    array([ 0.,  2., -2.])
    >>> waves_in(e * sp.cos(e), e) is None
    True
    """
    if not expression.has(sp.sin, sp.cos):
        return None
    terms = _terms(expression, symbol)
    if terms is None:
        return None
    frequencies = np.array([float(a) for a in terms])
    return Waves(frequencies, np.array([complex(c) for c in terms.values()]))


def _terms(expression: sp.Expr, symbol: sp.Symbol) -> _Terms | None:
    """Return amplitudes by frequency."""
    if not expression.has(symbol):
        return {sp.S.Zero: expression} if expression.is_number else None
    if isinstance(expression, sp.sin | sp.cos):
        return _wave(expression, symbol)
    if expression.is_Add:
        return _folded(expression.args, symbol, _sum)
    if expression.is_Mul:
        return _folded(expression.args, symbol, _product)
    power = expression.args[1] if expression.is_Pow else None
    if power is not None and power.is_Integer and 0 < int(power) <= _HIGHEST:
        return _folded((expression.args[0],) * int(power), symbol, _product)
    return None


def _wave(expression: sp.Expr, symbol: sp.Symbol) -> _Terms | None:
    argument = sp.expand(expression.args[0])
    slope = argument.coeff(symbol, 1)
    rest = argument - slope * symbol
    if not (slope.is_number and slope.is_real and rest.is_number and rest.is_real):
        return None
    forward = sp.exp(sp.I * rest) / 2
    if isinstance(expression, sp.sin):
        return {slope: forward / sp.I, -slope: -sp.exp(-sp.I * rest) / 2 / sp.I}
    return {slope: forward, -slope: sp.exp(-sp.I * rest) / 2}


def _folded(
    parts: Sequence[Any], symbol: sp.Symbol, join: Callable[[_Terms, _Terms], _Terms]
) -> _Terms | None:
    found = _terms(parts[0], symbol)
    for part in parts[1:]:
        terms = _terms(part, symbol)
        if found is None or terms is None or len(found) > _MOST:
            return None
        found = join(found, terms)
    return found


def _sum(one: _Terms, two: _Terms) -> _Terms:
    return {a: one.get(a, sp.S.Zero) + two.get(a, sp.S.Zero) for a in {**one, **two}}


def _product(one: _Terms, two: _Terms) -> _Terms:
    found: dict[sp.Expr, sp.Expr] = {}
    for a, c in one.items():
        for b, d in two.items():
            found[a + b] = found.get(a + b, sp.S.Zero) + c * d
    return found
