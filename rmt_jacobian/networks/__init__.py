"""Networks with the arrays that they have: run, measured, and held beside their law."""

from rmt_jacobian.networks.beside import BesideTheory
from rmt_jacobian.networks.files import (
    RecurrentLayer,
    WeightsFile,
    networks_in,
    read_weights,
)
from rmt_jacobian.networks.fitted import FittedNetwork, FittedWeights
from rmt_jacobian.networks.monitor import SpectrumMonitor
from rmt_jacobian.networks.network import Network
from rmt_jacobian.networks.trajectory import Trajectory

__all__ = [
    "BesideTheory",
    "FittedNetwork",
    "FittedWeights",
    "Network",
    "RecurrentLayer",
    "SpectrumMonitor",
    "Trajectory",
    "WeightsFile",
    "networks_in",
    "read_weights",
]
