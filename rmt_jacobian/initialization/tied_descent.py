"""The way to a critical point of a network that keeps its weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rmt_jacobian.arrays import spawn
from rmt_jacobian.initialization.common_paths import CommonPaths, circle_for
from rmt_jacobian.initialization.descent import Descent, Start
from rmt_jacobian.initialization.populations import mean_and_error
from rmt_jacobian.initialization.report import HORIZON, Sharing
from rmt_jacobian.initialization.search import CriticalSearch
from rmt_jacobian.initialization.surface import CriticalSurface

__all__ = ["TiedDescent"]

_PATHS = (256, 256, 1024)  # of every level of the descent
_SETTLE, _LAPS = 16, 6  # rounds of the circle where a descent begins, and elsewhere
_MOST_PERIOD = 128  # of the circle that a descent goes round
_ELSEWHERE, _OTHER_PATHS = 4, 512  # populations that show whether paths are too few


@dataclass(frozen=True, eq=False)
class TiedDescent(Descent):
    """Descents on paths of sites of networks that keep their weights, one for all steps.

    They begin where a search with fresh weights has come to, whose states, memory and variance are
    nearly those of the same network with shared ones.
    """

    horizon: float = HORIZON

    dynamics: ClassVar[Sharing] = "tied"
    # Few paths tell m_2 / m_1^2 to a per cent or so.
    iterations: ClassVar[tuple[int, int, int]] = (4, 8, 6)
    fall: ClassVar[tuple[float, float, float]] = (3e-3, 1e-3, 1e-3)
    open: ClassVar[float] = 3e-3
    rounds: ClassVar[int] = 1

    def surface(
        self,
        search: CriticalSearch,
        level: int,
        kept: float | None = None,
        near: np.ndarray | None = None,
    ) -> CriticalSurface:
        """Return growth and spread on the paths of a level, settled near a point."""
        paths = self._paths(_PATHS[level], spawn(self.seed, len(_PATHS))[level : level + 1], kept)
        if near is not None:
            paths = paths.settled_at(search.at(near), _LAPS)
        return CriticalSurface(search, paths)

    def _paths(
        self, count: int, rngs: Sequence[np.random.Generator], kept: float | None
    ) -> CommonPaths:
        period = min(_MOST_PERIOD, circle_for(kept or 0.0, self.steps))
        return CommonPaths.draw(
            self.cell, self.weights, self.steps, horizon=self.horizon, period=period, count=count,
            laps=_SETTLE, rngs=rngs,
        )  # fmt: skip

    def _elsewhere(self, start: Start) -> float:
        rngs = spawn(spawn(self.seed, len(_PATHS) + 1)[-1], _ELSEWHERE)
        populations = self._paths(_OTHER_PATHS, rngs, start.kept)
        spread = populations.rates([start.search.at(start.reached)]).spread
        mean, error = mean_and_error(spread)
        found = mean + 2 * error
        return found if math.isfinite(found) else math.inf
