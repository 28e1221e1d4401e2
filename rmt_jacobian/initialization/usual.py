r"""What common libraries do when nothing else is asked for, as hyperparameters at large N.

Input and state are taken to have the same width N.
"""

import math
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.pencils.ensembles import BiInvariant, TransformWeights

__all__ = ["UsualInitialization", "corner_weights", "usual_initializations"]

_UNIFORM = 1 / math.sqrt(3)  # of U(-1/sqrt N, 1/sqrt N)


@dataclass(frozen=True)
class UsualInitialization:
    """An initialisation by name.

    Attributes
    ----------
    name
        Whose it is.
    parameters
        Its hyperparameters at large N.
    weights
        The ensemble of every W.
    remark
        What the large-N description leaves out; empty if nothing.
    """

    name: str
    parameters: Parameters
    weights: str | BiInvariant
    remark: str = ""


def corner_weights(share: float) -> TransformWeights:
    r"""Return the law of an N x N corner of a Haar orthogonal matrix of width N / c.

    .. math:: S_{W W^T}(z) = \frac{1 + c z}{c (1 + z)}

    Parameters
    ----------
    share
        c in (0, 1]; 1 is the whole matrix, and small c Gaussian entries of variance c / N.

    Notes
    -----
    The corner is P O P' with projections of trace c, whose S-transform is (1 + z) / (c + z);
    compressed to the corner, S(z) becomes S(c z) up to the factors of the smaller trace.

    Examples
    --------
    >>> corner = corner_weights(0.25)
    >>> round(corner.variance, 12), round(corner.s_1, 12)
    (0.25, -0.75)
    """
    return TransformWeights(
        lambda z: (1 + share * z) / (share * (1 + z)),
        lambda z: -(1 - share) / (share * (1 + z) ** 2),
    )


def usual_initializations(
    cell: Cell, input_variance: float, steps: int
) -> list[UsualInitialization]:
    """Return the initialisations that gated cells usually get; none for other cells.

    Parameters
    ----------
    cell
        A GRU or an LSTM, in any of their variants.
    input_variance
        R.
    steps
        The longest dependence, for the chrono initialisation.

    References
    ----------
    :cite:t:`Jozefowicz2015` (unit forget bias), :cite:t:`TallecOllivier2018` (chrono).

    Examples
    --------
    >>> from rmt_jacobian.cells import lstm
    >>> [each.name for each in usual_initializations(lstm, 1.0, 100)]
    ['PyTorch uniform', 'Keras orthogonal, unit forget bias', 'chrono']
    """
    family = cell.name.split(":")[0]
    names = {each.name for each in cell.preactivations}
    if family.startswith("lstm") and {"forget", "input"} <= names:
        return _of_lstm(cell, input_variance, steps)
    if family.startswith("gru") and "update" in names:
        return _of_gru(cell, input_variance, steps)
    return []


def _of_lstm(cell: Cell, R: float, steps: int) -> list[UsualInitialization]:
    uniform = {"weight_std": _UNIFORM, "input_std": _UNIFORM, "input_variance": R}
    # Glorot's rule on a kernel of shape (N, 4 N), and orthogonal rows of the same shape.
    keras = {
        "weight_std": 0.5,
        "input_std": math.sqrt(2 / 5),
        "input_variance": R,
        "forget.bias_mean": 1.0,
    }
    mean, spread = _log_uniform(steps)
    chrono = {
        **uniform,
        "forget.bias_mean": mean,
        "forget.bias_std": spread,
        "input.bias_mean": -mean,
        "input.bias_std": spread,
    }
    return [
        UsualInitialization("PyTorch uniform", Parameters.of(cell, uniform), "gaussian"),
        UsualInitialization(
            "Keras orthogonal, unit forget bias",
            Parameters.of(cell, keras),
            corner_weights(0.25),
            "the four corners of one orthogonal matrix are taken to be independent",
        ),
        UsualInitialization(
            "chrono",
            Parameters.of(cell, chrono),
            "gaussian",
            "biases are Gaussian of the mean and spread of log U(1, T - 1), and independent",
        ),
    ]


def _of_gru(cell: Cell, R: float, steps: int) -> list[UsualInitialization]:
    uniform = {"weight_std": _UNIFORM, "input_std": _UNIFORM, "input_variance": R}
    keras = {"weight_std": 1 / math.sqrt(3), "input_std": math.sqrt(2 / 4), "input_variance": R}
    mean, spread = _log_uniform(steps)
    chrono = {**uniform, "update.bias_mean": mean, "update.bias_std": spread}
    return [
        UsualInitialization("PyTorch uniform", Parameters.of(cell, uniform), "gaussian"),
        UsualInitialization(
            "Keras orthogonal",
            Parameters.of(cell, keras),
            corner_weights(1 / 3),
            "the three corners of one orthogonal matrix are taken to be independent",
        ),
        UsualInitialization(
            "chrono",
            Parameters.of(cell, chrono),
            "gaussian",
            "biases are Gaussian of the mean and spread of log U(1, T - 1)",
        ),
    ]


def _log_uniform(steps: int) -> tuple[float, float]:
    """Return mean and standard deviation of log U(1, T - 1)."""
    top = max(2.0, steps - 1.0)
    nodes, weights = np.polynomial.legendre.leggauss(64)
    values = np.log(1 + (top - 1) * (nodes + 1) / 2)
    mean = float(weights @ values) / 2
    return mean, math.sqrt(max(0.0, float(weights @ values**2) / 2 - mean**2))
