r"""A step of a network as a sequence of factors with one random matrix each.

The components of a site are its states and, one after the other, its preactivations.  The k-th
factor adds a component, and the last map returns to states:

.. math::
    dE_k = W_k \, Y_k \, (dS, dE_1, \ldots, dE_{k-1}), \qquad dS' = (A \;\; B) \, (dS, dE_1, \ldots)

with all of :math:`Y_k, A, B` diagonal over sites.  A cell whose sources read preactivations, such
as the reset gate of a GRU, needs nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from rmt_jacobian.arrays import array_namespace
from rmt_jacobian.sampling.networks.steps import NetworkStep
from rmt_jacobian.sampling.weights.ensembles import WeightMatrix

__all__ = ["Row", "StepFactors", "SymmetricSites", "along_row", "mean_over_sites", "row_of"]

Row: TypeAlias = Mapping[int, Any]
"""Diagonals by component; those that vanish identically are left out."""

SymmetricSites: TypeAlias = dict[tuple[int, int], Any]
"""A symmetric matrix at every site, by pairs i <= j of components; zeros are left out."""


@dataclass(frozen=True, eq=False)
class StepFactors:
    """The factors of one step.

    Attributes
    ----------
    states
        d.
    weights
        The W of every preactivation, None where there is none.
    sources
        Y_k.
    updates
        The rows of (A B), one for each new state.
    """

    states: int
    weights: tuple[WeightMatrix | None, ...]
    sources: tuple[Row, ...]
    updates: tuple[Row, ...]

    @classmethod
    def of(cls, step: NetworkStep) -> "StepFactors":
        """Sort the diagonals of a step by rows."""
        table, d = step.derivatives, len(step.states)

        def rows(count: int, own: Mapping, gates: Mapping) -> tuple[Row, ...]:
            found: list[dict[int, Any]] = [{} for _ in range(count)]
            for (i, s), entry in own.items():
                found[i][s] = entry
            for (i, k), entry in gates.items():
                found[i][d + k] = entry
            return tuple(found)

        return cls(
            d,
            step.weights,
            rows(len(step.weights), table.source_state, table.source_gate),
            rows(d, table.state, table.gate),
        )

    def random(self) -> Iterator[tuple[int, WeightMatrix, Row]]:
        """Yield the new component, W and Y of every factor that has a W and a source."""
        for k, (W, source) in enumerate(zip(self.weights, self.sources, strict=True)):
            if W is not None and source:
                yield self.states + k, W, source

    @cached_property
    def row_squares(self) -> dict[int, Any]:
        """The squared length of every row of the W of a component, a number where all are equal."""
        return {new: _one_if_equal(W.row_lengths()) ** 2 for new, W, _ in self.random()}


def _one_if_equal(lengths: Any) -> Any:
    xp = array_namespace(lengths)
    first = float(lengths[0])
    return first if bool(xp.all(lengths == first)) else lengths


def row_of(row: Row, C: SymmetricSites) -> dict[int, Any]:
    """Return Y C as a row.

    Examples
    --------
    >>> row_of({0: 2.0}, {(0, 0): 3.0, (0, 1): 4.0})
    {0: 6.0, 1: 8.0}
    """
    found: dict[int, Any] = {}
    for (i, j), entry in C.items():
        for a, b in {(i, j), (j, i)}:
            if a in row:
                found[b] = found.get(b, 0.0) + row[a] * entry
    return dict(sorted(found.items()))


def along_row(row: Row, blocks: Mapping[int, Any]) -> Any:
    """Return the sum of diagonal times block over components, None if there is none.

    Blocks may have shape (N,) or (N, m), diagonals (N,) or none.
    """
    total = None
    for i, diagonal in row.items():
        block = blocks.get(i)
        if block is None:
            continue
        term = _column(diagonal, block) * block
        total = term if total is None else total + term
    return total


def _column(diagonal: Any, block: Any) -> Any:
    by_rows = getattr(diagonal, "ndim", 0) == 1 and getattr(block, "ndim", 0) == 2
    return diagonal[:, None] if by_rows else diagonal


def mean_over_sites(values: Any) -> Any:
    """Return the mean over the first axis; a number stands for itself at every site."""
    if not getattr(values, "ndim", 0):
        return values
    return array_namespace(values).mean(values, axis=0)
