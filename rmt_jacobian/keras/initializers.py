"""Initialisers that Keras calls when it builds a layer, per gate."""

import random
from functools import cache
from typing import Any

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Cell, Parameters, cell_named, gru, gru_reset_after, lstm
from rmt_jacobian.counts import check_seed
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.keras.layers import framework
from rmt_jacobian.networks.drawn import NumpyDraws, Recipe
from rmt_jacobian.networks.initialized import STEPS, Scheme, check_scheme, recipe_of
from rmt_jacobian.networks.stacked import KERAS_ORDER, gate_order

__all__ = ["fresh_seed", "initializers"]

_RECURRENT, _KERNEL, _BIAS = "recurrent", "kernel", "bias"
_CELLS = ("vanilla", "vanilla:relu", "gru", "gru-reset-after", "lstm")


@named_arguments
def initializers(
    cell: Cell | str,
    scheme: Scheme | Parameters = "critical",
    *,
    weights: str = "orthogonal",
    input_variance: float = 1.0,
    steps: int = STEPS,
    seed: int | None = None,
) -> dict[str, Any]:
    r"""Return what a layer of Keras is to be made with, so that it is initialised per gate.

    Parameters
    ----------
    cell
        ``"gru-reset-after"``, the GRU of Keras as it is by default, ``"gru"``, the one with
        ``reset_after=False``, ``"lstm"``, ``"vanilla"`` or ``"vanilla:relu"``.
    scheme, weights, input_variance, steps
        As in :func:`rmt_jacobian.torch.initialize_`.
    seed
        What numbers are drawn from; by default another one for each layer, which
        ``keras.utils.set_random_seed`` decides about.

    Returns
    -------
    dict
        Initialisers for ``kernel_initializer``, ``recurrent_initializer`` and
        ``bias_initializer``, and what makes the layer this cell: ``reset_after`` of a GRU,
        ``activation`` of a SimpleRNN, and ``unit_forget_bias=False`` of an LSTM, whose biases all
        come from here. The sizes are those of the layer.

    Notes
    -----
    A saved model that has them is loaded where this function was called once: Keras knows the
    class from then on.

    Raises
    ------
    ParameterError
        If Keras is not installed, Keras has no such cell, or the scheme does not fit.

    Examples
    --------
    >>> import keras
    >>> from rmt_jacobian.keras import network
    >>> layer = keras.layers.GRU(64, **initializers("gru-reset-after", seed=0))
    >>> layer.build((None, None, 8))
    >>> W = network(layer).recurrent["reset"]
    >>> bool(np.allclose(W.T @ W, W[0] @ W[0] * np.eye(64), atol=1e-5))
    True
    """
    cell = cell_named(cell)
    check_scheme(scheme, weights, input_variance, steps)
    if cell.name not in _CELLS:
        raise ParameterError(f"Keras has no {cell.name}: use {', '.join(_CELLS)}")
    cell = cell_named(cell.name)
    if seed is not None:
        check_seed(seed, whole=True)
    made = _initializer_class()
    recipe, _ = recipe_of(
        cell, gate_order(cell, KERAS_ORDER), scheme, weights, input_variance, steps
    )
    if recipe.usual == "chrono":
        recipe.biases(NumpyDraws(np.random.default_rng(0)), 1)  # refuses cells without gates
    point = None if recipe.parameters is None else recipe.parameters.named()
    options = {
        "cell": cell.name, "parameters": point, "usual": recipe.usual, "weights": weights,
        "steps": steps, "seed": seed,
    }  # fmt: skip
    named = {f"{role}_initializer": made(role, **options) for role in (_KERNEL, _RECURRENT, _BIAS)}
    return {**named, **_OPTIONS.get(cell.name, {"activation": cell.name.partition(":")[2]})}


_OPTIONS: dict[str, dict[str, Any]] = {
    "vanilla": {"activation": "tanh"},
    gru.name: {"reset_after": False},
    gru_reset_after.name: {"reset_after": True},
    lstm.name: {"unit_forget_bias": False},
}


def fresh_seed(seed: int | None) -> int:
    """Return a seed, or one that ``keras.utils.set_random_seed`` decides about, as Keras does.

    Examples
    --------
    >>> fresh_seed(3)
    3
    """
    if seed is None:
        return random.randint(1, int(1e9))
    check_seed(seed, whole=True)
    return seed


@cache
def _initializer_class() -> Any:
    """Return the class of initialisers, which exists where Keras does."""
    keras = framework()

    class GateInitializer(keras.initializers.Initializer):
        """Draws one of the arrays of a layer, every gate by itself."""

        def __init__(
            self,
            role: str,
            cell: str,
            parameters: dict[str, float] | None,
            usual: str,
            weights: str,
            steps: int,
            seed: int | None = None,
        ) -> None:
            own = cell_named(cell)
            point = None if parameters is None else Parameters.of(own, parameters)
            self.role, self.seed = role, fresh_seed(seed)
            self.recipe = Recipe(own, gate_order(own, KERAS_ORDER), point, usual, weights, steps)
            # A copy of a layer that was given no seed is another layer.
            self.config = {
                "role": role, "cell": cell, "parameters": parameters, "usual": usual,
                "weights": weights, "steps": steps, "seed": seed,
            }  # fmt: skip

        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            """Return an array for a layer of this shape."""
            array = _array(self.recipe, self.role, self.seed, tuple(int(n) for n in shape))
            return keras.ops.convert_to_tensor(array, dtype=dtype or keras.config.floatx())

        def get_config(self) -> dict[str, Any]:
            """Return what it is made with."""
            return dict(self.config)

    return keras.saving.register_keras_serializable(package="rmt_jacobian")(GateInitializer)


def _array(recipe: Recipe, role: str, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return the kernel, the recurrent kernel or the bias, gates along the columns."""
    K, both = len(recipe.names), recipe.cell is gru_reset_after
    N = shape[-1] // K
    wanted = {
        _KERNEL: (shape[0], K * N),
        _RECURRENT: (N, K * N),
        _BIAS: (2, K * N) if both else (K * N,),
    }[role]
    if shape != wanted:
        raise ParameterError(
            f"the {role} of a {recipe.cell.name} cannot have the shape {shape}: splat all that "
            "rj.keras.initializers returns into the layer"
        )
    roles = (_KERNEL, _RECURRENT, _BIAS)
    draw = NumpyDraws(np.random.default_rng([seed, roles.index(role)]))
    if role == _KERNEL:
        return recipe.entering(draw, N, shape[0]).T
    if role == _RECURRENT:
        return recipe.recurrent(draw, N).T
    inner, outer = recipe.biases(draw, N)
    return np.array([outer, inner]) if both else outer + inner
