"""Publish the checkpoints of models/ on the Hugging Face Hub.

    python hub_upload/upload.py --dry-run                 check all of them, send nothing
    python hub_upload/upload.py                           publish all of them
    python hub_upload/upload.py pwcnet_lite.scenes        publish one
    python hub_upload/upload.py --organisation my-name    publish under another owner

Each preset becomes the repository <organisation>/<name>. See README.md beside this file.
"""

import argparse
import pathlib
import sys

from tqdm import tqdm

from c2f_zoo.checks import suggestion
from c2f_zoo.hub import PresetError, push
from c2f_zoo.hub.resolving import organisation

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


def main(arguments: list[str] | None = None) -> int:
    """Publish what the command line names; return 0, or 1 if anything was not published."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="presets to publish (default: all of models/)")
    parser.add_argument("--organisation", default=organisation(), help="owner (%(default)s)")
    parser.add_argument("--models", type=pathlib.Path, default=MODELS, help="folder of presets")
    parser.add_argument("--revision", help="branch to publish on (default: main)")
    parser.add_argument("--private", action="store_true", help="make new repositories private")
    parser.add_argument("--dry-run", action="store_true", help="check everything, send nothing")
    options = parser.parse_args(arguments)
    try:
        folders = find_folders(options.names, options.models)
    except PresetError as error:
        print(error, file=sys.stderr)
        return 1
    failed = 0
    for folder in tqdm(folders, unit="preset", disable=None):
        try:
            done = push(
                folder,
                f"{options.organisation}/{folder.name}",
                private=options.private,
                revision=options.revision,
                dry_run=options.dry_run,
            )
        except PresetError as error:
            # The others are published all the same.
            tqdm.write(str(error), file=sys.stderr)
            failed += 1
            continue
        outcome = f"would publish {len(done.files)} files" if options.dry_run else f"at {done.url}"
        tqdm.write(f"{done.repo_id}: {outcome}, {done.size / 1e6:.1f} MB")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
