"""What a call of a command asks for, checked before anything is computed, and what it answers."""

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian import __version__
from rmt_jacobian.cli.options import OUTPUT, said_of
from rmt_jacobian.cli.point import CELL, POINT_OPTIONS, Values
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.files import check_writable, write_whole

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell, Parameters

__all__ = ["Request", "Table", "as_csv", "as_json", "command", "cut", "described"]

Answer = Callable[["Request"], int | None]
Table = Mapping[str, Sequence[Any]]
"""Columns of equal length by their names."""

# Where answers go and how fast they come; what the answers are does not depend on these.
_NOT_SETTINGS = ("json", "csv", "figure", "out", "workers")
_OF_THE_POINT = ("cell", "assignments", "config", "inputs", "biases")  # written by name and number


@dataclass(frozen=True)
class Request:
    """One call of a command.

    Attributes
    ----------
    options
        The values of its arguments and options, by their names.
    cell, parameters
        The cell and its hyperparameters; None where the command takes none.
    values
        What ``-p`` and ``--config`` say, by name.
    metadata
        What draws the same networks again; None where nothing is random.
    """

    options: SimpleNamespace
    cell: "Cell | None" = None
    parameters: "Parameters | None" = None
    values: Mapping[str, float] = field(default_factory=dict)
    metadata: dict[str, Any] | None = field(default=None, repr=False)

    @classmethod
    def of(cls, context: click.Context) -> "Request":
        """Check what was asked for: its files first, then the cell, then the device.

        Raises
        ------
        ParameterError
            If two files are one, one could not be written, the cell or a parameter is unknown, or
            there is no GPU.
        """
        given = context.params
        _check_files(context)
        values = Values.of(given.get("assignments", ()), given.get("config"))
        cell = parameters = metadata = None
        if given.get("cell") is not None:
            from rmt_jacobian.cells import cell_named

            cell = cell_named(given["cell"])
            if "inputs" in given:
                parameters = values.point_of(cell, given["inputs"], given["biases"])
                cell = cell.at(parameters.constants)
        if "seed" in given:
            from rmt_jacobian.provenance import run_metadata

            chosen = {name: given[name] for name in ("device", "dtype") if name in given}
            metadata = run_metadata(given["seed"], **chosen)
        return cls(SimpleNamespace(**given), cell, parameters, values.named, metadata)

    @property
    def point(self) -> "tuple[Cell, Parameters]":
        """The cell and its hyperparameters, of a command that needs them."""
        assert self.cell is not None
        assert self.parameters is not None
        return self.cell, self.parameters

    @property
    def ensemble(self) -> Any:
        """The ensemble that the weights have in the limit."""
        from rmt_jacobian.sampling import ensemble_of

        return ensemble_of(self.options.weights)

    @property
    def sampling(self) -> dict[str, Any]:
        """The options that samplers share, with a progress bar."""
        names = ("weights", "steps", "width", "samples", "seed", "tied", "workers", "device",
                 "dtype")  # fmt: skip
        given = vars(self.options)
        return {**{name: given[name] for name in names if name in given}, "progress": True}

    @property
    def settings(self) -> dict[str, Any]:
        """All that the answers depend on, as plain data: what a file says of them."""
        found: dict[str, Any] = {}
        if self.cell is not None:
            found["cell"] = self.cell.name
        if self.parameters is not None:
            found["parameters"] = self.parameters.named()
            found["inputs"] = self.parameters.input_kind
            found["biases"] = self.parameters.bias_kind
        for name, value in vars(self.options).items():
            if name not in (*_NOT_SETTINGS, *_OF_THE_POINT):
                found[name] = _plain(value)
        found["version"] = __version__
        return found if self.metadata is None else {**found, "metadata": self.metadata}

    def say(self, *lines: str) -> None:
        """Print lines for the reader; on standard error where standard output carries a file."""
        for line in lines:
            click.echo(line, err="-" in (self._given("json"), self._given("csv")))

    def describe(self) -> None:
        """Say which cell it is, at which hyperparameters."""
        self.say(described(*self.point))

    def note_what_is_idle(self, parameters: "Parameters") -> None:
        """Say which of the values that were given change nothing at these parameters."""
        from rmt_jacobian.cells.effects import idle

        assert self.cell is not None
        for name, reason in idle(self.cell, parameters, self.values).items():
            click.echo(f"rmt-jacobian: {name} has no effect: {reason}", err=True)

    def draw(self, figure: Callable[[], Any]) -> None:
        """Draw what ``--figure`` asks for, if it does."""
        path = self._given("figure")
        if path is None:
            return
        from rmt_jacobian.plotting import save_figure

        save_figure(figure(), path)
        self.say(f"wrote {path}")

    def write(
        self,
        results: Mapping[str, Any],
        table: Table | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Write settings and results as JSON, and a table as CSV, where they are asked for.

        Parameters
        ----------
        results, table
            What was found.
        settings
            By default those of the request; results that hold their own settings need none.
        """
        settings = self.settings if settings is None else settings
        assert not settings.keys() & results.keys(), settings.keys() & results.keys()
        if (path := self._given("json")) is not None:
            _write(path, as_json({**settings, **results}))
        if (path := self._given("csv")) is not None:
            assert table is not None
            _write(path, as_csv(table))

    def _given(self, name: str) -> Any:
        return getattr(self.options, name, None)


def command(
    name: str,
    *options: Callable[[Any], Any],
    cell: bool | str = False,
    point: bool = True,
    figure: str = "",
    table: str = "",
) -> Callable[[Answer], click.Command]:
    """Make a command of a function that answers a request.

    Parameters
    ----------
    name
        Of the command.
    options
        Its own arguments and options, in the order in which they are shown.
    cell, point
        Whether it takes a cell, and the options for its hyperparameters; a name is the cell by
        default.
    figure, table
        What ``--figure`` draws and what ``--csv`` holds; without a text there is no such option.
    """
    shared = [click.argument("cell", type=CELL, **_default(cell))] if cell else []
    shared += [*options, *(POINT_OPTIONS if cell and point else ())]
    if figure:
        shared.append(click.option("--figure", type=OUTPUT, metavar="FILE", help=figure))
    if table:
        text = f'Write {table} as comma-separated values; "-" is standard output.'
        shared.append(click.option("--csv", metavar="FILE", help=text))
    shared.append(_JSON)

    def made(answer: Answer) -> click.Command:
        @click.pass_context
        def call(context: click.Context, /, **_: Any) -> int | None:
            request = Request.of(context)
            status = answer(request)
            if request.parameters is not None:
                request.note_what_is_idle(request.parameters)
            return status

        call.__doc__ = answer.__doc__
        decorated: Any = call
        for option in reversed(shared):
            decorated = option(decorated)
        return click.command(name)(decorated)

    return made


_JSON = click.option(
    "--json", metavar="FILE", help='Write the results as JSON; "-" is standard output.'
)


def _default(cell: bool | str) -> dict[str, Any]:
    return {"default": cell} if isinstance(cell, str) else {}


def _plain(value: Any) -> Any:
    """Return an option as JSON holds it."""
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value


def _check_files(context: click.Context) -> None:
    """Refuse one name for two files of a command, and files that could not be written later."""
    given = context.params
    known: dict[Path, str] = {}
    for parameter in context.command.params:
        name = parameter.name or ""
        if given.get(name) in (None, "-"):
            continue
        if not (isinstance(parameter.type, click.Path) or name in ("json", "csv")):
            continue
        option = isinstance(parameter, click.Option)
        shown = parameter.opts[0] if option else parameter.human_readable_name
        other = known.setdefault(Path(given[name]).resolve(), shown)
        if other != shown:
            raise ParameterError(
                f"{other} and {shown} are the same file, {given[name]}: name another"
            )
    if given.get("json") == given.get("csv") == "-":
        raise ParameterError("--json and --csv cannot both go to standard output: name a file")
    for name in ("json", "csv"):
        if given.get(name) not in (None, "-"):
            with said_of(f"--{name}"):
                check_writable(given[name])
    if given.get("figure") is not None:
        from rmt_jacobian.plotting import check_figure_path

        with said_of("--figure"):
            check_figure_path(given["figure"])
    if "store" in given:
        _check_outside_of_the_store(context)


def _check_outside_of_the_store(context: click.Context) -> None:
    """Refuse files within a store, which holds nothing but what its run has written."""
    given = context.params
    (shown,) = (
        each.opts[0] if isinstance(each, click.Option) else each.human_readable_name
        for each in context.command.params
        if each.name == "store"
    )
    for name in ("json", "csv", "figure"):
        if given.get(name) in (None, "-"):
            continue
        if Path(given[name]).resolve().is_relative_to(given["store"].resolve()):
            raise ParameterError(
                f"--{name} {given[name]} lies within {shown}, {given['store']}: write elsewhere"
            )


def described(cell: "Cell", parameters: "Parameters") -> str:
    """Return a cell and its hyperparameters in one line."""
    values = ", ".join(f"{name} = {value:g}" for name, value in parameters.named().items())
    spread = any(group.bias_std > 0 for _, group in parameters.groups)
    return f"{cell.name}: {values}{f', {parameters.bias_kind} biases' * spread}"


def cut(shown: int, of: int, what: str) -> list[str]:
    """Say that a table for the reader is cut, if it is.

    Examples
    --------
    >>> cut(9, 256, "exponents"), cut(3, 3, "points")
    (['9 of 256 exponents are shown: --csv FILE writes all'], [])
    """
    return [f"{shown} of {of} {what} are shown: --csv FILE writes all"] if shown < of else []


def as_json(content: Mapping[str, Any]) -> str:
    """Return JSON, in which numbers that are not finite become null.

    Examples
    --------
    >>> print(as_json({"chi": 0.5, "timescale": math.inf}), end="")
    {
      "chi": 0.5,
      "timescale": null
    }
    """
    return json.dumps(_strict(content), indent=2, ensure_ascii=False) + "\n"


def as_csv(table: Table) -> str:
    """Return a table as comma-separated values, its names in the first line.

    Examples
    --------
    >>> print(as_csv({"x": [0.5, 1.0], "cdf": [0.1, None]}), end="")
    x,cdf
    0.5,0.1
    1.0,
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*table.values(), strict=True))
    return stream.getvalue()


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: str, text: str) -> None:
    if path == "-":
        click.echo(text, nl=False)
    else:
        write_whole(path, lambda file: file.write(text.encode()))
