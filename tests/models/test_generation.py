"""Pictures from seeds: generate, films, sheets, projection."""

import numpy as np
import pytest

from c2f_zoo.models import MSGGAN, ProGAN, StyleGAN, StyleGAN2
from c2f_zoo.models.generation_task import latent_path


def style_model(model_class=StyleGAN2, resolution=16):
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
    with pytest.raises(ValueError, match="labels is a class"):
        model.generate(2, labels=[0, 1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "at least 1. Received: 0"),
        ({"n": 2.5}, "Received: 2.5"),
        ({"seed": -1}, "at least 0. Received: -1"),
        ({"batch_size": 0}, "batch_size"),
        ({"truncation": 0.5}, "no styles"),
        ({"style_mixing": 0.5}, "no styles"),
        ({"style_mixing": 2}, "probability. Received: 2"),
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
    from PIL import Image

    path = plain.film(tmp_path / "walk.gif", seconds=1, fps=4, n=6, columns=3, seed=0)
    with Image.open(path) as film:
        assert (film.n_frames, film.size) == (4, (24, 16))


def test_sheets_show_rows_and_columns(model):
    sheet = model.truncation_sheet(2, (1.0, 0.0), seed=4)
    assert sheet.shape == (32, 32, 3)
    np.testing.assert_allclose(sheet[:16, 16:], sheet[16:, 16:], atol=1e-6)

    mixing = model.style_mixing_sheet(2, 3, layers="coarse", seed=4)
    assert mixing.shape == (48, 64, 3) and (mixing[:16, :16] == 1).all()
    everything = model.style_mixing_sheet(2, 3, layers=(0, 6), seed=4)
    np.testing.assert_allclose(everything[16:32, 16:32], everything[16:32, :16], atol=1e-6)
    with pytest.raises(ValueError, match="Received: 'fine'"):
        model.style_mixing_sheet(2, 3, layers="fine")
    with pytest.raises(ValueError, match=r"Received: \(3, 9\)"):
        model.style_mixing_sheet(2, 3, layers=(3, 9))


@pytest.mark.parametrize("loss", ["pixel", "perceptual"])
def test_projection_comes_nearer_to_a_picture_of_its_own(loss):
    model = style_model()
    picture = model.generate(1, seed=11)[0]
    found = model.project(picture, steps=60, loss=loss, space="w+", seed=1, progress=False)
    assert np.mean(found.losses[-5:]) < 0.6 * found.losses[0]
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
