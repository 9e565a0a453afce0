import keras
import numpy as np
import pytest

from c2f_zoo.training import Halving, OneCycle, PiecewiseCosine, WarmupPlateauCosine


def test_rate_rises_holds_and_falls():
    schedule = WarmupPlateauCosine(1.0, warmup=100, hold=500, total=1000)
    rates = np.array([float(schedule(step)) for step in range(0, 1101, 50)])
    assert rates[0] == pytest.approx(0.04)
    np.testing.assert_allclose(rates[2:11], 1.0, atol=1e-6)
    assert (np.diff(rates[10:21]) < 0).all()
    np.testing.assert_allclose(rates[20:], 1e-3, rtol=1e-3)


def test_paper_schedules_halve_where_the_paper_says():
    long, fine = Halving.long(), Halving.fine()
    steps = [0, 399_999, 400_000, 600_000, 800_000, 1_000_000]
    rates = [float(long(step)) for step in steps]
    np.testing.assert_allclose(rates, [1e-4, 1e-4, 5e-5, 2.5e-5, 1.25e-5, 6.25e-6], rtol=1e-5)
    assert float(fine(450_000)) == pytest.approx(1.25e-6, rel=1e-5)


def test_a_rate_passes_through_its_points_along_half_cosines():
    steps, rates = [0, 100, 300, 301, 900], [1e-5, 3e-4, 1e-6, 2e-4, 1e-6]
    schedule = PiecewiseCosine(steps, rates)
    at_points = [float(schedule(step)) for step in [*steps, 5000]]
    np.testing.assert_allclose(at_points, [*rates, rates[-1]], rtol=1e-3)
    for step, begin, end in ((25, 0, 1), (150, 1, 2), (800, 3, 4)):
        share = (step - steps[begin]) / (steps[end] - steps[begin])
        expected = rates[end] + (rates[begin] - rates[end]) * (1 + np.cos(np.pi * share)) / 2
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-4)


def test_one_cycle_equals_pytorchs():
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-4, 200, pct_start=0.05, anneal_strategy="linear", cycle_momentum=False
    )
    ours, expected = OneCycle(4e-4, 200), []
    for _ in range(199):
        expected.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    found = [float(ours(step)) for step in range(199)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-9)
    assert float(ours(5000)) == pytest.approx(4e-4 / 25 / 1e4, abs=1e-9)


@pytest.mark.parametrize(
    "schedule",
    [
        OneCycle(1e-3, 9),
        Halving.long(),
        WarmupPlateauCosine(1e-3, 1, 2, 3),
        PiecewiseCosine([0, 2.5], [1e-3, 1e-6]),
    ],
)
def test_configuration_survives_inside_an_optimizer(schedule):
    optimizer = keras.optimizers.Adam(schedule)
    again = keras.optimizers.Adam.from_config(optimizer.get_config())
    assert again.get_config()["learning_rate"] == optimizer.get_config()["learning_rate"]


def test_senseless_schedules_are_refused():
    with pytest.raises(ValueError, match="total=5$"):
        WarmupPlateauCosine(1e-3, warmup=1, hold=5, total=5)
    with pytest.raises(ValueError, match=r"steps=\[2, 1\]$"):
        Halving(1e-3, [2, 1])
    with pytest.raises(ValueError, match=r"steps=\[0.0, 0.0\], rates=\[1.0, 2.0\]$"):
        PiecewiseCosine([0, 0], [1, 2])
    with pytest.raises(ValueError, match=r"rates=\[1.0, 0.0\]$"):
        PiecewiseCosine([0, 1], [1, 0])
    with pytest.raises(ValueError, match="warmup must be .*Received: 1$"):
        OneCycle(1e-3, 100, warmup=1)
