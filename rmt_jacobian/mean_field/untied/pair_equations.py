"""The correlation at which two input sequences through one network settle, with its error."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.averages.jumps import parted_by_jumps
from rmt_jacobian.mean_field.populations.site_models import SiteModel, more_points
from rmt_jacobian.mean_field.replicated.solver import Image, Replicated, not_met, solve_replicated
from rmt_jacobian.mean_field.sites.symmetry import distinct_sources, sign_flip
from rmt_jacobian.mean_field.untied.pairs import PairState, drives_of
from rmt_jacobian.mean_field.untied.state import UntiedState
from rmt_jacobian.solvers import Solution

__all__ = ["pair_state", "solve_pair_state"]

_APART = 0.9  # where an orbit starts that leaves c = 1
_OTHER_STARTS = (_APART, 0.0)  # where orbits start that are to end elsewhere
_CLOSE, _NEAR = 0.5, 0.9  # correlations of a start and of a solution: distances are known better
_MOST_TURNS = 3  # from products to distances or back
_HIDDEN = 3.0  # errors of a correlation by which it may be 1
_POOR = 0.1  # error of a correlation that tells nothing of where to look with more sites
_STEPS_UP, _MOST_AT_ONCE = 4, 16  # times the sites
_MANY = 2**18  # points beyond which an orbit that does not settle has no end
_SHARE = 0.7  # of the tolerance, for what else depends on the correlations
_STEP = 0.02  # relative, of the derivatives by which errors are passed on
_SOFT = 5.0  # times an error, from which on slopes of few points do not tell how many times


def pair_state(
    state: UntiedState, input_correlation: float, *, start_correlation: float | None = None
) -> PairState:
    """Return the joint law of two networks; see :func:`solve_pair_state`.

    Raises
    ------
    ConvergenceError
        If none is found.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> from rmt_jacobian.mean_field.untied.state import untied_state
    >>> state = untied_state(minimalrnn, Parameters.of(minimalrnn))
    >>> round(pair_state(state, 0.5).correlations[0], 3)  # as by the correlation map
    0.309
    """
    return solve_pair_state(state, input_correlation, start_correlation=start_correlation).unwrap()


def solve_pair_state(
    state: UntiedState, input_correlation: float, *, start_correlation: float | None = None
) -> Solution[PairState]:
    """Solve for the joint law of two networks, and say whether the solver converged.

    Parameters
    ----------
    state
        The stationary law of one network; its tolerance is that of the correlations.
    input_correlation
        Sigma_12 in [-1, 1].
    start_correlation
        Of every source at the start of the orbit that selects the solution; by default the input
        correlation, and a little below 1 where two networks that see the same part ways.
    """
    if not -1 <= input_correlation <= 1:
        raise ParameterError(f"the input correlation must lie in [-1, 1], not {input_correlation}")
    squares = np.array(state.source_squares)
    start = input_correlation if start_correlation is None else start_correlation
    if input_correlation == 1.0 and start == 1.0:
        same = PairState(state, 1.0, tuple(squares))
        if start_correlation is not None or not np.any(squares) or same.chi <= 1:
            return Solution(same, True, 0.0, 1)
        return _apart(state, 1.0)
    equations = _PairEquations(state, input_correlation)
    found = equations.solved(start)
    if not found.converged or parted_by_jumps(state.cell, state.parameters):
        return found
    if _attracting(found).converged:
        return found
    if _may_have_met(found.value):
        return _apart(state, input_correlation)
    # An orbit may pass by a solution that repels so slowly that it is taken for its end.
    for other in (each for each in _OTHER_STARTS if each != start):
        again = equations.solved(other)
        if again.converged and _attracting(again).converged:
            return again
    return _attracting(found)


def _may_have_met(pair: PairState) -> bool:
    """Whether the networks are one within the error of their correlations.

    Where they meet a jump they part at once: they are not one, however close.
    """
    if parted_by_jumps(pair.state.cell, pair.state.parameters):
        return False
    known = zip(pair.correlations, pair.correlation_errors, strict=True)
    return all(1 - c <= _HIDDEN * error for c, error in known)


def _apart(state: UntiedState, input_correlation: float) -> Solution[PairState]:
    """Return where two networks settle that see the same and part."""
    model = state.model.rough()
    while True:  # few sites may see the networks meet where they part slowly
        found = _attracting(_PairEquations(state, input_correlation).solved(_APART, model))
        # What so many sites have not met is met by more of them, not by as many once more.
        most = max(model, found.value.model or model, key=lambda each: each.points)
        finer = None if found.converged else most.refined(_MOST_AT_ONCE)
        if finer is None:
            return found
        model = finer


def _attracting(found: Solution[PairState]) -> Solution[PairState]:
    """Refuse a correlation of two networks that see the same, if it does not attract."""
    pair = found.value
    if not found.converged or pair.least_chi <= 1:
        return found
    remedy = "two networks part here so slowly that noise hides where: ask for a smaller tolerance"
    return replace(found, converged=False, residual=pair.least_chi - 1, remedy=remedy)


_Coordinates = Literal["products", "distances"]


@dataclass(frozen=True)
class _PairEquations:
    """The equations of a pair for one product of each distinct source, and how they are solved.

    Where the networks are close, the unknowns are the distances y = E[s^2] - E[s s'] of their
    sources: the noise of the map vanishes with them, and no step of a difference leaves c <= 1.
    """

    state: UntiedState
    input_correlation: float

    @property
    def squares(self) -> np.ndarray:
        """E[y_k^2]."""
        return np.array(self.state.source_squares)

    @cached_property
    def owners(self) -> list[int]:
        """Which distinct source each preactivation reads."""
        return list(distinct_sources(self.state.cell))

    @cached_property
    def first(self) -> list[int]:
        """The first preactivation that reads each of them."""
        return [self.owners.index(k) for k in range(max(self.owners, default=-1) + 1)]

    @cached_property
    def odd(self) -> np.ndarray:
        """Which distinct sources change their sign with the network."""
        flip = sign_flip(self.state.cell, self.state.parameters)
        odd = [flip is not None and flip.sources[k] < 0 for k in self.first]
        return np.array(odd, dtype=bool)

    def image(self, model: SiteModel, at: np.ndarray, coordinates: _Coordinates) -> Image:
        """Return the map of the unknowns, where sources have the second moments ``at``."""

        def products_of(unknowns: np.ndarray) -> np.ndarray:
            u = unknowns[self.owners]
            return np.clip(at - u if coordinates == "distances" else u, -at, at)

        def image(unknowns: np.ndarray) -> np.ndarray:
            drives = drives_of(self.state, at, self.input_correlation, products_of(unknowns))
            if coordinates == "products":
                return model.squares(drives)[:, self.first]
            if drives.correlations is None:
                return np.zeros((1, len(self.first)))
            return model.distances(drives)[:, self.first]

        return image

    def solved(self, start: float, model: SiteModel | None = None) -> Solution[PairState]:
        """Follow the orbit from a correlation of all sources, and take as many points as needed.

        The first are those of a model, by default a rough one.
        """
        state, squares = self.state, self.squares[self.first]
        model, aim = model or state.model.rough(), state.aim * _SHARE
        coordinates, begin = self._begun(start)
        remedy = "the correlation map has no fixed point here that attracts: widen the tolerance"
        near, rough, turns, slopes_known = None, model, 0, False
        while True:
            found = self._fixed_point(model, rough, coordinates, begin, near, remedy)
            if not found.converged and coordinates == "products" and near is None:
                coordinates, begin = "distances", (1 - start) * squares
                continue
            if not found.converged and rough is not model:  # its slopes were noise
                rough, slopes_known = model, False
                continue
            if not found.converged and (finer := _retried(model)):
                model, rough, near = finer, finer, None
                coordinates, begin = self._begun(start)
                continue
            fit = self._fitting(found, coordinates)
            if found.converged and fit != coordinates and turns < _MOST_TURNS:
                turns += 1  # sources may differ in what suits them
                coordinates, near = fit, squares - found.value.mean
                if fit == "distances":
                    continue
                hidden = 2 * (found.value.errors + np.array(state.samples.errors)[self.first])
                near = np.where(self.odd & (np.abs(near) <= hidden), 0.0, near)
                continue
            pair = self._pair(model, coordinates, found)
            result = found.of(pair)
            reached = max(pair.correlation_errors, default=0.0)
            if not found.converged or reached <= aim:
                return result
            steps = model.steps(pair.drives)
            hidden = bool(np.any(found.value.errors > _POOR * squares))  # where it is, by noise
            finer = more_points(
                model, reached, aim, state.accepted, steps=steps,
                at_once=_STEPS_UP if hidden else _MOST_AT_ONCE, runs=found.iterations,
                patient=state.tolerance is not None,
            )  # fmt: skip
            if finer is None and reached <= state.accepted:
                return result
            if finer is None:
                remedy = f"the correlations: {not_met(reached, state.accepted)}"
                return replace(result, converged=False, remedy=remedy)
            if not slopes_known:  # an error of theirs is of second order: few points tell enough
                rough, slopes_known = model, reached <= state.accepted and not hidden
            model, near = finer, found.value.mean
            if _is_soft(found):
                rough, slopes_known = finer, False
            if hidden:
                rough, near = finer, None
                coordinates, begin = self._begun(start)

    def _begun(self, start: float) -> tuple[_Coordinates, np.ndarray]:
        """Return coordinates that suit a start, and the start in them."""
        squares = self.squares[self.first]
        if start > _CLOSE:
            return "distances", (1 - start) * squares
        return "products", start * squares

    def _fixed_point(
        self,
        model: SiteModel,
        rough: SiteModel,
        coordinates: _Coordinates,
        begin: np.ndarray,
        near: np.ndarray | None,
        remedy: str,
    ) -> Solution[Replicated]:
        far, state = coordinates == "distances", self.state
        found = solve_replicated(
            self.image(model, self.squares, coordinates), begin,
            rough=self.image(rough, self.squares, coordinates), near=near,
            odd=None if far else self.odd, scale=self.squares[self.first] if far else None,
            keeps=(lambda _: state.model.kept(state.drives)) if state.cell.memory else None,
            sizes=None if far else self.squares[self.first], remedy=remedy,
        )  # fmt: skip
        if not found.converged:
            return found
        image_at = partial(self.image, model.rough(), coordinates=coordinates)
        own = _with_errors_of_state(state, found.value, self.first, image_at)
        return replace(found, value=own)

    def _fitting(self, found: Solution[Replicated], coordinates: _Coordinates) -> _Coordinates:
        """Return the coordinates in which a solution is best known."""
        squares = self.squares[self.first]
        products = found.value.mean if coordinates == "products" else squares - found.value.mean
        if coordinates == "distances" and np.any(self.odd & (np.abs(products) < squares / 2)):
            return "products"  # they may vanish
        if coordinates == "products" and np.any(products > _NEAR * squares):
            return "distances"
        return coordinates

    def _pair(
        self, model: SiteModel, coordinates: _Coordinates, found: Solution[Replicated]
    ) -> PairState:
        own, exact = found.value.samples, found.value.exact_error
        if coordinates == "distances":
            known = self.state.samples.samples[:, self.first]
            here = self.squares[self.first]
            own = (known + (here - known.mean(axis=0)) if len(known) == len(own) else here) - own
        known = Replicated(own[:, self.owners], exact[self.owners])
        products = tuple(map(float, np.clip(known.mean, -self.squares, self.squares)))
        return PairState(self.state, self.input_correlation, products, known, model)


def _is_soft(found: Solution[Replicated]) -> bool:
    """Whether the map feeds back nearly all, so that its noise moves the fixed point by far."""
    amplified = found.value.amplification
    return amplified is not None and bool(np.any(np.abs(np.linalg.eigvals(amplified)) > _SOFT))


def _retried(model: SiteModel) -> SiteModel | None:
    """Return a model by which an orbit may settle that does not with so few points."""
    return model.refined(_STEPS_UP) if model.points < _MANY else None


def _with_errors_of_state(
    state: UntiedState,
    found: Replicated,
    first: list[int],
    image_at: Callable[[np.ndarray], Image],
) -> Replicated:
    """Let each estimate of the products be that at its own estimate of the squares."""
    squares = np.array(state.source_squares)
    samples, amplified = state.samples.samples, found.amplification
    if amplified is None or len(samples) == 1:
        return found
    moved, here = np.array(found.samples), found.mean
    owners = distinct_sources(state.cell)
    for owner, k in enumerate(first):
        width = _STEP * squares[k]
        if width == 0:
            continue
        ends = []
        for sign in (1, -1):
            at = squares + sign * width * (np.array(owners) == owner)
            ends.append(image_at(at)(here).mean(axis=0))
        slope = amplified @ ((ends[0] - ends[1]) / (2 * width))
        moved = moved + np.multiply.outer(samples[:, k] - samples[:, k].mean(), slope)
    return replace(found, samples=moved)
