"""The limit of m_1 and m_2 of networks that keep their weights, with its error."""

import math
from collections.abc import Sequence

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.comparison.limits import LimitMoments
from rmt_jacobian.comparison.measured import Estimate
from rmt_jacobian.comparison.paired_theory import MOST_SHARED
from rmt_jacobian.mean_field import TiedLaw
from rmt_jacobian.mean_field.tied.growth import TiedGrowth
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.pencils import BlockHistory, SharedChain, chain_moments, weight_ensembles
from rmt_jacobian.sampling import Weights, ensemble_of

__all__ = ["tied_growth_to", "tied_moments"]

_PATHS, _FEWEST, _STEPS = 32_768, 8192, 10  # of sites for m_1: up to so many steps, and in any case


def tied_growth_to(law: TiedLaw, steps: int) -> TiedGrowth:
    """Return m_1 of up to T steps, the same for every ensemble, on as many paths as time allows."""
    paths = max(_FEWEST, int(_PATHS * min(1.0, (_STEPS / steps) ** 2)) // 8 * 8)
    return law.growth(steps, sites=paths)


def tied_moments(
    law: TiedLaw,
    growth: TiedGrowth,
    weights: Weights,
    steps: Sequence[int],
    *,
    count: int = 2048,
    replicates: int = 8,
    seed: Seed = 0,
    workers: int | None = None,
) -> dict[int, LimitMoments]:
    """Return the limits for every number of steps; m_2 is nan beyond 40.

    Parameters
    ----------
    law
        The stationary law of the network.
    growth
        m_1 of at least as many steps.
    weights
        The ensemble of every W; a fast one stands for the ensemble it converges to.
    steps
        Numbers of steps T.
    count, replicates, seed
        Paths of sites of one population, independent populations, at least 2, and their seed, for
        m_2.
    workers
        Populations worked on at a time.

    Examples
    --------
    >>> from rmt_jacobian.mean_field import stationary
    >>> law = stationary("minimalrnn", dynamics="tied", sites=1024)
    >>> found = tied_moments(law, tied_growth_to(law, 2), "gaussian", [2], count=64)[2]
    >>> found.mean.standard_error < 0.01
    True
    """
    wanted = sorted(set(steps))
    means = {
        T: Estimate(float(growth.mean_squares[T]), Estimate.of(growth.samples[:, T]).standard_error)
        for T in wanted
    }
    short = [T for T in wanted if T <= MOST_SHARED]

    def one(seed: Seed) -> list[float]:
        path = law.history(max(short), count=count, seed=seed)
        whole = BlockHistory.of([sites.derivatives for sites in path], law.cell, path[0].weights)
        ensembles = weight_ensembles(law.parameters, whole.names, ensemble_of(weights))
        chains = (SharedChain.of(whole.first(T), ensembles) for T in short)
        return [chain_moments(chain, 2)[2] for chain in chains]

    seconds = dict.fromkeys(wanted, Estimate(math.nan, math.nan))
    if short:
        found = np.array(list(map_samples(one, spawn(seed, replicates), workers=workers)))
        seconds |= {T: Estimate.of(found[:, j]) for j, T in enumerate(short)}
    return {T: LimitMoments(T, means[T], seconds[T]) for T in wanted}
