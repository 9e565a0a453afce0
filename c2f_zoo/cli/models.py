"""`c2f models`: the trained models that come with the package."""

from c2f_zoo.cli.common import print_json, say

EXAMPLES = """examples:
  c2f models
  c2f models --task flow
  c2f models --json"""


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "models",
        aliases=["list"],
        help="list the trained models",
        description="List the trained models (presets) that come with the package.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--task", help="only those of one task, such as flow or denoising")
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    from c2f_zoo.hub import list_presets

    presets = list_presets(arguments.task)
    if arguments.json:
        print_json([vars(preset) | {"path": str(preset.path)} for preset in presets])
        return
    if not presets:
        of_task = f" for {arguments.task}" if arguments.task else ""
        say(f"no trained model{of_task} comes with this installation")
        return
    say(*presets.lines(), "", f"c2f show {presets[0].name} says more about one of them")
