"""`c2f denoise`: photographs without their noise."""

from c2f_zoo.cli import restoring

EXAMPLES = (
    restoring.ABOUT_FILES.format(suffix=restoring.SUFFIXES["denoise"])
    + """
examples:
  c2f denoise photo.jpg                   writes photo_denoised.png
  c2f denoise photos/ -o clean/ --format jpg --quality 90
  c2f denoise 'photos/*.jpg' --side-by-side
  c2f denoise scan.tif --tile 512 --overlap 64"""
)


def add_parser(verbs):
    """Add the verb to the command line.

    Args:
        verbs: What `argparse.ArgumentParser.add_subparsers` returned.

    Returns:
        The verb's parser.
    """
    parser = verbs.add_parser(
        "denoise",
        help="take the noise out of photographs",
        description="Take the noise out of photographs.",
        epilog=EXAMPLES,
    )
    restoring.add_arguments(parser, "denoise")
    restoring.add_time(parser)
    return parser


def run(arguments):
    """Do what the command line says.

    Args:
        arguments: Namespace of the verb's parser.

    Returns:
        Exit status: 1 if a file failed among others.
    """
    return restoring.run(arguments, "denoise", {"time": arguments.time})
