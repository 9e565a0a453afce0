import dataclasses
import json
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from c2f_zoo.models import ProGAN
from c2f_zoo.training import GrowthSchedule

pytestmark = pytest.mark.backend_free


def small(**changes):
    arguments = {"stabilise": 600, "fade": 400, "batch_sizes": {4: 16, 8: 8}} | changes
    return GrowthSchedule.by_images(16, **arguments)


def level_of_detail(images, resolution, initial, stabilise, fade):
    """The released code's formula, which knows no phases."""
    phase, rest = divmod(images, stabilise + fade)
    lod = math.log2(resolution) - math.log2(initial) - phase
    return max(lod - max(rest - stabilise, 0) / fade, 0.0)


@pytest.mark.parametrize("name", ["progan-paper", "progan-v2-1gpu", "stylegan-8gpu"])
def test_a_preset_grows_as_the_released_code_computes_it(name, rng):
    schedule = GrowthSchedule.preset(name, 256)
    length = 800_000 if name == "progan-paper" else 600_000
    initial = 8 if name == "stylegan-8gpu" else 4
    images = np.concatenate([rng.integers(0, schedule.total, 500), np.arange(1, 20) * length + 1])
    for number in images:
        lod = level_of_detail(int(number), 256, initial, length, length)
        state = schedule.at(number)
        assert state.resolution == (256 >> math.floor(lod),) * 2
        faded_in = 1.0 - (lod - math.floor(lod))
        assert state.alpha == pytest.approx(faded_in, abs=1e-9)
        assert state.phase == ("fade" if lod != math.floor(lod) else "stabilise")


def test_the_optimizers_are_reset_where_floor_or_ceil_of_the_level_of_detail_changes():
    schedule = GrowthSchedule.by_images(32, stabilise=60, fade=40, total=1000)
    lods = [level_of_detail(n, 32, 4, 60, 40) for n in range(1000)]
    whole = [(math.floor(lod), math.ceil(lod)) for lod in lods]
    # The released code is still at the old resolution with the very image that ends a phase.
    changes = [
        n - (whole[n][0] != whole[n - 1][0]) for n in range(1, 1000) if whole[n] != whole[n - 1]
    ]
    assert schedule.resets == tuple(changes) == (60, 100, 160, 200, 260, 300)
    between = [n for n in range(8, 1000, 8) if schedule.resets_between(n - 8, n)]
    assert between == [64, 104, 160, 200, 264, 304]


ROWS = {
    "progan-v1-1gpu": ([16] * 6 + [14, 6, 3], [1] * 9, 19),
    "progan-paper": ([16] * 6 + [14, 6, 3], [1] * 9, 19),
    "progan-v2-1gpu": ([128, 128, 128, 64, 32, 16, 8, 4, 4], [1] * 8 + [1.5], 12),
    "progan-v2-2gpu": ([256, 256, 128, 64, 32, 16, 8, 8, 8], [1] * 7 + [1.5, 2], 12),
    "progan-v2-4gpu": ([512, 256, 128, 64, 32, 16, 16, 16, 16], [1] * 6 + [1.5, 2, 3], 12),
    "progan-v2-8gpu": ([512, 256, 128, 64, 32, 32, 32, 32, 32], [1] * 5 + [1.5, 2, 3, 3], 12),
    "stylegan-8gpu": ([512, 256, 128, 64, 32, 32, 32, 32, 32], [1] * 5 + [1.5, 2, 3, 3], 25),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_preset_has_the_batches_rates_and_total_of_its_row(name):
    schedule = GrowthSchedule.preset(name)
    batches, rates, millions = ROWS[name]
    assert list(schedule.batch_sizes) == batches
    np.testing.assert_allclose(schedule.g_learning_rates, np.array(rates) / 1000)
    assert schedule.d_learning_rates == schedule.g_learning_rates
    assert schedule.total == millions * 1_000_000
    length = 800_000 if "v1" in name or "paper" in name else 600_000
    assert all(phase.end - phase.start == length for phase in schedule.phases[:-1])
    assert schedule.at(0).resolution == ((8, 8) if name == "stylegan-8gpu" else (4, 4))


def test_a_preset_serves_other_shapes_and_takes_changes():
    schedule = GrowthSchedule.preset("progan-v2-8gpu", 96, base_shape=(6, 4), total=9_000_000)
    assert schedule.resolutions[-1] == (96, 64)
    assert schedule.batch_sizes == (512, 256, 256 // 2, 64, 32)
    assert GrowthSchedule.preset("progan-paper", 8, batch_sizes=5).batch_sizes == (5, 5)
    with pytest.raises(
        ValueError, match=r"'progan-paper', .*'stylegan-8gpu'\..* Received: 'progan'$"
    ):
        GrowthSchedule.preset("progan")


def test_alpha_advances_by_images_whatever_the_batch():
    schedule = small()
    alphas = [schedule.at(n).alpha for n in (599, 600, 601, 700, 999, 1000)]
    np.testing.assert_allclose(alphas, [1, 0, 1 / 400, 0.25, 399 / 400, 1], atol=1e-12)


def test_every_number_of_images_has_an_answer():
    schedule = small(total=5000)
    states = [schedule.at(n) for n in range(0, 6000, 7)]
    assert [state.stage for state in states] == sorted(state.stage for state in states)
    assert {state.phase for state in states} == {"stabilise", "fade", "done"}
    assert all(0 <= state.alpha <= 1 for state in states)
    assert all((state.images_left == 0) == (state.phase == "done") for state in states)
    for state in states[:-200]:
        if state.phase != "done":
            after = schedule.at(state.images + state.images_left)
            assert (after.phase, after.stage) != (state.phase, state.stage)
    done = schedule.at(5000)
    assert (done.phase, done.stage, done.alpha, done.resolution) == ("done", 2, 1.0, (16, 16))


def test_phases_follow_one_another_without_gap():
    schedule = small()
    phases = list(schedule)
    assert [phase.kind for phase in phases] == ["stabilise"] + ["fade", "stabilise"] * 2
    assert [phase.stage for phase in phases] == [0, 1, 1, 2, 2]
    assert phases[0].start == 0 and phases[-1].end == schedule.total
    assert all(a.end == b.start for a, b in zip(phases, phases[1:], strict=False))


def test_both_networks_can_have_their_own_learning_rate():
    schedule = small(learning_rates={8: 2e-3}, d_learning_rates=5e-4)
    assert schedule.g_learning_rates == (1e-3, 2e-3, 2e-3)
    assert schedule.at(0).d_learning_rate == 5e-4
    assert "0.002 (D 0.0005)" in str(schedule)


def test_learning_rates_are_as_compiled_where_none_are_given():
    for schedule in (small(), GrowthSchedule.by_epochs(1, 100, 16)):
        assert schedule.g_learning_rates == schedule.d_learning_rates == (None,) * 3
        assert schedule.at(0).g_learning_rate is schedule.at(0).d_learning_rate is None
    assert small(learning_rates={8: 2e-3}).d_learning_rates == (1e-3, 2e-3, 2e-3)
    with pytest.raises(ValueError, match="Received: None$"):
        dataclasses.replace(small(), g_learning_rates=(1e-3, None, 1e-3))


def test_growth_can_begin_at_any_stage_and_fade_at_once():
    schedule = GrowthSchedule.by_images(
        128, first_stage=4, stabilise={64: 0, 128: 500}, fade=300, batch_sizes=8
    )
    state = schedule.at(30)
    assert (state.phase, state.stage, state.resolution, state.alpha) == ("fade", 5, (128, 128), 0.1)
    assert schedule.resolutions[0] == (4, 4) and schedule.total == 800
    assert schedule.resets == (300,)


def test_a_fade_of_no_images_is_a_jump():
    schedule = small(fade=0)
    assert [phase.kind for phase in schedule] == ["stabilise"] * 3
    assert schedule.at(600).alpha == 1.0 and schedule.at(600).stage == 1


def test_a_base_that_is_not_square_keeps_its_shape():
    schedule = GrowthSchedule.by_images(32, base_shape=(4, 6))
    assert schedule.resolutions == ((4, 6), (8, 12), (16, 24), (32, 48))
    assert GrowthSchedule.by_images(resolutions=[(4, 6), (8, 12)]).resolutions == ((4, 6), (8, 12))


def test_epochs_count_passes_over_the_data_of_which_the_first_half_fades():
    schedule = GrowthSchedule.by_epochs({4: 2, 8: 4, 16: 5}, 101, 16, batch_sizes=10)
    lengths = [(phase.kind, phase.end - phase.start) for phase in schedule]
    fade8, fade16 = 4 * 101 // 2, 5 * 101 // 2
    assert lengths == [
        ("stabilise", 202),
        ("fade", fade8),
        ("stabilise", 404 - fade8),
        ("fade", fade16),
        ("stabilise", 505 - fade16),
    ]
    later = GrowthSchedule.by_epochs(2, 100, 16, first_stage=1)
    assert [phase.kind for phase in later] == ["stabilise", "fade", "stabilise"]
    assert later.total == 400


def test_the_schedule_documented_for_a_grown_model_fades_in_and_trains_what_is_new():
    call = re.search(r"`(GrowthSchedule\.by_images\(.*?\))`", ProGAN.grown.__doc__).group(1)
    larger = SimpleNamespace(stage=4)  # a model of 128x128 that stands at 64x64
    schedule = eval(call, {"GrowthSchedule": GrowthSchedule, "larger": larger})
    phases = [(phase.kind, phase.resolution[0], phase.end) for phase in schedule]
    assert phases == [("fade", 128, 600_000), ("stabilise", 128, 1_200_000)]


def test_steps_and_images_agree_with_a_walk_through_the_schedule():
    schedule = small(stabilise=611, fade=407, batch_sizes={4: 16, 8: 9, 16: 7})
    images, visited = 0, []
    while schedule.at(images).phase != "done":
        visited.append(images)
        images += schedule.at(images).batch_size
    visited.append(images)
    assert [schedule.advance(0, step) for step in range(len(visited))] == visited
    assert schedule.steps() == len(visited) - 1
    for step in (3, 40, 150):
        assert schedule.steps(0, visited[step]) == step
        assert schedule.steps(visited[step]) == len(visited) - 1 - step
        assert schedule.advance(visited[step], 10) == visited[step + 10]
    assert schedule.advance(images, 3) == images + 3 * 7
    assert schedule.steps(images) == 0


def test_a_schedule_is_a_value():
    schedule = small()
    assert schedule == small() and hash(schedule) == hash(small()) and schedule != small(fade=9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.first_stage = 1
    text = json.dumps(schedule.get_config())
    assert GrowthSchedule.from_config(json.loads(text)) == schedule


def test_it_prints_as_a_table_of_its_phases():
    lines = str(small()).splitlines()
    assert lines[0] == "Growth from 4x4 to 16x16 in 2,600 images"
    assert len(lines) == 2 + 5
    assert lines[3].split()[:7] == ["2", "fade", "8x8", "600", "1,000", "49", "8"]
    assert lines[3].endswith(" as compiled")
    assert str(small(learning_rates=1e-3)).splitlines()[3].endswith("  0.001")
    assert "as compiled (D 0.0005)" in str(small(d_learning_rates=5e-4))


def test_it_plots_without_a_screen(tmp_path):
    figure = small(d_learning_rates=5e-4).plot(tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    assert len(figure.axes) == 4
    assert [text.get_text() for text in small().plot().axes[3].texts] == ["as compiled"]


def test_a_plot_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"c2f_zoo\[viz\].*Received"):
        small().plot()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resolution": 48}, r"power of two\. Received: 48$"),
        ({"resolution": 2}, r"power of two\. Received: 2$"),
        ({"resolution": 8.5}, r"Received: 8\.5$"),
        ({"resolution": 8, "base_shape": 4}, r"Received: 4$"),
        ({"resolution": None}, r"Received: resolution=None, resolutions=None$"),
        (
            {"resolution": 8, "batch_sizes": 0},
            r"batch_sizes must be .* 1\. Received: 0$",
        ),
        ({"resolution": 8, "batch_sizes": {6: 16}}, r"batch_sizes lists heights.*Received: 6$"),
        ({"resolution": 8, "fade": -1}, r"fade must be .*Received: -1$"),
        ({"resolution": 8, "stabilise": float("nan")}, r"stabilise must be .*Received: nan$"),
        ({"resolution": 8, "stabilise": 0, "fade": 0}, r"at least one image.*fade=\(0, 0\)$"),
        (
            {"resolution": 8, "learning_rates": 0},
            r"g_learning_rates must be .*Received: 0$",
        ),
        ({"resolution": 8, "learning_rates": "1e-3"}, r"Received: '1e-3'$"),
        ({"resolution": 8, "first_stage": 2}, r"2 stages, 0 to 1\. Received: 2$"),
        ({"resolution": 8, "total": 1_000_000}, r"1200000 images.*: 1000000$"),
        ({"resolutions": [(4, 4), (8, 12)]}, r"double of the one before\. Received: .*12\)\]$"),
    ],
)
def test_a_senseless_schedule_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        GrowthSchedule.by_images(**arguments)


def test_senseless_questions_are_refused():
    with pytest.raises(ValueError, match=r"images must be an integer .*Received: -1$"):
        small().at(-1)
    with pytest.raises(ValueError, match=r"images must be an integer .*Received: 0\.5$"):
        small().at(0.5)
    with pytest.raises(ValueError, match=r"itself\. Received: \['fade'\]$"):
        GrowthSchedule.by_epochs(1, 10, 8, fade=3)
    with pytest.raises(ValueError, match=r"one value for each of the 3 .*Received: \(1,\)$"):
        dataclasses.replace(small(), fade=(1,))
