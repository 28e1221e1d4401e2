"""Populations of sites on their way, side by side and evenly driven (array-RQMC)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from scipy.stats import qmc

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import Cell, Parameters, StepDerivatives, array_function
from rmt_jacobian.mean_field.averages.bends import drawn_deviation
from rmt_jacobian.mean_field.averages.factors import entangles
from rmt_jacobian.mean_field.averages.fresh import FreshVariables
from rmt_jacobian.mean_field.averages.low_discrepancy import (
    low_discrepancy_normals,
    normal_quantiles,
)
from rmt_jacobian.mean_field.memory.affine import affine_memory, affine_part
from rmt_jacobian.mean_field.memory.affine_moments import memory_edge, stationary_second
from rmt_jacobian.mean_field.populations.coordinates import along_sums, gate_sums, lasting_memory
from rmt_jacobian.mean_field.populations.site_models import Drives

__all__ = ["REPLICATES", "Population", "Walk", "together"]

REPLICATES = 8
"""R, the number of independent populations."""

_REMEMBERED = 8  # moments of a memory
_STORED = 2**22  # normal variables that are kept


@dataclass(frozen=True, eq=False)
class Population:
    """R populations of sites.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    count
        Sites of each population, a power of 2.
    seed
        Of all.
    spread
        How much wider than their law frozen biases are; ``weights`` make up for it.
    splits
        Whether sites are split where few of them carry a change, which is no smooth function.
    """

    cell: Cell
    parameters: Parameters
    count: int = 256
    seed: int = 0
    spread: float = 1.0
    splits: bool = True
    normals: dict[tuple[int, int], np.ndarray] = field(default_factory=dict, repr=False)
    _moments: dict[Any, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)

    @cached_property
    def frozen(self) -> list[int]:
        """The preactivations whose biases are frozen, of those that a site reads."""
        cell = self.cell
        read = {symbol for each in (*cell.updates, *cell.sources) for symbol in each.free_symbols}
        return [k for k, gate in enumerate(cell.gates)
                if gate in read and self.parameters.is_frozen(k)]  # fmt: skip

    @property
    def closes(self) -> bool:
        """Whether the moments of the memory are known, given the frozen biases of a site."""
        return affine_memory(self.cell) is not None and not (self.frozen and self.entangled)

    @property
    def entangled(self) -> bool:
        """Whether averages over what writes the memory need point sets."""
        return entangles(self.cell, tuple(self.cell.updates[i] for i in self.cell.memory))

    @cached_property
    def ground(self) -> np.ndarray:
        """What stays: of frozen biases and of the first memories, shape (R, variables, sites)."""
        variables = len(self.frozen) + 2 * len(self.cell.memory)
        rngs = spawn(self.seed, REPLICATES)
        return np.stack([low_discrepancy_normals(variables, self.count, rng) for rng in rngs])

    @cached_property
    def biases(self) -> np.ndarray:
        """Frozen biases of the sites, shape (preactivations, R, sites)."""
        biases = np.zeros((len(self.cell.gates), REPLICATES, self.count))
        for i, k in enumerate(self.frozen):
            spread = self.spread if self._remembers(k) else 1.0
            biases[k] = self.parameters.groups[k][1].bias_std * spread * self.ground[:, i]
        return biases

    @cached_property
    def weights(self) -> np.ndarray:
        """The density of the law of the biases over that of the sites, shape (R, sites)."""
        spread = [i for i, k in enumerate(self.frozen) if self._remembers(k)]
        log = math.log(self.spread) - (self.spread**2 - 1) * self.ground[:, spread] ** 2 / 2
        return np.exp(log.sum(axis=1))

    def _remembers(self, k: int) -> bool:
        """Whether a gate decides how much of a change is kept."""
        kept = (entry for row in self.cell.state_derivatives for entry in row)
        return any(entry.has(self.cell.gates[k]) for entry in kept)

    def memory_moments(self, drives: Drives) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean of an affine memory, and its covariance in one network or in two."""
        key = (self.count, self.spread, drives)
        if key not in self._moments:
            if len(self._moments) >= _REMEMBERED:
                self._moments.clear()
            update = affine_memory(self.cell)
            assert update is not None  # see closes
            second = stationary_second(update, self.fresh(drives))
            mean = second[..., 0, 1:]
            covariance = second[..., 1:, 1:] - mean[..., :, None] * mean[..., None, :]
            self._moments[key] = mean, covariance
        return self._moments[key]

    def edge_of_part(self, drives: Drives) -> float:
        """Return what sites of rare biases keep of a part of the memory that is affine by itself.

        Populations hardly hold them, though they alone are left in the end.
        """
        part = affine_part(self.cell)
        slopes = () if part is None else tuple(entry for row in part for entry in row[1:])
        if part is None or not self.frozen or entangles(self.cell, slopes):
            return 0.0
        return memory_edge(self.cell, self.parameters, part, self.fresh(drives))

    def fresh(self, drives: Drives) -> FreshVariables:
        """Return the fresh variables, given the frozen biases of each site."""
        return FreshVariables(
            self.cell, self.parameters, drives.variances, drives.correlations,
            drives.input_correlation, self.biases if self.frozen else None,
        )  # fmt: skip


class Walk:
    """Populations on their way: their states, and the fresh variables that meet them."""

    def __init__(
        self,
        model: Population,
        variances: tuple[float, ...],
        others: list[Drives],
        *,
        memory_only: bool = False,
    ) -> None:
        cell = model.cell
        self.model, self.variances, self.others = model, tuple(variances), others
        groups = [group for _, group in model.parameters.groups]
        self.std = [drawn_deviation(cell, variance, group.bias_mean)
                    for variance, group in zip(variances, groups, strict=True)]  # fmt: skip
        self.count, self.networks = model.count, 1 + len(others)
        self.time = 0
        self.wanted = cell.memory if memory_only else tuple(range(len(cell.states)))
        read = {s for i in self.wanted for s in cell.updates[i].free_symbols}
        self.gates = [k for k, gate in enumerate(cell.gates) if gate in read or not memory_only]
        self.reads_input = cell.input in read
        self.updates = together(cell.site_symbols, tuple(cell.updates[i] for i in self.wanted))
        self.per_copy = len(self.gates) + int(self.reads_input)
        self.biases = model.biases
        self.memory = [(copy, i) for copy in range(self.networks) for i in cell.memory]
        self.states = np.zeros((self.networks, len(cell.states), REPLICATES, self.count))
        self.carried: dict[Any, np.ndarray] = {}
        if self.memory and model.closes:
            self._start(Drives(tuple(variances)))
        self.copies: list[tuple[Any, Any, Any]] = []

    def _start(self, drives: Drives) -> None:
        """Start from Gaussian memories of the right moments, in each network and in both."""
        model = self.model
        mean, covariance = model.memory_moments(drives)
        root = _root(covariance)
        z = np.moveaxis(model.ground[:, len(model.frozen) :], 1, 2)
        m = mean.shape[-1]
        first = np.einsum("...ij,...j->...i", root, z[..., :m])
        for copy in range(self.networks):
            own = first
            if copy:
                _, shared = model.memory_moments(self.others[copy - 1])
                slope = shared @ np.linalg.pinv(covariance, hermitian=True)
                rest = covariance - slope @ np.swapaxes(shared, -1, -2)
                own = np.einsum("...ij,...j->...i", slope, first)
                own = own + np.einsum("...ij,...j->...i", _root(rest), z[..., m:])
            self.states[copy, list(model.cell.memory)] = np.moveaxis(mean + own, -1, 0)

    def run(self, steps: int) -> None:
        """Take some steps."""
        for _ in range(steps):
            self.draw()
            self.update()

    def draw(self) -> None:
        """Put the sites in order, and let fresh variables meet them."""
        self._sort()
        parameters = self.model.parameters
        z = self._normals()
        inputs = parameters.inputs
        self.copies = []
        own = self._along_sums(z[: self.per_copy])
        for copy in range(self.networks):
            drives = self.others[copy - 1] if copy else None
            # All others share what is fresh in them: where a symmetry turns the one into the
            # other, their averages then cancel exactly.
            fresh = self._along_sums(z[self.per_copy :], drives) if copy else own
            gates: list[Any] = [0.0] * len(parameters.groups)
            for i, k in enumerate(self.gates):
                normal = own[i]
                if drives is not None and drives.correlations is not None:
                    normal = _mixed(own[i], fresh[i], drives.correlations[k])
                mean = parameters.groups[k][1].bias_mean
                gates[k] = mean + self.biases[k] + self.std[k] * normal
            x: Any = np.zeros((REPLICATES, self.count))
            if self.reads_input:
                latent = 1.0
                if drives is not None:
                    latent = inputs.latent_correlation(drives.input_correlation)
                x = inputs.from_normal(_mixed(own[-1], fresh[-1], latent))
            self.copies.append((list(self.states[copy]), gates, x))

    def _along_sums(self, z: np.ndarray, drives: Drives | None = None) -> np.ndarray:
        """Turn normal variables so that the first of them are sums that are read as one."""
        sums = np.array(gate_sums(self.model.cell)).reshape(-1, len(self.std))[:, self.gates]
        sums = sums[np.count_nonzero(sums, axis=1) > 1]
        if not len(sums):
            return z
        scales = np.array(self.std)[self.gates]
        if drives is not None and drives.correlations is not None:
            scales = scales * np.sqrt(1 - np.square(drives.correlations))[self.gates]
        turned = np.tensordot(along_sums(sums, scales), z[: len(self.gates)], 1)
        return np.concatenate([turned, z[len(self.gates) :]])

    def update(self) -> None:
        """Take the step."""
        self.states = np.array(self.states)
        for copy, (states, gates, x) in enumerate(self.copies):
            for i, value in zip(self.wanted, self.updates(*states, *gates, x), strict=True):
                self.states[copy, i] = value
        self.time += 1

    def split(self, weight: np.ndarray) -> None:
        """Let there be as many of each site as its weight says; what they carry is divided by it.

        Parameters
        ----------
        weight
            Of each site, shape (R, sites), in the present order.
        """
        # In the order of a sequence, even places would meet an uneven part of it.
        order = self._lasting_order() if self._keys else np.argsort(weight, axis=-1)
        reached = np.cumsum(_rearranged(weight, order), axis=-1)
        shift = np.random.default_rng([self.model.seed, 0, 0, self.time]).random((REPLICATES, 1))
        places = (np.arange(self.count) + shift) / self.count * reached[:, -1:]
        chosen = np.stack([np.searchsorted(*each) for each in zip(reached, places, strict=True)])
        chosen = _rearranged(order, np.minimum(chosen, self.count - 1))
        chosen.sort(axis=-1)  # the next step orders sites anew, and memory is read in its order
        self._rearrange(chosen)
        own = _rearranged(weight, chosen) / weight.mean(axis=-1, keepdims=True)
        self.carried = {key: value / own for key, value in self.carried.items()}

    def derivatives(self) -> list[StepDerivatives]:
        """Return the diagonals of the Jacobian of this step in every copy."""
        cell = self.model.cell
        tables = (cell.state_derivatives, cell.gate_derivatives, cell.source_state_derivatives,
                  cell.source_gate_derivatives)  # fmt: skip
        keys = [
            [(i, j) for i, row in enumerate(table) for j, entry in enumerate(row) if entry != 0]
            for table in tables
        ]
        entries = tuple(t[i][j] for t, kept in zip(tables, keys, strict=True) for i, j in kept)
        function, found = together(cell.site_symbols, entries), []
        for states, gates, x in self.copies:
            values = iter(function(*states, *gates, x))
            found.append(StepDerivatives(*({key: next(values) for key in kept} for kept in keys)))
        return found

    def powers(self, keys: list[tuple[int, int, int]], unit: float) -> np.ndarray:
        """Return c_0^j c_copy^k of the only memory for each (copy, j, k)."""
        powers = [list(each) for each in self._powers(keys, unit)]
        return np.stack([powers[0][j] * powers[copy][k] for copy, j, k in keys])

    def mean_powers(self, keys: list[tuple[int, int, int]], unit: float) -> np.ndarray:
        """Return the averages of :meth:`powers` over the sites, shape (keys, R)."""
        powers = [np.moveaxis(each, 0, 1) for each in self._powers(keys, unit)]
        means = [powers[0] @ np.swapaxes(each, 1, 2) / self.count for each in powers]
        return np.stack([means[copy][:, j, k] for copy, j, k in keys])

    def _powers(self, keys: list[tuple[int, int, int]], unit: float) -> list[np.ndarray]:
        """Return the powers of the memory in each copy, shape (orders, R, sites)."""
        (i,) = self.model.cell.memory
        order, powers = max(max(j, k) for _, j, k in keys), []
        for states, _, x in self.copies:
            found = np.ones((order + 1, *x.shape))
            for n in range(order):
                np.multiply(found[n], states[i] / unit, out=found[n + 1])
            powers.append(found)
        return powers

    def state_squares(self) -> np.ndarray:
        """Return E[s^2] of the first copy in every replicate, shape (states, R)."""
        return (self.states[0] ** 2).mean(axis=2)

    @property
    def _keys(self) -> int:
        """By how many coordinates the sites are sorted."""
        lasting = len(lasting_memory(self.model.cell)) * self.networks
        return 0 if self.model.frozen else min(2, lasting)

    def _sort(self) -> None:
        if self._keys:
            self._rearrange(self._lasting_order())

    def _lasting_order(self) -> np.ndarray:
        """Return the order of the sites by what they remember, shape (R, sites)."""
        lasting = list(lasting_memory(self.model.cell))
        if self.networks > 1:
            first, *others = self.states[:, lasting].sum(axis=1)
        else:
            first, *others = self.states[0, lasting]
        return _order([first, *([np.sum(others, axis=0)] if others else [])])

    def _rearrange(self, order: np.ndarray) -> None:
        """Let sites and all they carry stand in another order, shape (R, sites)."""
        self.states = _rearranged(self.states, order)
        if self.model.frozen:
            self.biases = _rearranged(self.biases, order)
        self.carried = {
            key: _rearranged(np.broadcast_to(value, order.shape), order)
            for key, value in self.carried.items()
        }

    def _normals(self) -> np.ndarray:
        """Return the normal variables of this step, shape (variables, populations, sites)."""
        variables = self.per_copy * min(2, self.networks)
        model, key = self.model, (variables, self.time)
        if key in model.normals:
            return model.normals[key]
        points = _point_set(self._keys, variables, self.count)
        rng = np.random.default_rng([model.seed, *key])
        shifts = rng.random((len(points), REPLICATES, 1))
        moved = points[:, None] + shifts
        if not self._keys:
            # One order for all variables of a population: in them the points stay even.
            order = rng.permuted(np.tile(np.arange(self.count), (REPLICATES, 1)), axis=-1)
            moved = _rearranged(moved, order)
        z = normal_quantiles(moved - (moved >= 1))
        if z.size * (len(model.normals) + 1) <= _STORED:
            model.normals[key] = z
        return z


def together(
    symbols: tuple[sp.Symbol, ...], expressions: tuple[sp.Expr, ...]
) -> Callable[..., Any]:
    """Return several expressions as one function, which computes what they share once."""
    return array_function(symbols, sp.Tuple(*expressions))  # pyright: ignore[reportArgumentType]


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return a root of a covariance; what rounding leaves below 0 is 0."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.clip(values, 0, None))[..., None, :]


def _mixed(own: np.ndarray, fresh: np.ndarray, correlation: float) -> np.ndarray:
    if abs(correlation) == 1:
        return correlation * own
    return correlation * own + math.sqrt((1 - correlation) * (1 + correlation)) * fresh


def _rearranged(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return values, shape (..., R, sites), at places of their own in each population."""
    places = (order + np.arange(len(order))[:, None] * order.shape[1]).ravel()
    flat = values.reshape(*values.shape[:-2], order.size)  # of any number of rows, none included
    return flat.take(places, axis=-1).reshape(values.shape)


def _order(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Return the order by one coordinate, or in strips of one by another; sites last."""
    order = np.argsort(keys[0], axis=-1)
    if len(keys) == 1:
        return order
    count = order.shape[-1]
    strips = 2 ** (round(math.log2(count)) // 2)
    split = order.reshape(*order.shape[:-1], strips, count // strips)
    second = _rearranged(keys[1], order).reshape(split.shape)
    within = np.argsort(second, axis=-1).reshape(-1, split.shape[-1])
    return _rearranged(split.reshape(within.shape), within).reshape(order.shape)


@lru_cache(maxsize=16)
def _point_set(keys: int, variables: int, count: int) -> np.ndarray:
    """Return an even set whose points are in the order of the sites, shape (variables, count)."""
    points = qmc.Sobol(keys + variables, rng=np.random.default_rng(0)).random(count).T
    return points[keys:, _order(list(points[:keys, None]))[0]] if keys else points
