"""The stationary state of any cell under untied weights, carried by a population of sites."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.memory import source_squares
from rmt_jacobian.mean_field.site_paths import Drive, draw_drive, run_sites
from rmt_jacobian.mean_field.sites import Sites
from rmt_jacobian.solvers import Solution

__all__ = ["UntiedState", "solve_untied_state", "untied_state"]

_FORGOTTEN = 1e-6  # of the shape of the first memory
_SHORTEST, _LONGEST = 8, 256  # steps of settling where the memory's moments are imposed
_LONGEST_UNKNOWN = 1024  # and where they are not
_EXACT = 1e-13  # relative change of the variances
_ROUNDS = 400
_NOTHING = 1e-12  # of the start: a variance that small has died


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
    >>> state = untied_state(gru, Parameters.of(gru))
    >>> [round(q, 2) for q in state.preactivation_variances]
    [1.86, 0.21, 0.56]
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
        fresh = _fresh_variances(self.parameters, self.source_squares)
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


def _fresh_variances(parameters: Parameters, squares: tuple[float, ...]) -> list[float]:
    """Return the part of q_k that is drawn anew at every step."""
    frozen = parameters.bias_kind == "frozen"
    return [
        group.preactivation_variance(square, parameters.input_variance)
        - (group.bias_std**2 if frozen else 0.0)
        for (_, group), square in zip(parameters.groups, squares, strict=True)
    ]


def _has_frozen_bias(parameters: Parameters) -> bool:
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
    settle, drive = -1, None
    for _ in range(3):  # the time it takes to settle depends on the solution
        needed = _settling(cell, parameters, squares, count, seed)
        if needed <= settle:
            break
        settle = needed
        drive = draw_drive(
            cell, parameters, settle=settle, record=2, count=count, rng=spawn(seed, 1)[0]
        )
        found = _self_consistent(cell, parameters, drive, squares)
        squares = found.value
    state = UntiedState(cell, parameters, tuple(map(float, squares)), count, settle, seed)
    return Solution(state, found.converged, found.residual, found.iterations, found.remedy)


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
    """Iterate the map of the E[y_k^2], and finish by Newton's method where that helps."""
    remedy = "try another start_variance or smaller weight_std"
    calls = 0
    frozen = _has_frozen_bias(parameters)

    def image(squares: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        fresh = _fresh_variances(parameters, tuple(squares))
        if not frozen:
            exact = source_squares(cell, parameters, tuple(fresh))
            if exact is not None:
                return exact
        (sites,) = run_sites(cell, parameters, drive, fresh)
        return np.array([float(sites.weights @ sites.source(k) ** 2) for k in range(len(start))])

    here = np.array(start)
    there = image(here)
    top = max(1e-300, float(np.max(start)))
    for turn in range(_ROUNDS):
        gap = _gap(here, there)
        if not np.all(np.isfinite(there)):
            return Solution(here, False, math.inf, calls, remedy)
        if gap <= _EXACT:
            return Solution(there, True, gap, calls)
        if float(np.max(there)) <= _NOTHING * top and not np.any(image(0 * there)):
            return Solution(0 * there, True, float(np.max(there)), calls)
        here = there
        if turn % 6 == 5:
            here = _newton(image, here)
        there = image(here)
    return Solution(here, _gap(here, there) <= 1e-9, _gap(here, there), calls, remedy)


def _gap(here: np.ndarray, there: np.ndarray) -> float:
    scale = max(1e-300, float(np.max(np.abs(there))))
    return float(np.max(np.abs(there - here)) / scale)


def _newton(image, here: np.ndarray) -> np.ndarray:
    """Take one step of Newton's method in the distinct unknowns; stay where it does not help."""
    there = image(here)
    moving = np.flatnonzero(there > 0)
    if not len(moving):
        return there
    _, first = np.unique(there[moving], return_index=True)
    groups = [moving[np.isclose(there[moving], there[moving[k]], rtol=1e-12)] for k in first]
    slopes = np.zeros((len(groups), len(groups)))
    for j, group in enumerate(groups):
        shifted = here.copy()
        shifted[group] *= 1 + 1e-6
        moved = image(shifted) - there
        slopes[:, j] = [moved[g[0]] / (1e-6 * here[group[0]]) for g in groups]
    residual = np.array([there[g[0]] - here[g[0]] for g in groups])
    try:
        step = np.linalg.solve(np.eye(len(groups)) - slopes, residual)
    except np.linalg.LinAlgError:
        return there
    # An expanding direction belongs to an unstable solution, which the orbit leaves.
    if np.max(np.abs(np.linalg.eigvals(slopes))) >= 1:
        return there
    moved = there.copy()
    for group, change in zip(groups, step, strict=True):
        moved[group] = here[group[0]] + change
    good = np.all(moved[moving] > 0.5 * there[moving]) and np.all(moved < 2 * there + 1e-300)
    return moved if good and _gap(moved, image(moved)) < _gap(here, there) else there


def _settling(
    cell: Cell, parameters: Parameters, squares: np.ndarray, count: int, seed: int
) -> int:
    """Return how many steps the memory of a site needs to forget its start."""
    if not cell.memory:
        return 1
    frozen = _has_frozen_bias(parameters)
    drive = draw_drive(
        cell, parameters, settle=0, record=2, count=min(count, 1024), rng=spawn(seed, 1)[0]
    )
    (sites,) = run_sites(cell, parameters, drive, _fresh_variances(parameters, tuple(squares)))
    slopes = [cell.state_derivatives[i][j] for i in cell.memory for j in cell.memory]
    order = 2 if frozen else 4
    kept = max(sites.average(sum(abs(s) for s in slopes[i :: len(cell.memory)]) ** order)
               for i in range(len(cell.memory)))  # fmt: skip
    longest = _LONGEST_UNKNOWN if frozen else _LONGEST
    if not 0 < kept < 1:
        return _SHORTEST if kept <= 0 else longest
    return int(min(longest, max(_SHORTEST, math.ceil(math.log(_FORGOTTEN) / math.log(kept)))))
