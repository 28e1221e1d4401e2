"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = [
    "OUTPUT",
    "WholeNumber",
    "device_option",
    "dtype_option",
    "sampling_options",
    "seed_option",
    "sites_option",
    "steps_option",
    "theory_weights_choice",
    "weights_choice",
    "weights_option",
    "workers_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Command], Command]


class WholeNumber(click.IntRange):
    """A whole number in a range, and called that in messages."""

    name = "whole number"


OUTPUT = click.Path(path_type=Path)
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
