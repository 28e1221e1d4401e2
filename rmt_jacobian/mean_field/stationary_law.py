"""The stationary law of one site: what every spectrum, average and timescale follows from."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import sympy as sp

from rmt_jacobian.arrays import Seed
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws.manners import Drawn, html_table
from rmt_jacobian.mean_field.sites.weighted import Sites

__all__ = ["ROUNDED", "Dynamics", "Errors", "StationaryLaw", "checked_expression"]

Dynamics: TypeAlias = Literal["untied", "tied", "at_rest"]
ROUNDED = 1e-9  # relative: errors below it are those of quadratures and of rounding


class Errors(Mapping[str, Any]):
    """Half widths of 95 % intervals by name, each found when it is asked for.

    Examples
    --------
    >>> errors = Errors(mean=lambda: 0.1)
    >>> errors["mean"], list(errors)
    (0.1, ['mean'])
    """

    def __init__(self, **found_by: Callable[[], Any]) -> None:
        self._found_by = found_by

    def __getitem__(self, name: str) -> Any:
        """Return one of them."""
        return self._found_by[name]()

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._found_by)

    def __len__(self) -> int:
        """Return their number."""
        return len(self._found_by)

    def __repr__(self) -> str:
        """Find and show all."""
        return f"Errors({dict(self)!r})"


class StationaryLaw(Drawn, ABC):
    """The stationary law of the variables of one site.

    Attributes
    ----------
    dynamics
        ``"untied"``, ``"tied"`` or ``"at_rest"``.
    """

    dynamics: ClassVar[Dynamics]
    _drawn_by: ClassVar[str] = "draw_stationary_law"

    @property
    @abstractmethod
    def cell(self) -> Cell:
        """The cell."""

    @property
    @abstractmethod
    def parameters(self) -> Parameters:
        """Its hyperparameters."""

    @property
    @abstractmethod
    def variances(self) -> dict[str, float]:
        """q_k of every preactivation over sites, around its bias mean."""

    @property
    @abstractmethod
    def state_squares(self) -> dict[str, float]:
        """E[s^2] of every state."""

    @property
    @abstractmethod
    def errors(self) -> "Errors":
        """Half widths of 95 % intervals, by the name of the number and that of its part."""

    @abstractmethod
    def average_with_error(self, expression: sp.Expr) -> tuple[float, float]:
        """Return :meth:`average` and the half width of its 95 % interval."""

    @abstractmethod
    def sites(self, count: int | None = None, seed: Seed = 0) -> Sites:
        """Return sites that stand for the law: the variables of one step.

        By default 4096, or all that a tied law was solved for on.
        """

    def average(self, expression: sp.Expr) -> float:
        """Return the average of an expression in the cell's symbols over the sites.

        Parameters
        ----------
        expression
            In ``cell.states`` before a step, ``cell.gates`` and ``cell.input``.
        """
        return self.average_with_error(expression)[0]

    @property
    def exact(self) -> tuple[str, ...]:
        """The numbers that are closed forms or quadratures: known to rounding."""
        return tuple(name for name, error in self.errors.items() if _is_rounding(error, self, name))

    def __repr__(self) -> str:
        """Say in one line what the law is of."""
        variances = ", ".join(f"q {name} {q:.4g}" for name, q in self.variances.items())
        return f"<{self.dynamics} {self.cell.name}: {variances}>"

    def _repr_html_(self) -> str:
        rows = [(f"variance of {name}", f"{q:.6g}") for name, q in self.variances.items()]
        rows += [(f"mean of {name}^2", f"{q:.6g}") for name, q in self.state_squares.items()]
        return html_table(repr(self), rows)

    def by_preactivation(self, values: Any) -> dict[str, float]:
        """Return one number for every preactivation by its name."""
        names = (each.name for each in self.cell.preactivations)
        return {name: float(value) for name, value in zip(names, values, strict=True)}

    def by_state(self, values: Any) -> dict[str, float]:
        """Return one number for every state by its name."""
        names = map(str, self.cell.states)
        return {name: float(value) for name, value in zip(names, values, strict=True)}


def _is_rounding(error: Any, law: StationaryLaw, name: str) -> bool:
    value = getattr(law, name)
    if isinstance(error, Mapping):
        return all(error[k] <= ROUNDED * abs(value[k]) for k in error)
    return error <= ROUNDED * abs(value) if math.isfinite(value) else error == 0


def checked_expression(law: StationaryLaw, expression: Any) -> sp.Expr:
    """Return an expression in the symbols of a cell, or a number as one.

    Raises
    ------
    ParameterError
        If it is something else, or reads other symbols.
    """
    if isinstance(expression, int | float):
        return sp.Float(expression)
    if not isinstance(expression, sp.Expr):
        raise ParameterError(
            f"average takes a sympy expression in cell.states, cell.gates and cell.input, "
            f"not {expression!r}"
        )
    unknown = expression.free_symbols - set(law.cell.site_symbols)
    if unknown:
        raise ParameterError(
            f"{', '.join(sorted(map(str, unknown)))} is no variable of a site: {law.cell.name} has "
            f"{', '.join(map(str, law.cell.site_symbols))}, as in cell.states, cell.gates and "
            "cell.input"
        )
    return expression
