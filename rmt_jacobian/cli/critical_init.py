"""``rmt-jacobian critical-init``."""

import math
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    FilePath,
    WholeNumber,
    different,
    seed_option,
    theory_weights_choice,
)
from rmt_jacobian.cli.point import ASSIGNMENT
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rmt_jacobian.initialization.critical_point import CriticalPoint, InitializationReport

__all__ = ["critical_init_command"]


@command(
    "critical-init",
    click.option(
        "-p",
        "assignments",
        multiple=True,
        type=ASSIGNMENT,
        metavar="NAME=VALUE",
        help="Cells of one state and one preactivation: preactivation_variance (q*), bias_mean and "
        "input_variance.  Others: whatever is fixed, input_variance (default 1) among it; "
        "repeatable.",
    ),
    click.option("--config", type=FilePath(), help="TOML file with those values."),
    click.option(
        "--free",
        multiple=True,
        callback=different,
        metavar="NAME",
        help="A hyperparameter to solve for; without a group it speaks for all that are not fixed; "
        "repeatable; default: all weight_std that are not fixed.",
    ),
    click.option(
        "--steps",
        type=WholeNumber(min=1, max=1000),
        default=20,
        show_default=True,
        metavar="T",
        help="Over which the variance of J J^T is made least, where several values are free.",
    ),
    click.option(
        "--tied",
        is_flag=True,
        help="Shared weights, as in every trained network: gradients keep their norm over the "
        "horizon.  Without: fresh weights at every step, as in published theory.",
    ),
    click.option(
        "--horizon",
        type=WholeNumber(min=1, max=100_000),
        metavar="H",
        help="Steps over which gradients are to keep their norm, with --tied; default 100.",
    ),
    click.option("--weights", type=theory_weights_choice, default="orthogonal", show_default=True),
    seed_option,
    cell=True,
    point=False,
)
def critical_init_command(request: Request) -> None:
    """Find hyperparameters at which gradients keep their norm, and spread least.

    For gated cells the result stands beside the usual initialisations of common libraries, and with
    --tied beside what is critical for fresh weights.
    """
    from rmt_jacobian.mean_field.averages.one_site import is_single_site

    assert request.cell is not None
    if request.options.horizon and not request.options.tied:
        raise ParameterError("--horizon belongs to shared weights: add --tied, or leave it out")
    if request.options.tied or not is_single_site(request.cell):
        results = _of_any_cell(request)
    elif request.options.free:
        raise ParameterError(
            f"{request.cell.name} has the free parameters weight_std and input_std: leave --free "
            "out"
        )
    else:
        results = _of_one_preactivation(request)
    request.write({"fixed": dict(request.values), **results})


_NEEDED = ("preactivation_variance", "bias_mean", "input_variance")


def _of_one_preactivation(request: Request) -> dict[str, Any]:
    cell, values = request.cell, request.values
    assert cell is not None
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

    from rmt_jacobian.mean_field import critical_weights, stationary

    found = critical_weights(cell, **values)
    group = found.parameters.only
    achieved = stationary(cell, found.parameters, start_variance=found.state_variance)
    (variance,) = achieved.variances.values()
    results = {
        "weight_std": group.weight_std,
        "input_std": group.input_std,
        "bias_std": group.bias_std,
        "state_variance": found.state_variance,
        "preactivation_variance": variance,
        "chi1": achieved.growth_rate,
    }
    request.say(*(f"{name:>24}  {value:.10g}" for name, value in results.items()))
    return results


def _of_any_cell(request: Request) -> dict[str, Any]:
    from rmt_jacobian.initialization import critical_initialization

    asked = request.options
    assert request.cell is not None
    found = critical_initialization(
        request.cell,
        {"input_variance": 1.0, **request.values},
        weights=asked.weights,
        steps=asked.steps,
        free=asked.free,
        dynamics="tied" if asked.tied else "untied",
        horizon=asked.horizon,
        seed=asked.seed,
        progress=True,
    )
    request.note_what_is_idle(found.parameters)
    named = found.parameters.named()
    others = [f"{n} = {x:g}" for n, x in named.items() if n not in found.free and x != 0]
    request.say(
        *(f"{name:>24}  {named[name]:.10g}" for name in found.free),
        f"with {', '.join(others)}",
        "",
        f"{found.verdict}.",
    )
    _say_reports(request, found)
    _say_starts(request, found)
    report = _row(found.report)
    del report["steps"]  # as asked
    return {
        "parameters": named,
        "solved_for": list(found.free),
        **report,
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
        "dynamics": found.dynamics,
        **({} if found.fresh is None else {"critical_untied": _rows([found.fresh])[0]}),
    }


def _say_reports(request: Request, found: "CriticalPoint") -> None:
    """Print what was found beside the usual initialisations."""
    request.say("")
    tied = found.dynamics == "tied"
    rate = f"growth, {found.report.horizon:g} steps" if tied else "growth rate"
    columns = [rate, "m_1", "m_2/m_1^2 - 1", "timescale"]
    columns += ["growth in the end"] * tied
    header = "  ".join(f"{column:>18}" for column in columns)
    request.say(f"{'over ' + str(found.report.steps) + ' steps':>44}  {header}")
    fresh = () if found.fresh is None else (found.fresh,)
    reports = (found.report, *fresh, *found.rescaled, *found.usual)
    for each in reports:
        numbers = (
            with_error(each.growth_rate, each.growth_error),
            f"{each.mean:.4g}",
            with_error(each.relative_variance, each.variance_error),
            f"{each.timescale:.4g}",
            *[f"{each.late_growth_rate:.4g}"] * tied,
        )
        request.say(f"{each.name:>44}  {'  '.join(f'{number:>18}' for number in numbers)}")
    for each in reports:
        if each.remark:
            request.say(f"{each.name}: {each.remark}")


def _say_starts(request: Request, found: "CriticalPoint") -> None:
    """Print where the search began, and how far it came from there."""
    request.say("")
    width = max(len(each.name) for each in found.starts)
    title = "m_2/m_1^2 - 1 on the sites of the search, from"
    request.say(f"{title:>{max(width, len(title))}}  {'at the start':>14}  {'found':>14}")
    for each in found.starts:
        numbers = (f"{each.at_start:.4g}", f"{each.found:.4g}")
        if not each.critical:
            numbers = ("not critical", "")
        chosen = "  chosen" if each.name == found.start else ""
        row = "  ".join(f"{number:>14}" for number in numbers)
        request.say(f"{each.name:>{max(width, len(title))}}  {row}{chosen}".rstrip())


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
        **({} if math.isinf(report.horizon) else {"growth_steps": report.horizon}),
        "late_growth_rate": report.late_growth_rate,
    }
