"""One folder per order: its request, claim, answer and photos. Each order is paid for at most once.

folder          what an order's folder says: state, claim, answer, outcome, photos
state           the states of an order
store           writes an order's folder, and reads it back
records         JSON records on disk, and their checks
origin          the record of a photo in an order's folder
marks           the marks of a photo's finals in an order's folder
preflight       the conditions for spending money
payment         pays for an order at most once
claims          who pays for an order, and whether that process is alive
answer_file     keeps the raw answer on disk, also when the disk fails
recovery        after a crash in the middle of paying: the answer, an unknown outcome, the user's decision
index           every photo of every order below a folder; was a request billed under another key
selection       the orders of an output folder to pay for, and to finish
revise          the same canvas with other words, or for another endpoint
recall          reuses an order prepared earlier from the same bytes and options
output_names    output names, reserved by the orders of the output folder
options         what decides an order's canvas and words, where it is kept, how it is paid for
original_photo  finds or stores the photo of an order
previews        pictures of an order to look at
"""
