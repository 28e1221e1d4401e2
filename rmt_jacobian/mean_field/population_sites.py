r"""Independent populations of sites, for cells whose moments do not close.

The sites of a population are run side by side.  At every step they are put in the order of their
memory and meet an even set of points in that order, shifted anew at random, so that averages stay
even however long the memory (array-RQMC, :cite:t:`LEcuyerLecotTuffin2008`).  Moments of an affine
memory are known exactly, and what the sites miss of them corrects the averages (control variates).
Independent populations tell the error.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp
from scipy.stats import qmc

from rmt_jacobian.arrays import spawn
from rmt_jacobian.cells import (
    Cell, Parameters, StepDerivatives, array_function, compile_cell,
)
from rmt_jacobian.errors import InfeasibleError
from rmt_jacobian.mean_field.affine import affine_memory
from rmt_jacobian.mean_field.affine_moments import (
    growth_of_memory, is_frozen, memory_edge, refuse_growth, stationary_second,
)
from rmt_jacobian.mean_field.fresh import FreshVariables
from rmt_jacobian.mean_field.low_discrepancy import low_discrepancy_normals, normal_quantiles
from rmt_jacobian.mean_field.memory import memory_powers
from rmt_jacobian.mean_field.memory_outputs import Output, memory_outputs
from rmt_jacobian.mean_field.site_models import Drives, SiteModel
from rmt_jacobian.mean_field.symmetry import SignFlip, sign_flip

__all__ = ["PopulationSites"]

_REPLICATES = 8
_ROUGHEST, _FINEST = 128, 2**16  # sites of a population
_FORGOTTEN = 1e-5  # of the shape of the first memory
_SHORTEST, _LONGEST = 8, 512  # steps of settling
_GAUSSIAN = 2048  # steps of settling for which a memory is Gaussian
_FIRST = 32  # steps before it is seen how much the memory keeps
_AVERAGED = 8  # steps over which averages are taken
_GROWTH, _GROWTH_LONGEST = 24, 400  # steps of a growth rate, and of its settling
_TRANSIENT = 1e-5  # of a growth rate
_ORDER = 6  # of the moments that correct averages
_GROWS = 1.05  # from one long run to the next, of a moment that is not stationary
_NOTHING = 1e-80  # of a variance; its powers underflow
_STORED = 2**22  # normal variables that are kept


@dataclass(frozen=True, eq=False)
class PopulationSites(SiteModel):
    """Averages over R populations.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    count
        Sites of each population, a power of 2.
    seed
        Of all.
    """

    cell: Cell
    parameters: Parameters
    count: int = 256
    seed: int = 0
    _normals: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    _plans: dict[bool, tuple[int, int]] = field(default_factory=dict)

    @property
    def points(self) -> int:  # noqa: D102
        return self.count * _REPLICATES

    def refined(self, factor: int) -> "PopulationSites | None":  # noqa: D102
        count = self.count * factor
        return None if count > _FINEST else replace(self, count=count, _normals={})

    def rough(self) -> "PopulationSites":  # noqa: D102
        return self if self.count <= _ROUGHEST else replace(self, count=_ROUGHEST, _normals={})

    @cached_property
    def frozen(self) -> list[int]:
        """The preactivations whose biases are frozen."""
        return [k for k in range(len(self.cell.gates)) if is_frozen(self.parameters, k)]

    def fresh(self, drives: Drives) -> FreshVariables:
        """Return the fresh variables."""
        return FreshVariables(
            self.cell, self.parameters, drives.variances, drives.correlations,
            drives.input_correlation,
        )  # fmt: skip

    def squares(self, drives: Drives) -> np.ndarray:  # noqa: D102
        paired = drives.correlations is not None
        flip = sign_flip(self.cell, self.parameters) if paired else None
        others = [drives] if paired else []
        if flip is not None:
            others.append(_flipped(drives, flip))
        outputs = None if self.frozen else memory_outputs(self.cell)
        if outputs is None:
            found = self._averaged(drives, others, self._source_products)
        else:
            found = self._of_outputs(drives, others, outputs)
        if flip is None:
            return found
        plain, turned = np.split(found, 2, axis=1)
        return (plain + np.array(flip.sources) * turned) / 2

    def _source_products(self, walk: "_Walk") -> list[np.ndarray]:
        y = [[walk.compiled.source(k, s, e) + 0 * x for k in range(len(self.cell.gates))]
             for s, e, x in walk.copies]  # fmt: skip
        return [a * b for other in (y[1:] or y) for a, b in zip(y[0], other, strict=True)]

    def _of_outputs(
        self, drives: Drives, others: list[Drives], outputs: tuple[tuple[Output, ...], ...]
    ) -> np.ndarray:
        """Average what is remembered over sites, and what is fresh exactly."""
        cell, each = self.cell, others or [Drives(drives.variances)]
        fresh = [self.fresh(one) for one in each]
        parts = sorted({o.remembered for terms in outputs for o in terms}, key=sp.default_sort_key)
        function = _together(cell.states, tuple(parts))
        pairs = list(itertools.product(range(len(parts)), repeat=2))

        def products(walk: _Walk) -> list[np.ndarray]:
            g = [[part + 0 * x for part in function(*s)] for s, _, x in walk.copies]
            return [g[0][a] * other[b] for other in (g[1:] or g) for a, b in pairs]

        means = self._averaged(drives, others, products, memory_only=True)
        means = means.reshape(len(means), len(each), len(parts), len(parts))
        found = np.zeros((len(means), len(each), len(outputs)))
        for k, terms in enumerate(outputs):
            for one, two in itertools.product(terms, repeat=2):
                a, b = parts.index(one.remembered), parts.index(two.remembered)
                for copy, variables in enumerate(fresh):
                    share = float(variables.product(one.fresh, two.fresh).mean())
                    found[:, copy, k] += share * means[:, copy, a, b]
        return found.reshape(len(means), -1)

    def state_squares(self, drives: Drives) -> np.ndarray:  # noqa: D102
        return self._averaged(drives, [], lambda walk: [s * s for s in walk.copies[0][0]])

    def _averaged(
        self,
        drives: Drives,
        others: list[Drives],
        values: Callable[["_Walk"], Sequence[np.ndarray]],
        *,
        memory_only: bool = False,
    ) -> np.ndarray:
        """Average functions of a step over sites and some steps, shape (R, functions)."""
        update = affine_memory(self.cell)
        if self._closes and growth_of_memory(update, self.fresh(drives)):  # pyright: ignore
            return np.full((_REPLICATES, len(self.cell.gates)), np.inf)
        unit = self._unit(drives)
        known = self._known_powers(drives, others, unit)
        walk = _Walk(self, drives.variances, others, memory_only=memory_only)
        walk.run(self.settling(drives))
        found, missed, slopes = [], [], None
        for _ in range(_AVERAGED):
            walk.draw()
            now = np.stack(np.broadcast_arrays(*values(walk)))
            found.append(now.mean(axis=2))
            if known:
                seen = walk.powers(list(known), unit)
                if slopes is None:
                    slopes = _regression(now, seen)
                missed.append(seen.mean(axis=2) - np.array(list(known.values()))[:, None])
            walk.update()
        mean = np.mean(found, axis=0)
        if slopes is not None:
            mean = mean - slopes @ np.mean(missed, axis=0)
        return mean.T

    @cached_property
    def _closes(self) -> bool:
        """Whether the moments of the memory are known."""
        return affine_memory(self.cell) is not None and not self.frozen

    def _unit(self, drives: Drives) -> float:
        """Return the deviation of the only memory."""
        update = affine_memory(self.cell)
        if not self._closes or update is None or len(update) > 1:
            return 1.0
        second = stationary_second(update, self.fresh(Drives(drives.variances)))
        square = float(second[..., 1, 1].mean())
        return math.sqrt(square) if square > _NOTHING else 1.0

    def _known_powers(
        self, drives: Drives, others: list[Drives], unit: float
    ) -> dict[tuple[int, int, int], float]:
        """Return exact moments: (copy, j, k) stands for the average of c_0^j c_copy^k."""
        if not self._closes or len(self.cell.memory) > 1:
            return {}
        known: dict[tuple[int, int, int], float] = {}
        for copy, each in enumerate(others or [Drives(drives.variances)]):
            fresh = self.fresh(each)
            powers = memory_powers(self.cell, fresh, _ORDER, paired=bool(others), unit=unit)
            known |= {(copy + bool(others), j, k): value for (j, k), value in powers.items()
                      if k or not copy}  # fmt: skip
        return known

    def settling(self, drives: Drives) -> int:
        """Return how many steps the memory of a site needs to forget its start."""
        if not self.cell.memory:
            return len(self.cell.states)
        kept = self._kept_shape(drives)
        if kept >= 1:
            return _FIRST if self._closes else _LONGEST
        needed = math.log(_FORGOTTEN) / math.log(kept) if kept > 0 else 0.0
        if self._closes and needed > _GAUSSIAN:
            return _FIRST  # a sum of so many parts is Gaussian, which is how the memory starts
        return int(min(_LONGEST, max(_SHORTEST, len(self.cell.states), math.ceil(needed))))

    def _kept_shape(self, drives: Drives) -> float:
        """Return what a step keeps of the shape of the memory, beyond the moments imposed."""
        memory, update = self.cell.memory, affine_memory(self.cell)
        if self._closes and update is not None:
            fresh = self.fresh(Drives(drives.variances))
            if len(memory) == 1:
                return float(fresh.average(update[0][1] ** 4).mean())  # pyright: ignore
            return memory_edge(self.cell, self.parameters, update, fresh)
        walk = _Walk(self.rough(), drives.variances, [])
        walk.run(_FIRST)
        walk.draw()
        slopes = walk.derivatives()[0].state
        return max(
            float(np.mean(sum(np.abs(slopes.get((i, j), 0.0)) for j in memory) ** 2))
            for i in memory
        )

    def refuse_growth(self, drives: Drives) -> None:
        """Refuse a memory whose second moment grows for ever.

        Raises
        ------
        InfeasibleError
            If it does.
        """
        cell, memory = self.cell, affine_memory(self.cell)
        if memory is not None:
            refuse_growth(cell, self.parameters, memory, self.fresh(drives))
            return
        if not cell.memory:
            return
        walk = _Walk(self.rough(), drives.variances, [])
        walk.run(_LONGEST)
        before = walk.state_squares()
        walk.run(_LONGEST)
        after = walk.state_squares()
        if growing := [i for i in cell.memory if after[i] > _GROWS * before[i]]:
            names = " and ".join(str(cell.states[i]) for i in growing)
            raise InfeasibleError(
                f"{cell.name}: {names} still grow{'s' if len(growing) == 1 else ''} after "
                f"{_LONGEST} steps, so that no stationary state is found: let the update forget"
            )

    def kept(self, drives: Drives) -> float:  # noqa: D102
        memory = affine_memory(self.cell)
        if memory is not None:
            return memory_edge(self.cell, self.parameters, memory, self.fresh(drives))
        if not self.cell.memory:
            return 0.0
        return float(np.mean(self._rate(drives, self.settling(drives), _GROWTH, alone=True)))

    def growth(self, drives: Drives) -> np.ndarray:  # noqa: D102
        kept = self.kept(drives)
        settle, warm = self._growth_steps(drives, kept)
        found = self._rate(drives, settle, warm)
        # What the most retentive sites keep is the least that is left in the end.
        return np.where(np.abs(found) < kept, kept, found) if self.frozen else found

    def transient(self, drives: Drives, rate: float) -> float:  # noqa: D102
        kept = self.kept(drives)
        _, warm = self._growth_steps(drives, kept)
        share = min(1.0, kept / abs(rate)) if rate else 0.0
        return 2 * abs(abs(rate) - kept) * share**warm

    def _growth_steps(self, drives: Drives, kept: float) -> tuple[int, int]:
        """Return the steps of settling, of sites and of a change; the same for all near drives."""
        paired = drives.correlations is not None
        if paired not in self._plans:
            settle = self.settling(drives)
            rough = float(np.mean(self.rough()._rate(drives, settle, _GROWTH)))
            share = kept / abs(rough) if rough else 0.0
            turns = math.log(_TRANSIENT) / math.log(share) if 0 < share < 1 else 0
            warm = min(_GROWTH_LONGEST, math.ceil(turns)) if share < 1 else _GROWTH_LONGEST
            self._plans[paired] = settle, max(_GROWTH // 2, warm)
        return self._plans[paired]

    def _rate(
        self, drives: Drives, settle: int, warm: int, *, alone: bool = False
    ) -> np.ndarray:
        """Return the growth rate a step after ``warm`` steps, shape (R,)."""
        walk = _Walk(self, drives.variances, [drives] if drives.correlations else [])
        walk.run(settle)
        change = _Change(walk, alone=alone)
        change.run(warm)
        first = np.array(change.log_size)
        change.run(_GROWTH)
        rate = np.exp((change.log_size - first) / _GROWTH)
        return rate * change.sign

    def log_mean_squares(self, drives: Drives, steps: int) -> np.ndarray:  # noqa: D102
        walk = _Walk(self, drives.variances, [drives] if drives.correlations else [])
        walk.run(self.settling(drives))
        change = _Change(walk)
        found = [np.zeros(_REPLICATES)]
        for _ in range(steps):
            change.run(1)
            found.append(change.log_size)
        return np.stack(found, axis=1)


def _flipped(drives: Drives, flip: SignFlip) -> Drives:
    correlations = tuple(
        c * sign for c, sign in zip(drives.correlations or (), flip.gates, strict=True)
    )
    return replace(
        drives, correlations=correlations, input_correlation=drives.input_correlation * flip.input
    )


def _regression(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Return the slopes of values in controls over all sites, shape (values, controls)."""
    y = values.reshape(len(values), -1)
    x = controls.reshape(len(controls), -1)
    x = x - x.mean(axis=1, keepdims=True)
    scale = np.maximum(x.std(axis=1), 1e-300)[:, None]
    found = np.linalg.lstsq(((x / scale) @ (x / scale).T), (x / scale) @ y.T, rcond=1e-10)[0]
    return found.T / scale.T


class _Walk:
    """Populations on their way: their states, and the fresh variables that meet them."""

    def __init__(
        self,
        model: PopulationSites,
        variances: tuple[float, ...],
        others: list[Drives],
        *,
        memory_only: bool = False,
    ) -> None:
        cell = model.cell
        self.model, self.others = model, others
        self.compiled = compile_cell(cell)
        self.std = np.sqrt(variances)
        self.count, self.copies_count = model.count, 1 + len(others)
        self.time = 0
        self.wanted = cell.memory if memory_only else tuple(range(len(cell.states)))
        read = {s for i in self.wanted for s in cell.updates[i].free_symbols}
        self.gates = [
            k for k, gate in enumerate(cell.gates) if gate in read or not memory_only
        ]
        self.reads_input = cell.input in read
        self.updates = _together(cell.site_symbols, tuple(cell.updates[i] for i in self.wanted))
        self.per_copy = len(self.gates) + int(self.reads_input)
        self.biases = self._draw_biases()
        self.memory = [(copy, i) for copy in range(self.copies_count) for i in cell.memory]
        self.states = np.zeros((self.copies_count, len(cell.states), _REPLICATES, self.count))
        self.carried: dict[Any, np.ndarray] = {}
        if self.memory and model._closes:
            self._start(Drives(tuple(variances)))
        self.copies: list[tuple[Any, Any, Any]] = []

    def _draw_biases(self) -> np.ndarray:
        model = self.model
        biases = np.zeros((len(model.cell.gates), _REPLICATES, self.count))
        if model.frozen:
            for r, rng in enumerate(spawn(model.seed, _REPLICATES)):
                z = low_discrepancy_normals(len(model.frozen), self.count, rng)
                for i, k in enumerate(model.frozen):
                    biases[k, r] = model.parameters.groups[k][1].bias_std * z[i]
        return biases

    def _start(self, drives: Drives) -> None:
        """Start from a Gaussian memory of the right moments, independent in the copies."""
        model = self.model
        update = affine_memory(model.cell)
        second = stationary_second(update, model.fresh(drives)).mean(axis=(0, 1))  # pyright: ignore
        mean = second[0, 1:]
        values, vectors = np.linalg.eigh(second[1:, 1:] - np.outer(mean, mean))
        root = vectors * np.sqrt(np.clip(values, 0, None))
        m = len(mean)
        for r, rng in enumerate(spawn(model.seed, _REPLICATES)):
            z = low_discrepancy_normals(2 * m, self.count, rng)
            for copy in range(self.copies_count):
                own = mean[:, None] + root @ (z[m:] if copy else z[:m])
                self.states[copy, list(model.cell.memory), r] = own

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
        own = z[: self.per_copy]
        for copy in range(self.copies_count):
            drives = self.others[copy - 1] if copy else None
            # All others share what is fresh in them: where a symmetry turns the one into the
            # other, their averages then cancel exactly.
            fresh = z[self.per_copy :] if copy else own
            gates: list[Any] = [0.0] * len(parameters.groups)
            for i, k in enumerate(self.gates):
                normal = own[i]
                if drives is not None and drives.correlations is not None:
                    normal = _mixed(own[i], fresh[i], drives.correlations[k])
                mean = parameters.groups[k][1].bias_mean
                gates[k] = mean + self.biases[k] + self.std[k] * normal
            x: Any = np.zeros((_REPLICATES, self.count))
            if self.reads_input:
                latent = 1.0
                if drives is not None:
                    latent = inputs.latent_correlation(drives.input_correlation)
                x = inputs.from_normal(_mixed(own[-1], fresh[-1], latent))
            self.copies.append((list(self.states[copy]), gates, x))

    def update(self) -> None:
        """Take the step."""
        self.states = np.array(self.states)
        for copy, (states, gates, x) in enumerate(self.copies):
            for i, value in zip(self.wanted, self.updates(*states, *gates, x), strict=True):
                self.states[copy, i] = value
        self.time += 1

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
        function, found = _together(cell.site_symbols, entries), []
        for states, gates, x in self.copies:
            values = iter(function(*states, *gates, x))
            found.append(StepDerivatives(*({key: next(values) for key in kept} for kept in keys)))
        return found

    def powers(self, keys: list[tuple[int, int, int]], unit: float) -> np.ndarray:
        """Return c_0^j c_copy^k of the only memory for each (copy, j, k)."""
        (i,) = self.model.cell.memory
        powers = []
        for states, _, x in self.copies:
            row = [np.ones(x.shape)]
            for _ in range(_ORDER):
                row.append(row[-1] * (states[i] / unit))
            powers.append(row)
        return np.stack([powers[0][j] * powers[copy][k] for copy, j, k in keys])

    def state_squares(self) -> np.ndarray:
        """Return E[s^2] of the first copy."""
        return (self.states[0] ** 2).mean(axis=(1, 2))

    @property
    def _keys(self) -> int:
        """By how many coordinates the sites are sorted."""
        return 0 if self.model.frozen else min(2, len(self.memory))

    def _sort(self) -> None:
        if not self._keys:
            return
        keys = [self.states[copy, i] for copy, i in self.memory]
        if len(keys) > 2:
            keys = [keys[0], sum(keys[1:])]
        order = _order(keys)
        self.states = np.take_along_axis(self.states, order[None, None], axis=-1)
        self.carried = {
            key: np.take_along_axis(np.broadcast_to(value, order.shape), order, axis=-1)
            for key, value in self.carried.items()
        }

    def _normals(self) -> np.ndarray:
        """Return the normal variables of this step, shape (variables, populations, sites)."""
        variables = self.per_copy * min(2, self.copies_count)
        model, key = self.model, (variables, self.time)
        if key in model._normals:
            return model._normals[key]
        points = _point_set(self._keys, variables, self.count)
        rng = np.random.default_rng([model.seed, *key])
        shifts = rng.random((len(points), _REPLICATES, 1))
        moved = points[:, None] + shifts
        if not self._keys:
            moved = rng.permuted(moved, axis=-1)
            moved = np.broadcast_to(moved, shifts.shape[:2] + (self.count,))
        z = normal_quantiles(moved % 1)
        if z.size * (len(model._normals) + 1) <= _STORED:
            model._normals[key] = z
        return z


def _together(
    symbols: tuple[sp.Symbol, ...], expressions: tuple[sp.Expr, ...]
) -> Callable[..., Any]:
    """Return several expressions as one function, which computes what they share once."""
    return array_function(symbols, sp.Tuple(*expressions))  # pyright: ignore[reportArgumentType]


def _mixed(own: np.ndarray, fresh: np.ndarray, correlation: float) -> np.ndarray:
    if abs(correlation) == 1:
        return correlation * own
    return correlation * own + math.sqrt((1 - correlation) * (1 + correlation)) * fresh


def _order(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Return the order by one coordinate, or in strips of one by another; sites last."""
    order = np.argsort(keys[0], axis=-1)
    if len(keys) == 1:
        return order
    count = order.shape[-1]
    strips = 2 ** (round(math.log2(count)) // 2)
    split = order.reshape(*order.shape[:-1], strips, count // strips)
    second = np.take_along_axis(keys[1], order, axis=-1).reshape(split.shape)
    return np.take_along_axis(split, np.argsort(second, axis=-1), axis=-1).reshape(order.shape)


@lru_cache(maxsize=16)
def _point_set(keys: int, variables: int, count: int) -> np.ndarray:
    """Return an even set whose points are in the order of the sites, shape (variables, count)."""
    points = qmc.Sobol(keys + variables, rng=np.random.default_rng(0)).random(count).T
    return points[keys:, _order(list(points[:keys]))] if keys else points


class _Change:
    """A small change of the network, followed along a walk: E[ds_1 ds_2^T] given the site."""

    def __init__(self, walk: _Walk, *, alone: bool = False) -> None:
        self.walk, d = walk, len(walk.model.cell.states)
        walk.carried = {(i, i): np.ones((_REPLICATES, walk.count)) for i in range(d)}
        stds = [group.weight_std for _, group in walk.model.parameters.groups]
        self.scale = [0.0 if alone else std**2 for std in stds]
        self.log_size, self.sign = np.zeros(_REPLICATES), np.ones(_REPLICATES)
        self.states = d

    def run(self, steps: int) -> None:
        """Take some steps; the change is kept at size 1, its logarithm counted."""
        for _ in range(steps):
            self.walk.draw()
            self._step(self.walk.derivatives())
            self.walk.update()
            self._normalise()

    def _step(self, tables: list[StepDerivatives]) -> None:
        one, two, D = tables[0], tables[-1], self.walk.carried
        v: list[Any] = []
        for k, scale in enumerate(self.scale):
            total: Any = 0.0
            if scale:
                for (i, j), value in D.items():
                    left = one.source_state.get((k, i))
                    right = two.source_state.get((k, j))
                    if left is not None and right is not None:
                        total = total + left * right * value
                for l in range(k):
                    left, right = one.source_gate.get((k, l)), two.source_gate.get((k, l))
                    if left is not None and right is not None:
                        total = total + left * right * v[l]
            v.append(scale * np.mean(total + np.zeros((1, 1)), axis=-1, keepdims=True))
        new: dict[Any, Any] = {}
        for (k, l), value in D.items():
            for (i, k_), left in one.state.items():
                for (j, l_), right in two.state.items():
                    if (k_, l_) == (k, l):
                        new[i, j] = new.get((i, j), 0.0) + left * right * value
        for (i, l), left in one.gate.items():
            for (j, l_), right in two.gate.items():
                if l_ == l:
                    new[i, j] = new.get((i, j), 0.0) + left * right * v[l]
        self.walk.carried = {
            key: np.broadcast_to(value, (_REPLICATES, self.walk.count))
            for key, value in new.items()
        }

    def _normalise(self) -> None:
        D = self.walk.carried
        trace = sum(D[i, i].mean(axis=-1) for i in range(self.states) if (i, i) in D) / self.states
        size = np.abs(trace) + np.zeros(_REPLICATES)
        with np.errstate(divide="ignore"):
            self.log_size = self.log_size + np.log(size)
        self.sign = np.sign(trace) + np.zeros(_REPLICATES)
        safe = np.where(size > 0, np.where(self.sign < 0, -size, size), 1.0)[:, None]
        self.walk.carried = {key: value / safe for key, value in D.items()}
