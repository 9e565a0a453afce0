"""`c2f convert`: published weights of other frameworks become a preset folder."""

import importlib
import time
from pathlib import Path

from c2f_zoo.cli.common import CommandError, check_folder_is_writable, say, start_backend

EXAMPLES = """No PyTorch is needed, and nothing in the file is executed.

examples:
  c2f convert pwc_net.pth.tar -o pwcnet.official
  c2f convert pwc_net.pth.tar -o pwcnet.official --half
  c2f convert raft raft-things.pth -o raft.things
  c2f flow a.png b.png --preset ./raft.things"""

# Where the reader of an architecture's weights is, and under which terms they were published.
ARCHITECTURES = {
    "pwcnet": (
        "c2f_zoo.models.pwcnet.torch_weights",
        "convert_official_pwcnet",
        "NVIDIA published the official ones of PWC-Net under CC BY-NC-SA 4.0.",
    ),
    "raft": (
        "c2f_zoo.models.raft.torch_weights",
        "convert_official_raft",
        "the official ones of RAFT are part of its repository, under BSD 3-Clause; the data sets "
        "that they were trained on have terms of their own.",
    ),
}


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "convert",
        help="turn published PyTorch weights into a preset",
        description="Turn the official PyTorch weights of a model into a preset folder.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "kind",
        nargs="?",
        choices=tuple(ARCHITECTURES),
        metavar="ARCHITECTURE",
        help=f"what the weights are of: {', '.join(ARCHITECTURES)} (default: pwcnet)",
    )
    parser.add_argument("source", metavar="SOURCE", help="the file, such as pwc_net.pth.tar")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="preset folder to write"
    )
    parser.add_argument(
        "--architecture",
        choices=tuple(ARCHITECTURES),
        default="pwcnet",
        help="the same as an option",
    )
    parser.add_argument(
        "--half", action="store_true", help="store 16-bit floats: half the size on disk"
    )
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    source, folder = Path(arguments.source).expanduser(), Path(arguments.output).expanduser()
    if not source.is_file():
        what = f"{source}, a folder" if source.is_dir() else f"{source}, which does not exist"
        raise CommandError(f"Expected a file of weights. Received: {what}")
    check_folder_is_writable(folder)
    start_backend()
    architecture = arguments.kind or arguments.architecture
    module, function, _ = ARCHITECTURES[architecture]
    convert = getattr(importlib.import_module(module), function)

    start = time.perf_counter()
    model = convert(source)
    precision = "float16" if arguments.half else "float32"
    model.save_pretrained(
        folder, _metadata(source, folder, arguments, architecture), precision=precision
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(
        f"{folder}  {type(model).__name__} with {model.count_params():,} parameters, "
        f"{size / 1e6:.1f} MB",
        f"time: {time.perf_counter() - start:.1f} s",
    )


def _metadata(source, folder, arguments, architecture):
    half = " --half" if arguments.half else ""
    kind = "" if architecture == "pwcnet" else f"{architecture} "
    terms = ARCHITECTURES[architecture][-1]
    return {
        "summary": "Weights published for PyTorch by the authors, converted.",
        "recipe": {"command": f"c2f convert {kind}{source.name} -o {folder.name}{half}"},
        "limits": [f"The licence of these weights is that of the file they come from; {terms}"],
    }
