"""``rmt-jacobian inspect``: the recurrent layers of a file of weights, as they are."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rmt_jacobian.cli.inspected import Measured, Theory, fit_lines, layer_content
from rmt_jacobian.cli.options import OUTPUT, WholeNumber, said_of, seed_option
from rmt_jacobian.cli.point import CELL
from rmt_jacobian.cli.request import Request, command
from rmt_jacobian.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from rmt_jacobian.networks import RecurrentLayer, Trajectory, WeightsFile

__all__ = ["inspect_command"]

_STEPS = 100
_TRANSIENT = 200  # steps before those that count, of random inputs


@command(
    "inspect",
    click.argument("weights", type=OUTPUT),
    click.option(
        "--cell", type=CELL, metavar="CELL",
        help="What the layers are, where names and shapes do not tell: vanilla:relu, gru, ...",
    ),
    click.option(
        "--layer", metavar="NAME",
        help="The layer that is run: its name, or its number from 0; by default the first.",
    ),
    click.option(
        "--inputs", "sequence", type=OUTPUT, metavar="FILE",
        help="An .npy file of its inputs, shape (steps, M), of which the last T steps count; by "
        "default Gaussian ones of variance 1.",
    ),
    click.option(
        "--steps", type=WholeNumber(min=1, max=100_000), metavar="T",
        help="Number of steps; default: 100, or all inputs if there are fewer.",
    ),
    click.option(
        "--theory", is_flag=True,
        help="Also the growth and the law of random networks that keep their weights; minutes.",
    ),
    click.option(
        "--theory-steps", type=WholeNumber(min=1, max=1000), metavar="T",
        help="Steps of that law; default: 10.",
    ),
    seed_option,
    figure="Draw the singular values of every W, and those of T steps.",
)  # fmt: skip
def inspect_command(request: Request) -> None:
    """Inspect the recurrent layers of trained weights: do gradients vanish or explode.

    WEIGHTS is a .safetensors or .npz file with arrays named as PyTorch or Keras name them.  Each
    layer is held beside random ones, and one of them is run.
    """
    asked = request.options
    if asked.theory_steps is not None and not asked.theory:
        raise ParameterError("--theory-steps is for --theory: give both")

    from rmt_jacobian.networks import read_weights

    found = read_weights(asked.weights, request.cell)
    layer = _selected(found, asked.layer)
    _check_cell(request, layer)
    path, steps = _run(request, layer)
    fits = {name: each.network.fit() for name, each in found.layers.items()}
    fits[layer.name] = layer.network.fit(path.inputs)
    request.say(*_found_lines(found))
    for name, fit in fits.items():
        request.say("", *fit_lines(name, fit))
    request.say("", _run_line(request, layer, path, steps))
    measured = Measured.of(path, steps)
    request.say(*measured.lines())
    theory = (
        Theory.of(fits[layer.name], path, asked.theory_steps, asked.seed) if asked.theory else None
    )
    request.say(*(theory.lines() if theory else ()))
    request.draw(lambda: _figure(layer, measured, theory))
    content = {"layer": layer.name, "before": path.steps - steps, **measured.content()}
    request.write(
        {
            "passed_over": list(found.others),
            "refused": dict(found.refused),
            "layers": {name: layer_content(found.layers[name], fits[name]) for name in fits},
            "run": content,
            "law": theory.content() if theory else None,
        }
    )


def _selected(found: "WeightsFile", wanted: str | None) -> "RecurrentLayer":
    """Return the layer of a name or a number."""
    names = list(found.layers)
    if wanted is None:
        return found.layers[names[0]]
    if wanted in found.layers:
        return found.layers[wanted]
    if wanted in found.refused:
        raise ParameterError(f"--layer {wanted}: {found.refused[wanted]}")
    if wanted.isdecimal() and int(wanted) < len(names):
        return found.layers[names[int(wanted)]]
    known = ", ".join(f"{k} or {name}" for k, name in enumerate(names))
    raise ParameterError(f"--layer {wanted!r} is not in {found.path}: give {known}")


def _check_cell(request: Request, layer: "RecurrentLayer") -> None:
    """Refuse a cell that fits another layer than the one that is run."""
    cell = request.cell
    if cell is None:
        return
    kind = layer.network.cell.name
    taken = cell.name.replace("gru-reset-after", "gru") == kind.replace("gru-reset-after", "gru")
    if not taken:
        raise ParameterError(f"--cell {cell.name} does not fit the layer {layer}: leave it out, "
                             "or give another --layer")  # fmt: skip


def _run(request: Request, layer: "RecurrentLayer") -> "tuple[Trajectory, int]":
    """Return the trajectory of a layer, and how many of its last steps count."""
    import numpy as np

    from rmt_jacobian.arrays import generator

    asked, network = request.options, layer.network
    if asked.sequence is None:
        steps = asked.steps or _STEPS
        shape = (_TRANSIENT + steps, network.input_size)
        x = generator(asked.seed).standard_normal(shape)
    else:
        x = _read_inputs(asked.sequence, network.input_size)
        x = x[::-1] if layer.backwards else x
        steps = asked.steps or min(_STEPS, len(x))
        if steps > len(x):
            raise ParameterError(
                f"--inputs {asked.sequence} has {len(x)} steps: give --steps up to {len(x)}"
            )
    with np.errstate(over="ignore", invalid="ignore"):
        path = network.run(x)
    if not np.all(np.isfinite(path.states)):
        raise ParameterError(
            f"the states of {layer.name} overflow within {len(x)} steps: give fewer --steps, or "
            "smaller --inputs"
        )
    return path, steps


def _read_inputs(path: Path, size: int) -> "np.ndarray":
    """Return inputs of shape (steps, M)."""
    import numpy as np

    with said_of("--inputs"):
        try:
            with path.open("rb") as stream:
                x = np.load(stream, allow_pickle=False)
        except OSError as error:
            raise ParameterError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, EOFError) as error:
            raise ParameterError(f"{path} is no .npy file of numbers: {error}") from error
        if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiu":
            raise ParameterError(f"{path} is no .npy file of real numbers: write it by numpy.save")
        if x.ndim != 2 or x.shape[1] != size or not len(x):
            raise ParameterError(
                f"{path} must have the shape (steps, {size}) of the layer's inputs, not {x.shape}"
            )
        if not np.all(np.isfinite(x)):
            raise ParameterError(f"{path} has entries that are not finite: take them out")
    return x.astype(float)


def _found_lines(found: "WeightsFile") -> list[str]:
    layers, others = len(found.layers), len(found.others)
    return [
        f"{found.path}: {layers} recurrent layer{'s' * (layers != 1)}, {others} other "
        f"array{'s' * (others != 1)} passed over",
        *(f"{k}  {layer}{_assumed(layer)}" for k, layer in enumerate(found.layers.values())),
        *(f"-  {name}: not read, {reason}" for name, reason in found.refused.items()),
    ]


def _assumed(layer: "RecurrentLayer") -> str:
    named = layer.network.cell.name == "vanilla"
    return " (tanh is assumed; for relu: --cell vanilla:relu)" if named else ""


def _run_line(request: Request, layer: "RecurrentLayer", path: "Trajectory", steps: int) -> str:
    asked, before = request.options, path.steps - steps
    given = (
        f"Gaussian inputs of variance 1, seed {asked.seed}"
        if asked.sequence is None
        else f"the inputs of {asked.sequence}" + ", from their end" * layer.backwards
    )
    return f"{layer.name} over {steps} steps, after {before} others, under {given}:"


def _figure(layer: "RecurrentLayer", measured: Measured, theory: Theory | None) -> Any:
    from rmt_jacobian.plotting import inspection_figure
    from rmt_jacobian.sampling import LogSpectra

    found = LogSpectra(measured.logs.values[None], measured.logs.errors[None], measured.steps)
    return inspection_figure(layer.network, found, str(layer), beside=theory and theory.beside)
