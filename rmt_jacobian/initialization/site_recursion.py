r"""m_1 and m_2 of a T-step product of any cell, for many sets of sites at once.

A step is a row of factors with one W each: the k-th adds the component :math:`W_k Y_k Z`, Z being
the states and the components before it, and the last map returns to states, :math:`F Z`.  With d
the site matrices E_D of the product so far times its transpose, and :math:`\delta` those of the
transpose of what follows times it,

.. math::
    d \to \begin{pmatrix} d & 0 \\ 0 & \sigma_k^2 \langle Y d Y^T \rangle \end{pmatrix}, \qquad
    \delta \to P^T \delta P + \beta \, Y^T Y, \quad
    \beta = \sigma_k^2 \langle \delta_{new} \rangle, \qquad
    d \to F d F^T, \quad \delta \to F^T \delta F,

P being the projection on the other components, and

.. math::
    m_2 = \tau(d_T^2) + \sum_{t, k} \Bigl[ 2 \beta
          \langle Y d \, P^T \delta P \, d \, Y^T \rangle
          + \beta^2 \bigl( \langle (Y d Y^T)^2 \rangle
          - (1 + s_1^{(k)}) \langle Y d Y^T \rangle^2 \bigr) \Bigr] .

Every step is divided by its own growth, so that no power leaves the range of numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, array_function
from rmt_jacobian.mean_field.sites.symmetry import distinct_sources
from rmt_jacobian.pencils.blocks.factors import added, times

__all__ = ["Factors", "Growth", "SiteMatrices", "grown", "mean", "spread_of", "step_of"]

Row: TypeAlias = Mapping[int, Any]
SiteMatrices: TypeAlias = dict[tuple[int, int], Any]
"""A symmetric matrix at every site by pairs i <= j of components; zeros are left out."""


@dataclass(frozen=True, eq=False)
class Factors:
    """The diagonals of one step: those of every source, and of every new state, by component.

    Equal sources are one object.
    """

    sources: tuple[Row, ...]
    updates: tuple[Row, ...]


@cache
def _entries(cell: Cell) -> tuple[tuple[tuple[int, int, int], ...], sp.Tuple]:
    """Return (table, row, component) of all diagonals that do not vanish; they and the updates."""
    d = len(cell.states)
    tables = (
        (0, 0, cell.source_state_derivatives),
        (0, d, cell.source_gate_derivatives),
        (1, 0, cell.state_derivatives),
        (1, d, cell.gate_derivatives),
    )
    owners = distinct_sources(cell)
    found = [
        ((kind, i, shift + j), entry)
        for kind, shift, table in tables
        for i, row in enumerate(table)
        if kind or owners.index(owners[i]) == i
        for j, entry in enumerate(row)
        if entry != 0
    ]
    entries = (entry for _, entry in found)
    return tuple(place for place, _ in found), sp.Tuple(*entries, *cell.updates)


def step_of(
    cell: Cell, states: Sequence[Any], gates: Sequence[Any], x: Any
) -> tuple[Factors, tuple[Any, ...]]:
    """Return the diagonals of a step at sites of any leading shape, and the new states."""
    places, expressions = _entries(cell)
    values = array_function(cell.site_symbols, expressions)(*states, *gates, x)
    rows: tuple[list[dict[int, Any]], ...] = (
        [{} for _ in cell.gates],
        [{} for _ in cell.states],
    )
    count = len(places)
    for (kind, i, component), value in zip(places, values[:count], strict=True):
        rows[kind][i][component] = float(value) if isinstance(value, int) else value
    owners = distinct_sources(cell)
    sources = tuple(rows[0][owners.index(owner)] for owner in owners)
    return Factors(sources, tuple(rows[1])), tuple(values[count:])


@dataclass(frozen=True, eq=False)
class Growth:
    """What one step makes of the site matrices.

    Attributes
    ----------
    after
        d behind the step, divided by its growth: the mean of its trace is the number of states.
    rate
        The growth, one number for each set of sites.
    parts
        Of every factor with a W: its component, Y, Y d and Y d Y^T.
    """

    after: SiteMatrices
    rate: Any
    parts: tuple[tuple[int, Row, dict[int, Any], Any], ...]


def grown(step: Factors, before: SiteMatrices, variances: Sequence[Any]) -> Growth:
    """Carry site matrices through a step.

    Parameters
    ----------
    step
        Its diagonals, shape (..., sites) each.
    before
        d, in the same normalisation as what is returned.
    variances
        The mean of W W^T for every preactivation, shape (..., 1).
    """
    states, d, parts = len(step.updates), dict(before), []
    made: dict[int, tuple[dict[int, Any], Any, Any]] = {}
    for k, source in enumerate(step.sources):
        if not source:
            continue
        if id(source) not in made:
            passed = _row_of(source, d)
            through = _along(source, passed)
            made[id(source)] = passed, through, mean(through)
        passed, through, average = made[id(source)]
        parts.append((states + k, source, passed, through))
        d[states + k, states + k] = variances[k] * average
    after: SiteMatrices = {}
    for i, row in enumerate(step.updates):
        half = _row_of(row, d)
        for j in range(i, states):
            entry = _along(step.updates[j], half)
            if entry is not None:
                after[i, j] = entry
    rate = sum(mean(entry) for (i, j), entry in after.items() if i == j) / states
    return Growth({pair: entry / rate for pair, entry in after.items()}, rate, tuple(parts))


def spread_of(
    steps: Sequence[Factors],
    growth: Sequence[Growth],
    variances: Sequence[Any],
    s_1: Sequence[float],
) -> Any:
    """Return m_2 / m_1^2 - 1 of a product whose growth from d = 1 is known.

    Parameters
    ----------
    steps, growth
        One for each step, the first one first.
    variances, s_1
        Of every W: the mean of W W^T and the first coefficient of its S-transform.
    """
    states = len(steps[0].updates)
    last = growth[-1].after
    total = sum((1 if i == j else 2) * mean(entry * entry) for (i, j), entry in last.items())
    delta: SiteMatrices = {(i, i): 1.0 for i in range(states)}
    for step, made in zip(reversed(steps), reversed(growth), strict=True):
        delta = _congruent(step.updates, delta, 1 / made.rate)
        powers = {id(through): _two_powers(through) for *_, through in made.parts}
        for new, source, passed, through in reversed(made.parts):
            k = new - states
            beta = variances[k] * mean(delta.pop((new, new), 0.0))
            delta = {pair: entry for pair, entry in delta.items() if new not in pair}
            around = _along(_row_of(passed, delta), passed)
            mixed = 0.0 if around is None else mean(around)
            average, square = powers[id(through)]
            total = total + 2 * beta * mixed + beta**2 * (square - (1 + s_1[k]) * average**2)
            for i, a in source.items():
                for j, b in source.items():
                    if i <= j:
                        delta[i, j] = delta.get((i, j), 0.0) + beta * a * b
        # Preactivations without W do not change.
        delta = {pair: entry for pair, entry in delta.items() if max(pair) < states}
    return total / states - 1


def mean(values: Any) -> Any:
    """Return the mean over sites, its axis kept; a number stands for itself at every site."""
    if not np.ndim(values):
        return values
    return np.add.reduce(values, axis=-1, keepdims=True) / values.shape[-1]


def _two_powers(values: Any) -> tuple[Any, Any]:
    """Return the means of values and of their squares."""
    return mean(values), mean(values * values)


def _row_of(row: Row, matrices: SiteMatrices) -> dict[int, Any]:
    """Return Y d as a row."""
    found: dict[int, Any] = {}
    for (i, j), entry in matrices.items():
        for a, b in {(i, j), (j, i)}:
            if a in row:
                found[b] = added(found.get(b), times(row[a], entry))
    return found


def _along(row: Row, other: Mapping[int, Any]) -> Any:
    """Return the scalar product of two rows; None if they share no component."""
    total = None
    for i, entry in row.items():
        if i in other:
            total = added(total, times(entry, other[i]))
    return total


def _congruent(rows: Sequence[Row], delta: SiteMatrices, factor: Any) -> SiteMatrices:
    """Return F^T delta F times a factor."""
    found: SiteMatrices = {}
    for (p, q), entry in delta.items():
        scaled = factor * entry
        for a, b in {(p, q), (q, p)}:
            for i, left in rows[a].items():
                for j, right in rows[b].items():
                    if i <= j:
                        found[i, j] = found.get((i, j), 0.0) + left * scaled * right
    return found
