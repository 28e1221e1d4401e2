"""Layers of PyTorch: spectra of long products, beside the loop that autograd invites to."""

import time

import numpy as np
import pytest

import rmt_jacobian as rj

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


def path_of(hidden: int, steps: int, inputs: int = 64) -> rj.Trajectory:
    torch.manual_seed(0)
    network = rj.torch.network(torch.nn.GRU(inputs, hidden))
    return network.run(np.random.default_rng(0).standard_normal((steps, inputs)))


@pytest.mark.parametrize(("hidden", "steps"), [(48, 300), (512, 200)])
def test_log_singular_values(benchmark, hidden, steps):
    path = path_of(hidden, steps)
    found = benchmark.pedantic(path.log_singular_values_with_errors, rounds=1)
    assert np.all(np.isfinite(found.values))


def by_autograd(cell, x):
    """Return the Jacobian of all steps, a row at a time, as autograd has it."""
    start = torch.zeros(cell.hidden_size, dtype=torch.float64, requires_grad=True)
    state = start
    for each in x:
        state = cell(each, state)
    rows = [
        torch.autograd.grad(state[i], start, retain_graph=True)[0] for i in range(cell.hidden_size)
    ]
    return torch.stack(rows)


def test_against_the_loop_of_autograd(benchmark):
    hidden, steps, inputs = 256, 50, 64
    torch.manual_seed(0)
    cell = torch.nn.GRUCell(inputs, hidden).double()
    x = np.random.default_rng(0).standard_normal((steps, inputs))
    network = rj.torch.network(cell)

    def ours():
        return network.run(x).log_singular_values()

    def product():
        return network.run(x).singular_values()

    benchmark.pedantic(ours, rounds=1)
    times = {}
    for name, run in (
        ("autograd", lambda: torch.linalg.svdvals(by_autograd(cell, torch.from_numpy(x)))),
        ("accurate", ours),
        ("product", product),
    ):
        began = time.perf_counter()
        run()
        times[name] = time.perf_counter() - began
    benchmark.extra_info.update(times)
    print({name: round(each, 3) for name, each in times.items()})
