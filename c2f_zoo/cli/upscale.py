"""`c2f upscale`: enlarge photographs."""

from c2f_zoo.cli import restoring

EXAMPLES = """\
  c2f upscale photo.jpg                   writes photo_upscaled.png
  c2f upscale icons/ -o large/ --format webp
  c2f upscale photo.jpg --side-by-side    also the input, enlarged bicubically, beside it"""


def add_parser(verbs):
    """Add the verb to the command line.

    Args:
        verbs: What `argparse.ArgumentParser.add_subparsers` returned.

    Returns:
        The verb's parser.
    """
    parser = restoring.add_parser(
        verbs,
        "upscale",
        "enlarge photographs",
        "Enlarge photographs by the preset's factor.",
        EXAMPLES,
    )
    restoring.add_time(parser)
    return parser


def run(arguments):
    """Run the verb.

    Args:
        arguments: Namespace of the verb's parser.

    Returns:
        Exit status: 1 if a file failed among others.
    """
    return restoring.run(arguments, "upscale", {"time": arguments.time})
