"""Images of any kind on their way into a cache: found, checked, cropped, brought to one size."""

import hashlib
import os
from pathlib import Path

import numpy as np

from c2f_zoo.data.files.images import RANGE_TOLERANCE

# What Pillow reads and people keep pictures in. Other files of a folder are not looked at.
IMAGE_SUFFIXES = frozenset(
    ".avif .bmp .gif .jfif .jp2 .jpeg .jpg .pbm .pgm .png .pnm .ppm .tga .tif .tiff .webp".split()
)

# Colour spaces that need a profile to become RGB: a plain conversion gives wrong colours.
_FOREIGN_MODES = ("CMYK", "YCbCr", "LAB", "HSV")


class UnfitImageError(ValueError):
    """An image that training data cannot be made of; the message says why."""


class ImageFolder:
    """The image files of a folder and its subfolders, in the order of their names.

    Hidden files and folders are left out, and so are files whose name is not that of an image.

    Args:
        folder: Path of the folder.
        labels: Whether the folders right inside it are classes, whose number in alphabetical
            order is each image's label.

    Attributes:
        names: Path of each file, relative to the folder.
        labels: int64 array (N,), or None.
        classes: Names of the classes, in the order of their numbers, or None.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds no image; or with `labels`, an image lies in no class's folder.

    Example:
        >>> import pathlib, tempfile
        >>> from c2f_zoo.data import save_image
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("b.png", "a.png"):
        ...     save_image(folder / name, np.zeros((8, 8, 3)))
        >>> ImageFolder(folder).names
        ['a.png', 'b.png']
    """

    def __init__(self, folder, labels=False):
        self.folder = Path(folder).expanduser()
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder of this name. Received: {self.folder}")
        self.names = sorted(_image_files(self.folder))
        if not self.names:
            raise ValueError(
                "The folder and its subfolders hold no image file "
                f"({', '.join(sorted(IMAGE_SUFFIXES))}). Received: {self.folder}"
            )
        self.classes, self.labels = self._classes() if labels else (None, None)

    def __len__(self):
        return len(self.names)

    def _classes(self):
        loose = [name for name in self.names if "/" not in name]
        if loose:
            raise ValueError(
                "With labels every image lies in the folder of its class. "
                f"Received: {len(loose)} that do not, the first {loose[0]}"
            )
        of_image = [name.partition("/")[0] for name in self.names]
        classes = sorted(set(of_image))
        numbers = {name: number for number, name in enumerate(classes)}
        return classes, np.array([numbers[name] for name in of_image], np.int64)

    def items(self):
        """Give each image's name and how to load it.

        Yields:
            (name, function that returns a `PIL.Image.Image`).
        """
        for name in self.names:
            yield name, lambda path=self.folder / name: open_image(path)

    def fingerprint(self):
        """Give a text that changes if a file comes, goes, or is written anew.

        Returns:
            Hexadecimal digest of the names, sizes and times of all files.
        """
        digest = hashlib.sha256(str(self.folder.resolve()).encode())
        for name in self.names:
            about = (self.folder / name).stat()
            digest.update(f"\0{name}\0{about.st_size}\0{about.st_mtime_ns}".encode())
        return digest.hexdigest()


def _image_files(folder):
    # os.walk, unlike rglob, can be kept out of hidden folders and follows links to folders.
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above would never end
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield Path(parent, name).relative_to(folder).as_posix()


def open_image(path):
    """Decode one image file of a single picture.

    Args:
        path: File to read.

    Returns:
        `PIL.Image.Image`, decoded, EXIF orientation applied.

    Raises:
        UnfitImageError: The file is damaged, no image, or holds several pictures.

    Example:
        >>> import pathlib, tempfile
        >>> from c2f_zoo.data import save_image
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.png"
        >>> save_image(path, np.zeros((8, 6, 3)))
        >>> open_image(path).size
        (6, 8)
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            # A phone's JPEG may carry a second, small picture (MPO): its first is the photograph.
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                raise UnfitImageError(f"it is animated or holds {image.n_frames} pictures")
            image.load()
            return ImageOps.exif_transpose(image)
    except (UnfitImageError, PermissionError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise UnfitImageError("it is not an image that Pillow can read") from error
    # Pillow's decoders report damage as OSError, SyntaxError, struct.error and others.
    except Exception as error:
        raise UnfitImageError(f"it is broken ({error})") from error


def fit_image(image, size, background=None, resample="lanczos", upscale=False):
    """Bring an image to RGB of one size: its largest centred part of that shape, resized.

    Grey becomes RGB; 16-bit grey is scaled to 8 bit. An image that has the size already keeps its
    pixels.

    Args:
        image: `PIL.Image.Image`, or array (H, W, C) of 1, 3 or 4 channels, uint8 or float in
            [0, 1].
        size: (height, width).
        background: Colour beneath transparent pixels, (r, g, b) from 0 to 255. None (default)
            refuses images that have any.
        resample: `"lanczos"` (default) or `"area"`; both average over all the pixels that a new
            one covers.
        upscale: Whether an image smaller than `size` is enlarged rather than refused.

    Returns:
        uint8 array (height, width, 3).

    Raises:
        UnfitImageError: Transparent, CMYK or the like, too small, or not finite in [0, 1].

    Example:
        >>> fit_image(np.full((6, 10, 1), 0.5), (4, 4))[0, 0]
        array([128, 128, 128], dtype=uint8)
    """
    from PIL import Image

    if isinstance(image, np.ndarray):
        image = _pil_from_array(image)
    image = _opaque_rgb(image, background)
    height, width = size
    if image.size == (width, height):
        return np.array(image)
    scale = min(image.width / width, image.height / height)
    if scale < 1 and not upscale:
        raise UnfitImageError(
            f"it is {image.width}x{image.height} (width x height), smaller than {width}x{height}"
        )
    crop_width = min(image.width, max(1, round(width * scale)))
    crop_height = min(image.height, max(1, round(height * scale)))
    left, top = (image.width - crop_width) // 2, (image.height - crop_height) // 2
    image = image.crop((left, top, left + crop_width, top + crop_height))
    filters = {"lanczos": Image.Resampling.LANCZOS, "area": Image.Resampling.BOX}
    return np.array(image.resize((width, height), filters[resample]))


def is_grey(image):
    """Tell whether an image has a single channel, opacity aside.

    Args:
        image: `PIL.Image.Image`, or array (H, W, C).

    Returns:
        Whether `fit_image` makes three equal channels of one.

    Example:
        >>> is_grey(np.zeros((4, 4, 1))), is_grey(np.zeros((4, 4, 3)))
        (True, False)
    """
    if isinstance(image, np.ndarray):
        return image.shape[-1] == 1
    if image.mode == "P":
        palette = np.reshape(image.getpalette("RGB"), (-1, 3))
        used = [index for _, index in image.getcolors()]
        return bool((np.ptp(palette[used], axis=1) == 0).all())
    return image.mode[0] in "1LIF" and image.mode != "LAB"


def check_fit_options(background, resample):
    """Check the options of `fit_image` once, before many images are read.

    Args:
        background: None, a colour name or #rrggbb that Pillow knows, or three whole numbers.
        resample: `"lanczos"` or `"area"`.

    Returns:
        The background as None or (r, g, b) from 0 to 255.

    Raises:
        ValueError: Neither of these.

    Example:
        >>> check_fit_options("white", "area")
        (255, 255, 255)
    """
    if resample not in ("lanczos", "area"):
        raise ValueError(f'resample is "lanczos" or "area". Received: {resample!r}')
    if background is None:
        return None
    color = background
    if isinstance(color, str):
        from PIL import ImageColor

        try:
            color = ImageColor.getrgb(color)[:3]
        except ValueError:
            color = None
    is_color = np.shape(color) == (3,) and all(
        int(part) == part and 0 <= part <= 255 for part in color
    )
    if not is_color:
        raise ValueError(
            "background is a colour: a name, #rrggbb or (r, g, b) from 0 to 255. "
            f"Received: {background!r}"
        )
    return tuple(int(part) for part in color)


def _pil_from_array(array):
    from PIL import Image

    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        # NaN and inf reach the minimum or the maximum.
        if not np.isfinite([low, high]).all():
            raise UnfitImageError("it holds NaN or infinity")
        if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
            raise UnfitImageError(f"its values, {low:g} to {high:g}, are outside of [0, 1]")
        array = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else np.ascontiguousarray(array))


def _opaque_rgb(image, background):
    from PIL import Image

    if image.mode in _FOREIGN_MODES:
        raise UnfitImageError(f"its colours are {image.mode}, not RGB: convert it with its profile")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise UnfitImageError("its grey values exceed 16 bit")
        return Image.fromarray(np.rint(grey / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UnfitImageError("its grey values are floating point numbers of unknown range")
    if not (image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info):
        return image.convert("RGB")
    image = image.convert("RGBA")
    if image.getextrema()[3][0] == 255:
        return image.convert("RGB")
    if background is None:
        raise UnfitImageError("it has transparent pixels: choose a background colour")
    return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert(
        "RGB"
    )
