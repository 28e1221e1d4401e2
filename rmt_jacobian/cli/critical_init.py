"""``rmt-jacobian critical-init``."""

import math
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    WholeNumber,
    cell_argument,
    json_option,
    prepare_json,
    read_values,
    say,
    theory_weights_choice,
    write_json,
)
from rmt_jacobian.errors import HypothesisError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmt_jacobian.cells import Cell
    from rmt_jacobian.pencils.critical_point import InitializationReport

__all__ = ["critical_init_command"]


@click.command("critical-init")
@cell_argument()
@click.option(
    "-p",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Cells of one state and one preactivation: preactivation_variance (q*), bias_mean and "
    "input_variance.  Others: whatever is fixed, input_variance (default 1) among it; repeatable.",
)
@click.option("--config", type=click.Path(), help="TOML file with those values.")
@click.option(
    "--free",
    multiple=True,
    metavar="NAME",
    help="A hyperparameter to solve for; repeatable; default: all weight_std that are not fixed.",
)
@click.option(
    "--steps",
    type=WholeNumber(min=1, max=1000),
    default=20,
    show_default=True,
    metavar="T",
    help="Over which the variance of J J^T is made least, where several values are free.",
)
@click.option("--weights", type=theory_weights_choice, default="orthogonal", show_default=True)
@json_option
def critical_init_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    free: tuple[str, ...],
    steps: int,
    weights: Any,
    json_path: str | None,
) -> None:
    """Find hyperparameters at which gradients keep their norm, and spread least.

    For gated cells the result stands beside the usual initialisations of common libraries.
    """
    prepare_json(json_path)
    values = read_values(assignments, config)

    from rmt_jacobian.cells import cell_named
    from rmt_jacobian.mean_field.averages import single_site

    found = cell_named(cell)
    try:
        single_site(found)
    except HypothesisError:
        results = _of_any_cell(found, values, free, steps, weights, json_path)
    else:
        if free:
            raise ParameterError(
                f"{found.name} has the free parameters weight_std and input_std: leave --free out"
            )
        results = _of_one_preactivation(found, values, json_path)
    write_json(json_path, {"cell": found.name, **results})


_NEEDED = ("preactivation_variance", "bias_mean", "input_variance")


def _of_one_preactivation(
    cell: "Cell", values: dict[str, float], json_path: str | None
) -> dict[str, Any]:
    for name in values:
        if name not in _NEEDED:
            raise ParameterError(
                f"critical-init has no parameter {name!r}: use {', '.join(_NEEDED)}"
            )
    for name in _NEEDED:
        if name not in values:
            raise ParameterError(f"critical-init needs {name}: add -p {name}=VALUE")
        if not math.isfinite(values[name]):
            raise ParameterError(f"{name} must be a finite number, not {values[name]}")

    from rmt_jacobian.mean_field import critical_initialization, site_law

    found = critical_initialization(cell, **values)
    group = found.parameters.only
    achieved = site_law(cell, found.parameters, start_variance=found.state_variance)
    results = {
        "weight_std": group.weight_std,
        "input_std": group.input_std,
        "bias_std": group.bias_std,
        "state_variance": found.state_variance,
        "preactivation_variance": achieved.preactivation_variance,
        "chi1": achieved.chi1,
    }
    for name, value in results.items():
        say(f"{name:>24}  {value:.10g}", json_path)
    return {**values, **results}


def _of_any_cell(
    cell: "Cell",
    values: dict[str, float],
    free: tuple[str, ...],
    steps: int,
    weights: Any,
    json_path: str | None,
) -> dict[str, Any]:
    from rmt_jacobian.pencils import critical_point

    found = critical_point(
        cell,
        {"input_variance": 1.0, **values},
        weights=weights,
        steps=steps,
        free=free,
        progress=True,
    )
    named = found.parameters.named()
    for name in found.free:
        say(f"{name:>24}  {named[name]:.10g}", json_path)
    others = [f"{n} = {x:g}" for n, x in named.items() if n not in found.free and x != 0]
    say(f"with {', '.join(others)}; found from: {found.start}", json_path)
    say("", json_path)
    columns = ("growth rate", "m_1", "m_2/m_1^2 - 1", "timescale")
    header = "  ".join(f"{column:>14}" for column in columns)
    say(f"{'over ' + str(steps) + ' steps':>44}  {header}", json_path)
    for report in (found.report, *found.rescaled, *found.usual):
        numbers = (
            report.growth_rate, report.mean, report.relative_variance, report.timescale,
        )  # fmt: skip
        row = "  ".join(f"{number:>14.6g}" for number in numbers)
        say(f"{report.name:>44}  {row}", json_path)
    for report in (found.report, *found.rescaled, *found.usual):
        if report.remark:
            say(f"{report.name}: {report.remark}", json_path)
    return {
        "parameters": named,
        "free": list(found.free),
        "weights": weights,
        **_row(found.report),
        "start": found.start,
        "rescaled": _rows(found.rescaled),
        "usual": _rows(found.usual),
    }


def _rows(reports: "Sequence[InitializationReport]") -> list[dict[str, Any]]:
    return [{"name": r.name, "parameters": r.parameters.named(), **_row(r)} for r in reports]


def _row(report: "InitializationReport") -> dict[str, Any]:
    return {
        "growth_rate": report.growth_rate,
        "steps": report.steps,
        "mean": report.mean,
        "variance": report.mean**2 * report.relative_variance,
        "relative_variance": report.relative_variance,
        "timescale": report.timescale,
        "remark": report.remark,
    }
