"""The theory on the sites of many networks whose W is never drawn."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.freeprob import s_coefficients_of_weights
from rmt_jacobian.parallel import map_samples
from rmt_jacobian.sampling.matrix_free.factors import StepFactors
from rmt_jacobian.sampling.matrix_free.site_moments import covariances, moments_on_sites
from rmt_jacobian.sampling.networks.network import run_network
from rmt_jacobian.sampling.networks.start import starting_states
from rmt_jacobian.sampling.weights.ensembles import TheoryWeights, Weights, ensemble_of

__all__ = ["PopulationMoments", "sample_site_moments"]

_POPULATIONS = 64  # whose scatter is the standard error, known to 9 % then
_FEWEST, _MOST = 1024, 1 << 14  # sites of one: theory on them is off by T / sites, relative
_AT_ONCE = 1 << 21  # sites times steps that are kept of one
_BURN_IN, _SHORTEST = 32, 10  # steps before, and steps of a run at least


@dataclass(frozen=True)
class PopulationMoments:
    """m_1 and m_2 on the sites of independent networks, by the theory of infinite width for W.

    Attributes
    ----------
    steps
        The numbers of steps T in increasing order.
    mean
        Shape (populations, numbers of steps).
    second_moment
        For each ensemble of theory, of the same shape, and on the same sites.
    """

    steps: tuple[int, ...]
    mean: np.ndarray
    second_moment: Mapping[TheoryWeights, np.ndarray]


def sample_site_moments(
    cell: Cell,
    parameters: Parameters,
    *,
    steps: Sequence[int],
    weights: Sequence[Weights] = ("gaussian", "orthogonal"),
    sites: int = 1 << 20,
    seed: Seed = 0,
    workers: int | None = None,
    progress: str | None = None,
) -> PopulationMoments:
    r"""Run untied networks without their W, and evaluate the theory on their sites.

    Given the state, the image of a fresh W is a Gaussian vector of known variance, so that a step
    costs O(N), and a million sites are as cheap as a few networks with W.  Nothing of the limit is
    used but the law in which the networks start, and that is forgotten: they run 32 steps first, or
    as many as an untied network needs by default.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    steps
        Numbers of steps T.
    weights
        The ensembles of W whose second moment is wanted; the law of the sites is the same for all.
    sites
        How many in all, spread over 64 networks of 1,024 to 16,384 sites.
    seed, workers
        As in :func:`.sample_moments`.
    progress
        Title of a progress bar; none by default.

    Notes
    -----
    The theory on the sites is that of :func:`.moments_on_sites`, averaged over the windows of T
    steps that a run holds.  Assumes fresh W at every step.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> found = sample_site_moments(minimalrnn, Parameters.of(minimalrnn), steps=[1], workers=1)
    >>> values = found.second_moment["gaussian"][:, 0]
    >>> bool(abs(values.mean() / 4.4233 - 1) < 0.02)  # four standard errors
    True
    """
    wanted = tuple(sorted(set(steps)))
    longest = max(wanted[-1], _SHORTEST)
    width = min(max(sites // _POPULATIONS, _FEWEST), _MOST, max(_FEWEST, _AT_ONCE // longest))
    burn_in = max(
        _BURN_IN, starting_states(cell, parameters, 1, np.random.default_rng(0), tied=False).burn_in
    )
    s_1: dict[TheoryWeights, float] = {
        name: float(s_coefficients_of_weights(name, 1)[0]) for name in map(ensemble_of, weights)
    }

    def one(rng: np.random.Generator) -> list[np.ndarray]:
        run = run_network(
            cell, parameters, width=width, steps=longest, rng=rng, burn_in=burn_in, matrices=False
        )
        factors = [StepFactors.of(step) for step in run]
        with np.errstate(over="ignore", invalid="ignore"):  # out of range: inf or nan
            return [
                np.mean([_moments(each, list(s_1.values())) for each in _windows(factors, T)], 0)
                for T in wanted
            ]

    found = list(map_samples(one, spawn(seed, _POPULATIONS), workers=workers, progress=progress))
    mean, *second = np.moveaxis(np.array(found), 2, 0)
    return PopulationMoments(wanted, mean, dict(zip(s_1, second, strict=True)))


def _windows(steps: Sequence[StepFactors], length: int) -> Iterator[Sequence[StepFactors]]:
    """Yield successive steps, ``length`` at a time."""
    for start in range(0, len(steps) - length + 1, length):
        yield steps[start : start + length]


def _moments(steps: Sequence[StepFactors], s_1: Sequence[float]) -> list[float]:
    """Return m_1, and m_2 for every s_1."""
    through = covariances(steps)
    found = [moments_on_sites(steps, value, through) for value in s_1]
    return [found[0].mean, *(each.second_moment for each in found)]
