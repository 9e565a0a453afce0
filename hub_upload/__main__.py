"""Publish the checkpoints of models/ on the Hugging Face Hub.

    python -m hub_upload --all --dry-run           check all of them, say what would change
    python -m hub_upload --all                     publish all, and the organisation's pages
    python -m hub_upload pwcnet_lite.scenes        publish one
    python -m hub_upload --all --org my-name       publish under another owner

Each preset becomes the repository <org>/<name>. See hub_upload/README.md.
"""

import argparse
import pathlib
import sys

from c2f_zoo.checks import suggestion
from c2f_zoo.hub import PresetError, resolving
from hub_upload.organisation import publish_organisation, render_organisation
from hub_upload.publication import publish, rehearse
from hub_upload.validation import validate

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"


def find_folders(names: list[str], models: pathlib.Path) -> list[pathlib.Path]:
    """Return the folders of the named presets, or of all, or raise PresetError."""
    known = {path.parent.name: path.parent for path in sorted(models.glob("*/config.json"))}
    for name in names:
        if name not in known:
            raise PresetError(
                f"{models} holds no such preset.{suggestion(name, known)} It holds: "
                f"{', '.join(known) or 'none'}. Received: {name!r}"
            )
    if not known:
        raise PresetError(f"There is nothing to publish. Received: the folder {models}")
    return [known[name] for name in names or known]


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m hub_upload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="names of presets to publish")
    parser.add_argument(
        "--all",
        action="store_true",
        help="all of models/, then the collection and the organisation's card",
    )
    parser.add_argument(
        "--org", default=resolving.organisation(), help="owner of the repositories (%(default)s)"
    )
    parser.add_argument("--models", type=pathlib.Path, default=MODELS, help="folder of presets")
    parser.add_argument(
        "--pins",
        type=pathlib.Path,
        default=resolving.PINS,
        help="file of the revisions that plain names lead to (%(default)s)",
    )
    parser.add_argument("--private", action="store_true", help="make new repositories private")
    parser.add_argument(
        "--dry-run", action="store_true", help="check all, say what would change, send nothing"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Publish what the command line names; return 0, or 1 if anything was not published."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.all == bool(options.presets):
        parser.error("name presets, or give --all")
    try:
        folders = find_folders(options.presets, options.models)
    except PresetError as error:
        print(error, file=sys.stderr)
        return 1
    failed = 0
    for number, folder in enumerate(folders, 1):
        place = f"[{number}/{len(folders)}] {options.org}/{folder.name}"
        try:
            metadata = validate(folder)
            if options.dry_run:
                done = rehearse(folder, f"{options.org}/{folder.name}")
            else:
                done = publish(folder, metadata, options)
        except PresetError as error:
            # The others are published all the same.
            print(f"{place}: {error}", file=sys.stderr, flush=True)
            failed += 1
            continue
        print(f"{place}: {done}", flush=True)
    if options.all and not failed:
        try:
            failed += _organisation(folders, options)
        except PresetError as error:
            print(error, file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _organisation(folders: list[pathlib.Path], options: argparse.Namespace) -> int:
    if options.dry_run:
        print(f"{options.org}: its card would be\n\n{render_organisation(folders, options.org)}")
    else:
        print(f"{options.org}: {publish_organisation(folders, options.org, options.private)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
