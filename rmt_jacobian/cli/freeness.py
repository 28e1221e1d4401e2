"""``rmt-jacobian freeness``: are successive Jacobians free, over the scalars or the diagonal."""

import click

from rmt_jacobian.cli.options import WholeNumber, seed_option, weights_option, workers_option
from rmt_jacobian.cli.request import Request, command

__all__ = ["freeness_command"]


@command(
    "freeness",
    click.option("--steps", type=WholeNumber(min=2, max=10_000), default=10, show_default=True,
                 metavar="T", help="Number of steps."),
    weights_option,
    click.option("--width", type=WholeNumber(min=1, max=100_000), default=256, show_default=True,
                 help="Number of sites N."),
    click.option("--samples", type=WholeNumber(min=2, max=100_000), default=32, show_default=True,
                 help="Number of networks, untied and tied each."),
    seed_option,
    workers_option,
    cell=True,
)  # fmt: skip
def freeness_command(request: Request) -> None:
    """Test whether the Jacobians of successive steps are free.

    Free over the scalars, or over the diagonal; for cells of d states over the d x d matrices of
    the sites in place of the diagonal.

    Networks with fresh weights at every step are tested beside networks that keep them, and these
    beside the theory of one W that is free from the diagonals, at all T places at once.
    """
    from rmt_jacobian.comparison import freeness_of_cell

    asked = request.options
    found = freeness_of_cell(*request.point, **request.sampling)
    request.describe()
    request.say(
        f"{asked.samples} networks of width {asked.width} of either kind, {asked.weights} W, "
        f"T = {asked.steps}",
        f"\n{found}\n",
        *_NOTES,
        *([] if found.untied.states == 1 else [_SITE_MATRICES]),
    )
    request.write(
        {
            "untied": found.untied.content(),
            "tied": found.tied.content(),
            "shared": found.shared.content(),
        }
    )


_NOTES = (
    "Factors are scaled to tau(J J^T) = 1; predictions are made from the factors of each sample.",
    "z is (sampled - predicted) in standard errors and finite-width corrections; 4 rejects.",
)
_SITE_MATRICES = (
    "Site matrices mix the states of a site, but no sites: W that serve several states leave the "
    "factors free over these at most."
)
