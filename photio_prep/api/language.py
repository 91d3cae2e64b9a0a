"""Guess whether a short text in the Latin script is in another language than English.

Stop words and scene words of each language are counted (`languages.toml`). A name proves nothing (`Crème de la Mer`):
the articles and prepositions that names are made of count half, and names of several words not at all.
"""

import re
import unicodedata
from functools import cache

from photio_prep.system.files import read_packaged

# Letters that are rare in the foreign names of English texts.
_RARE = frozenset("ąćęłńśźżğışőűěřůťďňľĺŕāēģīķļņūčėįųșțăâđơưạảấầẩậắằẳặẹẻẽếềểệỉịọỏốồổộớờởợụủứừửựỳỵỷỹæøåðþ")


_NAME = r"[^\W\d_a-z][^\W_]*"
_LINK = r"(?:d[aeiou]s?|del|della|dell'|dal|la|le|les|los|las|el|et|y|e|al|au|aux|van|der|den|von|en|sur)"
# A name of several words: `Dia de los Muertos`, `Una Pizza Napoletana`.
_LONG_NAME = re.compile(rf"{_NAME}(?:(?:\s+{_LINK})+\s+{_NAME}|(?:\s+{_NAME}){{2}})(?:(?:\s+{_LINK})*\s+{_NAME})*")
_WORD = re.compile(r"[^\W\d_]+")
_ENGLISH_SPELLING = re.compile(r"[a-z]*(?:th|sh|wh|ght|oo|ee|ing$)[a-z]*")


def guess_language(text: str) -> str | None:
    """Name the language of a text in the Latin script: None if it may be English, "" if it is another unknown one."""
    text = unicodedata.normalize("NFC", text)
    words = _WORD.findall(text)
    if sum(word[0].islower() for word in words) >= len(words) / 2:
        words = _WORD.findall(_LONG_NAME.sub(" ", text))
    words = [word.lower() for word in words]
    english_words, particles, languages = _load_words()
    scores = {"": 0.0}
    for language, known in languages.items():
        hits = [word for word in words if word in known]
        strong = sum(len(word) > 1 and word not in particles for word in hits)
        score = strong + (len(hits) - strong) / 2
        scores[language] = score if strong or score >= 2 else 0.0
    best = max(scores, key=lambda language: scores[language])
    score = scores[best]
    own = languages.get(best, frozenset())
    others = [word for word in words if word not in own]
    spelt = sum(word not in english_words and _ENGLISH_SPELLING.fullmatch(word) is not None for word in others)
    english = sum(word in english_words for word in others) + spelt / 2
    if best and score > english and (score > 1 or not english):
        return best if [*scores.values()].count(score) == 1 else ""
    rare = sum(not _RARE.isdisjoint(word) for word in words)
    return "" if rare > max(1, english) else None


@cache
def _load_words() -> tuple[frozenset[str], frozenset[str], dict[str, frozenset[str]]]:
    """English words, particles of names, and the words of other languages that are not English."""
    document = read_packaged("api/languages.toml")
    english = frozenset(document["english"].split())
    languages = {name: frozenset(words.split()) - english for name, words in document["languages"].items()}
    return english, frozenset(document["particles"].split()), languages
