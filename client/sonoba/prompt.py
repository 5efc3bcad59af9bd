"""One prompt: a context, and the queries to answer from it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sonoba._examples import Examples, check_width, encode_examples
from sonoba._frames import as_table, check_names, encode_table
from sonoba._wire import Numbers, Values
from sonoba.errors import InvalidPrompt
from sonoba.summary import Summary


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Examples (M, d) with labels (M,), or a summary in their place, and queries (Q, d).

    Numbers may be lists, arrays or frames; queries (d,) are one query. `columns` names the features
    in order; a frame brings its own names, and the queries' columns are matched to the examples'
    by name. `group_id` is the entity the examples belong to (a store, a patient). Without
    `allow_fallback`, a prompt that only a simpler model could answer is refused. `levels` asks for
    intervals, one (0.95) or several; `explain` for coefficients and the weight of every example.
    `impute` has a profile fill missing features (NaN) by what history knows of them. `shift` asks
    how far the prompt lies from what is normal for the model.
    """

    examples: Values | None = None
    labels: Values | None = None
    queries: Values | None = None
    columns: Sequence[str] | None = None
    summary: Summary | None = None
    group_id: str = ""
    schema_hash: str = ""
    allow_fallback: bool = True
    levels: float | Sequence[float] = ()
    explain: bool = False
    impute: bool = False
    shift: bool = False


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt in wire form, its shapes in agreement."""

    context: Examples | Summary
    queries: Numbers  # (Q, d)
    columns: tuple[str, ...]
    group_id: str
    schema_hash: str
    allow_fallback: bool
    levels: tuple[float, ...]
    explain: bool
    impute: bool
    shift: bool


def encode_prompt(prompt: Prompt) -> EncodedPrompt:
    """Return a prompt in wire form; one that contradicts itself is an InvalidPrompt."""
    context = _encode_context(prompt)
    if isinstance(context, Examples):
        columns, d = context.columns, context.features.shape[1]
    else:
        columns, d = tuple(prompt.columns or ()), len(context.feature_sums)
        check_names(columns, "columns")
        check_width(columns, d)
    return EncodedPrompt(
        context=context,
        queries=_encode_queries(prompt.queries, columns, d),
        columns=columns,
        group_id=prompt.group_id,
        schema_hash=prompt.schema_hash,
        allow_fallback=prompt.allow_fallback,
        levels=_encode_levels(prompt.levels),
        explain=prompt.explain,
        impute=prompt.impute,
        shift=prompt.shift,
    )


def _encode_context(prompt: Prompt) -> Examples | Summary:
    if prompt.summary is None:
        return encode_examples(prompt.examples, prompt.labels, prompt.columns)
    if prompt.examples is not None or prompt.labels is not None:
        raise InvalidPrompt.at("summary", "expected examples or their summary, got both")
    return prompt.summary


def _encode_levels(levels: float | Sequence[float]) -> tuple[float, ...]:
    """Return the levels as a tuple; a single number is one."""
    try:
        one_or_more = levels if isinstance(levels, Iterable) else (levels,)
        return tuple(float(level) for level in one_or_more)
    except (TypeError, ValueError):
        sentence = f"expected numbers such as 0.95, got {levels!r:.64}"
        raise InvalidPrompt.at("options.confidence_levels", sentence, "NOT_A_NUMBER") from None


def _encode_queries(queries: Values | None, columns: Sequence[str], d: int) -> Numbers:
    if queries is None:
        raise InvalidPrompt.at("queries", "expected numbers, got None")
    numbers = encode_table(as_table(queries), columns, "queries")
    if len(numbers.shape) == 1:
        numbers = numbers._replace(shape=(1, numbers.shape[0]))
    if len(numbers.shape) != 2 or numbers.shape[0] == 0 or numbers.shape[1] != d:
        sentence = (
            f"expected rows of {d} numbers (columns of the examples), got shape {numbers.shape}"
        )
        raise InvalidPrompt.at("queries", sentence)
    return numbers
