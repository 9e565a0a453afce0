"""`c2f deblur`: photographs sharpened."""

from c2f_zoo.cli import restoring

EXAMPLES = (
    restoring.ABOUT_FILES.format(suffix=restoring.SUFFIXES["deblur"])
    + """
examples:
  c2f deblur photo.jpg                    writes photo_deblurred.png
  c2f deblur photos/ -o sharp/
  c2f deblur 'photos/*.jpg' --side-by-side"""
)


def add_parser(verbs):
    """Add the verb to the command line.

    Args:
        verbs: What `argparse.ArgumentParser.add_subparsers` returned.

    Returns:
        The verb's parser.
    """
    parser = verbs.add_parser(
        "deblur",
        help="sharpen photographs that are a little out of focus",
        description="Sharpen photographs that are blurred as the preset's training images were.",
        epilog=EXAMPLES,
    )
    restoring.add_arguments(parser, "deblur")
    restoring.add_time(parser)
    return parser


def run(arguments):
    """Do what the command line says.

    Args:
        arguments: Namespace of the verb's parser.

    Returns:
        Exit status: 1 if a file failed among others.
    """
    return restoring.run(arguments, "deblur", {"time": arguments.time})
