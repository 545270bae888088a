# SPDX-License-Identifier: Apache-2.0
"""etcd clusters for tests: real members on loopback, in the lab's folder.

    with Lab() as lab:
        cluster = etcd.Cluster(lab, n=3, v2=True)
        cluster.start()
        cluster.urls                     # of the clients, one for each member
        cluster.members[0].kill()        # -9; stop() is SIGTERM, pause()/resume() SIGSTOP/SIGCONT
        cluster.members[0].start()       # again, with its data; wipe() before: without them
        cluster.leader()                 # the member that leads now
        cluster.v3("/v3/kv/range", {...})  # one call of the JSON gateway, at any member that answers

binary= takes another etcd than the one in PATH. tls= is "server" (clients need the CA) or "client"
(and a certificate of their own: client_certificate()); auth turns on users: enable_auth().
"""
import base64
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from lab import BUILD_ROOT, SOURCE_ROOT, run, wait_for

ROOT_PASSWORD = "rootpw"


def free_ports(n):
    """Ports of loopback that nobody listens on, below those that the kernel hands out itself."""
    sockets, ports = [], []
    try:
        start = 12000 + os.getpid() * 37 % 15000
        for port in range(start, 32000):
            candidate = socket.socket()
            with contextlib.suppress(OSError):
                candidate.bind(("127.0.0.1", port))
                sockets.append(candidate)
                ports.append(port)
            if len(ports) == n:
                return ports
    finally:
        for candidate in sockets:
            candidate.close()
    raise RuntimeError("no free ports")


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def unb64(text):
    return base64.b64decode(text).decode()


@functools.lru_cache(None)
def newer():
    """[(version, path)] of the etcds beside Debian 12's, the oldest first; none where they cannot
    be had (tests/install-etcd then says why)."""
    done = subprocess.run([SOURCE_ROOT / "tests/install-etcd", BUILD_ROOT / "etcd"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    print("# " + (done.stdout.strip().replace("\n", "\n# ") or done.stderr.strip()))
    return [tuple(line.split(" ", 1)) for line in done.stdout.splitlines()]


class Refused(Exception):
    """An answer of etcd that is an error: its HTTP status and its text."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class Member:
    def __init__(self, cluster, name, client_port, peer_port):
        self.cluster, self.name = cluster, name
        scheme = "https" if cluster.tls else "http"
        self.url = f"{scheme}://127.0.0.1:{client_port}"
        self.peer_url = f"http://127.0.0.1:{peer_port}"
        self.data = cluster.folder / name
        self.log = cluster.folder / f"{name}.log"
        self.process = None

    def arguments(self, state):
        cluster = self.cluster
        arguments = [cluster.binary, "--name", self.name, "--data-dir", self.data,
                     "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                     "--listen-peer-urls", self.peer_url,
                     "--initial-advertise-peer-urls", self.peer_url,
                     "--initial-cluster", ",".join(f"{m.name}={m.peer_url}"
                                                   for m in cluster.members),
                     "--initial-cluster-state", state,
                     "--initial-cluster-token", cluster.name]
        if cluster.v2:
            arguments += ["--enable-v2=true"]
        if cluster.tls:
            arguments += ["--cert-file", cluster.folder / "server.pem",
                          "--key-file", cluster.folder / "server.key"]
        if cluster.tls == "client":
            arguments += ["--client-cert-auth", "--trusted-ca-file", cluster.ca]
        return arguments + list(cluster.more)

    def start(self, state="new"):
        """Starts the process; wait_healthy() when it is to serve."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD_")}
        self.process = self.cluster.lab.start(self.arguments(state), self.log, env=environment)

    def stop(self):
        self.cluster.lab.end(self.process)

    def kill(self):
        self.cluster.lab.end(self.process, signal.SIGKILL)

    def pause(self):
        """Returns when no thread of it runs any more: the signal stops them one by one, and on a
        busy machine that takes long enough for one more answer."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        wait_for("all threads of etcd to stop", lambda: all(
            stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in tasks.glob("*/stat")))

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def wipe(self):
        """Forgets its data; only while it does not run."""
        shutil.rmtree(self.data, ignore_errors=True)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def ask(self, path, body=None, headers=None, method=None, seconds=10):
        """The text of an answer; Refused when it is an error."""
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        request = urllib.request.Request(self.url + path, data=data, headers=headers or {},
                                         method=method)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=self.cluster.context()))
        try:
            with opener.open(request, timeout=seconds) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.read().decode(errors="replace")) from None

    def is_healthy(self):
        """Whether it serves and knows a leader."""
        try:
            return json.loads(self.ask("/health", seconds=2)).get("health") in ("true", True)
        except (OSError, Refused, ValueError):
            return False

    def wait_healthy(self):
        wait_for(f"{self.name} is healthy", self.is_healthy, logs=[self.log])


class Cluster:
    def __init__(self, lab, n=1, v2=False, tls=None, binary=None, more=(), name="etcd"):
        self.lab, self.v2, self.tls, self.name = lab, v2, tls, name
        self.binary = str(binary or shutil.which("etcd") or "etcd")
        self.more = more
        self.folder = lab.folder / name
        self.folder.mkdir()
        self.ca = self.folder / "ca.pem"
        self.token = None
        if tls:
            self.make_authority()
        ports = free_ports(2 * n)
        self.members = [Member(self, f"{name}{i}", ports[2 * i], ports[2 * i + 1])
                        for i in range(n)]

    @property
    def urls(self):
        return [member.url for member in self.members]

    @property
    def endpoints(self):
        """As locksmithctl's -endpoint takes them."""
        return ",".join(self.urls)

    def start(self):
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait_healthy()
        return self

    def stop(self):
        for member in self.members:
            if member.is_running():
                member.resume()
                member.kill()

    # TLS: one authority, one certificate for all members, as many for clients as asked for.

    def make_authority(self):
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", self.folder / "ca.key", "-out", self.ca, "-days", "2",
             "-subj", "/O=lab/CN=authority"])
        self.make_certificate("server", "/O=members")
        self.make_certificate("admin", "/O=admin")

    def make_certificate(self, name, subject):
        """A certificate by the cluster's authority; returns its path and its key's."""
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        request, extension = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extension.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n"
                             "extendedKeyUsage=serverAuth,clientAuth\n")
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", key, "-out", request, "-subj", subject])
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey",
             self.folder / "ca.key", "-CAcreateserial", "-days", "2", "-out", certificate,
             "-extfile", extension])
        return certificate, key

    def client_certificate(self, name="client", common_name=None):
        return self.make_certificate(name, f"/CN={common_name}" if common_name else "/O=nodes")

    def context(self):
        if not self.tls:
            return ssl.create_default_context()
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.folder / "admin.pem", self.folder / "admin.key")
        return context

    # What an observer and an administrator do.

    def any(self, ask):
        """ask(member) of the first member that answers without an error."""
        error = RuntimeError("no member runs")
        for member in self.members:
            try:
                if member.is_running():
                    return ask(member)
            except (OSError, Refused) as problem:
                error = problem
        raise error

    def v3(self, path, body, token=True, member=None):
        headers = {"Authorization": self.token} if token and self.token else {}

        def ask(at):
            return json.loads(at.ask(path, body, headers))
        return ask(member) if member else self.any(ask)

    def get(self, key, revision=None):
        """The value of a v3 key (at a revision), or None."""
        more = {"revision": str(revision)} if revision else {}
        answer = self.v3("/v3/kv/range", {"key": b64(key), **more})
        return unb64(answer["kvs"][0].get("value", "")) if answer.get("kvs") else None

    def put(self, key, value):
        return self.v3("/v3/kv/put", {"key": b64(key), "value": b64(value)})

    def delete(self, key):
        return self.v3("/v3/kv/deleterange", {"key": b64(key)})

    def keys(self, prefix):
        """All v3 keys below a prefix (which is not empty) with their values."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        answer = self.v3("/v3/kv/range", {"key": b64(prefix), "range_end": b64(end)})
        return {unb64(kv["key"]): unb64(kv.get("value", "")) for kv in answer.get("kvs", [])}

    def v2_get(self, key):
        """The value of a v2 key ("/..."), or None."""
        try:
            answer = self.any(lambda m: m.ask(f"/v2/keys{key}?quorum=true"))
        except Refused as problem:
            if problem.status == 404 and "100" in problem.text:
                return None
            raise
        return json.loads(answer)["node"]["value"]

    def leader(self):
        """The member that leads, waited for."""
        def find():
            for member in self.members:
                with contextlib.suppress(OSError, Refused, ValueError):
                    if not member.is_running():
                        continue
                    status = json.loads(member.ask("/v3/maintenance/status", {}, seconds=2))
                    if (status.get("leader", "0") == status["header"]["member_id"]
                            and member.is_healthy()):
                        return member
            return None
        return wait_for("a leader", find, logs=[m.log for m in self.members])

    def followers(self):
        leader = self.leader()
        return [member for member in self.members if member is not leader]

    def authenticate(self, user="root", password=ROOT_PASSWORD):
        answer = self.v3("/v3/auth/authenticate", {"name": user, "password": password}, False)
        return answer["token"]

    def enable_auth(self, user="node1", password="nodepw", prefix="coreos.com/updateengine/"):
        """Users root and `user`; the second may read and write below prefix alone."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        self.v3("/v3/auth/user/add", {"name": "root", "password": ROOT_PASSWORD})
        self.v3("/v3/auth/user/add", {"name": user, "password": password})
        self.v3("/v3/auth/role/add", {"name": "root"})
        self.v3("/v3/auth/role/add", {"name": "nodes"})
        self.v3("/v3/auth/role/grant", {"name": "nodes", "perm": {
            "permType": "READWRITE", "key": b64(prefix), "range_end": b64(end)}})
        self.v3("/v3/auth/user/grant", {"user": "root", "role": "root"})
        self.v3("/v3/auth/user/grant", {"user": user, "role": "nodes"})
        self.v3("/v3/auth/enable", {})
        self.token = self.authenticate()
