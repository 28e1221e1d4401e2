"""Arrays by name from files of weights; nothing that is in a file is ever executed."""

import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = ["read_arrays"]

_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle")
_KERAS = (".h5", ".hdf5", ".keras")
_HDF5, _ZIP = b"\x89HDF", (b"PK\x03\x04", b"PK\x05\x06")
_PICKLE = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_NAME, _RUNS = "give .safetensors or .npz", "a pickle can run code when it is read"

Wanted = Callable[[tuple[str, ...]], Iterable[str]]


def read_arrays(path: Path | str, wanted: Wanted) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return the names of all arrays of a file, and those arrays that are wanted.

    Parameters
    ----------
    path
        A ``.safetensors`` or ``.npz`` file; its content tells which it is.
    wanted
        Which of all names to read.

    Returns
    -------
    tuple
        The names, and arrays in double precision by name.

    Raises
    ------
    ParameterError
        If there is no such file, it is torn, or of another kind; pickles are never read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/x.npz", a=np.ones(2), b=np.zeros(3))
    ...     read_arrays(f"{folder}/x.npz", lambda names: names[:1])
    (('a', 'b'), {'a': array([1., 1.])})
    """
    path = Path(path)
    try:
        read = _npz if _is_npz(path) else _safetensors
        names, found = read(path, wanted)
    except OSError as error:
        raise ParameterError(f"cannot read {path}: {error.strerror or error}") from error
    return names, {name: _floats(path, name, array) for name, array in found.items()}


def _is_npz(path: Path) -> bool:
    """Tell an .npz file from a .safetensors file, and refuse all others."""
    with path.open("rb") as stream:
        head = stream.read(9)
    if head[8:] == b"{" and path.suffix not in (*_PICKLED, *_KERAS):
        return False
    inside = _members(path) if head.startswith(_ZIP) else []
    if head.startswith(_HDF5) or path.suffix in _KERAS or "model.weights.h5" in inside:
        raise ParameterError(_keras_line(path))
    pickled = any(name.endswith("data.pkl") for name in inside) or head.startswith(_PICKLE)
    if pickled or path.suffix in _PICKLED:
        raise ParameterError(_pickle_line(path))
    if head.startswith(_ZIP):
        return True
    if path.suffix == ".npz":
        raise ParameterError(f"{path} is not a whole .npz file: save it again by numpy.savez")
    if path.suffix != ".safetensors":
        raise ParameterError(f"{path} is of no kind that is known: {_NAME}")
    return False


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile as error:
        if path.suffix in (*_PICKLED, *_KERAS):
            return []
        raise ParameterError(f"{path} is not a whole .npz file: save it again") from error


def _pickle_line(path: Path) -> str:
    there = str(path.with_suffix(".safetensors"))
    return (
        f"{path} is pickled, and {_RUNS}: convert it, where PyTorch is, by  import torch, "
        "safetensors.torch; safetensors.torch.save_file("
        f"torch.load({str(path)!r}, weights_only=True), {there!r})  and give {there} (or NumPy "
        "arrays by numpy.savez)"
    )


def _keras_line(path: Path) -> str:
    there = str(path.with_name(path.name.split(".")[0] + ".npz"))
    save = f"numpy.savez({there!r}, **{{v.path: v.numpy() for v in model.weights}})"
    if path.name.endswith(".weights.h5"):
        load = f"model.load_weights({str(path)!r}); "
    else:
        load = f"import keras; model = keras.models.load_model({str(path)!r}); "
    return (
        f"{path} is Keras' own kind of file, which is not read: convert it, where Keras is, by  "
        f"import numpy; {load}{save}  and give {there}"
    )


def _npz(path: Path, wanted: Wanted) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = tuple(archive.files)
            return names, {name: archive[name] for name in wanted(names)}
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(
            f"{path} is torn, or holds arrays of objects, which are pickled: {error}"
        ) from error


def _safetensors(path: Path, wanted: Wanted) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise ParameterError(
            'safetensors is not installed: pip install "rmt-jacobian[inspect]"'
        ) from None
    try:
        with safe_open(str(path), framework="np") as file:
            names = tuple(file.keys())
            return names, {name: _tensor(path, file, name) for name in wanted(names)}
    except SafetensorError as error:
        raise ParameterError(
            f"{path} is not a whole .safetensors file, save it again: {error}"
        ) from error


def _tensor(path: Path, file: Any, name: str) -> np.ndarray:
    """Return one array of an open file."""
    part = file.get_slice(name)
    dtype = part.get_dtype()
    if dtype == "BF16":  # which NumPy does not know: the upper halves of 32-bit numbers
        halves = np.frombuffer(_bytes(path, name), dtype="<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(part.get_shape())
    if dtype not in ("F16", "F32", "F64"):
        raise ParameterError(_dtype_line(path, name, dtype))
    return file.get_tensor(name)


def _bytes(path: Path, name: str) -> bytes:
    """Return what stands in a file whose header has been checked."""
    with path.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        start, end = json.loads(stream.read(length))[name]["data_offsets"]
        stream.seek(8 + length + start)
        return stream.read(end - start)


def _floats(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind != "f":
        raise ParameterError(_dtype_line(path, name, str(array.dtype)))
    return array.astype(float)


def _dtype_line(path: Path, name: str, dtype: str) -> str:
    return f"{path}: {name} holds {dtype}, not real numbers: save it in 16, 32 or 64 bits"
