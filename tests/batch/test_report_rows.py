"""The rows of a report, most of them packed: all come back as they were, and cost little."""

import tracemalloc
from dataclasses import replace

from photio_prep.batch.report_rows import ReportRow, ReportRows
from photio_prep.orders.state import State

COUNT = 1500
REASON = "the product is only 124 pixels long in the photo. Use a larger photo, or go closer"
WARNING = "124x124 is not on Photio's list of sizes (undocumented)"


def row(number: int) -> ReportRow:
    """A finished photo, with everything that a row can hold; its file name is not UTF-8."""
    order, final = f"/home/seller/photio-out/orders/{number:032x}", f"/home/seller/photio-out/{number}-photio.png"
    return ReportRow(
        f"in/{number}-caf\udce9.png",
        f"{number}-caf\udce9",
        State.FINISHED,
        order,
        final,
        cost=0.1 * number,
        billed="yes",
        gate="warn",
        reasons=(REASON, f"the segmented area covers {number % 100}% of the photo"),
        warnings=(WARNING,),
        changed=number % 2 == 0,
        seconds=number / 7,
    )


def filled() -> ReportRows:
    rows = ReportRows()
    for number in range(COUNT):
        rows.append(row(number))
    return rows


def test_rows_come_back_as_they_were_and_in_order() -> None:
    rows = filled()
    assert len(rows) == COUNT
    assert [*rows] == [row(number) for number in range(COUNT)]
    assert not ReportRows()


def test_presets_are_set_in_the_last_row_of_a_photo_wherever_it_is() -> None:
    rows = filled()
    rows.append(row(7))
    for number in (0, 7, 300, COUNT - 1):
        rows.set_presets(row(number).source, row(number).output, (f"{number}.jpg", "b.jpg"))
    rows.set_presets("another.png", "another", ("c.jpg",))
    expected = [row(number) for number in (*range(COUNT), 7)]
    for at, number in ((0, 0), (300, 300), (COUNT - 1, COUNT - 1), (COUNT, 7)):
        expected[at] = replace(expected[at], presets=(f"{number}.jpg", "b.jpg"))
    assert [*rows] == expected


def test_a_row_costs_a_fraction_of_its_texts() -> None:
    tracemalloc.start()
    try:
        rows, used = ReportRows(), []
        for number in range(1280):
            rows.append(row(number))
            if number % 768 == 511:
                used.append(tracemalloc.get_traced_memory()[0])
        assert used[1] - used[0] < 200 * 768  # 1,000 of each as an object
    finally:
        tracemalloc.stop()
