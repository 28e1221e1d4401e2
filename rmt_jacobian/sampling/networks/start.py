"""States in which sampled networks start: those of the stationary mean-field law."""

from dataclasses import dataclass
from typing import Any

from rmt_jacobian.arrays import ArrayGenerator, Random, array_generator, to_numpy
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field import (
    UntiedState,
    stationary_states,
    untied_state,
)

__all__ = ["StartingStates", "starting_states"]

_UNTIED_BURN_IN, _TIED_BURN_IN = 2, 200
_NEAR = 0.05  # relative error of the variances of the start
_MEMORIES = 4  # times a tied network is given to forget, where that takes long


@dataclass(frozen=True, eq=False)
class StartingStates:
    """States, one array of shape (N,) each, and the steps after which the network is stationary."""

    states: list[Any]
    burn_in: int


def starting_states(
    cell: Cell, parameters: Parameters, width: int, rng: Random, *, tied: bool
) -> StartingStates:
    """Draw independent states from the stationary law of the untied mean field.

    They are arrays of the generator's namespace and type.

    A tied network may be alive where the untied one is silent; it starts from N(0, 1) then.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import gru
    >>> start = starting_states(gru, Parameters.of(gru), 8, np.random.default_rng(0), tied=True)
    >>> len(start.states), bool(start.states[0].std() > 0.1), start.burn_in
    (1, True, 200)
    """
    random = array_generator(rng)
    tied_wait, untied_wait = _TIED_BURN_IN, _UNTIED_BURN_IN
    state = untied_state(cell, parameters, tolerance=_NEAR)
    law = state.site_law
    if law is None:
        # The network settles by itself from there on.
        states = _drawn(state, width, random)
        tied_wait = max(tied_wait, _MEMORIES * state.settle)
        if parameters.has_frozen_bias:
            untied_wait = max(untied_wait, state.settle)
    else:
        states = [stationary_states(law, width, random)]
    if tied and not any(bool(random.xp.any(state != 0)) for state in states):
        states = [random.standard_normal(width) for _ in states]
    return StartingStates(states, tied_wait if tied else untied_wait)


def _drawn(state: UntiedState, width: int, rng: ArrayGenerator) -> list[Any]:
    """Pick sites of the population at random."""
    xp, chosen = rng.xp, rng.integers(state.count, size=width)
    population = [xp.asarray(to_numpy(values), dtype=rng.dtype) for values in state.sites.states]
    return [xp.take(values, chosen) for values in population]
