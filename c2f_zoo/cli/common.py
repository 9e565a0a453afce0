"""Shared parts of the verbs: exit statuses, messages, starting the backend, checks of paths."""

import collections
import contextlib
import contextvars
import importlib.util
import json
import math
import os
import sys
import tempfile
from pathlib import Path

from c2f_zoo.tables import table as table

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

DEFAULT_FLOW_PRESET = "pwcnet_lite.scenes"
DEFAULT_STEREO_PRESET = "psmnet_lite.scenes"
DEFAULT_DEPTH_PRESET = "depth_unet.scenes"
DEFAULT_GENERATOR_PRESET = "progan_64.fluent"
DEFAULT_RESTORATION_PRESETS = {
    "denoise": "unet_denoise.real",
    "deblur": "unet_deblur.photos",
    "inpaint": "unet_inpaint.photos",
    "upscale": "srnet_x2.photos",
}

# What a model does, by the name of its task in prose.
_VERBS = {"optical flow": "flow", "stereo matching": "disparity", "depth estimation": "depth"}

DTYPES = ("float32", "mixed_bfloat16", "mixed_float16")

BACKENDS = ("tensorflow", "jax", "torch")
_Options = collections.namedtuple("_Options", "debug dtype", defaults=(False, None))
_options = contextvars.ContextVar("options", default=_Options())  # noqa: B039


class CommandError(Exception):
    """An error that the user can mend: its message alone is shown."""

    status = FAILED


class UsageError(CommandError):
    """A wrong command line."""

    status = USAGE


def say(*lines):
    """Print result lines on standard output."""
    for line in lines:
        print(line, flush=True)


def say_contents(pairs):
    """Print pairs of a path and what it holds in two columns."""
    longest = max(len(str(path)) for path, _ in pairs)
    say(*(f"{str(path).ljust(longest)}  {content}" for path, content in pairs))


def note(line):
    """Print a remark on standard error, where it does not disturb results."""
    print(f"c2f: {line}", file=sys.stderr, flush=True)


def choose_backend():
    """Choose Keras' backend before Keras is imported, and return its name.

    It is that of `KERAS_BACKEND`, else of Keras' own `keras.json`, else TensorFlow; where that of
    the last two is not installed, an installed one is taken, and a line on standard error says so.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"].backend.backend()
    asked = os.environ.get("KERAS_BACKEND")
    installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
    if asked:
        if asked in BACKENDS and asked not in installed:
            raise CommandError(
                f'KERAS_BACKEND asks for {asked}, which is not installed: pip install "c2f_zoo'
                f'[{asked}]". Received: {" and ".join(installed) or "no backend"} installed'
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


def start_backend(processors=1):
    """Choose the backend, import Keras without TensorFlow's log lines, and return its name.

    The log lines are printed if the start fails, with `--debug`, or with `TF_CPP_MIN_LOG_LEVEL`.
    Where there is no GPU, the processor becomes `processors` devices, if nothing has run yet.
    """
    chosen = choose_backend()
    if chosen == "jax" and processors > 1:
        flag = f"--xla_force_host_platform_device_count={processors}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    is_quiet = not (_options.get().debug or "TF_CPP_MIN_LOG_LEVEL" in os.environ)
    if is_quiet:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if chosen == "tensorflow":
        is_first = "keras" not in sys.modules
        # TensorFlow 2.21 logs some lines whatever the level, on its import and on its first
        # operation (tensorflow#100442).
        with _held_back_messages() if is_quiet and is_first else contextlib.nullcontext():
            if processors > 1:
                from c2f_zoo.backend import divide_processor

                divide_processor(processors)
            if is_quiet and is_first:
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


def load_model(preset, **overrides):
    """Load a preset, a name, folder or `hf://` address, on the chosen backend.

    `overrides` are constructor arguments that replace the preset's.
    """
    start_backend()
    from c2f_zoo.hub import load

    dtype = _options.get().dtype
    return load(preset, **overrides, **({"dtype": dtype} if dtype else {}))


def load_flow_model(preset):
    """Load a preset that estimates optical flow; raise CommandError for another task."""
    return check_task(load_model(preset), preset, "optical flow")


def load_stereo_model(preset, max_disparity=None, align_corners=False):
    """Load a preset, or a file, that estimates disparity; raise CommandError for another task.

    `max_disparity`, unless None, is the range of the network, in pixels; `align_corners` as of
    `load_model_or_file`.
    """
    model = load_model_or_file(preset, max_disparity, align_corners)
    return check_task(model, preset, "stereo matching")


def load_model_or_file(preset, max_disparity=None, align_corners=False):
    """Load a preset, or the authors' weights of PSMNet from their file.

    `align_corners` is the convention of such a file, that of a preset is part of it.
    """
    overrides = {} if max_disparity is None else {"max_disparity": max_disparity}
    path = Path(preset).expanduser()
    if not path.is_file():
        if align_corners:
            raise UsageError(
                "--align-corners is for the authors' file of weights of PSMNet; a preset has its "
                f"own convention. Received: {preset}"
            )
        return load_model(preset, **overrides)
    start_backend()
    from c2f_zoo.models.psmnet.torch_weights import convert_official_psmnet

    return convert_official_psmnet(path, **overrides, align_corners=align_corners)


def add_align_corners(parser):
    """Add `--align-corners`, for the authors' files of weights of PSMNet."""
    parser.add_argument(
        "--align-corners",
        action="store_true",
        help="of a file of weights of psmnet: it was published before 2021, for PyTorch 0.4.0",
    )


def load_depth_model(preset):
    """Load a preset that estimates depth; raise CommandError for another task."""
    return check_task(load_model(preset), preset, "depth estimation")


def check_task(model, preset, purpose):
    """Return a model if it is for a purpose, a key of `_VERBS`; else raise CommandError."""
    if not hasattr(model, _VERBS[purpose]):
        raise CommandError(
            f"A preset for {purpose} is needed (c2f models --task {purpose.replace(' ', '_')}). "
            f"Received: {preset}, a {type(model).__name__}"
        )
    return model


def add_iterations(parser):
    """Add `--iterations` of networks that refine a flow again and again."""
    parser.add_argument(
        "--iterations",
        type=positive_count,
        metavar="N",
        help="refinements, of networks that repeat them (raft; default: the preset's: 12, or 4 of "
        "the lite network)",
    )


def set_iterations(model, arguments):
    """Give a flow model the `--iterations` asked for, or refuse them."""
    if arguments.iterations is None:
        return
    if not hasattr(model, "iterations"):
        name = type(model).__name__
        raise UsageError(f"--iterations is for networks that repeat theirs. Received: a {name}")
    model.iterations = arguments.iterations


def add_max_disparity(parser):
    """Add `--max-disparity` of networks whose range is an argument."""
    parser.add_argument(
        "--max-disparity",
        type=positive_count,
        metavar="PX",
        help="range of the network: disparities below this (psmnet; default: the preset's)",
    )


def progress(total, unit, quiet=False):
    """Open a `tqdm` bar on standard error; `total` may be None, `unit` is singular ("frame")."""
    from tqdm import tqdm

    # A bar that is written into a log file should not fill it.
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total, unit=f" {unit}s", mininterval=interval, dynamic_ncols=True, disable=quiet
    )


def check_folder_is_writable(folder):
    """Raise CommandError unless files can be written to a folder, which is not created yet."""
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


def number_type(kind, what, least=-math.inf, most=math.inf, above=-math.inf):
    """Make an argument's `type`, a finite int or float; argparse calls others "invalid `what`"."""

    def parse(text):
        value = kind(text)
        if not (above < value < math.inf and least <= value <= most):
            raise ValueError(text)
        return value

    parse.__name__ = what
    return parse


positive_count = number_type(int, "positive whole number", least=1)
positive_number = number_type(float, "positive number", above=0)
quality = number_type(int, "quality (1 to 100)", 1, 100)


def print_json(value):
    """Print a value as JSON on standard output; NaN and infinity become null."""
    say(json.dumps(_without_nan(value), indent=2, allow_nan=False))


def _without_nan(value):
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    is_odd = isinstance(value, float) and (value != value or abs(value) == float("inf"))
    return None if is_odd else value
