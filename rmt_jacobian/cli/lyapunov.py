"""``rmt-jacobian lyapunov``: growth rates of long products, sampled and by theory."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.options import (
    WholeNumber,
    sampling_options,
    steps_option,
    weights_option,
)
from rmt_jacobian.cli.request import Request, command, cut
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.cells import Cell, Parameters
    from rmt_jacobian.lyapunov import LyapunovExponents, LyapunovLaw
    from rmt_jacobian.sampling import LyapunovSamples

__all__ = ["lyapunov_command"]

_SHOWN = 9  # rows of the table for the reader
_EXACT = 1e-12  # errors below it are rounding
_SINGULAR = 1e14  # from this spread on the lowest exponents are rounding noise


@command(
    "lyapunov",
    steps_option(1_000_000, default=1000),
    click.option(
        "--transient",
        type=WholeNumber(min=0, max=1_000_000),
        help="Steps before those that count; default: a tenth of them.",
    ),
    click.option(
        "--exponents",
        "most",
        type=WholeNumber(min=1),
        metavar="K",
        help="Only the K largest; default: all N of every state.",
    ),
    weights_option,
    sampling_options(samples=4, width=256, dtype=False),
    click.option(
        "--theory-only", "--no-sampling", is_flag=True, help="Do not sample; N sets the quantiles."
    ),
    cell=True,
    figure="Draw exponents and theory.",
    table="all exponents",
)
def lyapunov_command(request: Request) -> None:
    """Sample the Lyapunov exponents of products of Jacobians and compare with theory.

    Theory is Newman's law for cells without gates, and the wave of many steps for gated ones. A
    cell with several states has N exponents for each of them. With --tied it is that of networks
    that keep their weights, from a ring of steps, with the dimension of the attractor after Kaplan
    and Yorke and the rate at which it makes entropy.
    """
    asked, (cell, parameters) = request.options, request.point
    every = len(cell.states) * asked.width
    if asked.most is not None and asked.most > every:
        raise ParameterError(
            f"--exponents must be at most {len(cell.states)} times the width, {every}, "
            f"not {asked.most}"
        )

    import numpy as np

    quantiles = (np.arange(asked.most or every) + 0.5) / every
    law, theory = None, None
    if asked.tied:
        law, missing = _shared(request)
        largest = math.nan if law is None else law.largest
        theory = law and law.exponents_at(quantiles)
    else:
        largest = _largest(cell, parameters)
        theory, missing = _theory(request, quantiles)
    sampled = None if asked.theory_only else _sampled(request)
    isolated = None if asked.tied else _isolated(request)
    found = _Exponents(quantiles, theory, missing, largest, sampled, isolated, law)
    request.describe()
    request.say(*found.lines())
    request.draw(lambda: _figure(found, f"{cell.name}, {asked.weights} W"))
    request.write(found.content(), found.table())


def _shared(request: Request) -> "tuple[LyapunovLaw | None, str]":
    """Return the law of networks that keep their weights, or why there is none."""
    from rmt_jacobian.lyapunov import lyapunov_law
    from rmt_jacobian.mean_field import stationary

    asked, (cell, parameters) = request.options, request.point
    try:
        state = stationary(
            cell, parameters, dynamics="tied", biases=asked.biases, seed=asked.seed, progress=True
        )
    except ConvergenceError as error:  # biases that no such network has are refused
        return _missing(request, error)
    try:
        return lyapunov_law(state, weights=request.ensemble, seed=asked.seed, progress=True), ""
    except (HypothesisError, ConvergenceError) as error:
        return _missing(request, error)


def _missing(request: Request, error: Exception) -> tuple[None, str]:
    """Say why there is no theory, or refuse where nothing else is asked for."""
    if request.options.theory_only:
        raise error
    return None, str(error)


def _theory(request: Request, quantiles: "np.ndarray") -> "tuple[LyapunovExponents | None, str]":
    """Return the exponents in theory, or why there is none."""
    from rmt_jacobian.lyapunov import lyapunov_exponents

    try:
        found = lyapunov_exponents(*request.point, weights=request.ensemble, quantiles=quantiles)
    except (HypothesisError, ConvergenceError) as error:
        return _missing(request, error)
    return found, ""


def _isolated(request: Request) -> float | None:
    """Return the exponent of untied networks that leaves the law, if it is known and among them."""
    from rmt_jacobian.mean_field import isolated_exponent, steps_are_free

    asked, (cell, parameters) = request.options, request.point
    if not steps_are_free(cell) or asked.most is not None:
        return None
    if not parameters.only.weight_std > 0:
        return None
    return isolated_exponent(cell, parameters, request.ensemble)


def _sampled(request: Request) -> "LyapunovSamples":
    from rmt_jacobian.sampling import sample_lyapunov

    asked = request.options
    return sample_lyapunov(
        *request.point, exponents=asked.most, transient=asked.transient, **request.sampling
    )


def _largest(cell: "Cell", parameters: "Parameters") -> float:
    """Return half the logarithm of the growth rate of a small change."""
    from rmt_jacobian.lyapunov import largest_exponent
    from rmt_jacobian.mean_field import stationary

    return largest_exponent(stationary(cell, parameters).state)


@dataclass(frozen=True)
class _Exponents:
    """Exponents by theory and sampled; None for what there is not."""

    quantiles: "np.ndarray"
    theory: "LyapunovExponents | None"
    missing: str
    largest: float
    sampled: "LyapunovSamples | None"
    isolated: float | None = None
    law: "LyapunovLaw | None" = None  # of networks that keep their weights

    @property
    def mean(self) -> "np.ndarray | None":
        return None if self.sampled is None else self.sampled.mean

    @property
    def standard_error(self) -> "np.ndarray | None":
        if self.sampled is None or self.sampled.exponents.shape[0] == 1:
            return None
        return self.sampled.standard_error

    def lines(self) -> list[str]:
        """Return a few exponents, from the largest to the smallest, and what to know of them."""
        columns = {
            "quantile": self.quantiles,
            "sampled": self.mean,
            "std. error": self.standard_error,
            "theory": self.theory and self.theory.exponents,
        }
        shown = {name: values for name, values in columns.items() if values is not None}
        last = self.quantiles.size - 1
        rows = sorted({round(k * last / (_SHOWN - 1)) for k in range(_SHOWN)})
        origin = "(1/2) log chi_1" if self.law is None else "half the log of the growth of m_1"
        largest = f"largest exponent by theory, {origin}: {self.largest:.6g}"
        return [
            *([largest] if math.isfinite(self.largest) else []),
            *self.chaos(),
            "".join(f"{name:>12}" for name in shown),
            *("".join(_entry(values[i]) for values in shown.values()) for i in rows),
            *cut(len(rows), last + 1, "exponents"),
            *self.notes(),
        ]

    def chaos(self) -> list[str]:
        """Return what the attractor is like."""
        if self.law is None:
            return []
        return [
            f"dimension of the attractor (Kaplan-Yorke) / N: {self.per_neuron[0]:.4g}",
            f"entropy rate / N: {self.per_neuron[1]:.4g} nats a step",
        ]

    @property
    def per_neuron(self) -> tuple[float, float]:
        """D / N and h / N."""
        assert self.law is not None
        states = self.law.states
        return states * self.law.dimension(), states * self.law.entropy_rate()

    def notes(self) -> list[str]:
        """Return what keeps theory and samples apart."""
        import numpy as np

        notes = [f"no theory of all exponents: {self.missing}"] if self.missing else []
        if self.theory is not None and self.theory.missing:
            lost = int(np.isnan(self.theory.exponents).sum())
            notes.append(f"no theory of {lost} of the exponents: {self.theory.missing}")
        if self.theory is not None and (error := _largest_error(self.theory)) > _EXACT:
            notes.append(f"theory is on drawn sites: standard error up to {error:.1g}")
        if self.theory is not None and np.isneginf(self.theory.exponents).any():
            notes.append("J has not full rank: the lowest exponents are minus infinity")
        if self.isolated is not None:
            notes.append(
                f"the lowest exponent lies apart, at {self.isolated:.5f}: orthogonal W keep the "
                "direction of the state"
            )
        if self.sampled is not None and self.sampled.spread > _SINGULAR:
            notes.append("some steps are singular to rounding: the lowest exponents are noise")
        return notes

    def table(self) -> dict[str, list[float | None]]:
        """Return the columns that there are, one row for each exponent."""
        names = ("quantile", "exponents", "standard_error", "theory", "theory_error")
        return {name: column for name in names if (column := self.content()[name]) is not None}

    def content(self) -> dict[str, Any]:
        """Return the exponents as plain data."""
        found = self.sampled
        sampling = found and {
            "steps": found.steps,
            "transient": found.transient,
            "samples": found.exponents.shape[0],
            "tied": found.tied,
            "spread": found.spread,
        }
        return {
            "sampling": sampling,
            "quantile": self.quantiles.tolist(),
            "exponents": _listed(self.mean),
            "standard_error": _listed(self.standard_error),
            "theory": _listed(self.theory and self.theory.exponents),
            "theory_error": _listed(self.theory and self.theory.errors),
            "largest_theory": self.largest,
            "isolated_theory": self.isolated,
            **self._of_shared_weights(),
        }

    def _of_shared_weights(self) -> dict[str, Any]:
        if self.law is None:
            return {}
        exponents = self.law.exponents[::-1]
        return {
            "largest": self.largest,
            "kaplan_yorke_dimension": self.per_neuron[0],
            "entropy_rate": self.per_neuron[1],
            "cdf": [list(pair) for pair in zip(exponents.tolist(),
                                               self.law.cdf(exponents).tolist(), strict=True)],
        }  # fmt: skip


def _listed(values: "np.ndarray | None") -> list[float | None] | None:
    """Return plain numbers, None for nan."""
    return None if values is None else [None if v != v else v for v in values.tolist()]


def _entry(value: float) -> str:
    """Return a number of the table for the reader, a dash where there is none."""
    return f"{'-':>12}" if value != value else f"{value:>12.5f}"


def _largest_error(theory: "LyapunovExponents") -> float:
    known = theory.exponents == theory.exponents
    return float(theory.errors[known].max())


def _figure(found: _Exponents, title: str) -> Any:
    from rmt_jacobian.plotting import lyapunov_figure

    sampled = found.sampled
    if sampled is not None:
        title += (
            f"{', tied' * sampled.tied}, T = {sampled.steps}, N = {sampled.width}, "
            f"{sampled.exponents.shape[0]} networks"
        )
    return lyapunov_figure(
        found.quantiles,
        title,
        sampled=found.mean,
        standard_error=found.standard_error,
        theory=found.theory and found.theory.exponents,
        largest_theory=found.largest if math.isfinite(found.largest) else None,
    )
