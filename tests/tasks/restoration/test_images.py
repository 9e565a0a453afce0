"""Photographs through a restoration network: sizes, kinds, tiles, masks, errors."""

import warnings

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from c2f_zoo.backend import to_numpy
from c2f_zoo.data import load_image, save_image
from c2f_zoo.data.degradations.resize import upsample_bicubic
from c2f_zoo.models import MultiscaleUNet, SRParaConvNet
from c2f_zoo.tasks.restoration import images as restoration_images, tiling
from c2f_zoo.tasks.restoration.tiling import RestorationSpec, plan_tiles
from tests.tasks.restoration.restoration_toys import LocalNet


@pytest.fixture
def net():
    return LocalNet()


class AverageOfTheKnown:
    """Fills a hole with the mean of what is known within 4 pixels, or 1/2."""

    def inpaint(self, image, mask, depth):
        spec = RestorationSpec(mask=True, reach=4)
        return restoration_images.run_on_image(self, spec, "inpaint", image, mask, depth=depth)

    def predict_on_batch(self, inputs):
        images, masks = inputs
        total, known = (
            ndimage.uniform_filter(values, (0, 9, 9, 0), mode="constant")
            for values in (images * masks, masks)
        )
        mean = np.where(known > 1e-6, total / np.maximum(known, 1e-6), 0.5)
        return np.where(masks > 0, images, mean)


def photograph(rng, height, width, channels=3):
    return rng.integers(0, 256, (height, width, channels), "uint8")


@pytest.mark.parametrize("size", [(150, 171), (64, 200), (63, 66), (200, 9)])
@pytest.mark.parametrize("scale", [1, 2])
def test_tiles_give_what_the_whole_gives(size, scale, rng):
    net, image = LocalNet(scale), photograph(rng, *size)
    run = net.restore if scale == 1 else net.upscale
    whole = run(image, tile=0)
    assert whole.shape == (scale * size[0], scale * size[1], 3)
    net.shapes.clear()
    found = run(image, tile=(90, 118), overlap=2 * net.reach + 8)
    np.testing.assert_allclose(found, whole, atol=1e-4)
    assert len(net.shapes) <= 1  # compiled once, if not for the whole already


def test_tiles_of_the_network_for_photographs_give_what_the_whole_gives(rng):
    net = MultiscaleUNet(
        8,
        (1, 2),
        norm="pixel",
        attention=0,
        dropout=0,
        time_embedding=False,
        patch=2,
        residual=True,
    )
    for weight in net.head.weights:  # which starts at zero: a fresh network gives the image back
        weight.assign(0.1 * rng.normal(size=weight.shape))
    image = photograph(rng, 203, 260)
    whole = net.restore_pixels(image, tile=0)
    assert np.abs(whole - image / 255).max() > 0.1
    found = net.restore_pixels(image, tile=160)
    np.testing.assert_allclose(found, whole, atol=1e-3)


def test_few_shared_pixels_show_only_near_the_seams(net, rng):
    image = photograph(rng, 120, 120)
    found = net.restore(image, tile=64, overlap=8)
    error = np.abs(found - net.restore(image, tile=0))
    assert error[:40, :40].max() < 1e-4 and error.max() > 1e-3


def test_a_large_image_runs_in_tiles_by_itself(net, rng, monkeypatch):
    monkeypatch.setattr(tiling, "WHOLE", 96 * 96)
    monkeypatch.setattr(tiling, "_LARGEST_TILE", 96)
    image = photograph(rng, 130, 140)
    found = net.restore(image)
    assert net.shapes == {(2, 96, 96, 3)}
    np.testing.assert_allclose(found, net.restore(image, tile=0), atol=1e-4)


def test_a_wider_network_takes_smaller_tiles_and_fewer_at_once():
    sides, counts = [], []
    for features in (8, 32, 64, 256):
        spec = RestorationSpec(stride=4, reach=18, features=features)
        tiles = plan_tiles(spec, (4000, 6000))
        side = tiles.sides[0]
        assert side % 4 == 0 and 2 * tiles.overlap <= side and tiles.margin >= 18
        sides.append(side)
        counts.append(plan_tiles(spec, (4000, 6000), tile=256).batch_size)
    assert sides[0] == 768 and sides == sorted(sides, reverse=True) and sides[-1] >= 200
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 4)])
def test_the_smallest_images_are_restored(net, size, rng):
    assert net.restore(photograph(rng, *size)).shape == (*size, 3)


def test_a_network_without_limits_warns_that_tiles_differ(rng):
    net, image = LocalNet(is_global=True), photograph(rng, 80, 80)
    with pytest.warns(UserWarning, match="looks at the whole image at once"):
        net.restore(image, tile=64)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        LocalNet(is_global=True).restore(image)  # whole


class TestKinds:
    def test_the_result_is_float32_within_0_and_1(self, net, rng):
        found = net.restore(photograph(rng, 20, 30))
        assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1

    def test_bytes_floats_files_and_pil_images_give_the_same(self, net, rng, tmp_path):
        image = photograph(rng, 20, 30)
        save_image(tmp_path / "a.png", image)
        found = net.restore(image)
        for same in (
            image / 255,
            load_image(image),
            Image.fromarray(image),
            tmp_path / "a.png",
            str(tmp_path / "a.png"),
            (image.astype("uint16") * 257),
        ):
            np.testing.assert_allclose(net.restore(same), found, atol=1e-5)

    @pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1)])
    def test_grey_stays_grey(self, net, shape, rng):
        image = rng.integers(0, 256, shape, "uint8")
        found = net.restore(image)
        colored = net.restore_pixels(np.repeat(image.reshape(20, 30, 1), 3, axis=2))
        assert found.shape == (20, 30)
        np.testing.assert_allclose(found, colored.mean(axis=2).clip(0, 1), atol=1e-6)

    def test_16_bits_of_grey_count(self, net, rng, tmp_path):
        image = rng.integers(0, 65536, (20, 30), "uint16")
        Image.fromarray(image).save(tmp_path / "a.png")
        np.testing.assert_allclose(
            net.restore(tmp_path / "a.png"), net.restore(np.float32(image) / 65535), atol=1e-6
        )

    @pytest.mark.parametrize("channels", [2, 4])
    def test_alpha_passes_through(self, net, channels, rng):
        image = photograph(rng, 20, 30, channels)
        found = net.restore(image)
        assert found.shape == image.shape
        np.testing.assert_allclose(found[..., -1], image[..., -1] / 255, atol=1e-7)
        color = net.restore(image[..., :-1])
        np.testing.assert_array_equal(found[..., :-1].squeeze(), color)

    def test_alpha_is_enlarged_with_the_image(self, rng):
        image = photograph(rng, 20, 30, 4)
        image[..., 3] = 255
        image[:10, :, 3] = 0
        found = LocalNet(scale=2).upscale(image)
        assert found.shape == (40, 60, 4)
        assert (found[:16, :, 3] == 0).all() and (found[24:, :, 3] == 1).all()

    @pytest.mark.parametrize("channels", [2, 4])
    @pytest.mark.parametrize("size", [(300, 61), (40, 270), (3, 2)])
    def test_alpha_in_tiles_is_alpha_as_a_whole(self, channels, size, rng):
        image = photograph(rng, *size, channels)
        found = LocalNet(scale=2).upscale(image)
        whole = to_numpy(upsample_bicubic(image[None, ..., -1:], 2))[0, ..., 0]
        assert found.shape == (2 * size[0], 2 * size[1], channels)
        np.testing.assert_allclose(found[..., -1], whole.clip(0, 1), atol=1e-6)

    def test_a_photograph_held_upright_is_restored_upright(self, net, rng, tmp_path):
        image = Image.fromarray(photograph(rng, 20, 30))
        exif = Image.Exif()
        exif[0x0112] = 6
        image.save(tmp_path / "a.png", exif=exif)
        found = net.restore(tmp_path / "a.png")
        turned = net.restore(image.transpose(Image.Transpose.ROTATE_270))
        np.testing.assert_array_equal(found, turned)


class TestInpainting:
    @pytest.fixture
    def net(self):
        return LocalNet(mask=True)

    @pytest.fixture
    def mask(self):
        mask = np.ones((40, 50), bool)
        mask[10:20, 15:40] = False
        return mask

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_what_is_known_stays_to_the_bit(self, net, mask, channels, rng):
        image = photograph(rng, 40, 50, channels)
        found, given = net.inpaint(image, mask), np.float32(image) / np.float32(255)
        np.testing.assert_array_equal(found[mask], given.squeeze()[mask])
        assert np.abs(found - given.squeeze())[~mask].max() > 1e-3

    def test_masks_of_every_kind_are_the_same(self, net, mask, rng, tmp_path):
        image = photograph(rng, 40, 50)
        found = net.inpaint(image, mask)
        Image.fromarray(mask).save(tmp_path / "bits.png")
        Image.fromarray(np.uint8(mask)).save(tmp_path / "ones.png")
        white = np.uint8(mask) * 255
        for same in (
            mask[..., None],
            mask.astype(int),
            mask.astype("float32"),
            white,
            np.repeat(white[..., None], 3, axis=2),
            Image.fromarray(white),
            tmp_path / "bits.png",
            tmp_path / "ones.png",
        ):
            np.testing.assert_array_equal(net.inpaint(image, same), found)

    def test_tiles_give_what_the_whole_gives(self, net, rng):
        image, mask = photograph(rng, 100, 210), rng.random((100, 210)) < 0.7
        mask[:, 100:] = True  # tiles without holes
        whole = net.inpaint(image, mask, tile=0)
        np.testing.assert_allclose(net.inpaint(image, mask, tile=104), whole, atol=1e-4)

    def test_nothing_to_fill_gives_the_image(self, net, rng):
        image = rng.random((9, 8, 3), dtype="float32")
        found = net.inpaint(image, np.ones((9, 8), bool))
        np.testing.assert_array_equal(found, image)
        assert not net.shapes and found is not image

    @pytest.mark.filterwarnings("ignore:The mask has a hole")
    @pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "grey"])
    def test_a_deep_hole_is_filled_from_coarse_to_fine(self, kind):
        net = AverageOfTheKnown()
        y, x = np.mgrid[:61, :75] / 80
        truth = y[..., None] if kind == "grey" else np.stack([y, x, 1 - x], axis=-1)
        full = {"uint8": 255, "uint16": 65535}.get(kind, 1)
        mask = np.ones((61, 75), bool)
        mask[8:52, 10:60] = False  # its middle is 22 pixels from what is known
        image = (full * truth * mask[..., None]).astype("float32" if kind == "grey" else kind)
        flat = net.inpaint(image, mask, depth=0).reshape(truth.shape)
        assert (flat[20:40, 20:50] == 0.5).all()  # out of reach
        found = net.inpaint(image, mask, depth=3).reshape(truth.shape)
        assert np.abs(found - truth)[~mask].mean() < 0.05 < np.abs(flat - truth)[~mask].mean()
        np.testing.assert_array_equal(found[mask], flat[mask])

    def test_shallow_holes_take_one_pass(self, net, mask, rng):
        image = photograph(rng, 40, 50)
        np.testing.assert_array_equal(net.inpaint(image, mask, depth=5), net.inpaint(image, mask))
        np.testing.assert_array_equal(net.inpaint(image, mask, depth=0), net.inpaint(image, mask))
        assert np.abs(net.inpaint(image, mask, depth=2) - net.inpaint(image, mask)).max() > 1e-3

    @pytest.mark.parametrize("depth", [-1, 1.5, True, "8", float("nan")])
    def test_a_senseless_depth_is_refused(self, net, mask, depth, rng):
        with pytest.raises(ValueError, match=r"depth must be an integer >= 0.*Received: "):
            net.inpaint(photograph(rng, 40, 50), mask, depth=depth)

    @pytest.mark.parametrize(
        ("mask", "message"),
        [
            (np.ones((50, 40)), "must have the same size. .*the image 50x40 and its mask 40x50"),
            (np.zeros((40, 50)), "leaves some of the image known .* Received: 2000 pixels"),
            (np.full((40, 50), 0.5), "two values: 1 .* Received: 1 values from 0.5 to 0.5"),
            (np.full((40, 50), 7), "Received: 1 values from 7 to 7"),
            (np.arange(2000, dtype="uint16").reshape(40, 50), "2000 values from 0 to 1999"),
            (np.full((40, 50), np.nan), "two values"),
            (np.uint8([[[255, 0, 0]]]).repeat(40, 0).repeat(50, 1), "Received: a coloured"),
            (np.uint8([[[255, 9]]]).repeat(40, 0).repeat(50, 1), "transparent pixels"),
        ],
    )
    def test_what_is_no_mask_is_refused(self, net, mask, message, rng):
        with pytest.raises(ValueError, match=message):
            net.inpaint(photograph(rng, 40, 50), mask)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((9, 9, 3), np.nan), "finite. Received: 243 values that are NaN"),
        (np.full((9, 9, 3), np.inf, "float32"), "finite"),
        (np.full((9, 9, 3), 255.0), r"\[0, 1\] .* from 255 to 255"),
        (np.zeros((0, 9, 3), "uint8"), r"empty. Received: shape \(0, 9, 3\)"),
        (np.zeros((9, 9, 5), "uint8"), r"Received: shape \(9, 9, 5\)"),
        (np.zeros((9, 9, 3), int), "Received: dtype int64"),
    ],
)
def test_what_is_no_image_is_refused(net, image, message):
    with pytest.raises(ValueError, match=message):
        net.restore(image)


def test_files_that_are_none_are_refused(net, tmp_path, rng):
    (tmp_path / "empty.png").touch()
    frames = [Image.fromarray(photograph(rng, 8, 8)) for _ in range(2)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"it is empty. Received: .*empty\.png"):
        net.restore(tmp_path / "empty.png")
    with pytest.raises(ValueError, match="one picture. Received: a file of 2 pictures"):
        net.restore(tmp_path / "film.gif")
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        net.restore(tmp_path / "none.png")
    with pytest.raises(TypeError, match="Received: int"):
        net.restore(1)


class TestSettings:
    def test_an_error_names_the_verb_that_fits(self, net):
        image = np.zeros((8, 8, 3))
        with pytest.raises(ValueError, match=r"use restore\(image\). Received: upscale"):
            net.upscale(image)
        with pytest.raises(ValueError, match=r"2 times: use upscale\(image\). Received: restore"):
            SRParaConvNet(4).restore(image)
        with pytest.raises(ValueError, match=r"use inpaint\(image, mask\). Received: restore"):
            LocalNet(mask=True).restore(image)

    def test_the_time_is_given_to_a_network_that_is_told_it(self, rng):
        net, image = LocalNet(time_embedding=True), photograph(rng, 12, 12)
        found = [net.restore(image, time) for time in (0, 0.5, np.float32(1))]
        assert len({array.tobytes() for array in found}) == 3
        for time in (None, 1.5, -1, "0.5", True):
            with pytest.raises(ValueError, match="time, the share of noise.*Received: "):
                net.restore(image, time)

    def test_no_time_is_given_to_others(self, net):
        with pytest.raises(ValueError, match="takes no time. Received: time=0.5"):
            net.restore(np.zeros((8, 8, 3)), time=0.5)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"tile": -1}, "tile must be an integer >= 0. Received: -1"),
            ({"tile": (8, 8, 8)}, r"two integers >= 0. Received: \(8, 8, 8\)"),
            ({"tile": "big"}, "Received: 'big'"),
            ({"tile": ("8", 8)}, r"Received: \('8', 8\)"),
            ({"tile": 8.5}, "Received: 8.5"),
            ({"tile": float("nan")}, "Received: nan"),
            ({"tile": 32, "overlap": "big"}, "overlap must be an integer >= 0. Received: 'big'"),
            ({"tile": 32, "overlap": 20}, "half a tile of 32x32. Received: 20"),
            ({"tile": 32, "overlap": -1}, "overlap must be an integer >= 0. Received: -1"),
        ],
    )
    def test_tiles_out_of_range_are_refused(self, net, options, message):
        with pytest.raises(ValueError, match=message):
            net.restore(np.zeros((64, 64, 3)), **options)

    def test_a_bar_is_shown_on_request(self, net, capsys):
        net.restore(np.zeros((64, 64, 3)), tile=32, progress=True)
        assert "9/9" in capsys.readouterr().err
        net.restore(np.zeros((64, 64, 3)), tile=32)
        assert capsys.readouterr().err == ""
