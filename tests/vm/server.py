# SPDX-License-Identifier: Apache-2.0
"""The update server of virtual machines: omaha-server answers, nginx serves the payloads. Both
listen on this host's loopback, which a machine reaches at 10.0.2.2."""
import os
import socket

from lab import wait_for
from omaha import OmahaServer

HOST = "10.0.2.2"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class UpdateServer(OmahaServer):
    """machine_url: what a machine's SERVER= is."""

    def __init__(self, lab):
        super().__init__(lab)
        self.download_port = free_port()
        self.download_log = self.folder / "access.log"

    def start(self):
        self.options = ["--payload-url", f"http://{HOST}:{self.download_port}/{{version}}/"]
        super().start()
        self.machine_url = self.url.replace("127.0.0.1", HOST)
        self._start_nginx()
        return self

    def _start_nginx(self):
        own = self.folder / "nginx"
        own.mkdir()
        temporary = "".join(f"    {kind}_temp_path {own}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (own / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log {own}/error.log;\n"
            + ("user root;\n" if os.geteuid() == 0 else "")
            + f"events {{}}\nhttp {{\n    access_log {self.download_log};\n{temporary}"
            + f"    server {{ listen 127.0.0.1:{self.download_port}; "
            + f"root {self.releases}/releases; }}\n}}\n")
        self.lab.start(["nginx", "-c", own / "nginx.conf", "-e", own / "error.log"], own / "log")

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.download_port)) == 0
        wait_for("nginx", listens, logs=[own / "error.log"])

    def has_event(self, kind, result, **attributes):
        return any(event["type"] == kind and event["result"] == result
                   and all(event.get(key) == value for key, value in attributes.items())
                   for event in self.events())
