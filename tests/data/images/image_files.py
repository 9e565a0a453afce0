"""Files of images for tests, and what is in a folder of caches."""

import io
import tarfile

import numpy as np

from c2f_zoo.data import save_image


def caches_in(tmp_path):
    return sorted(path.name for path in (tmp_path / "caches").iterdir())


def bytes_of(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("uint8")


def write_folder(folder, names, size=(12, 10)):
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        save_image(folder / name, bytes_of((*size, 3), seed))
    return folder


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"inside/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
