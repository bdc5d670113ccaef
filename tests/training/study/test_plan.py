"""The plan: what is done in which order, and that nothing is done twice."""

from __future__ import annotations

from training.detect.study.plan import BITS, CONVERTED_BITS, DENSITIES, FOLDS, NEURONS, SEEDS, plan


def test_a_parent_stands_before_its_children_and_leaves_what_they_begin_with() -> None:
    seen = {}
    for job in plan():
        if job.parent is not None:
            parent = seen[job.parent]
            assert parent.parent is None
            assert parent.config.steps == (job.config.steps[0], 0, 0)
            # the model that is restored and the images it goes on with are the parent's
            for same in ("model", "seed", "batch", "classes", "width", "height", "rates"):
                assert getattr(parent.config, same) == getattr(job.config, same), job.name
            assert parent.data == job.data
            assert parent.replicate == job.replicate
        seen[job.name] = job


def test_names_are_unique_and_every_setting_is_there() -> None:
    jobs = plan()
    names = [job.name for job in jobs]
    assert len(set(names)) == len(names)
    assert {job.setting for job in jobs if job.what == "neurons"} == set(NEURONS)
    children = len(CONVERTED_BITS) + len(BITS) + len(DENSITIES) + 1
    assert len(jobs) == len(SEEDS) * (len(NEURONS) + children) + 2 * len(FOLDS)
    assert all(not any(c in name for c in " \\") for name in names)


def test_what_is_compared_differs_in_one_thing() -> None:
    for seed in SEEDS:
        configs = [job.config for job in plan() if job.what == "neurons" and job.replicate == seed]
        plain = {tuple((k, v) for k, v in c.to_dict().items() if k != "model").__repr__() for c in configs}
        assert len(plain) == 1
        models = [{k: v for k, v in c.to_dict()["model"].items() if k not in ("D", "T", "neuron")} for c in configs]
        assert all(m == models[0] for m in models)
        budgets = {(c.model.T, c.model.D) for c in configs if c.model.neuron != "relu"}
        assert budgets == {(1, 1), (1, 2), (1, 3), (1, 4), (1, 8), (2, 2), (4, 1)}


def test_only_conversion_trains_nothing() -> None:
    for job in plan():
        assert job.converted == (job.what == "converted")
        own = sum(job.config.steps) - (job.config.steps[0] if job.parent else 0)
        assert (own == 0) == job.converted
