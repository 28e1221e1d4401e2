"""All that is drawn for a verification: networks of two widths, and sites without W."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.comparison.measured import Estimate, Measured, WidthPair
from rmt_jacobian.comparison.moment_samples import MomentSamples, sample_moments
from rmt_jacobian.sampling import (
    PopulationMoments,
    Weights,
    ensemble_of,
    sample_site_moments,
)

__all__ = ["Drawn", "draw", "mean_of", "second_moment_of", "variance_of"]

_NARROW = 4  # times as many networks of the lesser width, for half of their noise
_NARROW_TIED = 1  # which is twice as large if they are tied, and slower
_SITES = 32  # times as many sites without W as with
_ROUNDING = 1e-12  # of m_2: a variance below it is none


def mean_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return m_1."""
    return first


def second_moment_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return m_2."""
    return second


def variance_of(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return m_2 - m_1^2, 0 where that is rounding noise."""
    variance = second - first**2
    return np.where(np.abs(variance) > _ROUNDING * second, variance, 0.0)


@dataclass(frozen=True)
class Drawn:
    """What was drawn for one ensemble.

    Attributes
    ----------
    networks, narrow
        Networks of the width that was asked for, and of a lesser one.
    sites
        Sites without W, the same for all ensembles; None for tied networks.
    """

    networks: MomentSamples
    narrow: MomentSamples
    sites: PopulationMoments | None

    @property
    def weights(self) -> Weights:
        """The ensemble of W."""
        return self.networks.weights

    @property
    def steps(self) -> tuple[int, ...]:
        """The numbers of steps in increasing order."""
        return self.networks.steps

    @property
    def widths(self) -> WidthPair:
        """Either width."""
        return WidthPair(self.networks.width, self.narrow.width)

    def measured(
        self, j: int, quantity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> Measured:
        """Return what the samples say of a function of m_1 and m_2 at the j-th number of steps."""
        both = self.networks, self.narrow
        sampled = [quantity(each.mean[:, j], each.second_moment[:, j]) for each in both]
        paired = [
            quantity(each.paired_mean[:, j], each.paired_second_moment[:, j]) for each in both
        ]
        return Measured.of(
            self.widths,
            self.steps[j],
            (sampled[0], sampled[1]),
            (paired[0], paired[1]),
            self.on_sites(j, quantity),
            self._finite_width(j, quantity),
        )

    def _finite_width(
        self, j: int, quantity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> float:
        """Return the relative allowance for a function of m_1 and m_2 of tied networks."""
        order = 1 if quantity is mean_of else 2
        allowed = self.widths.at_finite_width(self.steps[j], order)
        if quantity is variance_of:  # what m_2 may be off is that of its difference, and more of it
            second = float(self.networks.second_moment[:, j].mean())
            own = float(
                quantity(self.networks.mean[:, j], self.networks.second_moment[:, j]).mean()
            )
            allowed *= second / own if own > 0 else 1.0
        return allowed

    def on_sites(
        self, j: int, quantity: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> np.ndarray | None:
        """Return the theory on the sites without W, one value for each population."""
        if self.sites is None:
            return None
        second = self.sites.second_moment[ensemble_of(self.weights)]
        return quantity(self.sites.mean[:, j], second[:, j])

    def s_1(self) -> Estimate | None:
        """Return s_1 at infinite width, None where a sample does not see W."""
        wide, narrow = self.networks.s_1, self.narrow.s_1
        if not (np.isfinite(wide).all() and np.isfinite(narrow).all()):
            return None
        return self.widths.limit(wide, narrow)


def draw(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: Sequence[Weights],
    steps: Sequence[int],
    width: int,
    samples: int,
    seed: int,
    tied: bool,
    workers: int | None,
    progress: bool,
    **options: Any,
) -> Mapping[Weights, Drawn]:
    """Draw for every ensemble; options are those of :func:`.sample_moments`."""
    widths, ensembles = WidthPair.below(width, tied=tied), list(dict.fromkeys(weights))
    common = {"steps": steps, "tied": tied, "workers": workers, "progress": progress}
    place = {name: options[name] for name in ("device", "dtype") if name in options}
    wide = {
        name: sample_moments(
            cell, parameters, weights=name, width=width, samples=samples, seed=seed,
            **common, **options,
        )
        for name in ensembles
    }  # fmt: skip
    narrow = {
        name: sample_moments(
            cell, parameters, weights=name, width=widths.narrow,
            samples=(_NARROW_TIED if tied else _NARROW) * samples,
            seed=np.random.SeedSequence([seed, 1]), **common, **place,
        )
        for name in ensembles
    }  # fmt: skip
    sites = None
    if not tied:
        sites = sample_site_moments(
            cell, parameters, weights=ensembles, steps=steps, sites=_SITES * width * samples,
            seed=np.random.SeedSequence([seed, 2]), workers=workers,
            progress=f"{cell.name}, sites alone" if progress else None,
        )  # fmt: skip
    return {name: Drawn(wide[name], narrow[name], sites) for name in ensembles}
