"""Critical initialisation of any cell: growth rate 1, and then the least variance of J J^T."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, InfeasibleError, ParameterError
from rmt_jacobian.pencils.critical_search import CriticalSearch
from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.pencils.initialization_report import (
    InitializationReport,
    initialization_report,
)
from rmt_jacobian.pencils.usual_initializations import UsualInitialization, usual_initializations

__all__ = ["CriticalPoint", "InitializationReport", "critical_point", "initialization_report"]

_COMMON = "one common standard deviation"
_DESCENTS = 2  # of the starts of least variance
_CLOSE = 0.4  # of log m_2 / m_1^2: starts further above the best are left alone
_SHORT, _LONG = 6, 10  # iterations of every descent, and of the one that goes on


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
        From which initialisation the search came, and took what is neither free nor given.
    """

    report: InitializationReport
    usual: tuple[InitializationReport, ...]
    rescaled: tuple[InitializationReport, ...]
    free: tuple[str, ...]
    start: str

    @property
    def parameters(self) -> Parameters:
        """The hyperparameters that were found."""
        return self.report.parameters


def critical_point(
    cell: Cell,
    fixed: Mapping[str, float],
    *,
    weights: str | BiInvariant = "orthogonal",
    steps: int = 20,
    free: Sequence[str] = (),
    progress: bool = False,
) -> CriticalPoint:
    r"""Find hyperparameters at which gradients keep their norm and spread least.

    .. math:: \lambda = 1, \qquad \frac{m_2}{m_1^2} \Big|_{J_T \cdots J_1} \to \min

    Parameters
    ----------
    cell
        Any cell.
    fixed
        Hyperparameters that stay, among them ``input_variance``.
    weights
        The ensemble of every W.
    steps
        T, over which the variance is measured.
    free
        Hyperparameters to solve for: by default all weight standard deviations that are not fixed.
        Input standard deviations and bias means may be named here too.
    progress
        Whether to show a progress bar.

    Raises
    ------
    InfeasibleError
        If no values of the free hyperparameters make the growth rate 1.
    ParameterError
        If nothing is left free, or a name is unknown.

    Notes
    -----
    Assumes untied weights and N -> infinity.  Without a bound the least variance is that of a
    network which only remembers (all gates open, no weights): standard deviations are kept between
    0.02 and 8, bias means between -8 and 8.

    The search is local, from several starts: where one common standard deviation is critical, with
    biases 0 and input standard deviations 1, and where the weights of each usual initialisation,
    times one factor, are.  What is neither fixed nor free keeps the value of the start.  So the
    result varies no more than any usual initialisation that is rescaled to growth rate 1; a least
    variance over all hyperparameters it need not be.

    References
    ----------
    :cite:t:`Gilboa2019` for the programme; the equations are ours, see docs/theory.md.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> found = critical_point(gru, {"input_variance": 0.2, "update.bias_mean": 1.0,
    ...                              "update.weight_std": 0.5, "reset.weight_std": 0.5}, steps=3)
    >>> found.free, round(found.report.growth_rate, 8)
    (('candidate.weight_std',), 1.0)
    """
    if steps < 1:
        raise ParameterError(f"steps must be a whole number above 0, not {steps}")
    search = CriticalSearch.of(cell, fixed, free, weights, steps)
    with tqdm(
        desc=f"{cell.name}, critical point", unit="point", disable=not progress, delay=2
    ) as bar:
        search = replace(search, tick=bar.update)
        known = usual_initializations(cell, search.base.input_variance, steps)
        starts = _starts(search, known)
        found = [(start, _report(start)) for start in starts]
        if len(search.free) > 1:
            best = _least_variance(starts)
            found.append((best, _report(best)))
        start, report = _best(found)
        report = replace(report, name="critical", remark=start.search.remark(report.parameters))
        usual = tuple(
            initialization_report(
                each.name, each.parameters, cell, weights=each.weights, steps=steps,
                remark=each.remark,
            )
            for each in known
        )  # fmt: skip
    rescaled = (each for start, each in found[: len(starts)] if start.name != _COMMON)
    return CriticalPoint(
        report,
        usual,
        tuple(each for each in rescaled if isinstance(each, InitializationReport)),
        search.free,
        start.name,
    )


@dataclass(frozen=True)
class _Start:
    """A critical point, by the name of where the search for it began."""

    name: str
    search: CriticalSearch
    vector: np.ndarray
    remark: str = ""

    def descended(self, iterations: int) -> "_Start":
        return replace(self, vector=self.search.descended(self.vector, iterations))

    @property
    def spread(self) -> float:
        return self.search.spread(self.vector)


def _starts(search: CriticalSearch, known: Sequence[UsualInitialization]) -> list[_Start]:
    """Return the starts that can be made critical, no two usual ones of them alike."""
    starts, reasons = [], []
    try:
        starts.append(_Start(_COMMON, search, search.common_start()))
    except InfeasibleError as error:
        reasons.append(error)
    for each in known:
        own = search.like(each.parameters)
        try:
            vector = own.rescaled_start()
        except InfeasibleError as error:
            reasons.append(error)
            continue
        parameters = own.at(vector)
        if any(
            _alike(parameters, other.search.at(other.vector))
            for other in starts
            if other.name != _COMMON
        ):
            continue
        spread = any(group.bias_std for _, group in each.parameters.groups)
        remark = "its biases are not spread" if spread else ""
        starts.append(_Start(f"{each.name}, rescaled", own, vector, remark))
    if not starts:
        raise reasons[0]
    return starts


def _alike(one: Parameters, other: Parameters) -> bool:
    a, b = (np.array(list(each.named().values())) for each in (one, other))
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-9))


def _least_variance(starts: Sequence[_Start]) -> _Start:
    """Descend a little from the best starts, and further from the best of these."""
    ordered = sorted(((each.spread, k) for k, each in enumerate(starts)))[:_DESCENTS]
    near = [starts[k] for spread, k in ordered if spread < ordered[0][0] + _CLOSE]
    descended = [each.descended(_SHORT) for each in near]
    return min(descended, key=lambda each: each.spread).descended(_LONG)


def _report(start: _Start) -> InitializationReport | ConvergenceError:
    """Return the report at full accuracy, or why there is none."""
    search = start.search
    try:
        parameters = search.polished(start.vector)
    except ConvergenceError as error:
        return error
    return initialization_report(
        start.name,
        parameters,
        search.cell,
        weights=search.weights,
        steps=search.steps,
        remark=start.remark,
    )


def _best(
    found: Sequence[tuple[_Start, InitializationReport | ConvergenceError]],
) -> tuple[_Start, InitializationReport]:
    reached = [(s, each) for s, each in found if isinstance(each, InitializationReport)]
    if not reached:
        raise next(each for _, each in found if isinstance(each, ConvergenceError))
    return min(reached, key=lambda each: each[1].relative_variance)
