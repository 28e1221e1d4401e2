r"""Where a free convolution has gaps: the real solutions of the subordination equations.

On a gap of the support of the convolution all subordination points :math:`\omega_j` are real, lie
in gaps of their factors, and share one level.  A strand is one choice of an arm for each factor.
Along it the level is a parameter of z, and z grows as the level falls exactly in the gaps, where

.. math:: 1 - \sum_j t_j \frac{h_j}{1 + h_j} > 0, \qquad h_j = -\Sigma_j'(\omega_j)

with the slope in the coordinate of the convolution; for two factors this says
:math:`h_1 h_2 < 1`, that the fixed point is attracting.  A real solution with this property
continues to solutions in the upper half plane, which are unique, so that it belongs to the law;
edges are the zeros, at which z is stationary.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.laws.convolution.arms import Arms
from rmt_jacobian.laws.convolution.chart import Chart

__all__ = ["Strands", "strands_of"]

_MOST = 20_000  # strands
_NOISE = 1e-9  # of the remainder; z is stationary at its zeros, so an edge moves by the square


@dataclass(frozen=True, eq=False)
class Strands:
    """All strands of a convolution.

    Attributes
    ----------
    arms
        The arms of every factor.
    times
        How many times every factor enters.
    choice
        The arm of every factor, of shape (factors, strands).
    levels
        Levels that decrease along each row, of shape (strands, count).
    """

    arms: tuple[Arms, ...]
    times: np.ndarray
    choice: np.ndarray
    levels: np.ndarray

    @property
    def chart(self) -> Chart:
        """The coordinate of the convolution."""
        return self.arms[0].chart

    def points(self, strand: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Return the subordination points of some strands at given levels, a row for a factor."""
        rows = [
            arms.at_level(arm[strand], level)
            for arms, arm in zip(self.arms, self.choice, strict=True)
        ]
        return np.array(rows)

    def locate(
        self, strand: np.ndarray, level: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return z, the remainder (positive in a gap), and the subordination points."""
        points = self.points(strand, level)
        direction = self.chart.direction(points, level, self.times)
        with np.errstate(all="ignore"):
            slopes, loss, sigma, repeats, main = self._terms(points)
            z = self.chart.combine(np.take_along_axis(points, main, 0)[0], sigma, repeats)
            remainder = _remainder(slopes, loss, repeats, main)
        # At a hard edge or an atom the slope may be infinite: no gap is claimed there.
        remainder = np.where(direction == 0, -1.0, direction * remainder)
        remainder = np.where(np.isnan(remainder), -1.0, remainder - _NOISE)
        return z, np.where(self.chart.never_support(points), 1.0, remainder), points

    def sizes(self, points: np.ndarray) -> np.ndarray:
        """Return how large the terms are that add up to z at some points, for a sum."""
        with np.errstate(all="ignore"):
            _, _, sigma, repeats, main = self._terms(points)
            return np.abs(np.take_along_axis(points, main, 0)[0]) + np.sum(
                repeats * np.abs(sigma), axis=0
            )

    def _terms(self, points: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the slopes, the losses, and the terms of z: a main point, and energies."""
        energies = [arms.energies(row) for arms, row in zip(self.arms, points, strict=True)]
        sigma = np.array([pair[0] for pair in energies])
        slopes = self.chart.slope(points, sigma, np.array([pair[1] for pair in energies]))
        loss = np.where(np.isinf(slopes), 1.0, -slopes / (1 - slopes))
        # The self-energy with the greatest slope has the greatest error: once less of it.
        main = np.argmax(loss, axis=0)[None]
        times = self.times.reshape(-1, *[1] * (points.ndim - 1))
        repeats = np.broadcast_to(times, points.shape).copy()
        np.put_along_axis(repeats, main, np.take_along_axis(repeats, main, 0) - 1, 0)
        sigma = np.where(repeats == 0, 1.0, sigma)  # which may be infinite
        return slopes, loss, sigma, repeats, main


def _remainder(
    slopes: np.ndarray, loss: np.ndarray, repeats: np.ndarray, main: np.ndarray
) -> np.ndarray:
    """Return 1 minus the sum of times * h / (1 + h), over the sum of the sizes of its terms.

    The term 1 is taken together with the greatest of the others, so that no digits are lost where
    two terms add up to nearly 1 because one of them is close to 1 and the other to 0.
    """
    gain = np.take_along_axis(1 / (1 - slopes), main, 0)
    terms = np.concatenate([gain, -repeats * loss])
    return terms.sum(axis=0) / np.abs(terms).sum(axis=0)


def strands_of(arms: tuple[Arms, ...], times: np.ndarray) -> Strands:
    """Match the arms of the factors that share some levels.

    Raises
    ------
    HypothesisError
        If there are too many combinations of gaps.
    """
    total = int(np.prod([float(len(factor.points)) for factor in arms]))
    if total > 50 * _MOST:
        raise HypothesisError(
            f"the factors have {total} combinations of gaps, too many to locate every edge: "
            "replace one of the samples by a smooth law, or use fewer points"
        )
    splits = arms[0].chart.splits
    choice, rows = [], []
    count = sum(factor.points.shape[1] for factor in arms)
    for combination in itertools.product(*(range(len(factor.points)) for factor in arms)):
        tables = [factor.levels[k] for factor, k in zip(arms, combination, strict=True)]
        low, high = max(table[-1] for table in tables), min(table[0] for table in tables)
        if not low < high or any(low <= split <= high for split in splits):
            continue
        merged = np.sort(np.clip(np.concatenate(tables), low, high))[::-1]
        choice.append(combination)
        rows.append(merged)
    if len(rows) > _MOST:
        raise HypothesisError(
            f"the factors have {len(rows)} matching gaps, too many to locate every edge: "
            "replace one of the samples by a smooth law, or use fewer points"
        )
    shape = (len(arms), len(rows))
    return Strands(
        arms, times, np.array(choice, dtype=int).T.reshape(shape), np.array(rows).reshape(-1, count)
    )
