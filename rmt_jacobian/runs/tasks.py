"""One task of a run, as a worker computes it."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rmt_jacobian.arrays import Device
from rmt_jacobian.errors import ConvergenceError, RmtJacobianError
from rmt_jacobian.runs.ensemble import Ensemble
from rmt_jacobian.runs.environment import environment
from rmt_jacobian.runs.layout import FINISHED, UNCONVERGED, UNDEFINED, Index
from rmt_jacobian.runs.one_thread import one_blas_thread
from rmt_jacobian.runs.run import Run

__all__ = ["Outcome", "perform"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a task has found.

    Attributes
    ----------
    results
        By name; those without an answer are left out.
    status
        Whether there are answers to everything, or why not; see :class:`.Layout`.
    environment
        What computed it.
    remark
        Why there is no answer, in words.
    """

    results: dict[str, np.ndarray] = field(default_factory=dict)
    status: int = FINISHED
    environment: dict[str, Any] = field(default_factory=dict)
    remark: str = ""


def perform(run: Run, index: Index) -> Outcome:
    """Compute one task; the result depends on the run and on the index alone.

    On a grid, a point without an answer is an outcome like any other.

    Raises
    ------
    RmtJacobianError
        If there is no answer, and no grid either.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.runs import Ensemble
    >>> run = Run(vanilla, Parameters.of(vanilla), Ensemble("gaussian", 1, width=4, samples=2))
    >>> perform(run, (1,)).results["singular_values"].shape
    (4,)
    """
    run.work.check_here()  # which is no trait of the point
    parameters = run.parameters_at(index)
    found: dict[str, np.ndarray] = {}
    status, remark = FINISHED, ""
    with one_blas_thread():
        for name, task in run.work.tasks(run.cell, parameters, index).items():
            try:
                found[name] = task()
            except (RmtJacobianError, ArithmeticError, np.linalg.LinAlgError) as error:
                failure = _of_the_package(error)
                if not run.grid.axes:
                    raise failure from error
                converged = not isinstance(failure, ConvergenceError)
                status = UNDEFINED if converged else UNCONVERGED
                remark = f"{name}: {failure}"
    return Outcome(found, status, environment(_device(run)), remark)


def _of_the_package(error: Exception) -> RmtJacobianError:
    if isinstance(error, RmtJacobianError):
        return error
    return ConvergenceError(str(error) or type(error).__name__)


def _device(run: Run) -> Device:
    return run.work.device if isinstance(run.work, Ensemble) else "cpu"
