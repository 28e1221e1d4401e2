"""Paths of sites over several steps of a network that keeps its weights."""

import numpy as np

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.tied.circle import SitesOnCircle, lagged, spectrum_of
from rmt_jacobian.mean_field.tied.state import TiedSteadyState

__all__ = ["PATH_GROUPS", "site_paths"]

PATH_GROUPS = 8  # of sites, independent of each other but for the spectra that drive them


def site_paths(
    steady: TiedSteadyState, steps: int, *, count: int = 4096, seed: Seed = 0
) -> list[Sites]:
    """Return the same sites at successive steps of the steady state.

    They run by the Gaussian preactivations of its covariances in time.  Site k belongs to group
    k // (count / 8).

    Parameters
    ----------
    steady
        The steady state, converged.
    steps
        T.
    count
        How many sites, a multiple of 8.
    seed
        What is random.

    Raises
    ------
    ParameterError
        If the count is none.
    ConvergenceError
        If the steady state did not converge.

    Examples
    --------
    >>> from rmt_jacobian.mean_field import stationary
    >>> law = stationary("minimalrnn", dynamics="tied", sites=1024)
    >>> paths = site_paths(law.steady, 3, count=512)
    >>> len(paths), paths[0].count
    (3, 512)
    >>> all((a.next_states[0] == b.states[0]).all() for a, b in zip(paths, paths[1:]))
    True
    """
    steady.require_converged()
    if count < PATH_GROUPS or count % PATH_GROUPS:
        raise ParameterError(f"the number of sites must be a multiple of {PATH_GROUPS}: {count}")
    everyone = steady.population
    if steady.frozen:  # what does not move is the same at all steps
        return [steady.sites(min(count, everyone.count - everyone.count % PATH_GROUPS))] * steps
    period = max(steady.period, 2 * steps)  # the ends of a path are apart on the circle too
    spectra = steady.spectra
    if period > steady.period:
        spectra = spectrum_of(lagged(spectra, steady.period), period)
    share = count // PATH_GROUPS
    circle = SitesOnCircle(
        steady.cell, steady.parameters, steady.inputs, period, PATH_GROUPS, share,
        generator(seed), 0.0,
    )  # fmt: skip
    chosen = np.resize(np.arange(everyone.count), count).reshape(1, PATH_GROUPS, share)
    circle.states = np.stack([state[chosen] for state in everyone.states])
    lap = circle.lap(spectra[None, None])
    return [lap.slice(t) for t in range(steps)]
