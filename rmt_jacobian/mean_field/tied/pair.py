r"""Two networks with the same weights and inputs: how their distance grows.

The preactivations of both are Gaussian together. What they differ by, :math:`\epsilon`, has

.. math:: E[\epsilon_{k,s} \, \epsilon_{k,t}] =
          \sigma_k^2 \langle \Delta y_{k,s} \Delta y_{k,t} \rangle,

and, while the networks are close, does not depend on the path of the first one. It is drawn step by
step, each time given what was drawn before, and the second network takes its steps by the equations
of the cell as they are. Nothing is differentiated: this is the slope at c = 1 of the correlation
dynamics, by another route than the recursion over pairs of times.
"""

import math
from collections.abc import Sequence

import numpy as np

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.cells import compile_cell
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.mean_field.tied.growth import TiedGrowth
from rmt_jacobian.mean_field.tied.paths import PATH_GROUPS, site_paths
from rmt_jacobian.mean_field.tied.state import TiedSteadyState

__all__ = ["tied_pair_growth"]

_CLOSE = 1e-6  # the distance at the start
_FEWEST_DIGITS = 1e-12  # of a variance, relative to that before what is known was taken off


def tied_pair_growth(
    steady: TiedSteadyState, steps: int, *, count: int = 8192, seed: Seed = 0
) -> TiedGrowth:
    """Return the mean squared distance after 0, 1, ..., T steps of two networks, 1 at the start.

    Parameters
    ----------
    steady
        The steady state, converged.
    steps
        T.
    count, seed
        How many sites, a multiple of 8, and what is random.

    Examples
    --------
    >>> from rmt_jacobian.mean_field import stationary
    >>> law = stationary("vanilla", {"weight_std": 0.5}, dynamics="tied", sites=1024)
    >>> rate, error = tied_pair_growth(law.steady, 4, count=1024).rate(4)
    >>> abs(rate - stationary("vanilla", {"weight_std": 0.5}).growth_rate) < 3 * error
    True
    """
    rng = generator(seed)
    path = site_paths(steady, steps, count=count, seed=rng)
    share = count // PATH_GROUPS
    groups = [
        _distances([_part(sites, slice(k * share, (k + 1) * share)) for sites in path], rng)
        for k in range(PATH_GROUPS)
    ]
    samples = np.array(groups)
    return TiedGrowth(samples.mean(axis=0), samples)


def _part(sites: Sites, cut: slice) -> Sites:
    return Sites.of(
        sites.cell, sites.parameters,
        [np.asarray(state)[cut] for state in sites.states],
        [np.asarray(gate)[cut] for gate in sites.gates], np.asarray(sites.x)[cut],
    )  # fmt: skip


def _distances(path: Sequence[Sites], rng: np.random.Generator) -> list[float]:
    """Return the mean squared distances of the states along a path, in units of the first."""
    cell, compiled = path[0].cell, compile_cell(path[0].cell)
    groups = [group for _, group in path[0].parameters.groups]
    share = len(np.asarray(path[0].x))
    offs = [_CLOSE * rng.standard_normal(share) for _ in cell.states]
    drives = [_Difference(group.weight_std) for group in groups]
    other = [np.asarray(s) + off for s, off in zip(path[0].states, offs, strict=True)]
    found = [_square(path[0].states, other)]
    for sites in path:
        gates: list[np.ndarray] = []
        for k, gate in enumerate(sites.gates):
            y = compiled.source(k, list(sites.states), list(sites.gates))
            z = compiled.source(k, other, [*gates, *sites.gates[k:]])
            gap = (z - y) + np.zeros(share)
            gates.append(np.asarray(gate) + drives[k].next(gap, rng))
        other = [np.asarray(s) + np.zeros(share) for s in compiled.update(other, gates, sites.x)]
        found.append(_square(sites.next_states, other))
    return [each / found[0] for each in found]


def _square(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    return float(np.mean([np.mean((a - b) ** 2) for a, b in zip(one, other, strict=True)]))


def _white(normal: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """Make the covariance with what was drawn before 0, and the variance 1, on these very sites."""
    if others:
        basis = np.array(others).T
        basis = basis / np.sqrt(np.mean(basis**2, axis=0))
        normal = normal - basis @ np.linalg.lstsq(basis, normal, rcond=None)[0]
    return normal / math.sqrt(np.mean(normal**2))


class _Difference:
    """The difference of a preactivation, a Gaussian process that is drawn step by step."""

    def __init__(self, weight_std: float) -> None:
        self._variance = weight_std**2
        self._gaps: list[np.ndarray] = []
        self._drawn: list[np.ndarray] = []
        self._covariance = np.zeros((0, 0))

    def next(self, gap: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw it at the next step, where the source differs by ``gap``."""
        row = np.array([self._variance * np.mean(gap * each) for each in (*self._gaps, gap)])
        past, own = row[:-1], row[-1]
        if not own > 0:  # no W, or nothing that it reads differs
            return np.zeros(len(gap))
        normal = _white(rng.standard_normal(len(gap)), self._drawn)
        mean, left = np.zeros(len(gap)), own
        if len(past):
            slope = np.linalg.lstsq(self._covariance, past, rcond=_FEWEST_DIGITS)[0]
            mean = slope @ np.array(self._drawn)
            left = max(own - float(slope @ past), 0.0)
        self._covariance = np.block(
            [[self._covariance, past[:, None]], [past[None], row[-1:, None]]]
        )
        self._gaps.append(gap)
        self._drawn.append(mean + math.sqrt(left) * normal)
        return self._drawn[-1]
