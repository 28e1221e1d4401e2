"""A measured spectrum beside the law of random networks of the same hyperparameters."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from rmt_jacobian.comparison import SpectrumComparison, compare
from rmt_jacobian.mean_field import StationaryLaw, stationary
from rmt_jacobian.networks.fitted import FittedNetwork
from rmt_jacobian.singular_values import SingularValueLaw, singular_value_law

__all__ = ["BesideTheory", "beside_theory"]


@dataclass(frozen=True, repr=False)
class BesideTheory:
    """Singular values of one network beside the law of random ones that keep their weights.

    Attributes
    ----------
    fit
        The hyperparameters, and whether the weights look random.
    log_singular_values
        Measured, shape (dN,).
    steps
        T.
    law
        The law of random networks.
    comparison
        The distance between the two, and what chance allows.
    """

    fit: FittedNetwork
    log_singular_values: np.ndarray
    steps: int
    law: SingularValueLaw
    comparison: SpectrumComparison

    @property
    def verdict(self) -> str:
        """Whether the network has the spectrum of a random one."""
        found = self.comparison
        like = "has" if found.verdict == "agrees" else "does not have"
        return (
            f"over {self.steps} steps it {like} the spectrum of a random network that keeps its "
            f"weights: Kolmogorov-Smirnov distance {found.ks:.3g}, by chance up to "
            f"{found.ks_null:.3g}"
            + ("" if self.fit.looks_random else "; its weights do not look random")
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the histogram, the law over it, and their distance; return the axes."""
        # Drawing stands above, and is loaded when it is asked for.
        values = np.exp(self.log_singular_values)
        states = len(self.fit.cell.states)
        plotting = import_module("rmt_jacobian.plotting")
        return plotting.plot(values, self.law, ax, log=True, states=states)

    def __repr__(self) -> str:
        """Say the verdict in one line."""
        return f"<{self.verdict}>"


def beside_theory(
    fit: FittedNetwork,
    log_values: np.ndarray,
    steps: int,
    *,
    state: StationaryLaw | None = None,
    **options: Any,
) -> BesideTheory:
    """Compare logarithms of singular values with the law of random networks.

    Parameters
    ----------
    fit
        The random networks.
    log_values
        Shape (dN,), of T steps.
    steps
        T.
    state
        The steady state of the random networks, where it is known; solved for by default.
    options
        Of :func:`.singular_value_law`.
    """
    if state is None:
        state = stationary(fit.cell, fit.parameters, dynamics="tied")
    law = singular_value_law(state, weights=fit.weights, steps=steps, **options)
    found = compare(
        np.exp(log_values), law, label=f"T = {steps}", states=len(fit.cell.states)
    )  # fmt: skip
    return BesideTheory(fit, log_values, steps, law, found)
