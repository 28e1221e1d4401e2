"""``rmt-jacobian mean-field``."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import RealNumber, WholeNumber, seed_option
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import ConvergenceError, ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.mean_field import PairLaw, UntiedLaw

__all__ = ["known_digits", "mean_field_command"]

_STEPS = 20  # over which frozen biases have not yet set the growth
_SLOW = 0.01  # of the logarithm of a norm, a step


@command(
    "mean-field",
    click.option(
        "--input-correlation",
        type=RealNumber(min=-1, max=1),
        default=1.0,
        show_default=True,
        help="Correlation Sigma_12 of two input sequences.",
    ),
    click.option(
        "--steps",
        type=WholeNumber(min=1, max=100_000),
        help="T: also the growth of squared gradients a step over T steps, m_1(T)^(1/T).  By "
        "default 20 where frozen biases set another limit.",
    ),
    click.option(
        "--tied",
        is_flag=True,
        help="Of a network that keeps its weights: its variances, correlation time and growth.",
    ),
    click.option(
        "--tolerance",
        type=RealNumber(0, 1, min_open=True, max_open=True),
        help="Largest error of a correlation, and relative error of a variance or a growth rate: "
        "met, or refused.  By default 1e-3 is aimed at, 3e-3 of growth rates, and 1e-2 accepted.",
    ),
    seed_option,
    cell=True,
    table="the numbers and their errors",
)
def mean_field_command(request: Request) -> None:
    """Solve the mean field: variances, correlation c*, slopes and timescales.

    Numbers are printed as far as they are known; the half width of their 95 % interval follows.
    """
    from rmt_jacobian.mean_field import stationary

    asked, (cell, parameters) = request.options, request.point
    if asked.tied:
        _tied_mean_field(request)
        return
    law = stationary(cell, parameters, tolerance=asked.tolerance, seed=asked.seed)
    steps = asked.steps or (_STEPS if parameters.has_frozen_bias else None)
    growth, unknown = _growth(law, steps, wanted=asked.steps is not None)
    results, errors = _results(law, law.pair(asked.input_correlation), growth if steps else None)
    _say(request, results, errors)
    if results["chi1"] == math.inf:
        request.say(
            "The cell jumps: two networks that see almost the same part, and the slope at c = 1 is "
            "infinite. Gradients see no jumps: --steps T gives their growth."
        )
    if parameters.has_frozen_bias and results["chi1"] >= 1:
        request.say(
            "Slopes are those in the end, when the few sites whose frozen biases let them never "
            "forget dominate: growth_rate is that of the steps asked for."
        )
    request.say(unknown or _verdict(*growth, steps))
    request.write({**results, "errors": errors}, _table(results, errors))


def _tied_mean_field(request: Request) -> None:
    """Print the numbers of a network that keeps its weights."""
    from rmt_jacobian.mean_field import stationary

    asked, (cell, parameters) = request.options, request.point
    if asked.input_correlation != 1:
        raise ParameterError("two networks of shared weights are not solved for: leave out "
                             "--input-correlation, or --tied")  # fmt: skip
    law = stationary(
        cell,
        parameters,
        dynamics="tied",
        biases=asked.biases,
        tolerance=asked.tolerance,
        seed=asked.seed,
        progress=True,
    )
    rate, doubt = law.growth_rate, law.errors["growth_rate"]
    fresh = stationary(cell, parameters).same
    found: dict[str, tuple[Any, Any]] = {
        "preactivation_variance": (law.variances, law.errors["variances"]),
        "state_variance": (law.state_squares, law.errors["state_squares"]),
        "correlation_time": (law.correlation_time, law.errors["correlation_time"]),
        "growth_rate": (rate, doubt),
        "largest_lyapunov_exponent": (_half_log(rate), doubt / (2 * rate) if rate > 0 else 0.0),
        "chi1": (fresh.chi, fresh.errors["chi"]),
    }
    if asked.steps is not None:
        found["growth_over_steps"] = law.growth_over_with_error(asked.steps)
    results, errors = ({name: both[k] for name, both in found.items()} for k in range(2))
    _say(request, results, errors, _TIED_WORDS)
    rate, doubt = (rate, doubt) if asked.steps is None else found["growth_over_steps"]
    request.say(_verdict(rate, doubt, asked.steps, "with weights that are kept"))
    request.write({**results, "errors": errors}, _table(results, errors))


def _half_log(rate: float) -> float:
    return math.log(rate) / 2 if rate > 0 else -math.inf


def _say(
    request: Request, results: dict[str, Any], errors: dict[str, Any],
    words: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Print all numbers as far as they are known, with what they are."""
    request.describe()
    for name, key, value, error in _rows(results, errors):
        printed = known_time if "timescale" in name else known_digits
        request.say(f"{key:>40}  {printed(value, error):<26} {(words or _WORDS)[name]}")


def _table(results: dict[str, Any], errors: dict[str, Any]) -> dict[str, list[Any]]:
    """Return one row for every number."""
    rows = _rows(results, errors)
    return {"name": [key for _, key, _, _ in rows], "value": [row[2] for row in rows],
            "error": [row[3] for row in rows]}  # fmt: skip


def _growth(
    law: "UntiedLaw", steps: int | None, *, wanted: bool
) -> tuple[tuple[float, float], str]:
    """Return the growth of squared gradients over T steps, or in the end, with its error.

    Where nobody asked for T steps, what is not known of them is only said.
    """
    if steps is None:
        return (law.growth_rate, law.errors["growth_rate"]), ""
    try:
        return law.growth_over_with_error(steps), ""
    except ConvergenceError as error:
        if wanted:
            raise
        return (math.nan, math.nan), f"The growth over {steps} steps is not known: {error}"


def _verdict(
    rate: float, error: float, steps: int | None, whose: str = "with fresh weights at every step"
) -> str:
    """Say what becomes of gradients, in terms of their norm."""
    norm, doubt = math.sqrt(rate), error / (2 * math.sqrt(rate)) if rate > 0 else 0.0
    fate = "vanish" if rate + error < 1 else "explode" if rate - error > 1 else "keep their norm"
    slowly = " slowly" if 0 < abs(math.log(norm or 1.0)) < _SLOW and fate[-1] != "m" else ""
    over = "in the end" if steps is None else f"over {steps} step{'s' * (steps > 1)}"
    return (
        f"Gradients {fate}{slowly}: their norm changes by a factor of "
        f"{known_digits(norm, doubt)} a step, {over}, {whose}."
    )


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
    "chi1": "slope at c = 1, growth of squared gradients a step in the end",
    "growth_rate": "of squared gradients a step, over T steps",
    "timescale": "-1 / log |chi|, in steps",
    "variance_timescale": "xi_Q, of the state variance, in steps",
    "state_fourth_moment": "E[h^4]",
}


_TIED_WORDS = {
    **_WORDS,
    "correlation_time": "steps after which 1/e of what fluctuates is left",
    "growth_rate": "of squared gradients a step, in the end",
    "largest_lyapunov_exponent": "half its logarithm, a step",
    "chi1": "what fresh weights at every step would have",
    "growth_over_steps": "of squared gradients a step, over T steps",
}


def _results(
    law: "UntiedLaw", pair: "PairLaw", growth: tuple[float, float] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all numbers by name, and their errors; one number where there is one part of each."""
    found: dict[str, tuple[Any, Any]] = {
        "preactivation_variance": (law.variances, law.errors["variances"]),
        "state_variance": (law.state_squares, law.errors["state_squares"]),
        "source_variance": (law.source_squares, law.errors["source_squares"]),
        "correlation": (pair.correlations, pair.errors["correlations"]),
        "source_correlation": (pair.source_correlations, pair.errors["source_correlations"]),
        "chi": (pair.chi, pair.errors["chi"]),
        "chi1": (law.same.chi, law.same.errors["chi"]),
        "timescale": (pair.timescale, pair.errors["timescale"]),
    }
    if law.state.site_law is not None:
        found = {name: _only(values) for name, values in found.items()}
        del found["source_variance"]  # the state itself
        found["state_correlation"] = found.pop("source_correlation")
        found["variance_timescale"] = law.variance_timescale, law.errors["variance_timescale"]
        fourth, (variance, error) = law.state.site_law.state_moment(4), found["state_variance"]
        found["state_fourth_moment"] = fourth, 2 * error / (variance or 1.0) * fourth
    if growth is not None and not math.isnan(growth[0]):
        found["growth_rate"] = growth
    ordered = [name for name in _WORDS if name in found]
    return {name: found[name][0] for name in ordered}, {name: found[name][1] for name in ordered}


def _only(values: tuple[Any, Any]) -> tuple[Any, Any]:
    value, error = values
    if not isinstance(value, dict):
        return values
    ((name, number),) = value.items()
    return number, error[name]


def _rows(results: dict[str, Any], errors: dict[str, Any]) -> list[tuple[str, str, float, float]]:
    """Return the name of each number, its title, the number and its error."""
    return [
        (name, key, value, error)
        for name in results
        for (key, value), (_, error) in zip(
            _flat(name, results[name]), _flat(name, errors[name]), strict=True
        )
    ]


def _flat(name: str, value: Any) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [(f"{name} ({key})", number) for key, number in value.items()]
    return [(name, value)]
