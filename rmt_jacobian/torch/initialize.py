r"""Initialisations in place, per gate, of layers of PyTorch.

PyTorch stacks the matrices of the gates: an orthogonal matrix of the stacked shape is orthogonal
for no gate, and that is what the theory asks for.
"""

from typing import Any

import numpy as np

from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import Parameters
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks.drawn import Draws
from rmt_jacobian.networks.initialized import (
    STEPS,
    InitializedLayer,
    InitializedModule,
    Scheme,
    check_scheme,
    growth_of,
    initialize_layers,
    recipe_of,
)
from rmt_jacobian.torch.layers import framework, is_ours, layers_of

__all__ = ["InitializedLayer", "InitializedModule", "Scheme", "initialize_"]


@named_arguments
def initialize_(
    module: Any,
    scheme: Scheme | Parameters = "critical",
    *,
    weights: str = "orthogonal",
    input_variance: float = 1.0,
    steps: int = STEPS,
    generator: Any = None,
) -> InitializedModule:
    r"""Initialise a layer of PyTorch in place, and say what that does to gradients.

    Parameters
    ----------
    module
        As in :func:`network`; of any precision, on any device. A :class:`Recurrent` takes critical
        points of its cell and hyperparameters of one's own.
    scheme
        ``"critical"``: gradients keep their mean square over 100 steps in a network that keeps its
        weights, and spread least; ``"untied-critical"``: the same with weights drawn anew at every
        step, as in published theory; ``"pytorch"``, ``"keras"``, ``"chrono"``: what these do; or
        hyperparameters of one's own for the cell of the layer, such as
        ``Parameters.of(rj.lstm, ...)``.
    weights
        ``"orthogonal"`` or ``"gaussian"``, of every gate, for critical points and one's own
        hyperparameters.
    input_variance
        The mean square of the inputs. Layers above the first read the states below, whose mean
        square is measured.
    steps
        The longest dependence, for ``"chrono"``.
    generator
        A ``torch.Generator``; by default that of PyTorch.

    Notes
    -----
    Every gate gets a matrix of its own, :math:`\sigma_w` times a Haar orthogonal one or with
    entries of variance :math:`\sigma_w^2 / N`; entries of the input matrices have the variance
    :math:`\sigma_v^2 / M`. Biases go to ``bias_ih``, and ``bias_hh`` is 0, but for the candidate of
    the GRU, whose ``bias_hh`` belongs to W. Numbers are drawn in double precision and rounded to
    that of the module.

    Critical points are those of :func:`.known_point`. Growth is measured in the module as it is,
    with Gaussian inputs that differ from step to step.

    Raises
    ------
    ParameterError
        If the module or the scheme is of another kind, or no critical point is kept for it.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.GRU(8, 64)
    >>> report = initialize_(module, generator=torch.Generator().manual_seed(0))
    >>> bool(report.layers[0].before < 0.6), bool(abs(report.growth_rate - 1) < 0.05)
    (True, True)
    """
    if is_ours(module):
        check_scheme(scheme, weights, input_variance, steps)
        return _ours(module, scheme, weights, input_variance, generator)
    report, _ = initialize_layers(
        layers_of(module),
        scheme,
        weights=weights,
        input_variance=input_variance,
        steps=steps,
        draw=_TorchDraws(generator),
    )
    return report


def _ours(
    module: Any, scheme: Any, weights: str, variance: float, generator: Any
) -> InitializedModule:
    """Initialise a layer that was made of a cell, which has no usual schemes."""
    recipe, origin = recipe_of(module.cell, (), scheme, weights, variance, STEPS)
    if recipe.parameters is None:
        raise ParameterError(
            f"scheme {scheme!r} is for layers of PyTorch: use critical or untied-critical, or "
            "Parameters of the cell"
        )
    before = growth_of(module.network(), variance)
    module.reset_parameters(recipe.parameters, weights=weights, generator=generator)
    after = growth_of(module.network(), variance)
    layer = InitializedLayer(0, 0, recipe.parameters, before, after)
    name = scheme if isinstance(scheme, str) else "own hyperparameters"
    return InitializedModule(name, weights, (layer,), origin)


class _TorchDraws(Draws):
    """What is drawn from a generator of PyTorch, in double precision on the host."""

    def __init__(self, generator: Any) -> None:
        self.torch, self.generator = framework(), generator
        device = getattr(generator, "device", "cpu")
        self._options = {"generator": generator, "dtype": self.torch.float64, "device": device}

    def normal(self, *shape: int) -> np.ndarray:
        """Return normal numbers."""
        return self.torch.randn(*shape, **self._options).cpu().numpy()

    def uniform(self, *shape: int) -> np.ndarray:
        """Return numbers between -1 and 1."""
        return 2 * self.torch.rand(*shape, **self._options).cpu().numpy() - 1
