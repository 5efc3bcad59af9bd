"""Settings of one server process: the operator's manual, one sentence a setting.

Each is read from `SONOBA_<NAME>` or from its flag; the README's table is generated from here.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

PREFIX = "SONOBA_"
CONFIGMAP = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]


class SettingsError(Exception):
    """A setting that is unknown or out of range, and what was expected."""


class Settings(BaseModel):
    """Settings of one server process; `SONOBA_GRPC_PORT=50052` sets `grpc_port`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on; beyond loopback it wants `tls_cert_file` and `callers_file`."""
    grpc_port: Port = 50051
    """Port of predictions, health and reflection; 0 takes a free one."""
    metrics_port: Port = 9464
    """Port of `/metrics` and the status page over HTTP; 0 takes a free one."""
    threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Threads that predict; more only makes them queue for the interpreter."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Server processes that share the port; with several, `metrics_port` is the supervisor's."""
    pin: Literal["auto", "on", "off"] = "auto"
    """Whether a process keeps to one core; auto: to one at a time that others need least."""
    default_model: str = "foundation"
    """Model that answers when a request names none."""
    model_files: tuple[Path, ...] = ()
    """Model files to serve beside the bundled foundation model, separated by commas."""
    store: str | None = None
    """Folder of `sonoba pretrain`, or its URL: of each model the version in force is served."""
    store_poll_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """Time between two looks at the store for another version."""
    store_cache: Path = Path("store-cache")
    """Folder in which the copy of a store at a URL is kept."""
    admin_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address of the admin port; beyond loopback it wants `tls_cert_file`."""
    admin_port: Port = 50052
    """Port of `Replica` or, of a re-evaluator, `Operations`; closed without `admin_token_file`."""
    admin_token_file: Path | None = None
    """File whose first line is the token of the admin port; who has it may do all of it."""
    tls_cert_file: Path | None = None
    """Certificate chain, PEM: gRPC then speaks TLS only; read again when it changes."""
    tls_key_file: Path | None = None
    """Private key of that certificate, PEM, without a password."""
    tls_client_ca_file: Path | None = None
    """Authorities of clients, PEM: nobody connects then without a certificate of theirs."""
    callers_file: Path | None = None
    """Who may call, a line each: hash of a token or a certificate's name, tenant, roles, expiry."""
    allow_plaintext: bool = False
    """Whether ports beyond loopback may do without TLS."""
    allow_anonymous: bool = False
    """Whether the port of predictions may be open to everybody beyond loopback."""
    health_port: Port | None = None
    """Port of health checks without TLS, for probes that speak none; 0 takes a free one."""
    quota_calls_per_second: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    """Calls a second that a tenant may make of this process; 0 does not count them."""
    quota_rows_per_second: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    """Examples and queries a second that a tenant may send to this process; 0: not counted."""
    quota_file: Path | None = None
    """Other quotas for some tenants, one line each: tenant, calls and rows a second."""
    reservoir_tenants: tuple[str, ...] = ()
    """Tenants whose prompts re-evaluations may keep, separated by commas; none by default."""
    reservoir_prompts: Annotated[int, Field(ge=1, le=2000)] = 2000
    """Most prompts kept, in memory only."""
    reservoir_tenant_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Largest share of these places that one tenant may take where several have prompts."""
    reservoir_seconds: Annotated[float, Field(gt=0, le=86_400)] = 86_400.0
    """Age at which a kept prompt is deleted."""
    webhook_port: Port = 8085
    """Port on which the re-evaluator takes alerts and shows reports, at `admin_host`."""
    webhook_token_file: Path | None = None
    """File whose first line is the token that Alertmanager brings."""
    replicas: tuple[str, ...] = ()
    """Admin addresses (host:port) of all servers, separated by commas; a name may mean many."""
    replicas_ca_file: Path | None = None
    """Authority of the servers' certificates, PEM: the re-evaluator then talks TLS to them."""
    rules_file: Path | None = None
    """Business rules of the re-evaluator, YAML; without one the defaults hold."""
    reports: Path = Path("reports")
    """Folder of the re-evaluator's reports."""
    report_keep_days: Annotated[float, Field(gt=0, le=3650)] = 90.0
    """Age at which a report is deleted."""
    report_keep_count: Annotated[int, Field(ge=1, le=100_000)] = 500
    """Most reports kept, the oldest are deleted first."""
    evaluate_every_seconds: Annotated[float, Field(ge=0, le=31_536_000)] = 86_400.0
    """Time between two evaluations of a model that nobody asked for; 0 makes none."""
    public_url: Annotated[str, Field(pattern=r"^(https?://[^ ]+)?$")] = ""
    """Address under which people reach the re-evaluator's reports, for links; empty writes none."""
    publish_configmaps: tuple[str, ...] = ()
    """ConfigMaps that the re-evaluator keeps a copy of its store in: index, then slots."""
    publish_every_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """Time between two looks whether they are still what the store is; a change is sent at once."""
    publish_api: Annotated[str, Field(pattern=r"^(https://[^/ ]+)?$")] = ""
    """Address of the Kubernetes API; empty takes `KUBERNETES_SERVICE_HOST` and its port."""
    publish_account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Folder of the service account: `token`, `ca.crt` and `namespace`, read at every call."""
    shadow_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of single prompts also solved exactly, to measure how far the layers are off."""
    monitor_prompts_per_second: Annotated[int, Field(ge=0, le=1_000_000)] = 2000
    """Most prompts a second whose error and covariates are watched; 0 watches none."""
    monitor_processor_share: Annotated[float, Field(gt=0, le=1)] = 0.03
    """Share of one processor that watching may take; beyond it a fair sample is watched."""
    monitor_repeat_seconds: Annotated[float, Field(ge=0, le=3600)] = 60.0
    """Time within which a prompt that comes again is not watched again; 0 watches every one."""
    monitor_baseline_prompts: Annotated[int, Field(ge=50, le=100_000)] = 400
    """First prompts that become normal for a model that brings no reference."""
    monitor_window_prompts: Annotated[int, Field(ge=20, le=10_000)] = 100
    """Prompts after which such a model's error is judged; a version's own reference has its own."""
    monitor_rows_per_alarm: Annotated[int, Field(ge=1000, le=1_000_000_000)] = 1_000_000
    """Quiet examples between two false calls of such a model's information on covariates."""
    monitor_hold_seconds: Annotated[float, Field(ge=0, le=86_400)] = 1800.0
    """Time below the line after which the page and `GetModel` take harm back."""
    page_names: bool = False
    """Whether the status page shows names and values of features to whoever can open it."""
    log_format: Literal["auto", "console", "json"] = "auto"
    """Form of log lines: text, JSON, or by whether a terminal reads them."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level of a line that is logged."""
    log_calls_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the answered calls that are logged; errors and slow calls always are."""
    log_tenants: bool = False
    """Whether lines about calls name the tenant."""
    slow_call_seconds: Seconds = 0.25
    """Time from which on an answered call is logged as slow; 0 logs none."""
    reflection: bool | None = None
    """Whether clients such as grpcurl may ask for the contract; by default on loopback only."""
    feature_count_max: Annotated[int, Field(ge=1, le=1024)] = 256
    """Most features of a prompt."""
    example_count_max: Annotated[int, Field(ge=4, le=2**20)] = 65_536
    """Most examples of a prompt."""
    query_count_max: Annotated[int, Field(ge=1, le=2**20)] = 4096
    """Most queries of a prompt."""
    batch_prompt_count_max: Annotated[int, Field(ge=1, le=2**20)] = 4096
    """Most prompts of a batch."""
    element_count_max: Annotated[int, Field(ge=1024, le=2**27)] = 8_388_608
    """Most numbers of one request."""
    max_message_bytes: Annotated[int, Field(ge=2**16, le=2**30)] = 64 * 2**20
    """Largest message either way, bytes."""
    default_deadline_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Time a call may take when the caller set no deadline."""
    max_pending: Annotated[int, Field(ge=1, le=65_536)] = 256
    """Calls that wait or run at once; more are refused. So many ÷ calls a second is their wait."""
    request_seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Time in which the request of a call must arrive once a thread has begun to read it."""
    max_streams: Annotated[int, Field(ge=1, le=1024)] = 32
    """Streams open at once; each holds a thread."""
    stream_seconds: Annotated[float, Field(gt=0, le=86_400)] = 240.0
    """Age at which a stream is ended with OK, so that the client opens another."""
    max_connection_age_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    """Age at which a connection is closed, so that clients find new servers."""
    lame_duck_seconds: Seconds = 5.0
    """Time between turning unhealthy and refusing calls after SIGTERM; Ctrl-C skips it."""
    drain_seconds: Seconds = 20.0
    """Time that calls in flight get to finish on stop."""

    @field_validator(
        *("model_files", "reservoir_tenants", "replicas", "publish_configmaps"), mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(p for p in value.split(",") if p) if isinstance(value, str) else value

    @field_validator("publish_configmaps")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) == 1 or len(set(value)) < len(value):
            raise ValueError(f"expected an index, then slots, each once, got {', '.join(value)}")
        if odd := [name for name in value if not re.fullmatch(CONFIGMAP, name)]:
            raise ValueError(f"expected names of ConfigMaps, got {odd[0]:.64}")
        return value

    @field_validator("store", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, Path) else value

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], **flags: object) -> Self:
        """Read every variable with our prefix; flags win. An unknown or malformed one stops."""
        ours = {n: v for n, v in environ.items() if n.startswith(PREFIX)}
        values: dict[str, object] = {n.removeprefix(PREFIX).lower(): v for n, v in ours.items()}
        values.update({name: value for name, value in flags.items() if value is not None})
        if values.get("publish_configmaps") and not values.get("publish_api"):
            values["publish_api"] = _cluster(environ)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = (_sentence(cls, entry) for entry in error.errors(include_url=False))
            raise SettingsError("\n".join(lines)) from None


def _cluster(environ: Mapping[str, str]) -> str:
    """Return the address of the API that kubelet tells every container; empty outside a cluster."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "")
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}:{environ.get('KUBERNETES_SERVICE_PORT', '443')}" if host else ""


def _sentence(settings: type[Settings], entry: Any) -> str:
    """Return one fault of the settings as a sentence that names the variable."""
    field = str(entry["loc"][0])
    name = PREFIX + field.upper()
    if entry["type"] != "extra_forbidden":
        message = entry["msg"].removeprefix("Value error, ")
        return f"{name}: {message[0].lower()}{message[1:]}"
    near = difflib.get_close_matches(field, settings.model_fields, n=1)
    hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
    return f"{name}: no such setting{hint}"
