"""Options that several commands share."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from rmt_jacobian.errors import ParameterError

__all__ = [
    "FRESH_WEIGHTS",
    "OUTPUT",
    "FilePath",
    "RealNumber",
    "WholeNumber",
    "device_option",
    "different",
    "dtype_option",
    "said_of",
    "sampling_options",
    "seed_option",
    "sites_option",
    "steps_option",
    "theory_weights_choice",
    "weights_choice",
    "weights_option",
    "workers_option",
]

# What to know of a theory of several steps.
FRESH_WEIGHTS = (
    "The law is that of fresh weights at every step. Networks that keep theirs, as all that are "
    "trained do, differ from it over several steps: density --tied solves for their law, "
    "mean-field --tied for their growth, spectrum --tied samples them."
)

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]


class WholeNumber(click.IntRange):
    """A whole number in a range, and called that in messages."""

    name = "whole number"


class RealNumber(click.FloatRange):
    """A finite number in a range; bounds alone would let nan through."""

    name = "number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or say what is wrong with the text."""
        try:
            known = math.isfinite(float(value))
        except ValueError:
            known = True  # no number at all, which click says
        if not known:
            self.fail(f"{value} is not a finite number", param, ctx)
        return super().convert(value, param, ctx)


class FilePath(click.Path):
    """The name of a file or a folder, which has at least one letter."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path; the empty one would be the folder one is in."""
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


def different(_: click.Context, parameter: click.Parameter, values: Any) -> Any:
    """Refuse a value that a repeatable option is given twice."""
    for k, value in enumerate(values):
        if value in values[:k]:
            raise click.BadParameter(f"{value} is given twice: leave one out", param=parameter)
    return values


@contextmanager
def said_of(argument: str) -> Iterator[None]:
    """Name an argument, or a file, in the errors that come of it.

    Examples
    --------
    >>> with said_of("--json"):
    ...     raise ParameterError("cannot write .: it is a folder")
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: --json: cannot write .: it is a folder
    """
    try:
        yield
    except ParameterError as error:
        raise ParameterError(f"{argument}: {error}") from error


OUTPUT = FilePath(path_type=Path)
_LARGE = WholeNumber(min=1, max=100_000)

# Of sampled networks, and of theory alone.
weights_choice = click.Choice(["gaussian", "orthogonal", "fast-gaussian", "fast-orthogonal"])
theory_weights_choice = click.Choice(["gaussian", "orthogonal"])

weights_option = click.option(
    "--weights", type=weights_choice, default="gaussian", show_default=True, help="Ensemble of W."
)
seed_option = click.option("--seed", type=WholeNumber(min=0), default=0, show_default=True)
workers_option = click.option(
    "--workers", type=_LARGE, help="Networks run at once; default: all cores."
)
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


def steps_option(most: int, default: int = 1) -> Option:
    """Return --steps, up to a number."""
    return click.option(
        "--steps", type=WholeNumber(min=1, max=most), default=default, show_default=True,
        metavar="T", help="Number of steps.",
    )  # fmt: skip


def sites_option(
    default: int, least: int = 16,
    text: str = "Low-discrepancy samples of the site variables; fewer are faster and rougher.",
) -> Option:  # fmt: skip
    """Return --sites."""
    return click.option(
        "--sites", type=WholeNumber(min=least, max=1_000_000), default=default, show_default=True,
        help=text,
    )  # fmt: skip


def sampling_options(*, samples: int, width: int = 512, dtype: bool = True) -> Option:
    """Return --width, --samples, --seed, --tied, --workers and --device, and --dtype if wanted."""
    options = (
        click.option("--width", type=_LARGE, default=width, show_default=True,
                     help="Number of sites N."),
        click.option("--samples", type=_LARGE, default=samples, show_default=True,
                     help="Number of networks."),
        seed_option,
        click.option("--tied", is_flag=True, help="Keep one W, V and b for all steps."),
        workers_option,
        *([dtype_option] if dtype else []),
        device_option,
    )  # fmt: skip

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
