"""What a server gives to the re-evaluator: sums of recent prompts, and prompts that may be kept.

No sums of fewer than 20 prompts leave the process, nor two whose difference is of fewer. Every read
and every deletion of prompts is a line of the log, without a value, a tenant or a group in it.
"""

import json
import logging
import math

from model.refusal import Refusal
from service import codec
from service.call import Call
from service.errors import Handler
from service.installed import Installed, Told
from service.kept import Kept
from service.reservoir import Reservoir
from service.tenants import checked, is_named
from sonoba.v1 import replica_pb2 as pb

log = logging.getLogger("sonoba")

SERVICE = "sonoba.v1.Replica"
SUM_PROMPTS_MIN = 20
COLLECTED_DEFAULT, COLLECTED_MAX = 256, 2000
REASON_CHARACTERS_MAX = 256
MESSAGE_SHARE = 0.9  # of the largest message, for the numbers of prompts


class Replica:
    """Answers the calls of `sonoba.v1.Replica`; without a reservoir no prompt is ever returned."""

    def __init__(
        self, installed: Installed, reservoir: Reservoir | None, message_bytes_max: int
    ) -> None:
        self._installed, self._reservoir = installed, reservoir
        self._bytes_max = int(message_bytes_max * MESSAGE_SHARE)

    def handlers(self) -> dict[str, Handler]:
        """Return the methods by name."""
        return {
            "GetMonitorState": self.get_monitor_state,
            "CollectPrompts": self.collect_prompts,
            "DeletePrompts": self.delete_prompts,
        }

    def get_monitor_state(self, wire: bytes, call: Call) -> bytes:
        """Return sums over recent prompts of a model."""
        request = codec.parse(pb.GetMonitorStateRequest, wire)
        _check_number(request.prompt_count, "prompt_count")
        _check_number(request.age_seconds, "age_seconds")
        told = self._told(request.model)
        asked = request.prompt_count, request.age_seconds
        state = None if told.monitor is None else told.monitor.state(*asked)
        response = pb.GetMonitorStateResponse(
            model_version=told.model_version,
            reference=told.reference,
            candidate_version=told.candidate_version,
            refused_version=told.refused_version,
            refusal=told.refusal,
        )
        if state is not None and state.prompt_count >= SUM_PROMPTS_MIN:
            response.state = state.to_bytes()
        if told.paired is not None and told.paired.prompt_count >= SUM_PROMPTS_MIN:
            response.paired = told.paired.to_bytes()
        return response.SerializeToString()

    def collect_prompts(self, wire: bytes, call: Call) -> bytes:
        """Return prompts of the reservoir, the newest first, as many as fit a message."""
        request = codec.parse(pb.CollectPromptsRequest, wire)
        _check_number(request.prompt_count, "prompt_count", COLLECTED_MAX)
        _check_number(request.age_seconds, "age_seconds")
        reason = _reason(request.reason)
        told = self._told(request.model)
        found: list[Kept] = []
        if self._reservoir is not None:
            count = request.prompt_count or COLLECTED_DEFAULT
            found = self._reservoir.newest(request.model, count, request.age_seconds)
        response = pb.CollectPromptsResponse(model_version=told.model_version)
        places: dict[str, int] = {}
        room = self._bytes_max
        for one in found:
            if (room := room - one.byte_count) < 0:
                break
            response.prompts.append(self._message(one, places))
        _record("read", call, reason, len(response.prompts), request.model)
        return response.SerializeToString()

    def delete_prompts(self, wire: bytes, call: Call) -> bytes:
        """Delete a tenant's prompts from the reservoir."""
        request = codec.parse(pb.DeletePromptsRequest, wire)
        tenant = checked(request.tenant, "tenant")
        reason = _reason(request.reason)
        if is_named(tenant, reason):
            sentence = "expected a reason that does not name the tenant, for reasons are logged"
            raise Refusal("BAD_ARGUMENT", "reason", sentence)
        count = 0 if self._reservoir is None else self._reservoir.delete(tenant)
        _record("delete", call, reason, count)
        return pb.DeletePromptsResponse(prompt_count=count).SerializeToString()

    def _told(self, model: str) -> Told:
        try:
            return self._installed.told(model)
        except KeyError:
            sentence = f"expected a model that is served, got {model[:64]!r}"
            raise Refusal("MODEL_NOT_FOUND", "model", sentence) from None

    def _message(self, kept: Kept, places: dict[str, int]) -> pb.KeptPrompt:
        """Return a prompt as it travels; `places` numbers its tenants."""
        assert self._reservoir is not None  # or there were no prompt
        return pb.KeptPrompt(
            example_count=kept.x.shape[0],
            feature_count=kept.x.shape[1],
            features=kept.x.astype("<f8", copy=False).tobytes(),
            labels=kept.y.astype("<f8", copy=False).tobytes(),
            queries=kept.queries.astype("<f8", copy=False).tobytes(),
            age_seconds=self._reservoir.age_seconds(kept),
            tenant_place=places.setdefault(kept.tenant, len(places)),
        )


def _check_number(value: float, field: str, most: float = math.inf) -> None:
    """Refuse a number that is negative, not finite, or more than there may be."""
    if not (0 <= value <= most and math.isfinite(value)):
        bound = "0 or more" if math.isinf(most) else f"0 to {most:g}"
        raise Refusal("BAD_ARGUMENT", field, f"expected {bound}, got {value:g}")


def _reason(reason: str) -> str:
    """Return the reason of a call; refuse none, and one that a line of a log cannot hold."""
    if not reason.strip() or len(reason) > REASON_CHARACTERS_MAX or not reason.isprintable():
        most = REASON_CHARACTERS_MAX
        sentence = f"expected a sentence of at most {most} printable characters, got {len(reason)}"
        raise Refusal("BAD_ARGUMENT", "reason", sentence)
    return reason


def _record(event: str, call: Call, reason: str, count: int, model: str = "") -> None:
    """Write a line about prompts that somebody read or deleted."""
    line = {"event": event, "peer": call.caller, "prompts": count, "reason": reason}
    if model:
        line["model"] = model
    log.info("reservoir %s", json.dumps(line, ensure_ascii=False))
