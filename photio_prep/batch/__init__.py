"""Many photos at once, and the report of a command.

children.py     processes of our own that exchange pickles
workers.py      prepare, and make finals, in worker processes
shared_session.py  one process runs the networks of all workers on a GPU
clients.py      client and endpoint that options name
finals.py       files of a run: checked before paying, written after it
scheduler.py    prepare, pay and finish concurrently, results in order
run_many.py     the library's `run_many`
report.py       report.json, report.csv, results of job tables
ray_driver.py   start and follow a run on a Ray cluster
ray_worker.py   prepare and finish in a Ray worker
ray_budget.py   the budget of calls that all workers share
"""
