"""Measures a restoration preset as the field does; writes figures and pictures in its card.

    python training/measure/restoration.py models/unet_denoise.photos --photos photos/ \
        --cbsd68 CBSD68
    python training/measure/restoration.py models/srnet_x2.photos --photos photos/ --set5 Set5

`c2f evaluate` prints the same figures. The pictures are crops of photographs that training did not
see.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

# Of each folder what it holds, the name that `c2f evaluate` has for it, and where cards have it.
PLACES = {
    "cbsd68": ("CBSD68", "cbsd68", "CBSD68"),
    "set5": ("Set5", "set5", "Set5"),
    "set12": ("Set12", "set12", "Set12"),
    "photos": ("9 photographs held out", "folder", "photos/validation"),
}
BASELINES = {
    "noisy": "as given",
    "bicubic": "bicubic",
    "telea": "Telea (2004)",
    "nlmeans": "non-local means (OpenCV)",
}
# Noise, folder, further options of `c2f evaluate` and of its protocol.
DENOISING = [
    *((noise, "cbsd68", "", {}) for noise in (15, 25, 50)),
    (25, "cbsd68", " --clip", {"clip": True}),
    (25, "cbsd68", " --jpeg 92", {"jpeg": 92}),
    *((noise, "set12", "", {}) for noise in (15, 25, 50)),
]
CROP = 192
SHOWN = 3  # crops in the picture, those of most detail


def main(argv=None):
    """Measure and write; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("preset", help="folder of the preset")
    parser.add_argument("--photos", required=True, help="as for the preset's recipe")
    parser.add_argument("--cbsd68", help="folder of the colour BSD68 images")
    parser.add_argument("--set5", help="folder of the high-resolution Set5 images")
    parser.add_argument("--set12", help="folder of the grey Set12 images")
    parser.add_argument("--print", action="store_true", help="print, and write nothing")
    arguments = parser.parse_args(argv)

    from c2f_zoo.hub import load
    from training.common.runs import recipe_of

    recipe = recipe_of("restoration", Path(arguments.preset).resolve().name)
    model = load(arguments.preset)
    figures = list(measure(model, recipe, arguments))
    for figure in figures:
        print(json.dumps(figure))
    if arguments.print:
        return
    model.save_pretrained(
        arguments.preset,
        metadata=metadata(recipe, figures),
        precision="float16",
        golden=True,
        pictures=pictures(model, recipe, arguments),
    )


def measure(model, recipe, arguments):
    """The figures of every protocol whose images are there, each beside a simple method's."""
    from tqdm import tqdm

    from c2f_zoo.cli.evaluate_restoration import make_baseline
    from c2f_zoo.tasks.restoration.measure import figures_of, measure_restoration

    for protocol, folder, option, baseline in protocols(recipe, arguments):
        dataset, name, root = PLACES[folder]
        found = []
        for method in (model, make_baseline(baseline, protocol)):
            with tqdm(desc=f"{dataset}, {protocol.title}", unit="image") as bar:
                images = folder_of(folder, arguments)
                found.append(measure_restoration(method, images, protocol, on_image=bar.update))
        command = (
            f"c2f evaluate models/{recipe.preset} --dataset {name} --root {root} {option} "
            f"--baseline {baseline}"
        )
        other = {BASELINES[baseline]: found[1]}
        yield from figures_of(found[0], protocol, dataset, command, other)


def folder_of(name, arguments):
    """The folder of a command-line option; of --photos the part that is held out."""
    folder = getattr(arguments, name)
    return Path(folder) / "validation" if name == "photos" else folder


def protocols(recipe, arguments):
    """What a preset is measured by: (protocol, option of the folder, options, baseline)."""
    from c2f_zoo.tasks.restoration.measure import RestorationProtocol

    if recipe.degradation in ("noisy", "photo_noise"):
        for noise, folder, option, more in DENOISING:
            if getattr(arguments, folder):
                protocol = RestorationProtocol("denoise", noise=noise, **more)
                yield protocol, folder, f"--noise {noise}{option}", "nlmeans"
    if recipe.degradation == "small" and arguments.set5:
        yield RestorationProtocol("upscale", scale=2), "set5", "--scale 2", "bicubic"
    if recipe.degradation == "blurred":
        for blur in (1.0, 2.0):
            protocol = RestorationProtocol("deblur", blur=blur, noise=2)
            yield protocol, "photos", f"--blur {blur:g} --noise 2", "noisy"
    if recipe.degradation == "masked":
        yield RestorationProtocol("inpaint"), "photos", "--holes", "telea"


def metadata(recipe, figures):
    """What the card says besides the figures."""
    return {
        "name": recipe.preset,
        "summary": recipe.summary,
        "licence": "apache-2.0",
        "recipe": {
            "command": f"python training/restoration/{recipe.preset.replace('.', '_')}.py "
            f"--photos photos/ --export models/{recipe.preset}",
            "steps": f"{recipe.iterations:,} of {recipe.batch_size} patches of "
            f"{recipe.patch}x{recipe.patch}",
            "precision": recipe.precision,
            "trained on": recipe.hardware,
            "seed": recipe.seed,
        },
        "metrics": figures,
        "training_data": [
            {
                "name": "83 photographs of free licences, collected by photographs.py",
                "licence": "per photograph: CC0, CC BY, CC BY-SA, MIT, GPL-2+",
                "attribution": "the authors that photographs.py lists in ATTRIBUTION.md",
            }
        ],
        "limits": [recipe.limits],
    }


def pictures(model, recipe, arguments):
    """Crops of held-out photographs: given, answered, true."""
    import keras

    from c2f_zoo.backend import to_numpy
    from c2f_zoo.data import image_grid, upsample_bicubic
    from training.restoration import noise, patches
    from training.restoration.recipe import MARGIN

    size = CROP + (2 * MARGIN if recipe.degradation == "blurred" else 0)
    clean = patches.crops(Path(arguments.photos) / "validation", size, count=1)
    detail = np.abs(np.diff(clean, axis=1)).mean(axis=(1, 2, 3))
    clean = clean[np.argsort(-detail)[:SHOWN]]
    if recipe.degradation == "photo_noise":  # each crop with noise of another kind
        sets = noise.validation_sets(np.rint(255 * clean).astype("uint8"), recipe.seed)
        given = np.stack([sets[kind][0][n] for n, kind in enumerate(("jpeg", "coarse", "white"))])
        truth = clean
    else:
        degrade = getattr(patches, recipe.degradation)
        seed = keras.random.SeedGenerator(recipe.seed)
        clean = keras.ops.convert_to_tensor(clean)
        given, truth = degrade(clean, seed, **{**recipe.options, **recipe.validation})
    rows = []
    for number, true in enumerate(to_numpy(truth)):
        one = keras.tree.map_structure(lambda x, n=number: to_numpy(x)[n], given)
        image, known = one if model.mask else (one, None)
        made = model.restore_pixels(image, None if known is None else known[..., 0] > 0)
        if known is not None:
            image = image * known + 0.5 * (1 - known)
        if model.scale > 1:
            image = np.asarray(upsample_bicubic(image[None], model.scale))[0]
        rows += [np.clip(part, 0, 1) for part in (image, made, true)]
    return {
        "restored.png": (
            "Photographs that training did not see: what the network was given"
            + (", enlarged bicubically" if model.scale > 1 else "")
            + ", its answer, and the photograph",
            image_grid(np.stack(rows), 3),
        )
    }


if __name__ == "__main__":
    main()
