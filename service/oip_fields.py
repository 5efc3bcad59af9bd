"""What a field of our own contract is called in an Open Inference request.

The core answers both, and says what is wrong in the words of its own contract; whoever asked in the
words of the other is answered in those.
"""

from model.refusal import Refusal

NAMES = {  # the first that a path equals or begins with
    "examples.features.row_count": "inputs.x.shape",
    "examples.features.column_count": "inputs.x.shape",
    "examples.features": "inputs.x",
    "examples.labels": "inputs.y",
    "examples": "inputs",
    "queries.row_count": "inputs.query.shape",
    "queries.column_count": "inputs.query.shape",
    "queries": "inputs.query",
    "prompt_count": "inputs.x.shape",
    "example_count": "inputs.x.shape",
    "feature_count": "inputs.x.shape",
    "query_count": "inputs.query.shape",
    "features": "inputs.x",
    "labels": "inputs.y",
    "columns": "parameters.columns",
    "schema_hash": "parameters.schema_hash",
    "group_id": "parameters.group_id",
    "group_ids[0]": "parameters.group_id",
    "options.confidence_levels": "parameters.confidence_level",
    "options.include_uncertainty": "outputs",
    "request_id": "id",
    "model": "model_name",
    "model_version": "model_version",
}
UNCERTAIN = "options.include_uncertainty"


def path_of(field: str) -> str:
    """Return a path of our contract as one of the protocol; one that has no like stays as it is.

    >>> path_of("columns[2]"), path_of("x-sonoba-tenant")
    ('parameters.columns[2]', 'x-sonoba-tenant')
    """
    for ours, theirs in NAMES.items():
        if field == ours or field.startswith((f"{ours}.", f"{ours}[")):
            return theirs + field[len(ours) :]
    return field


def renamed(refusal: Refusal) -> Refusal:
    """Return a refusal with its field as the protocol calls it."""
    sentence = refusal.sentence
    if refusal.field == UNCERTAIN:
        sentence = "expected prediction only: the model offers no standard_error, lower and upper"
    return Refusal(refusal.reason, path_of(refusal.field), sentence, refusal.retry_seconds)
