"""The `c2f` command: reads the command line, runs the verb, turns errors into exit statuses."""

import argparse
import os
import re
import sys
import warnings

from c2f_zoo.checks import suggestion
from c2f_zoo.cli import (
    completion,
    convert,
    deblur,
    denoise,
    depth,
    doctor,
    evaluate,
    flow,
    generate,
    inpaint,
    interpolate,
    models,
    push,
    show,
    stereo,
    train,
    upscale,
)
from c2f_zoo.cli.common import FAILED, INTERRUPTED, OK, USAGE, CommandError, add_dtype, options_of

EXAMPLES = """examples:
  c2f flow                              two frames shipped with the package, into c2f_flow/
  c2f flow a.png b.png -o out/          motion from a.png to b.png: .flo, picture, warped frame
  c2f flow clip.mp4                     a video of the motion, beside the clip
  c2f interpolate clip.mp4 --factor 4   slow motion, into clip_interpolated.mp4
  c2f stereo l.png r.png --preset NAME  disparity: .pfm, 16-bit png, picture; .ply with --calib
  c2f depth photo.jpg                   depth: 16-bit png of millimetres, picture
  c2f denoise photos/ -o clean/         photographs without their noise
  c2f denoise clip.mp4                  a video, steadied along its motion
  c2f deblur photo.jpg                  sharpened, into photo_deblurred.png
  c2f inpaint photo.jpg --mask m.png    what the mask leaves out is filled
  c2f upscale photo.jpg                 twice as large
  c2f generate progan_64.fluent -n 16   pictures from a seed; --film walks between them
  c2f models                            the trained models, by name
  c2f show pwcnet_lite.scenes           all about one of them
  c2f evaluate pwcnet_lite.scenes --dataset sintel --root MPI-Sintel-complete
  c2f convert pwc_net.pth.tar -o pwcnet.official
  c2f push my_flow my-name/my_flow      a preset folder goes to the Hugging Face Hub
  c2f train --list                      the recipes that train them
  c2f doctor                            what is installed, what works, where files are kept
  c2f completion bash                   the lines that complete c2f on a tab

`c2f VERB --help` says more, with examples. Exit status: 0 done, 1 an error in the work, 2 a wrong
command line, 130 stopped by ctrl-C."""

VERBS = (
    *(flow, interpolate, stereo, depth, denoise, deblur, inpaint, upscale, generate),
    *(models, show, evaluate, convert, push, train, doctor, completion),
)
COMPUTING = (
    *(flow, interpolate, stereo, depth, denoise, deblur, inpaint, upscale, generate),
    evaluate,
)

# The longest message that is still one thing to read: frameworks put whole programs into theirs.
_LONGEST_MESSAGE = 1000


def main(argv=None):
    """Run the command with the arguments `argv`, by default `sys.argv[1:]`; return its status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:  # a shell asks how a line goes on
        from c2f_zoo.cli.completion import complete

        complete(make_parser())
    try:
        # A recipe's own arguments are not ours to read.
        argv, recipe_arguments = train.split_recipe_arguments(argv)
        arguments = make_parser().parse_args(argv)
        arguments.recipe_arguments = recipe_arguments
    except SystemExit as stop:  # argparse has printed help, the version or what is wrong
        return stop.code or OK
    if arguments.run is None:
        make_parser().print_help(sys.stderr)
        return USAGE
    return _run(arguments)


def make_parser():
    """Build the parser of the whole command line; its result has `run`, the verb's function."""
    parser = _Parser(
        prog="c2f",
        description="Coarse-to-fine vision models: use, inspect, measure and train them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    parser.add_argument(
        "--debug", action="store_true", help="show tracebacks, and what frameworks log"
    )
    parser.set_defaults(run=None)
    verbs = parser.add_subparsers(
        title="verbs", dest="verb", metavar="VERB", parser_class=_VerbParser
    )
    for module in VERBS:
        verb = module.add_parser(verbs)
        verb.formatter_class = argparse.RawDescriptionHelpFormatter
        verb.set_defaults(run=module.run)
        if module in COMPUTING:
            add_dtype(verb)
        # Suppressed, or its default would undo a --debug given before the verb.
        verb.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
    return parser


class _Parser(argparse.ArgumentParser):
    """Suggests the nearest verb, choice or option to a mistyped one."""

    def error(self, message):
        choice = re.search(r"invalid choice: '?(.*?)'? \(choose from (.*)\)$", message)
        option = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        near = ""
        if choice:
            near = suggestion(choice[1], re.findall(r"[^\s',]+", choice[2]))
        elif option:
            near = suggestion(option[1], self._known_options())
        super().error(f"{message}.{near}" if near else message)

    def _known_options(self):
        verbs = next(action.choices for action in self._actions if action.dest == "verb")
        actions = [action for verb in verbs.values() for action in verb._actions]
        return {name for action in actions for name in action.option_strings}


class _VerbParser(_Parser):
    """Lets options stand between positional arguments: `c2f flow a.png -o out b.png`."""

    _is_inside = False

    def parse_known_args(self, args=None, namespace=None):
        # parse_known_intermixed_args calls this method itself.
        if self._is_inside:
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False


class _Version(argparse.Action):
    """Imports the version only when it is asked for."""

    def __call__(self, parser, namespace, values, option_string=None):
        import c2f_zoo

        print(f"c2f_zoo {c2f_zoo.__version__}")
        parser.exit()


def _run(arguments):
    with warnings.catch_warnings(), options_of(arguments):
        if not arguments.debug:
            warnings.showwarning = _show_warning
        try:
            return arguments.run(arguments) or OK
        except KeyboardInterrupt:
            print("c2f: stopped", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:
            # The reader of a pipe (`c2f models | head`) has left. Python would complain once
            # more when it flushes standard output on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OK
        except Exception as error:
            if arguments.debug:
                raise
            print(f"c2f: error: {_message(error)}", file=sys.stderr)
            return error.status if isinstance(error, CommandError) else FAILED


def _message(error):
    if isinstance(error, OSError) and error.strerror:
        place = f": {error.filename}" if error.filename else ""
        return _one_line(f"{error.strerror}{place}")
    if type(error).__module__.startswith("c2f_zoo."):
        return str(error).strip()  # where our own have lines, they are a list to choose from
    if isinstance(error, (OSError, ValueError, ImportError)):
        return _one_line(str(error))
    return _one_line(f"{type(error).__name__}: {error} (--debug shows where)")


def _one_line(text):
    # Keras wraps what a model raises between a headline and a list of tensors, in bold type.
    bold = re.search(r"\x1b\[1m(.*?)\x1b\[0m", text, re.DOTALL)
    text = bold.group(1) if bold else text
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " ..."


def _show_warning(message, category, filename, lineno, file=None, line=None):
    if not issubclass(category, (DeprecationWarning, PendingDeprecationWarning, FutureWarning)):
        print(f"c2f: warning: {_one_line(str(message))}", file=sys.stderr)
