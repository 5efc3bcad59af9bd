"""A sentence or a name in the languages of our readers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """The same in English and Japanese."""

    en: str
    ja: str
