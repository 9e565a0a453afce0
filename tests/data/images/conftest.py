import pytest

from c2f_zoo.data import (
    ImageCache,
    open_image_dataset,
    save_image,
)


@pytest.fixture
def pictures(tmp_path, rng):
    """A folder of six photographs of different sizes, two of them a folder deeper."""
    folder = tmp_path / "pictures"
    (folder / "deeper").mkdir(parents=True)
    for index in range(6):
        name = f"deeper/{index}.png" if index > 3 else f"{index}.png"
        save_image(folder / name, rng.random((16 + index, 26 - index, 3)))
    return folder


@pytest.fixture
def cached(tmp_path):
    """`cached(folder, **options)`: its cache at 8x8, without a bar."""

    def build(folder, resolution=8, **options):
        options = {"cache": tmp_path / "caches", "progress": False, **options}
        return ImageCache.from_folder(folder, resolution, **options)

    return build


@pytest.fixture
def open_quietly():
    def open_one(name, *arguments, **options):
        return open_image_dataset(name, *arguments, progress=False, **options)

    return open_one
