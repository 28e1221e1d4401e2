"""Critical initialisation of any cell: growth rate 1, and then the least variance of J J^T."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from rmt_jacobian.arrays import Seed
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, cell_named
from rmt_jacobian.counts import check_counts, check_seed
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.initialization.answer import (
    critical_report,
    populations_at,
    rescaled_report,
)
from rmt_jacobian.initialization.common_paths import check_tied_steps
from rmt_jacobian.initialization.common_sites import imposed
from rmt_jacobian.initialization.descent import FOLLOWED, OPEN, Descent, Start, starts_of
from rmt_jacobian.initialization.report import (
    InitializationReport,
    Sharing,
    check_sharing,
    checked_horizon,
    initialization_report,
)
from rmt_jacobian.initialization.search import CriticalSearch
from rmt_jacobian.initialization.surface import Optimality
from rmt_jacobian.initialization.tied_descent import TiedDescent
from rmt_jacobian.initialization.usual import UsualInitialization, usual_initializations
from rmt_jacobian.pencils.ensembles import BiInvariant

__all__ = [
    "CriticalPoint",
    "InitializationReport",
    "TriedStart",
    "critical_initialization",
    "initialization_report",
]

_AT_END = 1e-6
# Times as long as at first, and whether the memory settles anew at every point, until a critical
# point holds.
_FOLLOWED = ((1, False), (16, False), (16, True))
_LASTS = 0.99  # of a square, which a step keeps


@dataclass(frozen=True)
class TriedStart:
    """A start of the search.

    Attributes
    ----------
    name
        Where it began.
    at_start, found
        m_2 / m_1^2 - 1 where the growth rate was made 1 first, and after the descent from there, on
        the few sites of the search, which is left off early where others are far ahead; infinite
        where the growth rate could not be made 1.
    remark
        What the name leaves out.
    """

    name: str
    at_start: float
    found: float
    remark: str = ""

    @property
    def critical(self) -> bool:
        """Whether the growth rate could be made 1."""
        return math.isfinite(self.found)


@dataclass(frozen=True)
class CriticalPoint:
    """A critical initialisation beside the usual ones.

    Attributes
    ----------
    report
        What was found.
    usual
        The usual initialisations at the same input variance.
    rescaled
        Those of them that become critical if the free weights are multiplied by one factor, with
        the ensemble asked for and all that was given a value; none varies less than what was found.
    free
        The hyperparameters that were solved for.
    start
        From which of the starts the search came, and took what is neither free nor given.
    starts
        All that were tried.
    binding
        Free hyperparameters that an end of what is searched holds back, and which, ``"lower"`` or
        ``"upper"``: beyond it the variance would be less still.
    gain
        The predicted relative fall of m_2 / m_1^2 within reach: 0 at a minimum.
    curvature
        The least second derivative of log m_2 / m_1^2 along the surface of growth rate 1, in
        logarithms of deviations and in bias means; infinite where no direction is left.
    dynamics
        ``"tied"`` or ``"untied"``: of all reports.
    fresh
        What is critical with fresh weights, in a network that keeps them; None if that is not the
        question.
    """

    report: InitializationReport
    usual: tuple[InitializationReport, ...]
    rescaled: tuple[InitializationReport, ...]
    free: tuple[str, ...]
    start: str
    starts: tuple[TriedStart, ...]
    binding: tuple[tuple[str, str], ...]
    gain: float
    curvature: float
    dynamics: Sharing = "untied"
    fresh: InitializationReport | None = None

    @property
    def parameters(self) -> Parameters:
        """The hyperparameters that were found."""
        return self.report.parameters

    @property
    def minimum(self) -> bool:
        """Whether the point is a minimum among critical points nearby, to the accuracy stated."""
        error = self.report.variance_error / (1 + abs(self.report.relative_variance))
        return self.gain <= max(OPEN, error)

    @property
    def verdict(self) -> str:
        """What kind of point it is, in a sentence."""
        held = ", ".join(
            f"{name} by its {end} end, {self.parameters.named()[name]:.3g}"
            for name, end in self.binding
        )
        held = f"; held by what is searched: {held}" if held else ""
        if not self.minimum:
            return f"no minimum: the variance can still fall by about {self.gain:.1%} nearby{held}"
        if math.isinf(self.curvature) and not self.binding:
            return "the growth rate alone determines the one that is free"
        return f"a minimum among critical points nearby{held}"


@named_arguments
def critical_initialization(
    cell: Cell | str,
    fixed: Mapping[str, float],
    *,
    weights: str | BiInvariant = "orthogonal",
    steps: int = 20,
    free: Sequence[str] = (),
    dynamics: Sharing = "tied",
    horizon: float | None = None,
    seed: int = 0,
    progress: bool = False,
) -> CriticalPoint:
    r"""Find hyperparameters at which gradients keep their norm and spread least.

    .. math:: \lambda = 1, \qquad \frac{m_2}{m_1^2} \Big|_{J_T \cdots J_1} \to \min

    Parameters
    ----------
    cell
        Any cell, by itself or by name.
    fixed
        Hyperparameters that stay, among them ``input_variance``.
    weights
        The ensemble of every W; of one that is given as such the shape counts, and not the scale.
    steps
        T, over which the variance is measured.
    free
        Hyperparameters to solve for: by default all weight standard deviations that are not fixed.
        Input standard deviations and bias means may be named here too.  A name without a group,
        such as ``"bias_mean"``, speaks for all groups that are not fixed by name.
    dynamics
        ``"tied"``, the default, for a network whose weights are the same at all steps and whose
        biases stay, as a real one's do; ``"untied"`` for weights that are drawn anew at every step,
        as in published theory.
    horizon
        H, with shared weights: over how many steps gradients keep their mean squared norm; by
        default 100, and ``math.inf`` for the growth rate in the end. The first steps lose what does
        not lie in the directions that last, so that gradients grow a little later if they are to
        keep their norm over 100 steps.
    seed
        Of the sites, and of the scattered starts.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ConvergenceError
        If the point is lost at full accuracy.
    InfeasibleError
        If no values of the free hyperparameters make the growth rate 1.
    ParameterError
        If nothing is left free, or a name is unknown, or both fixed and free.

    Notes
    -----
    The growth rate is that of the squared length of a gradient, a step, in the limit of many steps
    (over the T steps where a fixed bias is spread and stays).  With shared weights it is that of
    a recursion over pairs of times, and not :math:`\\chi_1`: a gated network that is critical for
    fresh weights grows or fades once it keeps them.  :attr:`CriticalPoint.fresh` says how much.

    Assumes N -> infinity and bi-invariant weights.  Without a bound the least variance is that of a
    network which only remembers (all gates open, no weights): standard deviations are kept between
    0.02 and 8, bias means between -8 and 8.

    Descents begin where one common standard deviation is critical, with biases 0 and input standard
    deviations 1, where the weights of each usual initialisation, times one factor, are, and at
    scattered points.  What is neither fixed nor free keeps the value of the start.  The best is
    followed to a minimum on the surface of growth rate 1, which first and second derivatives
    confirm: :attr:`CriticalPoint.minimum`, :attr:`CriticalPoint.binding`.  Lesser minima elsewhere
    cannot be excluded.  With shared weights all this is done with fresh ones first, and descents go
    on from there.

    References
    ----------
    :cite:t:`Gilboa2019` for the programme; the equations are ours, see docs/theory.md.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> found = critical_initialization(gru, {"input_variance": 0.2, "update.bias_mean": 1.0,
    ...                              "update.weight_std": 0.5, "reset.weight_std": 0.5}, steps=3,
    ...                              dynamics="untied")
    >>> found.free, round(found.report.growth_rate, 6)
    (('candidate.weight_std',), 1.0)
    """
    check_counts(steps=steps)
    check_seed(seed, whole=True)
    check_sharing(dynamics)
    horizon = checked_horizon(horizon, dynamics)
    if dynamics == "tied":
        check_tied_steps(steps)
    search = CriticalSearch.of(cell_named(cell), fixed, free)
    cell = search.cell
    known = usual_initializations(cell, search.base.input_variance, steps)
    starts = starts_of(search, known, seed)
    of_search, of_answer = (np.random.SeedSequence((seed, k)) for k in range(2))
    stages = 2 * len(starts) + (FOLLOWED + 1) * len(_FOLLOWED) + 2 * len(known) + 1
    with tqdm(
        total=stages + (FOLLOWED + 3 if dynamics == "tied" else 0),
        desc=f"{cell.name}, critical point", unit="stage", disable=not progress, delay=1,
    ) as bar:  # fmt: skip
        descent = Descent(cell, weights, steps, of_search, bar.update)
        tried = descent.begun(starts)
        found = _settled(descent, tried, of_answer)
        bar.update()
        others = _Others(cell, weights, steps, of_answer, dynamics, horizon, bar.update)
        fresh = None
        if dynamics == "tied":
            fresh = others.fresh(found.report.parameters)
            way = TiedDescent(cell, weights, steps, of_search, bar.update, horizon=horizon)
            found = _settled_tied(way, [found.start, *tried], of_answer)
            bar.update()
        rescaled, usual = others.rescaled(tried), others.usual(known)
        bar.update(bar.total - bar.n)
    best = found.start
    limits = dict(best.search.limits(best.reached, _AT_END))
    named = zip(search.free, found.optimality.binding, strict=True)
    return CriticalPoint(
        found.report,
        usual,
        rescaled,
        search.free,
        best.name,
        tuple(_tried(each) for each in tried),
        tuple((name, limits[name]) for name, held in named if held),
        found.optimality.gain,
        found.optimality.curvature,
        dynamics,
        fresh,
    )


@dataclass(frozen=True, eq=False)
class _Found:
    start: Start
    optimality: Optimality
    report: InitializationReport


def _settled(descent: Descent, tried: Sequence[Start], seed: Seed) -> _Found:
    """Return the best of the starts that stay critical where the states are followed for longer."""
    best = min(tried, key=lambda each: each.spread)
    # States that remember for hundreds of steps have not settled in a few: a pass that is lost.
    for longer, anew in _FOLLOWED[1:] if best.kept > _LASTS else _FOLLOWED:
        if anew and not imposed(descent.cell, best.search.base):
            continue  # nothing settles once for all: it would be the same way again
        way = replace(descent, settle=longer * descent.settle, anew=anew)
        found = _answer(way, tried, seed)
        if found is not None:
            return found
    raise ConvergenceError(
        "the critical point was lost at full accuracy: towards less variance the states jump from "
        "one stationary value to another before the growth rate is 1; fix the biases of gates that "
        "remember"
    )


def _settled_tied(descent: TiedDescent, tried: Sequence[Start], seed: Seed) -> _Found:
    """Return the best of the starts that are critical in networks that keep their weights."""
    found = _answer(descent, tried, seed)
    if found is None:
        raise ConvergenceError(
            "the point that is critical for fresh weights was found, but none near it with shared "
            "ones: fix the biases of gates that remember, or take dynamics='untied'"
        )
    return found


def _answer(way: Descent, tried: Sequence[Start], seed: Seed) -> _Found | None:
    found = way.followed(tried)
    if found is None:
        return None
    populations = populations_at(
        found[0], weights=way.weights, steps=way.steps, seed=seed, dynamics=way.dynamics,
        horizon=way.horizon,
    )  # fmt: skip
    report = critical_report(*found, populations, weights=way.weights)
    return None if report is None else _Found(*found, report)


@dataclass(frozen=True, eq=False)
class _Others:
    """What stands beside the answer."""

    cell: Cell
    weights: str | BiInvariant
    steps: int
    seed: Seed
    dynamics: Sharing
    horizon: float
    tick: Callable[[], object]

    @property
    def _asked(self) -> float | None:
        return self.horizon if self.dynamics == "tied" else None

    def fresh(self, parameters: Parameters) -> InitializationReport:
        """Report what is critical with fresh weights."""
        self.tick()
        return initialization_report(
            "critical for fresh weights", parameters, self.cell, weights=self.weights,
            steps=self.steps, seed=self.seed, dynamics=self.dynamics, horizon=self._asked,
        )  # fmt: skip

    def rescaled(self, tried: Sequence[Start]) -> tuple[InitializationReport, ...]:
        """Report the usual ones with weights rescaled, where that makes them critical."""
        found = []
        for each in tried:
            if each.first is not None and each.usual:
                scaled = rescaled_report(
                    each, weights=self.weights, steps=self.steps, seed=self.seed,
                    dynamics=self.dynamics, horizon=self.horizon,
                )  # fmt: skip
                found += [] if scaled is None else [scaled]
                self.tick()
        return tuple(found)

    def usual(self, known: Sequence[UsualInitialization]) -> tuple[InitializationReport, ...]:
        """Report the usual initialisations as they are."""
        found = []
        for each in known:
            found.append(
                initialization_report(
                    each.name, each.parameters, self.cell, weights=each.weights, steps=self.steps,
                    remark=each.remark, dynamics=self.dynamics, horizon=self._asked,
                )
            )  # fmt: skip
            self.tick()
        return tuple(found)


def _tried(start: Start) -> TriedStart:
    at_start, found = (math.expm1(min(x, 700.0)) if math.isfinite(x) else math.inf
                       for x in (start.from_spread, start.spread))  # fmt: skip
    return TriedStart(start.name, at_start, found, start.remark)
