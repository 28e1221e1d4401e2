"""The part of the Zarr format that stores are made of: metadata, and chunks of one task each.

A store holds arrays in the Zarr format, version 3, with the codecs ``bytes`` (little endian) and
``gzip`` at level 0: nothing is compressed, but each chunk carries the length and the checksum of
what it holds.  A chunk is a file of its own, so that a task is stored by a renaming.
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "ZARR_FORMAT",
    "array_metadata",
    "chunk_name",
    "decoded",
    "encoded",
    "group_metadata",
    "json_bytes",
]

ZARR_FORMAT = 3
_GZIP = {"name": "gzip", "configuration": {"level": 0}}


def group_metadata(
    attributes: Mapping[str, Any], arrays: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the content of ``zarr.json`` of a group, with that of its arrays for fast readers.

    Examples
    --------
    >>> group_metadata({}, {})["node_type"]
    'group'
    """
    return {
        "zarr_format": ZARR_FORMAT,
        "node_type": "group",
        "attributes": dict(attributes),
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": False,
            "metadata": {name: dict(content) for name, content in arrays.items()},
        },
    }


def array_metadata(
    shape: Sequence[int],
    dimensions: Sequence[str],
    *,
    dtype: np.dtype,
    chunks: Sequence[int],
    fill_value: Any,
    attributes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of ``zarr.json`` of an array.

    Parameters
    ----------
    shape, dimensions, chunks
        Lengths and names of the dimensions, and the shape of a chunk.
    dtype
        Of the entries: float64 or uint8.
    fill_value
        What readers see where there is no chunk, as JSON; ``"NaN"`` for not a number.
    attributes
        Of the array.

    Examples
    --------
    >>> array_metadata([3], ["sample"], dtype=np.dtype("uint8"), chunks=[1], fill_value=0,
    ...                attributes={})["data_type"]
    'uint8'
    """
    plain: dict[str, Any] = {"name": "bytes"}
    if dtype.itemsize > 1:
        plain["configuration"] = {"endian": "little"}
    return {
        "zarr_format": ZARR_FORMAT,
        "node_type": "array",
        "shape": list(shape),
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill_value,
        "codecs": [plain, _GZIP],
        "attributes": dict(attributes),
        "dimension_names": list(dimensions),
    }


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Return the same bytes for the same content."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def chunk_name(index: Sequence[int]) -> str:
    """Return the name of the file of a chunk.

    Examples
    --------
    >>> chunk_name((3, 0)), chunk_name(())
    ('c.3.0', 'c')
    """
    return ".".join(["c", *map(str, index)])


def encoded(values: np.ndarray) -> bytes:
    """Return the bytes of a chunk; equal values give equal bytes.

    Examples
    --------
    >>> decoded(encoded(np.array([1.0, 2.0])), np.dtype("float64"), (2,))
    array([1., 2.])
    """
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return gzip.compress(little.tobytes(), compresslevel=0, mtime=0)


def decoded(chunk: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the values of a chunk, or None if it is damaged."""
    try:
        content = gzip.decompress(chunk)
    except (OSError, EOFError, zlib.error):
        return None
    if len(content) != dtype.itemsize * int(np.prod(shape)):
        return None
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
