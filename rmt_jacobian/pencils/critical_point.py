"""Critical initialisation of any cell: growth rate 1, and then the least variance of J J^T."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, InfeasibleError, ParameterError
from rmt_jacobian.mean_field import PairState, UntiedState, has_frozen_bias, untied_state
from rmt_jacobian.mean_field.correlation import timescale
from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.pencils.untied_chain import WeightsChoice, product_moments_of
from rmt_jacobian.pencils.usual_initializations import usual_initializations
from rmt_jacobian.solvers import bracketed_root

__all__ = ["CriticalPoint", "InitializationReport", "critical_point", "initialization_report"]

_LOWEST, _HIGHEST = 0.02, 8.0  # standard deviations that are searched
_BIASES = (-8.0, 8.0)  # bias means that are searched
_SCALES = 25  # of all free standard deviations together, where a change of sign is looked for
_ROUGH_SITES, _ROUGH_COUNT = 256, 2048
_SITES = 2048
_ITERATIONS = 25
_HOPELESS = 50.0  # logarithm of a variance that is not a number
_AT_END = 0.1  # of the logarithm of a deviation, or of a bias mean
_EXACT = 1e-10  # of the growth rate


@dataclass(frozen=True)
class InitializationReport:
    """What an initialisation does to gradients.

    Attributes
    ----------
    name, parameters, weights
        Its name, hyperparameters, and the ensemble of every W.
    growth_rate
        Of the squared length of a gradient, a step.
    steps, mean, relative_variance
        T, m_1 and m_2 / m_1^2 - 1 of J J^T over T steps.
    timescale
        In steps, of the similarity of two networks that see the same; infinite where it does not
        fade, that is, at a growth rate of 1 or more.
    remark
        What the description leaves out.
    """

    name: str
    parameters: Parameters
    weights: WeightsChoice
    growth_rate: float
    steps: int
    mean: float
    relative_variance: float
    timescale: float
    remark: str = ""


@dataclass(frozen=True)
class CriticalPoint:
    """A critical initialisation beside the usual ones.

    Attributes
    ----------
    report
        What was found.
    usual
        The usual initialisations at the same input variance.
    free
        The hyperparameters that were solved for.
    """

    report: InitializationReport
    usual: tuple[InitializationReport, ...]
    free: tuple[str, ...]

    @property
    def parameters(self) -> Parameters:
        """The hyperparameters that were found."""
        return self.report.parameters


def initialization_report(
    name: str,
    parameters: Parameters,
    cell: Cell,
    *,
    weights: WeightsChoice,
    steps: int,
    sites: int = _SITES,
    remark: str = "",
) -> InitializationReport:
    """Return growth rate, variance over T steps and timescale of an initialisation.

    Where biases are frozen the growth rate is that over the T steps, because in the end the few
    sites that never forget dominate.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> report = initialization_report("weak", Parameters.of(gru).with_values(weight_std=0.1), gru,
    ...                                weights="orthogonal", steps=2, sites=64)
    >>> round(report.growth_rate, 3)  # z = 1/2
    0.251
    """
    state = untied_state(cell, parameters)
    moments = product_moments_of(state, weights, steps, count=sites)
    growth = _growth(state)
    if has_frozen_bias(parameters):
        growth = moments.mean ** (1 / steps)
    return InitializationReport(
        name,
        parameters,
        weights,
        growth,
        steps,
        moments.mean,
        moments.relative_variance,
        math.inf if abs(growth - 1) < 1e-7 else timescale(growth),
        remark,
    )


def _growth(state: UntiedState) -> float:
    return PairState(state, 1.0, state.source_squares).chi


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
        Hyperparameters that stay, among them ``input_variance``.  Biases that are not named are 0,
        and input standard deviations 1.
    weights
        The ensemble of every W.
    steps
        T, over which the variance is measured.
    free
        Hyperparameters to solve for: by default all weight standard deviations that are not fixed.
        Input standard deviations, 1 by default, and bias means may be named here too.
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
    0.02 and 8, bias means between -8 and 8.  The search is local; it starts where one common
    standard deviation is critical.

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
    search = _Search.of(cell, fixed, free, weights, steps)
    with tqdm(
        desc=f"{cell.name}, critical point", unit="point", disable=not progress, delay=2
    ) as bar:
        search = search.with_bar(bar)
        start = search.start()
        best = search.least_variance(start) if len(search.free) > 1 else start
        parameters = search.polished(best)
        found = initialization_report(
            "critical",
            parameters,
            cell,
            weights=weights,
            steps=steps,
            remark=search.remark(parameters),
        )
        others = []
        for each in usual_initializations(cell, parameters.input_variance, steps):
            bar.update()
            others.append(
                initialization_report(
                    each.name, each.parameters, cell, weights=each.weights, steps=steps,
                    remark=each.remark,
                )
            )  # fmt: skip
    return CriticalPoint(found, tuple(others), search.free)


@dataclass(frozen=True)
class _Search:
    """The free hyperparameters of a cell as a vector: logarithms of deviations, and bias means."""

    cell: Cell
    base: Parameters
    free: tuple[str, ...]
    weights: str | BiInvariant
    steps: int
    tick: Callable[[], object] = lambda: None

    @classmethod
    def of(
        cls,
        cell: Cell,
        fixed: Mapping[str, float],
        free: Sequence[str],
        weights: str | BiInvariant,
        steps: int,
    ) -> "_Search":
        if "input_variance" not in fixed:
            raise ParameterError("give input_variance, the variance E[x^2] of the inputs")
        everything = Parameters.of(cell, {"weight_std": 1.0, "input_std": 1.0, **fixed})
        base = everything.with_values({"bias_std": 0.0, "bias_mean": 0.0, **fixed})
        names = [name for name in base.named() if name != "input_variance"]
        for name in free:
            if name not in names:
                raise ParameterError(f"{cell.name} has no parameter {name!r} to solve for: "
                                     f"known: {', '.join(names)}")  # fmt: skip
        chosen = tuple(free) or tuple(
            name for name in names if name.endswith("weight_std")
            and name not in fixed and name.split(".")[-1] not in fixed
        )  # fmt: skip
        if not any(name.endswith("weight_std") for name in chosen):
            raise ParameterError(
                "a weight_std must be free, or the growth rate cannot be set: fix fewer parameters"
            )
        # The last weights, those of the candidate, are what the growth rate is solved with.
        solver = [name for name in chosen if name.endswith("weight_std")][-1]
        ordered = (*(name for name in chosen if name != solver), solver)
        return cls(cell, base, ordered, weights, steps)

    def with_bar(self, bar: tqdm) -> "_Search":
        return _Search(self.cell, self.base, self.free, self.weights, self.steps, bar.update)

    def _is_bias(self, name: str) -> bool:
        return name.endswith("bias_mean")

    @property
    def bounds(self) -> list[tuple[float, float]]:
        deviations = (math.log(_LOWEST), math.log(_HIGHEST))
        return [_BIASES if self._is_bias(name) else deviations for name in self.free]

    def at(self, vector: np.ndarray) -> Parameters:
        values = {
            name: float(x) if self._is_bias(name) else math.exp(x)
            for name, x in zip(self.free, vector, strict=True)
        }
        return self.base.with_values(values)

    def remark(self, parameters: Parameters) -> str:
        """Say which hyperparameters the search left at the ends of their ranges."""
        ends = [
            name
            for name, (low, high) in zip(self.free, self.bounds, strict=True)
            if (x := parameters.named()[name]) is not None
            and min(abs(self._coordinate(name, x) - low), abs(self._coordinate(name, x) - high))
            < _AT_END
        ]
        return f"{', '.join(ends)} lies at an end of what is searched" if ends else ""

    def _coordinate(self, name: str, value: float) -> float:
        return value if self._is_bias(name) else math.log(value)

    def growth(self, vector: np.ndarray, count: int) -> float:
        self.tick()
        return _growth(untied_state(self.cell, self.at(vector), count=count))

    def start(self) -> np.ndarray:
        """Return a point where all free deviations are the same and the growth rate is 1."""
        zero = np.array([self.base.named()[n] if self._is_bias(n) else 0.0 for n in self.free])
        moving = np.array([0.0 if self._is_bias(name) else 1.0 for name in self.free])
        scales = np.linspace(math.log(_LOWEST), math.log(_HIGHEST), _SCALES)
        rates = [self.growth(zero + scale * moving, _ROUGH_COUNT) - 1 for scale in scales]
        signs = [k for k in range(_SCALES - 1) if rates[k] < 0 <= rates[k + 1]]
        signs += [k for k in range(_SCALES - 1) if rates[k] >= 0 > rates[k + 1]]
        for k in signs:
            found = bracketed_root(
                lambda s: self.growth(zero + s * moving, _ROUGH_COUNT) - 1,
                float(scales[k]),
                float(scales[k + 1]),
            )
            if found.converged:
                return zero + found.value * moving
        low, high = 1 + min(rates), 1 + max(rates)
        remedy = "raise" if high < 1 else "lower"
        raise InfeasibleError(
            f"no critical point: with the free standard deviations between {_LOWEST} and "
            f"{_HIGHEST:g} the growth rate lies between {low:.4g} and {high:.4g}; {remedy} the "
            "bias of the gate that remembers, or fix fewer parameters"
        )

    def least_variance(self, start: np.ndarray) -> np.ndarray:
        """Return the critical point of least variance that descent from the start leads to."""

        def spread(vector: np.ndarray) -> float:
            state = untied_state(self.cell, self.at(vector), count=_ROUGH_COUNT)
            moments = product_moments_of(state, self.weights, self.steps, count=_ROUGH_SITES)
            found = moments.relative_variance
            return math.log1p(found) if 0 <= found < math.inf else _HOPELESS

        found = minimize(
            spread,
            start,
            method="SLSQP",
            bounds=self.bounds,
            constraints={
                "type": "eq",
                "fun": lambda v: math.log(self.growth(v, _ROUGH_COUNT)),
            },
            options={"maxiter": _ITERATIONS, "ftol": 1e-4, "eps": 1e-4},
        )
        best = np.clip(found.x, *np.array(self.bounds).T)
        return best if np.all(np.isfinite(best)) and spread(best) <= spread(start) else start

    def polished(self, vector: np.ndarray) -> Parameters:
        """Make the growth rate 1, at full accuracy, by the weights that it is solved with."""

        def shifted(x: float) -> np.ndarray:
            return np.append(vector[:-1], x)

        def excess(x: float) -> float:
            return self.growth(shifted(x), 16_384) - 1

        middle, width = float(vector[-1]), 0.01
        while width < 4:
            if excess(middle - width) * excess(middle + width) <= 0:
                found = bracketed_root(excess, middle - width, middle + width)
                if found.converged and found.residual <= _EXACT:
                    return self.at(shifted(found.value))
            width *= 2
        raise ConvergenceError(
            "the critical point was lost at full accuracy: fix some parameters, or change steps"
        )
