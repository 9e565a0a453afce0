"""`c2f upscale`: enlarge photographs."""

from c2f_zoo.cli import restoring

EXAMPLES = """\
  c2f upscale photo.jpg                   writes photo_upscaled.png
  c2f upscale icons/ -o large/ --format webp
  c2f upscale photo.jpg --side-by-side    also the input, enlarged bicubically, beside it"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    return restoring.add_parser(
        verbs,
        "upscale",
        "enlarge photographs",
        "Enlarge photographs by the preset's factor.",
        EXAMPLES,
    )


def run(arguments):
    """Carry out the parsed command line."""
    return restoring.run(arguments, "upscale", {"time": arguments.time})
