"""The spectrum of a layer of PyTorch while it is trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rmt_jacobian.networks.monitor import SpectrumMonitor
from rmt_jacobian.torch.layers import framework, network

__all__ = ["Monitor"]


class Monitor(SpectrumMonitor):
    r"""Measures a layer of PyTorch whenever it is called, and returns a flat dict of numbers.

    Parameters
    ----------
    module
        As in :func:`network`; it is only read, without gradients, and copied to the host.
    steps
        T, over which singular values and gradients are measured.
    quantiles
        Of the log singular values.
    layer, direction
        Which of the module.
    inputs
        What the layer is run on, an array or a tensor of shape (n, M) with n > T: the steps before
        the last T let it settle. By default Gaussian inputs, the same at every call.
    input_variance, transient
        Of these, and how many steps come before the T.
    prefix
        Put before every name, such as ``"rnn/"``.
    seed
        Of all that is random.

    Notes
    -----
    What it returns goes to any log: ``print``, ``SummaryWriter.add_scalar`` for each,
    ``wandb.log``, Lightning's ``self.log_dict``. With K matrices W, a call costs T K products of
    N x N matrices and one decomposition up to 1,024 variables (more up to 256, where values are far
    apart), and beyond 48 products with 4 vectors for each step and W. Seconds are in
    docs/benchmarks.md.

    Raises
    ------
    ParameterError
        If PyTorch is missing, the module is of another kind, or an argument is out of its domain.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> monitor = Monitor(torch.nn.GRU(4, 16), steps=20)
    >>> found = monitor()
    >>> found["distance_from_start"], found["growth_rate"] < 1
    (0.0, True)
    """

    def __init__(
        self,
        module: Any,
        steps: int = 50,
        *,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        layer: int = 0,
        direction: int = 0,
        inputs: Any = None,
        input_variance: float = 1.0,
        transient: int = 50,
        prefix: str = "",
        seed: int = 0,
    ) -> None:
        torch = framework()

        if isinstance(inputs, torch.Tensor):
            inputs = np.asarray(inputs.detach().to("cpu", torch.float64).numpy())
        super().__init__(
            lambda: network(module, layer=layer, direction=direction),
            steps,
            quantiles=quantiles,
            inputs=inputs,
            input_variance=input_variance,
            transient=transient,
            prefix=prefix,
            seed=seed,
        )
