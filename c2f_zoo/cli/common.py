"""Shared parts of the verbs: exit statuses, messages, starting the backend, checks of paths."""

import collections
import contextlib
import contextvars
import importlib.util
import json
import os
import sys
import tempfile
from pathlib import Path

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

DEFAULT_FLOW_PRESET = "pwcnet_lite.scenes"
DEFAULT_GENERATOR_PRESET = "progan_64.fluent"
DEFAULT_RESTORATION_PRESETS = {
    "denoise": "unet_denoise.photos",
    "deblur": "unet_deblur.photos",
    "inpaint": "unet_inpaint.photos",
    "upscale": "srnet_x2.photos",
}

DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")

_BACKENDS = ("tensorflow", "jax", "torch")
_Options = collections.namedtuple("_Options", "debug dtype", defaults=(False, None))
_options = contextvars.ContextVar("options", default=_Options())  # noqa: B039


class CommandError(Exception):
    """An error that the user can mend: its message alone is shown.

    Args:
        message: One line that says what is expected and what was received.
        status: Exit status: 1 for an error in the work (default), 2 for a wrong command line.
    """

    def __init__(self, message, status=FAILED):
        super().__init__(message)
        self.status = status


def say(*lines):
    """Print result lines on standard output."""
    for line in lines:
        print(line, flush=True)


def note(line):
    """Print a remark on standard error, where it does not disturb results."""
    print(f"c2f: {line}", file=sys.stderr, flush=True)


def choose_backend():
    """Choose Keras' backend before Keras is imported, and return its name.

    TensorFlow is the default. `KERAS_BACKEND`, or the backend in Keras' own `keras.json`, is
    followed where it is set; where nothing is set and TensorFlow is not installed, an installed
    backend is taken and a line on standard error says so. Raises CommandError if the backend
    asked for is not installed, or none is.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"].backend.backend()
    asked = os.environ.get("KERAS_BACKEND")
    installed = [name for name in _BACKENDS if importlib.util.find_spec(name) is not None]
    if asked:
        if asked in _BACKENDS and asked not in installed:
            raise CommandError(
                f'KERAS_BACKEND asks for {asked}, which is not installed: pip install "c2f_zoo'
                f'[{asked}]". Received: {_and(installed) or "no backend"} installed'
            )
        return asked
    if not installed:
        raise CommandError(
            'Keras needs a backend: pip install "c2f_zoo[tensorflow]" (or [jax] or [torch]). '
            "Received: none of them installed"
        )
    configured = _configured_backend()
    if configured in installed:
        return configured
    chosen = installed[0]
    os.environ["KERAS_BACKEND"] = chosen
    note(f"{configured} is not installed: computing with {chosen}")
    return chosen


def _configured_backend():
    """Return the backend in keras.json, which Keras reads itself; TensorFlow if it has none."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        configured = json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        configured = None
    return configured or "tensorflow"


@contextlib.contextmanager
def options_of(arguments):
    """Make `--debug` and `--dtype` known to `start_backend` and `load_model` within a block."""
    token = _options.set(_Options(*(getattr(arguments, name, None) for name in _Options._fields)))
    try:
        yield
    finally:
        _options.reset(token)


def add_dtype(parser):
    """Add the option `--dtype`, which `load_model` follows, to the parser of a verb."""
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="precision to compute in (default: Keras' own, float32); mixed_bfloat16 is faster on "
        "processors and GPUs that have it",
    )


def start_backend():
    """Choose the backend and import Keras, without the log lines of TensorFlow and absl.

    They are printed after all if the start fails, with `--debug`, and where the user has set
    `TF_CPP_MIN_LOG_LEVEL`. Returns the backend's name; raises CommandError as `choose_backend`.
    """
    chosen = choose_backend()
    if _options.get().debug or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return chosen
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if chosen == "tensorflow" and "keras" not in sys.modules:
        # TensorFlow 2.21 logs some lines whatever the level, on its import and on its first
        # operation (tensorflow#100442).
        with _held_back_messages():
            import keras

            keras.ops.zeros(())
    return chosen


@contextlib.contextmanager
def _held_back_messages():
    """Hold back what the process, C++ included, writes to standard error; print it on failure."""
    try:
        terminal = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with tempfile.TemporaryFile() as messages:
        sys.stderr.flush()
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(terminal, 2)
            messages.seek(0)
            os.write(2, messages.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def load_model(preset):
    """Load a preset, a name, folder or `hf://` address, on the chosen backend."""
    start_backend()
    from c2f_zoo.hub import load

    dtype = _options.get().dtype
    return load(preset, dtype=dtype) if dtype else load(preset)


def load_flow_model(preset):
    """Load a preset that estimates optical flow; raise CommandError for another task."""
    model = load_model(preset)
    if not hasattr(model, "flow"):
        raise CommandError(
            f"A preset for optical flow is needed (c2f models --task optical_flow). "
            f"Received: {preset}, a {type(model).__name__}"
        )
    return model


def load_stereo_model(preset):
    """Load a preset that estimates disparity; raise CommandError for another task."""
    model = load_model(preset)
    if not hasattr(model, "disparity"):
        raise CommandError(
            f"A preset for stereo matching is needed (c2f models --task stereo_matching). "
            f"Received: {preset}, a {type(model).__name__}"
        )
    return model


def progress(total, unit, quiet=False):
    """Open a `tqdm` bar on standard error; `total` may be None, `unit` is singular ("frame")."""
    from tqdm import tqdm

    # A bar that is written into a log file should not fill it.
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total, unit=f" {unit}s", mininterval=interval, dynamic_ncols=True, disable=quiet
    )


def check_folder_is_writable(folder):
    """Raise CommandError unless files can be written to a folder, which may not exist yet.

    Nothing is left behind: the folder is made only when there is something to write.
    """
    folder = Path(folder)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        what = f"{existing}, a file" if existing.is_file() else f"{existing}: {error.strerror}"
        raise CommandError(
            f"The output folder {folder} cannot be written to. Received: {what}"
        ) from error


def check_inputs_survive(outputs, inputs):
    """Raise CommandError if an output is the same file as an input."""
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if os.path.realpath(path) in taken:
            raise CommandError(
                f"An input is never overwritten; choose another folder with -o. Received: {path}"
            )


def positive_count(text):
    """Parse a whole number of at least 1, as an argument's `type`."""
    value = int(text)
    if value < 1:
        raise ValueError(f"Not a positive whole number. Received: {text}")
    return value


positive_count.__name__ = "positive whole number"  # argparse: "invalid positive whole number"


def positive_number(text):
    """Parse a finite number above 0, as an argument's `type`."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(f"Not a positive number. Received: {text}")
    return value


positive_number.__name__ = "positive number"  # argparse: "invalid positive number value"


def print_json(value):
    """Print a value as JSON on standard output; NaN and infinity become null."""
    say(json.dumps(_without_nan(value), indent=2, allow_nan=False))


def table(rows, header):
    r"""Lay out rows as lines for a terminal: text to the left, numbers to the right.

    Cells are str, int, float (NaN prints as `-`) or None.

    Example:
        >>> print("\n".join(table([["zero", 10.52], ["dis", 3.7]], ["method", "EPE"])))
        method    EPE
        ------  -----
        zero    10.52
        dis      3.70
    """
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in header]
    numeric = [all(not isinstance(cell, str) for cell in column) for column in columns]
    columns = [[title, *_cells(column)] for title, column in zip(header, columns, strict=True)]
    cells = [list(row) for row in zip(*columns, strict=True)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    ]


def _cells(column):
    """Return the cells of a column as text, fractions with one number of digits."""
    known = [cell for cell in column if isinstance(cell, float) and cell == cell]
    digits = 3 if any(0 < abs(cell) < 1 for cell in known) else 2

    def as_text(cell):
        if cell is None or cell != cell:
            return "-"
        if isinstance(cell, float):
            return f"{cell:.{digits}f}"
        return f"{cell:,}" if isinstance(cell, int) else str(cell)

    return [as_text(cell) for cell in column]


def _without_nan(value):
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    is_odd = isinstance(value, float) and (value != value or abs(value) == float("inf"))
    return None if is_odd else value


def _and(names):
    return " and ".join(names)
