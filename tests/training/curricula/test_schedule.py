"""Resolution schedules against tables written by hand, and what they refuse."""

import math

import pytest

from c2f_zoo.training import GrowthSchedule, ResolutionSchedule
from c2f_zoo.training.phases import PhasedSchedule

pytestmark = pytest.mark.backend_free


def heights(schedule):
    return [height for height, _ in schedule.resolutions]


def test_sizes_grow_by_equal_steps_factors_or_a_list():
    assert heights(ResolutionSchedule.linear(128, 224, 4, images=4)) == [128, 160, 192, 224]
    # 128 + (300 - 128) * i / 3: EfficientNetV2-S.
    assert heights(ResolutionSchedule.linear(128, 300, 4, images=4)) == [128, 185, 243, 300]
    assert heights(ResolutionSchedule.geometric(28, 224, 4, images=4)) == [28, 56, 112, 224]
    # 96 * (224 / 96)^(1/3) = 127.3, 168.9, as multiples of 32.
    rounded = ResolutionSchedule.geometric(96, 224, 4, images=4, multiple=32)
    assert heights(rounded) == [96, 128, 160, 224]
    pairs = ResolutionSchedule.linear((64, 96), (128, 224), 3, images=3).resolutions
    assert pairs == ((64, 96), (96, 160), (128, 224))
    assert heights(ResolutionSchedule.linear(64, 64, 1, images=4)) == [64]
    listed = ResolutionSchedule.listed([96, (128, 128), 160, 224], images=400)
    assert listed.cost == pytest.approx(0.505, abs=5e-4)


def test_images_are_divided_by_shares_without_loss():
    schedule = ResolutionSchedule.listed([8, 16, 32], 101, shares=(2, 1, 1))
    assert [(s.start, s.end) for s in schedule] == [(0, 51), (51, 76), (76, 101)]
    assert ResolutionSchedule.listed([8, 16, 32], 10).images == (3, 4, 3)
    # The least share has an image too.
    assert ResolutionSchedule.listed([8, 16, 32], 3, shares=(100, 1, 1)).images == (1, 1, 1)
    assert schedule.stretched(200).images == (101, 49, 50)  # 76 * 200 / 101 = 150.495


def composer_height(images, total, size):
    """Composer's formula for one batch."""
    part = min(max((images / total - 0.5) / (1 - 0.5 - 0.2), 0.0), 1.0)
    return round((0.5 + 0.5 * part) * size / 4) * 4


@pytest.mark.parametrize(("size", "total"), [(224, 100_000), (64, 1000), (32, 97)])
def test_composer_s_resizing_is_its_formula_at_every_image(size, total):
    schedule = ResolutionSchedule.preset("composer", size, total)
    for images in range(0, total, max(1, total // 997)):
        assert schedule.at(images).resolution == (composer_height(images, total, size),) * 2
    assert schedule.at(math.ceil(0.8 * total)).resolution == (size, size)
    assert heights(schedule) == list(range(size // 2 // 4 * 4, size + 1, 4))


def test_composer_s_resizing_ends_at_any_size():
    schedule = ResolutionSchedule.preset("composer", (30, 41), 1000)
    assert schedule.resolutions[0] == (16, 20) and schedule.resolutions[-1] == (30, 41)
    assert schedule.total == 1000


def test_efficientnetv2_s_regularisation_grows_with_the_size():
    schedule = ResolutionSchedule.preset("efficientnetv2-m", 380, images=4000)
    assert heights(schedule) == [128, 212, 296, 380]
    expected = [(5, 0, 0.1), (10, 0.2 / 3, 0.2), (15, 0.4 / 3, 0.3), (20, 0.2, 0.4)]
    for stage, (randaugment, mixup, dropout) in zip(schedule, expected, strict=True):
        found = schedule.at(stage.start).settings
        assert found == pytest.approx(
            {"randaugment": randaugment, "mixup": mixup, "dropout": dropout}
        )
    for name, last in (("s", (15, 0, 0.3)), ("l", (25, 0.5, 0.5))):
        settings = ResolutionSchedule.preset(f"efficientnetv2-{name}", 300, 4).at(3).settings
        assert tuple(settings.values()) == pytest.approx(last)


def test_batches_have_at_most_the_pixels_of_the_last_one():
    options = {"batch_size": 24, "equal_memory": True}
    schedule = ResolutionSchedule.listed([32, 48, 64], 3000, **options)
    assert schedule.batch_sizes == (96, 42, 24)  # 24 * (64 / 48)^2 = 42.67
    schedule = ResolutionSchedule.listed([32, 48, 64], 3000, divisible_by=8, **options)
    assert schedule.batch_sizes == (96, 40, 24)
    assert ResolutionSchedule.listed([32, 64], 10, batch_size=5).batch_sizes == (5, 5)
    # 11 steps of 96, which pass the end of the stage, then 42 each.
    schedule = ResolutionSchedule.listed([32, 48], 2000, batch_size=42, equal_memory=True)
    assert schedule.batch_sizes == (94, 42)
    assert schedule.advance(0, 11) == 1034 and schedule.advance(0, 12) == 1076
    assert schedule.steps() == 11 + math.ceil((2000 - 1034) / 42)


def test_rates_are_constant_bumped_or_a_cosine_in_each_stage():
    sizes, rates = [8, 16, 32], []
    assert ResolutionSchedule.listed(sizes, 300).at(150).learning_rate is None
    constant = ResolutionSchedule.listed(sizes, 300, learning_rate=0.1)
    bumped = ResolutionSchedule.listed(sizes, 300, learning_rate=0.1, bump=2)
    each = ResolutionSchedule.listed(sizes, 300, learning_rate=0.1, bump=(1, 0.5, 3))
    cosine = ResolutionSchedule.listed(sizes, 300, learning_rate=0.1, bump=2, cosine=True)
    for schedule in (constant, bumped, each, cosine):
        rates.append([schedule.at(n).learning_rate for n in (0, 99, 100, 150, 200, 250, 300)])
    assert rates[0] == [0.1] * 7
    assert rates[1] == pytest.approx([0.1, 0.1, 0.2, 0.2, 0.4, 0.4, 0.4])
    assert rates[2] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.3, 0.3, 0.3])
    near_end = 0.05 * (1 + math.cos(math.pi * 0.99))
    assert rates[3] == pytest.approx([0.1, near_end, 0.2, 0.1, 0.4, 0.2, 0.0])


def test_it_is_what_a_growth_schedule_is():
    schedule = ResolutionSchedule.listed([4, 8], 200, batch_size=16)
    growth = GrowthSchedule.by_images(8, stabilise=100, fade=0, batch_sizes=16)
    assert isinstance(schedule, PhasedSchedule) and isinstance(growth, PhasedSchedule)
    for images in (0, 99, 100, 150, 200, 999):
        ours, theirs = schedule.at(images), growth.at(images)
        for name in ("stage", "resolution", "batch_size", "images_left"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert (ours.phase == "done") == (theirs.phase == "done")
        assert schedule.advance(images, 3) == growth.advance(images, 3)
        assert schedule.steps(images) == growth.steps(images)


def test_an_image_stream_serves_it(rng, tmp_path):
    from c2f_zoo.data import ImageCache, ImageStream

    images = rng.random((6, 16, 16, 3))
    cache = ImageCache.from_arrays(images, cache=tmp_path, progress=False)
    schedule = ResolutionSchedule.listed([8, 16], 12, batch_size=2, equal_memory=True)
    stream = ImageStream(cache, schedule)
    assert [stream[n].shape for n in (0, 1)] == [(8, 8, 8, 3), (2, 16, 16, 3)]


def test_configuration_and_table():
    schedule = ResolutionSchedule.preset("efficientnetv2-m", 64, 4000, learning_rate=0.1)
    assert ResolutionSchedule.from_config(schedule.get_config()) == schedule
    lines = str(schedule).splitlines()
    assert lines[1].split() == ["1", "22x22", "0", "1,000", "32", "32", "0.1"]
    assert len(lines) == 5


SIZES = [32, 64]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResolutionSchedule.listed([64, 32], 10), "must not be smaller .*Received: "),
        (lambda: ResolutionSchedule.listed([(64, 32), (65, 31)], 10), "must not be smaller"),
        (lambda: ResolutionSchedule.linear(64, 32, 3, 10), "must not be smaller"),
        (lambda: ResolutionSchedule.geometric(64, 32, 3, 10), "must not be smaller"),
        (lambda: ResolutionSchedule.listed([], 10), "at least one. Received: "),
        (lambda: ResolutionSchedule.listed([0], 10), r"resolution must be .*Received: 0$"),
        (lambda: ResolutionSchedule.listed([1.5], 10), r"resolution must be .*Received: 1.5$"),
        (lambda: ResolutionSchedule.listed(SIZES, 1), r"images must be .* >= 2. Received: 1$"),
        (lambda: ResolutionSchedule.listed(SIZES, 10, shares=[1]), r"shares .*Received: \[1\]$"),
        (lambda: ResolutionSchedule.listed(SIZES, 10, shares=[1, 0]), "share must .*Received: 0$"),
        (lambda: ResolutionSchedule.listed(SIZES, 10, batch_size=0), "batch_size .*Received: 0$"),
        (lambda: ResolutionSchedule.listed(SIZES, 10, learning_rate=-1), "Received: -1$"),
        (lambda: ResolutionSchedule.listed(SIZES, 10, bump=2), "needs a learning rate"),
        (lambda: ResolutionSchedule.listed(SIZES, 10, cosine=True), "needs a learning rate"),
        (
            lambda: ResolutionSchedule.listed(SIZES, 10, learning_rate=1, bump=(1, 2, 3)),
            "learning_rates must have one value for each of the 2",
        ),
        (lambda: ResolutionSchedule.preset("composr", 64, 10), "Did you mean 'composer'"),
        (lambda: ResolutionSchedule.linear(8, 16, 0, 10), "stages must be .*Received: 0$"),
        (lambda: ResolutionSchedule.listed(SIZES, 10).at(-1), "images must be .*Received: -1$"),
        (lambda: ResolutionSchedule.listed(SIZES, 10).stretched(1), "total must .*Received: 1$"),
        (
            lambda: ResolutionSchedule(SIZES, (5, 5), (1, 1), (None, 0.1)),
            "learning_rate must be .*Received: None$",
        ),
        (
            lambda: ResolutionSchedule(SIZES, (5, 5), (1, 1), (1, 1), settings={"mixup": (0,)}),
            "mixup.* must have one value",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
