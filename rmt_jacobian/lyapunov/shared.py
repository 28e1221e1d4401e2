r"""Lyapunov exponents of networks that keep their weights, from the ring of their steps.

The share of exponents above :math:`\lambda` is solved for at one after another, in both directions
from the middle, until next to none are left beyond.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from rmt_jacobian.arrays import Seed
from rmt_jacobian.errors import ConvergenceError, ParameterError
from rmt_jacobian.mean_field import TiedLaw
from rmt_jacobian.pencils.blocks.history import BlockHistory
from rmt_jacobian.pencils.blocks.untied import WeightsChoice, own_ensembles
from rmt_jacobian.pencils.shared.ring import Ring, RingState
from rmt_jacobian.pencils.shared.ring_sites import RingSites

__all__ = ["SharedExponents", "ring_of", "shared_exponents"]

_SHORTEST, _LONGEST, _TIMES = 32, 96, 8  # steps of the ring, and correlation times
_WORK = 10**10  # operations of a sweep over all sites
_FEWEST, _MOST = 64, 2048  # sites
_STEP, _LEAST_STEP = 0.04, 1e-4  # of the share above, between two exponents; of exponents
_ENDS = 2e-3  # shares at which the table ends
_FARTHEST = 30.0  # of an exponent below the largest
_BELOW = (0.2, 0.05, 0.6, 0.015, 1.5, 0.005, 0.0015)  # where a solution is looked for
_FIRST = 0.02  # step
_GROUPS = 16  # of sites
_FLAT = 1e-5  # share of exponents within a unit, where only those of no change are left


@dataclass(frozen=True, eq=False)
class SharedExponents:
    """Exponents and the shares above them.

    Attributes
    ----------
    exponents
        Increasing.
    above, errors
        The shares above, and their standard errors from the number of sites.
    rank
        The share of exponents that is finite.
    """

    exponents: np.ndarray
    above: np.ndarray
    errors: np.ndarray
    rank: float


def ring_of(law: TiedLaw, weights: WeightsChoice, *, steps: int, sites: int, seed: Seed) -> Ring:
    """Return the ring of a network.

    Parameters
    ----------
    law
        The stationary law.
    weights
        As in :func:`.lyapunov_law`.
    steps, sites, seed
        How long the ring is, how many sites there are, and what is random.
    """
    path = law.period(steps, count=sites, seed=seed)
    history = BlockHistory.of([each.derivatives for each in path], law.cell, path[0].weights)
    ensembles = own_ensembles(law.parameters, history.names, weights)
    history = history.without(
        [k for k, name in enumerate(history.names) if ensembles[name].variance == 0]
    )
    if history.names:
        history = history.without(RingSites.of(history).silent)
    if not history.names:
        raise ParameterError("without weights nothing is passed on: give weight_std above 0")
    return Ring(RingSites.of(history), tuple(ensembles[name] for name in history.names))


def shared_exponents(
    law: TiedLaw,
    weights: WeightsChoice,
    largest: float,
    *,
    draws: int | None = None,
    seed: Seed = 0,
    progress: str | None = None,
) -> SharedExponents:
    r"""Return the exponents of a network that keeps its weights, and the shares above them.

    Parameters
    ----------
    law
        The stationary law, of a network that moves.
    weights
        As in :func:`.lyapunov_law`.
    largest
        The largest exponent, near which to begin.
    draws, seed
        Sites times steps that stand for the site law, and what is random.
    progress
        Title of a progress bar, from two seconds on; none by default.

    Raises
    ------
    ParameterError
        If there are too few draws, or no weights.
    ConvergenceError
        If no solution is found.
    """
    cell = law.cell
    K, S = sum(each.reads_state for each in cell.preactivations), len({*cell.sources} - {0})
    chained = sum(any(column) for column in zip(*cell.source_gate_derivatives, strict=True))
    variables = len(cell.states) + chained
    time = min(_LONGEST / math.sqrt(K), max(_SHORTEST, _TIMES * law.correlation_time))
    steps = 2 * math.ceil(time / 2)
    work = (16 * variables**3 + 4 * (K**2 + S**2 + K * S)) * steps**3  # of a site in a sweep
    sites = min(_MOST, max(_FEWEST, _WORK // work)) if draws is None else draws // steps
    if sites < _GROUPS:
        raise ParameterError(f"{sites} sites on a ring of {steps} steps are too few: give draws of "
                             f"at least {_GROUPS * steps}")  # fmt: skip
    ring = ring_of(law, weights, steps=steps, sites=sites, seed=seed)
    silent = progress is None
    with tqdm(
        total=100, desc=progress, unit="%", disable=silent, delay=2, mininterval=0.5
    ) as bar:  # of all exponents
        walk = _Walk(ring, bar)
        middle = walk.middle(largest)
        above, below = walk.to_the_top(middle), walk.to_the_bottom(middle)
    states = [*reversed(below), middle, *above]
    exponents = np.array([each.exponent for each in states])
    shares = np.array([each.above for each in states])
    slopes = np.abs(np.gradient(shares, exponents))
    speeds = np.gradient(np.array([each.unknowns for each in states]), exponents, axis=0)
    errors = np.array([each.error(v) for each, v in zip(states, speeds, strict=True)])
    with np.errstate(divide="ignore"):
        errors = errors / slopes
    full = shares[0] >= 1 - 2 * _ENDS
    return SharedExponents(exponents, shares, errors, 1.0 if full else float(shares[0]))


@dataclass(frozen=True, eq=False)
class _Walk:
    """The solutions of a ring, from one exponent to the next."""

    ring: Ring
    bar: tqdm

    def middle(self, largest: float) -> RingState:
        """Return a solution that leaves exponents on both sides."""
        remedy = ""
        for below in _BELOW:
            found = self.ring.state(largest - below)
            if found.converged and _ENDS < found.value.above < 1 - _ENDS:
                return found.value
            remedy = found.remedy or remedy
        raise ConvergenceError(f"no exponents are found below {largest:.4g}: {remedy}")

    def to_the_top(self, here: RingState) -> list[RingState]:
        """Return solutions at larger and larger exponents."""
        return self._walked(here, 1, lambda state: state.above)

    def to_the_bottom(self, here: RingState) -> list[RingState]:
        """Return solutions at smaller and smaller exponents."""
        return self._walked(here, -1, lambda state: 1 - state.above)

    def _walked(
        self, here: RingState, sign: int, left: Callable[[RingState], float]
    ) -> list[RingState]:
        """Go on until few exponents are left, or those that are do not change."""
        found: list[RingState] = []
        begun, at_first = self.bar.n, left(here)
        step, farthest = _FIRST, here.exponent - _FARTHEST
        speed = np.zeros_like(here.unknowns)
        while left(here) > _ENDS and here.exponent > farthest:
            there = self.ring.state(
                here.exponent + sign * step, here.unknowns + sign * step * speed
            )
            fallen = left(here) - left(there.value) if there.converged else math.nan
            # Beyond the end of the spectrum a solution goes on, with a share below 0.
            beyond = there.converged and left(there.value) <= 0
            if beyond or not 0 <= fallen <= max(2 * _STEP, 0.7 * left(here)):
                step /= 2
                if step < _LEAST_STEP:
                    return self._ended(found, left(here))
                continue
            found.append(there.value)
            speed = sign * (there.value.unknowns - here.unknowns) / step
            here = there.value
            self.bar.update(round(begun + 100 * (at_first - left(here))) - self.bar.n)
            wanted = min(_STEP, left(here) / 2)
            step = min(2 * step, max(step / 2, step * wanted / max(fallen, 1e-300)))
            if fallen <= _FLAT * step and sign < 0:
                break
        return found

    def _ended(self, found: list[RingState], left: float) -> list[RingState]:
        """Take an end that is near enough."""
        if left > 10 * _ENDS:
            raise ConvergenceError(
                f"the exponents of the last {left:.2g} of all are not found: give more draws"
            )
        return found
