"""`c2f denoise` on a video, with stand-ins for the networks."""

import numpy as np
import pytest

from c2f_zoo.cli import denoise, restoring
from c2f_zoo.cli.main import main
from c2f_zoo.data.files import ffmpeg
from c2f_zoo.data.files.video import read_frames
from tests.cli.flow_toys import error_of
from tests.cli.test_interpolate_command import StillModel, make_film, with_sound


class Halving:
    """Halves the brightness."""

    image_verb = "restore"

    def restore(self, image, progress=None, time=None, tile=None, overlap=None):
        return np.asarray(image, np.float32) / 2


@pytest.fixture(autouse=True)
def models(monkeypatch):
    monkeypatch.setattr(restoring, "load_model", lambda preset: Halving())
    monkeypatch.setattr(denoise, "load_flow_model", lambda preset: StillModel())


def test_a_video_gives_a_video_with_its_sound(tmp_path, capsys):
    film = with_sound(tmp_path / "film.mp4")
    assert main(["denoise", str(film)]) == 0
    given, made = read_frames(film), read_frames(tmp_path / "film_denoised.mp4")
    assert made.fps == 10 and ffmpeg.has_sound(made.source)
    for before, after in zip(given, made, strict=True):
        assert before.shape == after.shape
        assert abs(after.mean() - before.mean() / 2) < 0.02
    captured = capsys.readouterr()
    assert "10 frames of 64x48, 10 a second" in captured.out and "10/10" in captured.err


def test_without_strength_no_flow_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(denoise, "load_flow_model", None)
    film = make_film(tmp_path / "film.mp4")
    output = tmp_path / "out.mkv"
    assert main(["denoise", str(film), "--strength", "0", "--quiet", "-o", str(output)]) == 0
    assert sum(1 for _ in read_frames(output)) == 10


def test_wrong_usage_is_named(tmp_path, capsys):
    film = make_film(tmp_path / "film.mp4")
    line = error_of(capsys, ["denoise", str(film), "--side-by-side"], status=2)
    assert line.endswith("--side-by-side is for images. Received: a video")
    line = error_of(capsys, ["denoise", "photo.jpg", "--strength", "0"], status=2)
    assert line.endswith("--strength is for a video. Received: images")
    assert main(["denoise", str(film), "--strength", "1"]) == 2
    assert "invalid number from 0 to below 1 value: '1'" in capsys.readouterr().err


def test_an_input_is_never_overwritten_and_an_empty_video_is_named(tmp_path, capsys):
    film = make_film(tmp_path / "film.mp4")
    before = film.read_bytes()
    line = error_of(capsys, ["denoise", str(film), "-o", str(film)])
    assert "never overwritten" in line and film.read_bytes() == before
    (tmp_path / "empty.mp4").touch()
    assert "empty.mp4" in error_of(capsys, ["denoise", str(tmp_path / "empty.mp4")])
    assert {path.name for path in tmp_path.iterdir()} == {"film.mp4", "empty.mp4"}
