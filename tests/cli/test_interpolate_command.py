"""`c2f interpolate` on folders and videos, with a stand-in for the network."""

import subprocess

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.cli import interpolate as interpolate_command
from c2f_zoo.cli.main import main
from c2f_zoo.data.files import ffmpeg
from c2f_zoo.data.files.video import VideoWriter, read_frames
from tests.cli.flow_toys import ShiftModel, error_of


class StillModel(ShiftModel):
    """Finds no motion."""

    def flow(self, first, second, confidence):
        return np.zeros((*first.shape[:2], 2), np.float32)


@pytest.fixture
def model(monkeypatch):
    fake = StillModel()
    monkeypatch.setattr(interpolate_command, "load_flow_model", lambda preset: fake)
    return fake


@pytest.fixture
def clip(tmp_path):
    """A folder `clip` of four frames, 32x48, each 16 levels brighter."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (48, 32), (16 * number, 100, 50)).save(folder / f"{number}.png")
    return folder


def make_film(path, *options):
    """Write a second of test pictures at 10 frames per second, 64x48, with ffmpeg's options."""
    pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
    command = [ffmpeg.program(), "-v", "error", "-nostdin", "-f", "lavfi", "-i"]
    command += ["testsrc=duration=1:size=64x48:rate=10", *options, str(path)]
    subprocess.run(command, check=True)
    return path


def with_sound(path):
    sound = "-f lavfi -i sine=frequency=440:duration=1 -map 0:v -map 1:a".split()
    return make_film(path, *sound)


def seconds_of(path):
    fps, count = ffmpeg.describe(path)
    return count / fps


class TestFolder:
    def test_it_gives_the_frames_and_those_between(self, model, clip, tmp_path, capsys):
        assert main(["interpolate", str(clip), "--images", "--factor", "4"]) == 0
        levels = [255 * frame[8, 24, 0] for frame in read_frames(tmp_path / "clip_interpolated")]
        np.testing.assert_allclose(levels, np.linspace(0, 48, 13), atol=0.51)
        captured = capsys.readouterr()
        assert "13 frames of 48x32, 24 a second" in captured.out
        assert "frames per second with pwcnet_lite.scenes" in captured.out
        assert "13/13" in captured.err  # the progress bar, which also shows the time left

    def test_where_no_motion_is_found_frames_are_repeated(self, clip, tmp_path, monkeypatch):
        # The flow back of this model does not return: as at a cut.
        monkeypatch.setattr(interpolate_command, "load_flow_model", lambda preset: ShiftModel())
        assert main(["interpolate", str(clip), "--images", "--factor", "4", "--quiet"]) == 0
        levels = [255 * frame[8, 24, 0] for frame in read_frames(tmp_path / "clip_interpolated")]
        expected = [0, 0, 0, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48]
        np.testing.assert_allclose(levels, expected, atol=0.01)

    def test_quiet_prints_nothing(self, model, clip, capsys):
        assert main(["interpolate", str(clip), "--images", "--quiet"]) == 0
        assert capsys.readouterr() == ("", "")

    def test_the_duration_is_kept_where_it_is_asked_for(self, model, clip, tmp_path):
        output = tmp_path / "out.mp4"
        pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
        command = ["interpolate", str(clip), "--fps", "8", "--factor", "3", "--quiet"]
        assert main([*command, "--keep-duration", "-o", str(output)]) == 0
        frames = read_frames(output)
        assert frames.fps == 24 and sum(1 for _ in frames) == 12
        assert main([*command, "-o", str(output)]) == 0
        frames = read_frames(output)
        assert frames.fps == 8 and sum(1 for _ in frames) == 10

    def test_ctrl_c_keeps_what_is_done(self, model, clip, tmp_path, capsys, monkeypatch):
        real = StillModel.flow

        def interrupted(self, first, second, confidence):
            if first[0, 0, 0] > 0.15:  # the fourth frame
                raise KeyboardInterrupt
            return real(self, first, second, confidence)

        monkeypatch.setattr(StillModel, "flow", interrupted)
        assert main(["interpolate", str(clip), "--images"]) == 130
        part = tmp_path / "clip_interpolated.part"
        assert len(list(read_frames(part))) == 5
        assert f"the 5 frames done so far are in {part}" in capsys.readouterr().err
        assert not (tmp_path / "clip_interpolated").exists()


class TestVideo:
    def test_slow_motion_has_no_sound_and_says_so(self, model, tmp_path, capsys):
        film = with_sound(tmp_path / "film.mp4")
        assert main(["interpolate", str(film), "--factor", "3"]) == 0
        captured = capsys.readouterr()
        assert "c2f: the sound is left out: slow motion has none" in captured.err
        result = tmp_path / "film_interpolated.mp4"
        frames = read_frames(result)
        assert frames.fps == 10 and sum(1 for _ in frames) == 28
        assert not ffmpeg.has_sound(result)

    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
    def test_sound_and_duration_are_kept_where_asked_for(self, model, tmp_path, suffix, capsys):
        film, result = with_sound(tmp_path / "film.mp4"), tmp_path / f"out.{suffix}"
        command = ["interpolate", str(film), "--keep-duration", "-o", str(result)]
        assert main(command) == 0
        assert "sound" not in capsys.readouterr().err
        frames = read_frames(result)
        # In an AVI the video waits for the delay of the encoder of sound.
        assert frames.fps == 20 and sum(1 for _ in frames) in (20, 20 + (suffix == "avi"))
        assert ffmpeg.has_sound(result) and abs(seconds_of(result) - 1) < 0.1

    def test_a_silent_video_stays_silent(self, model, tmp_path, capsys):
        film = make_film(tmp_path / "film.mp4")
        for option in ([], ["--keep-duration"]):
            assert main(["interpolate", str(film), *option]) == 0
            assert "sound" not in capsys.readouterr().err
        assert not ffmpeg.has_sound(tmp_path / "film_interpolated.mp4")

    def test_a_rotated_video_comes_out_upright(self, model, tmp_path):
        film = make_film(tmp_path / "flat.mp4")
        turned = tmp_path / "turned.mp4"
        command = [ffmpeg.program(), "-v", "error", "-nostdin", "-display_rotation", "90"]
        subprocess.run([*command, "-i", str(film), "-c", "copy", str(turned)], check=True)
        assert main(["interpolate", str(turned), "--quiet"]) == 0
        assert next(iter(read_frames(tmp_path / "turned_interpolated.mp4"))).shape == (64, 48, 3)

    @pytest.mark.parametrize(("rate", "fps"), [("24000/1001", 24000 / 1001), ("24", 24.0)])
    def test_a_rate_of_film_is_not_rounded(self, model, tmp_path, rate, fps):
        film = make_film(tmp_path / "film.mp4", "-r", rate)
        assert read_frames(film).fps == pytest.approx(fps, abs=1e-9)
        assert main(["interpolate", str(film), "--quiet"]) == 0
        assert read_frames(tmp_path / "film_interpolated.mp4").fps == pytest.approx(fps, abs=1e-9)


class TestErrors:
    def test_an_input_that_is_missing_is_named(self, capsys):
        line = error_of(capsys, ["interpolate", "no/such.mp4"])
        assert line.endswith("does not exist. Received: no/such.mp4")

    @pytest.mark.parametrize(("count", "received"), [(0, "none"), (1, "1")])
    def test_a_clip_without_two_frames_is_an_error(self, model, tmp_path, capsys, count, received):
        folder = tmp_path / "clip"
        folder.mkdir()
        for number in range(count):
            Image.new("RGB", (48, 32)).save(folder / f"{number}.png")
        line = error_of(capsys, ["interpolate", str(folder), "--images", "--quiet"])
        assert f"at least 2 frames. Received: {received} in" in line

    def test_an_empty_video_is_an_error(self, model, tmp_path, capsys):
        pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
        (tmp_path / "film.mp4").touch()
        line = error_of(capsys, ["interpolate", str(tmp_path / "film.mp4")])
        assert "film.mp4" in line and {path.name for path in tmp_path.iterdir()} == {"film.mp4"}

    def test_a_video_of_one_frame_is_an_error_that_leaves_nothing(self, model, tmp_path, capsys):
        film = make_film(tmp_path / "film.mp4", "-frames:v", "1")
        line = error_of(capsys, ["interpolate", str(film), "--quiet"])
        assert "at least 2 frames. Received: 1 in" in line
        assert {path.name for path in tmp_path.iterdir()} == {"film.mp4"}

    def test_frames_that_change_size_leave_nothing_half_written(
        self, model, clip, tmp_path, capsys
    ):
        Image.new("RGB", (50, 32)).save(clip / "3.png")
        earlier = tmp_path / "clip_interpolated"
        earlier.mkdir()
        Image.new("RGB", (8, 8)).save(earlier / "frame_000001.png")
        line = error_of(capsys, ["interpolate", str(clip), "--images", "--quiet"])
        assert "one size, here 48x32. Received: 3.png of 50x32" in line
        assert [path.name for path in earlier.iterdir()] == ["frame_000001.png"]
        assert {path.name for path in tmp_path.iterdir()} == {"clip", "clip_interpolated"}

    def test_an_input_is_never_overwritten(self, model, tmp_path, capsys):
        film = make_film(tmp_path / "film.mp4")
        before = film.read_bytes()
        line = error_of(capsys, ["interpolate", str(film), "-o", str(film)])
        assert "never overwritten" in line and film.read_bytes() == before

    def test_wrong_usage_is_named(self, model, clip, tmp_path, capsys):
        line = error_of(capsys, ["interpolate", str(clip / "0.png")], status=2)
        assert "nothing between: give a video" in line and line.endswith("0.png")
        film = make_film(tmp_path / "film.mp4")
        words = ["interpolate", str(film), "--keep-duration", "--fps", "5"]
        assert "own rate. Received: --fps as well" in error_of(capsys, words, status=2)
        assert main(["interpolate", str(clip), "--factor", "1"]) == 2
        assert "invalid whole number of at least 2 value: '1'" in capsys.readouterr().err


def test_sound_is_for_a_video_alone(tmp_path):
    with pytest.raises(ValueError, match="has no sound. Received: sound="):
        VideoWriter(tmp_path / "frames", 24, (8, 8), sound="film.mp4")
