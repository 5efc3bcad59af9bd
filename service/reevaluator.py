"""Puts a re-evaluator together from its settings, starts it and drains it: a composition root.

Three ports: alerts and reports over HTTP, `Operations` over gRPC, metrics. One thread acts
(service/lifecycle.py), if this is the process that has the lease.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from wsgiref.types import WSGIApplication

from prometheus_client import CollectorRegistry

from model.checkpoint import ArtifactError
from model.store import Store
from model.version_folder import StoreError
from service import business_rules
from service.access import Access
from service.access_metrics import AccessCollector
from service.admin_port import AdminPort
from service.administrators import Administrators
from service.business_rules import BusinessRules, RulesError
from service.errors import STATUS
from service.health_port import HealthPort
from service.https import HttpContexts, http_contexts
from service.in_force import InForce
from service.lease import Lease
from service.ledger import Ledger, LedgerError
from service.lifecycle import Lifecycle
from service.lifecycle_parts import Parts
from service.lifecycle_records import Records
from service.metrics import RejectionCollector
from service.metrics_port import HttpPort, metrics_page, opened
from service.operations import SERVICE, Operations
from service.publish_metrics import PublishCollector
from service.publish_watch import publish_watch
from service.reevaluator_metrics import ReevaluatorCollector, registry_of
from service.replicas import Replicas
from service.report_access import PREFIX, ReportAccess
from service.roles import OBSERVE
from service.router import Router
from service.settings import Settings
from service.start_error import StartError
from service.tally import RejectionTally
from service.tokens import Tokens
from service.webhook import Webhook
from sonoba import Tls

log = logging.getLogger("sonoba")

LEDGER, LEASE = "audit.sqlite", ".reevaluator.lock"
DRAIN_SECONDS = 2.0  # for calls in flight


class Reevaluator:
    """One re-evaluator process; a second one on the same store stands by."""

    def __init__(self, settings: Settings, reached: Callable[[str], None] = lambda _: None) -> None:
        """Open what it works with; `StartError` says which setting keeps it from working.

        `reached` is told every point between two changes (tests die there).
        """
        self._settings, self._access = settings, Access(settings)
        folder = _folder(settings)
        admin = Tokens(_needed(settings.admin_token_file, "admin_token_file"))
        alerts = _needed(settings.webhook_token_file, "webhook_token_file")
        self._parts = parts = _parts(settings, folder, reached)
        every = settings.evaluate_every_seconds
        self._lifecycle = Lifecycle(parts, Lease(folder / LEASE), every)
        self._publish = publish_watch(settings, parts.store, lambda: self.is_leading)
        self._alerts = Tokens(alerts, "webhook_token_file")
        self._rejections = RejectionTally(STATUS)
        self._administrators = Administrators(admin, self._access.callers)
        operations = Operations(parts, self._lifecycle.wake, lambda: self.is_leading)
        handlers, count = operations.handlers(), self._rejections.count
        self._admin = AdminPort(settings, admin, SERVICE, handlers, count, self._access)
        self._probes = HealthPort(settings, self._admin.health)
        self._ports: list[HttpPort] = []
        self.webhook_port = self.admin_port = self.metrics_port = 0

    @property
    def health_port(self) -> int:
        """The port of probes without TLS; 0 where the settings name none."""
        return self._probes.number

    @property
    def is_leading(self) -> bool:
        """Whether this process acts, and does not stand by."""
        return self._lifecycle.is_leading

    def start(self) -> None:
        """Listen, then act; a port in use is a `StartError`."""
        settings = self._settings
        self._access.check(admin_host=settings.admin_host)
        if self._publish is not None:
            self._publish.restore()
        try:
            self.admin_port = self._admin.start()
            self._probes.start()
            self.webhook_port = self._listen(
                *("webhook_port", settings.admin_host, settings.webhook_port),
                self._pages(),
                http_contexts(settings, self._access.transport),
            )
            self.metrics_port = self._listen(
                *("metrics_port", settings.host, settings.metrics_port),
                metrics_page(self._registry()),
            )
        except StartError:
            self._close()
            raise
        self._access.watch.start()
        self._lifecycle.start()
        if self._publish is not None:
            self._publish.start()

    def stop(self) -> None:
        """Finish the calls in flight and the step under way; what is unfinished goes on later."""
        log.info("stopping: what is unfinished goes on at the next start", extra={"event": "drain"})
        self._access.watch.stop()
        self._close()
        if self._publish is not None:
            self._publish.stop()
        if self._lifecycle.stop():
            self._parts.ledger.close()
        self._parts.replicas.close()
        log.info("stopped", extra={"event": "stop"})

    def _pages(self) -> Router:
        """Return what the HTTP port shows and takes."""
        parts, router = self._parts, Router()
        hook = Webhook(self._alerts, parts.ledger, parts.in_force.names, self._lifecycle.wake)
        router.add("POST", "/alerts", hook)
        named = self._administrators.named
        access = ReportAccess(
            self._settings.reports,
            lambda password: named(password, OBSERVE) is not None,
            parts.ledger.record,
            proven=lambda password: named(password, OBSERVE) or "",
        )
        router.mount(PREFIX, access)
        return router

    def _registry(self) -> CollectorRegistry:
        """Return what is measured: the re-evaluations, the process and its refusals."""
        parts = self._parts
        registry = registry_of(
            ReevaluatorCollector(
                parts.tally, parts.in_force.names, self._last_seconds, lambda: self.is_leading
            )
        )
        registry.register(RejectionCollector(self._rejections))
        registry.register(AccessCollector(self._access))
        if self._publish is not None:
            registry.register(PublishCollector(self._publish.tally))
        return registry

    def _last_seconds(self, model: str) -> float:
        """Return when a model was last judged, Unix seconds; 0 before."""
        try:
            last = self._parts.store.told(model)
        except StoreError:
            return 0.0
        return 0.0 if last is None else last.time_seconds

    def _listen(
        self,
        setting: str,
        host: str,
        port: int,
        page: WSGIApplication,
        context: HttpContexts | None = None,
    ) -> int:
        self._ports.append(opened(setting, host, port, page, context))
        return self._ports[-1].number

    def _close(self) -> None:
        self._admin.stop(DRAIN_SECONDS)
        self._probes.stop()
        while self._ports:
            self._ports.pop().close()


def _parts(settings: Settings, folder: Path, reached: Callable[[str], None]) -> Parts:
    """Return what the steps of an evaluation work with."""
    store, rules = Store(folder), _rules(settings)
    if not settings.replicas:
        raise StartError("replicas: expected host:port of every server's admin port, got none")
    tokens = _needed(settings.admin_token_file, "admin_token_file")
    records = Records(
        store,
        settings.reports,
        rules,
        settings.public_url,
        settings.report_keep_days,
        settings.report_keep_count,
    )
    try:
        return Parts(
            store=store,
            in_force=InForce(store, settings.model_files),
            ledger=Ledger(folder / LEDGER),
            replicas=Replicas(settings.replicas, tokens, tls=_replicas_tls(settings)),
            rules=rules,
            records=records,
            reached=reached,
        )
    except (ArtifactError, LedgerError) as error:
        raise StartError(str(error)) from None


def _replicas_tls(settings: Settings) -> Tls | None:
    """Return what servers must prove, and what proves this process to them; None: plaintext."""
    if settings.replicas_ca_file is None:
        return None
    tls = Tls(settings.replicas_ca_file, settings.tls_cert_file, settings.tls_key_file)
    try:
        tls.credentials()
    except OSError as error:
        sentence = f"{Path(error.filename).name}: {error.strerror}"
        raise StartError(f"replicas_ca_file: {sentence}") from None
    return tls


def _folder(settings: Settings) -> Path:
    """Return the folder of the store, which the re-evaluator alone writes."""
    if settings.store is None:
        raise StartError("store: expected the folder that servers read, got none")
    folder = Path(settings.store)
    if "://" in settings.store or not folder.is_dir():
        sentence = f"expected a folder on this machine, got {settings.store}"
        raise StartError(f"store: {sentence}: the re-evaluator writes new versions there")
    return folder


def _rules(settings: Settings) -> BusinessRules:
    if settings.rules_file is None:
        return business_rules.default_rules()
    try:
        return business_rules.read(settings.rules_file)
    except RulesError as error:
        raise StartError(f"rules_file: {error}") from None


def _needed(path: Path | None, setting: str) -> Path:
    if path is None:
        raise StartError(f"{setting}: expected a file whose first line is the token, got none")
    return path
