"""`c2f push`: a preset folder is published on the Hugging Face Hub."""

from pathlib import Path

from c2f_zoo.cli.common import CommandError, note, say

EXAMPLES = """Only the preset's own files are sent, in one commit, and of them only what changed.
Log in before: `hf auth login`, or HF_TOKEN, with a token that may write.

examples:
  c2f push my_flow my-name/my_flow --dry-run
  c2f push my_flow my-name/my_flow --private
  c2f push my_flow my-name/my_flow --revision experiment -m "More steps" """


def add_parser(verbs):
    """Add the verb to the subparsers `verbs` and return its parser."""
    parser = verbs.add_parser(
        "push",
        help="publish a preset folder on the Hugging Face Hub",
        description="Publish a preset folder, as save_pretrained or a recipe writes it.",
        epilog=EXAMPLES,
    )
    parser.add_argument("folder", metavar="DIR", help="folder of the preset")
    parser.add_argument("repository", metavar="OWNER/NAME", help="repository on the Hub")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="branch (default: main)")
    parser.add_argument("-m", "--message", help="message of the commit")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check all, say what would change, send nothing",
    )
    return parser


def run(arguments):
    """Carry out the parsed command line."""
    from c2f_zoo.hub import PresetError, compare, push

    folder = Path(arguments.folder).expanduser()
    if not folder.is_dir():
        raise CommandError(f"DIR is the folder of a preset. Received: {arguments.folder}")
    options = {
        "private": arguments.private,
        "revision": arguments.revision,
        "commit_message": arguments.message,
        "dry_run": arguments.dry_run,
    }
    done = push(folder, arguments.repository, **options)
    size = f"{len(done.files)} files, {done.size / 1e6:.1f} MB"
    if not arguments.dry_run:
        say(f"{done.repo_id}: {done.changes}", f"{size}, at {done.url}")
        return
    try:
        changes = compare(folder, arguments.repository, revision=arguments.revision)
    except PresetError as error:
        note(f"the folder can be published, but {error}")
    else:
        say(f"{done.repo_id}: {changes}")
    say(f"{size}: nothing was sent", *(f"  {name}" for name in done.files))
