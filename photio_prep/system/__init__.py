"""Disk, processes, threads and the environment of this process.

deadline: time-outs of one connection, and the deadline that cuts it
environment: os.environ
files: atomic writes, and reads that refuse links, devices and long files
near_name: find the file that a name means, or suggest one
object_store: s3://, gs:// and az:// through fsspec
parallel: two functions at once, per-path locks, malloc arenas
processes: start time, boot id and namespace of processes
ranges: ranges and choices of what a user sets
seeds: range and derivation of the API's seeds
text: strict JSON, escaped control characters, CSV without formulas
threads: thread pool, and the clock of all deadlines
"""
