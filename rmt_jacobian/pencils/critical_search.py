"""The search behind critical points: free hyperparameters as a vector, starts, and descent."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import brentq, minimize, root_scalar

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ConvergenceError, InfeasibleError, ParameterError
from rmt_jacobian.mean_field import UntiedState, untied_state
from rmt_jacobian.pencils.ensembles import BiInvariant
from rmt_jacobian.pencils.initialization_report import growth_rate
from rmt_jacobian.pencils.untied_chain import product_moments_of
from rmt_jacobian.solvers import bracketed_root

__all__ = ["CriticalSearch"]

_LOWEST, _HIGHEST = 0.02, 8.0  # standard deviations that are searched
_BIASES = (-8.0, 8.0)  # bias means that are searched
_SCALES = 15  # of all free standard deviations together, where a change of sign is looked for
_ROUGH_SITES, _ROUGH_COUNT = 256, 2048
_FINE_COUNT = 16_384
_HOPELESS = 50.0  # logarithm of a variance that is not a number
_AT_END = 0.1  # of the logarithm of a deviation, or of a bias mean
_EXACT, _ROUGH = 1e-10, 1e-6  # of the growth rate; of the logarithm of a scale
_KEPT = 16  # states, for the constraint and the slopes of one step of the descent


@dataclass(frozen=True)
class CriticalSearch:
    """The free hyperparameters of a cell as a vector: logarithms of deviations, and bias means.

    Attributes
    ----------
    cell, base
        The cell, and the values of all that is not free.
    free
        Names, the last of which are the weights that the growth rate is solved with.
    named
        Names that the user has given a value.
    weights, steps
        The ensemble of every W, and T.
    tick
        Called once for each evaluation.
    """

    cell: Cell
    base: Parameters
    free: tuple[str, ...]
    named: frozenset[str]
    weights: str | BiInvariant
    steps: int
    tick: Callable[[], object] = lambda: None
    _states: dict[tuple[bytes, int], UntiedState] = field(
        default_factory=dict, repr=False, compare=False
    )
    _rates: dict[tuple[bytes, int], float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        cell: Cell,
        fixed: Mapping[str, float],
        free: Sequence[str],
        weights: str | BiInvariant,
        steps: int,
    ) -> "CriticalSearch":
        """Check names and choose what is free.

        Raises
        ------
        ParameterError
            If nothing is left free, or a name is unknown.
        """
        if "input_variance" not in fixed:
            raise ParameterError("give input_variance, the variance E[x^2] of the inputs")
        everything = Parameters.of(cell, {"weight_std": 1.0, "input_std": 1.0, **fixed})
        base = everything.with_values({"bias_std": 0.0, "bias_mean": 0.0, **fixed})
        names = [name for name in base.named() if name != "input_variance"]
        for name in free:
            if name not in names:
                raise ParameterError(f"{cell.name} has no parameter {name!r} to solve for: "
                                     f"known: {', '.join(names)}")  # fmt: skip
        given = frozenset(n for n in names if n in fixed or n.split(".")[-1] in fixed)
        chosen = tuple(free) or tuple(
            name for name in names if name.endswith("weight_std") and name not in given
        )
        if not any(name.endswith("weight_std") for name in chosen):
            raise ParameterError(
                "a weight_std must be free, or the growth rate cannot be set: fix fewer parameters"
            )
        # The last weights, those of the candidate, are what the growth rate is solved with.
        solver = [name for name in chosen if name.endswith("weight_std")][-1]
        ordered = (*(name for name in chosen if name != solver), solver)
        return cls(cell, base, ordered, given, weights, steps)

    def _is_bias(self, name: str) -> bool:
        return name.endswith("bias_mean")

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """The ends of what is searched."""
        deviations = (math.log(_LOWEST), math.log(_HIGHEST))
        return [_BIASES if self._is_bias(name) else deviations for name in self.free]

    def at(self, vector: np.ndarray) -> Parameters:
        """Return the hyperparameters that a vector stands for."""
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
        if self._is_bias(name):
            return value
        return math.log(value) if value > 0 else math.log(_LOWEST)

    def _state(self, vector: np.ndarray, count: int) -> UntiedState:
        key = (vector.tobytes(), count)
        if key not in self._states:
            while len(self._states) >= _KEPT:
                self._states.pop(next(iter(self._states)))
            self._states[key] = untied_state(self.cell, self.at(vector), count=count)
        return self._states[key]

    def growth(self, vector: np.ndarray, count: int = _ROUGH_COUNT) -> float:
        """Return the growth rate, from a population of ``count`` sites."""
        key = (vector.tobytes(), count)
        if key not in self._rates:
            self.tick()
            self._rates[key] = growth_rate(self._state(vector, count))
        return self._rates[key]

    def spread(self, vector: np.ndarray) -> float:
        """Return log m_2 / m_1^2 over the T steps, on few sites."""
        self.tick()
        state = self._state(vector, _ROUGH_COUNT)
        moments = product_moments_of(state, self.weights, self.steps, count=_ROUGH_SITES)
        found = moments.relative_variance
        return math.log1p(found) if 0 <= found < math.inf else _HOPELESS

    def common_start(self) -> np.ndarray:
        """Return a point where all free deviations are the same and the growth rate is 1.

        Raises
        ------
        InfeasibleError
            If there is none.
        """
        zero = np.array([self.base.named()[n] if self._is_bias(n) else 0.0 for n in self.free])
        moving = np.array([0.0 if self._is_bias(name) else 1.0 for name in self.free])
        return self._scaled(zero, moving)

    def like(self, other: Parameters) -> "CriticalSearch":
        """Return the search in which all that was not given a value has that of ``other``.

        Biases are not spread: where they are frozen, the growth rate is 1 at any weights.
        """
        taken = {
            name: value
            for name, value in other.named().items()
            if name not in self.named and name.split(".")[-1] not in ("bias_std", "input_variance")
        }
        return replace(self, base=self.base.with_values(taken), _states={}, _rates={})

    def rescaled_start(self) -> np.ndarray:
        """Return the point where the free weights of the base, times one factor, are critical.

        Raises
        ------
        InfeasibleError
            If there is none.
        """
        named = self.base.named()
        zero = np.array([self._coordinate(name, named[name]) for name in self.free])
        moving = np.array([float(name.endswith("weight_std")) for name in self.free])
        return self._scaled(np.clip(zero, *np.array(self.bounds).T), moving)

    def _scaled(self, zero: np.ndarray, moving: np.ndarray) -> np.ndarray:
        """Return the first point on a line where the growth rate becomes 1, or ceases to be less.

        A change from below to above comes first.
        """

        def excess(s: float) -> float:
            return self.growth(zero + s * moving) - 1

        low, high = math.log(_LOWEST), math.log(_HIGHEST)
        moved = zero[moving > 0]
        scales = np.linspace(low - moved.min(), high - moved.max(), _SCALES)
        rates: list[float] = []
        for scale in scales:
            rates.append(excess(float(scale)))
            if len(rates) > 1 and rates[-2] < 0 <= rates[-1]:
                break
        signs = [k for k in range(len(rates) - 1) if rates[k] < 0 <= rates[k + 1]]
        signs += [k for k in range(len(rates) - 1) if rates[k] >= 0 > rates[k + 1]]
        for k in signs:
            at = brentq(excess, float(scales[k]), float(scales[k + 1]), xtol=_ROUGH)
            if abs(excess(at)) < 1e-3:  # and no jump
                return zero + at * moving
        least, most = 1 + min(rates), 1 + max(rates)
        remedy = "raise" if most < 1 else "lower"
        raise InfeasibleError(
            f"no critical point: with the free standard deviations between {_LOWEST} and "
            f"{_HIGHEST:g} the growth rate lies between {least:.4g} and {most:.4g}; {remedy} the "
            "bias of the gate that remembers, or fix fewer parameters"
        )

    def descended(self, start: np.ndarray, iterations: int) -> np.ndarray:
        """Return a critical point of smaller spread that descent from the start leads to."""
        found = minimize(
            self.spread,
            start,
            method="SLSQP",
            bounds=self.bounds,
            constraints={"type": "eq", "fun": lambda v: math.log(self.growth(v))},
            options={"maxiter": iterations, "ftol": 1e-4, "eps": 1e-4},
        )
        best = np.clip(found.x, *np.array(self.bounds).T)
        if not np.all(np.isfinite(best)):
            return start
        # Where the descent was cut short it may have left the surface of growth rate 1.
        if abs(self.growth(best) - 1) > 1e-3:
            try:
                best = self._on_surface(best, _ROUGH_COUNT, _ROUGH)
            except ConvergenceError:
                return start
        return best if self.spread(best) <= self.spread(start) else start

    def polished(self, vector: np.ndarray) -> Parameters:
        """Make the growth rate 1, at full accuracy, by the weights that it is solved with.

        Raises
        ------
        ConvergenceError
            If the point is lost.
        """
        return self.at(self._on_surface(vector, _FINE_COUNT, _EXACT))

    def _on_surface(self, vector: np.ndarray, count: int, exact: float) -> np.ndarray:
        def shifted(x: float) -> np.ndarray:
            return np.append(vector[:-1], x)

        def excess(x: float) -> float:
            return self.growth(shifted(x), count) - 1

        middle, width = float(vector[-1]), 0.01
        # Few sites know the slope well enough to begin with.
        ends = [self.growth(shifted(middle + end * width), _ROUGH_COUNT) for end in (-1, 1)]
        step = -excess(middle) * 2 * width / ((ends[1] - ends[0]) or math.inf)
        near = root_scalar(
            excess, x0=middle, x1=middle + (step or width), method="secant", xtol=1e-12, maxiter=9
        )
        if abs(near.root - middle) < 1 and abs(excess(near.root)) <= exact:
            return shifted(near.root)
        while width < 4:
            if excess(middle - width) * excess(middle + width) <= 0:
                found = bracketed_root(excess, middle - width, middle + width)
                if found.converged and found.residual <= exact:
                    return shifted(found.value)
            width *= 2
        raise ConvergenceError(
            "the critical point was lost at full accuracy: fix some parameters, or change steps"
        )
