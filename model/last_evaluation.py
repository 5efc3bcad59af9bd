"""What the last re-evaluation of a model concluded, as servers tell it to whoever asks.

`STORE/<name>/last_evaluation.json`, written by the re-evaluator beside the pointer.
"""

from typing import Annotated, Literal

from msgspec import Meta

from model.document import Document

Text = Annotated[str, Meta(max_length=2000)]


class LastEvaluation(Document, kw_only=True):
    """One re-evaluation in a few words."""

    evaluation_id: Annotated[str, Meta(min_length=1, max_length=64)]
    time_seconds: Annotated[float, Meta(ge=0)]
    """When it ended, Unix time."""
    verdict: Annotated[str, Meta(max_length=64)]
    reason: Annotated[str, Meta(max_length=64)]
    action: Annotated[str, Meta(max_length=64)]
    sentence: dict[Literal["en", "ja"], Text]
    """What it means, for a reader who is no engineer."""
    report_url: Annotated[str, Meta(max_length=2000)] = ""
