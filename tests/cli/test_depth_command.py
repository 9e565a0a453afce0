"""`c2f depth`, with a stand-in for the network: files, messages, exit statuses."""

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli import depth as depth_command
from c2f_zoo.cli.main import main
from c2f_zoo.data.depth.picture import depth_picture
from c2f_zoo.data.files.depth import read_depth
from c2f_zoo.data.files.images import load_image
from tests.cli.flow_toys import error_of

pytestmark = pytest.mark.backend_free


class Ramp:
    """Answers with a depth that grows from 1 m by 0.5 m a row."""

    def depth(self, image):
        height, width = load_image(image).shape[:2]
        ramp = 1 + np.arange(height, dtype="float32") / 2
        return np.broadcast_to(ramp[:, None, None], (height, width, 1))


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(depth_command, "load_depth_model", lambda preset: Ramp())


@pytest.fixture
def photo(tmp_path):
    Image.new("RGB", (60, 40), (200, 0, 50)).save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def command(inputs, out, *options):
    return ["depth", *map(str, inputs), "-o", str(out), "--preset", "some.preset", *options]


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def test_an_image_gives_a_depth_map_and_a_picture(model, photo, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert main(command([photo], out)) == 0
    assert names(out) == ["photo_coloured_depth.png", "photo_depth.png"]
    expected = Ramp().depth(photo)
    np.testing.assert_allclose(read_depth(out / "photo_depth.png")[0], expected, atol=6e-4)
    picture = load_image(out / "photo_coloured_depth.png")
    np.testing.assert_allclose(picture, depth_picture(expected), atol=1 / 255)
    printed = capsys.readouterr().out
    assert "depth: 1.00 to 20.50 m" in printed and "60x40 with some.preset" in printed


@pytest.mark.parametrize("suffix", ["npy", "pfm"])
def test_depth_maps_have_other_formats_scales_and_colours(model, photo, tmp_path, suffix):
    out = tmp_path / "out"
    options = ["--format", suffix, "--near", "2", "--far", "9", "--quiet"]
    assert main(command([photo], out, *options)) == 0
    expected = Ramp().depth(photo)
    np.testing.assert_array_equal(read_depth(out / f"photo_depth.{suffix}")[0], expected)
    picture = load_image(out / "photo_coloured_depth.png")
    np.testing.assert_allclose(picture, depth_picture(expected, (2, 9)), atol=1 / 255)
    assert main(command([photo], out, "--scale", "256")) == 0
    found = read_depth(out / "photo_depth.png", 256)[0]
    np.testing.assert_allclose(found, expected, atol=1 / 256)


def test_a_folder_keeps_its_subfolders_and_leaves_out_earlier_results(model, photo, tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("a.jpg", "more/a.jpg", "a_depth.png"):
        Image.new("RGB", (9, 7)).save(folder / name)
    assert main(command([folder], tmp_path / "out")) == 0
    expected = ["a_coloured_depth.png", "a_depth.png"]
    assert names(tmp_path / "out") == expected + [f"more/{name}" for name in expected]


def test_an_image_that_fails_is_named_and_the_others_are_written(model, photo, tmp_path, capsys):
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:300])
    Image.new("RGB", (9, 7)).save(tmp_path / "small.png")
    out = tmp_path / "out"
    inputs = [tmp_path / "broken.png", photo, tmp_path / "small.png"]
    assert main(command(inputs, out)) == 1
    assert len(names(out)) == 4 and not any("broken" in name for name in names(out))
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("c2f: ")]
    assert errors[0].startswith(f"c2f: {inputs[0]}: ")
    assert errors[1:] == ["c2f: 1 of 3 images failed, 2 were written"]
    # What a png cannot hold is one image's failure too, and leaves nothing of that image.
    assert main(command(inputs[1:], tmp_path / "far", "--scale", "5000")) == 1
    assert names(tmp_path / "far") == ["small_coloured_depth.png", "small_depth.png"]


def test_what_cannot_be_done_is_said(model, photo, tmp_path, capsys):
    out = tmp_path / "out"

    def error(inputs, folder, *options, status=1):
        return error_of(capsys, command(inputs, folder, *options), status)

    assert "Received: none.png" in error(["none.png"], out)
    assert "-o names a folder" in error([photo], tmp_path / "a.png", status=2)
    for options in (["--near", "2"], ["--near", "3", "--far", "2"]):
        assert "--near" in error([photo], out, *options, status=2)
    assert "choose a smaller scale" in error([photo], out, "--scale", "5000")
    other = tmp_path / "photo.png"
    Image.new("RGB", (9, 7)).save(other)
    assert "same files" in error([photo, other], out)
    other.write_text("no image")
    assert "not an image" in error([other], out)


def test_a_preset_of_another_task_is_refused(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("c2f_zoo.cli.common.load_model", lambda preset: object())
    told = error_of(capsys, command([photo], tmp_path / "out"))
    assert "depth estimation is needed" in told
