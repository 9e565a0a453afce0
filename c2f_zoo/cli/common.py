"""What the verbs share: exit statuses, messages, starting the backend, checks of paths."""

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
    """An error that the user can mend; its message is all that needs to be shown.

    Args:
        message: One line that says what is expected and what was received.
        status: Exit status: 1 for an error in the work (default), 2 for one in the usage.

    Example:
        >>> CommandError("two frames are needed", status=USAGE).status
        2
    """

    def __init__(self, message, status=FAILED):
        super().__init__(message)
        self.status = status


def say(*lines):
    """Print result lines on standard output.

    Args:
        *lines: Strings.

    Example:
        >>> say("wrote out/a.flo")
        wrote out/a.flo
    """
    for line in lines:
        print(line, flush=True)


def note(line):
    """Print a remark on standard error, where it does not disturb results.

    Args:
        line: The remark.

    Example:
        ```python
        note("computing on jax")
        ```
    """
    print(f"c2f: {line}", file=sys.stderr, flush=True)


def choose_backend():
    """Settle which backend Keras will use, before Keras is imported.

    TensorFlow is the default. `KERAS_BACKEND`, or the backend in Keras' own `keras.json`, is
    followed where it is set; where nothing is set and TensorFlow is not installed, an installed
    backend is taken and a line on standard error says so.

    Returns:
        `"tensorflow"`, `"jax"` or `"torch"`.

    Raises:
        CommandError: The backend asked for is not installed, or none is.

    Example:
        ```python
        choose_backend()
        import keras
        ```
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
    """The backend in keras.json, which Keras reads itself; TensorFlow where it has none."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        configured = json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        configured = None
    return configured or "tensorflow"


@contextlib.contextmanager
def options_of(arguments):
    """Make `--debug` and `--dtype` known to `start_backend` and `load_model` within a block.

    Args:
        arguments: Namespace of the command line.

    Example:
        ```python
        with options_of(arguments):
            arguments.run(arguments)
        ```
    """
    token = _options.set(_Options(*(getattr(arguments, name, None) for name in _Options._fields)))
    try:
        yield
    finally:
        _options.reset(token)


def add_dtype(parser):
    """Add the option `--dtype`, which `load_model` follows.

    Args:
        parser: Parser of a verb that computes.
    """
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="precision to compute in (default: Keras' own, float32); mixed_bfloat16 is faster on "
        "processors and GPUs that have it",
    )


def start_backend():
    """Choose the backend and import Keras, without the log lines of TensorFlow and absl.

    They are printed after all if the start fails, with `--debug`, and where the user has set
    `TF_CPP_MIN_LOG_LEVEL`.

    Returns:
        `"tensorflow"`, `"jax"` or `"torch"`.

    Raises:
        CommandError: No backend is installed, or not the one asked for.

    Example:
        ```python
        start_backend()
        from c2f_zoo import PWCNet
        ```
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
    """Keep what is written to the standard error of the process, C++ included; print on failure."""
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
    """Load a preset on the chosen backend.

    Args:
        preset: Name, folder or `hf://` address.

    Returns:
        The model.

    Raises:
        CommandError: No backend is installed.
        ValueError: The preset is unknown or damaged.

    Example:
        ```python
        model = load_model("pwcnet_lite.scenes")
        ```
    """
    start_backend()
    from c2f_zoo.hub import load

    dtype = _options.get().dtype
    return load(preset, dtype=dtype) if dtype else load(preset)


def load_flow_model(preset):
    """Load a preset that estimates optical flow.

    Args:
        preset: Name, folder or `hf://` address.

    Returns:
        The model, with its `flow` and `flow_stream`.

    Raises:
        CommandError: The preset has another task.

    Example:
        ```python
        flow = load_flow_model("pwcnet_lite.scenes").flow("a.png", "b.png")
        ```
    """
    model = load_model(preset)
    if not hasattr(model, "flow"):
        raise CommandError(
            f"A preset for optical flow is needed (c2f models --task optical_flow). "
            f"Received: {preset}, a {type(model).__name__}"
        )
    return model


def progress(total, unit, quiet=False):
    """Open a progress bar on standard error.

    Args:
        total: Number of steps, `None` if unknown.
        unit: What is counted, such as `"frame"`.
        quiet: Whether to show none. Default False.

    Returns:
        A `tqdm` bar, to be used as a context manager.

    Example:
        ```python
        with progress(10, "frame") as bar:
            bar.update()
        ```
    """
    from tqdm import tqdm

    # A bar that is written into a log file should not fill it.
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total, unit=f" {unit}s", mininterval=interval, dynamic_ncols=True, disable=quiet
    )


def check_folder_is_writable(folder):
    """Raise unless files can be written to a folder, which may not exist yet.

    Nothing is left behind: the folder is made only when there is something to write.

    Args:
        folder: Path of the folder.

    Raises:
        CommandError: It, or the nearest folder above it, cannot be written to.

    Example:
        >>> check_folder_is_writable(tempfile.gettempdir() + "/new/folder")
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
    """Raise if an output would take the place of an input.

    Args:
        outputs: Paths that will be written.
        inputs: Paths that were read.

    Raises:
        CommandError: Two of them are one file.

    Example:
        >>> check_inputs_survive(["out/a_flow.png"], ["a.png", "b.png"])
    """
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if os.path.realpath(path) in taken:
            raise CommandError(
                f"An input is never overwritten; choose another folder with -o. Received: {path}"
            )


def positive_count(text):
    """Read a whole number of at least 1, as an argument's `type`.

    Args:
        text: What the command line holds.

    Returns:
        The number.

    Raises:
        ValueError: It is no such number; argparse says so by this function's name.

    Example:
        >>> positive_count("3")
        3
    """
    value = int(text)
    if value < 1:
        raise ValueError(f"Not a positive whole number. Received: {text}")
    return value


positive_count.__name__ = "positive whole number"  # argparse: "invalid positive whole number"


def print_json(value):
    """Print a value as JSON on standard output; NaN becomes null, as JSON has none.

    Args:
        value: Nested dicts, lists and scalars.

    Example:
        >>> print_json([float("nan"), 1])
        [
          null,
          1
        ]
    """
    say(json.dumps(_without_nan(value), indent=2, allow_nan=False))


def table(rows, header):
    r"""Lay out a table for a terminal: text to the left, numbers to the right.

    Args:
        rows: List of lists of cells; each a str, int, float (NaN prints as `-`) or `None`.
        header: List of column titles.

    Returns:
        The lines, a list of str.

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
    """The cells of a column as text, fractions with one number of digits."""
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
