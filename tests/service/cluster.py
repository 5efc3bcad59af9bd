"""A cluster as far as model versions go: an API of ConfigMaps over HTTPS, and a kubelet.

The API answers as documented for reading and replacing one ConfigMap. The kubelet writes what it
has heard of into a directory as its atomic writer does: a new folder, then one renamed link.
"""

import base64
import json
import os
import re
import shutil
import socket
import ssl
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.security.certificates import Authority

INDEX, SLOTS = "sonoba-models", ("sonoba-model-a", "sonoba-model-b", "sonoba-model-c")
NAMES = (INDEX, *SLOTS)
NAMESPACE, TOKEN = "sonoba", "a-token-of-the-account"
LARGEST_BYTES, LARGEST_REQUEST_BYTES = 2**20, 3 * 2**20
PATH = rf"/api/v1/namespaces/{NAMESPACE}/configmaps/([a-z0-9.-]+)(\?fieldManager=sonoba)?"


class Gone(Exception):
    """Raised by a hook: the connection ends without an answer."""


class Refused(Exception):
    """A status other than 200, and why."""


def files_of(body):
    texts = {key: text.encode() for key, text in (body.get("data") or {}).items()}
    rest = {key: base64.b64decode(text) for key, text in (body.get("binaryData") or {}).items()}
    return texts | rest


class Cluster:
    """The API server; `writes` counts what changed an object, `history` is all that ever was."""

    def __init__(self, folder):
        self.account, authority = folder / "account", Authority(folder / "authority")
        self.account.mkdir()
        for file, text in (("token", TOKEN), ("namespace", NAMESPACE)):
            (self.account / file).write_text(text)
        shutil.copy(authority.file, self.account / "ca.crt")
        self.tokens, self.denied, self.writes, self.lock = {TOKEN}, set(), [], threading.RLock()
        self.before = self.after = lambda method, name: None
        self._serial = 0
        self.objects, self.history = {}, {}
        for name in NAMES:
            self.create(name)
        self._listen(authority.server())

    def create(self, name):
        labels = {"app.kubernetes.io/name": "sonoba"}
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "labels": labels},
        }
        body["metadata"] |= {"namespace": NAMESPACE, "uid": f"uid-of-{name}"}
        self._put(name, body)

    def files(self, name):
        return files_of(self.objects[name])

    def write(self, name, files):
        """Change an object behind everybody's back, as an operator might."""
        data = {key: base64.b64encode(content).decode() for key, content in files.items()}
        with self.lock:
            body = {key: one for key, one in self.objects[name].items() if key != "data"}
            self._put(name, {**body, "binaryData": data})

    def _put(self, name, body):
        self._serial += 1
        body = json.loads(json.dumps(body))
        body["metadata"]["resourceVersion"] = str(self._serial)
        self.objects[name] = body
        self.history.setdefault(name, []).append(files_of(body))
        return body

    def answer(self, method, path, token, raw):
        found = re.fullmatch(PATH, path)
        if token not in self.tokens:
            raise Refused(401, "Unauthorized")
        name = found[1] if found else ""
        if not found or name in self.denied:
            raise Refused(403, f'configmaps "{name}" is forbidden: cannot {method.lower()}')
        self.before(method, name)
        with self.lock:
            if name not in self.objects:
                raise Refused(404, f'configmaps "{name}" not found')
            answer = self.objects[name] if method == "GET" else self._replaced(name, raw)
        self.after(method, name)
        return answer

    def _replaced(self, name, raw):
        if len(raw) > LARGEST_REQUEST_BYTES:
            raise Refused(413, "Request entity too large: limit is 3145728")
        body, old = json.loads(raw), self.objects[name]
        version = body["metadata"].get("resourceVersion")
        if version not in (None, old["metadata"]["resourceVersion"]):
            raise Refused(409, f'Operation cannot be fulfilled on configmaps "{name}": the object '
                               "has been modified; please apply your changes")  # fmt: skip
        keys = [*(body.get("data") or {}), *(body.get("binaryData") or {})]
        bad = [key for key in keys if not re.fullmatch(r"[-._a-zA-Z0-9]{1,253}", key)]
        if bad or len(set(keys)) < len(keys):
            raise Refused(422, f'ConfigMap "{name}" is invalid: {bad}')
        if sum(map(len, files_of(body).values())) > LARGEST_BYTES:
            raise Refused(422, f'ConfigMap "{name}" is invalid: []: Too long: may not be more than '
                               "1048576 bytes")  # fmt: skip
        if body == old:
            return old
        self.writes.append(name)
        return self._put(name, body)

    def _listen(self, pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them: no socket is left to the collector

    def handle_error(self, request, client_address):
        """A client that went away is none of the server's business."""


def _handler(cluster):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._answer("GET")

        def do_PUT(self):
            self._answer("PUT")

        def _answer(self, method):
            self.close_connection = True
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            try:
                status, body = 200, cluster.answer(method, self.path, token, raw)
            except Refused as refused:
                status, message = refused.args
                body = {"kind": "Status", "status": "Failure", "message": message, "code": status}
            except Gone:
                return
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    return Handler


class Kubelet:
    """Writes ConfigMaps, each as of some moment, into one directory."""

    def __init__(self, cluster, folder):
        self._cluster, self.folder, self._count = cluster, folder, 0
        self.heard = {name: {} for name in NAMES}  # the files of each, as last heard
        folder.mkdir(parents=True, exist_ok=True)

    def hear(self, *names):
        """Take what some ConfigMaps are now; the others stay what they were."""
        for name in names or NAMES:
            self.heard[name] = self._cluster.files(name) if name in self._cluster.objects else {}
        self.sync()

    def sync(self):
        payload = {key: file for name in NAMES for key, file in self.heard[name].items()}
        self._count += 1
        new, link = self.folder / f"..moment_{self._count}", self.folder / "..data"
        new.mkdir()
        for key, content in payload.items():
            (new / key).write_bytes(content)
        old = os.readlink(link) if link.is_symlink() else None
        with suppress(FileNotFoundError):
            (self.folder / "..data_tmp").unlink()
        os.symlink(new.name, self.folder / "..data_tmp")
        os.replace(self.folder / "..data_tmp", link)
        for key in payload:
            if not (self.folder / key).is_symlink():
                os.symlink(f"..data/{key}", self.folder / key)
        for path in self.folder.iterdir():
            if path.is_symlink() and path.name != "..data" and path.name not in payload:
                path.unlink()
        if old is not None:
            shutil.rmtree(self.folder / old)


def nobody():
    """Return an address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{probe.getsockname()[1]}"
