"""``rmt-jacobian phase-diagram``: where the fixed points of a tied network appear."""

from typing import Any

import click

from rmt_jacobian.cli.options import different, said_of
from rmt_jacobian.cli.request import Request, command, cut
from rmt_jacobian.errors import HypothesisError

__all__ = ["phase_diagram_command"]

_SHOWN = 12  # rows of the table for the reader


@command(
    "phase-diagram",
    click.option(
        "--candidate-std",
        "candidate_stds",
        type=float,
        multiple=True,
        callback=different,
        metavar="A",
        help="candidate.weight_std, strictly between sqrt(2) and 2, at which the bifurcation is "
        "wanted; repeatable; default: a grid that fills the interval.",
    ),
    cell=True,
    point=False,
    figure="Draw the phase diagram.",
    table="the bifurcation",
)
def phase_diagram_command(request: Request) -> None:
    """Compute the phase diagram of a GRU without input and biases, for tied weights.

    Over candidate.weight_std: the reset.weight_std above which two nonzero fixed points appear
    beside the zero one, and the edge of the region in which a strong update gate makes nonzero
    fixed points marginally stable.
    """
    asked, cell = request.options, request.cell
    assert cell is not None
    if cell.name != "gru":
        raise HypothesisError(
            f"the phase diagram of {cell.name} is not known: only that of gru is; find the fixed "
            "points at given parameters with rmt_jacobian.stationary(..., dynamics='at_rest')"
        )
    # Refused before anything else is computed.
    with said_of("--candidate-std"):
        chosen = _bifurcation(asked.candidate_stds) if asked.candidate_stds else None
    # Their curves would be broken lines through the points asked for, so a figure has its own.
    curve = _bifurcation(_default_grid()) if chosen is None or asked.figure is not None else []
    bifurcation = curve if chosen is None else chosen
    edge = _marginal_edge()
    request.say(*_table(bifurcation))
    request.say(f"rho_0 = sqrt(2) ends at a_h = {edge[-1][0]:.6g}, a_r = {edge[-1][1]:g}")
    request.draw(lambda: _figure(curve, edge))
    columns = ("candidate.weight_std", "reset.weight_std")
    table = {name: [row[i] for row in bifurcation] for i, name in enumerate(columns)}
    request.write({"bifurcation": bifurcation, "marginal_edge": edge}, table)


def _figure(curve: list[list[float]], edge: list[list[float]]) -> Any:
    from rmt_jacobian.plotting import phase_diagram_figure

    return phase_diagram_figure(curve, edge, "GRU without input and biases, tied weights")


def _default_grid() -> tuple[float, ...]:
    """Return points that are dense at both ends of (sqrt 2, 2), where the curve is steep."""
    import numpy as np

    angle = np.linspace(0, np.pi, 66)[1:-1]
    low, high = np.sqrt(2.0), 2.0
    return tuple(float(a) for a in low + (high - low) * np.sin(angle / 2) ** 2)


def _bifurcation(candidate_stds: tuple[float, ...]) -> list[list[float]]:
    from tqdm import tqdm

    from rmt_jacobian.mean_field import gru_bifurcation

    bar = tqdm(candidate_stds, desc="bifurcation", unit="point", delay=2, leave=False)
    return [[a, gru_bifurcation(a)] for a in bar]


def _marginal_edge() -> list[list[float]]:
    """Return points of the curve, from large a_r to its end at a_r = 0."""
    import numpy as np

    from rmt_jacobian.mean_field import gru_marginal_edge, gru_marginal_edge_end

    end = gru_marginal_edge_end()
    # The square root of a_r^2 at the end asks for points that crowd there.
    grid = np.concatenate([np.geomspace(1e-4, 1.0, 40, endpoint=False),
                           end - (end - 1.0) * np.linspace(1, 0, 60) ** 2])  # fmt: skip
    points = [gru_marginal_edge(float(q)) for q in grid]
    return [[point.candidate_std, point.reset_std] for point in points]


def _table(bifurcation: list[list[float]]) -> list[str]:
    step = max(1, -(-len(bifurcation) // _SHOWN))
    rows = bifurcation[::step]
    return [
        f"{'candidate.weight_std':>22}{'reset.weight_std*':>20}",
        *(f"{a:>22.6g}{r:>20.10g}" for a, r in rows),
        *cut(len(rows), len(bifurcation), "points"),
    ]
