"""The protocols of restoration against figures that can be checked by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli.evaluate_restoration import make_baseline
from c2f_zoo.data import RandomBoxes, downsample, load_image, save_image, upsample_bicubic
from c2f_zoo.hub.metadata import check_fields
from c2f_zoo.layers import luma
from c2f_zoo.metrics import psnr, ssim
from c2f_zoo.tasks.restoration.measure import (
    RestorationProtocol,
    figures_of,
    measure_restoration,
)
from tests.tasks.restoration.restoration_toys import LocalNet


def unchanged(image, known):
    return image


def noise_of(sigma, shape, seed=0):
    return np.random.RandomState(seed).normal(0, sigma / 255, shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_is_that_of_the_documented_seed_and_not_clipped(channels, rng):
    image = rng.random((20, 30, channels), dtype="float32")
    noisy, truth, known = RestorationProtocol("denoise", noise=50, seed=3).degrade(image, 7)
    np.testing.assert_allclose(noisy, image + noise_of(50, image.shape, 3), atol=1e-6)
    assert noisy.min() < 0 and noisy.max() > 1 and known is None
    np.testing.assert_array_equal(truth, image)


def test_denoising_is_measured_on_the_clipped_result(rng):
    image = np.full((20, 30, 3), 0.5, "float32")
    image[0] = 1
    protocol = RestorationProtocol("denoise", noise=25)
    expected = (image + noise_of(25, image.shape)).clip(0, 1)
    found = measure_restoration(unchanged, [image, image], protocol)
    assert found["psnr"] == pytest.approx(
        -10 * np.log10(np.mean((expected - image) ** 2)), abs=1e-3
    )
    assert found["images"] == 2 and found["each"][0] == found["each"][1]
    assert 0 < found["ssim"] < 1 and found["seconds_per_image"] > 0


def test_a_noisy_file_has_8_bits_and_may_be_a_jpeg(rng):
    image = rng.random((24, 30, 3), dtype="float32")
    expected = np.rint(255 * (image + noise_of(25, image.shape)).clip(0, 1)).astype("uint8")
    clipped, truth, _ = RestorationProtocol("denoise", noise=25, clip=True).degrade(image)
    np.testing.assert_allclose(clipped * 255, expected, atol=1e-3)
    np.testing.assert_array_equal(truth, image)
    for subsampling in ("4:2:0", "4:4:4"):
        protocol = RestorationProtocol("denoise", noise=25, jpeg=92, subsampling=subsampling)
        file = io.BytesIO()
        Image.fromarray(expected).save(file, "JPEG", quality=92, subsampling=subsampling)
        read = np.asarray(Image.open(file)) / 255
        np.testing.assert_allclose(protocol.degrade(image)[0], read, atol=1e-6)
        assert protocol.title == f"noise 25, JPEG 92 {subsampling}"
    grey = RestorationProtocol("denoise", noise=25, jpeg=92).degrade(image[..., :1])[0]
    assert grey.shape == (24, 30, 1)


def test_figures_are_means_of_the_images_figures():
    protocol = RestorationProtocol("denoise", noise=1)
    images = [np.full((12, 12, 3), value, "float32") for value in (0.25, 0.5)]
    found = measure_restoration(lambda image, known: np.full_like(image, 0.75), images, protocol)
    expected = [-20 * np.log10(0.5), -20 * np.log10(0.25)]
    assert [pair[0] for pair in found["each"]] == pytest.approx(expected, abs=1e-4)
    assert found["psnr"] == pytest.approx(np.mean(expected), abs=1e-4)


def luma_by_hand(rgb):
    """MATLAB's rgb2ycbcr of bytes (H, W, 3)."""
    return np.round(16 + (rgb / 255) @ np.array([65.481, 128.553, 24.966]))


def test_enlarging_is_measured_on_y_without_the_border(rng):
    image = rng.integers(0, 256, (17, 22, 3), "uint8")
    made = rng.integers(0, 256, (15, 21, 3), "uint8")
    protocol = RestorationProtocol("upscale", scale=3)
    seen = []

    def answer(small, known):
        seen.append(small)
        return np.float32(made) / 255 + 0.001  # within the rounding

    found = measure_restoration(answer, [image], protocol)
    inside = (slice(3, -3), slice(3, -3))
    error = luma_by_hand(image[:15, :21])[inside] - luma_by_hand(made)[inside]
    assert found["psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)), abs=1e-3)
    assert seen[0].shape == (5, 7, 3)
    levels = seen[0] * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    assert np.isnan(found["ssim"])  # the window does not fit into 9 pixels


def test_deblurring_starts_from_blur_and_noise(rng):
    image = np.zeros((16, 16, 3), "float32")
    image[8, 8] = 1
    blurred, _, _ = RestorationProtocol("deblur", blur=1).degrade(image)
    assert blurred[8, 8, 0] == pytest.approx(0.1592, abs=1e-3)  # 1 / (2 pi)
    noisy, _, _ = RestorationProtocol("deblur", blur=1, noise=5).degrade(image)
    np.testing.assert_allclose(noisy - blurred, noise_of(5, image.shape), atol=1e-6)


def test_inpainting_counts_the_holes_alone():
    image = np.full((20, 30, 3), 0.8, "float32")
    protocol = RestorationProtocol("inpaint", seed=4)
    degraded, _, known = protocol.degrade(image, number=2)
    mask = np.asarray(RandomBoxes(seed=4).mask(1, (20, 30), index=np.array([2])))[0, ..., 0]
    np.testing.assert_array_equal(known, mask > 0)
    np.testing.assert_allclose(degraded[known], 0.8)
    np.testing.assert_allclose(degraded[~known], 0.5)
    found = measure_restoration(unchanged, [image], protocol)
    assert found["psnr"] == pytest.approx(-20 * np.log10(0.3), abs=1e-3)


def test_a_network_is_measured_as_its_image_level_answers(rng, tmp_path):
    net = LocalNet(scale=2)
    for name in "ba":
        save_image(tmp_path / f"{name}.png", rng.random((32, 36, 3)))
    protocol = RestorationProtocol("upscale", scale=2)
    found = measure_restoration(net, tmp_path, protocol)
    same = measure_restoration(
        lambda image, known: net.upscale(image), [tmp_path / "a.png", tmp_path / "b.png"], protocol
    )
    np.testing.assert_allclose(found["each"], same["each"], atol=1e-3)


def test_grey_images_are_measured_as_grey(rng):
    protocol = RestorationProtocol("denoise", noise=25)
    image = rng.random((20, 20), dtype="float32")
    found = measure_restoration(LocalNet(), [image], protocol)
    noisy = image[..., None] + noise_of(25, (20, 20, 1)).astype("float32")
    made = LocalNet().restore_pixels(noisy).mean(axis=2).clip(0, 1)
    expected = -10 * np.log10(np.mean((made - image) ** 2))
    assert found["psnr"] == pytest.approx(expected, abs=1e-3)


def test_figures_have_their_place_on_a_card():
    measured = {"psnr": 33.658, "ssim": 0.92986, "images": 5}
    protocol = RestorationProtocol("upscale", scale=2)
    metrics = figures_of(measured, protocol, "Set5", "c2f evaluate x", {"bicubic": measured})
    check_fields({"metrics": metrics})
    assert metrics[0] == {
        "name": "PSNR (Y)",
        "value": 33.66,
        "unit": "dB",
        "dataset": "Set5, 5 images, x2",
        "command": "c2f evaluate x",
        "compared_with": {"bicubic": 33.66},
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "dehaze"}, "task is .* Received: 'dehaze'"),
        ({"task": "denoise"}, "Denoising needs noise"),
        ({"task": "upscale"}, "scale above 1"),
        ({"task": "deblur", "noise": 5}, "needs .* a blur"),
        ({"task": "inpaint", "clip": True}, "clip and jpeg are for denoising"),
        ({"task": "denoise", "noise": 5, "jpeg": 101}, "quality must be an integer"),
        (
            {"task": "denoise", "noise": 5, "jpeg": 9, "subsampling": "4:1:1"},
            "subsampling must be one of",
        ),
    ],
)
def test_what_is_no_protocol_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RestorationProtocol(**arguments)


def test_a_network_of_another_task_is_refused():
    protocol = RestorationProtocol("upscale", scale=2)
    for net, able in ((LocalNet(), "restore"), (LocalNet(scale=3), "upscale x3")):
        with pytest.raises(ValueError, match=f"can upscale x2. .*, which can {able}"):
            measure_restoration(net, [], protocol)
    with pytest.raises(ValueError, match="on images. Received: none"):
        measure_restoration(LocalNet(), [], RestorationProtocol("denoise", noise=5))


def test_bicubic_has_the_field_s_figure_on_set5(shared_data):
    """33.66 dB and 0.9299, of luma shrunk and enlarged alone, as SRCNN's published code does it."""
    figures = []
    for path in sorted((shared_data / "images" / "Set5").iterdir()):
        truth = RestorationProtocol("upscale", scale=2).degrade(load_image(path))[1]
        y = np.rint(255 * np.asarray(luma(truth[None]))) / 255
        made = np.rint(255 * np.asarray(upsample_bicubic(downsample(y, 2), 2)).clip(0, 1)) / 255
        figures.append([float(measure(y, made, border=2)[0]) for measure in (psnr, ssim)])
    np.testing.assert_allclose(np.mean(figures, axis=0), (33.66, 0.9299), atol=5e-3, rtol=0)
    assert abs(np.mean(figures, axis=0)[1] - 0.9299) < 5e-5


def test_bicubic_enlarging_of_bytes_of_rgb_differs_by_the_rounding(shared_data):
    protocol, folder = RestorationProtocol("upscale", scale=2), shared_data / "images" / "Set5"
    found = measure_restoration(make_baseline("bicubic", protocol), folder, protocol)
    assert found["psnr"] == pytest.approx(33.65, abs=0.01)
    assert found["ssim"] == pytest.approx(0.9295, abs=2e-4)
