"""Equations of a cell as straight-line code of PyTorch."""

from collections.abc import Callable
from typing import Any

import sympy as sp
import torch
from torch import nn

from rmt_jacobian.cells.numeric import ELEMENTARY, of_numbers_too, written_out

__all__ = ["torch_function"]


def torch_function(arguments: tuple[sp.Symbol, ...], expression: sp.Expr) -> Callable[..., Any]:
    """Return an expression as a function of tensors.

    It calls PyTorch alone, so that automatic differentiation, ``torch.compile`` and ``torch.func``
    see straight lines.

    Parameters
    ----------
    arguments, expression
        Symbols and an expression in them, which may be a tuple.

    Examples
    --------
    >>> x = sp.Symbol("x")
    >>> torch_function((x,), sp.tanh(x) ** 2)(torch.zeros(2))
    tensor([0., 0.])
    """
    names: dict[str, Any] = {
        name: of_numbers_too(name, getattr(torch, name)) for name in ELEMENTARY
    }
    names |= {
        "sigmoid": torch.sigmoid,
        "erf": torch.erf,
        "relu": torch.relu,
        "hard_tanh": nn.functional.hardtanh,
        "indicator": lambda x: (x > 0).to(x.dtype),
        "where_positive": lambda x, inside, outside: torch.where(x > 0, inside, outside),
    }
    return written_out(arguments, expression, names)
