"""What the Open Inference Protocol asks of a server and its models beside answers."""

import service
from service.oip_request import BOUNDS, PREDICTION
from sonoba.v1 import predictor_pb2 as pb

Fields = dict[str, object]

FREE = -1
EXTENSIONS = ("model_repository", "parameters")
COUNTS = ("example_count_min", "example_count_max", "query_count_max", "batch_prompt_count_max")


def server() -> Fields:
    """Return the fields of a ServerMetadataResponse."""
    return {"name": "sonoba", "version": service.__version__, "extensions": EXTENSIONS}


def model(described: pb.Model) -> Fields:
    """Return the fields of a ModelMetadataResponse; shapes are those of one prompt.

    A leading n before every shape, of inputs and outputs alike, means n prompts.
    """
    d = described.feature_count or FREE
    inputs = [("x", (FREE, d)), ("y", (FREE,)), ("query", (FREE, d))]
    outputs = (PREDICTION, *BOUNDS) if described.confidence_levels else (PREDICTION,)
    kind = pb.ModelKind.Name(described.kind).removeprefix("MODEL_KIND_").lower()
    return {
        "name": described.name,
        "versions": described.versions,
        "platform": f"sonoba_{kind}",
        "inputs": [_tensor(name, shape) for name, shape in inputs],
        "outputs": [_tensor(name, (FREE,)) for name in outputs],
        "properties": _properties(described),
    }


def _properties(described: pb.Model) -> dict[str, str]:
    """Return what else a caller needs to know, as far as it is known."""
    state = pb.ModelState.Name(described.state).removeprefix("MODEL_STATE_").lower()
    known = {
        "columns": ",".join(column.name for column in described.columns),
        "schema_hash": described.schema_hash,
        "label_unit": described.label_unit,
        "confidence_levels": ",".join(f"{level:g}" for level in described.confidence_levels),
        "state": state,
        "reference": described.reference,
        **{name: str(getattr(described, name)) for name in COUNTS},
    }
    return {name: text for name, text in known.items() if text}


def _tensor(name: str, shape: tuple[int, ...]) -> Fields:
    return {"name": name, "datatype": "FP64", "shape": shape}
