"""What a call of the monitor costs beside a step of training."""

from typing import Any

import pytest

import rmt_jacobian as rj

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

STEPS, BATCH, INPUTS = 50, 32, 16


def module_of(width: int, scheme: str) -> Any:
    torch.manual_seed(0)
    module = torch.nn.GRU(INPUTS, width)
    if scheme == "critical":
        rj.torch.initialize_(module)
    return module


@pytest.mark.parametrize("width", [64, 256, 512, 1024])
def test_a_step_of_training(benchmark: Any, width: int) -> None:
    module = module_of(width, "pytorch")
    optimizer = torch.optim.Adam(module.parameters())
    x = torch.randn(STEPS, BATCH, INPUTS)

    def step() -> None:
        optimizer.zero_grad()
        module(x)[0].square().mean().backward()
        optimizer.step()

    benchmark.pedantic(step, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("scheme", ["pytorch", "critical"])
@pytest.mark.parametrize("width", [64, 256, 512, 1024])
def test_a_call_of_the_monitor(benchmark: Any, width: int, scheme: str) -> None:
    monitor = rj.torch.Monitor(module_of(width, scheme), STEPS)
    benchmark.pedantic(monitor, rounds=2 if width < 1024 else 1, warmup_rounds=width < 1024)
