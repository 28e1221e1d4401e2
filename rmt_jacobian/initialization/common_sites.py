r"""Growth rate and spread of gradients on sites that are drawn once for many hyperparameters.

The same normal variables serve at every point, so that both are smooth functions of the
hyperparameters, and differ between points by far less than their own error (common random
numbers).  The population runs with the averages of its own present,

.. math:: q_k(t) = \sigma_k^2 \langle y_k^2(t) \rangle + \nu_k^2 R,

the orbit that leads to the stationary state; nothing is solved for.  A memory that is an affine
map, :math:`s' = a s + b`, is given the mean and the variance that the averages of a and b imply, or
it would take as many steps to find them as it remembers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, array_function
from rmt_jacobian.initialization.populations import HUGE, CommonPopulation, Rates
from rmt_jacobian.initialization.site_recursion import (
    Factors,
    Growth,
    SiteMatrices,
    grown,
    mean,
    spread_of,
    step_of,
)
from rmt_jacobian.mean_field.memory.affine import affine_memory
from rmt_jacobian.mean_field.sites.paths import low_discrepancy_normals
from rmt_jacobian.mean_field.sites.symmetry import distinct_sources
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.pencils.blocks.untied import WeightsChoice
from rmt_jacobian.pencils.ensembles import ensemble

__all__ = ["CommonSites", "first_coefficients", "imposed", "settling"]

_TOGETHER = 16384  # sites times points that are in the cache at a time
_WINDOW = 16  # steps that a growth rate is averaged over, at least
_EARLY = 4  # steps in each of which, and between which, a memory is given its moments
_FORGOTTEN = 1e-4  # of second moments
_SHORTEST, _LONGEST = 16, 256
_LONGEST_FROZEN = 1024  # where the biases of some sites make them remember far longer than most


@dataclass(frozen=True, eq=False)
class CommonSites(CommonPopulation):
    """Standard normal variables of a population of sites, or of several.

    Attributes
    ----------
    cell, steps
        Which cell, and T.
    s_1
        Of every W.
    normals
        Of all steps, shape (steps, variables, populations, sites); the first ``settle`` forget the
        start.
    biases, memory
        Of the biases that stay, shape (preactivations, populations, sites), and of a memory at the
        start.
    settle, lead
        The number of steps before those that are measured, and in how many of them a change of the
        states turns to the direction that grows most.
    """

    cell: Cell
    steps: int
    s_1: tuple[float, ...]
    normals: np.ndarray
    biases: np.ndarray
    memory: np.ndarray
    settle: int
    lead: int

    @classmethod
    def draw(
        cls,
        cell: Cell,
        weights: WeightsChoice,
        steps: int,
        *,
        settle: int,
        count: int,
        lead: int | None = None,
        rngs: Sequence[np.random.Generator],
    ) -> "CommonSites":
        """Draw low-discrepancy populations.

        Parameters
        ----------
        cell, weights, steps
            The cell, the ensemble of every W, of which only the shape counts, and T.
        settle, count
            Steps before the measurement, and the number of sites of each, best a power of 2.
        lead
            By default all of these steps.
        rngs
            Of the scrambling, one for each population.
        """
        lead = settle if lead is None else min(lead, settle)
        per_step, own = len(cell.gates) + int(cell.reads_input_itself), len(cell.gates) + 1
        total = settle + max(steps, _WINDOW)
        dimensions = own + per_step * total
        z = np.stack([low_discrepancy_normals(dimensions, count, rng) for rng in rngs], axis=1)
        history = z[own:].reshape(total, per_step, len(rngs), count)
        # The measured steps matter most and get the most even dimensions.
        history = np.concatenate([history[total - settle :], history[: total - settle]])
        s_1 = first_coefficients(cell, weights)
        return cls(cell, steps, s_1, history, z[1:own], z[0], settle, lead)

    precision: ClassVar[float] = 1e-7
    fresh: ClassVar[bool] = True

    @property
    def variables(self) -> np.ndarray:  # noqa: D102
        return self.normals

    def rates(self, points: Sequence[Parameters], *, spread: bool = True) -> Rates:  # noqa: D102
        together = max(1, _TOGETHER // self.count)
        if self.populations > 1:
            (point,) = points
            return self._by_population(point, together, spread=spread)
        starts = range(0, len(points), together)
        parts = [self._measured(points[k : k + together], spread=spread) for k in starts]
        return Rates.joined(parts, np.concatenate)

    def settled_at(self, point: Parameters) -> "CommonSites":
        """Return these sites with the memory that they have at a point when the lead begins.

        Elsewhere the memory begins from there, its moments imposed, and has the lead to change.
        """
        early = self.settle - self.lead
        if early <= 0 or not imposed(self.cell, point):
            return self
        with np.errstate(all="ignore"):
            run = _Run(self, [point])
            for t in range(early):
                run.advance(run.imposed(t))
        memory = run.states[self.cell.memory[0]]
        if not np.isfinite(memory).all():
            return self
        return replace(self, normals=self.normals[early:], memory=memory, settle=self.lead)

    def _by_population(self, point: Parameters, together: int, *, spread: bool) -> Rates:
        parts = [
            replace(
                self,
                normals=self.normals[..., k : k + together, :],
                biases=self.biases[:, k : k + together],
                memory=self.memory[k : k + together],
            )
            for k in range(0, self.populations, together)
        ]
        measured = map_samples(lambda part: part._measured([point], spread=spread), parts)
        return Rates.joined(list(measured), np.concatenate)

    def _measured(self, points: Sequence[Parameters], *, spread: bool) -> Rates:
        with np.errstate(all="ignore"):
            run = _Run(self, points)
            variances = [run.weight[:, k] ** 2 for k in range(len(self.cell.gates))]
            d = len(self.cell.states)
            one: SiteMatrices = {(i, i): 1.0 for i in range(d)}
            change, rates, steps, product = one, [], [], []
            measured = self.steps if spread or run.frozen else 1
            for t in range(len(self.normals)):
                variables = run.imposed(t)
                if t < self.settle - self.lead:
                    run.advance(variables)
                    continue
                factors, states = step_of(self.cell, *variables)
                made = grown(factors, change, variances)
                change = made.after
                if t >= self.settle:
                    rates.append(made.rate)
                    if len(steps) < measured:
                        last = product[-1].after if product else one
                        steps.append(factors)
                        product.append(grown(factors, last, variances))
                run.arrive(states)
            return run.rates(steps, product, rates, variances, spread=spread)


def _column(values: Any, count: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, dtype=float), (count, 1))[:, 0]


@cache
def _updates(cell: Cell) -> sp.Tuple:
    return sp.Tuple(*cell.updates)


class _Run:
    """A population of the same sites at several points of hyperparameters, step by step."""

    def __init__(self, sites: CommonSites, points: Sequence[Parameters]) -> None:
        self.sites, self.points = sites, points
        groups = [[group for _, group in each.groups] for each in points]

        def table(name: str) -> np.ndarray:
            return np.array([[[getattr(g, name)] for g in row] for row in groups], dtype=float)

        self.weight, self.input, self.mean = map(table, ("weight_std", "input_std", "bias_mean"))
        frozen = np.array([[[p.is_frozen(k)] for k in range(len(p.groups))] for p in points])
        self.shift = table("bias_std") * frozen
        variance = np.array([[[each.input_variance]] for each in points])
        self.fixed = self.input**2 * variance + (table("bias_std") * ~frozen) ** 2
        self.frozen = any(each.has_frozen_bias for each in points)
        self.rows = max(len(points), sites.populations)
        self.states = [np.zeros((self.rows, sites.count)) for _ in sites.cell.states]
        self.started = False

    def variables(self, t: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Return states, preactivations and input of step t."""
        cell, z = self.sites.cell, self.sites.normals[t]
        gates: list[np.ndarray] = []
        squares: dict[int, Any] = {}
        for k, (source, owner) in enumerate(zip(cell.sources, distinct_sources(cell), strict=True)):
            if source == 0:
                squares[owner] = 0.0
            elif not self.started:  # nothing is known yet: the start of an orbit
                squares[owner] = 1.0
            elif owner not in squares:
                arguments = (*cell.states, *cell.gates[:k])
                y = array_function(arguments, source)(*self.states, *gates)
                squares[owner] = mean(y * y)
            q = self.weight[:, k] ** 2 * squares[owner] + self.fixed[:, k]
            e = self.mean[:, k] + np.sqrt(q) * z[k]
            if self.frozen:
                e = e + self.shift[:, k] * self.sites.biases[k]
            gates.append(e)
        inputs = self.points[0].inputs
        x = inputs.from_normal(z[len(gates)]) if len(z) > len(gates) else np.zeros(z.shape[1:])
        return self.states, gates, x

    def imposed(self, t: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
        """Return the same, from a memory that was given its moments where it is time for that."""
        variables = self.variables(t)
        if t < self.sites.settle and (t < _EARLY or t % _EARLY == 0):
            self.impose(variables)
            return self.variables(t)
        return variables

    def advance(self, variables: tuple[list[np.ndarray], list[np.ndarray], np.ndarray]) -> None:
        """Take the step."""
        states, gates, x = variables
        cell = self.sites.cell
        self.arrive(array_function(cell.site_symbols, _updates(cell))(*states, *gates, x))

    def impose(self, variables: tuple[list[np.ndarray], list[np.ndarray], np.ndarray]) -> None:
        """Shift and scale an affine memory to the moments that are stationary at present."""
        known, memory = affine_memory(self.sites.cell), self.sites.cell.memory
        if known is None or not imposed(self.sites.cell, self.points[0]):
            return
        _, gates, x = variables
        ((rest, slope),) = known
        arguments = (*self.sites.cell.gates, self.sites.cell.input)
        values = array_function(arguments, sp.Tuple(slope, rest))(*gates, x)
        a, b = (value + np.zeros_like(self.states[0]) for value in values)
        centre = mean(b) / (1 - mean(a))
        square = (mean(b * b) + 2 * mean(a * b) * centre) / (1 - mean(a * a))
        variance = square - centre**2
        state = self.states[memory[0]] if self.started else self.sites.memory + 0 * a
        centred = state - mean(state)
        moved = centre + centred * np.sqrt(variance / mean(centred * centred))
        # Where a site would keep its memory for ever there is nothing to impose.
        stationary = np.isfinite(moved).all(-1, keepdims=True) & (mean(a * a) < 1)
        self.states[memory[0]] = np.where(stationary, moved, state)

    def arrive(self, states: Sequence[Any]) -> None:
        """Let given states be the present ones."""
        self.states = [value + np.zeros_like(self.states[0]) for value in states]
        self.started = True

    @property
    def size(self) -> np.ndarray:
        """The mean square of the states, one number for each point."""
        return np.sum([np.mean(state**2, axis=-1) for state in self.states], axis=0)

    def kept(self, updates: Sequence[Mapping[int, Any]]) -> np.ndarray:
        """Return the mean square of the slopes of the memory."""
        memory = self.sites.cell.memory
        sums = [sum(np.abs(updates[i].get(j, 0.0)) for j in memory) for i in memory]
        squares = [_column(mean(np.square(each)), self.rows) for each in sums]
        return np.max(squares, axis=0) if squares else np.zeros(self.rows)

    def rates(
        self,
        steps: Sequence[Factors],
        product: Sequence[Growth],
        rates: Sequence[Any],
        variances: Sequence[Any],
        *,
        spread: bool,
    ) -> Rates:
        """Return what was measured over the steps of a product and at all that were watched."""
        means = sum(np.log(_column(made.rate, self.rows)) for made in product)
        over = [np.log(_column(rate, self.rows)) for rate in rates]
        growth = means / len(product) if self.frozen else sum(over) / len(over)
        bad = ~np.isfinite(growth) | ~(self.size < HUGE)
        if spread:
            found = spread_of(steps, product, variances, self.sites.s_1)
            spreads = np.log1p(_column(found, self.rows))
            bad |= ~np.isfinite(spreads)
        else:
            spreads, means = np.full(self.rows, np.nan), np.full(self.rows, np.nan)
        growth, means, spreads = (np.where(bad, np.nan, each) for each in (growth, means, spreads))
        return Rates(growth, means, spreads, self.kept(steps[-1].updates), self.size, growth)


def first_coefficients(cell: Cell, weights: WeightsChoice) -> tuple[float, ...]:
    """Return s_1 of the W of every preactivation; the scale is that of the hyperparameters."""
    return tuple(
        ensemble(weights[each.name] if isinstance(weights, Mapping) else weights, 1.0).s_1
        if each.reads_state
        else 0.0
        for each in cell.preactivations
    )


def imposed(cell: Cell, parameters: Parameters) -> bool:
    """Whether a memory can be given its stationary moments: one affine state, its gates fresh."""
    known = affine_memory(cell)
    return known is not None and len(cell.memory) == 1 and not parameters.has_frozen_bias


def settling(kept: float, *, frozen: bool = False) -> int:
    """Return how many steps second moments need to forget their start, a power of 2."""
    longest = _LONGEST_FROZEN if frozen else _LONGEST
    if not 0 < kept < 1:
        return _SHORTEST if kept <= 0 else longest
    needed = math.log(_FORGOTTEN) / math.log(kept)
    return int(min(longest, 2 ** math.ceil(math.log2(max(_SHORTEST, needed)))))
