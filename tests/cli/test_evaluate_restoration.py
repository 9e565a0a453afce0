"""`c2f evaluate` on images: what it measures, and with what it is not confused."""

import json

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli.main import main
from c2f_zoo.models import RestorationResNet, SRParaConvNet
from c2f_zoo.tasks.restoration.measure import RestorationProtocol, measure_restoration


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets")
    plain = RestorationResNet(4, 1, time_embedding=False).save_pretrained(folder / "plain")
    return str(plain), str(SRParaConvNet(4).save_pretrained(folder / "x2"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in "ab":
        cells = rng.integers(0, 256, (6, 8, 3), "uint8")
        Image.fromarray(cells).resize((32, 24)).save(folder / f"{name}.png")
    return str(folder)


def results(capsys, *arguments):
    assert main(["evaluate", *arguments, "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)["results"]


def test_noise_of_several_levels_and_its_baseline(presets, photos, capsys):
    words = ["--dataset", "CBSD-68", "--root", photos, "--noise", "15", "50", "--baseline", "noisy"]
    rows = results(capsys, presets[0], *words)
    assert [(row["method"], row["task"]) for row in rows] == [
        ("noisy", "noise 15"),
        (presets[0], "noise 15"),
        ("noisy", "noise 50"),
        (presets[0], "noise 50"),
    ]
    expected = measure_restoration(
        lambda image, known: image, photos, RestorationProtocol("denoise", noise=50)
    )
    assert rows[2]["psnr"] == pytest.approx(expected["psnr"], abs=1e-4)
    assert rows[2]["ssim"] == pytest.approx(expected["ssim"], abs=1e-4)
    assert all(row["images"] == 2 and row["seconds_per_image"] > 0 for row in rows[1::2])


@pytest.mark.parametrize(
    ("options", "made", "title"),
    [
        (["--clip"], {"clip": True}, "noise 25, 8 bits"),
        (["--jpeg", "92"], {"jpeg": 92}, "noise 25, JPEG 92 4:2:0"),
        (
            ["--jpeg", "92", "--subsampling", "4:4:4"],
            {"jpeg": 92, "subsampling": "4:4:4"},
            "noise 25, JPEG 92 4:4:4",
        ),
    ],
)
def test_noisy_files_are_measured_as_their_protocol_says(photos, capsys, options, made, title):
    words = ["--dataset", "folder", "--root", photos, "--noise", "25", *options]
    (row,) = results(capsys, *words, "--baseline", "noisy")
    protocol = RestorationProtocol("denoise", noise=25, **made)
    expected = measure_restoration(lambda image, known: image, photos, protocol)
    assert row["task"] == title
    assert row["psnr"] == pytest.approx(expected["psnr"], abs=1e-4)


def test_a_network_that_enlarges_is_measured_by_its_scale(presets, photos, capsys):
    words = ["--dataset", "set5", "--root", photos, "--baseline", "bicubic"]
    rows = results(capsys, presets[1], *words)
    assert [row["task"] for row in rows] == ["x2", "x2"]
    assert rows[0]["psnr"] > rows[1]["psnr"] > 20  # a fresh network is hardly more than bilinear
    assert results(capsys, presets[1], *words, "--scale", "2")[1]["psnr"] == rows[1]["psnr"]


def test_the_table_names_what_was_undone(presets, photos, capsys):
    words = ["--dataset", "folder", "--root", photos, "--limit", "1"]
    assert main(["evaluate", presets[0], *words, "--blur", "2", "--noise", "5"]) == 0
    captured = capsys.readouterr()
    assert "PSNR dB" in captured.out and "blur 2 and noise 5" in captured.out
    assert "the first 1 of 2 images" in captured.err and "1/1" in captured.err


@pytest.mark.parametrize(
    ("baseline", "options"), [("nlmeans", ["--noise", "25"]), ("telea", ["--holes"])]
)
def test_opencv_s_methods_are_better_than_nothing(tmp_path, capsys, baseline, options):
    pytest.importorskip("cv2", reason="needs the extra `opencv`")
    ramp = np.linspace(0, 255, 64).astype("uint8")
    image = np.stack([np.tile(ramp, (64, 1)), np.tile(ramp[:, None], (1, 64))] * 2, axis=2)[..., :3]
    Image.fromarray(image).save(tmp_path / "ramp.png")
    words = ["--dataset", "folder", "--root", str(tmp_path), *options]
    rows = results(capsys, *words, "--baseline", "noisy", "--baseline", baseline)
    assert rows[1]["psnr"] > rows[0]["psnr"] + 0.5


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["PLAIN", "--dataset", "folder"], 2, "Say what is undone: --noise 25"),
        (["PLAIN", "--dataset", "folder", "--scale", "2"], 1, "network that can upscale x2"),
        (["X2", "--dataset", "folder", "--noise", "25"], 1, "network that can restore"),
        (["X2", "--dataset", "folder", "--baseline", "noisy"], 2, "Baselines of x2 are bicubic"),
        (
            ["PLAIN", "--dataset", "folder", "--noise", "5", "--scale", "2"],
            2,
            "--scale and --noise",
        ),
        (["PLAIN", "--dataset", "folder", "--noise", "5", "--baseline", "dis"], 2, "for pairs"),
        (["PLAIN", "--dataset", "folder", "--noise", "5", "--pass", "final"], 2, "--pass is for"),
        (["PLAIN", "--dataset", "sintel", "--noise", "5"], 2, "--noise is for restoration"),
        (["PLAIN", "--dataset", "sintel", "--baseline", "noisy"], 2, "noisy is for restoration"),
        (["PLAIN", "--dataset", "folder", "--noise", "0"], 2, "positive number"),
        (["PLAIN", "--dataset", "folder", "--noise", "5", "--jpeg", "101"], 2, "1 to 100"),
        (["PLAIN", "--dataset", "folder", "--clip"], 2, "--clip is for images with --noise"),
        (["PLAIN", "--dataset", "folder", "--holes", "--jpeg", "9"], 2, "Received: --holes"),
        (
            ["PLAIN", "--dataset", "folder", "--noise", "5", "--subsampling", "4:4:4"],
            2,
            "--subsampling is for --jpeg",
        ),
        (["PLAIN", "--dataset", "sintel", "--clip"], 2, "--clip is for restoration"),
        (["PLAIN", "--dataset", "folder", "--noise", "5", "--time", "1"], 1, "takes no time"),
        (["pwcnet_lite.scenes", "--dataset", "folder", "--noise", "5"], 1, "restores images is"),
    ],
)
def test_what_cannot_be_measured_is_said(presets, photos, capsys, words, status, message):
    words = [{"PLAIN": presets[0], "X2": presets[1]}.get(word, word) for word in words]
    assert main(["evaluate", *words, "--root", photos]) == status
    assert message in capsys.readouterr().err


def test_a_folder_without_images_is_refused(presets, tmp_path, capsys):
    words = ["--dataset", "set5", "--root", str(tmp_path), "--noise", "5"]
    assert main(["evaluate", presets[0], *words]) == 1
    assert "hold no image" in capsys.readouterr().err


def test_an_unfit_file_of_a_folder_is_named_in_one_sentence(presets, tmp_path, capsys):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    words = ["--dataset", "folder", "--root", str(tmp_path), "--noise", "5", "--quiet"]
    assert main(["evaluate", presets[0], *words]) == 1
    said = capsys.readouterr().err
    assert said.count("Received: ") == 1 and said.strip().endswith("film.gif")
    assert "Received: a file of 2 pictures, in " in said
