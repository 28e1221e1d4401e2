"""Command lines that are wrong, each in one way: a line that names what is wrong, and no trace.

Most are made of the commands themselves: for every option of every command, values that it must
refuse, drawn with a fixed seed.  What no option says of itself follows by hand.
"""

import io
import json
import random
import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pytest

from rmt_jacobian.cells import CELL_NAMES, Parameters, cell_named
from rmt_jacobian.cli import _commands, main

LAW = ("--law", "quarter-circle(2)")
ADD = ("--law", "semicircle(1)", "--law", "semicircle(2)", "--add")

# A line of every command that would do its work; lines below are wrong in what they add.
RIGHT = {
    "verify": ("minimalrnn",),
    "derive": ("minimalrnn", "--variance", "--weights", "gaussian"),
    "mean-field": ("minimalrnn",),
    "critical-init": ("gru",),
    "spectrum": ("vanilla", "--out", "x.npz"),
    "lanczos": ("vanilla",),
    "density": ("vanilla",),
    "eigenvalues": ("vanilla",),
    "phase-diagram": ("gru",),
    "lyapunov": ("vanilla",),
    "freeness": ("vanilla",),
    "inspect": ("weights.npz",),
    "compare": ("good.npy", "--cell", "vanilla"),
    "convolve": ADD,
    "run": ("good.toml", "--store", "new"),
    "show": ("store",),
}
WITH_A_POINT = [
    name for name, command in _commands.commands.items()
    if {"assignments", "inputs"} <= {each.name for each in command.params}
]  # fmt: skip
WITH_A_CELL = [name for name in RIGHT if RIGHT[name][0] in CELL_NAMES]


class Wrong(NamedTuple):
    """A wrong line, and what its message must say: a regular expression for each."""

    line: tuple[str, ...]
    says: tuple[str, ...]
    label: str = ""

    def __str__(self) -> str:
        if self.label:
            return self.label
        words = (part if len(part) <= 40 else f"{part[:20]}...{len(part)}" for part in self.line)
        return " ".join(word or "''" for word in words)


def wrong(line: tuple[str, ...] | list[str] | str, *says: str) -> Wrong:
    """Make a case; a line of one string has no spaces within its words."""
    words = line.split() if isinstance(line, str) else line
    return Wrong(tuple(map(str, words)), tuple(map(re.escape, says)))


def misspelt(word: str, known: list[str], rng: random.Random) -> str:
    """Return a word with one slip of the finger, still nearest to the word that was meant."""
    while True:
        i = rng.randrange(len(word) - 1)
        slip = rng.choice(("swap", "drop", "double", "other"))
        found = {
            "swap": word[:i] + word[i + 1] + word[i] + word[i + 2 :],
            "drop": word[:i] + word[i + 1 :],
            "double": word[: i + 1] + word[i:],
            "other": word[:i] + rng.choice("aeiou") + word[i + 1 :],
        }[slip]
        if found not in known and "-" not in (found[0], found[-1]) and "." not in found[:1]:
            return found


def options_of(name: str) -> list[click.Option]:
    options = (each for each in _commands.commands[name].params if isinstance(each, click.Option))
    return [each for each in options if each.name != "help"]


def instead(name: str, option: str, *value: str) -> tuple[str, ...]:
    """Return the right line of a command with an option of its own left out, and put in."""
    words = list(RIGHT[name])
    if option in words:
        at = words.index(option)
        del words[at : at + 2]
    return (name, *words, option, *value)


# ------------------------------------------------------------------------------------------------
# Lines made of the commands themselves.


def names() -> Iterator[Wrong]:
    """Yield commands, options and cells that do not exist, with the nearest that does."""
    rng = random.Random(1)
    commands = list(_commands.commands)
    for name in commands:
        yield wrong((misspelt(name, commands, rng), *RIGHT[name]), name)
    for name in commands:
        known = [each.opts[-1].removeprefix("--") for each in options_of(name)]
        long = [each for each in known if len(each) > 3]
        for option in rng.sample(long, min(2, len(long))):
            yield wrong((name, *RIGHT[name], f"--{misspelt(option, known, rng)}=1"), f"--{option}")
    for name in WITH_A_CELL:
        cell = rng.choice(CELL_NAMES)
        given = misspelt(cell, list(CELL_NAMES), rng)
        yield wrong((name, given, *RIGHT[name][1:]), f"did you mean {cell}?", given)


def numbers() -> Iterator[Wrong]:
    """Yield values that are out of the range of an option, or of the wrong type."""
    rng = random.Random(2)
    for name in _commands.commands:
        for option in options_of(name):
            flag, kind = option.opts[0], option.type
            if isinstance(kind, click.IntRange):
                assert kind.min is not None
                below = rng.randint(1, 1000)
                values = [str(kind.min - 1), str(kind.min - below)]
                values += rng.sample(["", "many", "nan", "inf", "2.5", "1e3", "0x10", "1_0 0"], 2)
                if option.name != "seed":  # of which every whole number is one
                    values.append(str(10 ** rng.randint(12, 40)))
            elif isinstance(kind, click.types.FloatParamType):
                values = ["", "much", "nan", "inf"]
            else:
                continue
            for value in values:
                yield wrong(instead(name, flag, value), flag)


def choices() -> Iterator[Wrong]:
    """Yield what is not among the choices of an option."""
    rng = random.Random(3)
    for name in _commands.commands:
        for option in options_of(name):
            if isinstance(option.type, click.Choice):
                known = [str(each) for each in option.type.choices]
                choice = rng.choice(known)
                for value in (misspelt(choice, known, rng), rng.choice(["", choice.upper()])):
                    yield wrong(instead(name, option.opts[0], value), option.opts[0], choice)


def parameters() -> Iterator[Wrong]:
    """Yield assignments that are no assignments, or of what the cell has not."""
    rng = random.Random(4)
    for name in WITH_A_POINT:
        start = (name, *RIGHT[name])
        cell = cell_named(next(word for word in start if word in CELL_NAMES))
        own = list(Parameters.of(cell).named())
        given = misspelt(rng.choice(own[:-1]), own, rng)
        meant = min(own, key=lambda each: _distance(each, given))
        yield wrong((*start, "-p", f"{given}=1"), f"'{given}'", f"did you mean {meant}?")
        group = rng.choice(["update.weight_std", "forget.bias_mean", "reset.input_std"])
        if not any(each.name == group.split(".")[0] for each in cell.preactivations):
            yield wrong((*start, "-p", f"{group}=1"), f"{cell.name} has no parameter", group)
        stds = [each for each in own if each.endswith("_std")]
        for parameter, value in (
            (rng.choice(own), rng.choice(["nan", "inf", "-inf", "1e400", "1e60"])),
            (rng.choice(own), rng.choice(["", "two", "1,5", "1+1", "0x2", "weight_std"])),
            (rng.choice([*stds, "input_variance"]), f"-{rng.uniform(0.1, 3):.3f}"),
        ):
            yield wrong((*start, "-p", f"{parameter}={value}"), parameter)
        for text in rng.sample(["weight_std", "=1", " =1", "", "weight_std 1", "="], 2):
            yield wrong((*start, "-p", text), "-p", "name=value", repr(text))
        twice = rng.choice(own)
        yield wrong((*start, "-p", f"{twice}=1", "-p", f"{twice}=2"), "-p", twice, "twice")


def _distance(a: str, b: str) -> int:
    """Return the number of slips between two words."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (letter != other))
    return row[-1]


def outputs() -> Iterator[Wrong]:
    """Yield files that could not be written, and two that are one."""
    rng = random.Random(5)
    for name in _commands.commands:
        files = [
            each.opts[0] for each in options_of(name)
            if each.opts[0] in ("--json", "--csv", "--figure", "--out")
        ]  # fmt: skip
        for flag in files:
            end = {"--figure": ".svg", "--out": ".npz"}.get(flag, ".txt")
            place = rng.choice([f"words.txt/x{end}", f"words.txt/deep/x{end}"])
            yield wrong(instead(name, flag, place), flag, place, "is not a folder")
            if (name, flag) != ("verify", "--out"):
                yield wrong(instead(name, flag, f"folder{end}"), flag, "it is a folder")
        if "--figure" in files:
            bad = rng.choice(["x", "x.bmp", "x.jpeg", "x.txt", "x.png.gz"])
            says = ("--figure", bad, ".png, .pdf or .svg")
            yield wrong((name, *RIGHT[name], "--figure", bad), *says)
        for a, b in combinations(sorted(files, reverse=True), 2) if name != "verify" else ():
            same = "new/x.npz" if a == "--out" else "new/x.png"
            line = (*instead(name, a, same), b, f"new/../{same}")
            yield wrong(line, a, b, "same file")
        if "--csv" in files:
            yield wrong(
                (name, *RIGHT[name], "--json", "-", "--csv", "-"), "--json and --csv", "output"
            )


def missing() -> Iterator[Wrong]:
    """Yield lines without what a command needs, and with too much."""
    for name, right in RIGHT.items():
        command = _commands.commands[name]
        for each in command.params:
            if not each.required:
                continue
            if isinstance(each, click.Argument):
                yield wrong((name, *right[1:]), "Missing argument", each.human_readable_name)
            else:
                yield wrong((name, *instead(name, each.opts[0])[1:-1]), each.opts[0])
        yield wrong((name, *right, "surplus"), "surplus")
        last = options_of(name)[-1].opts[0]
        yield wrong((name, *right, last), last, "requires an argument")


# ------------------------------------------------------------------------------------------------
# Lines by hand: what options say together, and what is in files.

TOGETHER = [
    wrong("derive minimalrnn", "--moment", "--variance"),
    wrong("derive minimalrnn --moment 2 --variance", "either", "--moment", "--variance"),
    wrong("derive minimalrnn --moment 9", "moment 9", "too long"),
    wrong("derive minimalrnn --moment 1000000", "moment 1000000", "too long"),
    wrong("derive lstm --moment 5", "moment 5", "too long"),
    wrong("derive minimalrnn --moment 3 --steps 4", "--steps 1"),
    wrong("derive minimalrnn --moment 7 --steps T --route s-transform", "moment 7"),
    wrong("derive gru --variance --steps 2", "gru", "steps"),
    wrong("derive lstm --variance --steps T", "lstm", "steps"),
    wrong("derive minimalrnn --variance -p weight_std=1", "--weights"),
    wrong("derive minimalrnn --variance --weights gaussian --steps T -p bias_mean=1", "--steps"),
    *(
        wrong(("derive", "minimalrnn", "--variance", "--steps", value), "--steps", repr(value))
        for value in ("0", "-3", "t", "2.0", "", "1e3", "\N{SUPERSCRIPT TWO}", "9" * 40)
    ),
    *(
        wrong(f"{name} vanilla --transient 3", "--transient")
        for name in ("density", "spectrum", "eigenvalues")
    ),
    *(
        wrong(f"mean-field minimalrnn --input-correlation {value}", "--input-correlation")
        for value in ("1.5", "-1.0001", "1e300")
    ),
    *(
        wrong(f"mean-field minimalrnn --tolerance {value}", "--tolerance")
        for value in ("0", "1", "-0.1", "7")
    ),
    *(
        wrong(f"eigenvalues vanilla --tolerance {value}", "--tolerance") for value in ("0", "-1")
    ),
    wrong("eigenvalues vanilla --dynamics untied --tolerance 0.1", "--tolerance", "tied"),
    wrong("eigenvalues vanilla --dynamics fixed-point --tolerance 0.1", "--tolerance", "tied"),
    *(
        wrong(("eigenvalues", "vanilla", "--disk", value), "--disk", repr(value))
        for value in ("", "1", "1,2", "1,2,3,4", "a,b,c", "0,0,0", "0,0,-1", "nan,0,1", "0,0,inf",
                      "1e60,0,1", "0;0;1")
    ),
    wrong("critical-init minimalrnn", "preactivation_variance"),
    wrong("critical-init minimalrnn -p preactivation_variance=1 -p bias_mean=0", "input_variance"),
    wrong("critical-init minimalrnn -p weight_std=1", "weight_std"),
    wrong("critical-init minimalrnn --free weight_std -p bias_mean=1", "--free"),
    wrong("critical-init minimalrnn -p preactivation_variance=-1 -p bias_mean=0 "
          "-p input_variance=1", "preactivation_variance"),
    wrong("critical-init minimalrnn -p preactivation_variance=nan -p bias_mean=0 "
          "-p input_variance=1", "preactivation_variance"),
    wrong("critical-init minimalrnn -p preactivation_variance=1 -p bias_mean=0 "
          "-p input_variance=-1", "input_variance"),
    wrong("critical-init vanilla -p preactivation_variance=1 -p bias_mean=400 "
          "-p input_variance=1", "bias_mean"),
    wrong("critical-init gru --free weight_sdt", "weight_sdt", "did you mean weight_std"),
    wrong("critical-init gru --free update.weight_sdt", "did you mean update.weight_std"),
    wrong("critical-init gru --free forget.weight_std", "forget.weight_std"),
    wrong(("critical-init", "gru", "--free", ""), "no parameter ''"),
    wrong("critical-init gru --free update.weight_std -p update.weight_std=1", "update.weight_std"),
    wrong("critical-init gru -p update.weight_sdt=1", "update.weight_sdt", "update.weight_std"),
    wrong("critical-init gru -p weight_std=1", "free"),
    wrong("critical-init gru -p update.weight_std=-1", "update.weight_std"),
    wrong("critical-init gru -p bias_std=nan", "bias_std"),
    wrong("critical-init gru -p bias_std=1 -p bias_std=2", "bias_std", "twice"),
    wrong("critical-init gru -p bias_std", "-p", "name=value"),
    wrong("critical-init gru -p forget.bias_mean=1", "gru has no parameter", "forget.bias_mean"),
    wrong("spectrum vanilla --out x.txt", "--out", ".npz"),
    wrong("spectrum vanilla --out x", "--out", ".npz"),
    wrong(("spectrum", "vanilla", "--out", ""), "--out"),
    wrong("spectrum vanilla --out x.npz --log --dtype float32", "--log", "--dtype"),
    wrong("lanczos vanilla --lanczos-steps 0 --law", "--law", "--lanczos-steps"),
    wrong("lanczos vanilla --lanczos-steps 0 --figure x.png", "--figure", "--lanczos-steps"),
    wrong("lanczos vanilla --lanczos-steps 0 --csv x.csv", "--csv", "--lanczos-steps"),
    wrong("lanczos vanilla --vectors 2 --lanczos-vectors 3", "--lanczos-vectors", "--vectors 2"),
    wrong("eigenvalues lstm --sites 65", "sites", "multiple"),
    wrong("derive minimalrnn --variance --weights gaussian --steps T -p bias_mean=1", "--steps"),
    wrong("lyapunov vanilla --width 8 --exponents 9", "--exponents", "8"),
    wrong("lyapunov lstm --width 8 --exponents 17", "--exponents", "16"),
    wrong("verify --samples 1", "--samples", "at least 2"),
    wrong("verify --out folder.png --json folder.png/report.json", "--json", "--out"),
    wrong("verify --out words.txt", "--out", "not a folder"),
    wrong("verify --steps 2 --steps 2", "--steps", "2", "twice"),
    wrong("verify --weights gaussian --weights gaussian", "--weights", "gaussian", "twice"),
    *(wrong(f"phase-diagram {cell}", cell, "only that of gru") for cell in ("lstm", "vanilla")),
    *(
        wrong(f"phase-diagram gru --candidate-std {value}", "--candidate-std", "strictly between")
        for value in ("1.4", "2", "0", "-1.7", "1e300")
    ),
    wrong("phase-diagram gru --candidate-std 1.7 --candidate-std 1.7", "--candidate-std", "twice"),
    wrong("phase-diagram gru -p weight_std=1", "-p"),
    wrong(("convolve", *LAW, *LAW), "--add", "--multiply"),
    wrong(("convolve", *ADD, "--multiply"), "either", "--add", "--multiply"),
    wrong("convolve --law semicircle(1) --add", "--law", "two"),
    wrong("convolve --add", "--law", "two"),
    *(
        wrong(("convolve", "--add", *LAW, "--law", law), *says)
        for law, *says in (
            ("", "--law"),
            ("semicirle(1)", "semicirle", "semicircle"),
            ("quater-circle(1)", "quater-circle", "quarter-circle"),
            ("quarter-circle(1", "quarter-circle(1"),
            ("quarter-circle(a)", "'a'"),
            ("quarter-circle(0)", "radius"),
            ("quarter-circle(-1)", "radius"),
            ("quarter-circle(nan)", "nan"),
            ("quarter-circle(1, 2)", "radius"),
            ("marchenko-pastur(ratio=1, ratio=2)", "ratio", "twice"),
            ("quarter-circle(diameter=1)", "diameter", "radius"),
            ("marchenko-pastur(-1)", "ratio"),
            ("fuss-catalan(1.5)", "order"),
            ("fuss-catalan(0)", "order"),
            ("point-masses()", "point-masses"),
            ("point-masses(1)", "point-masses"),
            ("point-masses(0:0.5, 1:0.6)", "point"),
            ("point-masses(0:-0.5, 1:1.5)", "point"),
            ("__import__('os')", "__import__"),
        )
    ),
    wrong("inspect weights.npz --theory-steps 3", "--theory-steps", "--theory"),
    wrong("inspect weights.npz --layer encoder", "--layer", "encoder", "0 or rnn.l0"),
    wrong("inspect weights.npz --layer 1", "--layer", "0 or rnn.l0"),
    wrong("inspect weights.npz --cell gru", "gru", "3 gates", "lstm"),
    wrong("inspect weights.npz --cell minimalrnn", "minimalrnn", "gru-reset-after"),
    wrong("inspect weights.npz --inputs good.npy", "--inputs", "good.npy", "(steps, 2)"),
    wrong("inspect weights.npz --inputs missing.npy", "--inputs", "missing.npy"),
    wrong("inspect weights.npz --inputs words.txt", "--inputs", "words.txt"),
    wrong("inspect weights.npz --inputs weights.npz", "WEIGHTS", "--inputs", "same file"),
    wrong("inspect weights.npz --json weights.npz", "--json", "WEIGHTS", "same file"),
    wrong("inspect missing.safetensors", "missing.safetensors"),
    wrong("inspect words.txt", "words.txt", ".safetensors or .npz"),
    wrong("inspect folder.npz", "folder.npz"),
    wrong("inspect good.npy", "good.npy", ".safetensors or .npz"),
    wrong("inspect values/two.npz", "values/two.npz", "no recurrent layer", "a, b"),
    wrong("inspect values/torn.npz", "values/torn.npz", "torn"),
    wrong("inspect values/empty.npz", "values/empty.npz", "not a whole"),
    wrong(("inspect", ""), "WEIGHTS"),
    wrong("compare good.npy", "--law", "--cell"),
    wrong("compare good.npy --law quarter-circle(2) --cell gru", "--law", "--cell"),
    *(
        wrong(f"compare good.npy --law quarter-circle(2) {option}", option.split()[0], "--cell")
        for option in ("--squared", "-p weight_std=1", "--steps 3", "--biases frozen",
                       "--weights orthogonal", "--sites 64", "--seed 3", "--inputs tanh",
                       "--config point.toml")
    ),
    wrong("compare good.npy --law quarter-cirle(2)", "quarter-cirle", "quarter-circle"),
    wrong("compare good.npy --cell grv", "grv", "gru"),
    wrong("compare good.npy --key x --law quarter-circle(2)", "--key"),
    wrong("compare odd.npy --cell lstm", "odd.npy", "2 states"),
    wrong("run good.toml --store new --workers 2 --dask tcp://nowhere:1", "--workers", "--dask"),
    wrong("run good.toml --store words.txt", "words.txt"),
    wrong("run good.toml --store words.txt/new", "words.txt"),
    wrong("run good.toml --store values", "values"),
    wrong("run good.toml --store store", "store", "--resume"),
    wrong("run other.toml --store store --resume", "store", "seed"),
    wrong("run good.toml --store good.toml", "--store", "SPEC.toml", "same file"),
    wrong(("run", "good.toml", "--store", ""), "--store"),
    wrong("run axes.toml --store new --figure x.png", "3 axes"),
    wrong("run good.toml --store new --json new", "--store", "--json", "same file"),
    wrong("show store --json store/zarr.json", "--json", "PATH", "within"),
    wrong("show store --csv store/../store/x.csv", "--csv", "PATH", "within"),
    wrong("show store --figure store/status/x.png", "--figure", "PATH", "within"),
    wrong("run good.toml --store new --json new/x.json", "--json", "--store", "within"),
    wrong("show words.txt", "words.txt"),
    wrong("show folder.txt", "folder.txt"),
    wrong("show nothing", "nothing"),
    wrong(("show", ""), "PATH"),
    wrong("show broken", "broken"),
    wrong("show foreign", "foreign"),
    wrong("--verbose", "--verbose"),
    wrong(("",), "command"),
    wrong("verfiy --help", "verify"),
]  # fmt: skip

VALUES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty.npy": (lambda path: path.write_bytes(b""), "no array"),
    "empty.npz": (lambda path: path.write_bytes(b""), "no array"),
    "empty.txt": (lambda path: path.write_text(""), "numbers"),
    "hello.csv": (lambda path: path.write_text("hello, world"), "no array of numbers"),
    "torn.npy": (lambda path: path.write_bytes(_bytes(np.save, np.ones(50))[:150]), "no array"),
    "torn.npz": (lambda path: path.write_bytes(_bytes(np.savez, np.ones(50))[:150]), "no array"),
    "text.npy": (lambda path: path.write_text("1 2 3"), "no array"),
    "objects.npy": (lambda path: np.save(path, np.array([{}], dtype=object)), "no array"),
    "objects.npz": (lambda path: np.savez(path, a=np.array([{}], dtype=object)), "no array"),
    "strings.npy": (lambda path: np.save(path, np.array(["a", "b"])), "real numbers"),
    "complex.npy": (lambda path: np.save(path, np.ones(3) + 1j), "real numbers"),
    "cube.npy": (lambda path: np.save(path, np.ones((2, 2, 2))), "shape (networks, N)"),
    "none.npy": (lambda path: np.save(path, np.ones((0, 4))), "shape"),
    "scalar.npy": (lambda path: np.save(path, np.array(2.0)), "shape"),
    "negative.npy": (lambda path: np.save(path, -np.ones(4)), "below 0"),
    "infinite.npy": (lambda path: np.save(path, np.array([1.0, np.inf])), "not finite"),
    "nan.txt": (lambda path: path.write_text("1 nan 2"), "not finite"),
    "rows.txt": (lambda path: path.write_text("1 2\n3\n"), "no array"),
    "flags.npy": (lambda path: np.save(path, np.array([True, False])), "real numbers"),
    "two.npz": (lambda path: np.savez(path, a=np.ones(3), b=np.ones(3)), "--key"),
    "nothing.npz": (lambda path: np.savez(path), "--key"),
    "cut.json": (lambda path: path.write_text('{"singular_values": [1.0, 0.'), "no array"),
}

CONFIGS = {
    "cut.toml": ("weight_std = ", "not valid TOML"),
    "bytes.toml": ("\udcff", "not valid TOML"),
    "unknown.toml": ("wieght_std = 1", "weight_std"),
    "words.toml": ('weight_std = "two"', "weight_std"),
    "true.toml": ("weight_std = true", "weight_std"),
    "list.toml": ("weight_std = [1, 2]", "weight_std"),
    "nan.toml": ("bias_mean = nan", "bias_mean"),
    "negative.toml": ("input_variance = -1", "input_variance"),
    "outside.toml": ("weight_std = 3\n[parameters]\nbias_mean = 1", "weight_std"),
    "number.toml": ("parameters = 3", "parameters"),
    "group.toml": ("[forget]\nbias_mean = 1", "forget.bias_mean"),
    "date.toml": ("weight_std = 2020-01-01", "weight_std"),
}

ENSEMBLE = 'cell = "vanilla"\nweights = "gaussian"\nsteps = 2\nwidth = 8\nsamples = 2\n'
THEORY = 'cell = "vanilla"\nquantity = "chi_1"\n'
GATED = 'cell = "gru"\nquantity = "chi_1"\n'
SPECIFICATIONS: list[tuple[str, str, tuple[str, ...]]] = [
    ("empty", "", ("cell",)),
    ("cut", ENSEMBLE + "[grid", ("not valid TOML",)),
    ("no cell", ENSEMBLE.replace("cell", "#"), ("cell",)),
    ("cell of a number", ENSEMBLE.replace('"vanilla"', "3"), ("cell",)),
    ("unknown cell", ENSEMBLE.replace("vanilla", "vanila"), ("did you mean vanilla",)),
    *(
        (f"no {key}", ENSEMBLE.replace(key, "#"), (key,))
        for key in ("weights", "steps", "width", "samples")
    ),
    *(
        (f"{key} = {value}", re.sub(rf"{key} = \d+", f"{key} = {value}", ENSEMBLE), (key,))
        for key in ("steps", "width", "samples")
        for value in ("0", "-1", "2.0", '"two"', "true", "nan", "[1]", f"{10**30}")
    ),
    ("huge samples", ENSEMBLE.replace("samples = 2", "samples = 100000000"), ("samples",)),
    ("weights", ENSEMBLE.replace("gaussian", "gausian"), ("gausian", "gaussian")),
    ("weights of a list", ENSEMBLE.replace('"gaussian"', '["gaussian"]'), ("weights",)),
    ("seed", ENSEMBLE + "seed = -1", ("seed",)),
    ("tied", ENSEMBLE + "tied = 1", ("tied",)),
    ("spectrum", ENSEMBLE + 'spectrum = "logs"', ("spectrum", "log")),
    ("device", ENSEMBLE + 'device = "tpu"', ("device",)),
    ("dtype", ENSEMBLE + 'dtype = "float16"', ("dtype", "float32")),
    ("inputs", ENSEMBLE + 'inputs = "uniform"', ("inputs", "gaussian")),
    ("biases", ENSEMBLE + 'biases = "thawed"', ("biases", "frozen")),
    ("key", ENSEMBLE + "sede = 1", ("sede", "did you mean seed")),
    ("parameter outside", ENSEMBLE + "weight_std = 1", ("weight_std", "[parameters]")),
    ("key of a sweep", ENSEMBLE + "sites = 64", ("sites", "no effect")),
    ("key of an ensemble", THEORY + "width = 64", ("width", "no effect")),
    ("quantity", THEORY.replace("chi_1", "chi_2"), ("chi_2", "chi_1")),
    ("quantity twice", THEORY.replace('"chi_1"', '["chi_1", "chi_1"]'), ("quantity",)),
    ("no quantity", THEORY.replace('"chi_1"', "[]"), ("quantity",)),
    ("number for a quantity", THEORY.replace('"chi_1"', "3"), ("quantity",)),
    ("fast weights", THEORY + 'weights = "fast-gaussian"', ("weights",)),
    ("dynamics", THEORY + 'dynamics = "frozen"', ("dynamics", "untied, tied, fixed-point")),
    (
        "dynamics and inputs",
        THEORY + 'dynamics = "tied"\ninput_correlation = 0.5',
        ("equal inputs", "leave out input_correlation"),
    ),
    ("sites", THEORY + "sites = 1", ("sites",)),
    ("correlation", THEORY + "input_correlation = 2", ("input_correlation",)),
    ("correlation nan", THEORY + "input_correlation = nan", ("input_correlation",)),
    ("correlation of words", THEORY + 'input_correlation = "1"', ("input_correlation",)),
    ("parameters", THEORY + "parameters = 3", ("parameters",)),
    ("parameter", THEORY + "[parameters]\nwieght_std = 1", ("wieght_std", "weight_std")),
    ("parameter list", THEORY + "[parameters]\nweight_std = [1, 2]", ("weight_std", "[grid]")),
    ("negative", THEORY + "[parameters]\ninput_variance = -1", ("input_variance",)),
    ("grid", THEORY + "grid = 3", ("grid",)),
    ("unknown axis", THEORY + "[grid]\nwieght_std = [1, 2]", ("wieght_std", "weight_std")),
    ("axis of another cell", THEORY + '[grid]\n"update.bias_mean" = [1, 2]', ("update.bias_mean",)),
    ("axis of a key", ENSEMBLE + "[grid]\nwidth = [8, 16]", ("width",)),
    ("axis of a number", THEORY + "[grid]\nweight_std = 1", ("grid.weight_std",)),
    ("axis of words", THEORY + '[grid]\nweight_std = ["a"]', ("grid.weight_std",)),
    ("empty axis", THEORY + "[grid]\nweight_std = []", ("grid.weight_std",)),
    ("axis out of order", THEORY + "[grid]\nweight_std = [1, 3, 2]", ("grid.weight_std",)),
    ("axis twice a value", THEORY + "[grid]\nweight_std = [1, 1]", ("grid.weight_std",)),
    ("axis with nan", THEORY + "[grid]\nweight_std = [1, nan]", ("grid.weight_std",)),
    ("negative axis", THEORY + "[grid]\nweight_std = [-1, 1]", ("weight_std",)),
    ("range without end", THEORY + "[grid]\nweight_std = {from = 1, points = 3}", ("to",)),
    ("range of more", THEORY + "[grid]\nweight_std = {from=1, to=2, points=3, step=1}", ("step",)),
    *(
        (f"range of {points} points",
         THEORY + f"[grid]\nweight_std = {{from = 1, to = 2, points = {points}}}", ("points",))
        for points in ("0", "1", "-3", "2.5", "true", "100000000000")
    ),
    ("range of no length", THEORY + "[grid]\nweight_std = {from=1, to=1, points=3}",
     ("weight_std",)),
    ("spacing", THEORY + '[grid]\nweight_std = {from=1, to=2, points=3, spacing="lg"}',
     ("spacing",)),
    ("logarithm of 0", THEORY + '[grid]\nbias_mean = {from=0, to=2, points=3, spacing="log"}',
     ("bias_mean", "above 0")),
    ("a gate that nothing reads", GATED + "[parameters]\ncandidate.weight_std = 0\n[grid]\n"
     '"reset.weight_std" = [1, 2]', ("grid.reset.weight_std", "no effect", "'reset'")),
    ("more than there is", THEORY + "[grid]\nweight_std = {from=1, to=2, points=10000}\n"
     "bias_mean = {from=1, to=2, points=10000}", ("1000000",)),
    ("in both", THEORY + "[parameters]\nweight_std = 1\n[grid]\nweight_std = [1, 2]",
     ("weight_std", "[parameters]", "[grid]")),
    # Axes and parameters that change nothing.
    ("inputs of no variance", THEORY + "[parameters]\ninput_variance = 0\n[grid]\n"
     "input_std = [1, 2]", ("grid.input_std", "no effect", "input_variance")),
    ("inputs of no variance in the grid", THEORY + "[grid]\ninput_std = [1, 2]\n"
     "input_variance = [0]", ("grid.input_std", "no effect", "input_variance")),
    ("inputs of no variance, sampled", ENSEMBLE + "[parameters]\ninput_variance = 0\n[grid]\n"
     "input_std = [1, 2]", ("grid.input_std", "no effect", "input_variance")),
    ("inputs of no variance, one gate", GATED + "[parameters]\ninput_variance = 0\n[grid]\n"
     '"update.input_std" = [1, 2]', ("grid.update.input_std", "no effect", "input_variance")),
    ("inputs without V", THEORY + "[parameters]\ninput_std = 0\n[grid]\n"
     "input_variance = [1, 2]", ("grid.input_variance", "no effect", "input_std")),
    ("inputs without V in the grid", THEORY + "[grid]\ninput_variance = [1, 2]\n"
     "input_std = [0]", ("grid.input_variance", "no effect", "input_std")),
    ("axis under another", THEORY + "[grid]\nweight_std = [1, 2]\n"
     '"candidate.weight_std" = [1, 2]', ("grid.weight_std", "no effect", "candidate.weight_std")),
    ("axis under three others", GATED + "[grid]\nbias_mean = [1, 2]\nupdate.bias_mean = [1]\n"
     "reset.bias_mean = [1]\ncandidate.bias_mean = [1]",
     ("grid.bias_mean", "no effect", "update.bias_mean")),
    ("parameter under an axis", GATED + "[parameters]\nupdate.weight_std = 1\n[grid]\n"
     "weight_std = [1, 2]", ("update.weight_std", "no effect", "grid.weight_std")),
]  # fmt: skip


def _bytes(save: Callable[..., None], values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    save(stream, values)
    return stream.getvalue()


def in_files() -> Iterator[Wrong]:
    """Yield lines whose input files are wrong."""
    rng = random.Random(6)
    for name, (_, words) in VALUES.items():
        law = rng.choice([LAW, ("--cell", rng.choice(CELL_NAMES))])
        yield wrong(("compare", f"values/{name}", *law), words, f"values/{name}")
    yield wrong(("compare", "missing.npy", *LAW), "missing.npy")
    yield wrong(("compare", "folder.npz", *LAW), "folder.npz")
    yield wrong(("compare", "", *LAW), "VALUES")
    yield wrong(("compare", "values/two.npz", "--key", "c", *LAW), "--key", "c")
    for name, (_, words) in CONFIGS.items():
        command = rng.choice(WITH_A_POINT)
        line = (command, *RIGHT[command], "--config", f"configs/{name}")
        yield wrong(line, "--config", f"configs/{name}", words)
    for command in WITH_A_POINT:
        bad = rng.choice(["missing.toml", "folder.txt", "words.txt", ""])
        yield wrong((command, *RIGHT[command], "--config", bad), "--config", bad)
    for k, (name, _, words) in enumerate(SPECIFICATIONS):
        case = wrong(("run", f"specs/{k}.toml", "--store", "new"), f"specs/{k}.toml", *words)
        yield case._replace(label=f"run with {name}")
    for bad in ("missing.toml", "folder.txt", "words.txt", "good.npy"):
        yield wrong(("run", bad, "--store", "new"), bad)
    yield wrong(("run", "", "--store", "new"), "SPEC.toml")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of right and wrong input files, which no wrong line may change."""
    folder = tmp_path_factory.mktemp("lines")
    for name in ("values", "configs", "specs", "foreign", "broken"):
        (folder / name).mkdir()
    for end in (".txt", ".svg", ".png", ".npz"):
        (folder / f"folder{end}").mkdir()
    (folder / "words.txt").write_text("hello")
    np.save(folder / "good.npy", np.linspace(0.1, 2, 20))
    np.save(folder / "odd.npy", np.ones(7))
    layer = {"rnn.weight_hh_l0": np.ones((16, 4)), "rnn.weight_ih_l0": np.ones((16, 2))}
    np.savez(folder / "weights.npz", **layer)  # pyright: ignore[reportArgumentType]
    for name, (make, _) in VALUES.items():
        make(folder / "values" / name)
    for name, (text, _) in CONFIGS.items():
        (folder / "configs" / name).write_bytes(text.encode(errors="surrogateescape"))
    for k, (_, text, _) in enumerate(SPECIFICATIONS):
        (folder / "specs" / f"{k}.toml").write_text(text)
    (folder / "point.toml").write_text("weight_std = 1")
    (folder / "good.toml").write_text(ENSEMBLE)
    (folder / "other.toml").write_text(ENSEMBLE + "seed = 3")
    (folder / "axes.toml").write_text(
        ENSEMBLE + "[grid]\nweight_std = [1, 2]\nbias_mean = [0, 1]\ninput_std = [1, 2]"
    )
    (folder / "foreign" / "zarr.json").write_text(json.dumps({"zarr_format": 3}))
    with pytest.raises(SystemExit) as stop:
        main(["run", str(folder / "good.toml"), "--store", str(folder / "store"), "--workers", "1"])
    assert stop.value.code == 0
    whole = (folder / "store" / "zarr.json").read_text()
    (folder / "broken" / "zarr.json").write_text(whole[: len(whole) // 2])
    return folder


def listing(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


CASES = [
    *names(), *numbers(), *choices(), *parameters(), *outputs(), *missing(), *TOGETHER, *in_files()
]  # fmt: skip


def test_there_are_lines_enough() -> None:
    assert len(CASES) > 300
    assert len({case.line for case in CASES}) > 0.98 * len(CASES)
    assert {case.line[0] for case in CASES} >= set(_commands.commands)
    assert set(RIGHT) == set(_commands.commands)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_line_gets_one_line_and_leaves_nothing(
    case: Wrong, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    capsys.readouterr()  # what made the place
    before = listing(place)
    with pytest.raises(SystemExit) as stop:
        main(case.line)
    out, err = capsys.readouterr()
    assert stop.value.code == 2, err
    assert out == ""
    assert "Traceback" not in err
    assert re.fullmatch(r"rmt-jacobian: [^\r\n]+\n", err)
    for words in case.says:
        assert re.search(words, err), words
    assert listing(place) == before
