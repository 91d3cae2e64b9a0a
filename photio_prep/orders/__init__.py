"""One folder per order: its request, claim, answer and photos. Each order is paid for at most once.

store           writes and reads the order folder; lists the files in it
origin          the record of a photo in an order's folder
record_checks   validates the records and the canvas of an order
records         JSON records on disk
state           how far an order got, its outcome, and the marks of its finals
claims          who pays for an order, and whether that process is alive
answer_file     keeps the raw answer on disk, also when the disk fails
preflight       the conditions for spending money
payment         pays for an order at most once
paid_before     refuses a request that was billed under another key
index           every photo of every order below a folder
selection       the orders of an output folder to pay for, and to finish
revise          the same canvas with other words, or for another endpoint
recall          reuses an order prepared earlier from the same bytes and options
recorded        output names, reserved by the orders of the output folder
original_photo  finds or stores the photo of an order
previews        pictures of an order to look at
"""
