"""`c2f denoise`: remove the noise of photographs."""

from c2f_zoo.cli import restoring

EXAMPLES = """\
  c2f denoise photo.jpg                   writes photo_denoised.png
  c2f denoise photos/ -o clean/ --format jpg --quality 90
  c2f denoise 'photos/*.jpg' --side-by-side
  c2f denoise scan.tif --tile 512 --overlap 64"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    return restoring.add_parser(
        verbs,
        "denoise",
        "remove the noise of photographs",
        "Remove the noise of photographs.",
        EXAMPLES,
    )


def run(arguments):
    """Carry out the parsed command line."""
    return restoring.run(arguments, "denoise", {"time": arguments.time})
