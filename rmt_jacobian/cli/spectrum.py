"""``rmt-jacobian spectrum``: singular values of sampled products of Jacobians."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    OUTPUT,
    said_of,
    sampling_options,
    steps_option,
    weights_option,
)
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.files import check_writable, write_whole

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.cells import Cell, Parameters
    from rmt_jacobian.lyapunov import LyapunovExponents
    from rmt_jacobian.sampling import LogSpectra

__all__ = ["spectrum_command"]

_QUANTILES = 400  # at which the law of a figure is solved


@command(
    "spectrum",
    steps_option(100_000),
    weights_option,
    sampling_options(samples=16),
    click.option(
        "--out",
        type=OUTPUT,
        metavar="FILE.npz",
        help="Where the singular values go: array singular_values, or log_singular_values and "
        "their errors, shape (samples, N).",
    ),
    click.option(
        "--log",
        is_flag=True,
        help="Logarithms of all singular values, accurate however far they are apart: for many "
        "steps.",
    ),
    cell=True,
    figure="Also draw a histogram.",
    table="all values, with their errors if they are logarithms,",
)
def spectrum_command(request: Request) -> None:
    """Sample the singular values of T-step products of Jacobians."""
    asked, (cell, parameters) = request.options, request.point
    _check_output(asked.out)
    options = request.sampling
    if asked.log and options.pop("dtype") != "float64":
        raise ParameterError("--log works in double precision: leave out --dtype")

    import numpy as np

    found = (_LogValues if asked.log else _Values).sampled(cell, parameters, **options)
    metadata = np.array(json.dumps(request.settings))
    if asked.out is not None:
        write_whole(asked.out, lambda file: np.savez(file, **found.arrays(), metadata=metadata))
    request.describe()
    results = found.results()
    request.say(*(f"{_TITLES[name]:<{found.indent}}{x:.6g}" for name, x in results.items()))
    if asked.out is not None:
        request.say(f"wrote {asked.out}")
    request.draw(lambda: found.figure(*_title_and_theory(request)))
    request.write(results, _table(found.arrays()))


def _check_output(path: Path | None) -> None:
    if path is None:
        return
    if path.suffix != ".npz":
        raise ParameterError(f"--out must end in .npz, not {path.name!r}")
    with said_of("--out"):
        check_writable(path)


def _title_and_theory(request: Request) -> "tuple[str, LyapunovExponents | None]":
    asked, (cell, parameters) = request.options, request.point
    title = f"{cell.name}, {asked.weights} W{', tied' * asked.tied}, T = {asked.steps}"
    if not asked.log or asked.tied:
        return title, None
    return title, _limiting_exponents(cell, parameters, request.ensemble)


def _table(arrays: dict[str, "np.ndarray"]) -> dict[str, Any]:
    """Return one row for every value."""
    import numpy as np

    first = next(iter(arrays.values()))
    network = np.repeat(np.arange(first.shape[0]), first.shape[1])
    return {"network": network.tolist(), **{k: v.ravel().tolist() for k, v in arrays.items()}}


_TITLES = {
    "largest": "largest singular value",
    "median": "median singular value",
    "mean": "mean of J J^T",
    "second_moment": "second moment of J J^T",
    "largest_log": "largest log s",
    "median_log": "median log s",
    "smallest_log": "smallest log s that is resolved",
    "zeros": "exact zeros",
    "unresolved": "not resolved",
    "largest_error": "largest estimated error of log s",
}


@dataclass(frozen=True)
class _Values:
    """Singular values as they stand."""

    values: "np.ndarray"
    indent = 24

    @classmethod
    def sampled(cls, *arguments: Any, **options: Any) -> "_Values":
        from rmt_jacobian.sampling import sample_singular_values

        return cls(sample_singular_values(*arguments, **options))

    def arrays(self) -> dict[str, Any]:
        return {"singular_values": self.values}

    def figure(self, title: str, _: Any) -> Any:
        from rmt_jacobian.plotting import spectrum_figure

        return spectrum_figure(self.values, title)

    def results(self) -> dict[str, float]:
        import numpy as np

        squares = self.values**2
        return {
            "largest": float(self.values.max()),
            "median": float(np.median(self.values)),
            "mean": float(squares.mean()),
            "second_moment": float((squares**2).mean()),
        }


@dataclass(frozen=True)
class _LogValues:
    """Logarithms of singular values, with their errors."""

    found: "LogSpectra"
    indent = 34

    @classmethod
    def sampled(cls, *arguments: Any, **options: Any) -> "_LogValues":
        from rmt_jacobian.sampling import sample_log_singular_values

        return cls(sample_log_singular_values(*arguments, **options))

    def arrays(self) -> dict[str, Any]:
        return {"log_singular_values": self.found.values, "errors": self.found.errors}

    def figure(self, title: str, theory: "LyapunovExponents | None") -> Any:
        from rmt_jacobian.plotting import log_spectrum_figure

        if theory is None:
            return log_spectrum_figure(self.found, title)
        return log_spectrum_figure(
            self.found, title, quantiles=theory.quantiles, exponents=theory.exponents
        )

    def results(self) -> dict[str, float]:
        """Return a few of the values; those that are not known are left out."""
        import numpy as np

        resolved = self.found.resolved
        zeros = np.isneginf(self.found.values)
        known = self.found.values[resolved & ~zeros]
        results: dict[str, float] = {}
        if known.size:
            results["largest_log"] = float(known.max())
            results["smallest_log"] = float(known.min())
            results["largest_error"] = float(self.found.errors[resolved].max())
        median = float(np.median(self.found.values))
        if resolved.all() and np.isfinite(median):
            results["median_log"] = median
        return {**results, "zeros": int(zeros.sum()), "unresolved": int((~resolved).sum())}


def _limiting_exponents(
    cell: "Cell", parameters: "Parameters", weights: Any
) -> "LyapunovExponents | None":
    """Return the law that long products approach, if there is one in theory."""
    import numpy as np

    from rmt_jacobian.lyapunov import lyapunov_exponents

    quantiles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    try:
        return lyapunov_exponents(cell, parameters, weights=weights, quantiles=quantiles)
    except (HypothesisError, ConvergenceError) as error:
        click.echo(f"the figure has no law: {error}", err=True)
        return None
