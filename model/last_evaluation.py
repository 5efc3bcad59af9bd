"""What the last re-evaluation of a model concluded, as servers tell it to whoever asks.

`STORE/<name>/last_evaluation.json`, written by the re-evaluator beside the pointer.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=2000)]


class LastEvaluation(BaseModel):
    """One re-evaluation in a few words."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    evaluation_id: Annotated[str, Field(min_length=1, max_length=64)]
    time_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """When it ended, Unix time."""
    verdict: Annotated[str, Field(max_length=64)]
    reason: Annotated[str, Field(max_length=64)]
    action: Annotated[str, Field(max_length=64)]
    sentence: dict[Literal["en", "ja"], Text]
    """What it means, for a reader who is no engineer."""
    report_url: Annotated[str, Field(max_length=2000)] = ""
