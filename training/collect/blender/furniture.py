"""The models of Debian's `sweethome3d-furniture`: catalogue, licences, and who made them.

The package holds five archives of furniture, each under one licence, with a catalogue that gives
the real size of each model, where it stands, and its author.
"""

import io
import re
import subprocess
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from training.collect.archives import read_archive

PACKAGE = "sweethome3d-furniture"
CATALOGUE = "PluginFurnitureCatalog.properties"
HELD_OUT_SHARE = 10  # one model in ten
_ENTRY = re.compile(r"(\w+)#(\d+)\s*=\s*(.*)")


@dataclass(frozen=True)
class Model:
    """A model of the catalogue; lengths in metres.

    Attributes:
        name: Its id, such as "Scopia#bed1".
        path: Its `.obj` file below the unpacked folder.
        size: Width, depth and height.
        elevation: Height above the floor at which it belongs; 0 for what stands on the floor.
        top: Height above its own foot at which things can be put on it, None where they cannot.
        rotation: What turns its vertices before anything else, nine numbers row by row.
        category: Such as "Bedroom".
        author, licence: Whom to credit, and the terms.
    """

    name: str
    path: str
    size: tuple[float, float, float]
    elevation: float = 0.0
    top: float | None = None
    rotation: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    category: str = ""
    author: str = ""
    licence: str = ""


def licence_of(text: str) -> str | None:
    """The free licence that an archive's or a model's licence text grants, None for another.

    Terms that forbid a use or require the same licence (NC, ND, SA) are not accepted.
    """
    lowered = " ".join(text.lower().split())
    # What the licences say in passing about others' rights must not count.
    if re.search(r"non-?commercial|no-?deriv|share-?alike|\bby-(nc|nd|sa)", lowered):
        return None
    if "creative commons zero" in lowered or "publicdomain/zero" in lowered or "cc0" in lowered:
        return "CC0-1.0"
    if found := re.search(r"creative commons attribution (\d\.\d)", lowered):
        country = " US" if "united states" in lowered else ""
        return f"CC-BY-{found[1]}{country}"
    return "public domain" if "public domain" in lowered[:300] else None


def read_catalogue(text: str, archive: str, licence: str, own: dict[str, str]) -> list[Model]:
    """The models of one catalogue.

    Args:
        text: The `.properties` file.
        archive: Name of the archive, the folder into which it is unpacked.
        licence: The archive's licence.
        own: Licence texts that lie in a model's folder, by that folder; they decide.
    """
    entries: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        if match := _ENTRY.match(line.strip()):
            entries.setdefault(int(match[2]), {})[match[1]] = match[3].strip()
    models = []
    for entry in entries.values():
        path = entry.get("model", "").lstrip("/")
        folder = path.rpartition("/")[0]
        terms = licence_of(own[folder]) if folder in own else licence
        if not path.lower().endswith(".obj") or terms is None:
            continue
        length = {key: float(entry.get(key, 0)) / 100 for key in ("width", "depth", "height")}
        # 0 to 1 of old catalogues is a share of the height; below 0 nothing may stand there.
        top = float(entry.get("dropOnTopElevation", -1)) / 100
        turn = tuple(float(number) for number in entry.get("modelRotation", "").split())
        models.append(
            Model(
                entry.get("id", path),
                f"{archive}/{path}",
                (length["width"], length["depth"], length["height"]),
                float(entry.get("elevation", 0)) / 100,
                top if top > 0 else None,
                turn if len(turn) == 9 else Model.rotation,
                entry.get("category", ""),
                entry.get("creator", ""),
                terms,
            )
        )
    return models


def unpack(package: Path | None, folder: Path) -> list[Model]:
    """Unpack the free models of the package into a folder, or read those that are there.

    Args:
        package: The `.deb` file; None to fetch it by `apt-get download`.
        folder: Where the archives go, one folder each. What is there is not written again.
    """
    if not (folder / "complete").is_file():
        with tempfile.TemporaryDirectory() as scratch:
            if package is None:
                subprocess.run(["apt-get", "download", PACKAGE], cwd=scratch, check=True)
                package = next(Path(scratch).glob("*.deb"))
            for member, content in read_archive(package):
                if member.endswith(".sh3f"):
                    _unpack_archive(content, folder / Path(member).stem)
        (folder / "complete").touch()
    models = []
    for archive in sorted(path for path in folder.iterdir() if path.is_dir()):
        licence = licence_of(_text(archive / "LICENSE.TXT"))
        own = {
            path.parent.relative_to(archive).as_posix(): _text(path)
            for path in archive.glob("*/*/*.txt")
            if "licen" in path.name.lower()
        }
        models += read_catalogue(_text(archive / CATALOGUE), archive.name, licence, own)
    return models


def _unpack_archive(content: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if licence_of(archive.read("LICENSE.TXT").decode("latin-1")) is None:
            return
        for name in archive.namelist():
            # The catalogue's translations and its icons (`archive/name.png`) are not needed.
            if name.count("/") >= 2 or name in (CATALOGUE, "LICENSE.TXT"):
                archive.extract(name, folder)


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1")


def is_held_out(name: str) -> bool:
    """Whether a model is kept for held-out scenes: about a tenth, the same on every machine."""
    return zlib.crc32(name.encode()) % HELD_OUT_SHARE == 0


def attribution(models: list[Model], photographs: Path, hdris: str) -> str:
    """The text of an `ATTRIBUTION.md` for scenes of these models and photographs."""
    lines = [
        "# Rendered scenes",
        "",
        "Rendered from the works below, which were placed, resized and partly given other",
        "surfaces. The environments that light the scenes are those of Blender, CC0:",
        f"{hdris}.",
        "",
        "## Photographs",
        "",
        f"Surfaces show the photographs of `{photographs.name}`, whose own attribution follows at",
        "the end.",
        "",
        f"## Models, of Debian's {PACKAGE}",
        "",
        "| model | author | licence |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {one.name} | {one.author} | {one.licence} |" for one in models]
    theirs = photographs / "ATTRIBUTION.md"
    if theirs.is_file():
        lines += ["", theirs.read_text(encoding="utf-8").rstrip()]
    return "\n".join(lines) + "\n"
