"""How well a network restores images, measured as the field does it."""

import dataclasses
import statistics
import time
from pathlib import Path

import numpy as np

from c2f_zoo import backend
from c2f_zoo.layers import luma
from c2f_zoo.layers.similarity import WINDOW_SIZE
from c2f_zoo.metrics import psnr, ssim


@dataclasses.dataclass(frozen=True)
class RestorationProtocol:
    """What is done to an image before it is restored, and how the result is compared with it.

    - `"denoise"`: the noise `numpy.random.RandomState(seed).normal(0, noise / 255, (H, W, C))` is
      added, the same for images of one size, as in the published evaluations that seed before each
      image. The noisy image is neither clipped nor rounded; with `clip` it is clipped to [0, 1]
      and rounded to 8 bits, with `jpeg` it then becomes a JPEG file. PSNR and SSIM on RGB of the
      result clipped to [0, 1].
    - `"upscale"`: the image is cropped to a multiple of `scale`, shrunk as MATLAB's `imresize`
      does (bicubic, antialiased) and rounded to 8 bits; so is the result. PSNR and SSIM on Y
      (BT.601, studio range, rounded to 8 bits as MATLAB's `rgb2ycbcr` of bytes does), a border of
      `scale` pixels left out.
    - `"deblur"`: blurred by a Gaussian of standard deviation `blur` pixels, the image continued
      periodically, then noise as above, if any. PSNR and SSIM on RGB.
    - `"inpaint"`: 1 to 4 boxes of 10 to 40 % of the sides are cut out, those of `RandomBoxes(
      seed=seed)` for the image's number. PSNR over the pixels that were cut out alone, SSIM over
      the image, on RGB.

    Figures are means over the images of each image's figure. Grey images stay grey, but for
    enlarging.

    Args:
        task: `"denoise"`, `"upscale"`, `"deblur"` or `"inpaint"`.
        noise: Standard deviation of the noise in levels of 255.
        scale: Factor of enlargement.
        blur: Standard deviation of the blur in pixels.
        seed: Of the noise and the boxes.
        clip: Whether a noisy or blurred image is clipped and rounded to 8 bits.
        jpeg: Quality, 1 to 100, of the JPEG file that a noisy or blurred image becomes; 0: none.
        subsampling: Of the JPEG file's colours, as of `c2f_zoo.data.JPEG`.

    Raises:
        ValueError: The numbers do not fit the task.

    Source: of denoising, Zhang et al., DnCNN, 2017; of enlarging, Dong et al., SRCNN, 2014; of the
    rest, ours.

    Example:
        >>> RestorationProtocol("denoise", noise=25).title
        'noise 25'
    """

    task: str
    noise: float = 0.0
    scale: int = 1
    blur: float = 0.0
    seed: int = 0
    clip: bool = False
    jpeg: int = 0
    subsampling: str = "4:2:0"

    def __post_init__(self):
        needed = {"denoise": self.noise > 0, "upscale": self.scale > 1, "deblur": self.blur > 0}
        if self.task not in (*needed, "inpaint"):
            raise ValueError(
                f'task is "denoise", "upscale", "deblur" or "inpaint". Received: {self.task!r}'
            )
        if not needed.get(self.task, True) or self.noise < 0:
            raise ValueError(
                "Denoising needs noise, enlarging a whole scale above 1, deblurring a blur. "
                f"Received: {self}"
            )
        if (self.clip or self.jpeg) and self.task not in ("denoise", "deblur"):
            raise ValueError(
                "clip and jpeg are for denoising and deblurring; enlarging rounds anyway. "
                f"Received: {self}"
            )
        if self.jpeg:
            self._jpeg  # noqa: B018 - refuses what JPEG refuses

    @property
    def _jpeg(self):
        from c2f_zoo.data.degradations.jpeg import JPEG

        return JPEG(self.jpeg, subsampling=self.subsampling)

    @property
    def title(self):
        """What is undone, in words."""
        noise = f"noise {self.noise:g}" if self.noise else ""
        file = ", 8 bits" if self.clip else ""
        if self.jpeg:
            file = f", JPEG {self.jpeg} {self.subsampling}"
        return {
            "denoise": noise + file,
            "upscale": f"x{self.scale}",
            "deblur": " and ".join(filter(None, (f"blur {self.blur:g}", noise))) + file,
            "inpaint": "boxes",
        }[self.task]

    def degrade(self, image, number=0):
        """Degrade an image.

        Args:
            image: float32 array (H, W, 3), or grey (H, W, 1), in [0, 1].
            number: The image's number, from which the boxes follow.

        Returns:
            (degraded, truth, known): float32 arrays (h, w, C) and (H, W, C), the truth cropped
            where the protocol says so; known is a bool array (H, W) for inpainting, else None.
        """
        from c2f_zoo.data.degradations.blur import gaussian_blur
        from c2f_zoo.data.degradations.noise import RandomBoxes
        from c2f_zoo.data.degradations.resize import downsample

        truth, known = np.asarray(image, np.float32), None
        if self.task == "upscale":
            height, width = (side // self.scale * self.scale for side in truth.shape[:2])
            if not height or not width:
                raise ValueError(
                    f"An image has at least {self.scale} pixels a side. Received: {truth.shape}"
                )
            truth = truth[:height, :width]
            degraded = round_to_bytes(backend.to_numpy(downsample(truth[None], self.scale))[0])
        elif self.task == "inpaint":
            boxes = RandomBoxes(seed=self.seed)
            mask = boxes.mask(1, truth.shape[:2], index=np.array([number]))
            mask = backend.to_numpy(mask)[0]
            degraded, known = truth * mask + 0.5 * (1 - mask), mask[..., 0] > 0
        else:
            degraded = truth
            if self.task == "deblur":
                degraded = backend.to_numpy(gaussian_blur(truth[None], self.blur))[0]
            if self.noise:
                draw = np.random.RandomState(self.seed).normal
                degraded = degraded + draw(0, self.noise / 255, truth.shape)
            if self.clip or self.jpeg:
                degraded = round_to_bytes(degraded)
            if self.jpeg:
                degraded = backend.to_numpy(self._jpeg(degraded[None]))[0]
        return np.asarray(degraded, np.float32), truth, known

    def compare(self, truth, made, known=None):
        """Compare a result with the truth.

        Args:
            truth: float32 array (H, W, 3) or (H, W, 1).
            made: float32 array (H, W, 3), whose mean over the channels counts for a grey truth.
            known: As `degrade` returned it.

        Returns:
            (PSNR in dB, SSIM): floats; SSIM is NaN of images too small for its window.
        """
        if truth.shape[2] == 1:
            made = made.mean(axis=2, keepdims=True)
        border = self.scale if self.task == "upscale" else 0
        if min(truth.shape[:2]) <= 2 * border:
            raise ValueError(
                f"A border of {border} leaves nothing of the image. Received: shape {truth.shape}"
            )
        pair = [truth[None], np.clip(made, 0, 1)[None]]
        if self.task == "upscale":
            pair = [_bytes_of_luma(image) for image in pair]
        is_small = min(truth.shape[:2]) - 2 * border < WINDOW_SIZE
        similarity = float("nan") if is_small else float(ssim(*pair, border=border)[0])
        if known is not None:
            pair = [image[:, ~known][:, None] for image in pair]
        return float(psnr(*pair, border=border)[0]), similarity


def measure_restoration(model, images, protocol, on_image=None, **options):
    """Measure a network, or a baseline, on images.

    Args:
        model: Network with `restore_pixels`; or a function of a degraded image, float32 (H, W, 3)
            or (H, W, 1), and of the bool array (H, W) of known pixels or None, that returns
            float32 (scale * H, scale * W, 3) or (.., 1).
        images: Folder of image files, in the order of their names; or iterable of images as
            `read_picture` takes them.
        protocol: `RestorationProtocol`.
        on_image: Function called after each image, without arguments.
        **options: Of `restore_pixels`: `time`, `tile`, `overlap`, `depth`.

    Returns:
        Dictionary: `psnr` (dB), `ssim`, means over the images; `images`, their number;
        `seconds_per_image`, the median without the compilation at the first image; `each`, a list
        of (psnr, ssim).

    Raises:
        ValueError: No image, or the network does something else than the protocol undoes.

    Example:
        >>> images = [np.random.default_rng(0).random((16, 16, 3), "float32")]
        >>> protocol = RestorationProtocol("denoise", noise=25)
        >>> figures = measure_restoration(lambda image, known: image, images, protocol)
        >>> round(figures["psnr"])
        20
    """
    from c2f_zoo.data.files.pictures import as_float, read_picture
    from c2f_zoo.data.images.folder import ImageFolder

    run = _runner(model, protocol, options)
    if isinstance(images, (str, Path)):
        folder = ImageFolder(images)
        images = (folder.folder / name for name in folder.names)
    each, seconds = [], []
    for number, image in enumerate(images):
        color = as_float(read_picture(image).color)
        if protocol.task == "upscale" and color.shape[2] == 1:
            color = np.repeat(color, 3, axis=2)  # Y is of colours
        degraded, truth, known = protocol.degrade(color, number)
        if number == 0:
            run(degraded, known)  # compiled, which no one wants timed
        start = time.perf_counter()
        made = run(degraded, known)
        seconds.append(time.perf_counter() - start)
        each.append(protocol.compare(truth, made, known))
        if on_image is not None:
            on_image()
    if not each:
        raise ValueError("Something is measured on images. Received: none")
    return {
        "psnr": statistics.fmean(pair[0] for pair in each),
        "ssim": statistics.fmean(pair[1] for pair in each),
        "images": len(each),
        "seconds_per_image": statistics.median(seconds),
        "each": each,
    }


def figures_of(measured, protocol, dataset, command, compared_with=None):
    """Write measured figures as a preset's metadata holds them.

    Args:
        measured: What `measure_restoration` returned.
        protocol: `RestorationProtocol`.
        dataset: Name of the images.
        command: The command that measures the same.
        compared_with: Dictionary from a method's name to what `measure_restoration` returned for
            it.

    Returns:
        List of two entries of `metrics`.

    Example:
        >>> measured = {"psnr": 31.24, "ssim": 0.883, "images": 68}
        >>> protocol = RestorationProtocol("denoise", noise=25)
        >>> [entry["name"] for entry in figures_of(measured, protocol, "CBSD68", "c2f evaluate")]
        ['PSNR', 'SSIM']
    """
    where = f"{dataset}, {measured['images']} images, {protocol.title}"
    suffix = " (Y)" if protocol.task == "upscale" else ""
    units = {"psnr": "dB, of the holes" if protocol.task == "inpaint" else "dB", "ssim": ""}
    digits = {"psnr": 2, "ssim": 4}
    return [
        {
            "name": name.upper() + suffix,
            "value": round(measured[name], digits[name]),
            "unit": unit,
            "dataset": where,
            "command": command,
            "compared_with": {
                method: round(other[name], digits[name])
                for method, other in (compared_with or {}).items()
            },
        }
        for name, unit in units.items()
    ]


def round_to_bytes(image):
    """Round to 8 bits, as saving does: float32 multiples of 1/255 in [0, 1]."""
    return np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.float32) / np.float32(255)


def _bytes_of_luma(images):
    return round_to_bytes(backend.to_numpy(luma(round_to_bytes(images))))


def _runner(model, protocol, options):
    if not hasattr(model, "restore_pixels"):
        if options:
            raise ValueError(f"A baseline takes no options. Received: {options}")
        return model
    wanted = {"upscale": "upscale", "inpaint": "inpaint"}.get(protocol.task, "restore")
    if model.image_verb != wanted or model.scale != protocol.scale:
        able = f"{model.image_verb}" + (f" x{model.scale}" if model.scale > 1 else "")
        raise ValueError(
            f"The protocol of {protocol.title} needs a network that can {wanted}"
            f"{f' x{protocol.scale}' if protocol.scale > 1 else ''}. "
            f"Received: {type(model).__name__}, which can {able}"
        )
    return lambda image, known: model.restore_pixels(image, known, progress=False, **options)
