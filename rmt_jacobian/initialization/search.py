"""The space of a critical point: free hyperparameters as a vector in a box, and starts in it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from scipy.stats import qmc

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.averages.bends import is_smooth

__all__ = ["BIASES", "HIGHEST", "LOWEST", "CriticalSearch"]

LOWEST, HIGHEST = 0.02, 8.0  # standard deviations that are searched
BIASES = (-8.0, 8.0)  # bias means that are searched
_SOLVED_FOR = ("weight_std", "input_std", "bias_mean")


@dataclass(frozen=True)
class CriticalSearch:
    """The free hyperparameters of a cell as a vector: logarithms of deviations, and bias means.

    Attributes
    ----------
    cell, base
        The cell, and the values of all that is not free.
    free
        Names.
    named
        Names that the user has given a value.
    """

    cell: Cell
    base: Parameters
    free: tuple[str, ...]
    named: frozenset[str]

    @classmethod
    def of(cls, cell: Cell, fixed: Mapping[str, float], free: Sequence[str]) -> "CriticalSearch":
        """Check names and choose what is free.

        Raises
        ------
        ParameterError
            If nothing is left free, a name is unknown, or both fixed and free.
        """
        if not isinstance(fixed, Mapping):
            raise ParameterError(
                f"fixed must hold parameters by name, as {{'input_variance': 1}}, not {fixed!r}"
            )
        if "input_variance" not in fixed:
            raise ParameterError("give input_variance, the variance E[x^2] of the inputs")
        everything = Parameters.of(cell, {"weight_std": 1.0, "input_std": 1.0, **fixed})
        base = everything.with_values({"bias_std": 0.0, "bias_mean": 0.0, **fixed})
        stays = {"input_variance", *dict(base.constants)}
        names = [name for name in base.named() if name not in stays]
        given = {name for name in names if name in fixed}
        meant = _meant(cell, names, given, fixed, free)
        chosen = tuple(name for name in names if name in meant)
        if not free:
            given |= {name for name in names if name.split(".")[-1] in fixed}
            chosen = tuple(n for n in names if n.endswith("weight_std") and n not in given)
        if not any(name.endswith("weight_std") for name in chosen):
            raise ParameterError(
                "a weight_std must be free, or the growth rate cannot be set: fix fewer parameters"
            )
        given |= {n for n in names if n.split(".")[-1] in fixed and n not in chosen}
        return cls(cell.at(base.constants), base, chosen, frozenset(given))

    @property
    def bounds(self) -> np.ndarray:
        """The ends of what is searched, shape (free, 2)."""
        deviations = (math.log(LOWEST), math.log(HIGHEST))
        return np.array([BIASES if _is_bias(name) else deviations for name in self.free])

    @property
    def weights(self) -> np.ndarray:
        """1 for every weight deviation, 0 for others."""
        return np.array([float(name.endswith("weight_std")) for name in self.free])

    @property
    def deviations(self) -> np.ndarray:
        """1 for every standard deviation, 0 for bias means."""
        return np.array([float(not _is_bias(name)) for name in self.free])

    @property
    def smooth(self) -> bool:
        """Whether the Jacobian of the cell has neither kinks nor jumps."""
        tables = (self.cell.state_derivatives, self.cell.gate_derivatives)
        return all(is_smooth(entry) for table in tables for row in table for entry in row)

    def at(self, vector: np.ndarray) -> Parameters:
        """Return the hyperparameters that a vector stands for."""
        values = {
            name: float(x) if _is_bias(name) else math.exp(x)
            for name, x in zip(self.free, vector, strict=True)
        }
        return self.base.with_values(values)

    @property
    def own(self) -> np.ndarray:
        """The vector of the base itself, moved into the box."""
        named = self.base.named()
        values = [
            named[name] if _is_bias(name) else math.log(max(named[name], LOWEST))
            for name in self.free
        ]
        return np.clip(values, *self.bounds.T)

    def like(self, other: Parameters) -> "CriticalSearch":
        """Return the search in which all that was not given a value has that of ``other``.

        Biases are not spread: where they are frozen, nearly any weights are critical in the end.
        """
        taken = {
            name: value
            for name, value in other.named().items()
            if name not in self.named and name.split(".")[-1] not in ("bias_std", "input_variance")
        }
        return replace(self, base=self.base.with_values(taken))

    def scattered(self, count: int, seed: int) -> np.ndarray:
        """Return low-discrepancy points of the box, shape (count, free)."""
        points = qmc.Sobol(len(self.free), rng=np.random.default_rng(seed)).random(count)
        low, high = self.bounds.T
        # The outer quarters of the biases are dead gates, where nothing has a slope.
        reach = np.where(self.deviations > 0, 1.0, 0.5)
        return (low + high) / 2 + reach * (high - low) * (points - 0.5)

    def limits(self, vector: np.ndarray, within: float) -> list[tuple[str, str]]:
        """Return the names that are at an end of what is searched, and at which."""
        low, high = self.bounds.T
        found = []
        for name, x, a, b in zip(self.free, vector, low, high, strict=True):
            if x <= a + within:
                found.append((name, "lower"))
            elif x >= b - within:
                found.append((name, "upper"))
        return found


def _meant(
    cell: Cell,
    names: Sequence[str],
    given: set[str],
    fixed: Mapping[str, float],
    free: Sequence[str],
) -> set[str]:
    """Return the names that are to be free; a name without a group speaks for all not given."""
    meant: set[str] = set()
    for name in free:
        own = [name] if name in names else [n for n in names if n.split(".")[-1] == name]
        if not own:
            near = get_close_matches(name, [*names, *_SOLVED_FOR], n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
            raise ParameterError(f"{cell.name} has no parameter {name!r} to solve for: {hint}")
        if name.split(".")[-1] not in _SOLVED_FOR:
            raise ParameterError(f"{name} cannot be solved for: {', '.join(_SOLVED_FOR)} can")
        if name in fixed:
            raise ParameterError(
                f"{name} is both fixed, at {fixed[name]:g}, and free: leave out one of the two"
            )
        meant |= {each for each in own if each not in given}
    return meant


def _is_bias(name: str) -> bool:
    return name.endswith("bias_mean")
