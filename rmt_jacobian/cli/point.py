"""The cell and its hyperparameters, as they are typed."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from rmt_jacobian.cli.options import FilePath, said_of
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell, Parameters

__all__ = ["ASSIGNMENT", "CELL", "POINT_OPTIONS", "Values"]


class _CellName(click.ParamType):
    """The name of a cell, which a shell can complete."""

    name = "cell"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from rmt_jacobian.cells import CELL_NAMES

        return [CompletionItem(name) for name in CELL_NAMES if name.startswith(incomplete)]


class _Assignment(click.ParamType):
    """NAME=VALUE, of which a shell can complete the name."""

    name = "assignment"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        shared = ("weight_std", "input_std", "bias_mean", "bias_std", "input_variance")
        # Where an option is not complete, click has not told arguments from one another.
        names = dict.fromkeys((*_names_of(ctx.params.get("cell"), *ctx.args), *shared))
        return [CompletionItem(f"{name}=") for name in names if name.startswith(incomplete)]


def _names_of(*words: str | None) -> list[str]:
    """Return the names of the hyperparameters of the first word that is a cell."""
    from rmt_jacobian.cells import Parameters, cell_named

    for word in words:
        try:
            return list(Parameters.of(cell_named(word or "")).named())
        except ParameterError:
            continue
    return []


CELL, ASSIGNMENT = _CellName(), _Assignment()

POINT_OPTIONS = (
    click.option(
        "-p",
        "assignments",
        multiple=True,
        type=ASSIGNMENT,
        metavar="NAME=VALUE",
        help="weight_std, input_std, bias_mean, bias_std or input_variance; repeatable; what is "
        "not given is taken from the typical point of the cell.",
    ),
    click.option(
        "--config", type=FilePath(), help="TOML file with parameters, or a table of them."
    ),
    click.option(
        "--inputs",
        type=click.Choice(["gaussian", "tanh"]),
        default="gaussian",
        show_default=True,
        help="Law of the inputs: Gaussian, or the tanh of a Gaussian.",
    ),
    click.option(
        "--biases",
        type=click.Choice(["frozen", "redrawn"]),
        help="With untied weights and bias_std above 0: whether the bias of a site is the same at "
        "all steps or a new one at each; default: redrawn for cells with one preactivation, else "
        "frozen.",
    ),
)


@dataclass(frozen=True)
class Values:
    """Named values, as they were given.

    Attributes
    ----------
    assigned
        Those of ``-p``, which have the last word.
    read, path
        Those of a file, and its path.
    """

    assigned: Mapping[str, float]
    read: Mapping[str, float] = field(default_factory=dict)
    path: str | None = None

    @classmethod
    def of(cls, assignments: tuple[str, ...], path: str | None) -> "Values":
        """Return what assignments and a file say.

        Raises
        ------
        ParameterError
            If the file cannot be read, an assignment has no ``=``, a value is not a number, or a
            name is assigned twice.
        """
        given: dict[str, float] = {}
        for name, value in map(_assigned, assignments):
            if name in given:
                raise ParameterError(f"-p {name} is given twice: leave one out")
            given[name] = value
        return cls(given) if path is None else cls(given, _read_config(path), path)

    @property
    def named(self) -> dict[str, float]:
        """All values by name."""
        if not self.read:
            return dict(self.assigned)
        from rmt_jacobian.cells.parameter_names import overlaid

        return overlaid(self.read, self.assigned)

    def point_of(self, cell: "Cell", inputs: Any, biases: Any) -> "Parameters":
        """Return the hyperparameters of a cell; its typical point fills the gaps.

        Raises
        ------
        ParameterError
            If there are none such; it names the file if that is where they come from.
        """
        from rmt_jacobian.cells import Parameters

        def made(values: Mapping[str, float]) -> Parameters:
            return Parameters.of(cell, values, input_kind=inputs, bias_kind=biases)

        try:
            return made(self.named)
        except ParameterError as error:
            if self.path is None or str(error) == _complaint(made, self.assigned):
                raise
            raise ParameterError(f"--config: {self.path}: {error}") from error


def _complaint(made: "Callable[[Mapping[str, float]], Parameters]", values: Any) -> str:
    """Return what is wrong with values, if something is."""
    try:
        made(values)
    except ParameterError as error:
        return str(error)
    return ""


def _assigned(text: str) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ParameterError(f"-p {text!r} is not of the form name=value")
    return name.strip(), _number(name.strip(), value)


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{name} must be a number, not {value!r}") from None


def _read_config(path: str) -> dict[str, float]:
    with said_of("--config"):
        return _values_of(path)


def _values_of(path: str) -> dict[str, float]:
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is not valid TOML: {error}") from error
    table = content.get("parameters", content)
    if not isinstance(table, Mapping):
        raise ParameterError(f"{path}: 'parameters' must be a table of name = value lines")
    if table is not content and (others := sorted(content.keys() - {"parameters"})):
        raise ParameterError(
            f"{path}: {', '.join(others)} stands outside [parameters]: move it inside"
        )
    with said_of(path):
        return dict(_flattened(table, ""))


def _flattened(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _number(prefix + name, value)
