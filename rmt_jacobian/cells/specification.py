"""A recurrent cell as equations; everything else about it is derived from them.

A cell has states s, preactivations e_k = W_k y_k + V_k x + b_k whose sources y_k are pointwise
in the states and in earlier preactivations, and pointwise updates s' = f(s, e, x).  The Jacobian
of one state with respect to the last is then a polynomial in the W_k and in diagonal matrices,

    dE_k = W_k dY_k,   dY_k = (dy_k/ds) dS + sum_{j<k} (dy_k/de_j) dE_j,
    dS'  = (df/ds) dS + sum_k (df/de_k) dE_k,

whose diagonal entries are the derivatives kept here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, TypeAlias

import sympy as sp
from sympy.core.function import AppliedUndef

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells.activations import in_pieces
from rmt_jacobian.cells.parameter_names import GROUP_FIELDS
from rmt_jacobian.errors import ParameterError, SpecificationError

__all__ = ["Cell", "Constant", "Preactivation", "Table", "derivative"]

# Expressions that look at more than one site, or at nothing that can be evaluated.
_NOT_POINTWISE = (
    sp.Sum,
    sp.Product,
    sp.Integral,
    sp.Derivative,
    sp.Indexed,
    sp.MatrixSymbol,
    AppliedUndef,
)

Table: TypeAlias = tuple[tuple[sp.Expr, ...], ...]
"""Rows of expressions in the site variables."""


@named_arguments
@dataclass(frozen=True)
class Preactivation:
    """One preactivation e = W y + V x + b of a cell.

    Attributes
    ----------
    name
        The name of its parameter group, e.g. ``"update"``.
    symbol
        The symbol that stands for e in sources and updates.
    source
        y, the variable that W multiplies: pointwise in the states and earlier preactivations; 0
        for a preactivation that has no W.
    reads_input
        Whether it has an input matrix V.
    """

    name: str
    symbol: sp.Symbol
    source: sp.Expr
    reads_input: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", in_pieces(_expression(self.source)))

    @property
    def reads_state(self) -> bool:
        """Whether it has a weight matrix W."""
        return self.source != 0


@named_arguments
@dataclass(frozen=True)
class Constant:
    """A number in the equations of a cell that is a hyperparameter, the same for all sites.

    Attributes
    ----------
    symbol
        That stands for it in sources and updates; its name is that of the hyperparameter.
    typical
        What it is where no value is given.
    lowest, highest
        Between which it may lie.

    Examples
    --------
    >>> Constant(sp.Symbol("leak"), 0.5, lowest=0, highest=1).checked(2)
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: leak must lie between 0 and 1, not 2
    """

    symbol: sp.Symbol
    typical: float
    lowest: float = -math.inf
    highest: float = math.inf

    @property
    def name(self) -> str:
        """The name of the hyperparameter."""
        return str(self.symbol)

    def checked(self, value: float) -> float:
        """Return a value, if it may be one."""
        if not (math.isfinite(value) and self.lowest <= value <= self.highest):
            raise ParameterError(
                f"{self.name} must lie between {self.lowest:g} and {self.highest:g}, not {value:g}"
            )
        return float(value)


def _expression(given: Any) -> sp.Expr:
    """Return an expression; text is never read as one."""
    try:
        return sp.sympify(given, strict=True)
    except sp.SympifyError:
        raise SpecificationError(
            f"sources and updates must be expressions of sympy, not {given!r}"
        ) from None


def _equations(cell: "Cell") -> tuple[Any, ...]:
    return cell.states, cell.input, cell.preactivations, cell.updates


@named_arguments
@dataclass(frozen=True)
class Cell:
    """A recurrent cell given by its symbolic equations.

    Attributes
    ----------
    name
        How the cell is called on the command line.
    states
        One symbol for each state variable of a site.
    input
        The symbol of the site's input x.
    preactivations
        In an order in which every source only reads earlier ones.
    updates
        The new value of each state, pointwise in states, preactivations and input.
    typical_parameters
        Hyperparameters of a known critical point, used where none are given.
    constants
        Numbers in sources and updates that are hyperparameters; :meth:`at` puts values in.
    symbolic
        The cell in which they were symbols, of one in which they are numbers, which are its typical
        values.

    Raises
    ------
    SpecificationError
        If a source or an update reads something that is not a variable of its site, a source
        reads its own or a later preactivation, or names repeat.

    Examples
    --------
    >>> import sympy as sp
    >>> h, x, e = sp.symbols("h x e")
    >>> candidate = Preactivation("candidate", e, h)
    >>> leaky = Cell("leaky", (h,), x, (candidate,), (h / 2 + sp.tanh(e) / 2,))
    >>> leaky.state_derivatives[0][0]
    1/2
    """

    name: str
    states: tuple[sp.Symbol, ...]
    input: sp.Symbol
    preactivations: tuple[Preactivation, ...]
    updates: tuple[sp.Expr, ...]
    typical_parameters: tuple[tuple[str, float], ...] = ()
    constants: tuple[Constant, ...] = ()
    symbolic: "Cell | None" = None

    def __post_init__(self) -> None:
        for name in ("states", "preactivations", "updates", "constants"):
            if not isinstance(getattr(self, name), tuple):
                raise SpecificationError(f"{name} of cell {self.name!r} must be a tuple: see gru")
        exact = tuple(in_pieces(_expression(update)) for update in self.updates)
        object.__setattr__(self, "updates", exact)
        if not self.states or len(self.states) != len(self.updates):
            raise SpecificationError(
                f"cell {self.name!r} has {len(self.states)} states and {len(self.updates)} "
                "updates: give one update for each state, and at least one"
            )
        self._check_names()
        self._check_pointwise()

    def _check_names(self) -> None:
        symbols = [*self.states, self.input, *self.gates, *(each.symbol for each in self.constants)]
        if len(set(symbols)) < len(symbols):
            raise SpecificationError(
                f"cell {self.name!r} uses a symbol twice: name states, input and "
                "preactivations differently"
            )
        names = [preactivation.name for preactivation in self.preactivations]
        if len(set(names)) < len(names):
            raise SpecificationError(f"cell {self.name!r} names two preactivations alike")
        for constant in self.constants:
            if constant.name in (*GROUP_FIELDS, "input_variance"):
                raise SpecificationError(
                    f"cell {self.name!r}: a constant cannot be called {constant.name!r}, as "
                    "another hyperparameter is"
                )
        for name in names:
            if not name.isidentifier():
                raise SpecificationError(
                    f"cell {self.name!r}: the name of preactivation {name!r} must consist of "
                    "letters, digits and underscores"
                )

    def _check_pointwise(self) -> None:
        readable = {*self.states, *(each.symbol for each in self.constants)}
        for preactivation in self.preactivations:
            self._check_reads(f"source of {preactivation.name!r}", preactivation.source, readable)
            readable.add(preactivation.symbol)
        readable.add(self.input)
        for state, update in zip(self.states, self.updates, strict=True):
            self._check_reads(f"update of {state}", update, readable)

    def _check_reads(self, what: str, expression: sp.Expr, readable: set[sp.Symbol]) -> None:
        exact = sp.sympify(expression, strict=True)
        if entangled := exact.atoms(*_NOT_POINTWISE):
            names = ", ".join(sorted(str(node) for node in entangled))
            raise SpecificationError(
                f"cell {self.name!r}: the {what} contains {names}, which is not pointwise: a site "
                "may only see its own variables; what mixes sites must be a preactivation"
            )
        if foreign := exact.free_symbols - readable:
            names = ", ".join(sorted(str(symbol) for symbol in foreign))
            known = ", ".join(sorted(str(symbol) for symbol in readable))
            raise SpecificationError(
                f"cell {self.name!r}: the {what} reads {names}, which it cannot: "
                f"it must be pointwise in {known}"
                f"{self._cycle_hint(foreign)}"
            )

    def _cycle_hint(self, foreign: set[sp.Symbol]) -> str:
        if not foreign & set(self.gates):
            return ""
        return (
            "; a source reads earlier preactivations only: reorder them, unless they form a cycle"
        )

    def refuse_another(self, cell: "Cell", what: str) -> None:
        """Raise :class:`ParameterError` where something belongs to a cell of other equations.

        Parameters
        ----------
        cell
            The cell that it belongs to.
        what
            What it is called, e.g. "the site law".
        """
        if cell is self or _equations(cell) == _equations(self):
            return
        names = repr(cell.name) if cell.name != self.name else f"another cell named {cell.name!r}"
        raise ParameterError(f"{what} is that of {names}, not of {self.name!r}: solve for it there")

    def at(self, constants: Mapping[str, float] | Sequence[tuple[str, float]]) -> "Cell":
        """Return the cell in which constants are numbers, exact decimals.

        Parameters
        ----------
        constants
            By name, or :attr:`Parameters.constants`; those that are left out have their typical
            values.

        Raises
        ------
        ParameterError
            If a value is out of its domain.

        Examples
        --------
        >>> from rmt_jacobian.cells import leaky
        >>> leaky.at({"leak": 0.2}).updates
        (e/5 + 4*h/5,)
        """
        cell = self.symbolic or self
        if not cell.constants:
            return self
        given = dict(constants)
        values = ((c.symbol, c.checked(given.get(c.name, c.typical))) for c in cell.constants)
        return _bound(cell, tuple(values))

    @property
    def gates(self) -> tuple[sp.Symbol, ...]:
        """The symbols of the preactivations, in order."""
        return tuple(preactivation.symbol for preactivation in self.preactivations)

    @property
    def site_symbols(self) -> tuple[sp.Symbol, ...]:
        """All variables of a site: states, preactivations and the input."""
        return (*self.states, *self.gates, self.input)

    @property
    def sources(self) -> tuple[sp.Expr, ...]:
        """The variables that the W_k multiply, in order; 0 where there is no W."""
        return tuple(preactivation.source for preactivation in self.preactivations)

    @cached_property
    def memory(self) -> tuple[int, ...]:
        """The states that an update reads: what a site remembers by itself, without any W.

        Examples
        --------
        >>> from rmt_jacobian.cells import lstm, vanilla
        >>> lstm.memory, vanilla.memory  # the cell state c; nothing
        ((1,), ())
        """
        read = {symbol for update in self.updates for symbol in update.free_symbols}
        return tuple(i for i, state in enumerate(self.states) if state in read)

    @cached_property
    def reads_input_itself(self) -> bool:
        """Whether an update reads x, and not only through a preactivation.

        Examples
        --------
        >>> from rmt_jacobian.cells import minimalrnn, vanilla
        >>> minimalrnn.reads_input_itself, vanilla.reads_input_itself
        (True, False)
        """
        return any(self.input in update.free_symbols for update in self.updates)

    @cached_property
    def state_derivatives(self) -> Table:
        """df/ds, shape (states, states): the part of the Jacobian that passes no W."""
        return _jacobian(self.updates, self.states)

    @cached_property
    def gate_derivatives(self) -> Table:
        """df/de, shape (states, preactivations): the diagonal to the left of W_k."""
        return _jacobian(self.updates, self.gates)

    @cached_property
    def source_state_derivatives(self) -> Table:
        """dy/ds, shape (preactivations, states): the diagonal to the right of W_k."""
        return _jacobian(self.sources, self.states)

    @cached_property
    def source_gate_derivatives(self) -> Table:
        """dy/de, strictly lower triangular: sources that read earlier preactivations."""
        return _jacobian(self.sources, self.gates)


@cache  # what is derived from the equations is derived once
def _bound(cell: Cell, values: tuple[tuple[sp.Symbol, float], ...]) -> Cell:
    numbers = {symbol: sp.Rational(repr(value)) for symbol, value in values}
    sources = (replace(each, source=each.source.subs(numbers)) for each in cell.preactivations)
    updates = tuple(update.subs(numbers) for update in cell.updates)
    # Where no other value is given, it is the one that was put in.
    own = tuple(replace(c, typical=value) for c, (_, value) in zip(cell.constants, values,
                                                                   strict=True))  # fmt: skip
    return replace(
        cell, preactivations=tuple(sources), updates=updates, constants=(),
        symbolic=replace(cell, constants=own),
    )  # fmt: skip


def derivative(expression: Any, symbol: sp.Symbol) -> Any:
    """Return the derivative, as a product where it is one: such averages keep their digits.

    Examples
    --------
    >>> x, y = sp.symbols("x y")
    >>> derivative(sp.exp(x) * (1 - y), x)
    (1 - y)*exp(x)
    >>> derivative(y * sp.exp(-(x**2)) + sp.tanh(y) * x, x)  # no exp(x^2), which overflows
    -2*x*y*exp(-x**2) + tanh(y)
    """
    slope = sp.sympify(expression, strict=True).diff(symbol)
    hidden = {node: sp.Dummy() for node in slope.atoms(sp.exp)}
    shown = {dummy: node for node, dummy in hidden.items()}
    return sp.gcd_terms(slope.xreplace(hidden)).xreplace(shown)


def _jacobian(expressions: tuple[sp.Expr, ...], variables: tuple[sp.Symbol, ...]) -> Table:
    return tuple(
        tuple(derivative(expression, variable) for variable in variables)
        for expression in expressions
    )
