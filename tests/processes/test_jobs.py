"""Several jobs at a time, some of which wait for others."""

import time
from threading import Barrier, Event

import pytest

from gaze_vlm.errors import CommandError
from gaze_vlm.processes.jobs import in_parallel

WAIT_S = 20


def test_what_waits_for_one_item_does_not_wait_for_another() -> None:
    slow, begun = Event(), []

    def work(item: str) -> None:
        begun.append(item)
        if item == "slow":
            assert slow.wait(WAIT_S)
        if item == "of quick":
            slow.set()  # which ends what went before the others

    items = ["slow", "quick", "of slow", "of quick"]
    assert in_parallel(work, items, 2, "items", {"of slow": "slow", "of quick": "quick"}) == {}
    assert begun == ["slow", "quick", "of quick", "of slow"]


def test_the_first_that_need_not_wait_begins() -> None:
    begun: list[str] = []
    items = ["one", "of one", "two", "of two", "free"]
    assert in_parallel(begun.append, items, 1, "items", {"of one": "one", "of two": "two"}) == {}
    assert begun == items


def test_as_many_are_at_work_as_asked_for() -> None:
    both = Barrier(2)
    assert in_parallel(lambda item: both.wait(WAIT_S) and None, ["a", "b", "c", "d"], 2, "items") == {}
    assert both.n_waiting == 0


def test_what_waits_for_a_failed_item_fails_with_it_and_is_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    begun = []

    def work(item: str) -> None:
        begun.append(item)
        if item == "broken":
            raise CommandError("out of order")

    items = ["broken", "whole", "of broken", "of whole", "of those of broken"]
    after = {"of broken": "broken", "of whole": "whole", "of those of broken": "of broken"}
    failed = in_parallel(work, items, 1, "items", after)
    assert begun == ["broken", "whole", "of whole"]
    assert {item: str(error) for item, error in failed.items()} == dict.fromkeys(
        ["broken", "of broken", "of those of broken"], "out of order"
    )
    said = capsys.readouterr().err
    assert said.count("out of order") == 1
    assert "items: 5/5" in said


def test_a_fault_keeps_further_items_from_starting() -> None:
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        time.sleep(0.02)
        raise KeyError(item)

    with pytest.raises(KeyError, match="0"):
        in_parallel(work, range(100), 1, "items")
    assert len(begun) < 100
