"""The stationary state of any cell under untied weights, with the errors of its numbers."""

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial

import numpy as np

from rmt_jacobian.arrays import Seed, spawn
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import InfeasibleError, ParameterError
from rmt_jacobian.mean_field.closed.site_law import (
    START_VARIANCES,
    SiteLaw,
    has_closed_site,
    solve_site_law,
)
from rmt_jacobian.mean_field.populations.site_models import (
    AffineSites,
    Drives,
    SiteModel,
    more_points,
)
from rmt_jacobian.mean_field.populations.sites import PopulationSites
from rmt_jacobian.mean_field.replicated.dead_sources import grow_again
from rmt_jacobian.mean_field.replicated.solver import (
    Replicated,
    half_width,
    not_met,
    solve_replicated,
)
from rmt_jacobian.mean_field.sites.paths import draw_drive, run_sites
from rmt_jacobian.mean_field.sites.symmetry import distinct_sources
from rmt_jacobian.mean_field.sites.weighted import Sites
from rmt_jacobian.solvers import Solution, first_bounded

__all__ = ["UntiedState", "fresh_variances", "solve_untied_state", "untied_state"]

# Where no tolerance is asked for; growth rates take hundreds of steps.
_AIM, _GROWTH_AIM, _ACCEPTED = 1e-3, 3e-3, 1e-2
_ROUNDING = 1e-13  # relative, of moments that close
_SHARE = 0.5  # of the tolerance, for what else depends on the state
_SLOWLY = (
    "what has died out here would grow again, so slowly that noise hides where it ends: take other "
    "weights, or start_variance = 0 for the state in which it is dead"
)
_ENOUGH = 4  # times what is accepted: an error at which slopes do
_MORE = 16  # times the sites, where so few see die out what does not
_NOTHING = 1e-12  # of a variance that should be 0


@dataclass(frozen=True, eq=False)
class UntiedState:
    r"""The stationary law of a site, with the variances it reproduces.

    .. math:: q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2, \qquad e_k \sim N(\mu_k, q_k)

    Where all states are carried on by an affine map with fresh coefficients, as in cells without
    memory, delays, the minimalRNN and the GRU, moments close and are exact.  Elsewhere they are
    averages over independent populations of sites, whose scatter is the error.  Frozen biases
    belong to the site.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    source_squares
        :math:`E[y_k^2]`, one for each preactivation.
    count, settle
        Of :attr:`sites`: the number of sites, and the steps they take to forget their start.
    seed
        Of everything random.
    model
        What gives averages under given variances.
    samples
        Independent estimates of the source squares, shape (R, preactivations), and the errors.
    tolerance
        What was asked for: met, or refused.  None: 1e-3 is aimed at, 3e-3 of growth rates, and
        1e-2 still accepted.

    Notes
    -----
    Assumes fresh W and V at every step and N -> infinity.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> state = untied_state(gru, Parameters.of(gru).with_values(input_std=1.0))
    >>> [round(q, 3) for q in state.preactivation_variances]
    [3.259, 1.251, 1.68]
    >>> state.is_exact
    True
    """

    cell: Cell
    parameters: Parameters
    source_squares: tuple[float, ...]
    count: int
    settle: int
    seed: int
    model: SiteModel
    samples: Replicated
    tolerance: float | None = None

    @cached_property
    def site_law(self) -> SiteLaw | None:
        """The closed law of a cell with one state and preactivation; None for other cells."""
        if not has_closed_site(self.cell, self.parameters):
            return None
        return SiteLaw(self.cell, self.parameters, self.preactivation_variances[0])

    @property
    def is_exact(self) -> bool:
        """Whether the variances are exact, to rounding."""
        return len(self.samples.samples) == 1

    @property
    def source_square_errors(self) -> tuple[float, ...]:
        """Half widths of 95 % intervals of the source squares."""
        return tuple(map(float, self.samples.errors))

    @property
    def aim(self) -> float:
        """The error at which an average needs no more points."""
        return self.tolerance or _AIM

    @property
    def growth_aim(self) -> float:
        """The same for growth rates."""
        return self.tolerance or _GROWTH_AIM

    @property
    def accepted(self) -> float:
        """The largest error that is not refused."""
        return self.tolerance or _ACCEPTED

    @property
    def preactivation_variances(self) -> tuple[float, ...]:
        """q_k, the variance of each preactivation over sites, biases included."""
        return tuple(
            group.preactivation_variance(square, self.parameters.input_variance)
            for (_, group), square in zip(self.parameters.groups, self.source_squares, strict=True)
        )

    @property
    def preactivation_variance_errors(self) -> tuple[float, ...]:
        """Half widths of 95 % intervals of q_k."""
        groups = zip(self.parameters.groups, self.source_square_errors, strict=True)
        return tuple(group.weight_std**2 * error for (_, group), error in groups)

    @property
    def drives(self) -> Drives:
        """What drives a site."""
        return Drives(tuple(fresh_variances(self.parameters, self.source_squares)))

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
        check_counts(steps=steps)
        count = self.count if count is None else count
        rng = spawn(self.seed if seed is None else seed, 1)[0]
        drive = draw_drive(
            self.cell, self.parameters, settle=self.settle, record=steps + 1, count=count, rng=rng
        )
        return run_sites(self.cell, self.parameters, drive, self.drives.variances)

    @cached_property
    def _state_squares(self) -> np.ndarray:
        return self.model.state_squares(self.drives)

    @property
    def state_squares(self) -> tuple[float, ...]:
        """E[s^2] of every state."""
        return tuple(map(float, self._state_squares.mean(axis=0)))

    @property
    def state_square_errors(self) -> tuple[float, ...]:
        """Half widths of 95 % intervals of E[s^2], at these variances."""
        relative = max(
            (error / square for error, square in
             zip(self.source_square_errors, self.source_squares, strict=True) if square > 0),
            default=0.0,
        )  # fmt: skip
        own = half_width(self._state_squares)
        return tuple(float(e + relative * s) for e, s in zip(own, self.state_squares, strict=True))

    @property
    def error_estimate(self) -> float:
        """The largest relative error of a q_k."""
        return _relative_error(self.parameters, self.samples)


def fresh_variances(parameters: Parameters, squares: tuple[float, ...]) -> list[float]:
    """Return the part of q_k that is drawn anew at every step."""
    frozen = parameters.bias_kind == "frozen"
    groups = [replace(g, bias_std=0.0) if frozen else g for _, g in parameters.groups]
    return [
        group.preactivation_variance(square, parameters.input_variance)
        for group, square in zip(groups, squares, strict=True)
    ]


def solve_untied_state(
    cell: Cell,
    parameters: Parameters,
    *,
    count: int = 16_384,
    seed: int = 0,
    start_variance: float | tuple[float, ...] | None = None,
    tolerance: float | None = None,
) -> Solution[UntiedState]:
    r"""Solve for the self-consistent stationary state, and say whether the solver converged.

    The orbit of the map of the :math:`E[y_k^2]` selects the solution; Newton's method polishes it.
    Averages that are sampled take more and more points until their error, amplified by what the
    map feeds back, meets the tolerance.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    count
        The number of sites that :attr:`UntiedState.sites` gives, best a power of 2.
    seed
        Of everything random.
    start_variance
        Of every source at the start of the orbit, one number or one for each preactivation.  By
        default 1, and less where an orbit that starts there escapes to infinity.
    tolerance
        The largest relative error of a variance q_k.  By default 1e-3 is aimed at, as far as a
        second or so of work goes, and an error above 1e-2 is refused, as is what takes minutes.

    Raises
    ------
    InfeasibleError
        If there is no stationary state, because a state grows for ever.
    """
    parameters.check_cell(cell)
    if count < 2:
        raise ParameterError(f"the number of sites must be at least 2, not {count}")
    if tolerance is not None and not 0 < tolerance < 1:
        raise ParameterError(f"tolerance must lie between 0 and 1, not {tolerance}")
    starts = START_VARIANCES if start_variance is None else (start_variance,)
    if not np.all((np.asarray(starts) >= 0) & np.isfinite(starts)):
        raise ParameterError("start_variance must be finite and >= 0")
    model: SiteModel = AffineSites.of(cell, parameters, seed) or PopulationSites(
        cell, parameters, seed=seed
    )
    if has_closed_site(cell, parameters):
        found = first_bounded(partial(_by_moments, model, start) for start in starts)
        if found.residual == math.inf:
            raise InfeasibleError(found.remedy)
    else:
        found = first_bounded(partial(_self_consistent, model, s, tolerance) for s in starts)
    known, model = found.value
    squares = tuple(map(float, np.maximum(known.mean, 0.0)))
    drives = Drives(tuple(fresh_variances(parameters, squares)))
    model.refuse_growth(drives)
    settle = PopulationSites(cell, parameters, seed=seed).settling(drives) if cell.memory else 1
    state = UntiedState(cell, parameters, squares, count, settle, seed, model, known, tolerance)
    return found.of(state)


@lru_cache(maxsize=16)
def untied_state(
    cell: Cell,
    parameters: Parameters,
    *,
    count: int = 16_384,
    seed: int = 0,
    start_variance: float | tuple[float, ...] | None = None,
    tolerance: float | None = None,
) -> UntiedState:
    """Return the self-consistent stationary state; see :func:`solve_untied_state`.

    Raises
    ------
    ConvergenceError
        If none is found, or the tolerance is not met.
    InfeasibleError
        If there is none.
    """
    return solve_untied_state(
        cell, parameters, count=count, seed=seed, start_variance=start_variance,
        tolerance=tolerance,
    ).unwrap()  # fmt: skip


_Known = Solution[tuple[Replicated, SiteModel]]
"""The E[y_k^2], and the model that gave them."""
_Start = float | tuple[float, ...]


def _by_moments(model: SiteModel, start: _Start) -> _Known:
    """Return E[h^2] of a cell of one state whose moments close, as selected by its start.

    Where every variance reproduces itself, as at the initialisation of He et al., it is the start.
    """
    (first,) = _in_each(start, model.cell)
    found = solve_site_law(model.cell, model.parameters, start_variance=float(first))
    escapes = found.residual == math.inf
    square = np.array([math.inf if escapes else found.value.state_variance])
    known = Replicated(square[None], _ROUNDING * square)
    return found.of((known, model))


def _in_each(start: _Start, cell: Cell) -> np.ndarray:
    """Return the variance of every source at the start, 0 for those that read no state."""
    reads = [each.reads_state for each in cell.preactivations]
    return np.where(reads, np.broadcast_to(np.asarray(start, dtype=float), (len(reads),)), 0.0)


def _self_consistent(model: SiteModel, start: _Start, tolerance: float | None) -> _Known:
    """Find the fixed point of the map of the E[y_k^2]; equal sources are one unknown."""
    cell, parameters = model.cell, model.parameters
    begin = _in_each(start, cell)
    owners = list(distinct_sources(cell))
    first = [owners.index(k) for k in range(max(owners, default=-1) + 1)]

    def image_of(points: SiteModel):
        def image(unknowns: np.ndarray) -> np.ndarray:
            squares = tuple(np.maximum(unknowns[owners], 0.0))
            drives = Drives(tuple(fresh_variances(parameters, squares)))
            return points.squares(drives)[:, first]

        return image

    def keeps(unknowns: np.ndarray) -> float:
        squares = tuple(np.maximum(unknowns[owners], 0.0))
        return model.kept(Drives(tuple(fresh_variances(parameters, squares))))

    remedy = "try another start_variance or smaller weight_std"
    aim, accepted = _SHARE * (tolerance or _AIM), tolerance or _ACCEPTED
    near, rough, slopes_known = None, model.rough(), False
    while True:
        found = solve_replicated(
            image_of(model), begin[first], rough=image_of(rough), near=near, remedy=remedy,
            keeps=keeps if cell.memory else None,
        )  # fmt: skip
        whole = Replicated(
            found.value.samples[:, owners], np.asarray(found.value.exact_error)[owners]
        )
        died = (found.value.mean <= 0) & (begin[first] > 0)
        seen = max(model, model.watchful(), key=lambda each: each.points) if any(died) else model
        if found.converged and grow_again(image_of(seen), found.value.mean, died):
            # Few sites may see die out what does not.
            known_so = seen is model and rough is model
            finer = model.refined(_MORE) if known_so else seen
            if finer is None:
                return replace(found.of((whole, model)), converged=False, remedy=_SLOWLY)
            model, rough, near = finer, finer, None
            continue
        if not found.converged:
            return found.of((whole, model))
        drives = Drives(tuple(fresh_variances(parameters, tuple(np.maximum(whole.mean, 0.0)))))
        whole = replace(whole, bias=model.unseen(drives) * np.abs(whole.mean))
        solution = found.of((whole, model))
        reached = _relative_error(parameters, whole)
        if reached <= aim:
            return solution
        finer = more_points(
            model, reached, aim, accepted, steps=model.steps(drives), runs=found.iterations,
            patient=tolerance is not None,
        )  # fmt: skip
        if finer is None and reached <= accepted:
            return solution
        if finer is None:
            return replace(solution, converged=False, remedy=not_met(reached, accepted))
        if not slopes_known:  # an error of theirs is of second order: few points tell enough
            rough, slopes_known = model, reached <= _ENOUGH * accepted
        model, near = finer, found.value.mean


def _relative_error(parameters: Parameters, squares: Replicated) -> float:
    """Return the largest relative error of a q_k."""
    found = [0.0]
    for (_, group), square, error in zip(
        parameters.groups, squares.mean, squares.errors, strict=True
    ):
        q = group.preactivation_variance(max(0.0, float(square)), parameters.input_variance)
        missed = group.weight_std**2 * (float(error) + max(0.0, -float(square)))
        found.append(missed / q if q > 0 else math.inf if missed > _NOTHING else 0.0)
    return max(found)
