"""Images that are read ahead: order, memory, errors, and whose thread reads."""

import threading

import numpy as np
import pytest
from PIL import Image

from c2f_zoo import DepthUNet
from c2f_zoo.tasks.several import AHEAD, failed, is_own, read_ahead
from tests.tasks.restoration.restoration_toys import LocalNet


@pytest.mark.backend_free
class TestReadAhead:
    def test_results_come_in_order_and_few_are_read_in_advance(self):
        read, given = [], []

        def note(number):
            read.append(number)
            return number * number

        for future in read_ahead(range(20), note):
            given.append(future.result())
            assert len(read) - len(given) <= AHEAD
        assert given == [number * number for number in range(20)]

    def test_reading_goes_on_while_one_is_computed(self):
        read = threading.Event()
        reading = read_ahead([0, 1], lambda number: read.set() if number else None)
        next(reading)
        assert read.wait(10)  # by the other thread, while this one computes
        reading.close()

    def test_an_error_of_one_leaves_the_others(self):
        futures = list(read_ahead([1, 0, 2], lambda number: 1 / number))
        assert [future.exception() is None for future in futures] == [True, False, True]
        assert futures[2].result() == 0.5

    @pytest.mark.parametrize("threaded", [True, False])
    def test_an_error_of_the_iterable_itself_is_raised(self, threaded):
        def items():
            yield 1
            raise OSError("gone")

        reading = read_ahead(items(), str, threaded)
        assert next(reading).result() == "1"
        with pytest.raises(OSError, match="gone"):
            next(reading)

    def test_an_iterator_of_the_caller_runs_in_the_caller_s_thread(self):
        names = (threading.current_thread().name for _ in range(3))
        found = [future.result() for future in read_ahead(names, str, threaded=False)]
        assert set(found) == {threading.current_thread().name}
        assert not is_own(names) and not is_own(iter([1]))
        assert all(map(is_own, ([1], (1,), "folder", np.zeros((2, 3)))))

    def test_no_thread_is_left_when_the_rest_is_not_wanted(self):
        before = threading.active_count()
        reading = read_ahead(range(100), str)
        next(reading)
        reading.close()
        assert threading.active_count() == before

    def test_on_error_is_one_of_two(self):
        with pytest.raises(ValueError, match="Received: 'ignore'"):
            failed(OSError("x"), 0, 1, "ignore")


@pytest.fixture
def folder(tmp_path, rng):
    """Three photographs, the second of which is none."""
    for name in ("a.png", "c.png"):
        Image.fromarray(rng.integers(0, 256, (12, 14, 3), "uint8")).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"no picture")
    return tmp_path


def user_files(caught):
    """The files that user warnings name."""
    return [one.filename for one in caught if one.category is UserWarning]


@pytest.mark.parametrize("task", ["restore", "depth"])
def test_an_unreadable_file_raises_or_is_none_as_asked(task, folder):
    model = LocalNet() if task == "restore" else DepthUNet(width=4, multipliers=(1, 2), groups=2)
    verb = getattr(model, task)
    with pytest.raises(ValueError, match=r"b\.png") as caught:
        verb(folder)
    assert any("image 1 of 3" in note for note in caught.value.__notes__)
    with pytest.warns(UserWarning, match=r"None stands for image 1 of 3: .*b\.png") as caught:
        first, second, third = verb(folder, on_error="skip")
    assert second is None and user_files(caught) == [__file__]
    np.testing.assert_array_equal(first, verb(folder / "a.png"))
    np.testing.assert_array_equal(third, verb(folder / "c.png"))
    with pytest.raises(ValueError, match="Received: 'ignore'"):
        verb(folder, on_error="ignore")


def test_a_picture_keeps_the_profile_and_kind_of_a_file(tmp_path, rng):
    image = Image.fromarray(rng.integers(0, 256, (9, 8, 4), "uint8"), "RGBA")
    image.save(tmp_path / "a.png", icc_profile=b"a profile")
    for source in (tmp_path / "a.png", Image.open(tmp_path / "a.png")):
        picture = LocalNet().restore(source, output="pil")
        assert picture.mode == "RGBA" and picture.info["icc_profile"] == b"a profile"
    stack = np.asarray(image)[None, ..., :3]
    (picture,) = LocalNet().restore(stack, output="pil")
    assert picture.mode == "RGB" and "icc_profile" not in picture.info
    grey = LocalNet().restore(image.convert("L"), output="pil")
    assert grey.mode == "L" and grey.size == (8, 9)
