"""The way to a critical point: starts, descent on ever more sites, and the last digits."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import InfeasibleError
from rmt_jacobian.initialization.common_sites import CommonSites, imposed, settling
from rmt_jacobian.initialization.populations import mean_and_error
from rmt_jacobian.initialization.report import Sharing
from rmt_jacobian.initialization.search import HIGHEST, LOWEST, CriticalSearch
from rmt_jacobian.initialization.surface import CriticalSurface, Optimality
from rmt_jacobian.initialization.usual import UsualInitialization
from rmt_jacobian.pencils.blocks.untied import WeightsChoice

__all__ = ["COMMON", "FOLLOWED", "OPEN", "Descent", "Start", "starts_of"]

COMMON = "one common standard deviation"
OPEN = 3e-4
"""A predicted fall of log m_2 / m_1^2 below which a point counts as a minimum."""
_SCATTERED = 1  # further starts for each set of values that are not free
_SITES = (256, 1024, 4096)  # of every descent, of those followed, and where these are too few
_BEHIND = 0.3  # of log m_2 / m_1^2: starts that are farther from the best go no further
_ELSEWHERE = 4  # populations that show whether they are too few
_OPTIMISM = 0.02  # of the logarithm of the spread, on sites that were descended on
FOLLOWED = 2
"""How many starts are followed on more sites."""

_CLOSE = 0.05  # of log m_2 / m_1^2: the others must be that near to the best
_IMPOSED = 16  # steps of settling where the moments of the memory are imposed, at first

_UNKNOWN, _LONGEST = 32, 64  # and elsewhere, before it is known how long it lasts, and at most
_SHARES = (1.0, 0.25, 0.06)  # of a predicted move that are tried
_UPHILL = 15  # steps towards growth rate 1 where there is none on a line


@dataclass(frozen=True, eq=False)
class Start:
    """Where a search began, and how far it has come.

    Attributes
    ----------
    name, remark
        Of the start.
    search
        The box, and what is not free.
    zero, moving
        The line on which the growth rate was made 1.
    clipped, usual
        Whether coordinates that left the box stayed at its end; whether this is a usual
        initialisation but for the scale of its weights.
    first
        The critical point that the search began at; None where there is none.
    vector, spread
        The point that it has come to, and log m_2 / m_1^2 there.
    from_spread
        The same at the first point, on the same sites.
    growth
        The logarithms of the growth rates along the line where it was made 1.
    """

    name: str
    search: CriticalSearch
    zero: np.ndarray
    moving: np.ndarray
    clipped: bool = False
    usual: bool = False
    remark: str = ""
    first: np.ndarray | None = None
    vector: np.ndarray | None = None
    spread: float = math.inf
    from_spread: float = math.inf
    growth: tuple[float, ...] = ()
    kept: float = 0.0

    @property
    def reached(self) -> np.ndarray:
        """The vector, of a start that could be made critical."""
        assert self.vector is not None
        return self.vector


@dataclass(frozen=True, eq=False)
class Descent:
    """Descents from several starts.

    Attributes
    ----------
    weights, steps, seed
        The ensemble of every W, T, and what the sites are drawn from.
    tick
        Called once for every start that has come a stage further.
    settle
        Steps before growth is measured, where the moments of the memory are imposed.
    anew
        Whether an imposed memory takes all of these steps at every point of a descent, and not
        only where the descent begins; slower, and needed where its law changes on the way.
    horizon
        Over how many steps gradients are to keep their norm.
    """

    cell: Cell
    weights: WeightsChoice
    steps: int
    seed: Seed
    tick: Callable[[], object] = lambda: None
    settle: int = _IMPOSED
    anew: bool = False
    horizon: float = math.inf

    iterations: ClassVar[tuple[int, int, int]] = (6, 20, 8)
    """The most steps of a descent, by level: few sites, those followed, and where these are few."""
    fall: ClassVar[tuple[float, float, float]] = (3e-3, 3e-5, 3e-5)
    """Of the logarithm of the spread in a step, that is not worth another, by level."""
    open: ClassVar[float] = OPEN
    """A predicted fall that is not followed."""
    dynamics: ClassVar[Sharing] = "untied"
    rounds: ClassVar[int] = 3
    """Of descent where a point turned out to be no minimum."""

    def surface(
        self,
        search: CriticalSearch,
        level: int,
        kept: float | None = None,
        near: np.ndarray | None = None,
    ) -> CriticalSurface:
        """Return growth and spread on the sites of a level, settled for a given memory.

        Near a point, if one is given: there the memory settles once for all.
        """
        settle = self.settle
        if not imposed(self.cell, search.base):
            frozen = search.base.has_frozen_bias
            settle = _UNKNOWN if kept is None else min(_LONGEST, settling(kept, frozen=frozen))
        sites = CommonSites.draw(
            self.cell, self.weights, self.steps, settle=settle,
            count=_SITES[level], lead=_LONGEST, rngs=[spawn(self.seed, len(_SITES))[level]],
        )  # fmt: skip
        if near is not None and not self.anew:
            sites = sites.settled_at(search.at(near))
        return CriticalSurface(search, sites)

    def begun(self, starts: Sequence[Start]) -> list[Start]:
        """Return how far the starts come on few sites.

        Raises
        ------
        InfeasibleError
            If none can be made critical.
        """
        tried = []
        for each in starts:
            tried.append(self._begun(each))
            self.tick()
        if all(each.vector is None for each in tried):
            raise _infeasible(tried)
        best = min(each.spread for each in tried)
        for k, each in enumerate(tried):
            if each.spread < best + _BEHIND:
                tried[k] = self._descended(each, 0) or each
            self.tick()
        return tried

    def followed(self, tried: Sequence[Start]) -> tuple[Start, Optimality] | None:
        """Return the best, and what it is; None if none is critical on the sites of here."""
        found = self._followed(tried)
        if not found:
            return None
        others = [self._elsewhere(each) for each in found]
        level, best = 1, found[int(np.argmin(others))]
        if min(others) > best.spread + _OPTIMISM:
            level = 2
            best = self._descended(best, level) or best
        self.tick()
        return self._judged(best, level)

    def _followed(self, tried: Sequence[Start]) -> list[Start]:
        """Descend from those that came nearly as far as the best, no two from the same point."""
        begun: list[Start] = []
        found: list[Start] = []
        for each in sorted(tried, key=lambda each: each.spread):
            far = begun and each.spread > begun[0].spread + _CLOSE
            if each.vector is None or far or len(found) == FOLLOWED:
                break
            here = each.search.at(each.reached)
            if any(_alike(here, other.search.at(other.reached), 0.05) for other in begun):
                continue
            lower = self._descended(each, level=1)
            if lower is not None:
                begun.append(each)
                found.append(lower)
                self.tick()
        return found

    def _elsewhere(self, start: Start) -> float:
        """Return the spread on sites that the descent has not seen, and two errors more.

        Where few sites carry most of it, a descent finds where its own have none of them.
        """
        rngs = spawn(spawn(self.seed, len(_SITES) + 1)[-1], _ELSEWHERE)
        populations = CommonSites.draw(
            self.cell, self.weights, self.steps, settle=_UNKNOWN, count=_SITES[-1], rngs=rngs
        )
        spread = populations.rates([start.search.at(start.reached)]).spread
        mean, error = mean_and_error(spread)
        found = mean + 2 * error
        return found if math.isfinite(found) else math.inf

    def _begun(self, start: Start) -> Start:
        """Make a start critical, and descend a little."""
        surface = self.surface(start.search, 0)
        vector, critical, growth = surface.scaled(start.zero, start.moving, clipped=start.clipped)
        found = replace(start, growth=tuple(growth))
        if not critical and not start.usual and np.any(np.isfinite(growth)):
            # Off the line there may be one: uphill, or downhill, in the growth rate.
            there = surface.projected(vector, _UPHILL)
            vector, critical = (vector, False) if there is None else (there, True)
        if critical:
            kept = float(surface.measured(vector[None])[2][0])
            found = replace(found, first=vector, vector=vector, kept=kept)
            found = self._descended(found, 0) or found
        return found

    def _descended(self, start: Start, level: int) -> Start | None:
        """Descend from where a start has come to, on the sites of a level.

        None where these see no critical point nearby: few sites may, or states on their way.
        """
        surface = self.surface(start.search, level, start.kept, start.reached)
        vector = surface.projected(start.reached)
        if vector is None and start.first is not None:  # fewer sites led it astray
            vector = surface.projected(start.first)
        if vector is None:
            return None
        before = surface.value(vector)[1]
        if len(vector) > 1:
            vector = surface.descended(vector, self.iterations[level], self.fall[level])
        kept = float(surface.measured(vector[None])[2][0])
        from_spread = start.from_spread if math.isfinite(start.from_spread) else before
        return replace(
            start,
            vector=vector,
            spread=surface.value(vector)[1],
            from_spread=from_spread,
            kept=kept,
        )

    def _judged(self, start: Start, level: int) -> tuple[Start, Optimality]:
        """Descend until the point is a minimum, or no further."""
        surface = self.surface(start.search, level, start.kept, start.reached)
        vector, found = start.reached, surface.optimality(start.reached)
        for _ in range(self.rounds):
            if found.gain <= self.open:
                break
            lower = _lower(surface, vector, found, self.open / 4)
            if lower is None:  # what the model promises is not there
                found = replace(found, gain=0.0)
                break
            vector = surface.descended(lower, self.iterations[level], self.fall[level])
            found = surface.optimality(vector)
        return replace(start, vector=vector, spread=surface.value(vector)[1]), found


def _lower(
    surface: CriticalSurface, vector: np.ndarray, found: Optimality, least: float
) -> np.ndarray | None:
    """Return a point of less spread in one of the directions in which it is predicted."""
    at = surface.slopes(vector)
    for move in found.downhill:
        for share in _SHARES:
            there = surface.projected(surface.shifted(vector, share * move), near=at)
            if there is not None and surface.value(there)[1] < surface.value(vector)[1] - least:
                return there
    return None


def starts_of(
    search: CriticalSearch, known: Sequence[UsualInitialization], seed: int
) -> list[Start]:
    """Return where searches begin: common deviations, usual initialisations, scattered points."""
    searches = [(COMMON, search, "")]
    starts = [Start(COMMON, search, search.own * (1 - search.deviations), search.deviations)]
    for each in known:
        own = search.like(each.parameters)
        spread = any(group.bias_std for _, group in each.parameters.groups)
        remark = "its biases are not spread" if spread else ""
        if any(_alike(own.base, other.base) and np.array_equal(own.own, other.own)
               for _, other, _ in searches[1:]):  # fmt: skip
            continue
        searches.append((each.name, own, remark))
        starts.append(
            Start(f"{each.name}, rescaled", own, own.own, own.weights, False, True, remark)
        )
    if len(search.free) > 1:
        for name, own, remark in searches:
            like = "" if name == COMMON else f", with what {name} fixes"
            for k, zero in enumerate(own.scattered(_SCATTERED, seed)):
                starts.append(
                    Start(f"scattered {k + 1}{like}", own, zero, own.weights, True, False, remark)
                )
    return starts


def _alike(one: Parameters, other: Parameters, tolerance: float = 1e-6) -> bool:
    a, b = (np.array(list(each.named().values())) for each in (one, other))
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))


def _infeasible(tried: Sequence[Start]) -> InfeasibleError:
    growth = np.exp([value for start in tried for value in start.growth])
    known = growth[np.isfinite(growth)]
    if not len(known):
        return InfeasibleError(
            "no critical point: the states have no finite variance wherever it was looked for; "
            "lower input_std, or fix fewer parameters"
        )
    unbounded = (
        ", and beyond the states have no finite variance" if len(known) < len(growth) else ""
    )
    remedy = "raise" if known.max() < 1 else "lower"
    return InfeasibleError(
        f"no critical point: with the free standard deviations between {LOWEST} and {HIGHEST:g} "
        f"the growth rate lies between {known.min():.4g} and {known.max():.4g}{unbounded}; "
        f"{remedy} the bias of a gate that remembers, or fix fewer parameters"
    )
