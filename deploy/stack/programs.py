"""The four programs of the stack: the command of each, its surroundings, and when it is ready."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from deploy.stack import configuration, readiness
from deploy.stack.places import Places
from deploy.stack.problem import Problem
from deploy.stack.secrets import Tokens
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
SCRAPE_EVERY = "5s"  # of two processes on this machine: what it shows is seen sooner
OPERATIONS = "sonoba.v1.Operations"
PREDICTOR = "sonoba.v1.Predictor"
END_SECONDS = 10.0  # beyond what a program may take, after which it is killed


class Program(NamedTuple):
    """What is started; it must end within `end_seconds` of being asked."""

    name: str
    command: list[str]
    environ: Mapping[str, str]
    is_ready: Callable[[], bool]
    end_seconds: float = END_SECONDS


def found() -> dict[str, str]:
    """Return the paths of Prometheus and Alertmanager; `Problem` says how to install them."""
    paths = {
        "prometheus": shutil.which("prometheus"),
        "alertmanager": shutil.which("prometheus-alertmanager") or shutil.which("alertmanager"),
    }
    if missing := [PACKAGES[name] for name, path in paths.items() if path is None]:
        install = f"sudo apt-get install --no-install-recommends {' '.join(missing)}"
        raise Problem(f"not installed: {', '.join(missing)}; on Debian and Ubuntu: {install}")
    return {name: path for name, path in paths.items() if path is not None}


def prometheus_command(program: str, config: Path, data: Path, address: str) -> list[str]:
    """Return the command of a Prometheus of one machine."""
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address={address}",
        f"--web.external-url=http://{address}/",  # for links in alerts; else the host's name
    ]


def alertmanager_command(program: str, config: Path, data: Path, address: str) -> list[str]:
    """Return the command of an Alertmanager of one machine, which gossips with nobody."""
    return [
        program,
        f"--config.file={config}",
        f"--storage.path={data}",
        f"--web.listen-address={address}",
        f"--web.external-url=http://{address}/",
        "--cluster.listen-address=",
    ]


def programs(places: Places, tokens: Tokens, environ: Mapping[str, str]) -> list[Program]:
    """Write the configuration; return the programs in the order in which they start."""
    paths, folder = found(), places.folder
    configure(places)
    watched = ("sonoba", "sonoba-reevaluator")
    at, am = places.prometheus.address, places.alertmanager.address
    asked = prometheus_command(
        paths["prometheus"], folder / "prometheus.yml", folder / "prometheus", at
    )
    told = alertmanager_command(
        paths["alertmanager"], folder / "alertmanager.yml", folder / "alertmanager", am
    )
    return [
        *_ours(places, tokens, environ),
        Program("alertmanager", told, environ, lambda: readiness.answers(f"http://{am}/-/ready")),
        Program("prometheus", asked, environ, lambda: readiness.sees(at, watched)),
    ]


def configure(places: Places) -> None:
    """Write what Prometheus and Alertmanager read into the folder."""
    asked = configuration.prometheus(
        places.page.address,
        places.reevaluator_metrics.address,
        places.alertmanager.address,
        str(configuration.RULES),
        SCRAPE_EVERY,
    )
    told = configuration.alertmanager(f"http://{places.alerts.address}/")
    for name, text in {"prometheus.yml": asked, "alertmanager.yml": told}.items():
        remark = f"# Written by `make stack` from deploy/alerting/{name}; edit that.\n"
        (places.folder / name).write_text(remark + text, encoding="utf-8")


def _ours(places: Places, tokens: Tokens, environ: Mapping[str, str]) -> list[Program]:
    """Return the server and the re-evaluator, on one store."""
    both = _shared(places, tokens, environ)
    serve = both | {
        "SONOBA_GRPC_PORT": str(places.predictions.number),
        "SONOBA_METRICS_PORT": str(places.page.number),
        "SONOBA_ADMIN_PORT": str(places.admin.number),
    }
    judge = both | {
        "SONOBA_REPLICAS": places.admin.address,
        "SONOBA_ADMIN_PORT": str(places.operations.number),
        "SONOBA_METRICS_PORT": str(places.reevaluator_metrics.number),
    }
    of = Settings.from_environ(serve)
    at, other = places.predictions.address, places.operations.address
    metrics = f"http://{places.reevaluator_metrics.address}/metrics"
    return [
        Program(
            *("sonoba", _sonoba("serve"), serve, lambda: readiness.serves(at, PREDICTOR)),
            end_seconds=of.lame_duck_seconds + of.drain_seconds + END_SECONDS,
        ),
        Program(
            *("reevaluator", _sonoba("reevaluator"), judge),
            lambda: readiness.serves(other, OPERATIONS) and readiness.answers(metrics),
        ),
    ]


def _shared(places: Places, tokens: Tokens, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of both; what the caller of the stack has set stays, but for ports."""
    folder = places.folder
    chosen = {
        "SONOBA_STORE": str(folder / "store"),
        "SONOBA_REPORTS": str(folder / "reports"),
        "SONOBA_PUBLIC_URL": f"http://{places.alerts.address}",
        "SONOBA_LOG_FORMAT": "console",
    }
    path = os.pathsep.join(filter(None, [str(ROOT / "client"), environ.get("PYTHONPATH", "")]))
    return {
        **chosen,
        **environ,
        "PYTHONPATH": path,
        "SONOBA_WEBHOOK_PORT": str(places.alerts.number),
        "SONOBA_ADMIN_TOKEN_FILE": str(tokens.admin),
        "SONOBA_WEBHOOK_TOKEN_FILE": str(tokens.webhook),
    }


def _sonoba(command: str) -> list[str]:
    return [sys.executable, "-m", "service.cli", command]
