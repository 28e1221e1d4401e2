r"""Paths of sites over several steps of a network that keeps its weights.

A site is driven by Gaussian preactivations that remember. Its past is run through on the circle of
times; given that, those of the next T steps are Gaussian,

.. math::
    e_f \mid e_p \sim N \bigl( C_{fp} C_{pp}^{-1} e_p,\; C_{ff} - C_{fp} C_{pp}^{-1} C_{pf} \bigr),

and what is new at every step follows points that fill the cube of all steps evenly. Sites are
numbered by their state before the first step, and that number is one of the coordinates: what they
do together is far better known than by as many independent ones.
"""

import math

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import qmc

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.tied.circle import (
    Lap,
    SitesOnCircle,
    drive_spectra,
    lagged,
    spectrum_of,
)
from rmt_jacobian.mean_field.tied.state import TiedSteadyState

__all__ = ["PATH_GROUPS", "site_paths"]

PATH_GROUPS = 8  # of sites, independent of each other but for the spectra that drive them
_LEAST_PAST, _MOST_PAST, _TIMES = 32, 256, 4  # steps of the past, and correlation times
_FEWEST = 4  # sites of a group for each process
_STILL, _LONGEST = 1e-10, 10_000  # change of a state that is none, and steps until then
_NOTHING = 1e-10  # of the largest eigenvalue of a covariance
_NEAREST_TO_ONE = 2.0**-32  # quantiles of 0 and 1 are infinite
_MOST_DIMENSIONS = 21_201  # of the points of Sobol that are known


def site_paths(
    steady: TiedSteadyState,
    steps: int,
    *,
    count: int = 4096,
    seed: Seed = 0,
    groups: int = PATH_GROUPS,
) -> list[Sites]:
    """Return the same sites at successive steps of the steady state.

    Site k belongs to group k // (count / groups).

    Parameters
    ----------
    steady
        The steady state, converged.
    steps
        T.
    count
        How many sites, a multiple of the groups.
    seed
        What is random.
    groups
        How many groups there are; groups are independent, and the more even the larger.

    Raises
    ------
    ParameterError
        If the count is no multiple of the groups, or a group is too small for its covariances.
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
    if count < groups or count % groups:
        raise ParameterError(f"the number of sites must be a multiple of {groups}: {count}")
    least = groups * _FEWEST * (2 + len(steady.cell.gates))
    if count < least:
        raise ParameterError(f"{count} paths of sites are too few: ask for at least {least}")
    rng = generator(seed)
    if steady.frozen:  # what does not move is the same at all steps
        return [_at_rest(steady, count, rng)] * steps
    past = math.ceil(min(_MOST_PAST, max(_LEAST_PAST, _TIMES * steady.correlation_time)))
    lap = _lap(steady, past + steps, count, groups, rng)
    parts = [_future(steady, lap, group, past, steps, rng) for group in range(groups)]
    return [_joined([part[t] for part in parts]) for t in range(steps)]


def _at_rest(steady: TiedSteadyState, count: int, rng: np.random.Generator) -> Sites:
    """Return new sites of a network that has come to a standstill.

    Preactivations are drawn anew; a site starts from the states of one that has about the same
    first of them, which tells which rest it is at where there are several, and comes to its own.

    Raises
    ------
    ConvergenceError
        If states still move in the end.
    """
    cell, everyone = steady.cell, steady.population
    normals = _even_normals(1 + len(cell.gates), count, rng)
    means = [steady.parameters[each.name].bias_mean for each in cell.preactivations]
    deviations = np.sqrt(steady.preactivation_variances)
    gates = [m + std * z for m, std, z in zip(means, deviations, normals[:-1], strict=True)]
    order = np.argsort(everyone.gates[0], kind="stable")
    near = order[np.minimum(ndtr(normals[0]) * everyone.count, everyone.count - 1).astype(int)]
    states = [np.asarray(state)[near] for state in everyone.states]
    constant = steady.inputs == "constant"
    x = steady.parameters.inputs.from_normal(normals[-1]) if constant else np.zeros(count)
    change = math.inf
    for _ in range(_LONGEST):
        sites = Sites.of(cell, steady.parameters, states, gates, x)
        moved = [np.asarray(state) for state in sites.next_states]
        change = max(float(np.max(np.abs(a - b))) for a, b in zip(moved, states, strict=True))
        states = moved
        if change <= _STILL:
            return Sites.of(cell, steady.parameters, states, gates, x)
    raise ConvergenceError(
        f"sites still move by {change:.2g} a step where the network stands still: they forget too "
        "slowly; let the update forget"
    )


def _even_normals(variables: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return even normal variables, shape (variables, count)."""
    exponent = max(0, (count - 1).bit_length())
    points = qmc.Sobol(variables, rng=rng).random_base2(exponent)[:count].T
    return ndtri(np.clip(points, _NEAREST_TO_ONE, 1 - _NEAREST_TO_ONE))


def _lap(
    steady: TiedSteadyState, steps: int, count: int, groups: int, rng: np.random.Generator
) -> Lap:
    """Run sites through times of which the given number lie apart on the circle."""
    period, everyone = max(steady.period, 2 * steps), steady.population
    share = count // groups
    circle = SitesOnCircle(
        steady.cell, steady.parameters, steady.inputs, period, groups, share, rng, 0.0
    )
    chosen = np.resize(np.arange(everyone.count), count).reshape(1, groups, share)
    circle.states = np.stack([state[chosen] for state in everyone.states])
    return circle.lap(_spectra(steady, period)[None, None])


def _spectra(steady: TiedSteadyState, period: int) -> np.ndarray:
    if period == steady.period:
        return steady.spectra
    return spectrum_of(lagged(steady.spectra, steady.period), period)


def _future(
    steady: TiedSteadyState, lap: Lap, group: int, past: int, steps: int, rng: np.random.Generator
) -> list[Sites]:
    """Go on from the states of one group after some steps of the lap."""
    cell, parameters = steady.cell, steady.parameters
    states, before = lap.states[:, past, 0, group], lap.gates[:, :past, 0, group]
    K, share = len(cell.gates), states.shape[-1]
    fresh = steady.inputs == "fresh" and parameters.inputs.variance > 0
    normals = _ordered_normals(states, (K + fresh) * steps, rng)
    spectra = drive_spectra(cell, parameters, steady.inputs, _spectra(steady, lap.gates.shape[1]),
                            lap.gates.shape[1])  # fmt: skip
    covariances = lagged(spectra, lap.gates.shape[1])
    means = [parameters[each.name].bias_mean for each in cell.preactivations]
    gates = [
        mean + _continued(C, own - mean, normals[k :: K + fresh])
        for k, (C, own, mean) in enumerate(zip(covariances, before, means, strict=True))
    ]
    if fresh:
        x = parameters.inputs.from_normal(normals[K :: K + fresh])
    else:
        x = np.broadcast_to(lap.x[0, 0, group], (steps, share))
    path, now = [], list(states)
    for t in range(steps):
        path.append(Sites.of(cell, parameters, now, [gate[t] for gate in gates], x[t]))
        now = list(path[-1].next_states)
    return path


def _ordered_normals(states: np.ndarray, dimensions: int, rng: np.random.Generator) -> np.ndarray:
    """Return even normal variables for sites, shape (dimensions, sites).

    The sites are put in the order of one more coordinate by their last state.
    """
    share = states.shape[-1]
    if dimensions >= _MOST_DIMENSIONS:
        return rng.standard_normal((dimensions, share))
    points = _even_normals(1 + dimensions, share, rng)
    normals = np.empty((dimensions, share))
    normals[:, np.lexsort(states)] = points[1:, np.argsort(points[0])]
    return normals


def _continued(C: np.ndarray, past: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return Gaussian processes that go on from their past, shape (T, sites).

    Parameters
    ----------
    C
        Their covariance at lags 0, 1, ...
    past
        Shape (p, sites).
    normals
        Independent normal variables, shape (T, sites).
    """
    p, T = len(past), len(normals)
    times = np.arange(p + T)
    whole = C[np.abs(times[:, None] - times[None, :])]
    values, vectors = np.linalg.eigh(whole[:p, :p])
    kept = values > _NOTHING * values[-1]
    inverse = (vectors[:, kept] / values[kept]) @ vectors[:, kept].T
    slope = whole[p:, :p] @ inverse
    values, vectors = np.linalg.eigh(whole[p:, p:] - slope @ whole[:p, p:])
    # The symmetric root treats all steps alike; the triangular one gives each step its own noise.
    root = np.linalg.qr((vectors * np.sqrt(np.maximum(values, 0.0))).T)[1].T
    return np.asarray(slope @ past + root @ normals)


def _joined(groups: list[Sites]) -> Sites:
    return Sites.of(
        groups[0].cell,
        groups[0].parameters,
        [np.concatenate(column) for column in zip(*(s.states for s in groups), strict=True)],
        [np.concatenate(column) for column in zip(*(s.gates for s in groups), strict=True)],
        np.concatenate([np.asarray(s.x) for s in groups]),
    )
