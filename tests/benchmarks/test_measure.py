"""The benchmarks' own rules: wrong answers stop everything, slow ones are only told."""

import pytest

from tests.benchmarks.measure import Outcome, Timing, Way, WrongResult, interleave
from tests.benchmarks.report import document, shown


def timing(name: str, *runs: float, size: int = 1) -> Timing:
    return Timing(name=name, size=size, runs=runs)


def test_the_median_counts_and_ways_of_different_size_are_compared_by_the_unit():
    ours, plain = timing("ours", 3.0, 1.0, 2.0, size=100), timing("plain", 4.0, 4.0, 9.0, size=10)
    assert (ours.seconds, ours.seconds_a_unit) == (2.0, 0.02)
    outcome = Outcome(name="x")
    outcome.ratio_at_least("by the unit", plain, ours, 20)
    outcome.ratio_at_least("a little more", plain, ours, 20.1)
    assert [target.measured for target in outcome.targets] == [20.0, 20.0]
    assert [target.is_met for target in outcome.targets] == [True, False]


def test_a_limit_met_exactly_is_met():
    outcome = Outcome(name="x")
    outcome.at_most("at most", 1.0, 1.0)
    outcome.at_most("above", 1.01, 1.0)
    outcome.at_least("below", 0.99, 1.0)
    assert [target.is_met for target in outcome.targets] == [True, False, False]


def test_a_wrong_answer_names_the_first_row_that_differs():
    outcome = Outcome(name="fills")
    with pytest.raises(WrongResult, match=r"fills: postings differ: at row 1: \(2, 'b'\) against \(2, 'c'\)"):
        outcome.must_equal([(1, "a"), (2, "b")], [(1, "a"), (2, "c")], "postings")
    with pytest.raises(WrongResult, match="2 rows against 1"):
        outcome.must_equal([1, 2], [1], "postings")
    with pytest.raises(WrongResult, match="not so: books proved"):
        outcome.must(False, "books proved")
    outcome.must_equal([1], [1], "cash")
    assert outcome.equal == ["cash"]


def test_ways_take_turns_and_preparing_is_not_part_of_the_run():
    seen: list[str] = []

    def way(name: str) -> Way:
        return Way(
            name=name,
            size=1,
            prepare=lambda number: seen.append(f"prepare {name}{number}") or number,
            run=lambda number: seen.append(f"run {name}{number}") or number * 10,
        )

    timings = interleave([way("a"), way("b")], rounds=2)
    assert seen == [
        "prepare a0", "run a0", "prepare b0", "run b0", "prepare a1", "run a1", "prepare b1", "run b1"
    ]  # fmt: skip
    assert timings["a"].answers == (0, 10)
    assert len(timings["b"].runs) == 2


def test_a_slow_result_is_told_in_text_and_in_json():
    outcome = Outcome(name="fills", timings=[timing("ours: door", 2.0), timing("one by one", 8.0)])
    outcome.ratio_at_least("fills a second", outcome.timings[1], outcome.timings[0], 30)
    text = shown(outcome)
    assert "SHORT   fills a second: 4, promised at least 30" in text
    kept = document({"engine": "none"}, [outcome])["benchmarks"]["fills"]
    assert kept["targets"] == [{"text": "fills a second", "measured": 4.0, "at_least": 30, "result": "short"}]
    assert [way["median_seconds"] for way in kept["ways"]] == [2.0, 8.0]
