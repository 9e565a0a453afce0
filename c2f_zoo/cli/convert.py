"""`c2f convert`: published weights of other frameworks become a preset folder."""

import importlib
import time
from pathlib import Path

from c2f_zoo.checks import suggestion
from c2f_zoo.cli.common import (
    CommandError,
    UsageError,
    add_align_corners,
    check_folder_is_writable,
    say,
    start_backend,
)

EXAMPLES = """No PyTorch is needed, and nothing in the file is executed.

examples:
  c2f convert pwc_net.pth.tar -o pwcnet.official
  c2f convert pwc_net.pth.tar -o pwcnet.official --half
  c2f convert raft raft-things.pth -o raft.things
  c2f convert psmnet pretrained_sceneflow_new.tar -o psmnet.official
  c2f convert psmnet pretrained_sceneflow.tar -o psmnet.official --align-corners
  c2f convert stylegan2 stylegan2-ffhq-config-f.pt -o stylegan2.ffhq
  c2f convert progan celebaHQ_s6_i80000-1.pth -o progan_256.celebahq
  c2f flow a.png b.png --preset ./pwcnet.official"""

# Architecture, the function that reads its files, and the terms of the official ones.
IMPORTERS = {
    "pwcnet": (
        "c2f_zoo.models.pwcnet.torch_weights:convert_official_pwcnet",
        "NVIDIA published the official ones of PWC-Net under CC BY-NC-SA 4.0.",
    ),
    "raft": (
        "c2f_zoo.models.raft.torch_weights:convert_official_raft",
        "the official ones of RAFT are part of its repository, under BSD 3-Clause; the data sets "
        "that they were trained on have terms of their own.",
    ),
    "psmnet": (
        "c2f_zoo.models.psmnet.torch_weights:convert_official_psmnet",
        "the official code of PSMNet is under the MIT licence.",
    ),
    "stylegan2": (
        "c2f_zoo.models.gans.torch_stylegan2:convert_rosinality_stylegan2",
        "NVIDIA published its own weights, from which many such files were converted, for "
        "non-commercial use.",
    ),
    "progan": (
        "c2f_zoo.models.gans.torch_progan:convert_torch_progan",
        "pytorch_GAN_zoo is under BSD 3-Clause, pro_gan_pytorch under the MIT licence; the data "
        "sets that weights were trained on have terms of their own.",
    ),
}


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "convert",
        help="turn published PyTorch weights into a preset",
        description="Turn PyTorch weights of a published code into a preset folder.",
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "source",
        nargs="+",
        metavar="[ARCHITECTURE] FILE",
        help=f"the file of weights, after what they are of: {', '.join(IMPORTERS)} (default: "
        "pwcnet)",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="preset folder to write"
    )
    parser.add_argument("--architecture", choices=IMPORTERS, help="the same, as an option")
    add_align_corners(parser)
    parser.add_argument(
        "--half", action="store_true", help="store 16-bit floats: half the size on disk"
    )
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    architecture, source = _source(arguments)
    folder = Path(arguments.output).expanduser()
    if arguments.align_corners and architecture != "psmnet":
        raise UsageError(f"--align-corners is for psmnet. Received: {architecture}")
    if not source.is_file():
        what = f"{source}, a folder" if source.is_dir() else f"{source}, which does not exist"
        raise CommandError(f"Expected a file of weights. Received: {what}")
    check_folder_is_writable(folder)
    start_backend()
    module, function = IMPORTERS[architecture][0].split(":")
    convert = getattr(importlib.import_module(module), function)

    start = time.perf_counter()
    model = convert(source, **({"align_corners": True} if arguments.align_corners else {}))
    precision = "float16" if arguments.half else "float32"
    model.save_pretrained(
        folder, _metadata(architecture, source, folder, arguments), precision=precision
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    say(
        f"{folder}  {type(model).__name__} with {model.count_params():,} parameters, "
        f"{size / 1e6:.1f} MB",
        f"time: {time.perf_counter() - start:.1f} s",
    )


def _source(arguments):
    """The architecture and the file that the command line names."""
    *names, source = arguments.source
    named = [*names, *([arguments.architecture] if arguments.architecture else [])]
    if len(set(named)) > 1:
        raise UsageError(
            f"Give one architecture and one file. Received: {' '.join([*named, source])}"
        )
    architecture = named[0] if named else "pwcnet"
    if architecture not in IMPORTERS:
        raise UsageError(
            f"The architecture must be one of {', '.join(IMPORTERS)}."
            f"{suggestion(architecture, IMPORTERS)} Received: {architecture}"
        )
    return architecture, Path(source).expanduser()


def _metadata(architecture, source, folder, arguments):
    given = "" if architecture == "pwcnet" else f"{architecture} "
    options = " --align-corners" * arguments.align_corners + " --half" * arguments.half
    return {
        "summary": "Weights that were published for PyTorch, converted.",
        "recipe": {"command": f"c2f convert {given}{source.name} -o {folder.name}{options}"},
        "limits": [
            "The licence of these weights is that of the file they come from; "
            f"{IMPORTERS[architecture][1]}"
        ],
    }
