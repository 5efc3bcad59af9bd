"""The service without a port: what answers, what watches the answers, and what keeps them."""

import random
from pathlib import Path

from bench.hostility import requests
from model.answer import Answer
from model.prompt import Block
from model.refusal import Refusal
from service import oip
from service.call import Call
from service.core import Predictor
from service.errors import Handler
from service.installed import Installed
from service.loading import first_models
from service.monitors import Monitors, watched
from service.oip_repository import Repository
from service.replica import Replica
from service.reservoir import reservoir_of
from service.server import limits_of
from service.settings import Settings
from service.shadow import Shadowed, disagreement
from service.slot import Served, Slots
from service.stream import Streams
from service.swap_metrics import SwapTally

TENANT = "shop-7"
SECONDS = 30.0
SHADOW_SHARE = 0.05


class Target:
    """Everything that reads a request, in one thread and without waiting."""

    def __init__(self, model_files: tuple[Path, ...], store: Path) -> None:
        settings = Settings(
            model_files=model_files,
            store=str(store),
            reservoir_tenants=(TENANT,),
            monitor_prompts_per_second=1_000_000,
            monitor_processor_share=1.0,
            monitor_baseline_prompts=50,
            monitor_window_prompts=20,
        )
        first = first_models(settings)
        self._slots = Slots((watched(one, settings) for one in first.all), settings.default_model)
        self._limits, self._share = limits_of(settings), random.Random(0)
        self._monitors = Monitors(self._slots, settings)
        self._reservoir = reservoir_of(settings)
        self._predictor = self._answering()
        installed = Installed(self._slots, first, settings, SwapTally())
        self._repository = Repository(self._slots, installed, None)
        replica = Replica(installed, self._reservoir, settings.max_message_bytes)
        self._handlers = self._by_method() | replica.handlers()
        self._streams = Streams(self._predictor, 1, SECONDS, SECONDS)

    def _by_method(self) -> dict[str, Handler]:
        return {
            "Predict": self._predictor.predict,
            "PredictBatch": self._predictor.predict_batch,
            "SummarizeExamples": self._predictor.summarize_examples,
            "GetModel": self._predictor.get_model,
            "ListModels": self._predictor.list_models,
            **oip.handlers(self._spoken_for(self._predictor)),
        }

    @property
    def models(self) -> list[requests.Served]:
        """What requests need to know of the models that are served."""
        return [
            requests.Served(one.name, one.version, one.schema.names, one.schema.hash)
            for one in self._slots
        ]

    def ask(self, method: str, wire: bytes) -> bytes:
        """Return the answer to a request; raises its refusal."""
        if method == "PredictStream":
            return self._streams.answer(wire, TENANT)
        call = Call(SECONDS)
        call.caller = TENANT
        return self._handlers[method](wire, call)

    def ask_anew(self, wire: bytes, method: str = "Predict") -> bytes:
        """Answer a Predict or a ModelInfer as a server that has seen no request before."""
        cold = Predictor(self._slots, self._limits, lambda *_: None)
        if method == "ModelInfer":
            return oip.OpenInference(self._spoken_for(cold)).model_infer(wire, Call(SECONDS))
        return cold.predict(wire, Call(SECONDS))

    def look(self) -> None:
        """Do what the threads beside the calls do."""
        self._monitors.watching.look()
        list(self._monitors.collector.collect())
        for monitor in self._monitors:
            monitor.diagnosed()
        assert self._reservoir is not None  # a tenant opted in
        self._reservoir.look()

    def _spoken_for(self, predictor: Predictor) -> oip.SpokenFor:
        return oip.SpokenFor(predictor, self._slots, self._limits, self._repository, lambda: True)

    def _answering(self) -> Predictor:
        assert self._reservoir is not None
        return Predictor(
            self._slots,
            self._limits,
            lambda *_: None,
            self._solve,
            self._monitors.watching.offer,
            keep=self._reservoir.offer,
        )

    def _solve(self, artifact: Served, block: Block, answer: Answer) -> None:
        """Solve a share of the prompts exactly, as the thread beside the calls does."""
        model = artifact.model
        if self._share.random() < SHADOW_SHARE and answer.modes[0] == model.mode:
            if not isinstance(model, Shadowed):
                return
            try:
                disagreement(model, block, answer.predictions)
            except Refusal as refusal:
                raise AssertionError("an answered prompt is refused beside") from refusal
