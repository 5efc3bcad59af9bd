"""Business rules as a file: YAML, validated, what it leaves out has its default.

    version: 1
    defaults: {minimum_gain: 0.08, cool_down_seconds: 12h}
    models: {bikes: {recalibrate: approve}}

Whatever is wrong is a sentence that names where it stands, what was expected and what is there.
"""

import difflib
import reprlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitoring.rules import Rules
from service.rule_values import RuleValues

FILE_BYTES_MAX = 2**20
NO_RULES = RuleValues()
EXPECTED = {  # by pydantic's name of the fault
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "string_type": "a name, in quotes where YAML would read a number",
    "literal_error": "one of {expected}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "model_type": "rules by name",
    "dict_type": "rules by name",
}


class RulesError(Exception):
    """The file cannot be used; one sentence a line."""


class BusinessRules(BaseModel):
    """The rules of every model."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Annotated[int, Field(ge=1, le=1)]
    defaults: RuleValues = NO_RULES
    models: dict[str, RuleValues] = {}

    def for_model(self, name: str) -> Rules:
        """Return the rules in force for a model: its own, else the file's defaults, else ours."""
        own = self.models.get(name, NO_RULES).model_dump(exclude_unset=True)
        return Rules(**{**self.defaults.model_dump(exclude_unset=True), **own})

    def changed(self, name: str) -> list[str]:
        """Return which rules of a model are not our defaults."""
        found, ours = asdict(self.for_model(name)), asdict(Rules())
        return [rule for rule in ours if found[rule] != ours[rule]]


def default_rules() -> BusinessRules:
    """Return the rules of who has no file."""
    return BusinessRules(version=1)


def read(path: Path) -> BusinessRules:
    """Read and check a file; `RulesError` names what is wrong where, what was expected and got."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise RulesError(f"{path}: expected at most {FILE_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RulesError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise RulesError(f"{path}: expected UTF-8 text") from None
    return parse(text, str(path))


def parse(text: str, source: str) -> BusinessRules:
    """Return the rules of a text; the source names it in `RulesError`."""
    try:
        content = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise RulesError(f"{source}: {place}{error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise RulesError(f"{source}: expected YAML, got: {str(error)[:200]}") from None
    if not isinstance(content, dict):
        raise RulesError(f"{source}: expected a mapping with version: 1, got {_shown(content)}")
    try:
        rules = BusinessRules.model_validate(content)
    except ValidationError as error:
        faults = [_sentence(entry) for entry in error.errors(include_url=False)]
        raise RulesError("\n".join(f"{source}: {fault}" for fault in faults)) from None
    if crossed := list(_crossed(rules)):
        raise RulesError("\n".join(f"{source}: {fault}" for fault in crossed))
    return rules


class _Loader(yaml.SafeLoader):
    """Reads plain data only, and a mapping's key once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _twice(key)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def _twice(key: yaml.ScalarNode) -> yaml.MarkedYAMLError:
    problem = f"{key.value} stands here twice"
    return yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)


def _crossed(rules: BusinessRules) -> Iterator[str]:
    """Yield what is wrong between rules that are each right."""
    for name in ("", *rules.models):
        found = rules.for_model(name)
        if found.error_leave > found.error_enter:
            place = f"models.{name}" if name else "defaults"
            most = f"expected at most error_enter, {found.error_enter:g}"
            yield f"{place}.error_leave: {most}, got {found.error_leave:g}"


def _sentence(entry: Mapping[str, Any]) -> str:
    """Return one fault as a sentence: where, what was expected, what is there."""
    place = ".".join(str(part) for part in entry["loc"])
    match entry["type"]:
        case "extra_forbidden":
            return f"{place}: there is no such rule{_hint(entry['loc'])}"
        case "missing":
            return f"{place}: expected 1, got nothing"
    return f"{place}: expected {_expected(entry)}, got {_shown(entry['input'])}"


def _hint(place: tuple[str | int, ...]) -> str:
    known = RuleValues.model_fields if len(place) > 1 else BusinessRules.model_fields
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def _expected(entry: Mapping[str, Any]) -> str:
    """Return what a field takes, in words."""
    if entry["loc"] == ("version",):
        return "1"
    if str(entry["loc"][-1]).endswith(("seconds", "seconds_max")):
        return "a time of at most a year such as 90, 90s, 30m, 6h or 7d"
    wanted = EXPECTED.get(entry["type"])
    return wanted.format(**entry.get("ctx", {})) if wanted else str(entry["msg"]).lower()


def _shown(value: object) -> str:
    """Return what stands in the file, briefly: an alias can make a small file's list endless."""
    match value:
        case None:
            return "nothing"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return reprlib.repr(value)
