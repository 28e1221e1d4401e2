"""The specification of a run, in Python and as a TOML file."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from rmt_jacobian.cells import BiasKind, Cell, Parameters, cell_named
from rmt_jacobian.cells.effects import idle, set_by, unread
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.inputs import InputKind
from rmt_jacobian.runs.ensemble import Ensemble
from rmt_jacobian.runs.grid import Axis, Grid, is_range
from rmt_jacobian.runs.layout import Index, Layout
from rmt_jacobian.runs.sweep import Sweep
from rmt_jacobian.sampling import settings_of

__all__ = ["Run", "read_run"]


_MOST_TASKS = 10_000_000


@dataclass(frozen=True)
class Run:
    """A cell, its parameters or a grid of them, and what is computed at each point.

    Attributes
    ----------
    cell, parameters
        The cell and the hyperparameters that all points share.
    work
        What is computed: an :class:`.Ensemble` of sampled networks, or a :class:`.Sweep`.
    grid
        Hyperparameters that change from point to point.

    Raises
    ------
    ParameterError
        If some point of the grid has impossible parameters, or an axis changes nothing.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> run = Run(vanilla, Parameters.of(vanilla), Ensemble("gaussian", 1, width=8, samples=5),
    ...           Grid((Axis("weight_std", (1.0, 1.5)),)))
    >>> run.layout().shape_of("singular_values")
    (2, 5, 8)
    """

    cell: Cell
    parameters: Parameters
    work: Ensemble | Sweep
    grid: Grid = field(default_factory=Grid)

    def __post_init__(self) -> None:
        if self.layout().count > _MOST_TASKS:
            raise ParameterError(
                f"the run has more than {_MOST_TASKS} tasks, each a file: split it into several"
            )
        for axis in self.grid.axes:
            for value in axis.values:
                self._with({axis.name: value})  # whose errors are ours
        self._refuse_idle_axes()

    def _refuse_idle_axes(self) -> None:
        # What has no effect where every axis is farthest from 0 has none anywhere.
        farthest = {axis.name: max(axis.values, key=abs) for axis in self.grid.axes}
        point = self._with(farthest)
        found = idle(self.cell, point, farthest)
        for name in farthest:
            for group in unread(self.cell, point) & {name.partition(".")[0]}:
                found.setdefault(name, f"no state depends on {group!r} at any point")
        for name, reason in found.items():
            raise ParameterError(f"grid.{name} has no effect: {reason}; leave the axis out")

    def parameters_at(self, index: Index) -> Parameters:
        """Return the hyperparameters of a task."""
        return self._with(self.grid.at(index[: len(self.grid.axes)]))

    def layout(self) -> Layout:
        """Return the arrays of its results."""
        tasks = dict(zip(self.grid.named(), self.grid.shape, strict=True))
        tasks.update(self.work.dimensions)
        return Layout(tasks, self.work.results(self.cell), self.grid.named())

    def named(self) -> dict[str, Any]:
        """Return the specification by name, as JSON would hold it."""
        grid = {name: list(values) for name, values in self.grid.named().items()}
        return {**settings_of(self.cell, self.parameters, self.work.named()), "grid": grid}

    def _with(self, values: Mapping[str, float]) -> Parameters:
        return self.parameters.with_values(values)


_SHARED = ("cell", "quantity", "inputs", "biases", "parameters", "grid")
_ENSEMBLE = tuple(each.name for each in fields(Ensemble))
_SWEEP = tuple(each.name for each in fields(Sweep) if each.name != "quantities")


def read_run(path: Path | str) -> Run:
    """Read a run from a TOML file.

    Raises
    ------
    ParameterError
        If the file cannot be read, or a key is unknown, missing or out of its domain.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is not valid TOML: {error}") from error
    try:
        return run_of(content)
    except ParameterError as error:
        raise ParameterError(f"{path}: {error}") from error


def run_of(content: Mapping[str, Any]) -> Run:
    """Return the run that the content of a TOML file describes; see docs/ensemble-runs.md.

    Examples
    --------
    >>> run = run_of({"cell": "gru", "weights": "gaussian", "steps": 2, "width": 16, "samples": 3,
    ...               "parameters": {"update": {"bias_mean": 1.0}}})
    >>> run.parameters["update"].bias_mean, run.work.seed
    (1.0, 0)
    """
    quantity = content.get("quantity", "spectrum")
    own = _ENSEMBLE if quantity == "spectrum" else _SWEEP
    for key in content:
        _refuse_unknown(key, own, quantity)
    if not isinstance(content.get("cell"), str):
        raise ParameterError('the name of a cell is missing: write cell = "gru"')
    cell = cell_named(content["cell"])
    given = dict(_flattened("parameters", _table(content, "parameters")))
    grid = Grid(tuple(_axes(_table(content, "grid"))))
    for name in grid.named():
        if name in given:
            raise ParameterError(f"{name} is both in [parameters] and in [grid]: leave out one")
    _refuse_covered(cell, given, grid)
    for key, kinds in (("inputs", get_args(InputKind)), ("biases", get_args(BiasKind))):
        if content.get(key, kinds[0]) not in kinds:
            raise ParameterError(f"{key} must be one of {', '.join(kinds)}, not {content[key]!r}")
    parameters = Parameters.of(
        cell,
        given,
        input_kind=content.get("inputs", "gaussian"),
        bias_kind=content.get("biases"),
    )
    settings = {key: content[key] for key in own if key in content}
    if quantity == "spectrum":
        for key in ("weights", "steps", "width", "samples"):
            if key not in settings:
                raise ParameterError(f"{key} is missing: a run needs a line {key} = ...")
        return Run(cell, parameters, Ensemble(**settings), grid)
    quantities = (quantity,) if isinstance(quantity, str) else quantity
    if not isinstance(quantities, list | tuple) or not all(isinstance(q, str) for q in quantities):
        raise ParameterError(f"quantity must be a name or a list of names, not {quantity!r}")
    return Run(cell, parameters, Sweep(tuple(quantities), **settings), grid)


def _refuse_covered(cell: Cell, given: Mapping[str, float], grid: Grid) -> None:
    """Refuse parameters that others replace at every point."""
    axes = grid.named()
    for name in given:
        own = set_by(cell, name)
        if own != (name,) and all(each in axes or each in given for each in own):
            raise ParameterError(
                f"parameters.{name} has no effect: {', '.join(own)} are given too; leave it out"
            )
        for axis in axes:
            if name != axis and name in set_by(cell, axis):
                raise ParameterError(
                    f"parameters.{name} has no effect: grid.{axis} sets it too; leave it out, or "
                    "give each preactivation an axis of its own"
                )


def _refuse_unknown(key: str, own: tuple[str, ...], quantity: Any) -> None:
    known = [*_SHARED, *own]
    if key in known:
        return
    if key in (*_ENSEMBLE, *_SWEEP):
        kind = "sampled spectra" if quantity == "spectrum" else "quantities of the theory"
        raise ParameterError(f"{key} has no effect on {kind}: leave it out")
    close = get_close_matches(key, known, n=1)
    if key in ("weight_std", "input_std", "bias_mean", "bias_std", "input_variance"):
        hint = "move it into the table [parameters]"
    else:
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
    raise ParameterError(f"there is no key {key!r}: {hint}")


def _table(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, Mapping):
        raise ParameterError(f"{key} must be a table: write [{key}] and name = value lines below")
    return table


def _flattened(where: str, table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flattened(where, value, f"{prefix}{name}.")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            hint = ": a list belongs into [grid]" if isinstance(value, list) else ""
            raise ParameterError(f"{where}.{prefix}{name} must be a number, not {value!r}{hint}")
        else:
            yield prefix + name, float(value)


def _axes(table: Mapping[str, Any], prefix: str = "") -> Iterator[Axis]:
    for name, value in table.items():
        if isinstance(value, Mapping) and not is_range(value):
            yield from _axes(value, f"{prefix}{name}.")
        else:
            yield Axis.of(prefix + name, value)
