"""Options about a cell that change its parameters and nothing else of a command."""

from typing import Any

import click

__all__ = ["biases_option", "chosen_biases"]

_KEY = "rmt_jacobian.biases"


def _remember(context: click.Context, _: click.Parameter, value: str | None) -> None:
    context.meta[_KEY] = value


biases_option = click.option(
    "--biases",
    type=click.Choice(["frozen", "redrawn"]),
    expose_value=False,
    callback=_remember,
    help="With untied weights and bias_std above 0: whether the bias of a site is the same at all "
    "steps or a new one at each; default: redrawn for cells with one preactivation, else frozen.",
)


def chosen_biases() -> Any:
    """Return what --biases says in the running command, None where it is not given."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_KEY)
