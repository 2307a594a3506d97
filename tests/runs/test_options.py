"""How two configurations differ."""

from vaelab.runs import options


def test_differences_name_the_option_and_leave_out_those_without_effect():
    there = {"name": "a", "data": {"root": "/x", "val": 10}, "pictures": {"every": 5}, "epochs": 2}
    here = {"name": "b", "data": {"root": "/y", "val": 20}, "pictures": {"every": 1}, "epochs": 2, "lr": 1}
    assert options.differences(there, here) == [
        "data.val=10 there, 20 here", "lr=nothing there, 1 here",
    ]  # fmt: skip
    measured = {"evaluation": {"nll_samples": 10, "ema": 0.9}}
    assert options.differences(there, there | measured, options.NOT_TRAINING) == [
        "evaluation.ema=nothing there, 0.9 here"
    ]
    unset = {"evaluation": {"nll_samples": 10, "ema": None}}  # as in a version that does not have the option
    assert options.differences(there, there | unset, options.NOT_TRAINING) == []
