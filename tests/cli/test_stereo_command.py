"""`c2f stereo`, with a stand-in for the network: files, messages, exit statuses."""

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli import stereo as stereo_command
from c2f_zoo.cli.common import load_stereo_model
from c2f_zoo.cli.main import main
from c2f_zoo.data.files.disparity import read_disparity
from c2f_zoo.data.files.images import load_image
from c2f_zoo.data.stereo.picture import disparity_picture
from c2f_zoo.tasks.confidence import checked_disparity
from tests.cli.flow_toys import error_of

CALIBRATION = "cam0=[100 0 30; 0 100 20; 0 0 1]\nbaseline=50\ndoffs=6\n"


class Ramp:
    """Answers with a disparity that grows from 0.5 px by 0.5 px a column."""

    scale = 1

    def disparity(self, left, right, confidence=False):
        assert left.shape == right.shape
        height, width = left.shape[:2]
        ramp = self.scale * np.arange(1, width + 1, dtype="float32") / 2
        disparity = np.broadcast_to(ramp[None, :, None], (height, width, 1))
        return checked_disparity(disparity, disparity) if confidence else disparity


@pytest.fixture
def model(monkeypatch):
    ramp, ranges = Ramp(), []

    def load(preset, max_disparity=None, align_corners=False):
        ranges.append(max_disparity)
        return ramp

    monkeypatch.setattr(stereo_command, "load_stereo_model", load)
    ramp.ranges = ranges
    return ramp


@pytest.fixture
def images(tmp_path):
    """Paths of two images of 60x40."""
    paths = [tmp_path / "l.png", tmp_path / "r.png"]
    for path, shade in zip(paths, (100, 200), strict=True):
        Image.new("RGB", (60, 40), (shade, 0, 50)).save(path)
    return [str(path) for path in paths]


def command(images, out, *options):
    return ["stereo", *images, "-o", str(out), "--preset", "some.preset", *options]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_pair_gives_disparity_in_two_formats_and_a_picture(model, images, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert main(command(images, out)) == 0
    assert names(out) == ["l.pfm", "l_disparity.png", "l_kitti.png"]
    expected = Ramp().disparity(*map(load_image, images))
    for name in ("l.pfm", "l_kitti.png"):
        np.testing.assert_array_equal(read_disparity(out / name)[0], expected)
    picture = load_image(out / "l_disparity.png")
    np.testing.assert_allclose(picture, disparity_picture(expected), atol=1 / 255)
    printed = capsys.readouterr().out
    assert "disparity: 0.50 to 30.00 px" in printed and str(out / "l.pfm") in printed
    assert " s for 60x40 with some.preset" in printed


def points_of(path):
    header, body = path.read_bytes().split(b"end_header\n")
    vertices = np.frombuffer(body, [("place", "<f4", 3), ("color", "u1", 3)])
    assert f"element vertex {len(vertices)}".encode() in header
    return vertices


@pytest.mark.parametrize("is_file", [True, False])
def test_known_cameras_give_a_point_cloud(model, images, tmp_path, is_file):
    (tmp_path / "calib.txt").write_text(CALIBRATION)
    options = ["--calib", str(tmp_path / "calib.txt")]
    if not is_file:
        options = ["--focal-length", "100", "--baseline", "50"]
    out = tmp_path / "out"
    assert main(command(images, out, "--quiet", *options)) == 0
    assert "l.ply" in names(out)
    vertices = points_of(out / "l.ply")
    assert len(vertices) == 60 * 40 and tuple(vertices["color"][0]) == (100, 0, 50)
    offset, center = (6, (30, 20)) if is_file else (0, (29.5, 19.5))
    depth = 100 * 50 / (0.5 + offset)
    expected = [-center[0] * depth / 100, -center[1] * depth / 100, depth]
    np.testing.assert_allclose(vertices["place"][0], expected, rtol=1e-5)


def test_a_range_of_colours_sets_the_scale_of_the_picture(model, images, tmp_path):
    main(command(images, tmp_path / "out", "--color-range", "60"))
    picture = load_image(tmp_path / "out" / "l_disparity.png")
    expected = disparity_picture([[0.5, 30.0]], (0, 60))
    np.testing.assert_allclose(picture[0, [0, -1]], expected[0], atol=1 / 255)
    assert model.ranges == [None]


def test_a_maximal_disparity_is_that_of_the_network(model, images, tmp_path):
    main(command(images, tmp_path / "out", "--max-disparity", "96"))
    assert model.ranges == [96]


def test_a_preset_is_loaded_with_the_maximal_disparity(tmp_path, images):
    from c2f_zoo.models import PSMNet

    PSMNet("basic", max_disparity=16).save_pretrained(tmp_path / "preset")
    assert load_stereo_model(str(tmp_path / "preset"), 48).max_disparity == 48
    assert load_stereo_model(str(tmp_path / "preset")).max_disparity == 16


def test_confidence_and_occlusion_are_written_where_they_are_asked_for(
    model, images, tmp_path, capsys
):
    assert main(command(images, tmp_path / "out", "--confidence")) == 0
    files = ["l.pfm", "l_confidence.png", "l_disparity.png", "l_kitti.png", "l_occlusion.png"]
    assert names(tmp_path / "out") == files
    disparity = Ramp().disparity(*map(load_image, images))
    checked = checked_disparity(disparity, disparity)
    for name in ("confidence", "occlusion"):
        picture = load_image(tmp_path / "out" / f"l_{name}.png")
        expected = np.repeat(getattr(checked, name), 3, axis=-1)
        np.testing.assert_allclose(picture, expected, atol=1 / 255)
    assert f"confirmed: {1 - checked.occlusion.mean():.1%}" in capsys.readouterr().out


def test_what_a_png_cannot_hold_is_said_and_the_rest_written(model, images, tmp_path, capsys):
    model.scale = 9
    assert main(command(images, tmp_path / "out")) == 0
    assert names(tmp_path / "out") == ["l.pfm", "l_disparity.png"]
    printed = capsys.readouterr()
    assert "l_kitti.png is not written" in printed.err and "Received: 270" in printed.err
    assert "kitti" not in printed.out


def test_quiet_prints_nothing(model, images, tmp_path, capsys):
    assert main(command(images, tmp_path / "out", "--quiet")) == 0
    assert capsys.readouterr() == ("", "")


def test_an_input_is_never_overwritten(model, tmp_path, images, capsys):
    (tmp_path / "r.png").rename(tmp_path / "l_kitti.png")
    both = [images[0], str(tmp_path / "l_kitti.png")]
    assert "never overwritten" in error_of(capsys, command(both, tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--focal-length", "9"], "needs --focal-length and --baseline"),
        (["--calib", "a", "--baseline", "1"], "Received: both"),
        (["-o", "out/a.pfm"], "names a folder. Received: out/a.pfm"),
    ],
)
def test_options_that_do_not_fit_are_a_wrong_usage(images, tmp_path, capsys, options, message):
    assert message in error_of(capsys, command(images, tmp_path / "out", *options), status=2)


def test_inputs_that_do_not_fit_are_named(images, tmp_path, capsys):
    line = error_of(capsys, command([images[0], "no/such.png"], tmp_path / "out"))
    assert line.endswith("not a file. Received: no/such.png")
    Image.new("RGB", (61, 40)).save(tmp_path / "r.png")
    assert "l.png 60x40 and" in error_of(capsys, command(images, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "wide"])
def test_a_length_that_is_none_is_a_wrong_usage(images, tmp_path, capsys, value):
    assert main(command(images, tmp_path, f"--baseline={value}")) == 2
    assert f"invalid positive number value: '{value}'" in capsys.readouterr().err


def test_a_file_of_the_authors_weights_is_a_preset_of_either_convention(
    images, tmp_path, monkeypatch, capsys
):
    from c2f_zoo.models.psmnet import torch_weights

    path, given = tmp_path / "psmnet.tar", []
    path.write_bytes(b"weights")

    def convert(path, **options):
        given.append((path, options))
        return Ramp()

    monkeypatch.setattr(torch_weights, "convert_official_psmnet", convert)
    out = tmp_path / "out"
    words = ["stereo", *images, "-o", str(out), "--preset", str(path), "--quiet"]
    assert main(words) == 0
    assert main([*words, "--align-corners", "--max-disparity", "64"]) == 0
    assert given == [
        (path, {"align_corners": False}),
        (path, {"max_disparity": 64, "align_corners": True}),
    ]
    line = error_of(capsys, command(images, out, "--align-corners"), status=2)
    assert "a preset has its own convention. Received: some.preset" in line


def test_images_of_two_sizes_are_named(model, images, tmp_path, capsys):
    Image.new("RGB", (61, 40)).save(images[1])
    line = error_of(capsys, command(images, tmp_path / "out"))
    assert "l.png 60x40" in line and "r.png 61x40" in line
    assert not (tmp_path / "out").exists()
