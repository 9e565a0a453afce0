"""What photographs.py asks of a package archive: its files, and whom to credit for them."""

import email.parser
import fnmatch
import io
import json
import lzma
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Reading the three kinds of archive, each as a mapping from member path to bytes.


def _read_deb(path: Path) -> Iterator[tuple[str, bytes]]:
    """Members of a Debian package: an `ar` archive around a compressed tar file.

    Read here rather than by `dpkg-deb`, so archives can be used on any system.
    """
    with path.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            raise ValueError(f"Expected a Debian package. Received: {path}")
        while header := stream.read(60):
            name, size = header[:16].decode().strip().rstrip("/"), int(header[48:58])
            body = stream.read(size + size % 2)[:size]
            if not name.startswith("data.tar"):
                continue
            if name.endswith(".xz"):
                body = lzma.decompress(body)
            elif name.endswith(".zst"):  # Ubuntu's choice, which Python 3.11 cannot read itself
                if shutil.which("zstd") is None:
                    raise RuntimeError(f"Reading {path.name} needs the program zstd.")
                finished = subprocess.run(
                    ["zstd", "-dc"], input=body, stdout=subprocess.PIPE, check=True
                )
                body = finished.stdout
            with tarfile.open(fileobj=io.BytesIO(body)) as archive:
                yield from _tar_members(archive)


def _tar_members(archive: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        if member.isfile():
            yield member.name.removeprefix("./"), archive.extractfile(member).read()


def read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield `(member path, content)` of a `.deb`, `.whl` or `.tgz` archive."""
    if path.suffix == ".deb":
        yield from _read_deb(path)
    elif path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name, archive.read(name)
    else:
        with tarfile.open(path) as archive:
            yield from _tar_members(archive)


# Author and licence, from what the package itself says.


def without_addresses(names: str) -> str:
    """Names without their e-mail addresses, which an attribution does not need."""
    return re.sub(r"\s*<[^<>\s]+@[^<>\s]+>[^;,\w]*", "", names).strip()


def debian_copyright(text: str, member: str) -> tuple[str, str]:
    """Author and licence of one file by a machine-readable Debian copyright file.

    `member` is the file's installed path. The copyright file names paths of the source package,
    whose folders differ, so a plain name also matches by its last part. The last paragraph that
    matches decides, as Debian's format says; empty strings where none does.
    """
    author = licence = ""
    for paragraph in text.split("\n\n"):
        fields: dict[str, list[str]] = {}
        key = ""
        for line in paragraph.splitlines():
            if line[:1] not in (" ", "\t") and ":" in line:
                key, _, line = line.partition(":")
            fields.setdefault(key, []).append(line.strip())
        for pattern in " ".join(fields.get("Files", [])).split():
            plain = not set("*?") & set(pattern)
            if (
                pattern == "*"
                or fnmatch.fnmatch(member, f"*/{pattern}")
                or (plain and PurePosixPath(pattern).name == PurePosixPath(member).name)
            ):
                author = "; ".join(line for line in fields.get("Copyright", []) if line)
                licence = fields.get("License", [""])[0]
    return author, licence


def attribution(member: str, documents: dict[str, bytes]) -> dict[str, str]:
    """A photograph's `author`, `licence` and, where it is known, `source`.

    `member` is its path in the archive, `documents` the archive's small text files by path.
    """
    path = PurePosixPath(member)
    wallpaper = documents.get(str(path.parent.parent.parent / "metadata.json"))
    if wallpaper:
        plugin = json.loads(wallpaper)["KPlugin"]
        authors = "; ".join(author["Name"] for author in plugin.get("Authors", []))
        return {"author": authors, "licence": plugin.get("License", "")}
    dataset = documents.get(str(path.parent.parent / "datapackage.json"))
    if dataset:
        described = json.loads(dataset)
        origin = described["sources"][0]
        title = described.get("title", "")
        return {
            "author": f"\u201c{title}\u201d, {origin['name']}",
            "licence": described["license"],
            "source": origin.get("web", ""),
        }
    for name, content in documents.items():
        text = content.decode("utf-8", "replace")
        if name.endswith("/copyright"):
            author, licence = debian_copyright(text, member)
            return {"author": without_addresses(author), "licence": licence}
        if name.endswith(".dist-info/METADATA"):
            header = email.parser.HeaderParser().parsestr(text)
            licences = [
                value.rpartition("::")[2].strip()
                for value in header.get_all("Classifier", [])
                if value.startswith("License")
            ]
            return {
                "author": without_addresses(header.get("Author") or header["Author-email"] or ""),
                "licence": "; ".join(licences) or header.get("License", ""),
                "source": header.get("Project-URL", "").rpartition(",")[2].strip(),
            }
    return {"author": "", "licence": ""}


def version_of(archive: Path) -> str:
    """Version that an archive's file name carries."""
    if archive.suffix == ".tgz":
        return archive.stem.rpartition("-")[2]
    separator = "_" if archive.suffix == ".deb" else "-"
    return archive.stem.split(separator)[1].replace("%3a", ":")
