# SPDX-License-Identifier: Apache-2.0
"""omaha-server in a folder of the lab."""
import json

from lab import program, run, wait_for


class OmahaServer:
    """behave(omaha="stall", rate=100000, ...) changes how it answers; see
    tests/omaha-server/behaviour.h."""

    n_servers = 0

    def __init__(self, lab):
        OmahaServer.n_servers += 1
        self.lab = lab
        self.folder = lab.folder / f"server-{OmahaServer.n_servers}"
        self.folder.mkdir()
        self.releases = self.folder / "releases"
        self.report = self.folder / "report.jsonl"
        self.behaviour = self.folder / "behaviour.json"
        self.log = self.folder / "omaha-server.log"
        self.options = []
        self.process = None

    def add_release(self, channel, payload):
        run([program("omaha-server"), "add", self.releases, payload, channel])

    def add_delta(self, channel, payload, base):
        run([program("omaha-server"), "add", self.releases, payload, channel, "--delta-from",
             base])

    def promote(self, from_channel, to_channel):
        run([program("omaha-server"), "promote", self.releases, from_channel, to_channel])

    def start(self):
        port_file = self.folder / "port"
        self.process = self.lab.start(
            [program("omaha-server"), "serve", self.releases, "--listen", "127.0.0.1:0",
             "--port-file", port_file, "--report", self.report, "--behaviour", self.behaviour,
             *self.options],
            self.log)
        wait_for("omaha-server", port_file.exists, logs=[self.log])
        self.url = f"http://127.0.0.1:{port_file.read_text().strip()}/v1/update/"
        return self

    def stop(self):
        if self.process:
            self.lab.end(self.process)

    def behave(self, **keys):
        new = self.behaviour.with_suffix(".new")
        new.write_text(json.dumps({k.replace("_", "-"): v for k, v in keys.items()}))
        new.rename(self.behaviour)

    def reports(self, kind):
        """What clients did so far, one dictionary each; kind is "client" or "payload"
        (tests/omaha-server/report.h)."""
        if not self.report.exists():
            return []
        lines = map(json.loads, self.report.read_text().splitlines())
        return [line for line in lines if line["kind"] == kind]

    def checks(self):
        return [line for line in self.reports("client") if line["updatecheck"]]

    def events(self):
        return [event for line in self.reports("client") for event in line["events"]]
