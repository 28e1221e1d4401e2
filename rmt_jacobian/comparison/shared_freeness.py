"""Whether one W, free from the diagonals and the same at all steps, explains a network."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rmt_jacobian.comparison.measured import Estimate
from rmt_jacobian.comparison.paired_theory import MOST_SHARED, PairedTheory
from rmt_jacobian.comparison.rows import FAILS
from rmt_jacobian.sampling import NetworkStep

__all__ = ["Followed", "SharedLawTest", "SharedRow", "jacobian_of", "shared_law_test"]

_FINITE_WIDTH = {"m_1": 0.5, "m_2": 2.0}  # of T / N, relative; as in verify


@dataclass(frozen=True)
class SharedRow:
    """A moment of the product beside the theory of shared weights on the drawn paths.

    Attributes
    ----------
    name
        ``"m_1"`` or ``"m_2"``.
    ratio
        Sampled over predicted, mean and standard error over networks.
    finite_width
        By how much, relatively, the prediction may be off at finite N.
    """

    name: str
    ratio: Estimate
    finite_width: float

    @property
    def z(self) -> float:
        """By how many standard errors they are farther off than finite width allows."""
        off = self.ratio.value - 1
        beyond = Estimate(math.copysign(max(0.0, abs(off) - self.finite_width), off),
                          self.ratio.standard_error)  # fmt: skip
        return -beyond.z(0.0)


@dataclass(frozen=True)
class SharedLawTest:
    """Moments of networks that keep their weights beside the theory of one W at T places.

    Attributes
    ----------
    rows
        For m_1, and m_2 of up to 40 steps.
    """

    rows: tuple[SharedRow, ...]

    @property
    def verdict(self) -> str:
        """``not rejected``, ``rejected`` by 4 standard errors of a moment, or ``unknown``."""
        if not self.rows or any(math.isnan(row.z) for row in self.rows):
            return "unknown"
        return "rejected" if any(abs(row.z) >= FAILS for row in self.rows) else "not rejected"

    def content(self) -> dict[str, Any]:
        """Return the test as plain data."""
        return {"rows": [{**asdict(row), "z": row.z} for row in self.rows], "verdict": self.verdict}

    def __str__(self) -> str:
        lines = [
            f"{row.name}  sampled / predicted  {row.ratio.value:.4f} ± "
            f"{row.ratio.standard_error:.2g}  {row.finite_width:.2g} is allowed  z {row.z:+.1f}"
            for row in self.rows
        ]
        return "\n".join([*lines, f"verdict: {self.verdict}"])


class Followed:
    """The Jacobians of a network, one after another, and what theory says of their product."""

    def __init__(self, run: Iterable[NetworkStep], theory: PairedTheory) -> None:
        self._run, self._theory = run, theory
        self._product: np.ndarray | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield J_1, J_2, ..."""
        for step in self._run:
            self._theory.add(step)
            J = jacobian_of(step)
            self._product = J if self._product is None else J @ self._product
            yield J

    def ratios(self) -> tuple[float, float]:
        """Return m_1 and m_2 of the product over what theory says of them."""
        assert self._product is not None
        square = self._product @ self._product.T
        sampled = np.trace(square) / len(square), np.vdot(square, square) / len(square)
        first, second = (s / p for s, p in zip(sampled, self._theory.moments(), strict=True))
        return float(first), float(second)


def jacobian_of(step: NetworkStep) -> np.ndarray:
    """Return J of one step, shape (dN, dN)."""
    states, width = len(step.states), step.x.shape[0]
    whole = np.eye(states * width)
    return np.concatenate(step.times(list(whole.reshape(states, width, -1))))


def shared_law_test(ratios: np.ndarray, steps: int, width: int) -> SharedLawTest:
    """Average ratios of m_1 and m_2 over networks, shape (samples, 2)."""
    rows = []
    for name, values in zip(_FINITE_WIDTH, ratios.T, strict=True):
        if name == "m_1" or steps <= MOST_SHARED:
            rows.append(SharedRow(name, Estimate.of(values), _FINITE_WIDTH[name] * steps / width))
    return SharedLawTest(tuple(rows))
