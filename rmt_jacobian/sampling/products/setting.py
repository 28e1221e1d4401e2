"""What products of the Jacobians of sampled networks are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.arrays import Device, Precision, Seed
from rmt_jacobian.cells import Cell, Parameters
from rmt_jacobian.counts import check_counts
from rmt_jacobian.sampling.labelled import settings_of
from rmt_jacobian.sampling.networks.memory import check_memory
from rmt_jacobian.sampling.networks.network import NetworkStep, run_network
from rmt_jacobian.sampling.weights.ensembles import Weights

__all__ = ["SINGULAR_VALUES", "Setting"]

SINGULAR_VALUES = "singular values of J_T ... J_1, largest first"


@dataclass(frozen=True)
class Setting:
    """What sampled products of Jacobians are asked for."""

    cell: Cell
    parameters: Parameters
    weights: Weights
    width: int
    steps: tuple[int, ...]
    tied: bool
    device: Device | ModuleType = "cpu"
    dtype: Precision = "float64"

    def __post_init__(self) -> None:
        self.parameters.check_cell(self.cell)
        check_counts(width=self.width)
        for steps in self.steps:
            check_counts(steps=steps)

    def named(self, steps: int | tuple[int, ...], samples: int, seed: Seed) -> dict[str, Any]:
        """Return what was asked for, by name."""
        return settings_of(
            self.cell, self.parameters,
            {"weights": self.weights, "steps": steps, "width": self.width, "samples": samples,
             "seed": seed, "tied": self.tied, "device": self.device, "dtype": self.dtype},
        )  # fmt: skip

    @property
    def title(self) -> str:
        """Of a progress bar."""
        tied = ", tied" if self.tied else ""
        return f"{self.cell.name}, {self.weights} W, N = {self.width}{tied}"

    def run(self, rng: np.random.Generator) -> Iterator[NetworkStep]:
        """Run one network for as many steps as the longest product has."""
        return run_network(
            self.cell, self.parameters, weights=self.weights, width=self.width,
            steps=max(self.steps), rng=rng, tied=self.tied, device=self.device, dtype=self.dtype,
        )  # fmt: skip

    def workers(self, wanted: int | None) -> int | None:
        """Return how many networks run at a time: one on a GPU, which each fills by itself."""
        return 1 if wanted is None and self.device != "cpu" else wanted

    def check_memory(self, samples: int, workers: int | None) -> None:
        """Refuse networks that the memory of this machine cannot hold."""
        if self.device == "cpu":
            columns = len(self.cell.states) * self.width
            check_memory(
                self.cell, self.weights, self.width, columns, samples, self.workers(workers)
            )
