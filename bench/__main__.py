"""make bench: every measurement that needs no long run."""

from bench import stages

stages.main()
