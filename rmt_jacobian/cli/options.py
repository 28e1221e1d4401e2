"""Options that the commands share, and how their values become parameters and files."""

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rmt_jacobian.cli.cell_options import biases_option, chosen_biases
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.files import check_writable, write_whole

if TYPE_CHECKING:
    from rmt_jacobian.cells import Cell, Parameters

__all__ = [
    "WholeNumber",
    "cell_argument",
    "cell_settings",
    "describe",
    "device_option",
    "dtype_option",
    "json_option",
    "needs_parameters",
    "parse_assignments",
    "prepare_json",
    "read_cell_and_parameters",
    "read_values",
    "sampling_options",
    "say",
    "theory_weights_choice",
    "weights_choice",
    "write_json",
]

Command = TypeVar("Command", bound=Callable[..., Any])


class WholeNumber(click.IntRange):
    """A whole number in a range, and called that in messages."""

    name = "whole number"


# Of sampled networks, and of theory alone.
weights_choice = click.Choice(["gaussian", "orthogonal", "fast-gaussian", "fast-orthogonal"])
theory_weights_choice = click.Choice(["gaussian", "orthogonal"])

_PARAMETER_HELP = (
    "weight_std, input_std, bias_mean, bias_std or input_variance; repeatable; "
    "what is not given is taken from the cell's own critical point."
)


def cell_argument(*, default: str | None = None) -> Callable[[Command], Command]:
    """Add the CELL argument."""
    if default is None:
        return click.argument("cell")
    return click.argument("cell", default=default)


def needs_parameters(command: Command) -> Command:
    """Add -p, --config, --inputs and --biases."""
    for option in (
        biases_option,
        click.option(
            "--inputs",
            type=click.Choice(["gaussian", "tanh"]),
            default="gaussian",
            show_default=True,
            help="Law of the inputs: Gaussian, or the tanh of a Gaussian.",
        ),
        click.option(
            "--config", type=click.Path(), help="TOML file with parameters, or a table of them."
        ),
        click.option(
            "-p",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            help=_PARAMETER_HELP,
        ),
    ):
        command = option(command)
    return command


device_option = click.option(
    "--device",
    type=click.Choice(["cpu", "gpu"]),
    default="cpu",
    show_default=True,
    help="Where large arrays are; a GPU needs CuPy.",
)
dtype_option = click.option(
    "--dtype",
    type=click.Choice(["float64", "float32"]),
    default="float64",
    show_default=True,
    help="Precision of the sampled networks.",
)


def sampling_options(
    *, samples: int, width: int = 512, dtype: bool = True
) -> Callable[[Command], Command]:
    """Add --width, --samples, --seed, --tied, --workers and --device, and --dtype if wanted."""

    def add(command: Command) -> Command:
        command = device_option(dtype_option(command) if dtype else command)
        whole = WholeNumber(min=1, max=100_000)
        for option in (
            click.option("--workers", type=whole, help="Networks run at once; default: all cores."),
            click.option("--tied", is_flag=True, help="Keep one W, V and b for all steps."),
            click.option("--seed", type=WholeNumber(min=0), default=0, show_default=True),
            click.option("--samples", type=whole, default=samples, show_default=True,
                         help="Number of networks."),
            click.option("--width", type=whole, default=width, show_default=True,
                         help="Number of sites N."),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


json_option = click.option(
    "--json", "json_path", metavar="FILE", help='Write the results as JSON; "-" is standard output.'
)


def parse_assignments(assignments: tuple[str, ...]) -> dict[str, float]:
    """Turn ``name=value`` strings into numbers.

    Raises
    ------
    ParameterError
        If one has no ``=`` or its value is not a number.
    """
    values = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ParameterError(f"-p {text!r} is not of the form name=value")
        values[name.strip()] = _number(name.strip(), value)
    return values


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ParameterError(f"{name} must be a number, not {value!r}") from None


def read_values(assignments: tuple[str, ...], config: str | None) -> dict[str, float]:
    """Return named values from a TOML file and from -p, which has the last word."""
    from rmt_jacobian.cells.parameters import overlaid

    return overlaid(_read_config(config) if config else {}, parse_assignments(assignments))


def _read_config(path: str) -> dict[str, float]:
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
    return dict(_flattened(table, ""))


def _flattened(table: Mapping[str, Any], prefix: str) -> list[tuple[str, float]]:
    values = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            values += _flattened(value, f"{prefix}{name}.")
        else:
            values.append((prefix + name, _number(prefix + name, value)))
    return values


def read_cell_and_parameters(
    cell: str, assignments: tuple[str, ...], config: str | None, inputs: str
) -> "tuple[Cell, Parameters]":
    """Return the cell of that name and its parameters; the cell's own point fills the gaps."""
    from rmt_jacobian.cells import Parameters, cell_named

    found = cell_named(cell)
    parameters = Parameters.of(
        found,
        read_values(assignments, config),
        input_kind=inputs,  # pyright: ignore[reportArgumentType]
        bias_kind=chosen_biases(),
    )
    return found, parameters


def cell_settings(cell: "Cell", parameters: "Parameters") -> dict[str, Any]:
    """Return what a file says of the cell and its parameters, as all commands write it."""
    return {
        "cell": cell.name,
        "parameters": parameters.named(),
        "inputs": parameters.input_kind,
        "biases": parameters.bias_kind,
    }


def describe(cell: "Cell", parameters: "Parameters") -> str:
    """Return the cell and its parameters in one line."""
    values = ", ".join(f"{name} = {value:g}" for name, value in parameters.named().items())
    spread = any(group.bias_std > 0 for _, group in parameters.groups)
    return f"{cell.name}: {values}{f', {parameters.bias_kind} biases' * spread}"


def prepare_json(path: str | None) -> None:
    """Refuse a path that could not be written later, and files of the command that are one."""
    _check_distinct()
    if path not in (None, "-"):
        check_writable(path)


def _check_distinct() -> None:
    """Refuse one name for two files that the running command reads or writes."""
    context = click.get_current_context(silent=True)
    if context is None:
        return
    known: dict[Path, str] = {}
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        is_file = isinstance(parameter.type, click.Path) or parameter.name == "json_path"
        if not is_file or value in (None, "-"):
            continue
        option = isinstance(parameter, click.Option)
        name = parameter.opts[0] if option else parameter.human_readable_name
        other = known.setdefault(Path(value).resolve(), name)
        if other != name:
            raise ParameterError(f"{other} and {name} are the same file, {value}: name another")


def write_json(path: str | None, content: Mapping[str, Any]) -> None:
    """Write JSON whole to a file, or to standard output for "-"; infinities become null."""
    if path is None:
        return
    text = json.dumps(_strict(content), indent=2, ensure_ascii=False) + "\n"
    if path == "-":
        click.echo(text, nl=False)
    else:
        write_whole(path, lambda file: file.write(text.encode()))


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str, json_path: str | None) -> None:
    """Print for the reader; on standard error where standard output carries JSON."""
    click.echo(text, err=json_path == "-")
