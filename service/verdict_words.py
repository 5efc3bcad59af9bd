"""A verdict in words: what it means and what to do, for a reader who is no engineer, en and ja."""

from service.findings import Words


def words(findings_without_words: object) -> tuple[Words, Words]:
    """Return the sentence and the advice."""
    raise NotImplementedError
