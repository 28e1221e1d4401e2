"""Which random networks a network looks like, and whether its weights still look random."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.comparison import SpectrumComparison, compare
from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.pencils.ensembles import BiInvariant, ensemble

__all__ = ["FittedNetwork", "FittedWeights", "Likeness", "fitted"]

Likeness = Literal["gaussian", "orthogonal", "neither", "zero"]
_ORTHOGONAL = 1e-4  # relative deviation of singular values, of matrices in single precision
_BEYOND = 3.0  # times N^(-2/3), the width of the edge of a random matrix


@dataclass(frozen=True)
class FittedWeights:
    r"""One recurrent matrix W beside random ones of the same size.

    Attributes
    ----------
    name
        Its preactivation.
    weight_std
        :math:`\sigma_w`, the root mean square of its entries times :math:`\sqrt N`.
    largest
        Its largest singular value.
    edge
        Where those of independent entries end, :math:`2 \sigma_w`.
    outliers
        How many singular values lie clearly beyond it.
    likeness
        ``"gaussian"`` where the singular values are those of independent entries, whatever their
        law, ``"orthogonal"`` where they are all alike, else ``"neither"``; ``"zero"`` for no W.
    comparison
        The singular values with the quarter circle of that size.
    """

    name: str
    weight_std: float
    largest: float
    edge: float
    outliers: int
    likeness: Likeness
    comparison: SpectrumComparison | None

    @classmethod
    def of(cls, name: str, W: np.ndarray) -> "FittedWeights":
        """Return what the singular values of a matrix say."""
        values, N = np.linalg.svd(W, compute_uv=False), len(W)
        std = float(np.linalg.norm(values)) / math.sqrt(N)
        if std == 0:
            return cls(name, 0.0, 0.0, 0.0, 0, "zero", None)
        edge, largest = 2 * std, float(values[0])
        beyond = int(np.sum(values > edge * (1 + _BEYOND * N ** (-2 / 3))))
        found = compare(values, QuarterCircle(edge), label=f"W of {name}")
        alike: Likeness = "gaussian" if found.verdict == "agrees" and not beyond else "neither"
        if np.max(np.abs(values / std - 1)) < _ORTHOGONAL:
            alike = "orthogonal"
        return cls(name, std, largest, edge, beyond, alike, found)

    def __str__(self) -> str:
        """Say what it looks like."""
        words = {
            "gaussian": "like independent entries",
            "orthogonal": "orthogonal",
            "zero": "zero",
            "neither": f"not random: largest singular value {self.largest:.4g} where independent "
            f"entries end at {self.edge:.4g}"
            + (f", {self.outliers} beyond it" if self.outliers else ""),
        }
        return f"{self.name}: weight_std {self.weight_std:.4g}, {words[self.likeness]}"


@dataclass(frozen=True)
class FittedNetwork:
    """The random networks that a network looks like.

    Attributes
    ----------
    cell, parameters
        The cell, and the hyperparameters: root mean squares of the entries of W and V, mean and
        spread of the biases.
    recurrent
        What is known of every W.
    """

    cell: Cell
    parameters: Parameters
    recurrent: tuple[FittedWeights, ...]

    @property
    def looks_random(self) -> bool:
        """Whether every W has the singular values of a random one."""
        return all(each.likeness != "neither" for each in self.recurrent)

    @property
    def weights(self) -> dict[str, BiInvariant]:
        """The ensemble of every W: orthogonal where it is, else Gaussian."""
        return {
            each.name: ensemble(
                "orthogonal" if each.likeness == "orthogonal" else "gaussian", each.weight_std
            )
            for each in self.recurrent
        }

    def __str__(self) -> str:
        """Say what it looks like, a line for each W."""
        return "\n".join(map(str, self.recurrent))


def fitted(
    cell: Cell,
    recurrent: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray],
    bias: Mapping[str, np.ndarray],
    input_variance: float,
) -> FittedNetwork:
    r"""Return the hyperparameters of the random networks that arrays look like.

    .. math:: \sigma_w^2 = \tfrac{1}{N} \sum W_{ij}^2, \qquad
        \sigma_v^2 = \tfrac{1}{N} \sum V_{ij}^2

    Parameters
    ----------
    cell
        The cell.
    recurrent, inputs, bias
        W, V and b by the name of a preactivation.
    input_variance
        The mean square of the inputs.

    Examples
    --------
    >>> from rmt_jacobian.cells import vanilla
    >>> found = fitted(vanilla, {"candidate": 2 * np.eye(3)}, {}, {}, 0.0)
    >>> found.parameters["candidate"].weight_std, str(found)
    (2.0, 'candidate: weight_std 2, orthogonal')
    """
    found = tuple(FittedWeights.of(name, W) for name, W in recurrent.items())
    values: dict[str, float] = {
        f"{each.name}.{kind}": 0.0
        for each in cell.preactivations
        for kind, there in (("weight_std", each.reads_state), ("input_std", each.reads_input))
        if there
    }
    values |= {f"{each.name}.weight_std": each.weight_std for each in found}
    for name, V in inputs.items():
        values[f"{name}.input_std"] = float(np.linalg.norm(V)) / math.sqrt(len(V))
    for each in cell.preactivations:
        b = bias.get(each.name, np.zeros(1))
        values[f"{each.name}.bias_mean"] = float(np.mean(b))
        values[f"{each.name}.bias_std"] = float(np.std(b))
    constants = dict(_numbers(cell))
    parameters = Parameters.of(
        cell, {**values, **constants, "input_variance": input_variance}, bias_kind="frozen"
    )
    return FittedNetwork(cell, parameters, found)


def _numbers(cell: Cell) -> list[tuple[str, float]]:
    """Return the constants that were put into a cell."""
    return [(each.name, each.typical) for each in (cell.symbolic or cell).constants]
