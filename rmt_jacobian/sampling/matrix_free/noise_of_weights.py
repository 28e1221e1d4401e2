r"""What W does to moments at finite width, measured on networks that are narrow enough to form.

Given its sites, the moments of one network differ from theory by O(1/N), in the mean and from
network to network.  Both are read off networks of width n, and are n / N times as large at width N.
"""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.matrix_free.factors import StepFactors
from rmt_jacobian.sampling.matrix_free.shared_mean import MOST_STEPS, shared_mean_on_sites
from rmt_jacobian.sampling.matrix_free.site_moments import moments_on_sites
from rmt_jacobian.sampling.networks.network import run_network
from rmt_jacobian.sampling.products.product import jacobian_products, product_moments
from rmt_jacobian.sampling.weights.ensembles import Weights, ensemble_of

__all__ = ["NoiseOfWeights", "RelativeNoise", "noise_of_weights"]

_NARROW, _NETWORKS = 128, 16  # the noise is then known to a fifth


@dataclass(frozen=True)
class RelativeNoise:
    """By how much one network differs from theory on its sites, relative to that.

    Attributes
    ----------
    mean, deviation
        Over networks.
    """

    mean: float
    deviation: float

    def error(self, networks: int) -> float:
        """Return what to expect of the mean over some networks."""
        return math.hypot(self.mean, self.deviation / math.sqrt(networks))


@dataclass(frozen=True)
class NoiseOfWeights:
    """That of m_1 and of m_2."""

    mean: RelativeNoise
    second_moment: RelativeNoise


def noise_of_weights(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: Weights,
    steps: int,
    width: int,
    tied: bool,
    rng: np.random.Generator,
    workers: int | None,
) -> NoiseOfWeights:
    """Measure it on 16 networks of width 128, or of the width itself where that is less.

    m_1 of tied networks is held beside the theory of shared weights, up to as many steps as that
    is known for; beyond, and of m_2, there is the theory of fresh weights alone, from which they
    differ at every width, and their deviation counts, but not their mean.

    Parameters
    ----------
    cell, parameters, weights, steps, tied
        The networks.
    width
        N.
    rng
        To spawn generators from.
    workers
        Networks worked on at a time.
    """
    narrow = min(width, _NARROW)
    s_1 = float(s_coefficients_of_weights(ensemble_of(weights), 1)[0])

    def one(each: np.random.Generator) -> tuple[float, float]:
        run = run_network(
            cell, parameters, weights=weights, width=narrow, steps=steps, rng=each, tied=tied
        )
        passed = list(jacobian_products(run, (steps,)))
        factors = [StepFactors.of(step) for _, step, _ in passed]
        paired = moments_on_sites(factors, s_1)
        shared = shared_mean_on_sites(factors, narrow) if tied else math.nan
        first, second = product_moments(passed[-1][2])
        mean = shared if math.isfinite(shared) else paired.mean
        return _excess(first, mean), _excess(second, paired.second_moment)

    found = np.array(list(map_samples(one, rng.spawn(_NETWORKS), workers=workers)))
    shrunk = found * narrow / width
    known = (not tied or steps <= MOST_STEPS, not tied)
    mean, second = (
        RelativeNoise(float(column.mean()) if sure else 0.0, float(column.std(ddof=1)))
        for column, sure in zip(shrunk.T, known, strict=True)
    )
    return NoiseOfWeights(mean, second)


def _excess(sampled: float, paired: float) -> float:
    """Return sampled over paired, less 1; 0 where both are 0."""
    return sampled / paired - 1 if paired else 0.0
