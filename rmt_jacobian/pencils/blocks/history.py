r"""The diagonals of the Jacobians of any cell over T steps, at weighted sites.

A step is :math:`dV_t = A\, dV_{t-1} + B\, dE`, :math:`dE_k = W_k\, dY_k`,
:math:`dY = Y_s\, dV_{t-1} + Y_e\, dE`, with all of A, B, Y_s, Y_e diagonal over sites.  At a site
they are small matrices, most of whose entries vanish identically; those are None here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

from rmt_jacobian.arrays import Device, array_namespace, on_device, taken
from rmt_jacobian.cells import Cell, StepDerivatives
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils.blocks.bundles import Bundle, bundled
from rmt_jacobian.pencils.blocks.diagonals import Matrix, StepDiagonals
from rmt_jacobian.pencils.blocks.rank import lost_share

__all__ = ["BlockHistory", "Matrix", "StepDiagonals"]


@dataclass(frozen=True, eq=False)
class BlockHistory:
    r"""The diagonals of the Jacobians of any cell over T steps, at weighted sites.

    Attributes
    ----------
    diagonals
        One for each step; their states are in an order of their own.
    weights
        The share of every site in averages, shape (sites,), positive with sum 1.
    names
        Of the preactivations that have a W and reach the states; the others drop out.
    sources
        Which of the different sources each of them multiplies.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import compile_cell, lstm
    >>> zero = np.zeros(3)
    >>> step = compile_cell(lstm).derivatives([zero, zero], [zero] * 4, zero)
    >>> history = BlockHistory.of([step, step], lstm)
    >>> history.steps, history.states, history.names, history.sources
    (2, 2, ('forget', 'input', 'output', 'candidate'), (0, 0, 0, 0))
    """

    diagonals: tuple[StepDiagonals, ...]
    weights: Any
    names: tuple[str, ...]
    sources: tuple[int, ...]

    @classmethod
    def of(
        cls, steps: Sequence[StepDerivatives], cell: Cell, weights: Any = None
    ) -> "BlockHistory":
        """Check shapes and weights; equal weights by default.

        Parameters
        ----------
        steps
            The diagonals of the Jacobian of every step, the first one first.
        cell
            The cell that they belong to.
        weights
            The shares of the sites.

        Raises
        ------
        ParameterError
            If there are no steps, shapes differ, a number is not finite, or the weights are not a
            probability.
        """
        arrays = [a for step in steps for a in _entries(step) if hasattr(a, "shape")]
        if not arrays and weights is None:
            raise ParameterError(
                "give at least one step whose diagonals are arrays over sites, or weights"
            )
        xp = array_namespace(*arrays) if arrays else array_namespace(weights)
        if weights is None:
            weights = xp.ones(arrays[0].shape) / arrays[0].shape[0]
        sites = weights.shape
        if len(sites) != 1 or any(a.shape != sites for a in arrays):
            raise ParameterError("all diagonals and the weights must have the same shape, (sites,)")
        if not steps:
            raise ParameterError("give the derivatives of at least one step")
        if not all(bool(xp.all(xp.isfinite(a))) for a in arrays):
            raise ParameterError("the diagonals of the Jacobian must be finite")
        if not bool(xp.all(weights > 0)) or abs(float(xp.sum(weights)) - 1) > 1e-9:
            raise ParameterError(
                "the weights of the sites must be positive and add up to 1: divide by their sum"
            )
        used = [k for k, p in enumerate(cell.preactivations) if p.reads_state]
        distinct: list[Any] = []
        for k in used:
            if cell.sources[k] not in distinct:
                distinct.append(cell.sources[k])
        sources = tuple(distinct.index(cell.sources[k]) for k in used)
        first = [used[sources.index(j)] for j in range(len(distinct))]
        states = _least_noisy_first(steps, len(cell.states), used)
        diagonals = tuple(
            StepDiagonals(
                _table(step.state, states, states),
                _table(step.gate, states, used),
                _table(step.source_state, first, states),
                _table(step.source_gate, first, used),
            )
            for step in steps
        )
        names = tuple(cell.preactivations[k].name for k in used)
        return cls(diagonals, weights, names, sources)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.diagonals)

    @property
    def states(self) -> int:
        """d, the number of states of a site."""
        return len(self.diagonals[0].state)

    @property
    def count(self) -> int:
        """The number of sites."""
        return self.weights.shape[0]

    @property
    def gates(self) -> int:
        """K, the number of preactivations that have a W."""
        return len(self.names)

    @property
    def source_count(self) -> int:
        """The number of different sources."""
        return len(self.diagonals[0].source_state)

    @cached_property
    def read(self) -> tuple[int, ...]:
        """The preactivations that a source reads."""
        return tuple(
            k
            for k in range(self.gates)
            if any(row[k] is not None for step in self.diagonals for row in step.source_gate)
        )

    @cached_property
    def unread(self) -> tuple[int, ...]:
        """The preactivations that only updates read."""
        return tuple(k for k in range(self.gates) if k not in self.read)

    @cached_property
    def levels(self) -> int:
        """How many preactivations of a step follow from each other at most."""
        depth = [1] * self.gates
        for k in range(self.gates):
            rows = [step.source_gate[self.sources[k]] for step in self.diagonals]
            before = [depth[j] for j in range(k) if any(row[j] is not None for row in rows)]
            depth[k] = 1 + max(before, default=0)
        return max(depth, default=1)

    @cached_property
    def measure(self) -> Any:
        """The weights as complex numbers, shape (sites,)."""
        xp = array_namespace(self.weights)
        return xp.astype(self.weights, xp.complex128)

    @cached_property
    def complex(self) -> "BlockHistory":
        """The same with complex diagonals, whose products with complex numbers are faster."""
        xp = array_namespace(self.weights)
        steps = (step.mapped(lambda e: xp.astype(e, xp.complex128)) for step in self.diagonals)
        return replace(self, diagonals=tuple(steps))

    @cached_property
    def gate_products(self) -> list[Matrix]:
        """B_1k B_jk for every step, in row 1; shape (K, sites), 0 where a source reads e_k."""
        return [self._products(step.gate) for step in self.diagonals]

    def unread_variance(self, t: int, spreads: Any) -> Matrix:
        """Return what the preactivations that no source reads add to covariances, in row 0.

        Parameters
        ----------
        t
            The step.
        spreads
            The variances of all preactivations, shape (points, K).
        """
        return [
            [None if p is None else spreads @ p for p in line] for line in self.gate_products[t]
        ]

    def _products(self, gate: Matrix) -> Matrix:
        xp = array_namespace(self.weights)
        nothing = xp.zeros_like(self.measure)
        products: Matrix = [[None] * self.states for _ in range(self.states)]
        for j in range(self.states):
            pairs = [
                None if k in self.read or a is None or b is None else a * b
                for k, (a, b) in enumerate(zip(gate[0], gate[j], strict=True))
            ]
            if any(pair is not None for pair in pairs):
                filled = [nothing if pair is None else pair + nothing for pair in pairs]
                products[0][j] = xp.stack(filled, axis=0)
        return products

    @cached_property
    def bundles(self) -> list[tuple[Bundle, ...]]:
        """The sources of every step, those without preactivations in bundles."""
        kinds = [None if j in self.reading else "state" for j in range(self.source_count)]

        def rows(step: StepDiagonals) -> Matrix:
            return [[*a, *b] for a, b in zip(step.source_state, step.source_gate, strict=True)]

        return [bundled(rows(step), kinds, self.measure) for step in self.diagonals]

    @cached_property
    def reading(self) -> tuple[int, ...]:
        """The sources that read a preactivation."""
        return self.transposed.read

    @cached_property
    def lost(self) -> float:
        """The share of singular values that are 0, from :func:`.lost_share`."""
        return lost_share([step.matrices for step in self.diagonals], self.sources, self.weights)

    @cached_property
    def transposed(self) -> "BlockHistory":
        """The steps of J^T, each in its old place; what they add comes from the sources."""
        return replace(
            self,
            diagonals=tuple(step.transposed for step in self.diagonals),
            names=tuple(f"source {j}" for j in range(self.source_count)),
            sources=tuple(range(self.source_count)),
        )

    @cached_property
    def reader_matrix(self) -> Any:
        """1 where a preactivation multiplies a source, else 0; shape (K, sources)."""
        xp = array_namespace(self.weights)
        rows = [[1.0 * (source == j) for j in range(self.source_count)] for source in self.sources]
        return xp.asarray(rows, dtype=xp.complex128)

    def first(self, steps: int) -> "BlockHistory":
        """Return the first steps."""
        return replace(self, diagonals=self.diagonals[:steps])

    def portions(self, size: int) -> "list[BlockHistory]":
        """Cut the sites into groups of at most ``size``; the weights stay as they are."""
        cuts = [slice(cut, cut + size) for cut in range(0, self.count, size)]
        return [
            replace(
                self,
                diagonals=tuple(step.cut(cut) for step in self.diagonals),
                weights=self.weights[cut],
            )
            for cut in cuts
        ]

    def thinned(self, sites: int) -> "BlockHistory":
        """Return the rare sites by which W reads or writes, and the first others, for all of these.

        Parameters
        ----------
        sites
            How many others.
        """
        xp = array_namespace(self.weights)
        rare = self._rare("gate") | self._rare("source_state")
        others = xp.nonzero(~rare)[0]
        if not bool(xp.any(rare)) or others.shape[0] <= sites:
            return self
        kept = xp.concat([xp.nonzero(rare)[0], others[:sites]])
        weights = taken(self.weights, kept)
        few = ~taken(rare, kept)
        share = xp.sum(xp.where(rare, 0.0, self.weights)) / xp.sum(xp.where(few, weights, 0.0))
        return replace(
            self,
            diagonals=tuple(step.cut(kept) for step in self.diagonals),
            weights=xp.where(few, share * weights, weights),
        )

    def _rare(self, name: str) -> Any:
        """Return at which sites a matrix is not 0 at some step, where these are the fewer."""
        xp = array_namespace(self.weights)
        some = xp.zeros_like(self.weights)
        for entry in (e for step in self.diagonals for row in getattr(step, name) for e in row):
            some = some if entry is None else some + xp.astype(entry + 0 * some != 0, some.dtype)
        found = some > 0
        return found & (xp.sum(xp.astype(found, xp.int64)) < self.count // 2)

    def on(self, device: Device | ModuleType) -> "BlockHistory":
        """Return the same with all arrays on a device; see :func:`.namespace`."""
        return replace(
            self,
            diagonals=tuple(step.on(device) for step in self.diagonals),
            weights=on_device(self.weights, device),
        )

    def weighted(self, weights: Any) -> "BlockHistory":
        """Return the same sites with other weights."""
        return replace(self, weights=weights)

    def without(self, gates: Sequence[int]) -> "BlockHistory":
        """Return the history of the cell in which some of the W are 0."""
        dropped = set(gates)
        kept = [k for k in range(self.gates) if k not in dropped]
        used = sorted({self.sources[k] for k in kept})
        unused = set(range(self.source_count)) - set(used)
        return replace(
            self,
            diagonals=tuple(step.without(dropped, unused) for step in self.diagonals),
            names=tuple(self.names[k] for k in kept),
            sources=tuple(used.index(self.sources[k]) for k in kept),
        )


def _least_noisy_first(
    steps: Sequence[StepDerivatives], states: int, used: Sequence[int]
) -> list[int]:
    """Return the states in the order of how many preactivations each depends on directly.

    One that is another with a gate in front, as the output of an LSTM is its memory, then stands
    after it, and what the gate adds is told from it without rounding.
    """

    def noises(i: int) -> int:
        return sum(any((i, k) in step.gate for step in steps) for k in used)

    return sorted(range(states), key=noises)


def _entries(step: StepDerivatives) -> list[Any]:
    tables = (step.state, step.gate, step.source_state, step.source_gate)
    return [entry for table in tables for entry in table.values()]


def _table(table: Any, rows: Sequence[int], columns: Sequence[int]) -> Matrix:
    def entry(i: int, j: int) -> Any:
        value = table.get((i, j))
        return value if value is None or hasattr(value, "shape") else float(value)

    return [[entry(i, j) for j in columns] for i in rows]
