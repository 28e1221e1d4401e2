"""Libraries that are no dependency, and the activations of their layers."""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = ["checked_activation", "library"]

_PLACES = np.linspace(-5, 5, 21)
_SHAPES = {
    "tanh": np.tanh(_PLACES),
    "sigmoid": 1 / (1 + np.exp(-_PLACES)),
    "relu": np.maximum(_PLACES, 0),
}


def library(module: str, name: str, hint: str = "", *, extra: str = "jax") -> ModuleType:
    """Return a library, or say how to get it.

    Parameters
    ----------
    module, name
        Its module, and what it is called.
    hint
        What else may be amiss.
    extra
        Of this package, which brings it.

    Raises
    ------
    ParameterError
        If it cannot be imported.

    Examples
    --------
    >>> library("numpy", "NumPy").__name__
    'numpy'
    >>> library("nowhere", "Nowhere")
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: Nowhere is not installed:
        pip install "rmt-jacobian[jax]"
    """
    try:
        return import_module(module)
    except ImportError:
        raise ParameterError(
            f'{name} is not installed{hint}: pip install "rmt-jacobian[{extra}]"'
        ) from None


def checked_activation(
    owner: Any, which: str, *known: str, call: Callable[[Any, np.ndarray], Any]
) -> str:
    """Return which activation a layer has, by its values, and refuse others.

    Parameters
    ----------
    owner, which
        The layer, and the name of its function.
    known
        ``"tanh"``, ``"sigmoid"`` or ``"relu"``.
    call
        Applies such a function to an array of NumPy.

    Raises
    ------
    ParameterError
        If it is none of those known.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> layer = SimpleNamespace(activation=np.tanh, gate=np.sin)
    >>> checked_activation(layer, "activation", "tanh", "relu", call=lambda f, x: f(x))
    'tanh'
    >>> checked_activation(layer, "gate", "sigmoid", call=lambda f, x: f(x))
    Traceback (most recent call last):
    rmt_jacobian.errors.ParameterError: gate of SimpleNamespace must be sigmoid, not sin
    """
    function = getattr(owner, which)
    values = np.asarray(call(function, _PLACES.astype(np.float32)), dtype=float)
    for name in known:
        if values.shape == _PLACES.shape and np.allclose(values, _SHAPES[name], atol=1e-5):
            return name
    name = getattr(function, "__name__", type(function).__name__)
    raise ParameterError(
        f"{which} of {type(owner).__name__} must be {' or '.join(known)}, not {name}"
    )
