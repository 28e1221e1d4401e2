"""Numbers, scores and estimates as they are printed, and tables of them."""

import math

__all__ = ["aligned", "estimate", "markdown_table", "number", "z_score"]


def number(value: float) -> str:
    """Write a value to four digits."""
    return f"{value:.4g}"


def z_score(value: float | None) -> str:
    """Write a deviation in standard errors; a dash where there is none or it is not known."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:+.1f}" if abs(value) < 1e4 else f"{value:+.0e}"


def estimate(value: float, error: float) -> str:
    """Write a value and its error to the second digit of the error.

    Examples
    --------
    >>> estimate(3.14159, 0.021), estimate(2.0, 0.0)
    ('3.142 ± 0.021', '2')
    >>> estimate(math.nan, math.nan)
    'unknown'
    """
    if math.isnan(value):
        return "unknown"
    if not (math.isfinite(value) and error > 0):
        return f"{value:.4g}"
    if max(abs(value), error) >= 1e6:
        return f"{value:.4g} ± {error:.2g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return (
        f"{value:.{digits}f} ± {error:.{digits}f}" if digits < 8 else f"{value:.4g} ± {error:.1g}"
    )


def aligned(table: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table for a terminal, a rule below the header."""
    widths = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    lines = [
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in table
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def markdown_table(rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown, the first row being its header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)
