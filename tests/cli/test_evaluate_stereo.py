"""`c2f evaluate` of stereo matching: numbers that can be checked by hand, on made data."""

import json

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli import common
from c2f_zoo.cli.baselines import _filled_from_left, make_stereo_baseline
from c2f_zoo.cli.main import main
from c2f_zoo.data.files.disparity import write_disparity
from c2f_zoo.data.files.images import save_image
from c2f_zoo.tasks.confidence import checked_disparity

TRUTH = 8


class OffByTwo:
    """Is off by 2 px where the left image is bright, and knows nothing of its range."""

    def disparity(self, left, right, confidence=False):
        found = TRUTH + 2 * (left[..., :1] > 0.5).astype("float32")
        if confidence:  # the right image's is right
            return checked_disparity(found, np.full_like(found, TRUTH))
        return found


@pytest.fixture
def kitti(tmp_path):
    """Two pairs of KITTI 2015, noise at 8 px; the first 24 columns are occluded or unknown."""
    training = tmp_path / "kitti" / "training"
    for name in ("image_2", "image_3", "disp_occ_0", "disp_noc_0"):
        (training / name).mkdir(parents=True)
    for number in range(2):
        wide = np.random.default_rng(number).random((64, 168, 3))
        left, name = wide[:, :160], f"{number:06d}_10.png"
        save_image(training / "image_2" / name, left)
        save_image(training / "image_3" / name, wide[:, TRUTH : 160 + TRUTH])
        known = np.ones((64, 160))
        known[:, :4] = 0
        write_disparity(training / "disp_occ_0" / name, np.full((64, 160), TRUTH), known)
        known[:, :24] = 0
        write_disparity(training / "disp_noc_0" / name, np.full((64, 160), TRUTH), known)
    return str(tmp_path / "kitti")


@pytest.fixture
def preset(monkeypatch):
    monkeypatch.setattr(common, "load_model", lambda preset, **options: OffByTwo())
    return "some.preset"


def results(capsys, *arguments):
    assert main(["evaluate", *arguments, "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)["results"]


def bright(kitti, first):
    """Share of the pixels from a column on that are bright in red, as the files have it."""
    from c2f_zoo.data.stereo.datasets import KITTI2015Stereo

    return np.mean([sample.left[:, first:, 0] > 0.5 for sample in KITTI2015Stereo(kitti)])


def test_every_figure_is_there_for_all_pixels_and_for_those_seen_by_both(kitti, preset, capsys):
    (row,) = results(capsys, preset, "--dataset", "kitti2015", "--root", kitti)
    for suffix, first in (("", 4), ("_noc", 24)):
        share = bright(kitti, first)
        assert row[f"epe{suffix}"] == pytest.approx(2 * share, abs=1e-4)
        assert row[f"bad_1{suffix}"] == pytest.approx(100 * share, abs=1e-3)
        assert row[f"bad_2{suffix}"] == row[f"bad_3{suffix}"] == row[f"d1{suffix}"] == 0
    assert row["pairs"] == 2 and row["seconds_per_pair"] >= 0 and "kept" not in row


def test_with_confidence_what_is_confirmed_is_measured_too(kitti, preset, capsys):
    options = ["--dataset", "kitti2015", "--root", kitti, "--confidence"]
    (row,) = results(capsys, preset, *options)
    is_kept = []
    from c2f_zoo.data.stereo.datasets import KITTI2015Stereo

    for sample in KITTI2015Stereo(kitti):
        checked = OffByTwo().disparity(sample.left, sample.right, confidence=True)
        is_kept.append(1 - checked.occlusion[sample.valid > 0])
    assert row["kept"] == pytest.approx(100 * np.mean(is_kept), abs=1e-4)
    assert row["epe_kept"] == pytest.approx(0, abs=1e-5)  # what is wrong is not confirmed


def test_opencv_s_matching_finds_the_shift_and_is_compared_in_one_table(kitti, preset, capsys):
    pytest.importorskip("cv2", reason="needs the extra `opencv`")
    command = ["evaluate", preset, "--baseline", "sgbm", "--dataset", "kitti2015"]
    command += ["--root", kitti, "--max-disparity", "16", "--confidence", "--quiet"]
    assert main(command) == 0
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert "EPE noc" in header and "bad-3" in header and "kept %" in header
    assert [row.split()[0] for row in rows] == ["sgbm", "some.preset"]
    (row,) = results(capsys, "--baseline", "sgbm", *command[4:])
    assert row["epe_noc"] < 0.1 and row["bad_1_noc"] < 2 and row["kept"] > 75


def test_a_name_says_which_edition_of_middlebury_is_meant(tmp_path, preset, capsys):
    scene = tmp_path / "Cones"
    scene.mkdir()
    for name in ("view1.png", "view5.png"):
        save_image(scene / name, np.zeros((8, 12, 3)))
    Image.fromarray(np.full((8, 12), 3 * TRUTH, "uint8")).save(scene / "disp1.png")
    (row,) = results(capsys, preset, "--dataset", "Middlebury-2006", "--root", str(tmp_path))
    assert row["epe"] == 0 and row["epe_noc"] is None


def test_holes_take_the_value_to_their_left_and_else_to_their_right():
    disparity = np.array([[-1.0, 3, -1, -1, 5, -1], [-1] * 6])
    filled = _filled_from_left(disparity)
    assert filled.tolist() == [[3, 3, 3, 3, 5, 5], [0] * 6] and filled.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["p", "--baseline", "dis"], "--baseline dis is for optical flow, p for stereo"),
        (["p", "--dataset", "sintel"], "--dataset sintel is for optical flow, p for stereo"),
        (["--baseline", "sgbm", "--dataset", "sintel"], "Received: both"),
        (
            ["--baseline", "zero", "--max-disparity", "9"],
            "zero is for optical flow, --max-disparity for stereo",
        ),
        (["p", "--iterations", "3"], "--iterations is for networks that repeat"),
    ],
)
def test_what_does_not_fit_is_said(kitti, preset, capsys, arguments, message):
    roots = ["--root", kitti] * (1 + ("sintel" in arguments))
    assert main(["evaluate", *arguments, "--dataset", "kitti2015", *roots]) == 2
    assert message in capsys.readouterr().err


def test_an_unknown_data_set_lists_those_of_stereo(kitti, preset, capsys):
    assert main(["evaluate", preset, "--dataset", "middlebury2007", "--root", kitti]) == 1
    line = capsys.readouterr().err
    assert "Data sets of stereo matching are" in line and "Did you mean 'middlebury200" in line


def test_a_file_of_the_authors_weights_is_a_preset(kitti, monkeypatch, tmp_path, capsys):
    from c2f_zoo.models.psmnet import torch_weights

    path = tmp_path / "psmnet.tar"
    path.write_bytes(b"weights")
    given = []

    def convert(path, **options):
        given.append((path, options))
        return OffByTwo()

    monkeypatch.setattr(torch_weights, "convert_official_psmnet", convert)
    options = ["--dataset", "kitti2015", "--root", kitti, "--max-disparity", "64"]
    results(capsys, str(path), *options)
    results(capsys, str(path), *options, "--align-corners")
    assert given == [
        (path, {"max_disparity": 64, "align_corners": is_aligned}) for is_aligned in (False, True)
    ]


def test_middlebury_2006_gives_the_known_error_of_opencv_s_matching(shared_data):
    pytest.importorskip("cv2", reason="needs the extra `opencv`")
    from c2f_zoo.data.stereo.datasets import MiddleburyStereo

    match, errors = make_stereo_baseline("sgbm"), []
    for sample in MiddleburyStereo(shared_data / "stereo" / "middlebury" / "2006", "2006"):
        error = np.abs(match(sample.left, sample.right) - sample.disparity)
        errors.append(error[sample.valid > 0])
    errors = np.concatenate(errors)
    assert errors.mean() == pytest.approx(2.65, abs=0.02)
    assert 100 * (errors > 3).mean() == pytest.approx(17.6, abs=0.1)
