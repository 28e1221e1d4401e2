"""The exact limit of m_1 and m_2 for any cell, with its error, and what free steps would give."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.comparison.measured import Estimate
from rmt_jacobian.mean_field import UntiedState
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.pencils import (
    BlockChain,
    BlockHistory,
    chain_moments,
    untied_history,
    weight_ensembles,
)
from rmt_jacobian.sampling import TheoryWeights, Weights, ensemble_of

__all__ = ["LimitMoments", "UntiedMoments", "limit_moments"]


@dataclass(frozen=True)
class LimitMoments:
    """m_1 and m_2 of J J^T over T steps as N -> infinity, over all singular values.

    Attributes
    ----------
    steps
        T.
    mean, second_moment
        m_1 and m_2; the errors are those of the sites that stand for the law of a site.
    """

    steps: int
    mean: Estimate
    second_moment: Estimate


@dataclass(frozen=True)
class UntiedMoments(LimitMoments):
    r"""The same of steps with fresh weights, and what they would be if these were free.

    Attributes
    ----------
    free_mean, free_second_moment
        What they would be if the steps were free of each other,

        .. math:: m_1 = m_1(1)^T, \qquad
                  m_2 = m_1(1)^{2T} \left(1 + T v_1 / m_1(1)^2\right), \qquad
                  v_1 = m_2(1) - m_1(1)^2 .
    """

    free_mean: float
    free_second_moment: float


def limit_moments(
    state: UntiedState,
    weights: Weights,
    steps: Sequence[int],
    *,
    count: int = 2048,
    replicates: int = 8,
    seed: Seed = 0,
    workers: int | None = None,
) -> dict[int, UntiedMoments]:
    """Return the limits for every number of steps.

    Parameters
    ----------
    state
        The stationary state of any cell.
    weights
        The ensemble of every W; a fast one stands for the ensemble it converges to.
    steps
        Numbers of steps T.
    count, replicates, seed
        Sites of one low-discrepancy population, independent populations, at least 2, and their
        seed.
    workers
        Populations worked on at a time.

    Notes
    -----
    Moments of long products are averages over sites with heavy tails, which a population of a few
    thousand sites knows to a few percent; the scatter of the replicates says how well.

    Assumes untied bi-invariant W, free from the diagonals.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, gru
    >>> from rmt_jacobian.mean_field import untied_state
    >>> silent = untied_state(gru, Parameters.of(gru, input_std=0))
    >>> # h = 0: J = 1/2 + W / 4 with std 3
    >>> found = limit_moments(silent, "gaussian", [1, 2], count=8, workers=1)
    >>> round(found[1].mean.value, 12)  # 1/4 + 9/16
    0.8125
    >>> round(found[2].mean.value - found[2].free_mean, 12)  # J_t with fresh W are free here
    0.0
    """
    wanted, theory = sorted({1, *steps}), ensemble_of(weights)

    def one(rng: np.random.Generator) -> list[tuple[float, float]]:
        history = untied_history(state, max(wanted), count=count, seed=rng)
        return [_moments(state, history.first(T), theory) for T in wanted]

    found = np.array(list(map_samples(one, spawn(seed, replicates), workers=workers)))
    m_1, m_2 = found[:, 0].mean(axis=0)
    excess = 0.0 if m_1 == 0 else m_2 / m_1**2 - 1
    return {
        T: UntiedMoments(
            T,
            Estimate.of(found[:, j, 0]),
            Estimate.of(found[:, j, 1]),
            float(m_1**T),
            float(m_1 ** (2 * T) * (1 + T * excess)),
        )
        for j, T in enumerate(wanted)
    }


def _moments(
    state: UntiedState, history: BlockHistory, weights: TheoryWeights
) -> tuple[float, float]:
    chain = BlockChain.of(history, weight_ensembles(state.parameters, history.names, weights))
    _, mean, second = chain_moments(chain, 2)
    return mean, second
