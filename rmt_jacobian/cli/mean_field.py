"""``rmt-jacobian mean-field``."""

import math
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    cell_argument,
    cell_settings,
    describe,
    json_option,
    needs_parameters,
    prepare_json,
    read_cell_and_parameters,
    say,
    write_json,
)

if TYPE_CHECKING:
    from rmt_jacobian.mean_field import MeanField, UntiedMeanField

__all__ = ["known_digits", "mean_field_command"]


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
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=None,
    help="T: also the growth of squared gradients a step over T steps, m_1(T)^(1/T).",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=None,
    help="Largest error of a correlation, and relative error of a variance or a growth rate: met, "
    "or refused.  By default 1e-3 is aimed at, 3e-3 of growth rates, and 1e-2 accepted.",
)
@json_option
def mean_field_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    inputs: str,
    input_correlation: float,
    steps: int | None,
    tolerance: float | None,
    json_path: str | None,
) -> None:
    """Solve the mean field: variances, correlation c*, slopes and timescales.

    Numbers are printed as far as they are known; the half width of their 95 % interval follows.
    """
    prepare_json(json_path)
    found_cell, parameters = read_cell_and_parameters(cell, assignments, config, inputs)

    from rmt_jacobian.mean_field import (
        has_closed_site,
        mean_field,
        untied_mean_field,
    )

    if has_closed_site(found_cell, parameters):
        found = mean_field(found_cell, parameters, input_correlation=input_correlation)
        results, errors = _results_of_one_state(found, steps)
    else:
        general = untied_mean_field(
            found_cell, parameters, input_correlation=input_correlation, tolerance=tolerance
        )
        results, errors = _results_of_any_cell(general, steps)
    say(describe(found_cell, parameters), json_path)
    for name, value in results.items():
        for (key, number), (_, error) in zip(
            _flat(name, value), _flat(name, errors[name]), strict=True
        ):
            printed = known_time if "timescale" in name else known_digits
            say(f"{key:>40}  {printed(number, error):<26} {_WORDS[name]}", json_path)
    if results["chi1"] == math.inf:
        say(
            "The cell jumps: two networks that see almost the same part, and the slope at c = 1 is "
            "infinite. Gradients see no jumps: --steps T gives their growth.",
            json_path,
        )
    if parameters.has_frozen_bias and results["chi1"] >= 1 and steps is None:
        say(
            "Slopes are those in the end, when the few sites whose frozen biases let them never "
            "forget dominate: --steps T gives the growth over T steps.",
            json_path,
        )
    header = {
        **cell_settings(found_cell, parameters),
        "input_correlation": input_correlation,
        "steps": steps,
        "tolerance": tolerance,
    }
    write_json(json_path, {**header, **results, "errors": errors})


def known_digits(value: float, error: float) -> str:
    """Print a number as far as it is known, at most to ten digits, and its error.

    Examples
    --------
    >>> known_digits(0.7367598, 0.00046), known_digits(0.5, 1e-14), known_digits(256.4, 14.5)
    ('0.7368 +- 0.0005', '0.5', '260 +- 10')
    """
    if not math.isfinite(value) or error <= 1e-10 * abs(value):
        return f"{value:.10g}"
    if not math.isfinite(error):
        return "not known"
    if error >= abs(value) > 0:
        return f"{value:.1g} +- {error:.1g}"
    place = -math.floor(math.log10(float(f"{error:.0e}")))
    rounded = f"{value:.{place}f}" if place > 0 else f"{round(value, place):.0f}"
    return f"{rounded} +- {float(f'{error:.0e}'):.{max(place, 0)}f}"


def known_time(value: float, error: float) -> str:
    """Print a timescale: its digits, or from where on it lies where the slope may be 1.

    The error is that of 1 / timescale, passed on to first order.

    Examples
    --------
    >>> known_time(256.4, 14.5), known_time(1e3, 4e3), known_time(math.inf, math.inf)
    ('260 +- 10', 'at least 2e+02', 'inf')
    """
    if value <= error < math.inf and value > 0:
        return f"at least {value**2 / (value + error):.1g}"
    return known_digits(value, error)


_WORDS = {
    "preactivation_variance": "q*",
    "state_variance": "Q*, second moment of a state",
    "source_variance": "E[y^2], what W multiplies",
    "correlation": "c* of the preactivations",
    "state_correlation": "C* of the states",
    "source_correlation": "of what W multiplies",
    "chi": "slope at c*",
    "chi1": "slope at c = 1, growth rate of gradients",
    "growth_rate": "of squared gradients a step, over the steps asked for",
    "timescale": "-1 / log |chi|, in steps",
    "variance_timescale": "xi_Q, of the state variance, in steps",
    "state_fourth_moment": "E[h^4]",
}


def _results_of_one_state(
    found: "MeanField", steps: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    results = {
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
    relative = found.errors["state_variance"] / (found.state_variance or 1.0)
    errors = {**found.errors, "state_fourth_moment": 2 * relative * results["state_fourth_moment"]}
    if steps is not None:  # successive steps are independent
        rate = found.law.chi1
        known = found.errors["chi1"] if math.isfinite(found.chi1) else relative * rate
        results["growth_rate"], errors["growth_rate"] = rate, known
    return results, errors


def _results_of_any_cell(
    found: "UntiedMeanField", steps: int | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    states = [str(state) for state in found.state.cell.states]
    known = found.errors
    results = {
        "preactivation_variance": found.preactivation_variances,
        "state_variance": dict(zip(states, found.state.state_squares, strict=True)),
        "source_variance": found.source_squares,
        "correlation": found.correlations,
        "source_correlation": found.source_correlations,
        "chi": found.chi,
        "chi1": found.chi1,
        "timescale": found.timescale,
    }
    errors = {
        "preactivation_variance": known["preactivation_variances"],
        "state_variance": dict(zip(states, found.state.state_square_errors, strict=True)),
        "source_variance": known["source_squares"],
        "correlation": known["correlations"],
        "source_correlation": known["source_correlations"],
        "chi": known["chi"],
        "chi1": known["chi1"],
        "timescale": known["timescale"],
    }
    if steps is not None:
        results["growth_rate"] = found.growth_rate(steps)
        errors["growth_rate"] = found.same.growth_rate_error(steps)
    return results, errors


def _flat(name: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [(f"{name} ({key})", number) for key, number in value.items()]
    return [(name, value)]
