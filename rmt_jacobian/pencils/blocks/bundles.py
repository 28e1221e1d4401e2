r"""Sources that are multiples of each other at every site.

The preactivations of an LSTM that enter its memory reach the states in one direction only, each
with its own factor :math:`\kappa_k`.  Costs :math:`D_k` on multiples of one variable y are one cost
:math:`\sum_k D_k \kappa_k^2` on it, and their variances are :math:`\kappa_k^2` times its own.  So a
filter observes y once, and rounding does not make several directions of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from rmt_jacobian.arrays import array_namespace

__all__ = ["Bundle", "bundled"]

_Row: TypeAlias = list[Any]
_PARALLEL = 2.0**-46  # relative difference that rounding leaves between multiples of a row
_NOTHING = 1e-290  # an entry that has lost its digits


@dataclass(frozen=True, eq=False)
class Bundle:
    r"""Sources :math:`y_k = \kappa_k y` at the sites.

    Attributes
    ----------
    sources
        Their numbers.
    row
        y in terms of the states before a step and of its preactivations.
    shares
        :math:`\kappa_k`, a number or an array over sites.
    measure
        The weights of the sites.
    """

    sources: tuple[int, ...]
    row: _Row
    shares: tuple[Any, ...]
    measure: Any

    @cached_property
    def squares(self) -> Any:
        r""":math:`\kappa_k^2`, shape (sources, sites); None where that is 1."""
        share = self.shares[0]
        if len(self.shares) == 1 and not hasattr(share, "shape") and share == 1:
            return None
        xp = array_namespace(self.measure)
        return xp.stack([share * share + 0 * self.measure for share in self.shares])

    @cached_property
    def weights(self) -> Any:
        r"""The weights of the sites times :math:`\kappa_k^2`, shape (sources, sites)."""
        return self.measure[None, :] if self.squares is None else self.measure * self.squares

    def cost(self, costs: Any) -> Any:
        """Return the cost on y, from those on all sources, shape (points, sources)."""
        xp = array_namespace(costs)
        if self.squares is None:
            return costs[:, self.sources[0] : self.sources[0] + 1]
        own = xp.stack([costs[:, k] for k in self.sources], axis=1)
        return own @ self.squares

    def averages(self, variance: Any) -> Any:
        """Return the mean variances of the sources from that of y, shape (points, sources)."""
        return _filled(variance, self.measure) @ self.weights.T

    def squares_with(self, other: "Bundle", covariance: Any) -> Any:
        r"""Return the mean squares of :math:`\kappa_a \kappa_b` times that of y and another y.

        The shape is (points, sources, sources of the other).
        """
        xp = array_namespace(self.measure)
        filled = _filled(covariance, self.measure)
        flat = (filled * filled) @ self._weights_with(other)
        return xp.reshape(flat, (flat.shape[0], len(self.sources), len(other.sources)))

    def _weights_with(self, other: "Bundle") -> Any:
        """Return the weights of squares with another bundle, shape (sites, pairs)."""
        if other not in self._known:
            xp = array_namespace(self.measure)
            pairs = (len(self.sources), len(other.sources))
            weights = self.weights[:, None, :] + xp.zeros((*pairs, 1), dtype=self.measure.dtype)
            if other.squares is not None:
                weights = weights * other.squares
            flat = xp.reshape(weights, (pairs[0] * pairs[1], -1))
            self._known[other] = xp.asarray(flat.T, copy=True)
        return self._known[other]

    @cached_property
    def _known(self) -> "dict[Bundle, Any]":
        return {}


def _filled(entry: Any, measure: Any) -> Any:
    """Return an entry at every site."""
    return entry if entry.shape[-1] == measure.shape[0] else entry + 0 * measure


def bundled(rows: Sequence[_Row], kinds: Sequence[Any], measure: Any) -> tuple[Bundle, ...]:
    """Return sources in bundles, those of each of the same kind.

    Parameters
    ----------
    rows
        The sources in terms of the states and the preactivations.
    kinds
        What sources in one bundle have in common; None for one that stays alone, as it is.
    measure
        The weights of the sites, complex.

    Examples
    --------
    >>> import numpy as np
    >>> x, measure = np.array([0.5, 2.0]), np.array([0.5 + 0j, 0.5])
    >>> rows = [[x, 3 * x], [None, x], [2 * x, 6 * x]]
    >>> [bundle.sources for bundle in bundled(rows, "aaa", measure)]
    [(0, 2), (1,)]
    """
    groups: list[list[int]] = []
    for k in range(len(rows)):
        for group in groups:
            alike = kinds[k] == kinds[group[0]] is not None
            if alike and _direction([rows[j] for j in (*group, k)], measure) is not None:
                group.append(k)
                break
        else:
            groups.append([k])
    return tuple(
        _bundle(tuple(group), [rows[k] for k in group], kinds[group[0]], measure)
        for group in groups
    )


def _bundle(sources: tuple[int, ...], rows: list[_Row], kind: Any, measure: Any) -> Bundle:
    columns = [j for j, entry in enumerate(rows[0]) if entry is not None]
    if kind is None or (len(rows) == 1 and len(columns) != 1):
        return Bundle(sources, rows[0], (1.0,), measure)
    direction = _direction(rows, measure)
    assert direction is not None
    return Bundle(sources, direction, tuple(row[columns[0]] for row in rows), measure)


def _direction(rows: list[_Row], measure: Any) -> _Row | None:
    """Return the row with a 1 in front that all are multiples of, None if there is none."""
    patterns = {tuple(entry is None for entry in row) for row in rows}
    if len(patterns) > 1 or all(patterns.pop()):
        return None
    xp = array_namespace(measure)
    filled = [[e if e is None else e + 0 * measure for e in row] for row in rows]
    first, *others = [j for j, entry in enumerate(rows[0]) if entry is not None]
    direction: _Row = [None] * len(rows[0])
    direction[first] = 1.0
    largest = filled[0]
    for row in filled[1:]:
        more = xp.abs(row[first]) > xp.abs(largest[first])
        largest = [e if e is None else xp.where(more, e, f)
                   for e, f in zip(row, largest, strict=True)]  # fmt: skip
    some = largest[first] != 0
    for j in others:
        ratio = xp.where(some, largest[j] / xp.where(some, largest[first], 1.0), 0.0)
        for row in filled:
            rest = xp.abs(row[j] - ratio * row[first])
            if not bool(xp.all(rest <= _PARALLEL * xp.abs(row[j]) + _NOTHING)):
                return None
        direction[j] = ratio
    return direction
