"""Pictures from seeds: generate, films, sheets, projection."""

import keras
import numpy as np
import pytest
from PIL import Image

from c2f_zoo.models import MSGGAN, ProGAN, StyleGAN, StyleGAN2
from c2f_zoo.tasks.generation.latent_walk import latent_path
from c2f_zoo.tasks.generation.projection import projection_target


def style_model(model_class=StyleGAN2, resolution=16):
    keras.utils.set_random_seed(0)  # the discriminator's features are compared
    model = model_class(
        resolution, latent_size=6, w_size=5, mapping_depth=2, num_filters=(8, 6, 4), seed=0
    )
    draw = np.random.default_rng(1)
    for weight in model.ema_generator.weights:
        if not weight.path.endswith("alpha"):
            # The mapping network's weights are used times its lr_multiplier of 0.01.
            scale = 100.0 if "mapping" in weight.path else 0.5
            weight.assign(scale * draw.normal(size=weight.shape))
    return model


@pytest.fixture(scope="module", params=[StyleGAN, StyleGAN2])
def model(request):
    return style_model(request.param)


@pytest.fixture(scope="module")
def plain():
    return ProGAN(8, latent_size=6, num_filters=(8, 4), seed=0)


def test_a_seed_gives_the_same_pictures_however_many_are_asked_for(model):
    four, nine = model.generate(4, seed=7), model.generate(9, seed=7, batch_size=4)
    np.testing.assert_allclose(nine[:4], four, atol=1e-6)
    assert four.dtype == np.float32 and 0 <= four.min() and four.max() <= 1
    assert np.abs(model.generate(4, seed=8) - four).max() > 1e-3


def test_latents_are_those_of_numpy(plain):
    latents = np.random.default_rng(3).standard_normal((2, 6)).astype("float32")
    np.testing.assert_array_equal(plain.sample_latents(2, seed=3), latents)
    np.testing.assert_allclose(plain.generate(latents=latents), plain.generate(2, seed=3))


def test_without_a_seed_pictures_differ(plain):
    assert np.abs(plain.generate(1) - plain.generate(1)).max() > 0


def test_truncation_zero_is_the_average_in_the_truncated_layers():
    model = style_model()
    pictures = model.generate(3, seed=0, truncation=0.0)
    np.testing.assert_allclose(pictures[1:], pictures[:-1], atol=1e-6)


def test_mixing_changes_the_finer_layers_of_some(model):
    alone = model.generate(8, seed=2)
    mixed = model.generate(8, seed=2, style_mixing=1.0)
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(alone, mixed, strict=True))
    half = model.generate(40, seed=2, style_mixing=0.5)
    same = np.abs(half - model.generate(40, seed=2)).max(axis=(1, 2, 3)) < 1e-6
    assert 8 < same.sum() < 32


def test_multiscale_models_give_the_finest():
    model = MSGGAN(16, latent_size=6, num_filters=(8, 6, 4))
    assert model.generate(2, seed=0).shape == (2, 16, 16, 3)


def test_labelled_pictures_follow_their_label():
    model = ProGAN(8, latent_size=6, label_size=3, num_filters=(8, 4), seed=0)
    first, second = (model.generate(2, seed=0, labels=label) for label in (0, 2))
    assert np.abs(first - second).max() > 1e-4
    np.testing.assert_allclose(model.generate(2, seed=0, labels=[0, 2])[1], second[1], atol=1e-6)
    one_hot = np.eye(3)[[0, 2]]
    np.testing.assert_allclose(
        model.generate(2, seed=0, labels=one_hot), np.stack([first[0], second[1]]), atol=1e-6
    )
    with pytest.raises(ValueError, match="from 0 to 2. Received"):
        model.generate(1, labels=3)
    with pytest.raises(ValueError, match="labels must be a class"):
        model.generate(2, labels=[0, 1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "integer >= 1. Received: 0"),
        ({"n": 2.5}, "Received: 2.5"),
        ({"seed": -1}, "seed must be an integer >= 0. Received: -1"),
        ({"batch_size": 0}, "batch_size"),
        ({"truncation": 0.5}, "no styles"),
        ({"style_mixing": 0.5}, "no styles"),
        ({"style_mixing": 2}, "style_mixing must be .*Received: 2"),
        ({"labels": 1}, "without labels"),
        ({"latents": np.zeros((2, 5))}, r"\(n, 6\). Received: shape \(2, 5\)"),
        ({"latents": np.full((2, 6), np.nan)}, "NaN"),
    ],
)
def test_bad_requests_are_refused(plain, options, message):
    with pytest.raises(ValueError, match=message):
        plain.generate(**options)


def test_a_walk_is_smooth_and_closed():
    path = latent_path(60, 2, 32, seed=0, smoothness=8)
    assert path.dtype == np.float32 and abs(np.mean(path**2) - 1) < 1e-5
    steps = np.linalg.norm(np.diff(np.concatenate([path, path[:1]]), axis=0), axis=-1)
    assert steps.max() < 3 * np.median(steps)
    assert steps.max() < np.linalg.norm(path[0] - path[30], axis=-1).min()


def test_films_of_walks(plain, tmp_path):
    path = plain.film(tmp_path / "walk.gif", seconds=1, fps=4, n=6, columns=3, seed=0)
    with Image.open(path) as film:
        assert (film.n_frames, film.size) == (4, (24, 16))


@pytest.mark.parametrize("progress", [True, False])
def test_a_film_shows_how_far_it_is(plain, tmp_path, capsys, progress):
    plain.film(tmp_path / "walk.gif", seconds=1, fps=4, n=1, seed=0, progress=progress)
    assert ("4/4" in capsys.readouterr().err) == progress


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": -5}, "seconds must be a number > 0. Received: -5"),
        ({"seconds": 0}, "Received: 0"),
        ({"seconds": float("nan")}, "Received: nan"),
        ({"fps": -1}, "Received: -1"),
        ({"fps": 0}, "Received: 0"),
        ({"n": 0}, "Received: 0"),
    ],
)
def test_films_that_cannot_be_are_refused(plain, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        plain.film(tmp_path / "walk.gif", **options)
    assert not list(tmp_path.iterdir())


def test_films_and_sheets_are_computed_in_batches(monkeypatch, tmp_path):
    model, sizes = style_model(), []
    predict = model.predict_on_batch

    def watched(inputs):
        sizes.append(len(inputs["w"]))
        return predict(inputs)

    monkeypatch.setattr(model, "predict_on_batch", watched)
    for make in (
        lambda: model.film(tmp_path / "walk.gif", 1, fps=2, n=5, seed=0, batch_size=2),
        lambda: model.truncation_sheet(5, (1.0, 0.5), batch_size=2),
        lambda: model.style_mixing_sheet(2, 3, batch_size=2),
    ):
        sizes.clear()
        make()
        assert max(sizes) == 2


def test_sheets_show_rows_and_columns(model):
    sheet = model.truncation_sheet(2, (1.0, 0.0), seed=4)
    assert sheet.shape == (32, 32, 3)
    np.testing.assert_allclose(sheet[:16, 16:], sheet[16:, 16:], atol=1e-6)

    mixing = model.style_mixing_sheet(2, 3, layers="coarse", seed=4)
    assert mixing.shape == (48, 64, 3) and (mixing[:16, :16] == 1).all()
    everything = model.style_mixing_sheet(2, 3, layers=(0, 6), seed=4)
    np.testing.assert_allclose(everything[16:32, 16:32], everything[16:32, :16], atol=1e-6)
    assert model.style_groups() == {"coarse": (0, 4), "middle": (4, 6)}
    with pytest.raises(ValueError, match="Received: 'fine'"):
        model.style_mixing_sheet(2, 3, layers="fine")
    with pytest.raises(ValueError, match=r"Received: \(3, 9\)"):
        model.style_mixing_sheet(2, 3, layers=(3, 9))


@pytest.mark.parametrize("loss", ["pixel", "perceptual"])
def test_projection_comes_nearer_to_a_picture_of_its_own(loss):
    model = style_model()
    picture = model.generate(1, seed=11)[0]
    found = model.project(picture, steps=60, loss=loss, space="w+", seed=1, progress=False)
    # Of the start, where the exploring noise is large, to the end, where there is none.
    assert np.mean(found.losses[-5:]) < 0.8 * np.mean(found.losses[:5])
    assert found.image.shape == (16, 16, 3) and found.w.shape == (1, 6, 5)
    np.testing.assert_allclose(
        model.synthesize(found.w, noise=found.noise)[0], found.image, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "Received: 0"),
        ({"loss": "lpips"}, "Received: 'lpips'"),
        ({"space": "z"}, "Received: 'z'"),
    ],
)
def test_bad_projections_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        style_model().project(np.zeros((16, 16, 3)), progress=False, **options)


def test_a_picture_of_any_size_is_projected_but_not_one_that_is_no_picture():
    model = style_model()
    assert len(model.project(np.zeros((3, 50), "uint8"), steps=1, progress=False).losses) == 1
    with pytest.raises(ValueError, match="Received"):
        model.project(np.full((16, 16, 3), np.nan), progress=False)


def see_through(kind, folder):
    """A red picture whose left half is transparent green, in one of the ways to say so."""
    pixels = np.zeros((16, 16, 4), "uint8")
    pixels[:, :8] = (0, 255, 0, 0)
    pixels[:, 8:] = (255, 0, 0, 255)
    if kind == "array":
        return pixels
    if kind == "float":
        return pixels / 255
    image = Image.fromarray(pixels)
    if kind == "palette":
        image = Image.fromarray((pixels[..., 3] // 255).astype("uint8")).convert("P")
        image.putpalette([0, 255, 0, 255, 0, 0])
        image.info["transparency"] = 0
    if kind == "image":
        return image
    image.save(folder / "see_through.png")
    return folder / "see_through.png"


@pytest.mark.parametrize("kind", ["array", "float", "image", "file", "palette"])
def test_a_transparent_picture_is_projected_over_a_background_alone(kind, tmp_path):
    picture = see_through(kind, tmp_path)
    with pytest.raises(ValueError, match="transparent pixels: choose a background .*Received: "):
        projection_target(picture, (16, 16))
    over = projection_target(picture, (16, 16), background="blue")
    assert (over[:, :8] == (0, 0, 255)).all() and (over[:, 8:] == (255, 0, 0)).all()


def test_an_opaque_picture_needs_no_background():
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype="uint8")
    pixels[..., 3] = 255
    np.testing.assert_array_equal(projection_target(pixels, (16, 16)), pixels[..., :3])
    two = projection_target(pixels[..., 2:].astype("uint16") * 257, (16, 16))  # grey and alpha
    np.testing.assert_array_equal(two, pixels[..., 2:3].repeat(3, axis=-1))


def test_project_takes_a_background(tmp_path):
    model, picture = style_model(), see_through("file", tmp_path)
    with pytest.raises(ValueError, match="Received: .*see_through.png"):
        model.project(picture, steps=1, progress=False)
    with pytest.raises(ValueError, match="Received: 'no colour'"):
        model.project(picture, steps=1, progress=False, background="no colour")
    options = {"steps": 1, "loss": "pixel", "progress": False}
    over = projection_target(picture, (16, 16), background=(0, 0, 255))
    found = model.project(picture, background="blue", **options)
    assert found.losses == model.project(over, **options).losses


def test_the_exploring_noise_is_as_long_as_styles_are_from_their_average():
    from c2f_zoo.tasks.generation.projection import _Descent

    model = style_model()
    target = np.zeros((1, 16, 16, 3), "float32")
    descent = _Descent(model, lambda a, b: (a - b).sum(), target, 1, "w", 0.1, seed=0)
    w = model.styles(model.sample_latents(4000, seed=5))[:, 0]
    sigma = np.sqrt(np.mean(np.linalg.norm(w - w.mean(axis=0), axis=1) ** 2))
    assert abs(descent.spread / sigma - 1) < 0.05


def test_noise_maps_are_held_to_be_white():
    from keras import ops

    from c2f_zoo.tasks.generation.projection import _autocorrelation

    draw = np.random.default_rng(0)
    white = draw.standard_normal((1, 16, 16, 1)).astype("float32")
    smooth = np.repeat(np.repeat(white[:, :8, :8], 2, axis=1), 2, axis=2)

    def slow(x):
        total = 0.0
        while True:
            for axis in (1, 2):
                total += np.mean(x * np.roll(x, 1, axis)) ** 2
            if x.shape[1] <= 8:
                return total
            x = x.reshape(1, x.shape[1] // 2, 2, x.shape[2] // 2, 2, 1).mean(axis=(2, 4))

    for map_ in (white, smooth):
        found = float(ops.convert_to_numpy(_autocorrelation(ops.convert_to_tensor(map_))))
        assert abs(found - slow(map_)) < 1e-6
    assert slow(smooth) > 5 * slow(white)


# Made on PyTorch: pixels [0, 0], [3, 5] and [7, 7] of picture 1 of seed 3, and the mean of both.
PICTURES = {
    "ProGAN": [
        (0.64823, 0.70933, 0.53384),
        (0.99393, 0.70951, 0.68734),
        (0.16848, 1.0, 0.15084),
        (0.69212,),
    ],
    "StyleGAN": [
        (0.7661, 0.34482, 0.0),
        (0.5009, 0.63146, 0.19041),
        (0.08328, 0.53138, 0.18712),
        (0.42209,),
    ],
    "StyleGAN2": [
        (0.4154, 0.24113, 0.39902),
        (0.48787, 0.14901, 0.46627),
        (0.51215, 0.17793, 0.2233),
        (0.48992,),
    ],
}
PICTURES["MSGGAN"] = PICTURES["ProGAN"]  # the same layers, read at the finest scale


@pytest.mark.parametrize("model_class", [ProGAN, StyleGAN, StyleGAN2, MSGGAN])
def test_a_seed_gives_the_same_pictures_on_every_backend(model_class):
    styles = {"w_size": 5, "mapping_depth": 2} if model_class in (StyleGAN, StyleGAN2) else {}
    model = model_class(8, latent_size=6, num_filters=(8, 6), **styles)
    draw = np.random.default_rng(2)
    for weight in model.ema_generator.weights:
        if not weight.path.endswith("alpha"):
            scale = 100.0 if "mapping" in weight.path else 0.5
            weight.assign(scale * draw.normal(size=weight.shape))
    pictures = model.generate(2, seed=3)
    found = [*(pictures[1, y, x] for y, x in ((0, 0), (3, 5), (7, 7))), [pictures.mean()]]
    for ours, theirs in zip(found, PICTURES[model_class.__name__], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("model_class", [ProGAN, StyleGAN, StyleGAN2, MSGGAN])
@pytest.mark.parametrize("resolution", [4, 64, 1024])
def test_pictures_of_every_size_can_be_made(model_class, resolution):
    styles = {"w_size": 4, "mapping_depth": 1} if model_class in (StyleGAN, StyleGAN2) else {}
    widths = (4,) * (resolution.bit_length() - 2)
    model = model_class(resolution, latent_size=4, num_filters=widths, **styles)
    picture = model.generate(1, seed=0)
    assert picture.shape == (1, resolution, resolution, 3) and np.isfinite(picture).all()


def test_grey_models_make_films_and_find_pictures(tmp_path):
    model = StyleGAN2(
        8, latent_size=4, w_size=4, mapping_depth=1, num_filters=(8, 4), image_channels=1
    )
    assert model.film(tmp_path / "grey.gif", seconds=0.5, fps=4, n=1, seed=0).exists()
    found = model.project(np.full((9, 9, 3), 0.5), steps=1, loss="pixel", progress=False)
    assert found.image.shape == (8, 8, 1)


def test_labelled_models_walk_within_a_class(tmp_path):
    model = ProGAN(8, latent_size=6, label_size=3, num_filters=(8, 4), seed=0)
    frames = list(model.interpolation(2, n=1, seed=0, labels=2, smoothness=0))
    assert np.abs(frames[0] - next(model.interpolation(2, seed=0, labels=0, smoothness=0))).max()
    assert tuple(model((model.sample_latents(2, seed=0), np.array([0, 1]))).shape) == (2, 8, 8, 3)


def test_models_without_styles_say_so(plain):
    for call in (plain.style_mixing_sheet, plain.style_groups):
        with pytest.raises(ValueError, match="no styles"):
            call()
    with pytest.raises(ValueError, match="no styles"):
        plain.synthesize(np.zeros((1, 4, 4)))
