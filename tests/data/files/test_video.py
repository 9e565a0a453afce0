"""Frames out of videos and folders, and pictures back into them."""

import builtins
import operator
import os
import subprocess

import numpy as np
import pytest
from PIL import Image

from c2f_zoo.data.files import ffmpeg
from c2f_zoo.data.files.video import Frames, VideoWriter, natural_key, read_frames

pytestmark = pytest.mark.backend_free


def moving_square(number, size=(48, 64)):
    """One picture of a red square on dark blue that moves 4 pixels a frame."""
    picture = np.zeros((*size, 3), np.float32)
    picture[..., 2] = 0.25
    picture[16:32, 4 * number : 4 * number + 16] = (1.0, 0.1, 0.1)
    return picture


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "frames"
    path.mkdir()
    for number in (1, 2, 9, 10):
        Image.fromarray((moving_square(number) * 255).astype(np.uint8)).save(
            path / f"frame_{number}.png"
        )
    (path / "notes.txt").write_text("not a frame")
    (path / "._frame_1.png").write_text("left by a file manager")
    return path


@pytest.fixture
def clip(tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=12.5, size=(48, 64)) as video:
        for number in range(6):
            video.write(moving_square(number))
    return path


class TestReadingAFolder:
    def test_frames_come_in_natural_order(self, folder):
        frames = read_frames(folder)
        assert frames.count == operator.length_hint(frames) == 4
        for frame, number in zip(frames, (1, 2, 9, 10), strict=True):
            assert frame.dtype == np.float32
            np.testing.assert_allclose(frame, moving_square(number), atol=1 / 255)

    def test_it_can_be_read_twice(self, folder):
        frames = read_frames(folder)
        assert len(list(frames)) == len(list(frames)) == 4

    def test_the_rate_is_that_of_film_unless_given(self, folder):
        assert read_frames(folder).fps == 24
        assert read_frames(folder, fps=10).fps == 10

    def test_frames_are_decoded_only_when_asked_for(self, folder):
        (folder / "frame_11.png").write_text("this is text")
        frames = iter(read_frames(folder))
        for _ in range(4):
            next(frames)
        with pytest.raises(ValueError, match=r"frame_11\.png"):
            next(frames)

    def test_no_frames_is_an_error(self, tmp_path):
        with pytest.raises(ValueError, match=r"at least 1 frame\. Received: none in .*empty"):
            (tmp_path / "empty").mkdir()
            read_frames(tmp_path / "empty")

    def test_one_frame_is_an_error_where_two_are_needed(self, folder):
        for number in (2, 9, 10):
            (folder / f"frame_{number}.png").unlink()
        with pytest.raises(ValueError, match=r"at least 2 frames\. Received: 1 in .*frames"):
            read_frames(folder, min_frames=2)

    def test_frames_of_two_sizes_are_an_error_that_names_the_file(self, folder):
        Image.new("RGB", (10, 20)).save(folder / "frame_5.png")
        with pytest.raises(ValueError, match=r"one size, here 64x48\. .* frame_5.png of 10x20"):
            list(read_frames(folder))

    def test_nothing_there_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="found nothing of this name"):
            read_frames(tmp_path / "missing")

    def test_a_single_image_is_not_a_clip(self, folder):
        with pytest.raises(ValueError, match="a single image"):
            read_frames(folder / "frame_1.png")

    def test_a_rate_of_zero_is_refused(self, folder):
        with pytest.raises(ValueError, match="Received: 0"):
            read_frames(folder, fps=0)


class TestVideos:
    def test_what_is_written_is_read_back(self, clip):
        frames = read_frames(clip)
        assert frames.fps == 12.5 and frames.count == 6
        decoded = list(frames)
        assert len(decoded) == 6
        for number, frame in enumerate(decoded):
            assert frame.shape == (48, 64, 3) and frame.dtype == np.float32
            # Lossy, and chroma at half resolution: only the borders of the square may differ.
            assert np.abs(frame - moving_square(number)).mean() < 0.02
            center = frame[24, 4 * number + 8]
            np.testing.assert_allclose(center, (1.0, 0.1, 0.1), atol=0.05)

    def test_it_can_be_left_early_and_read_again(self, clip):
        frames = read_frames(clip)
        for _ in frames:
            break
        assert len(list(frames)) == 6

    @pytest.mark.parametrize("size", [(47, 64), (48, 63), (33, 35)])
    def test_odd_sizes_gain_one_repeated_pixel(self, clip, size):
        picture = np.full((*size, 3), (0.2, 0.6, 0.4), np.float32)
        with VideoWriter(clip, fps=24, size=size) as video:
            video.write(picture)
        (frame,) = read_frames(clip)
        assert frame.shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
        np.testing.assert_allclose(frame, np.broadcast_to(picture[0, 0], frame.shape), atol=0.02)

    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
    def test_every_writable_suffix_can_be_read(self, clip, suffix):
        path = clip.with_name("other" + suffix)
        with VideoWriter(path, fps=24, size=(48, 64)) as video:
            for number in range(3):
                video.write(moving_square(number))
        assert len(list(read_frames(path))) == 3

    def test_uint8_pictures_are_taken_as_they_are(self, clip):
        with VideoWriter(clip, fps=24, size=(16, 16)) as video:
            video.write(np.full((16, 16, 3), 128, np.uint8))
        (frame,) = read_frames(clip)
        np.testing.assert_allclose(frame, 128 / 255, atol=0.01)

    def test_a_text_file_is_no_video(self, clip):
        for name in ("text.mp4", "text.txt"):
            path = clip.with_name(name)
            path.write_text("this is text\n" * 100)
            with pytest.raises(ValueError, match=rf"a video that ffmpeg can read .*: .*{name}$"):
                read_frames(path)

    def test_a_video_without_its_index_is_an_error(self, clip):
        path = clip.with_name("half.mkv")
        path.write_bytes(clip.read_bytes()[:40])
        with pytest.raises(ValueError, match=r"half\.mkv$"):
            read_frames(path)

    def test_a_video_cut_in_the_middle_gives_its_first_frames_and_a_warning(self, clip):
        data = clip.read_bytes()
        clip.write_bytes(data[: len(data) - 60])
        with pytest.warns(UserWarning, match=r"clip\.mp4 is damaged after frame"):
            assert 1 <= len(list(read_frames(clip))) <= 6

    def test_one_frame_is_an_error_where_two_are_needed(self, clip):
        with VideoWriter(clip, fps=24, size=(48, 64)) as video:
            video.write(moving_square(0))
        with pytest.raises(ValueError, match=r"at least 2 frames\. Received: 1 in .*clip\.mp4"):
            list(read_frames(clip, min_frames=2))

    def test_a_missing_package_names_the_extra(self, tmp_path, monkeypatch):
        real = builtins.__import__

        def without_imageio(name, *args, **kwargs):
            if name == "imageio_ffmpeg":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            return real(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", without_imageio)
        (tmp_path / "clip.mp4").write_bytes(b"")
        with pytest.raises(ImportError, match=r'pip install "c2f_zoo\[video\]"'):
            read_frames(tmp_path / "clip.mp4")
        with pytest.raises(ImportError, match=r'pip install "c2f_zoo\[video\]"'):
            VideoWriter(tmp_path / "new.mp4", fps=24, size=(16, 16))

    def test_an_ffmpeg_that_fails_is_an_error_and_leaves_the_old_video(self, clip, monkeypatch):
        before = clip.read_bytes()
        monkeypatch.setattr(ffmpeg, "_codec", lambda: ["-c:v", "no_such_codec"])
        with pytest.raises(OSError, match=r"ffmpeg could not write the video\. Received from it: "):
            with VideoWriter(clip, fps=24, size=(480, 640)) as video:
                for _ in range(10):
                    video.write(np.zeros((480, 640, 3)))
        assert clip.read_bytes() == before
        assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


@pytest.fixture(params=["mp4", "png"])
def destination(request, tmp_path):
    if request.param == "mp4":
        pytest.importorskip("imageio_ffmpeg", reason="needs the extra `video`")
        return tmp_path / "result.mp4"
    return tmp_path / "result"


class TestWriting:
    def write(self, destination, count, stop=None):
        with VideoWriter(destination, fps=24, size=(48, 64)) as video:
            for number in range(count):
                video.write(moving_square(number))
            if stop:
                raise stop
        return video

    def test_a_complete_result_takes_the_name(self, destination):
        video = self.write(destination, 3)
        assert video.written == 3 and video.result == destination
        assert len(list(read_frames(destination))) == 3
        assert list(destination.parent.iterdir()) == [destination]

    def test_nothing_has_the_name_before_the_end(self, destination):
        with VideoWriter(destination, fps=24, size=(48, 64)) as video:
            video.write(moving_square(0))
            assert not destination.exists()
        assert destination.exists()

    def test_an_earlier_result_is_replaced(self, destination):
        self.write(destination, 5)
        self.write(destination, 2)
        assert len(list(read_frames(destination))) == 2

    def test_ctrl_c_keeps_a_playable_part_and_the_earlier_result(self, destination):
        self.write(destination, 5)
        with pytest.raises(KeyboardInterrupt):
            self.write(destination, 3, stop=KeyboardInterrupt())
        part = destination.with_name(f"result.part{destination.suffix}")
        assert len(list(read_frames(part))) == 3
        assert len(list(read_frames(destination))) == 5
        assert {path.name for path in destination.parent.iterdir()} == {
            part.name,
            destination.name,
        }

    def test_ctrl_c_before_the_first_frame_leaves_nothing(self, destination):
        with pytest.raises(KeyboardInterrupt):
            self.write(destination, 0, stop=KeyboardInterrupt())
        assert list(destination.parent.iterdir()) == []

    def test_an_error_leaves_nothing(self, destination):
        with pytest.raises(RuntimeError, match="lost"):
            self.write(destination, 3, stop=RuntimeError("lost"))
        assert list(destination.parent.iterdir()) == []

    def test_no_frames_is_an_error(self, destination):
        with pytest.raises(ValueError, match="at least 1 frame. Received: none for .*result"):
            self.write(destination, 0)
        assert list(destination.parent.iterdir()) == []

    def test_missing_folders_are_made(self, destination):
        nested = destination.parent / "a" / "b" / destination.name
        self.write(nested, 1)
        assert nested.exists()

    def test_a_picture_of_another_size_is_refused(self, destination):
        with (
            pytest.raises(ValueError, match=r"\(48, 64, 3\). Received: shape \(64, 48, 3\)"),
            VideoWriter(destination, fps=24, size=(48, 64)) as video,
        ):
            video.write(np.zeros((64, 48, 3)))

    def test_values_outside_the_range_are_clipped(self, destination):
        with VideoWriter(destination, fps=24, size=(16, 16)) as video:
            video.write(np.full((16, 16, 3), (-0.5, 0.5, 1.5)))
        (frame,) = read_frames(destination)
        np.testing.assert_allclose(frame[8, 8], (0, 0.5, 1), atol=0.02)

    @pytest.mark.parametrize("fps", [0, -1, float("nan")])
    def test_a_rate_that_is_none_is_refused(self, destination, fps):
        with pytest.raises(ValueError, match=f"Received: {fps}"):
            VideoWriter(destination, fps=fps, size=(16, 16))


def test_a_folder_of_frames_numbers_its_files(tmp_path):
    with VideoWriter(tmp_path / "out", fps=24, size=(16, 16)) as video:
        for _ in range(2):
            video.write(np.zeros((16, 16, 3)))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["frame_000001.png", "frame_000002.png"]


def test_a_folder_with_other_content_is_never_replaced(folder):
    with pytest.raises(FileExistsError, match="nothing but earlier frames"):
        VideoWriter(folder, fps=24, size=(16, 16))
    assert (folder / "frame_1.png").exists()


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError, match="a file"):
        VideoWriter(tmp_path / "out", fps=24, size=(16, 16))


def test_a_folder_in_the_place_of_the_video_is_an_error(tmp_path):
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(FileExistsError, match="a folder"):
        VideoWriter(tmp_path / "out.mp4", fps=24, size=(16, 16))


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"end with one of \.avi, .*Received: .*out\.txt"):
        VideoWriter(tmp_path / "out.txt", fps=24, size=(16, 16))


def test_an_empty_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Received: \(0, 16\)"):
        VideoWriter(tmp_path / "out", fps=24, size=(0, 16))


def test_names_with_numbers_sort_as_people_count():
    names = ["f10.png", "f2.png", "F1.png", "f02.png", "10.png", "9.png", "a1b20", "a1b3"]
    assert sorted(names, key=natural_key) == [
        *("9.png", "10.png", "a1b3", "a1b20", "F1.png", "f02.png", "f2.png", "f10.png")
    ]


def test_frames_of_any_decoder_check_their_sizes():
    frames = Frames("made", 24, 2, lambda: [("a", np.ones((4, 6, 3))), ("b", np.ones((4, 5, 3)))])
    with pytest.raises(ValueError, match="b of 5x4"):
        list(frames)


def test_ctrl_c_does_not_reach_ffmpeg_itself(clip, monkeypatch):
    started = []
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda *args, **kwargs: started.append(kwargs) or real(*args, **kwargs)
    )
    list(read_frames(clip))
    assert all("process_group" in kwargs or "creationflags" in kwargs for kwargs in started)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match=r"not a pipe.*Received: .*clip\.mp4"):
        read_frames(tmp_path / "clip.mp4")
