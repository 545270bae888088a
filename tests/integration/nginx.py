# SPDX-License-Identifier: Apache-2.0
"""A real nginx of a test's own, on a free port, that serves one folder."""
import os
import socket

from lab import wait_for


class Nginx:
    def __init__(self, lab, folder, more="", more_http=""):
        """more is what else the server's block says, more_http what stands around it."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        own = lab.folder / f"nginx-{self.port}"
        own.mkdir()
        self.error_log = own / "error.log"
        temporary = "".join(f"    {kind}_temp_path {own}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (own / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log {self.error_log};\n"
            + ("user root;\n" if os.geteuid() == 0 else "")
            + "events {}\nhttp {\n    access_log off;\n" + more_http + temporary
            + f"    server {{ listen 127.0.0.1:{self.port}; root {folder}; {more} }}\n}}\n")
        lab.start(["nginx", "-c", own / "nginx.conf", "-e", self.error_log], own / "log")

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        wait_for("nginx", listens, logs=[self.error_log])

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"
