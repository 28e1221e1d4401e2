r"""Independent populations of sites, for cells whose moments do not close.

The sites of a population are run side by side.  At every step they are put in the order of their
memory and meet an even set of points in that order, shifted anew at random, so that averages stay
even however long the memory (array-RQMC, :cite:t:`LEcuyerLecotTuffin2008`).  Moments of an affine
memory are known exactly, and what the sites miss of them corrects the averages (control variates).
Independent populations tell the error.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import sympy as sp

from rmt_jacobian.cells import compile_cell
from rmt_jacobian.errors import HypothesisError, InfeasibleError
from rmt_jacobian.mean_field.averages.jumps import parted_by_jumps
from rmt_jacobian.mean_field.memory.affine import affine_memory, common_memory
from rmt_jacobian.mean_field.memory.affine_moments import (
    growth_of_memory,
    memory_edge,
    refuse_growth,
    stationary_second,
)
from rmt_jacobian.mean_field.memory.moments import forgotten_power, memory_powers, relative_kurtosis
from rmt_jacobian.mean_field.memory.outputs import (
    WHOLE,
    Comparison,
    Output,
    memory_outputs,
    shares_of,
    source_distance,
    source_product,
)
from rmt_jacobian.mean_field.populations.bias_ladder import edge_of_biases
from rmt_jacobian.mean_field.populations.control_variates import Controls
from rmt_jacobian.mean_field.populations.growth import still_rises
from rmt_jacobian.mean_field.populations.response import (
    PopulationResponses,
    of_one_sign,
    pseudo_values,
)
from rmt_jacobian.mean_field.populations.site_models import Drives, SiteModel
from rmt_jacobian.mean_field.populations.walk import REPLICATES, Population, Walk, together
from rmt_jacobian.mean_field.replicated.solver import half_width
from rmt_jacobian.mean_field.sites.symmetry import SignFlip, sign_flip

__all__ = ["PopulationSites"]

_ROUGHEST, _SMOOTH, _WATCHFUL, _FINEST = 128, 512, 4096, 2**16  # sites of a population
_FORGOTTEN = 1e-5  # of the first memory, or of its shape where its moments are imposed
_SHORTEST, _LONGEST = 8, 512  # steps of settling
_GAUSSIAN = 2048  # steps of settling for which a memory is Gaussian
_FIRST = 32  # steps before it is seen how much the memory keeps
_AVERAGED = 8  # steps over which averages are taken
_SERIES, _LONGEST_SERIES = 16, 512  # steps of a response series
_STARTS = 32  # steps of several short ones together
_SPREAD = 2.5  # of frozen biases, where changes are followed
_TRANSIENT = 3e-4  # of a growth rate, beyond which more steps are taken
_ORDER, _FEW_ORDER = 6, 2  # of the moments that correct averages
_TELLING = 20  # sites on which a moment rests that tell slopes in its powers
_BLIND = 0.2  # of a square, where fewer do
_NOTHING = 1e-80  # of a variance; its powers underflow
_TRACE = 1e-180  # of a square; what is left of a state that has died out


@dataclass(frozen=True, eq=False)
class PopulationSites(Population, SiteModel):
    """Averages over R populations."""

    _plans: dict[bool, int] = field(default_factory=dict, repr=False)
    _known: dict[tuple[Drives, int], PopulationResponses] = field(default_factory=dict, repr=False)
    _edges: dict[Drives, float] = field(default_factory=dict, repr=False)

    @property
    def points(self) -> int:  # noqa: D102
        return self.count * REPLICATES

    def unseen(self, drives: Drives) -> float:  # noqa: D102
        if self.cell.memory and not self.closes:
            # A start of which a share is left in a mean leaves twice that in a square.
            return 2 * _FORGOTTEN
        return _BLIND if self._rests_on_few(drives) else 0.0

    def steps(self, drives: Drives, *, growth: bool = False) -> int:  # noqa: D102
        if growth:
            steps = self._steps_of_growth(drives)
            return self.settling(drives) + steps * _starts(steps)
        return self.settling(drives) + _AVERAGED

    def refined(self, factor: int) -> "PopulationSites | None":  # noqa: D102
        count = self.count * factor
        return None if count > _FINEST else self._of(count)

    def rough(self) -> "PopulationSites":  # noqa: D102
        return self if self.count <= _ROUGHEST else self._of(_ROUGHEST)

    def watchful(self) -> "PopulationSites":  # noqa: D102
        return self._of(_WATCHFUL)

    def smooth(self) -> "PopulationSites":  # noqa: D102
        return replace(self._of(_SMOOTH), splits=False)

    def _of(self, count: int) -> "PopulationSites":
        return replace(self, count=count, normals={}, _known={})

    def squares(self, drives: Drives) -> np.ndarray:  # noqa: D102
        return self._compared(drives, source_product)

    def distances(self, drives: Drives) -> np.ndarray:  # noqa: D102
        return self._compared(drives, source_distance)

    def _compared(self, drives: Drives, compare: Comparison) -> np.ndarray:
        """Average a comparison of the sources of two networks, over both halves of a symmetry."""
        paired = drives.correlations is not None
        flip = sign_flip(self.cell, self.parameters) if paired else None
        others = [drives] if paired else []
        signs = [np.ones(len(self.cell.gates))]
        if flip is not None:
            others.append(_flipped(drives, flip))
            signs.append(np.array(flip.sources))
        outputs = memory_outputs(self.cell) if self.closes or not self.frozen else None
        if outputs is None:
            found = self._averaged(drives, others, partial(self._of_sources, compare, signs))
        else:
            found = self._of_outputs(drives, others, outputs, compare, signs)
        return found.reshape(len(found), len(signs), -1).mean(axis=1)

    def _of_sources(
        self, compare: Comparison, signs: list[np.ndarray], walk: Walk
    ) -> list[np.ndarray]:
        compiled, gates = compile_cell(self.cell), range(len(self.cell.gates))
        y = [[compiled.source(k, s, e) + 0 * x for k in gates] for s, e, x in walk.copies]
        return [
            compare([y[0][k]], [sign[k] * other[k]], WHOLE, WHOLE)
            for sign, other in zip(signs, y[1:] or y, strict=True)
            for k in gates
        ]

    def _of_outputs(
        self,
        drives: Drives,
        others: list[Drives],
        outputs: tuple[tuple[Output, ...], ...],
        compare: Comparison,
        signs: list[np.ndarray],
    ) -> np.ndarray:
        """Average what is remembered over sites, and what is fresh exactly."""
        cell = self.cell
        parts = sorted({o.remembered for terms in outputs for o in terms}, key=sp.default_sort_key)
        function = together(cell.states, tuple(parts))
        distinct = list(dict.fromkeys(outputs))
        owners = [distinct.index(each) for each in outputs]
        alone, *pairs = map(self.fresh, [Drives(drives.variances), *others])
        own = [shares_of(alone, known) for known in distinct]
        shared = [[shares_of(each, known) for known in distinct] for each in pairs or [alone]]
        at = [[parts.index(one.remembered) for one in known] for known in distinct]
        turned = [[float(sign[owners.index(d)]) for d in range(len(distinct))] for sign in signs]

        def values(walk: Walk) -> list[np.ndarray]:
            g = [[part + 0 * x for part in function(*s)] for s, _, x in walk.copies]
            return [
                compare([g[0][k] for k in known], [sign * other[k] for k in known], own[d], each[d])
                for other, each, each_sign in zip(g[1:] or g, shared, turned, strict=True)
                for d, (known, sign) in enumerate(zip(at, each_sign, strict=True))
            ]

        whole = [one[0][0] if len(one) == 1 else np.ones((1, 1)) for each in shared for one in each]
        found = self._averaged(drives, others, values, shares=whole, memory_only=True)
        return found.reshape(len(found), len(signs), -1)[..., owners]

    def state_squares(self, drives: Drives) -> np.ndarray:  # noqa: D102
        return self._averaged(drives, [], lambda walk: [s * s for s in walk.copies[0][0]])

    def _averaged(
        self,
        drives: Drives,
        others: list[Drives],
        values: Callable[[Walk], Sequence[np.ndarray]],
        *,
        shares: list[np.ndarray] | None = None,
        memory_only: bool = False,
    ) -> np.ndarray:
        """Average functions of a step over sites and some steps, shape (R, functions).

        A function is corrected by moments times its share, where it has one at each site.
        """
        update = affine_memory(self.cell)
        if self.closes and growth_of_memory(update, self.fresh(drives)):  # pyright: ignore
            return np.full((REPLICATES, len(self.cell.gates)), np.inf)
        unit = self._unit(drives)
        known = self._known_powers(drives, others, unit)
        controls = Controls(known, unit, shares)
        walk = Walk(self, drives.variances, others, memory_only=memory_only)
        walk.run(self.settling(drives))
        found, missed = [], []
        for _ in range(_AVERAGED):
            walk.draw()
            now = np.stack(np.broadcast_arrays(*values(walk)))
            found.append(now.mean(axis=2))
            if known:
                missed.append(controls.missed(walk, now))
            walk.update()
        mean = np.mean(found, axis=0)
        mean = (mean - np.mean(missed, axis=0) if missed else mean).T
        return np.where(np.abs(mean) < _TRACE, 0.0, mean)

    def _unit(self, drives: Drives) -> float:
        """Return the deviation of the only memory."""
        update = affine_memory(self.cell)
        if not self.closes or update is None or len(update) > 1:
            return 1.0
        second = stationary_second(update, self.fresh(Drives(drives.variances)))
        square = float(second[..., 1, 1].mean())
        return math.sqrt(square) if square > _NOTHING else 1.0

    def _known_powers(
        self, drives: Drives, others: list[Drives], unit: float
    ) -> dict[tuple[int, int, int], np.ndarray]:
        """Return exact moments: (copy, j, k) stands for the average of c_0^j c_copy^k."""
        if not self.closes or len(self.cell.memory) > 1:
            return {}
        known: dict[tuple[int, int, int], np.ndarray] = {}
        flip = sign_flip(self.cell, self.parameters) if len(others) > 1 else None
        # Slopes in high powers, taken where the sites on which these rest are not, are anything.
        few = self.frozen or self._rests_on_few(drives) or self._has_heavy_tail(drives)
        for copy, each in enumerate(others or [Drives(drives.variances)]):
            if copy and flip is not None:  # the second network of the other copy, turned
                sign = flip.states[max(self.cell.memory)]
                known |= {(2, j, k): value * sign**k for (_, j, k), value in known.items() if k}
                continue
            fresh = self.fresh(each)
            order = _FEW_ORDER if few else _ORDER
            powers = memory_powers(self.cell, fresh, order, paired=bool(others), unit=unit)
            known |= {(copy + bool(others), j, k): value for (j, k), value in powers.items()
                      if k or not copy}  # fmt: skip
        return known

    def _rests_on_few(self, drives: Drives) -> bool:
        """Whether the second moment of the only memory rests on few sites, which may be missing."""
        if not self.closes or len(self.cell.memory) != 1 or self.frozen:
            return False
        fresh = self.fresh(Drives(drives.variances))
        return relative_kurtosis(self.cell, fresh, self._unit(drives)) > self.points / _TELLING

    def _has_heavy_tail(self, drives: Drives) -> bool:
        fresh = self.fresh(Drives(drives.variances))
        return float(np.min(forgotten_power(self.cell, fresh, _ORDER))) <= 0

    def settling(self, drives: Drives) -> int:
        """Return how many steps the memory of a site needs to forget its start."""
        if not self.cell.memory:
            return len(self.cell.states)
        kept = self._kept_shape(drives)
        if kept >= 1:
            return _FIRST if self.closes else _LONGEST
        needed = math.log(_FORGOTTEN) / math.log(kept) if kept > 0 else 0.0
        if self.closes and needed > _GAUSSIAN:
            return _FIRST  # a sum of so many parts is Gaussian, which is how the memory starts
        # States without memory read what others were a step before.
        delay = len(self.cell.states) - len(self.cell.memory)
        return int(min(_LONGEST, max(_SHORTEST, len(self.cell.states), math.ceil(needed) + delay)))

    def _kept_shape(self, drives: Drives) -> float:
        """Return what a step keeps of the memory, or of its shape where moments are imposed."""
        memory, update = self.cell.memory, affine_memory(self.cell)
        if self.closes and update is not None:
            fresh = self.fresh(Drives(drives.variances))
            if len(memory) == 1:
                return float(fresh.average(update[0][1] ** 4).mean())  # pyright: ignore
            return memory_edge(self.cell, self.parameters, update, fresh)
        walk = Walk(self.rough(), drives.variances, [])
        walk.run(_FIRST)
        walk.draw()
        slopes = walk.derivatives()[0].state
        sizes = [[math.sqrt(np.mean(np.square(slopes.get((i, j), 0.0)))) for j in memory]
                 for i in memory]  # fmt: skip
        return float(np.max(np.abs(np.linalg.eigvals(sizes))))  # of its mean

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
        rises = still_rises(Walk(self.rough(), drives.variances, []), _LONGEST)
        if growing := [i for i in cell.memory if rises[i]]:
            names = " and ".join(str(cell.states[i]) for i in growing)
            raise InfeasibleError(
                f"{cell.name}: {names} still grow{'s' if len(growing) == 1 else ''} after "
                f"{_LONGEST} steps, so that no stationary state is found: let the update forget"
            )

    def kept(self, drives: Drives) -> float:  # noqa: D102
        memory = common_memory(self.cell)
        if memory is not None:
            return memory_edge(self.cell, self.parameters, memory, self.fresh(drives))
        if not self.cell.memory:
            return 0.0
        seen = self._responses(drives, self._steps_of_growth(drives))
        return float(np.mean(np.maximum(seen.kept, self._edge(drives))))

    def _edge(self, drives: Drives) -> float:
        """Return what sites of rare frozen biases keep, which populations hardly hold."""
        if drives not in self._edges:
            lasts = bool(self.frozen and self.cell.memory)
            on_ladder = edge_of_biases(self, drives, self.settling(drives)) if lasts else 0.0
            self._edges[drives] = max(on_ladder, self.edge_of_part(drives))
        return self._edges[drives]

    def growth(self, drives: Drives, *, jumps: bool = True) -> np.ndarray:  # noqa: D102
        if jumps and (names := parted_by_jumps(self.cell, self.parameters)):
            if drives.correlations is None:
                return np.full(REPLICATES, np.inf)
            raise HypothesisError(
                f"{self.cell.name}: the slope of the correlation map of a cell whose moments do "
                f"not close is not known where it jumps, as here in {names}: make the jump steep "
                "but smooth"
            )
        steps = self._steps_of_growth(drives)
        while True:
            found = self._rates(drives, steps)
            missed = found - self._rates(drives, steps, steps // 2)
            seen = max(2 * half_width(missed), _TRANSIENT * abs(found.mean()))
            if not self.cell.memory or steps >= _LONGEST_SERIES or abs(missed.mean()) <= seen:
                return found
            steps = self._plans[drives.correlations is not None] = 2 * steps

    def transient(self, drives: Drives, rate: float) -> float:  # noqa: D102
        if not self.cell.memory:
            return 0.0
        steps = self._steps_of_growth(drives)
        whole, half, quarter = (
            self._rates(drives, steps, steps // part).mean() for part in (1, 2, 4)
        )
        missed, before = abs(whole - half), abs(half - quarter)
        return float(missed * min(1.0, missed / before) if before > 0 else missed)

    def _steps_of_growth(self, drives: Drives) -> int:
        """Return the steps of a response series; the same for all near drives."""
        if not self.cell.memory:
            return len(self.cell.states)
        return self._plans.get(drives.correlations is not None, _SERIES)

    def _rates(self, drives: Drives, steps: int, part: int | None = None) -> np.ndarray:
        """Return growth rates by a response series, or by a part of it, shape (R,)."""
        each = self._responses(drives, steps).shortened(part or steps)
        # What rare biases keep rests on the rarest of one population: an average would leap.
        whole = each if self.frozen else each.left_out()
        if common_memory(self.cell) is None:
            kept = np.maximum(tail := whole.kept, self._edge(drives))
        else:
            kept = np.full(REPLICATES, self.kept(drives))
            # Frozen biases go on as the sites that are left do.
            tail = np.minimum(whole.kept, kept) if self.frozen else kept
        cancels = not self.frozen and common_memory(self.cell) is not None
        rates = whole.shortened(each.reliable).growth_rates(tail, cancels=cancels)
        if not cancels:  # what the most retentive sites keep is the least that is left in the end
            rates = np.where(np.abs(rates) < kept, kept, rates)
        found = of_one_sign(rates)
        return found if self.frozen else pseudo_values(found)

    def _responses(self, drives: Drives, steps: int) -> PopulationResponses:
        key = (drives, steps)
        if key not in self._known:
            self._known.clear()
            # What remembers longest are often sites of rare biases.
            model = replace(self._of(self.count), spread=_SPREAD if self.frozen else 1.0)
            walk = Walk(model, drives.variances, [drives] if drives.correlations else [])
            walk.run(self.settling(drives))
            self._known[key] = PopulationResponses.of(walk, steps, _starts(steps))
        return self._known[key]

    def log_mean_squares(self, drives: Drives, steps: int) -> np.ndarray:  # noqa: D102
        return self._responses(drives, steps).log_mean_squares()


def _starts(steps: int) -> int:
    """Return how often a response series is followed."""
    return max(1, min(4, _STARTS // steps))


def _flipped(drives: Drives, flip: SignFlip) -> Drives:
    correlations = tuple(
        c * sign for c, sign in zip(drives.correlations or (), flip.gates, strict=True)
    )
    return replace(
        drives, correlations=correlations, input_correlation=drives.input_correlation * flip.input
    )
