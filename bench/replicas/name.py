"""A DNS name that means other addresses a moment later, as that of a headless Service does."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from bench.replicas.replica import free_port

NAME = "sonoba.test"  # RFC 6761: no name of the world's
SBIN = "/usr/sbin"  # where Debian has it, and not every user looks
MISSING = "dnsmasq is absent (Debian: dnsmasq-base)"


def dnsmasq() -> str | None:
    """Return the program, if it is there."""
    return shutil.which("dnsmasq") or shutil.which("dnsmasq", path=SBIN)


class Name:
    """A DNS server on loopback that knows one name; nothing is cached, nothing asked elsewhere."""

    def __init__(self, folder: Path) -> None:
        program = dnsmasq()
        if program is None:
            raise RuntimeError(MISSING)
        self.port, self._hosts = free_port(), folder / "hosts"
        self._hosts.write_text("")
        command = [
            *(program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file="),
            *("--no-resolv", "--no-hosts", f"--addn-hosts={self._hosts}", "--local=/test/"),
            *("--listen-address=127.0.0.1", "--bind-interfaces", f"--port={self.port}"),
            "--log-facility=-",
        ]
        if os.getuid() == 0:  # else it becomes another user, who may not read the file again
            command += [f"--user={pwd.getpwuid(0).pw_name}", "--group="]
        self._child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._wait_for(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.terminate()
        self._child.communicate(timeout=10)

    def means(self, *hosts: str) -> None:
        """Let the name mean these addresses from now on."""
        self._hosts.write_text("".join(f"{host} {NAME}\n" for host in hosts))
        self._child.send_signal(signal.SIGHUP)
        self._wait_for(len(hosts))

    def target(self, port: int) -> str:
        """Return what a gRPC client is given: our DNS server, the name, and a port."""
        return f"dns://127.0.0.1:{self.port}/{NAME}:{port}"

    def _wait_for(self, count: int) -> None:
        """Wait until it says that it has read so many addresses."""
        assert self._child.stderr is not None
        said = ""
        for line in self._child.stderr:
            said += line
            if f"read {self._hosts} - {count} names" in line:
                return
        raise RuntimeError(f"expected a DNS server, got none: {said}")
