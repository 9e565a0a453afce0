"""`c2f evaluate` on images: denoising, enlarging, deblurring and inpainting."""

from c2f_zoo.checks import plain_name
from c2f_zoo.cli import baselines
from c2f_zoo.cli.common import (
    UsageError,
    note,
    number_type,
    positive_number,
    print_json,
    progress,
    quality,
    say,
    start_backend,
    table,
)
from c2f_zoo.cli.restoring import load_restoration_model

ABOUT = """restoration
data sets: cbsd68, kodak24, mcmaster, set5, set12, set14, bsd100, urban100, folder: each a folder
of the undegraded images. What is undone:
  --noise S ...  Gaussian noise of S levels of 255, added and neither clipped nor rounded: for
                 every image numpy.random.RandomState(seed).normal(0, S / 255, (H, W, C))
  --blur S       a Gaussian of S pixels, periodic; then --noise, if any
                 after both --clip: clipped and rounded to 8 bits; --jpeg Q: also kept as a JPEG
                 file of quality Q
  --scale N      cropped to a multiple of N, shrunk by MATLAB's bicubic imresize, rounded to 8 bits
  --holes        boxes cut out at random, by seed and number of the image
columns: PSNR in dB and SSIM (11x11, sigma 1.5), means over the images of each image's figure, and
the median seconds per image. On RGB (grey images: grey) of the result clipped to [0, 1]; with
--scale on Y (BT.601, studio range) of the result, both rounded to 8 bits, N pixels of border left
out; with --holes the PSNR is of the holes alone.
"""

EXAMPLES = """\
  c2f evaluate unet_denoise.photos --dataset cbsd68 --root CBSD68 --noise 15 25 50 --baseline noisy
  c2f evaluate unet_denoise.photos --dataset set12 --root Set12 --noise 25 --clip
  c2f evaluate unet_denoise.photos --dataset cbsd68 --root CBSD68 --noise 25 --jpeg 92 \
      --baseline nlmeans
  c2f evaluate srnet_x2.photos --dataset set5 --root Set5 --scale 2 --baseline bicubic
  c2f evaluate unet_deblur.photos --dataset folder --root photos --blur 2 --noise 2
  c2f evaluate unet_inpaint.photos --dataset folder --root photos --holes --baseline telea"""

SUBSAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")
DATASETS = tuple("cbsd68 kodak24 mcmaster set5 set12 set14 bsd100 urban100 folder".split())
BASELINES = {
    "noisy": "the degraded image itself",
    "bicubic": "enlarged as MATLAB's imresize does",
    "nlmeans": "OpenCV's non-local means of strength 0.55 noise (Buades et al., IPOL 2011)",
    "telea": "OpenCV's inpainting of Telea (2004), radius 3",
}
_TASKS_OF = {
    "noisy": ("denoise", "deblur", "inpaint"),
    "bicubic": ("upscale",),
    "nlmeans": ("denoise",),
    "telea": ("inpaint",),
}
_OPTIONS = "noise blur clip jpeg subsampling scale holes tile depth time seed".split()
_COLUMNS = {"psnr": "PSNR dB", "ssim": "SSIM", "seconds_per_image": "s/image"}


def add_arguments(parser):
    """Add the options of restoration to the parser of `c2f evaluate`."""
    group = parser.add_argument_group("restoration")
    group.add_argument(
        "--noise", type=positive_number, nargs="+", metavar="S", help="noise, in levels of 255"
    )
    group.add_argument("--blur", type=positive_number, metavar="S", help="Gaussian blur, in pixels")
    group.add_argument("--clip", action="store_true", help="noisy images clipped, of 8 bits")
    group.add_argument("--jpeg", type=quality, metavar="Q", help="noisy images kept as JPEG files")
    group.add_argument(
        "--subsampling",
        choices=SUBSAMPLINGS,
        help=f"of the colours with --jpeg (default: {SUBSAMPLINGS[0]})",
    )
    factor = number_type(int, "factor (a whole number of at least 2)", least=2)
    group.add_argument("--scale", type=factor, metavar="N", help="factor of enlargement")
    group.add_argument("--holes", action="store_true", help="boxes that are cut out")
    group.add_argument("--seed", type=int, default=0, help="of noise and boxes (default: 0)")
    group.add_argument("--tile", type=int, metavar="PX", help="as of c2f denoise")
    group.add_argument("--depth", type=int, metavar="PX", help="as of c2f inpaint")
    group.add_argument("--time", type=float, metavar="T", help="as of c2f denoise")


def is_asked_for(arguments):
    """Tell whether images are to be measured, not pairs; a mixture of both is refused."""
    ours = [name for name in arguments.dataset if plain_name(name) in DATASETS]
    options = [name for name in _OPTIONS if getattr(arguments, name)]
    if not ours:
        foreign = [f"--{name}" for name in options]
        foreign += [f"--baseline {name}" for name in arguments.baseline if name in BASELINES]
        if foreign:
            raise UsageError(
                f"{foreign[0]} is for restoration, measured on {', '.join(DATASETS)}. "
                f"Received: --dataset {' '.join(arguments.dataset)}"
            )
        return False
    foreign = [name for name in arguments.dataset if name not in ours]
    others = baselines.BASELINES | baselines.STEREO_BASELINES
    foreign += [f"--baseline {name}" for name in arguments.baseline if name in others]
    foreign += ["--split"] * bool(arguments.split) + ["--pass"] * bool(arguments.pass_name)
    foreign += ["--option"] * bool(arguments.option)
    foreign += ["--confidence"] * arguments.confidence
    foreign += ["--align-corners"] * arguments.align_corners
    for name in ("iterations", "max_disparity"):
        foreign += ["--" + name.replace("_", "-")] * (getattr(arguments, name) is not None)
    if foreign:
        raise UsageError(
            f"{foreign[0]} is for pairs of images. Received: --dataset {' '.join(ours)}"
        )
    return True


def run(arguments):
    """Carry out the parsed command line."""
    from c2f_zoo.data.images.folder import ImageFolder

    backend = start_backend()
    from c2f_zoo.tasks.restoration.measure import measure_restoration

    folders = [ImageFolder(root) for root in arguments.root]
    models = {preset: load_restoration_model(preset) for preset in arguments.presets}
    settings = {name: getattr(arguments, name) for name in ("tile", "depth", "time")}
    results = []
    for protocol in _protocols(arguments, models):
        methods = {name: make_baseline(name, protocol) for name in arguments.baseline} | models
        for given, folder in zip(arguments.dataset, folders, strict=True):
            names = folder.names[: arguments.limit]
            if len(names) < len(folder):
                note(f"{given}: the first {len(names)} of {len(folder)} images")
            with progress(len(names) * len(methods), "image", arguments.quiet) as bar:
                bar.set_description(f"{given} {protocol.title}")
                for method, model in methods.items():
                    found = measure_restoration(
                        model,
                        (folder.folder / name for name in names),
                        protocol,
                        bar.update,
                        **(settings if method in models else {}),
                    )
                    found.pop("each")
                    about = {"method": method, "dataset": given, "task": protocol.title}
                    results.append(about | found)
    if arguments.json:
        print_json({"backend": backend, "seed": arguments.seed, "results": results})
        return
    rows = [
        [row["method"], row["dataset"], row["task"], row["images"]]
        + [f"{row['psnr']:.2f}", f"{row['ssim']:.4f}", f"{row['seconds_per_image']:.2f}"]
        for row in results
    ]
    say(*table(rows, ["method", "data set", "task", "images", *_COLUMNS.values()]))


def make_baseline(name, protocol):
    """Make one of `BASELINES`, as `measure_restoration` takes it, for a `RestorationProtocol`."""
    if protocol.task not in _TASKS_OF[name]:
        fitting = [other for other, tasks in _TASKS_OF.items() if protocol.task in tasks]
        raise UsageError(
            f"Baselines of {protocol.title} are {', '.join(fitting)}. Received: {name}"
        )
    if name == "noisy":
        return lambda image, known: image
    if name == "bicubic":
        return lambda image, known: _bicubic(image, protocol.scale)
    cv2 = baselines.opencv(name)
    if name == "nlmeans":
        return lambda image, known: _nlmeans(cv2, image, protocol.noise)
    return lambda image, known: _telea(cv2, image, known)


def _bicubic(image, scale):
    from c2f_zoo.backend import to_numpy
    from c2f_zoo.data.degradations.resize import upsample_bicubic

    return to_numpy(upsample_bicubic(image[None], scale))[0]


def _nlmeans(cv2, image, noise):
    import numpy as np

    bytes_, strength = np.rint(255 * image.clip(0, 1)).astype(np.uint8), 0.55 * noise
    if image.shape[2] == 1:
        made = cv2.fastNlMeansDenoising(bytes_, None, strength)[..., None]
    else:
        bytes_ = np.ascontiguousarray(bytes_[..., ::-1])  # OpenCV's order of colours
        made = cv2.fastNlMeansDenoisingColored(bytes_, None, strength, strength)[..., ::-1]
    return np.float32(made) / 255


def _telea(cv2, image, known):
    import numpy as np

    bytes_ = np.rint(255 * image.clip(0, 1)).astype(np.uint8)
    made = cv2.inpaint(bytes_, np.uint8(~known), 3, cv2.INPAINT_TELEA)
    return np.float32(made.reshape(image.shape)) / 255


def _protocols(arguments, models):
    """The protocols that the options ask for, or failing those what the presets are for."""
    from c2f_zoo.tasks.restoration.measure import RestorationProtocol

    asked = [name for name in ("scale", "holes", "blur", "noise") if getattr(arguments, name)]
    if len(asked) > 1 and asked != ["blur", "noise"]:
        raise UsageError(
            "--noise, --blur (with or without --noise), --scale and --holes are measured each by "
            f"itself. Received: {' and '.join('--' + name for name in asked)}"
        )
    file = {name: getattr(arguments, name) for name in ("clip", "jpeg", "subsampling")}
    file = {name: value for name, value in file.items() if value}
    if "subsampling" in file and "jpeg" not in file:
        raise UsageError("--subsampling is for --jpeg. Received: no --jpeg")
    if file and not (asked and set(asked) <= {"blur", "noise"}):
        raise UsageError(
            f"--{next(iter(file))} is for images with --noise or --blur. Received: "
            f"{' and '.join('--' + name for name in asked) or 'neither'}"
        )
    verbs = {(model.image_verb, model.scale) for model in models.values()}
    if not asked and len(verbs) == 1 and verbs != {("restore", 1)}:
        ((verb, scale),) = verbs
    elif asked == ["scale"]:
        verb, scale = "upscale", arguments.scale
    elif asked == ["holes"]:
        verb, scale = "inpaint", 1
    elif asked:
        task = "deblur" if arguments.blur else "denoise"
        return [
            RestorationProtocol(task, noise, blur=arguments.blur or 0, seed=arguments.seed, **file)
            for noise in arguments.noise or [0]
        ]
    else:
        raise UsageError(
            "Say what is undone: --noise 25, --blur 2, --scale 2 or --holes. Received: none of "
            "these"
        )
    return [RestorationProtocol(verb, scale=scale, seed=arguments.seed)]
