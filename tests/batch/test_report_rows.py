"""The rows of a report, most of them packed: all come back as they were, and cost little."""

import tracemalloc

from photio_prep.batch.report import ReportRow, ReportRows
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
        presets=(f"{number}.jpg", "b.jpg") if number % 3 else (),
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
