"""`c2f deblur`: sharpen photographs."""

from c2f_zoo.cli import restoring

EXAMPLES = """\
  c2f deblur photo.jpg                    writes photo_deblurred.png
  c2f deblur photos/ -o sharp/
  c2f deblur 'photos/*.jpg' --side-by-side"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    return restoring.add_parser(
        verbs,
        "deblur",
        "sharpen photographs that are a little out of focus",
        "Sharpen photographs that are blurred as the preset's training images were.",
        EXAMPLES,
    )


def run(arguments):
    """Carry out the parsed command line."""
    return restoring.run(arguments, "deblur", {"time": arguments.time})
