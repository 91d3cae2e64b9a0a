"""python -m photio_prep."""

from photio_prep.cli import main

main()
