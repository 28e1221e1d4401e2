"""``rmt-jacobian mean-field``."""

from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    cell_argument,
    describe,
    json_option,
    needs_parameters,
    prepare_json,
    read_cell_and_parameters,
    say,
    write_json,
)
from rmt_jacobian.errors import HypothesisError

if TYPE_CHECKING:
    from rmt_jacobian.mean_field import MeanField, UntiedMeanField

__all__ = ["mean_field_command"]


@click.command("mean-field")
@cell_argument()
@needs_parameters
@click.option(
    "--input-correlation",
    type=float,
    default=1.0,
    show_default=True,
    help="Correlation Sigma_12 of two input sequences, in [-1, 1].",
)
@json_option
def mean_field_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    input_correlation: float,
    json_path: str | None,
) -> None:
    """Solve the mean field: variances, correlation c*, slopes and timescales."""
    prepare_json(json_path)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)

    from rmt_jacobian.mean_field import mean_field, untied_mean_field

    try:
        found = mean_field(found_cell, parameters, input_correlation=input_correlation)
    except HypothesisError:  # more than one state or preactivation, or moments that do not close
        general = untied_mean_field(found_cell, parameters, input_correlation=input_correlation)
        results = _results_of_any_cell(general)
    else:
        results = _results_of_one_state(found)
    say(describe(found_cell, parameters), json_path)
    for name, value in results.items():
        for key, number in _flat(name, value):
            say(f"{key:>40}  {number:<14.8g} {_WORDS[name]}", json_path)
    header = {
        "cell": found_cell.name,
        "parameters": parameters.named(),
        "inputs": inputs,
        "biases": parameters.bias_kind,
        "input_correlation": input_correlation,
    }
    write_json(json_path, {**header, **results})


_WORDS = {
    "preactivation_variance": "q*",
    "state_variance": "Q*, second moment of a state",
    "source_variance": "E[y^2], what W multiplies",
    "correlation": "c* of the preactivations",
    "state_correlation": "C* of the states",
    "source_correlation": "of what W multiplies",
    "chi": "slope at c*",
    "chi1": "slope at c = 1, growth rate of gradients",
    "timescale": "-1 / log |chi|, in steps",
    "variance_timescale": "xi_Q, of the state variance, in steps",
    "state_fourth_moment": "E[h^4]",
}


def _results_of_one_state(found: "MeanField") -> dict[str, Any]:
    return {
        "preactivation_variance": found.preactivation_variance,
        "state_variance": found.state_variance,
        "correlation": found.correlation,
        "state_correlation": found.state_correlation,
        "chi": found.chi,
        "chi1": found.chi1,
        "timescale": found.timescale,
        "variance_timescale": found.variance_timescale,
        "state_fourth_moment": found.law.state_moment(4),
    }


def _results_of_any_cell(found: "UntiedMeanField") -> dict[str, Any]:
    states = [str(state) for state in found.state.cell.states]
    return {
        "preactivation_variance": found.preactivation_variances,
        "state_variance": dict(zip(states, found.state.state_squares, strict=True)),
        "source_variance": found.source_squares,
        "correlation": found.correlations,
        "source_correlation": found.source_correlations,
        "chi": found.chi,
        "chi1": found.chi1,
        "timescale": found.timescale,
    }


def _flat(name: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [(f"{name} ({key})", number) for key, number in value.items()]
    return [(name, value)]
