"""What a site does under given variances: one interface to closed forms and to populations.

The cell's structure decides between them, once: where all states are carried on by an affine map
with fresh coefficients, moments close; else independent populations of sites are run.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.mean_field.averages.factors import entangles
from rmt_jacobian.mean_field.averages.fresh import FreshVariables
from rmt_jacobian.mean_field.averages.low_discrepancy import PointSets
from rmt_jacobian.mean_field.memory.affine import affine_form
from rmt_jacobian.mean_field.memory.affine_moments import (
    AffineModel,
    growth_of_memory,
    refuse_growth,
)
from rmt_jacobian.mean_field.memory.affine_response import AffineResponses
from rmt_jacobian.mean_field.memory.lifted import LiftedCell, lifted_cell

__all__ = ["AffineSites", "Drives", "SiteModel", "more_points"]


@dataclass(frozen=True)
class Drives:
    """What drives a site: the laws of its fresh preactivations, in one network or in two.

    Attributes
    ----------
    variances
        q_k without the variance of frozen biases.
    correlations
        Of the two networks; None for one, or two that see the same.
    input_correlation
        Of their inputs.
    """

    variances: tuple[float, ...]
    correlations: tuple[float, ...] | None = None
    input_correlation: float = 1.0


class SiteModel(ABC):
    """The stationary law of a site under given drives, in R independent estimates."""

    cell: Cell
    parameters: Parameters

    @abstractmethod
    def squares(self, drives: Drives) -> np.ndarray:
        """Return E[y_k^2], or E[y_k y_k] in two networks: shape (R, preactivations)."""

    def distances(self, drives: Drives) -> np.ndarray:
        """Return E[(y_k - y_k')^2] / 2 of two networks, shape (R, preactivations)."""
        same = replace(drives, correlations=(1.0,) * len(drives.variances), input_correlation=1.0)
        return self.squares(same) - self.squares(drives)

    @abstractmethod
    def state_squares(self, drives: Drives) -> np.ndarray:
        """Return E[s^2], shape (R, states)."""

    @abstractmethod
    def growth(self, drives: Drives, *, jumps: bool = True) -> np.ndarray:
        """Return the growth rate of the covariance of a small change in the end, shape (R,).

        Infinite where networks that see the same part at a jump; without ``jumps`` it is what
        derivatives almost everywhere see.
        """

    def transient(self, drives: Drives, rate: float) -> float:
        """Return what a growth rate may miss, as when it was followed for finitely many steps."""
        del drives, rate
        return 0.0

    @abstractmethod
    def log_mean_squares(self, drives: Drives, steps: int) -> np.ndarray:
        """Return log m_1, the mean squared singular value, of 0, ..., T steps: (R, T + 1)."""

    @abstractmethod
    def kept(self, drives: Drives) -> float:
        """Return what the memory keeps of a squared change a step, without any W."""

    @abstractmethod
    def refuse_growth(self, drives: Drives) -> None:
        """Raise an error that says why, where states grow for ever."""

    @abstractmethod
    def refined(self, factor: int) -> "SiteModel | None":
        """Return a model of more points; None where there is none."""

    @abstractmethod
    def rough(self) -> "SiteModel":
        """Return a model of few points."""

    def watchful(self) -> "SiteModel":
        """Return a model of enough points to meet what few sites see, which may be most of it."""
        return self.rough()

    def smooth(self) -> "SiteModel":
        """Return a model whose rates hang smoothly on the drives, for their derivatives."""
        return self.rough()

    @property
    @abstractmethod
    def points(self) -> int:
        """How many points or sites an average is taken over."""

    def unseen(self, drives: Drives) -> float:
        """Return the share of a moment that no scatter of the sites tells."""
        del drives
        return 0.0

    def steps(self, drives: Drives, *, growth: bool = False) -> int:
        """Return for how many steps they are run, for an average or for a growth rate."""
        del drives, growth
        return 1


def more_points(
    model: SiteModel,
    reached: float,
    aim: float,
    accepted: float,
    *,
    steps: int = 1,
    at_once: int = 16,
    runs: int = 1,
    patient: bool = False,
) -> SiteModel | None:
    """Return a model that may meet an aim, or else an error that is accepted; None where none can.

    Errors of low-discrepancy points fall about like one over their number, in jumps.  What is
    accepted already is only made better where it takes a second or so.

    Parameters
    ----------
    model, reached
        The present model, and the error it leaves.
    aim, accepted
        Of the error.
    steps
        For which the points are run.
    at_once
        The most by which their number grows.
    runs
        How many averages it took: what takes long is tried where it is likely to do.
    patient
        Whether to take more than about a minute.
    """
    needed = _factor(reached, aim)
    quick = 2 ** math.floor(math.log2(max(1.0, _WORK / (model.points * steps))))
    if reached <= accepted:
        needed = min(needed, quick)
        return model.refined(min(needed, at_once)) if needed > 1 else None
    least = _factor(reached, accepted)
    if model.refined(needed) is not None:
        return model.refined(min(needed, max(quick, _SPARE * least), at_once))
    most = next((f for f in _FACTORS if f <= least and model.refined(f) is not None), 1)
    work = model.points * steps * runs
    if most == 1 or least > most * (_HOPEFUL if work <= _WORK else _SPARE):
        return None
    factor = min(most, at_once)
    return model.refined(factor) if patient or work * factor <= _MOST_WORK else None


def _factor(reached: float, wanted: float) -> int:
    """Return how many times the points leave an error that is wanted, a power of 2."""
    return 2 ** max(1, math.ceil(math.log2(min(reached / wanted, _HOPELESS))))


_FACTORS = tuple(2**k for k in range(20, 0, -1))
_HOPELESS = 2.0**30
_HOPEFUL = 64  # times fewer points than may be needed, as errors fall in jumps
_SPARE = 2  # times the points that may do: a second run costs more than they
_MOST_WORK = 1e9  # of all averages together, about a minute
_WORK = 1e7  # points times steps, of an average that a second or so allows
_ROUGHEST, _FINEST = 256, 2**17  # points of a set


@dataclass(frozen=True, eq=False)
class AffineSites(SiteModel):
    """Moments that close; averages that entangle many variables are taken over point sets.

    Attributes
    ----------
    cell, lifted
        The cell, and an affine one that has its states first.
    model
        The moments of the latter.
    """

    cell: Cell
    lifted: LiftedCell
    model: AffineModel

    @classmethod
    def of(cls, cell: Cell, parameters: Parameters, seed: int) -> "AffineSites | None":
        """Return the model; None where the cell is not affine."""
        lifted = lifted_cell(cell)
        if lifted is None:
            return None
        whole, frozen = lifted.cell, parameters.has_frozen_bias
        # A few points for each value of the biases would not do: moments are not linear in them.
        if frozen and entangles(whole, (*whole.updates, *whole.sources)):
            return None
        return cls(cell, lifted, _model(lifted, parameters, PointSets(seed=seed)))

    @property
    def parameters(self) -> Parameters:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Its hyperparameters."""
        return self.model.parameters

    def squares(self, drives: Drives) -> np.ndarray:  # noqa: D102
        model = self.model
        if growth_of_memory(model.form.update, self._fresh(drives)):
            return np.full((1, len(drives.variances)), np.inf)
        fresh, second = self._solved(drives)
        return self.model.source_products(fresh, second)

    def state_squares(self, drives: Drives) -> np.ndarray:  # noqa: D102
        squares = self.model.state_squares(self._solved(drives)[1])
        return squares[..., : self.lifted.states]

    def responses(self, drives: Drives, *, jumps: bool = False) -> AffineResponses:
        """Return the responses of a site to small changes, with jumps or almost everywhere."""
        return self.model.responses(*self._solved(drives), jumps=jumps)

    def growth(self, drives: Drives, *, jumps: bool = True) -> np.ndarray:  # noqa: D102
        return self.responses(drives, jumps=jumps).growth_rates()

    def log_mean_squares(self, drives: Drives, steps: int) -> np.ndarray:  # noqa: D102
        start = None
        if self.lifted.functions:
            slopes = self.lifted.slopes
            assert slopes is not None  # see steps_are_known
            model = _model(slopes, self.parameters, self.model.points)
            start = self.lifted.starting_change(model.second(self._fresh(drives, model)))
        return self.responses(drives).log_mean_squares(steps, start, self.lifted.states)

    def transient(self, drives: Drives, rate: float) -> float:
        """Return what rounding does to a growth rate; see :meth:`AffineResponses.rounding`."""
        del rate
        return self.responses(drives).rounding()

    @property
    def steps_are_known(self) -> bool:
        """Whether the mean over T steps is: how a change of the states enters their functions."""
        return not self.lifted.functions or self.lifted.slopes is not None

    def kept(self, drives: Drives) -> float:  # noqa: D102
        return self.responses(drives).kept

    def _solved(self, drives: Drives) -> tuple[FreshVariables, np.ndarray]:
        fresh = self._fresh(drives)
        return fresh, self.model.second(fresh)

    def _fresh(self, drives: Drives, model: AffineModel | None = None) -> FreshVariables:
        biases = self.model.frozen.values  # the same in another model of this cell
        return (model or self.model).fresh(
            drives.variances, drives.correlations, drives.input_correlation, biases
        )

    def refuse_growth(self, drives: Drives) -> None:  # noqa: D102
        model = self.model
        refuse_growth(model.cell, model.parameters, model.form.update, self._fresh(drives))

    def refined(self, factor: int) -> "AffineSites | None":  # noqa: D102
        count = self.model.points.count * factor
        return None if count > _FINEST else self._with(count)

    def rough(self) -> "AffineSites":  # noqa: D102
        return self._with(_ROUGHEST)

    @property
    def points(self) -> int:  # noqa: D102
        return self.model.points.count * self.model.points.replicates

    def _with(self, count: int) -> "AffineSites":
        points = replace(self.model.points, count=count)
        return replace(self, model=replace(self.model, points=points))


def _model(lifted: LiftedCell, parameters: Parameters, points: PointSets) -> AffineModel:
    form = affine_form(lifted.cell)
    assert form is not None
    return AffineModel(lifted.cell, parameters, form, points)
