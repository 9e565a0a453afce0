"""Several images at once, noise beyond [0, 1], and the sizes that a network is compiled for."""

import warnings

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.models import MultiscaleUNet, RestorationResNet
from c2f_zoo.tasks.restoration import images as restoration_images
from c2f_zoo.tasks.restoration.holes import describe_large_hole
from c2f_zoo.tasks.restoration.tiling import bucket
from tests.tasks.restoration.restoration_toys import LocalNet


@pytest.fixture
def net():
    return LocalNet()


def photograph(rng, height, width, channels=3):
    return rng.integers(0, 256, (height, width, channels), "uint8")


class TestSeveralImages:
    def test_a_list_of_images_of_any_kind_gives_a_list(self, net, rng, tmp_path):
        given = [photograph(rng, 12, 14), photograph(rng, 9, 8, 1), photograph(rng, 12, 14) / 255]
        Image.fromarray(given[0]).save(tmp_path / "a.png")
        given += [tmp_path / "a.png", Image.fromarray(given[0])]
        for images in (given, tuple(given)):
            found = net.restore(images)
            assert isinstance(found, list) and len(found) == 5
            for one, image in zip(found, given, strict=True):
                np.testing.assert_array_equal(one, net.restore(image))
        assert net.restore([]) == []

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_a_stack_gives_a_stack(self, rng, channels):
        net = LocalNet(scale=2)
        stack = rng.integers(0, 256, (3, 10, 12, channels), "uint8")
        found = net.upscale(stack)
        assert isinstance(found, np.ndarray) and len(found) == 3
        for one, image in zip(found, stack, strict=True):
            np.testing.assert_array_equal(one, net.upscale(image))

    def test_a_folder_gives_its_images_by_name(self, net, rng, tmp_path):
        for name in ("b.png", "a.png", "sub/c.png"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            Image.fromarray(photograph(rng, 12, 14)).save(tmp_path / name)
        found = net.restore(tmp_path)
        assert len(found) == 3
        for one, name in zip(found, ("a.png", "b.png", "sub/c.png"), strict=True):
            np.testing.assert_array_equal(one, net.restore(tmp_path / name))
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="hold no image"):
            net.restore(str(tmp_path / "empty"))

    def test_a_bar_counts_the_images_on_request(self, net, capsys):
        net.restore([np.zeros((8, 8, 3))] * 2, progress=True)
        assert "2/2" in capsys.readouterr().err
        net.restore([np.zeros((8, 8, 3))] * 2)
        assert capsys.readouterr().err == ""

    def test_an_error_names_the_image(self, net):
        with pytest.raises(ValueError, match="Received: shape") as caught:
            net.restore([np.zeros((8, 8, 3)), np.zeros((8, 8, 7))])
        assert caught.value.__notes__ == ["This was image 1 of 2."]
        with pytest.raises(ValueError, match="Received: upscale"):
            net.upscale([np.zeros((8, 8, 3))])


class TestNoise:
    @pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30), (20, 30, 1)])
    @pytest.mark.filterwarnings("error::UserWarning")
    def test_noise_may_leave_the_range_of_images(self, net, rng, shape):
        noisy = (rng.random(shape) + rng.normal(0, 0.2, shape)).astype("float32")
        assert noisy.min() < 0 and noisy.max() > 1
        pixels = noisy.reshape(20, 30, -1)
        expected = net.restore_pixels(pixels)
        expected = expected.mean(axis=2) if pixels.shape[2] == 1 else expected
        np.testing.assert_allclose(net.restore(noisy), expected.clip(0, 1), atol=1e-6)

    @pytest.mark.filterwarnings("error::UserWarning")
    def test_alpha_is_kept_beside_noise(self, rng):
        image = rng.random((12, 14, 4), dtype="float32")
        image[..., :3] = image[..., :3] * 1.4 - 0.2
        found = LocalNet(scale=2).upscale(image)
        assert found.shape == (24, 28, 4) and 0 <= found.min() and found.max() <= 1

    @pytest.mark.parametrize("value", [-1.5, 2.5])
    def test_a_range_beyond_noise_is_warned_of(self, net, value):
        image = np.zeros((8, 8, 3), "float32")
        image[0, 0, 0] = value
        with pytest.warns(UserWarning, match=r"Received: values from .*\.5") as caught:
            net.restore(image)
        assert caught[0].filename == __file__

    def test_an_image_of_0_to_255_is_refused(self, net, rng):
        with pytest.raises(ValueError, match=r"\[0, 1\].* Received: values from"):
            net.restore(rng.uniform(0, 255, (8, 8, 3)))


class TestSizes:
    def test_few_sizes_are_compiled_for_many_images(self):
        sizes = [bucket(side, 8) for side in range(1, 2049)]
        assert all(size >= side for side, size in enumerate(sizes, start=1))
        assert len(set(sizes)) == 26 and sizes == sorted(sizes)
        assert max(size / side for side, size in enumerate(sizes, 1) if side > 256) < 1.125
        assert {bucket(side, 12) % 12 for side in range(1, 999)} == {0}

    @pytest.mark.parametrize("kind", ["unet", "resnet", "inpaint"])
    def test_images_of_many_sizes_are_restored_as_they_are_alone(self, kind, rng, monkeypatch):
        options = {"norm": "pixel", "attention": 0, "dropout": 0, "patch": 2}
        net = {
            "unet": lambda: MultiscaleUNet(8, (1, 2), time_embedding=False, **options),
            "inpaint": lambda: MultiscaleUNet(
                8, (1, 2), time_embedding=False, mask=True, residual=True, **options
            ),
            "resnet": lambda: RestorationResNet(
                6, 2, time_embedding=False, scale=2, normalize=False, enlarge="last"
            ),
        }[kind]()
        for weight in net.weights:
            if "seed" not in weight.path:
                weight.assign(0.1 * rng.normal(size=weight.shape))
        compiled, predict = set(), net.predict_on_batch

        def watched(inputs):
            compiled.add(tuple(inputs["images"].shape) if isinstance(inputs, dict) else "exact")
            return predict(inputs)

        monkeypatch.setattr(net, "predict_on_batch", watched)

        def run(image):
            options = {}
            if kind == "inpaint":
                mask = np.ones(image.shape[:2], bool)
                mask[3:-7, 5:-5] = False  # deep: filled on several meshes
                options["known"] = mask
            return net.restore_pixels(image, **options)

        images = [photograph(rng, *size) for size in ((33, 50), (40, 61), (150, 30))]
        monkeypatch.setattr(restoration_images, "_is_compiled", lambda: False)
        alone = [run(image) for image in images]
        assert compiled == {"exact"}
        compiled.clear()
        monkeypatch.setattr(restoration_images, "_is_compiled", lambda: True)
        for image, expected in zip(images, alone, strict=True):
            np.testing.assert_allclose(run(image), expected, atol=5e-6)
        assert compiled == {(1, 128, 128, 3), (1, 256, 128, 3)}


class TestLargeHoles:
    @pytest.mark.parametrize("side", [20, 33, 50, 51])
    @pytest.mark.backend_free
    def test_the_size_and_place_of_the_largest_hole_are_named(self, side):
        known = np.ones((90, 100), bool)
        known[2:6, 2:6] = False
        known[10 : 10 + side, 20 : 20 + side] = False
        found = describe_large_hole(known)
        if side == 20:
            assert found is None
            return
        assert f"about {side + side % 2} pixels wide (around x=" in found
        x, y = (int(part.split("=")[1]) for part in found.split("(around ")[1][:10].split(", "))
        assert abs(x - 20 - side // 2) <= 1 and abs(y - 10 - side // 2) <= 1

    def test_inpainting_warns_of_a_hole_that_it_cannot_fill_well(self, rng):
        net, image = LocalNet(mask=True), photograph(rng, 70, 80)
        mask = np.ones((70, 80), bool)
        mask[10:60, 20:70] = False
        with pytest.warns(UserWarning, match="a hole about 50 pixels wide") as caught:
            net.inpaint(image, mask)
        assert caught[0].filename == __file__
        mask[...] = True
        mask[10:60, 20:40] = False  # long, but narrow
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            net.inpaint(image, mask)
