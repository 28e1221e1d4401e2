"""Sites as weighted points: the joint law of all variables of a site, for any cell."""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import sympy as sp

from rmt_jacobian.arrays import Device, array_namespace, on_device
from rmt_jacobian.cells import Cell, Parameters, StepDerivatives, array_function, compile_cell
from rmt_jacobian.errors import ParameterError

__all__ = ["Sites"]


@dataclass(frozen=True, eq=False)
class Sites:
    r"""The variables of one step at weighted sites: states, preactivations and input.

    They are what the diagonals of the Jacobian of that step are functions of, and they stand for
    the joint law of a site: a drawn network, a low-discrepancy population, nodes of a quadrature.

    Attributes
    ----------
    cell, parameters
        The cell and its hyperparameters.
    states, gates
        One array of shape (sites,) for each state before the step and for each preactivation.
    x
        The input, shape (sites,).
    weights
        The share of every site in averages, shape (sites,), of sum 1.
    """

    cell: Cell
    parameters: Parameters
    states: tuple[Any, ...]
    gates: tuple[Any, ...]
    x: Any
    weights: Any

    @classmethod
    def of(
        cls, cell: Cell, parameters: Parameters, states: Any, gates: Any, x: Any = None,
        weights: Any = None,
    ) -> "Sites":  # fmt: skip
        """Check shapes; the input is 0 and the weights are equal by default.

        Raises
        ------
        ParameterError
            If the number of states or preactivations is not that of the cell, or shapes differ.

        Examples
        --------
        >>> import numpy as np
        >>> from rmt_jacobian.cells import vanilla
        >>> e = np.array([-1.0, 1.0])
        >>> sites = Sites.of(vanilla, Parameters.of(vanilla), [0 * e], [e])
        >>> round(sites.average(vanilla.updates[0] ** 2), 6)  # tanh(1)^2
        0.580026
        """
        states, gates = tuple(states), tuple(gates)
        if len(states) != len(cell.states) or len(gates) != len(cell.gates):
            raise ParameterError(
                f"{cell.name} has {len(cell.states)} states and {len(cell.gates)} preactivations, "
                f"not {len(states)} and {len(gates)}"
            )
        x = 0 * states[0] if x is None else x
        xp = array_namespace(x)
        weights = xp.ones_like(x) / x.shape[0] if weights is None else weights
        if any(array.shape != x.shape or x.ndim != 1 for array in (*states, *gates, weights)):
            raise ParameterError("states, preactivations, input and weights must be (sites,) each")
        return cls(cell, parameters, states, gates, x, weights)

    def on(self, device: Device | ModuleType) -> "Sites":
        """Return the same with all arrays on a device; see :func:`.namespace`."""
        states, gates = (
            tuple(on_device(array, device) for array in arrays)
            for arrays in (self.states, self.gates)
        )
        x, weights = on_device(self.x, device), on_device(self.weights, device)
        return Sites(self.cell, self.parameters, states, gates, x, weights)

    @property
    def count(self) -> int:
        """The number of sites."""
        return self.x.shape[0]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """The variables in the order of the cell's ``site_symbols``."""
        return (*self.states, *self.gates, self.x)

    def values(self, expression: sp.Expr) -> Any:
        """Return an expression in the cell's symbols at every site, shape (sites,)."""
        return array_function(self.cell.site_symbols, expression)(*self.arrays) + 0 * self.x

    def average(self, expression: sp.Expr) -> float:
        """Return the average of an expression in the cell's symbols over the sites."""
        return float(array_namespace(self.x).sum(self.weights * self.values(expression)))

    @cached_property
    def derivatives(self) -> StepDerivatives:
        """The diagonals of the Jacobian of this step."""
        return compile_cell(self.cell).derivatives(self.states, self.gates, self.x)

    @cached_property
    def next_states(self) -> tuple[Any, ...]:
        """The states after the step."""
        return tuple(compile_cell(self.cell).update(self.states, self.gates, self.x))

    def source(self, k: int) -> Any:
        """Return y_k, what W_k multiplies in this step, shape (sites,)."""
        return compile_cell(self.cell).source(k, self.states, self.gates) + 0 * self.x

    def preactivation_variance(self, k: int) -> float:
        r"""Return :math:`q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2` that y_k implies."""
        group = self.parameters[self.cell.preactivations[k].name]
        square = float(array_namespace(self.x).sum(self.weights * self.source(k) ** 2))
        return group.preactivation_variance(square, self.parameters.input_variance)
