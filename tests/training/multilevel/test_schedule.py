"""Schedules: the work they cost, against figures computed by hand, and what is refused."""

import pytest

from c2f_zoo.training import MultilevelSchedule, MultilevelStage

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    "batch_sizes, work",
    [
        ((16,), 16),
        ((16, 16, 16, 16), 26.5),  # 16 (5/4 + 5/16 + 5/64 + 1/64)
        ((16, 32, 64, 128), 37),
        ((4, 8, 16, 32), 9.25),
    ],
)
def test_the_work_of_a_step_counts_both_meshes_of_a_difference(batch_sizes, work):
    assert MultilevelStage(0, batch_sizes, 0, None).work == work


def test_the_papers_full_multiscale_costs_what_its_stages_do():
    schedule = MultilevelSchedule.full_multiscale()
    meshes = [(stage.mesh, stage.end - stage.start) for stage in schedule]
    assert meshes == [(3, 2000), (2, 1000), (1, 500), (0, 250)]
    assert [stage.batch_sizes[0] for stage in schedule] == [128, 64, 32, 16]
    by_hand = 2000 * 2 + 1000 * (5 + 2) + 500 * (10 + 5 + 2) + 250 * 37
    assert schedule.work(schedule.total) == by_hand
    released = MultilevelSchedule.full_multiscale(batch_factor=1)
    assert released.work(released.total) == 23_125


def test_work_and_samples_add_up_over_stages():
    schedule = MultilevelSchedule.full_multiscale(1, (3, 2), (4, 2))
    steps = [schedule.at(step) for step in range(7)]
    for count in range(8):
        assert schedule.work(count) == sum(stage.work for stage in steps[:count])
        assert schedule.samples(count) == sum(stage.samples for stage in steps[:count])


@pytest.mark.parametrize(
    "stages, message",
    [
        ([], "at least one stage"),
        ([MultilevelStage(0, (), 0, None)], "batch_sizes of a stage must not be empty"),
        ([MultilevelStage(-1, (1,), 0, None)], "mesh must be an integer >= 0.*Received: -1"),
        ([MultilevelStage(0, (0,), 0, None)], "batch_sizes must be an integer >= 1.*Received: 0"),
        ([MultilevelStage(0, (1,), 1, None)], "must begin at step 0.*Received: steps 1 to None"),
        (
            [MultilevelStage(1, (1,), 0, 4), MultilevelStage(0, (1,), 5, None)],
            "must begin at step 4.*Received: steps 5 to None",
        ),
        (
            [MultilevelStage(1, (1,), 0, None), MultilevelStage(0, (1,), 4, None)],
            "only the last may have no end.*Received: steps 0 to None",
        ),
    ],
)
def test_stages_that_do_not_follow_each_other_are_refused(stages, message):
    with pytest.raises(ValueError, match=message):
        MultilevelSchedule(stages)


def test_a_number_for_each_stage_is_asked_for():
    with pytest.raises(ValueError, match=r"each of the 3 stages\. Received: \(4, 2\)"):
        MultilevelSchedule.full_multiscale(2, (4, 2))
