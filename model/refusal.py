"""The one exception a caller is meant to see: no answer, and why."""


class Refusal(Exception):
    """A request that cannot be answered, raised where the fact is known.

    `reason` is a stable word for programs (`BAD_SHAPE`), `field` the path in the request
    (`examples.labels`, empty when no field is at fault), `sentence` says what was expected and got;
    `retry_seconds`, where it is known, after how long the same request may be answered.
    """

    def __init__(
        self, reason: str, field: str, sentence: str, retry_seconds: float | None = None
    ) -> None:
        super().__init__(f"{field}: {sentence}" if field else sentence)
        self.reason = reason
        self.field = field
        self.sentence = sentence
        self.retry_seconds = retry_seconds
