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
from rmt_jacobian.mean_field.affine import affine_memory
from rmt_jacobian.mean_field.affine_moments import (
    growth_of_memory,
    memory_edge,
    refuse_growth,
    stationary_second,
)
from rmt_jacobian.mean_field.fresh import FreshVariables
from rmt_jacobian.mean_field.memory import memory_powers
from rmt_jacobian.mean_field.memory_outputs import Output, memory_outputs
from rmt_jacobian.mean_field.population_change import Change, parted_by_jumps
from rmt_jacobian.mean_field.population_walk import REPLICATES, Population, Walk, together
from rmt_jacobian.mean_field.site_models import Drives, SiteModel
from rmt_jacobian.mean_field.symmetry import SignFlip, sign_flip

__all__ = ["PopulationSites"]

_ROUGHEST, _FINEST = 128, 2**16  # sites of a population
_FORGOTTEN = 1e-5  # of the shape of the first memory
_SHORTEST, _LONGEST = 8, 512  # steps of settling
_GAUSSIAN = 2048  # steps of settling for which a memory is Gaussian
_FIRST = 32  # steps before it is seen how much the memory keeps
_AVERAGED = 8  # steps over which averages are taken
_GROWTH, _GROWTH_LONGEST = 24, 400  # steps of a growth rate, and of its settling
_TRANSIENT = 1e-5  # of a growth rate
_THROUGH = 1e-8  # of a change; where less passes W, the memory alone decides
_ORDER, _FROZEN_ORDER = 6, 4  # of the moments that correct averages
_GROWS = 1.05  # from one long run to the next, of a moment that is not stationary
_WINDOW = 32  # steps at the end of a long run
_SEEN = 5.0  # standard errors of that
_NOTHING = 1e-80  # of a variance; its powers underflow
_TRACE = 1e-180  # of a square; what is left of a state that has died out


@dataclass(frozen=True, eq=False)
class PopulationSites(Population, SiteModel):
    """Averages over R populations."""

    _plans: dict[bool, tuple[int, int]] = field(default_factory=dict, repr=False)

    @property
    def points(self) -> int:  # noqa: D102
        return self.count * REPLICATES

    def steps(self, drives: Drives, *, growth: bool = False) -> int:  # noqa: D102
        if growth:
            return sum(self._growth_steps(drives, self.kept(drives))) + _GROWTH
        return self.settling(drives) + _AVERAGED

    def refined(self, factor: int) -> "PopulationSites | None":  # noqa: D102
        count = self.count * factor
        return None if count > _FINEST else replace(self, count=count, normals={})

    def rough(self) -> "PopulationSites":  # noqa: D102
        return self if self.count <= _ROUGHEST else replace(self, count=_ROUGHEST, normals={})

    def squares(self, drives: Drives) -> np.ndarray:  # noqa: D102
        return self._compared(drives, _product)

    def distances(self, drives: Drives) -> np.ndarray:  # noqa: D102
        return self._compared(drives, _distance)

    def _compared(self, drives: Drives, compare: "Comparison") -> np.ndarray:
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
        self, compare: "Comparison", signs: list[np.ndarray], walk: Walk
    ) -> list[np.ndarray]:
        compiled, gates = compile_cell(self.cell), range(len(self.cell.gates))
        y = [[compiled.source(k, s, e) + 0 * x for k in gates] for s, e, x in walk.copies]
        return [
            compare([y[0][k]], [sign[k] * other[k]], _ONE, _ONE)
            for sign, other in zip(signs, y[1:] or y, strict=True)
            for k in gates
        ]

    def _of_outputs(
        self,
        drives: Drives,
        others: list[Drives],
        outputs: tuple[tuple[Output, ...], ...],
        compare: "Comparison",
        signs: list[np.ndarray],
    ) -> np.ndarray:
        """Average what is remembered over sites, and what is fresh exactly."""
        cell = self.cell
        parts = sorted({o.remembered for terms in outputs for o in terms}, key=sp.default_sort_key)
        function = together(cell.states, tuple(parts))
        distinct = list(dict.fromkeys(outputs))
        owners = [distinct.index(each) for each in outputs]
        alone, *pairs = map(self.fresh, [Drives(drives.variances), *others])
        own = [_shares(alone, known) for known in distinct]
        shared = [[_shares(each, known) for known in distinct] for each in pairs or [alone]]
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
        exact = np.stack(list(known.values())) if known else np.zeros((0, 1, 1))
        walk = Walk(self, drives.variances, others, memory_only=memory_only)
        walk.run(self.settling(drives))
        found, missed, slopes = [], [], []
        for _ in range(_AVERAGED):
            walk.draw()
            now = np.stack(np.broadcast_arrays(*values(walk)))
            found.append(now.mean(axis=2))
            if known:
                seen = walk.powers(list(known), unit) - exact
                if shares is None or all(share.size == 1 for share in shares):
                    groups, wholes = [now], [seen]
                else:
                    groups, wholes = list(now[:, None]), [seen * share for share in shares]
                slopes = slopes or list(map(_regression, groups, wholes))
                parts = [slope @ whole.mean(axis=2) for slope, whole in
                         zip(slopes, wholes, strict=True)]  # fmt: skip
                missed.append(np.concatenate(parts))
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
        for copy, each in enumerate(others or [Drives(drives.variances)]):
            if copy and flip is not None:  # the second network of the other copy, turned
                sign = flip.states[max(self.cell.memory)]
                known |= {(2, j, k): value * sign**k for (_, j, k), value in known.items() if k}
                continue
            fresh = self.fresh(each)
            order = _FROZEN_ORDER if self.frozen else _ORDER
            powers = memory_powers(self.cell, fresh, order, paired=bool(others), unit=unit)
            known |= {(copy + bool(others), j, k): value for (j, k), value in powers.items()
                      if k or not copy}  # fmt: skip
        return known

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
        return int(min(_LONGEST, max(_SHORTEST, len(self.cell.states), math.ceil(needed))))

    def _kept_shape(self, drives: Drives) -> float:
        """Return what a step keeps of the shape of the memory, beyond the moments imposed."""
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
        walk = Walk(self.rough(), drives.variances, [])
        before, after = (_after_a_long_run(walk) for _ in range(2))
        rise = after - before
        noise = _SEEN * rise.std(axis=1, ddof=1) / math.sqrt(rise.shape[1])
        rises = rise.mean(axis=1) > np.maximum(noise, (_GROWS - 1) * before.mean(axis=1))
        if growing := [i for i in cell.memory if rises[i]]:
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
        return float(np.mean(self._rate(drives, self.settling(drives), _GROWTH, alone=True)[0]))

    def growth(self, drives: Drives, *, jumps: bool = True) -> np.ndarray:  # noqa: D102
        if jumps and (names := parted_by_jumps(self.cell, self.parameters)):
            if drives.correlations is None:
                return np.full(REPLICATES, np.inf)
            raise HypothesisError(
                f"{self.cell.name}: the slope of the correlation map of a cell whose moments do "
                f"not close is not known where it jumps, as here in {names}: make the jump steep "
                "but smooth"
            )
        kept = self.kept(drives)
        settle, warm = self._growth_steps(drives, kept)
        found, through_weights = self._rate(drives, settle, warm)
        if affine_memory(self.cell) is not None and through_weights <= _THROUGH:
            return np.full(REPLICATES, kept)
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
            rough = float(np.mean(self.rough()._rate(drives, settle, _GROWTH)[0]))
            share = kept / abs(rough) if rough else 0.0
            turns = math.log(_TRANSIENT) / math.log(share) if 0 < share < 1 else 0
            warm = min(_GROWTH_LONGEST, math.ceil(turns)) if share < 1 else _GROWTH_LONGEST
            self._plans[paired] = settle, max(_GROWTH // 2, warm)
        return self._plans[paired]

    def _rate(
        self, drives: Drives, settle: int, warm: int, *, alone: bool = False
    ) -> tuple[np.ndarray, float]:
        """Return the growth rate a step after ``warm`` steps, shape (R,).

        And the share of a change that a step lets through W at most.
        """
        walk = Walk(self, drives.variances, [drives] if drives.correlations else [])
        walk.run(settle)
        change = Change(walk, alone=alone)
        change.run(warm)
        first = np.array(change.log_size)
        change.run(_GROWTH)
        rate = np.exp((change.log_size - first) / _GROWTH)
        return rate * change.sign, change.through_weights

    def log_mean_squares(self, drives: Drives, steps: int) -> np.ndarray:  # noqa: D102
        walk = Walk(self, drives.variances, [drives] if drives.correlations else [])
        walk.run(self.settling(drives))
        change = Change(walk)
        found = [np.zeros(REPLICATES)]
        for _ in range(steps):
            change.run(1)
            found.append(change.log_size)
        return np.stack(found, axis=1)


Shares = list[list[np.ndarray]]
"""E[f_a f_b] of what is fresh in the parts a and b of a source, in one network or in two."""
_ONE: Shares = [[np.ones((1, 1))]]
Comparison = Callable[[list[np.ndarray], list[np.ndarray], Shares, Shares], np.ndarray]
"""From what is remembered in two networks, and the shares of one and of both."""


def _shares(fresh: FreshVariables, parts: Sequence[Output]) -> Shares:
    return [[fresh.product(one.fresh, two.fresh) for two in parts] for one in parts]


def _form(g: list[np.ndarray], other: list[np.ndarray], shares: Shares) -> np.ndarray:
    return sum(
        share * a * b
        for a, row in zip(g, shares, strict=True)
        for b, share in zip(other, row, strict=True)
    )  # pyright: ignore[reportReturnType]


def _product(
    g: list[np.ndarray], other: list[np.ndarray], own: Shares, shared: Shares
) -> np.ndarray:
    """Return y y'."""
    del own
    return _form(g, other, shared)


def _distance(
    g: list[np.ndarray], other: list[np.ndarray], own: Shares, shared: Shares
) -> np.ndarray:
    """Return (y - y')^2 / 2, whose noise vanishes with it."""
    return (_form(g, g, own) + _form(other, other, own)) / 2 - _form(g, other, shared)


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


def _after_a_long_run(walk: Walk) -> np.ndarray:
    """Take many steps and return E[s^2] over the last of them, shape (states, R)."""
    walk.run(_LONGEST - _WINDOW)
    squares = []
    for _ in range(_WINDOW):
        walk.run(1)
        squares.append(walk.state_squares())
    return np.mean(squares, axis=0)
