"""The stationary state of any cell under untied weights, carried by a population of sites."""

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.memory import source_squares
from rmt_jacobian.mean_field.site_paths import Drive, draw_drive, run_sites
from rmt_jacobian.mean_field.sites import Sites
from rmt_jacobian.solvers import Solution, fixed_point_of_orbit

__all__ = [
    "UntiedState",
    "distinct_sources",
    "fresh_variances",
    "has_frozen_bias",
    "solve_untied_state",
    "untied_state",
]

_FORGOTTEN = 1e-6  # of the shape of the first memory
_SHORTEST, _LONGEST = 8, 256  # steps of settling where the memory's moments are imposed
_LONGEST_UNKNOWN = 1024  # and where they are not


@dataclass(frozen=True, eq=False)
class UntiedState:
    r"""The stationary law of a site, with the variances it reproduces.

    .. math:: q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2, \qquad e_k \sim N(\mu_k, q_k)

    The averages run over a low-discrepancy population of sites, whose states have any law; frozen
    biases belong to the site.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    source_squares
        :math:`E[y_k^2]`, one for each preactivation.
    count, settle
        The number of sites, and the steps they take to forget their start.
    seed
        Of the population.

    Notes
    -----
    Assumes fresh W and V at every step and N -> infinity.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> state = untied_state(gru, Parameters.of(gru).with_values(input_std=1.0))
    >>> [round(q, 3) for q in state.preactivation_variances]
    [3.259, 1.251, 1.68]
    """

    cell: Cell
    parameters: Parameters
    source_squares: tuple[float, ...]
    count: int
    settle: int
    seed: int

    @property
    def preactivation_variances(self) -> tuple[float, ...]:
        """q_k, the variance of each preactivation over sites, biases included."""
        return tuple(
            group.preactivation_variance(square, self.parameters.input_variance)
            for (_, group), square in zip(self.parameters.groups, self.source_squares, strict=True)
        )

    @cached_property
    def sites(self) -> Sites:
        """The variables of one step."""
        return self.history(1)[0]

    def history(
        self, steps: int, *, count: int | None = None, seed: Seed | None = None
    ) -> list[Sites]:
        """Return the variables of successive steps, at the same sites.

        Parameters
        ----------
        steps
            T.
        count
            Number of sites; by default that of the state.
        seed
            Of the population; by default that of the state.
        """
        if steps < 1:
            raise ParameterError(f"steps must be a whole number above 0, not {steps}")
        count = self.count if count is None else count
        rng = spawn(self.seed if seed is None else seed, 1)[0]
        drive = draw_drive(
            self.cell, self.parameters, settle=self.settle, record=steps + 1, count=count, rng=rng
        )
        fresh = fresh_variances(self.parameters, self.source_squares)
        return run_sites(self.cell, self.parameters, drive, fresh)

    @property
    def state_squares(self) -> tuple[float, ...]:
        """E[s^2] of every state."""
        return tuple(self.sites.average(state**2) for state in self.cell.states)

    @cached_property
    def error_estimate(self) -> float:
        """The largest relative difference of a q_k on two other populations."""
        others = [
            solve_untied_state(
                self.cell, self.parameters, count=self.count, seed=self.seed + shift,
                start_variance=self.source_squares,
            ).unwrap()
            for shift in (1, 2)
        ]  # fmt: skip
        own = np.array(self.preactivation_variances)
        gaps = [np.abs(np.array(other.preactivation_variances) - own) for other in others]
        return float(np.max(np.array(gaps) / np.where(own > 0, own, 1.0)))


def fresh_variances(parameters: Parameters, squares: tuple[float, ...]) -> list[float]:
    """Return the part of q_k that is drawn anew at every step."""
    frozen = parameters.bias_kind == "frozen"
    return [
        group.preactivation_variance(square, parameters.input_variance)
        - (group.bias_std**2 if frozen else 0.0)
        for (_, group), square in zip(parameters.groups, squares, strict=True)
    ]


def has_frozen_bias(parameters: Parameters) -> bool:
    """Whether some bias of a site stays what it is."""
    return parameters.bias_kind == "frozen" and any(g.bias_std for _, g in parameters.groups)


def solve_untied_state(
    cell: Cell,
    parameters: Parameters,
    *,
    count: int = 16_384,
    seed: int = 0,
    start_variance: float | tuple[float, ...] = 1.0,
) -> Solution[UntiedState]:
    r"""Solve for the self-consistent stationary state, and say whether the solver converged.

    The orbit of the map of the :math:`E[y_k^2]` selects the solution; Newton's method polishes it.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    count, seed
        The number of sites that stand for the site law, best a power of 2, and their seed.
    start_variance
        Of every source at the start of the orbit, one number or one for each preactivation.
    """
    if count < 2:
        raise ParameterError(f"the number of sites must be at least 2, not {count}")
    start = np.broadcast_to(np.asarray(start_variance, dtype=float), (len(cell.gates),))
    if not np.all((start >= 0) & np.isfinite(start)):
        raise ParameterError("start_variance must be finite and >= 0")
    squares = np.where([each.reads_state for each in cell.preactivations], start, 0.0)
    settle = _settling(cell, parameters, squares, count, seed)
    while True:
        drive = draw_drive(
            cell, parameters, settle=settle, record=2, count=count, rng=spawn(seed, 1)[0]
        )
        found = _self_consistent(cell, parameters, drive, squares)
        squares = found.value
        needed = _settling(cell, parameters, squares, count, seed)
        if needed <= settle or not found.converged:
            break
        settle = needed  # the time it takes to settle depends on the solution
    state = UntiedState(cell, parameters, tuple(map(float, squares)), count, settle, seed)
    return Solution(state, found.converged, found.residual, found.iterations, found.remedy)


@lru_cache(maxsize=16)
def untied_state(
    cell: Cell,
    parameters: Parameters,
    *,
    count: int = 16_384,
    seed: int = 0,
    start_variance: float | tuple[float, ...] = 1.0,
) -> UntiedState:
    """Return the self-consistent stationary state; see :func:`solve_untied_state`.

    Raises
    ------
    ConvergenceError
        If none is found.
    """
    return solve_untied_state(
        cell, parameters, count=count, seed=seed, start_variance=start_variance
    ).unwrap()


def _self_consistent(
    cell: Cell, parameters: Parameters, drive: Drive, start: np.ndarray
) -> Solution[np.ndarray]:
    """Find the fixed point of the map of the E[y_k^2]; equal sources are one unknown."""
    frozen, owners = has_frozen_bias(parameters), distinct_sources(cell)
    first = [owners.index(k) for k in range(max(owners) + 1)]

    def image(unknowns: np.ndarray) -> np.ndarray:
        squares = tuple(np.maximum(unknowns[owners], 0.0))
        fresh = fresh_variances(parameters, squares)
        exact = None if frozen else source_squares(cell, parameters, tuple(fresh))
        if exact is None:
            (sites,) = run_sites(cell, parameters, drive, fresh)
            exact = np.array([sites.weights @ sites.source(k) ** 2 for k in range(len(owners))])
        return exact[first]

    found = fixed_point_of_orbit(
        image, start[first], remedy="try another start_variance or smaller weight_std"
    )
    return replace(found, value=found.value[owners])


def distinct_sources(cell: Cell) -> list[int]:
    """Return a number for each preactivation, the same where the sources are.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> distinct_sources(gru)
    [0, 0, 1]
    """
    seen: list[object] = []
    for source in cell.sources:
        if source not in seen:
            seen.append(source)
    return [seen.index(source) for source in cell.sources]


def _settling(
    cell: Cell, parameters: Parameters, squares: np.ndarray, count: int, seed: int
) -> int:
    """Return how many steps the memory of a site needs to forget its start."""
    if not cell.memory:
        return 1
    frozen = has_frozen_bias(parameters)
    drive = draw_drive(
        cell, parameters, settle=0, record=2, count=min(count, 1024), rng=spawn(seed, 1)[0]
    )
    (sites,) = run_sites(cell, parameters, drive, fresh_variances(parameters, tuple(squares)))
    slopes = [cell.state_derivatives[i][j] for i in cell.memory for j in cell.memory]
    order = 2 if frozen else 4
    kept = max(sites.average(sum(abs(s) for s in slopes[i :: len(cell.memory)]) ** order)
               for i in range(len(cell.memory)))  # fmt: skip
    longest = _LONGEST_UNKNOWN if frozen else _LONGEST
    if not 0 < kept < 1:
        return _SHORTEST if kept <= 0 else longest
    return int(min(longest, max(_SHORTEST, math.ceil(math.log(_FORGOTTEN) / math.log(kept)))))
