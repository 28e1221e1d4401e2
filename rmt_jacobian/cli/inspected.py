"""What ``rmt-jacobian inspect`` says of a layer: its gates, its gradients, and theory."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError

if TYPE_CHECKING:
    from rmt_jacobian.networks import (
        BesideTheory,
        FittedNetwork,
        RecurrentLayer,
        Trajectory,
    )
    from rmt_jacobian.sampling import LogSingularValues

__all__ = ["Measured", "Theory", "fit_lines", "layer_content"]

_THEORY_STEPS = 10
_SITES = 256  # of the law: fluctuations of one network of a few hundred units are larger
_KEPT = math.log(10)  # by less than this factor a gradient keeps its size

_COLUMNS = ("weight_std", "input_std", "bias_mean", "bias_std", "largest", "edge", "beyond")


def _gates(fit: "FittedNetwork") -> dict[str, dict[str, Any]]:
    """Return what is known of every preactivation, None of what it has not."""
    recurrent = {each.name: each for each in fit.recurrent}
    given = {each.name: each for each in fit.cell.preactivations}
    found = {}
    for name, group in fit.parameters.groups:
        W = recurrent.get(name)
        found[name] = {
            "weight_std": W and W.weight_std,
            "input_std": group.input_std if given[name].reads_input else None,
            "bias_mean": group.bias_mean,
            "bias_std": group.bias_std,
            "largest": W and W.largest,
            "edge": W and W.edge,
            "beyond": W and W.outliers,
            "likeness": W and W.likeness,
        }
    return found


_LIKE = {
    "gaussian": "like independent entries",
    "orthogonal": "orthogonal",
    "neither": "not random",
    "zero": "zero",
    None: "",
}


def fit_lines(name: str, fit: "FittedNetwork") -> list[str]:
    """Return a table of the gates of a layer, beside random networks."""
    return [
        f"{name}, beside random networks:",
        "".join([f"{'':<16}", *(f"{column:>11}" for column in _COLUMNS)]),
        *(
            "".join([f"{gate:<16}", *(_entry(row[column]) for column in _COLUMNS)])
            + f"  {_LIKE[row['likeness']]}"
            for gate, row in _gates(fit).items()
        ),
        "(largest singular value of W; edge: 2 weight_std, where those of independent entries end)",
    ]


def _entry(value: float | None) -> str:
    return f"{'-' if value is None else format(value, '.4g'):>11}"


def layer_content(layer: "RecurrentLayer", fit: "FittedNetwork") -> dict[str, Any]:
    """Return what is known of a layer as plain data."""
    network = layer.network
    return {
        "library": layer.library,
        "cell": network.cell.name,
        "units": network.width,
        "inputs": network.input_size,
        "backwards": layer.backwards,
        "arrays": list(layer.arrays),
        "looks_random": fit.looks_random,
        "gates": _gates(fit),
    }


@dataclass(frozen=True, eq=False)
class Measured:
    """What a layer does to gradients over the last steps."""

    logs: "LogSingularValues"
    steps: int
    growth: float
    exponent: float

    @classmethod
    def of(cls, path: "Trajectory", steps: int) -> "Measured":
        """Measure the last steps; directions turn in those before."""
        before = path.steps - steps
        (exponent,) = path.lyapunov_exponents(1, transient=before or None)
        logs = path.log_singular_values_with_errors(steps, progress=True)
        return cls(logs, steps, path.growth_rate(steps), float(exponent))

    @property
    def log_norm(self) -> float:
        """The logarithm of the factor by which gradients grow, of their root mean square."""
        return self.steps * math.log(self.growth) / 2 if self.growth > 0 else -math.inf

    @property
    def fate(self) -> str:
        """What becomes of gradients."""
        if self.log_norm < -_KEPT:
            return "vanish"
        return "explode" if self.log_norm > _KEPT else "keep their size"

    @property
    def kept(self) -> int:
        """How many directions keep a tenth of their length, or more."""
        return int((self.logs.values > -_KEPT).sum())

    def lines(self) -> list[str]:
        """Say what was measured."""
        values = self.logs.values
        rows = (
            ("log singular value, largest", values[0]),
            ("median", values[[(len(values) - 1) // 2, len(values) // 2]].mean()),
            ("smallest", values[-1]),
            ("squared gradients, growth a step", self.growth),
            ("largest Lyapunov exponent", self.exponent),
        )
        return [
            *(f"{name:>34}  {float(value):.6g}" for name, value in rows),
            f"Gradients {self.fate}: over {self.steps} steps their root mean square norm changes "
            f"by a factor of {_power(self.log_norm)}; {self.kept} of {len(values)} directions keep "
            "a tenth of their length or more.",
        ]

    def content(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return {
            "steps": self.steps,
            "log_singular_values": self.logs.values.tolist(),
            "growth_rate": self.growth,
            "largest_lyapunov_exponent": self.exponent,
            "fate": self.fate,
            "kept": self.kept,
        }


def _power(logarithm: float) -> str:
    """Print exp(x), however small or large.

    Examples
    --------
    >>> _power(0.0), _power(-3000.0), _power(-math.inf)
    ('1', '1e-1303', '0')
    """
    if abs(logarithm) < 600 or math.isinf(logarithm):
        return f"{math.exp(logarithm):.3g}"
    return f"1e{logarithm / math.log(10):.0f}"


@dataclass(frozen=True, eq=False)
class Theory:
    """What random networks of the same hyperparameters do, or why that is not known."""

    growth: tuple[float, float] | None
    beside: "BesideTheory | None"
    missing: str

    @classmethod
    def of(
        cls,
        fit: "FittedNetwork",
        path: "Trajectory",
        steps: int | None,
        seed: int,
        say: Callable[[str], None],
    ) -> "Theory":
        """Solve for the growth, say it, and solve for the law of so many steps, which takes long.

        Parameters
        ----------
        fit
            The random networks.
        path
            What is compared with their law.
        steps
            Of the law, 0 for none.
        seed
            What sites are drawn from.
        say
            Called with every line.
        """
        from rmt_jacobian.cli.mean_field import known_digits
        from rmt_jacobian.mean_field import stationary

        growth = beside = None
        try:
            state = stationary(fit.cell, fit.parameters, dynamics="tied", seed=seed, progress=True)
            growth = (state.growth_rate, state.errors["growth_rate"])
            say(f"{'growth of such random networks':>34}  {known_digits(*growth)}")
            steps = min(_THEORY_STEPS if steps is None else steps, path.steps)
            if steps:
                beside = path.against_theory(
                    steps, state=state, sites=_SITES, seed=seed, progress=True
                )
        except (ConvergenceError, HypothesisError, ParameterError) as error:
            say(f"Theory of shared weights is refused here: {error}")
            return cls(growth, None, str(error))
        if beside is not None:
            say(f"Theory: {beside.verdict}.")
        return cls(growth, beside, "")

    def content(self) -> dict[str, Any]:
        """Return the same as plain data."""
        found: dict[str, Any] = {"growth_rate": None, "error": None, "refused": self.missing}
        if self.growth is not None:
            found |= dict(zip(("growth_rate", "error"), self.growth, strict=True))
        if self.beside is not None:
            compared = self.beside.comparison
            found |= {
                "steps": self.beside.steps,
                "ks": compared.ks,
                "ks_null": compared.ks_null,
                "verdict": compared.verdict,
            }
        return found
