"""Initialisations in place, per gate, of layers of Keras."""

from typing import Any

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Parameters
from rmt_jacobian.keras.initializers import fresh_seed
from rmt_jacobian.keras.layers import layer_of
from rmt_jacobian.networks.drawn import NumpyDraws
from rmt_jacobian.networks.initialized import STEPS, InitializedModule, Scheme, initialize_layers

__all__ = ["initialize_"]


@named_arguments
def initialize_(
    layer: Any,
    scheme: Scheme | Parameters = "critical",
    *,
    weights: str = "orthogonal",
    input_variance: float = 1.0,
    steps: int = STEPS,
    seed: int | None = None,
) -> InitializedModule:
    r"""Initialise a built layer of Keras in place, and say what that does to gradients.

    Parameters
    ----------
    layer
        As in :func:`network`; of any precision, on any backend.
    scheme, weights, input_variance, steps
        As in :func:`rmt_jacobian.torch.initialize_`.
    seed
        What numbers are drawn from; by default another one each time, which
        ``keras.utils.set_random_seed`` decides about.

    Notes
    -----
    Keras draws one orthogonal matrix of the stacked shape (N, K N); here every gate has its own. A
    layer above another reads states whose mean square is not that of the inputs: give it as
    ``input_variance``.

    Raises
    ------
    ParameterError
        If the layer or the scheme is of another kind, or no critical point is kept for it.

    Examples
    --------
    >>> import keras
    >>> layer = keras.layers.GRU(64)
    >>> layer.build((None, None, 8))
    >>> report = initialize_(layer, seed=0)
    >>> bool(report.layers[0].before < 0.6), bool(abs(report.growth_rate - 1) < 0.05)
    (True, True)
    """
    place = layer_of(layer)
    draw = NumpyDraws(np.random.default_rng(fresh_seed(seed)))
    report, _ = initialize_layers(
        [place], scheme, weights=weights, input_variance=input_variance, steps=steps, draw=draw
    )
    return report
