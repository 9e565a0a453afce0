"""`c2f upscale`: photographs enlarged."""

from c2f_zoo.cli import restoring

EXAMPLES = (
    restoring.ABOUT_FILES.format(suffix=restoring.SUFFIXES["upscale"])
    + """
examples:
  c2f upscale photo.jpg                   writes photo_upscaled.png
  c2f upscale icons/ -o large/ --format webp
  c2f upscale photo.jpg --side-by-side    also the input, enlarged bicubically, beside it"""
)


def add_parser(verbs):
    """Add the verb to the command line.

    Args:
        verbs: What `argparse.ArgumentParser.add_subparsers` returned.

    Returns:
        The verb's parser.
    """
    parser = verbs.add_parser(
        "upscale",
        help="enlarge photographs",
        description="Enlarge photographs by the preset's factor.",
        epilog=EXAMPLES,
    )
    restoring.add_arguments(parser, "upscale")
    return parser


def run(arguments):
    """Do what the command line says.

    Args:
        arguments: Namespace of the verb's parser.

    Returns:
        Exit status: 1 if a file failed among others.
    """
    return restoring.run(arguments, "upscale")
