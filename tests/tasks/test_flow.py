"""The image level of flow networks, tried on one whose flow is the difference of two images."""

import keras
import numpy as np
import pytest
from keras import ops

from c2f_zoo.tasks.confidence import FlowWithConfidence, checked_flow
from c2f_zoo.tasks.flow import FlowTask


class Difference(FlowTask, keras.Model):
    """Gives as flow what red and green change by; the features of a frame are the frame."""

    output_stride = 8

    def __init__(self):
        super().__init__()
        self.sizes = []
        self.built = True

    def call(self, inputs):
        is_stream = isinstance(inputs, dict)
        images = self.stack_inputs(inputs["frames"] if is_stream else inputs)
        self.sizes.append(tuple(images.shape))
        if is_stream and "features" in inputs:
            before = ops.concatenate([inputs["features"], images[:-1]], axis=0)
            return {"features": images[-1:], "flow": (images - before)[..., :2]}
        return {"features": images[-1:]} if is_stream else (images[1:] - images[:-1])[..., :2]


@pytest.fixture
def model():
    model = Difference()
    model.compile(run_eagerly=True)
    return model


@pytest.fixture
def frames(rng):
    return rng.integers(0, 256, (4, 20, 31, 3)).astype("uint8")


def differences(frames):
    return np.diff(frames.astype("float32") / 255, axis=0)[..., :2]


def save(frames, folder):
    from PIL import Image

    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame_{index + 8}.png")
    return folder


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 16), (20, 31), (24, 32)])
def test_an_image_of_any_size_is_padded_and_its_flow_cropped(model, rng, size):
    pair = rng.random((2, *size, 3), dtype="float32")
    flow = model.flow(*pair)
    np.testing.assert_allclose(flow, differences(pair * 255)[0], atol=1e-6)
    assert flow.dtype == np.float32 and flow.flags.writeable
    height, width = (8 * -(-max(16, length) // 8) for length in size)
    assert model.sizes == [(2, height, width, 3)]


@pytest.mark.parametrize("kind", ["list", "array", "generator", "iterator", "folder", "text"])
def test_frames_come_as_a_list_a_stack_a_generator_or_a_folder(kind, model, frames, tmp_path):
    source = {
        "list": lambda: list(frames),
        "array": lambda: frames,
        "generator": lambda: (frame for frame in frames),
        "iterator": lambda: iter(frames),
        "folder": lambda: save(frames, tmp_path / "frames"),
        "text": lambda: str(save(frames, tmp_path / "frames")),
    }[kind]()
    flows = model.flow(source, batch_size=2)
    assert isinstance(flows, list) and len(flows) == 3
    np.testing.assert_allclose(np.stack(flows), differences(frames), atol=1e-6)


@pytest.mark.parametrize("kind", ["list", "array", "folder"])
def test_many_pairs_give_a_flow_each(kind, model, frames, tmp_path):
    first, second = frames[:-1], frames[1:]
    if kind == "list":
        first, second = list(first), (frame for frame in second)
    if kind == "folder":
        first, second = save(first, tmp_path / "a"), save(second, tmp_path / "b")
    flows = model.flow(first, second)
    np.testing.assert_allclose(np.stack(flows), differences(frames), atol=1e-6)


def expected_checks(frames):
    """The flows between frames, each checked by that of the opposite direction."""
    flows = differences(frames)
    return [checked_flow(flow, -flow) for flow in flows]


@pytest.mark.parametrize("kind", ["pair", "pairs", "list", "generator", "folder"])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_confidence_compares_with_the_flow_of_the_opposite_direction(
    kind, batch_size, model, frames, tmp_path
):
    sources = {
        "pair": lambda: tuple(frames[:2]),
        "pairs": lambda: (frames[:-1], frames[1:]),
        "list": lambda: (list(frames),),
        "generator": lambda: ((frame for frame in frames),),
        "folder": lambda: (save(frames, tmp_path / "frames"),),
    }
    found = model.flow(*sources[kind](), batch_size=batch_size, confidence=True)
    found, expected = [found] if kind == "pair" else found, expected_checks(frames)
    assert len(found) == (1 if kind == "pair" else 3)
    for one, other in zip(found, expected, strict=False):
        assert isinstance(one, FlowWithConfidence)
        for name in one._fields:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-5)
            assert getattr(one, name).dtype == np.float32


def test_pairs_need_not_have_one_size(model, frames):
    small = frames[:, :9, :7]
    flows = model.flow([frames[0], small[0]], [frames[1], small[1]])
    assert [flow.shape for flow in flows] == [(20, 31, 2), (9, 7, 2)]


def test_the_progress_bar_counts_flows_and_tells_their_mean_time(model, frames, capsys):
    model.flow(list(frames), progress=True)
    bar = capsys.readouterr().err
    assert "3/3" in bar and ("flow/s" in bar or "s/flow" in bar)
    model.flow(list(frames))  # standard error is no terminal here
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("counts", "received"),
    [((2, 3), "2 and at least 3"), ((3, 2), "at least 3 and 2"), ((0, 3), "0 and at least 1")],
)
def test_generators_of_different_lengths_are_named_where_the_shorter_ends(model, counts, received):
    sources = [(np.zeros((9, 9, 3)) for _ in range(count)) for count in counts]
    with pytest.raises(ValueError, match=f"equally many images. Received: {received}$"):
        model.flow(*sources)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((20, 20, 3)), np.zeros((20, 24, 3))), "20x20 and then 24x20"),
        ((np.zeros((0, 5, 3)), np.zeros((0, 5, 3))), r"\(0, 5, 3\)"),
        (([np.zeros((20, 20, 3))],), "1$"),
        ((np.zeros((20, 20, 3)),), "one ndarray$"),
        (({"frames": 1},), "one dict$"),
        (([np.zeros((9, 9, 3))] * 2, [np.zeros((9, 9, 3))] * 3), "Received: 2 and 3$"),
        (([np.zeros((9, 9, 3))] * 2, np.zeros((9, 9, 3))), "one ndarray$"),
        (([np.zeros((9, 9, 3))] * 2, None, 0), "batch_size.*Received: 0$"),
    ],
)
def test_inputs_that_do_not_fit_are_named(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        model.flow(*arguments)


def test_a_pair_that_cannot_be_read_is_left_out_on_request(model, frames, tmp_path):
    folder = save(frames, tmp_path / "frames")
    paths = sorted(folder.iterdir())
    second = list(paths)
    second[1] = tmp_path / "missing.png"
    with pytest.raises(FileNotFoundError) as caught:
        model.flow(paths, second)
    assert any("image 1 of 4" in note for note in caught.value.__notes__)
    with pytest.warns(UserWarning, match="None stands for image 1 of 4") as caught:
        flows = model.flow(paths, second, on_error="skip")
    assert [flow is None for flow in flows] == [False, True, False, False]
    about = [one.filename for one in caught if one.category is UserWarning]
    assert about == [__file__]


def test_a_picture_of_a_flow_has_its_legend_and_no_confidence(model, frames):
    (picture,) = model.flow(frames[:2], output="pil")
    assert (picture.mode, picture.height) == ("RGB", 64) and picture.width == 31 + 64
    with pytest.raises(ValueError, match="Received: output='pil'"):
        model.flow(*frames[:2], confidence=True, output="pil")
