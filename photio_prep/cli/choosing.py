"""Which photos a command is about: what its inputs name, or the first of it."""

from itertools import islice
from pathlib import Path

from photio_prep import inputs
from photio_prep.cli.talk import Talk
from photio_prep.errors import UsageError
from photio_prep.jobs import is_table


def chosen(
    named: tuple[str, ...],
    out: Path,
    talk: Talk,
    *,
    format_: str | None = None,
    first: int | None = None,
    description: str | None = "later",
) -> list[inputs.Item]:
    """The photos to work on, all job tables found to be without a mistake.

    Args:
        named: The inputs.
        out: The output folder, which is no input.
        talk: Is told what is left out.
        format_: Of the finals.
        first: At most so many photos: a rehearsal.
        description: The scene that photos get whose row names none; without one, each must have its own.

    Raises:
        UsageError: An input does not exist, or a photo has no scene description.
        Mistakes: Every mistake of the job tables.
    """
    undescribed = UsageError("run needs a scene description", 'Give -d "on a marble table, soft morning light"')
    if not description and not any(map(is_table, named)):
        raise undescribed
    found = inputs.expand(named, out, format_, passed_over=talk.passed_over, described=bool(description))
    items = list(islice(found, first))
    if first is not None:
        talk.say(f"rehearsal: the first {len(items)} {'photo' if len(items) == 1 else 'photos'} only")
    for item in items:
        if not (description or "description" in item.wishes):
            undescribed.about(item.name)
            raise undescribed
    return items
