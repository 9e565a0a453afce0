"""Tests of the degradations: seeds, noise, boxes, times, compression, bad input."""

import pickle

import numpy as np
import pytest
import scipy.stats
from keras import ops

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import (
    JPEG,
    Degradation,
    Downsampling,
    GaussianBlur,
    GaussianNoise,
    KernelBlur,
    RandomBoxes,
    TimedNoise,
    downsample,
    gaussian_blur,
    upsample_bicubic,
)
from c2f_zoo.data.seeded_noise import GOLDEN, normal_noise

RANDOM = {
    "noise": lambda seed=0: GaussianNoise((0.0, 0.2), seed=seed),
    "blur": lambda seed=0: GaussianBlur((0.5, 3.0), seed=seed),
    "boxes": lambda seed=0: RandomBoxes(seed=seed),
    "jpeg": lambda seed=0: JPEG((1, 100), seed=seed),
    "denoising": lambda seed=0: TimedNoise.denoising(seed=seed),
    "deblurring": lambda seed=0: TimedNoise.deblurring((1.0, 2.0), seed=seed),
    "inpainting": lambda seed=0: TimedNoise.inpainting(seed=seed),
}


def image_of(result):
    return to_numpy(result[0] if isinstance(result, tuple) else result)


@pytest.fixture
def images(rng):
    return rng.random((4, 17, 24, 3), dtype="float32")


@pytest.mark.parametrize("name", RANDOM)
def test_a_sample_depends_on_its_seed_and_number_alone(name, images):
    degrade = RANDOM[name]()
    result = image_of(degrade(images, index=3))  # samples 12 to 15
    assert result.shape == images.shape and result.dtype == np.float32
    np.testing.assert_array_equal(result, image_of(RANDOM[name]()(images, index=3)))
    alone = image_of(RANDOM[name]()(images[2:3], index=14))
    np.testing.assert_allclose(alone[0], result[2], atol=1e-6)
    swapped = image_of(degrade(images[::-1], index=[15, 14, 13, 12]))
    np.testing.assert_allclose(swapped[::-1], result, atol=1e-6)
    for other in (degrade(images, index=4), RANDOM[name](seed=1)(images, index=3)):
        assert not np.allclose(result, image_of(other), atol=1e-4)


@pytest.mark.parametrize("name", RANDOM)
def test_a_degradation_goes_to_another_process(name, images):
    degrade = RANDOM[name]()
    result = image_of(degrade(images, index=3))
    again = pickle.loads(pickle.dumps(degrade))
    np.testing.assert_array_equal(image_of(again(images, index=3)), result)


def test_the_noise_is_the_same_numbers_on_every_backend():
    seed = np.array([7, -(2**31)], "int32")
    noise = to_numpy(normal_noise(ops.convert_to_tensor(seed), (1, 2, 2)))
    expected = np.array([hashed_noise(int(s), 4) for s in seed]).reshape(2, 1, 2, 2)
    np.testing.assert_allclose(noise, expected, atol=1e-5)


def hashed_noise(seed, count):
    """The same hash in unsigned arithmetic; the normal quantiles of both halves, added."""

    def hashed(bits):
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
            bits = ((bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)) % 2**32
        return bits

    positions = np.arange(count, dtype="uint64") * 0x9E3779B9 % 2**32
    bits = hashed(hashed(positions) ^ np.uint64(seed % 2**32))
    halves = (bits % 65536, bits // 65536)
    low, high = (scipy.stats.norm.ppf((half.astype(float) + 0.5) / 65536) for half in halves)
    return (low + high) / np.sqrt(2)


def test_the_noise_is_normal_and_independent():
    seed = ops.convert_to_tensor(np.array([1, 2, 12345], "int32"))
    noise = to_numpy(normal_noise(seed, (64, 64, 3))).reshape(3, -1)
    for part in noise:
        assert scipy.stats.kstest(part, "norm").pvalue > 1e-3
    streams = [*noise, *(np.roll(noise[0], shift) for shift in (1, 3, 192))]
    correlation = np.corrcoef(streams)[np.triu_indices(len(streams), 1)]
    assert np.abs(correlation).max() < 0.03
    fourth = np.mean(noise**4)
    assert fourth == pytest.approx(3, rel=0.05)


def test_no_seed_gives_the_noise_of_another_shifted():
    seeds = np.array([5 + step * GOLDEN for step in range(-2, 3)]).astype("int32")  # wrapped
    noise = to_numpy(normal_noise(ops.convert_to_tensor(seeds), (40, 50, 1))).reshape(5, -1)
    for other in noise[[0, 1, 3, 4]]:
        for shift in range(-3, 4):
            correlation = np.corrcoef(noise[2], np.roll(other, shift))[0, 1]
            assert abs(correlation) < 0.12  # 5 standard errors of 2000 numbers


def test_noise_has_the_level_asked_for(rng):
    grey = np.full((64, 16, 16, 3), 0.5)
    fixed = to_numpy(GaussianNoise(25 / 255)(grey)) - 0.5
    assert np.std(fixed, axis=(1, 2, 3)) == pytest.approx(np.full(64, 25 / 255), rel=0.2)
    assert np.std(fixed) == pytest.approx(25 / 255, rel=0.01)
    blind = GaussianNoise((0.1, 0.3))
    levels = blind.draw(64, (16, 16), index=2)["sigma"]
    assert 0.1 <= levels.min() < 0.13 and 0.27 < levels.max() <= 0.3
    found = np.std(to_numpy(blind(grey, index=2)) - 0.5, axis=(1, 2, 3))
    np.testing.assert_allclose(found, levels, rtol=0.2)
    assert fixed.min() + 0.5 > 0.0 and to_numpy(GaussianNoise(1.0)(grey)).min() < 0
    clipped = to_numpy(GaussianNoise(1.0, clip=True)(grey))
    assert clipped.min() == 0 and clipped.max() == 1
    np.testing.assert_array_equal(to_numpy(GaussianNoise(0.0)(grey)), grey.astype("float32"))


def test_boxes_are_whole_and_the_mask_is_theirs(rng):
    images = 0.1 + 0.3 * rng.random((50, 40, 30, 3), dtype="float32")
    degradation = RandomBoxes(boxes=(1, 3), side=(0.1, 0.5), fill=0.75, seed=4)
    cut = to_numpy(degradation(images, index=2))
    mask = to_numpy(degradation.mask(50, (40, 30), index=2))
    assert mask.shape == (50, 40, 30, 1) and set(np.unique(mask)) == {0.0, 1.0}
    np.testing.assert_array_equal(cut, np.where(mask == 1, images, np.float32(0.75)))

    drawn = degradation.draw(50, (40, 30), index=2)["boxes"]
    expected = np.ones_like(mask)
    for image, boxes in zip(expected, drawn, strict=True):
        for top, left, bottom, right in boxes:
            image[top:bottom, left:right] = 0
    np.testing.assert_array_equal(mask, expected)
    sides = (drawn[..., 2:] - drawn[..., :2])[drawn[..., 2] > 0]
    assert sides[:, 0].min() >= 4 and sides[:, 0].max() <= 20
    assert sides[:, 1].min() >= 3 and sides[:, 1].max() <= 15
    assert drawn.min() >= 0 and drawn[..., 2].max() == 40 and drawn[..., 3].max() == 30
    assert set((drawn[..., 2] > 0).sum(axis=1)) == {1, 2, 3}


def test_a_box_of_one_pixel_is_cut_out_of_the_smallest_image():
    cut = to_numpy(RandomBoxes((1, 1), (0.1, 0.1), fill=0)(np.ones((1, 1, 1, 1))))
    assert cut.item() == 0


@pytest.mark.parametrize(
    ("task", "operator", "bounds"),
    [
        (TimedNoise.denoising, None, (0.0, 1.0)),
        (TimedNoise.deblurring, GaussianBlur(3.0), (0.0, 0.1)),
        (TimedNoise.inpainting, RandomBoxes(), (0.0, 0.1)),
        (lambda: TimedNoise(Downsampling(2), (0.2, 0.3)), Downsampling(2), (0.2, 0.3)),
    ],
)
def test_the_time_blends_the_degraded_image_with_noise(task, operator, bounds, rng):
    images = rng.random((256, 8, 12, 3), dtype="float32")
    noisy, time = (to_numpy(part) for part in task()(images, index=1))
    assert time.shape == (256,) and time.dtype == np.float32
    assert bounds[0] <= time.min() and time.max() <= bounds[1]
    middle, width = np.mean(bounds), bounds[1] - bounds[0]
    assert time.mean() == pytest.approx(middle, abs=0.06 * width)
    assert time.std() == pytest.approx(width / np.sqrt(12), rel=0.1)
    signal = to_numpy(operator(images, index=1)) if operator else images
    weight = (time if operator is None else 1 - time)[:, None, None, None]
    # What is left is the noise: of the mean 1/2 and the deviation 1/2.
    chosen = (1 - weight).ravel() > 0.02
    noise = ((noisy - weight * signal) / (1 - weight))[chosen]
    assert noise.mean() == pytest.approx(0.5, abs=0.02)
    assert noise.std() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(noise.ravel(), signal[chosen].ravel())[0, 1]) < 0.03


def test_jpeg_is_what_pillow_writes(rng):
    import io

    from PIL import Image

    image = rng.integers(0, 256, (17, 23, 3), dtype="uint8")
    found = to_numpy(JPEG(60)(image[None]))[0]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=60, subsampling="4:2:0")
    np.testing.assert_allclose(found, np.asarray(Image.open(file)) / 255, atol=1e-6)
    Image.fromarray(image).save(file := io.BytesIO(), "JPEG", quality=60, subsampling="4:4:4")
    found = to_numpy(JPEG(60, subsampling="4:4:4")(image[None]))[0]
    np.testing.assert_allclose(found, np.asarray(Image.open(file)) / 255, atol=1e-6)
    drawn = JPEG((30, 31)).draw(64, (8, 8))["quality"]
    assert set(drawn.tolist()) == {30, 31}
    assert JPEG(50)(image[None, ..., :1]).shape == (1, 17, 23, 1)


EVERY = {
    **{name: make() for name, make in RANDOM.items()},
    "kernel": KernelBlur(np.ones((3, 3)) / 9),
    "downsampling": Downsampling(2),
    "downsample": lambda x: downsample(x, 3),
    "upsample_bicubic": lambda x: upsample_bicubic(x, 2),
    "gaussian_blur": lambda x: gaussian_blur(x, 2.0),
}


@pytest.mark.parametrize("name", EVERY)
def test_bytes_are_images_of_255_levels_and_a_batch_may_be_one(name, rng):
    image = rng.integers(0, 256, (1, 9, 13, 3), dtype="uint8")
    from_bytes = image_of(EVERY[name](image))
    np.testing.assert_allclose(from_bytes, image_of(EVERY[name](image / 255)), atol=1e-6)
    assert from_bytes.dtype == np.float32 and np.isfinite(from_bytes).all()


@pytest.mark.parametrize("name", EVERY)
def test_what_is_no_batch_of_images_is_refused(name):
    degrade, good = EVERY[name], np.full((1, 8, 8, 3), 0.5)
    with pytest.raises(ValueError, match=r"\(B, H, W, C\). Received: shape \(8, 8, 3\)$"):
        degrade(good[0])
    with pytest.raises(ValueError, match=r"Received: shape \(0, 8, 8, 3\)$"):
        degrade(good[:0])
    with pytest.raises(ValueError, match="Received: dtype int32$"):
        degrade(good.astype("int32"))
    for bad in (np.nan, np.inf):
        broken = good.copy()
        broken[0, 1, 2] = bad
        with pytest.raises(ValueError, match="Received: 3 values of NaN or inf$"):
            degrade(broken)
        with pytest.raises(ValueError, match="Received: 3 values of NaN or inf$"):
            degrade(ops.convert_to_tensor(broken.astype("float32")))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianNoise(-0.1), "-0.1$"),
        (lambda: GaussianNoise((0.2, 0.1)), r"\(0.2, 0.1\)$"),
        (lambda: GaussianNoise(np.nan), "nan$"),
        (lambda: GaussianNoise((0.1, 0.2, 0.3)), r"\(0.1, 0.2, 0.3\)$"),
        (lambda: GaussianBlur(-1), "-1$"),
        (lambda: gaussian_blur(np.ones((1, 4, 4, 1)), (1, 2)), r"\(1, 2\)$"),
        (lambda: KernelBlur(np.ones(3)), r"\(3,\)$"),
        (lambda: KernelBlur([[np.nan]]), r"\[\[nan\]\]$"),
        (lambda: RandomBoxes(boxes=(0, 2)), r"\(0, 2\)$"),
        (lambda: RandomBoxes(side=(0.5, 1.5)), r"\(0.5, 1.5\)$"),
        (lambda: TimedNoise(time=(0, 2)), r"\(0, 2\)$"),
        (lambda: TimedNoise("blur"), "'blur'$"),
        (lambda: TimedNoise(JPEG()), "JPEG$"),
        (lambda: TimedNoise(TimedNoise()), "TimedNoise$"),
        (lambda: RandomBoxes(boxes=0), "0$"),
        (lambda: RandomBoxes(boxes=(1.5, 2)), r"\(1.5, 2\)$"),
        (lambda: RandomBoxes(boxes=("one", "two")), r"\('one', 'two'\)$"),
        (lambda: JPEG((0, 50)), r"\(0, 50\)$"),
        (lambda: JPEG(50, subsampling="4:1:1"), "'4:1:1'$"),
        (lambda: JPEG(101), "101$"),
        (lambda: JPEG()(np.ones((1, 4, 4, 2))), r"\(1, 4, 4, 2\)$"),
        (lambda: Downsampling(0), "0$"),
        (lambda: Downsampling(1.5), "1.5$"),
        (lambda: downsample(np.ones((1, 4, 4, 1)), 2, "nearest"), "'nearest'$"),
        (lambda: upsample_bicubic(np.ones((1, 4, 4, 1)), -2), "-2$"),
        (lambda: GaussianNoise(seed=-1), "-1$"),
        (lambda: GaussianNoise()(np.ones((2, 4, 4, 1)), index=[1, 2, 3]), r"\[1 2 3\]$"),
        (lambda: GaussianNoise()(np.ones((2, 4, 4, 1)), index=-1), "-1$"),
    ],
)
def test_what_is_impossible_is_named(make, message):
    with pytest.raises(ValueError, match=f"Received: .*{message}"):
        make()


def test_a_degradation_of_ones_own_needs_apply_alone(rng):
    class Darker(Degradation):
        def draw_sample(self, rng, size):
            return {"gain": np.float32(rng.uniform(0.5, 1))}

        def apply(self, images, numbers):
            return images * numbers["gain"][:, None, None, None]

    images = rng.random((2, 5, 6, 3), dtype="float32")
    ratio = to_numpy(Darker()(images)) / images
    assert ratio.std(axis=(1, 2, 3)).max() < 1e-6 and 0.5 <= ratio.min() < ratio.max() <= 1


def test_gradients_pass_through(rng, gradient_of):
    image = rng.random((1, 6, 7, 2), dtype="float32")
    for degradation in (GaussianBlur(1.0), Downsampling(2), RandomBoxes((1, 1))):
        numbers = {
            name: ops.convert_to_tensor(value)
            for name, value in degradation.draw(1, (6, 7)).items()
        }
        (gradient,) = gradient_of(lambda x, d=degradation, n=numbers: ops.sum(d.apply(x, n)), image)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
