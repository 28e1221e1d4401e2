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
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmt_jacobian.cells import Cell
    from rmt_jacobian.pencils.critical_point import CriticalPoint, InitializationReport

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
    help="A hyperparameter to solve for; without a group it speaks for all that are not fixed; "
    "repeatable; default: all weight_std that are not fixed.",
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
@click.option("--seed", type=WholeNumber(min=0), default=0, show_default=True)
@json_option
def critical_init_command(
    cell: str,
    assignments: tuple[str, ...],
    config: str | None,
    free: tuple[str, ...],
    steps: int,
    weights: Any,
    seed: int,
    json_path: str | None,
) -> None:
    """Find hyperparameters at which gradients keep their norm, and spread least.

    For gated cells the result stands beside the usual initialisations of common libraries.
    """
    prepare_json(json_path)
    values = read_values(assignments, config)

    from rmt_jacobian.cells import cell_named
    from rmt_jacobian.mean_field.averages import is_single_site

    found = cell_named(cell)
    if not is_single_site(found):
        results = _of_any_cell(found, values, free, steps, weights, seed, json_path)
    elif free:
        raise ParameterError(
            f"{found.name} has the free parameters weight_std and input_std: leave --free out"
        )
    else:
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

    from rmt_jacobian.mean_field import critical_weights, site_law

    found = critical_weights(cell, **values)
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
    seed: int,
    json_path: str | None,
) -> dict[str, Any]:
    from rmt_jacobian.pencils import critical_initialization

    found = critical_initialization(
        cell,
        {"input_variance": 1.0, **values},
        weights=weights,
        steps=steps,
        free=free,
        seed=seed,
        progress=True,
    )
    named = found.parameters.named()
    for name in found.free:
        say(f"{name:>24}  {named[name]:.10g}", json_path)
    others = [f"{n} = {x:g}" for n, x in named.items() if n not in found.free and x != 0]
    say(f"with {', '.join(others)}", json_path)
    say("", json_path)
    say(f"{found.verdict}.", json_path)
    _say_reports(found, steps, json_path)
    _say_starts(found, json_path)
    return {
        "parameters": named,
        "free": list(found.free),
        "weights": weights,
        "seed": seed,
        **_row(found.report),
        "minimum": found.minimum,
        "binding": dict(found.binding),
        "gain": found.gain,
        "curvature": found.curvature,
        "start": found.start,
        "starts": [
            {"name": each.name, "at_start": each.at_start, "found": each.found}
            for each in found.starts
        ],
        "rescaled": _rows(found.rescaled),
        "usual": _rows(found.usual),
    }


def _say_reports(found: "CriticalPoint", steps: int, json_path: str | None) -> None:
    """Print what was found beside the usual initialisations."""
    say("", json_path)
    columns = ("growth rate", "m_1", "m_2/m_1^2 - 1", "timescale")
    header = "  ".join(f"{column:>18}" for column in columns)
    say(f"{'over ' + str(steps) + ' steps':>44}  {header}", json_path)
    reports = (found.report, *found.rescaled, *found.usual)
    for each in reports:
        numbers = (
            with_error(each.growth_rate, each.growth_error),
            f"{each.mean:.4g}",
            with_error(each.relative_variance, each.variance_error),
            f"{each.timescale:.4g}",
        )
        say(f"{each.name:>44}  {'  '.join(f'{number:>18}' for number in numbers)}", json_path)
    for each in reports:
        if each.remark:
            say(f"{each.name}: {each.remark}", json_path)


def _say_starts(found: "CriticalPoint", json_path: str | None) -> None:
    """Print where the search began, and how far it came from there."""
    say("", json_path)
    width = max(len(each.name) for each in found.starts)
    title = "m_2/m_1^2 - 1 on the sites of the search, from"
    say(f"{title:>{max(width, len(title))}}  {'at the start':>14}  {'found':>14}", json_path)
    for each in found.starts:
        numbers = (f"{each.at_start:.4g}", f"{each.found:.4g}")
        if not each.critical:
            numbers = ("not critical", "")
        chosen = "  chosen" if each.name == found.start else ""
        row = "  ".join(f"{number:>14}" for number in numbers)
        say(f"{each.name:>{max(width, len(title))}}  {row}{chosen}".rstrip(), json_path)


def with_error(value: float, error: float) -> str:
    """Return a number to the digit of its error, and the error.

    Examples
    --------
    >>> with_error(13.6063, 0.0169), with_error(1.0, 0.0)
    ('13.606 +- 0.017', '1')
    """
    if not (math.isfinite(error) and error > 0):
        return f"{value:.10g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} +- {error:.{digits}f}"


def _rows(reports: "Sequence[InitializationReport]") -> list[dict[str, Any]]:
    return [{"name": r.name, "parameters": r.parameters.named(), **_row(r)} for r in reports]


def _row(report: "InitializationReport") -> dict[str, Any]:
    return {
        "growth_rate": report.growth_rate,
        "growth_error": report.growth_error,
        "steps": report.steps,
        "mean": report.mean,
        "variance": report.mean**2 * report.relative_variance,
        "relative_variance": report.relative_variance,
        "variance_error": report.variance_error,
        "timescale": report.timescale,
        "remark": report.remark,
    }
