# SPDX-License-Identifier: Apache-2.0
"""One run of QEMU: from power on until the machine powers off, resets, or loses its power.

A warm reset is slow under emulation, so a reset ends QEMU and the caller starts the next; QMP tells
how it ended. What the machine prints on its serial line is kept; what the test types goes over a
virtio port to the agent in its userland.
"""
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time

from lab import tail, wait_for

BOOT_SECONDS = 180 * (2 if os.environ.get("SLOW") else 1)
FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"


class LineSocket:
    """QEMU's end of a conversation in lines; QEMU connects to us."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.peer, self.data, self.lines = None, b"", []

    def accept(self, seconds=30):
        self.listener.settimeout(seconds)
        self.peer, _ = self.listener.accept()
        self.peer.setblocking(False)

    def poll(self):
        """Takes in what has come; the complete lines so far, first come first."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while chunk := self.peer.recv(1 << 16):
                self.data += chunk
        *lines, self.data = self.data.split(b"\n")
        self.lines += [line.decode(errors="replace").strip() for line in lines]
        return self.lines

    def send(self, line):
        self.peer.setblocking(True)
        self.peer.sendall(line.encode() + b"\n")
        self.peer.setblocking(False)

    def close(self):
        for end in (self.peer, self.listener):
            if end:
                end.close()


class Answer:
    def __init__(self, status, text):
        self.status, self.text = status, text


class Qemu:
    """A machine that is on. how_it_ended: "" while it runs; then "reset", "off" or "cut"."""

    def __init__(self, lab, folder, disk_arguments, memory_mib=1024,
                 variables=VARIABLES):
        self.lab, self.folder = lab, folder
        folder.mkdir(parents=True)
        self.serial = folder / "serial.log"
        self.terminal = folder / "terminal.log"
        self.log = folder / "qemu.log"
        self.how_it_ended = ""
        self.n_commands, self.n_lines_read = 0, 0
        # A socket's name has at most 107 characters.
        self.monitor = LineSocket(lab.folder / "qmp")
        self.agent = LineSocket(lab.folder / "agent")
        own_variables = folder / "variables.fd"
        shutil.copyfile(variables, own_variables)
        # Said explicitly: /dev/kvm may be there, open, and not work.
        self.process = lab.start(
            ["nice", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
             "-machine", "q35,smm=off", "-accel", "tcg,thread=multi", "-smp", "2", "-cpu", "Nehalem",
             "-m", memory_mib, "-no-reboot",
             "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={FIRMWARE}",
             "-drive", f"if=pflash,unit=1,format=raw,file={own_variables}",
             "-device", "virtio-rng-pci", *disk_arguments,
             "-netdev", "user,id=net0", "-device", "virtio-net-pci,romfile=,netdev=net0",
             "-chardev", f"file,id=serial0,path={self.serial}", "-serial", "chardev:serial0",
             "-chardev", f"file,id=serial1,path={self.terminal}", "-serial", "chardev:serial1",
             "-chardev", f"socket,id=monitor0,path={lab.folder / 'qmp'}",
             "-mon", "chardev=monitor0,mode=control",
             "-chardev", f"socket,id=agent0,path={lab.folder / 'agent'}",
             "-device", "virtio-serial-pci",
             "-device", "virtserialport,chardev=agent0,name=flipside-test"], self.log)
        try:
            for end in (self.agent, self.monitor):
                end.accept()
        except TimeoutError:
            raise AssertionError(f"QEMU does not start: {tail(self.log)}") from None
        self.monitor.send(json.dumps({"execute": "qmp_capabilities"}))

    # What it says.

    def text(self):
        with contextlib.suppress(OSError):
            return self.serial.read_bytes().decode(errors="replace")
        return ""

    def is_running(self):
        self.agent.poll()
        for line in self.monitor.poll():
            event = json.loads(line)
            if event.get("event") == "SHUTDOWN" and not self.how_it_ended:
                guest_reset = event["data"]["reason"] in ("guest-reset", "guest-panic")
                self.how_it_ended = "reset" if guest_reset else "off"
        self.monitor.lines.clear()
        if self.process.poll() is None:
            return True
        self.how_it_ended = self.how_it_ended or "off"
        return False

    def wait(self, what, condition, seconds=BOOT_SECONDS):
        """Until condition() is true, while the machine runs."""
        def is_so():
            running = self.is_running()
            answer = condition()
            assert answer or running, (f"the machine ended ({self.how_it_ended}) before: {what}\n"
                                       + tail(self.serial, 3000))
            return answer
        return wait_for(what, is_so, seconds, logs=[self.serial, self.log])

    def wait_quickly(self, what, condition, seconds=BOOT_SECONDS):
        """Without a pause, for what is over in a moment."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end and self.process.poll() is None, f"no {what}"

    def wait_for_line(self, words, seconds=BOOT_SECONDS):
        """Until the serial line has said these words; returns the line."""
        def line():
            return next((line.strip() for line in self.text().splitlines() if words in line), None)
        return self.wait(f"'{words}' on the serial line", line, seconds)

    # What it is told.

    def wait_until_up(self):
        """Until the agent in the userland answers."""
        self.wait("the agent in the machine",
                  lambda: any(line.startswith("ready ") for line in self.agent.poll()))
        return self

    def wait_until_started(self):
        """Until all units that it starts have started, or failed."""
        self.wait_until_up().ask("systemctl is-system-running --wait")
        return self

    def ask(self, command, seconds=BOOT_SECONDS):
        """Runs a command for bash in the machine; its status and output."""
        self.n_commands += 1
        number = f"c{self.n_commands}"
        self.agent.send(f"{number} {base64.b64encode(command.encode()).decode()}")
        line = self.wait(f"the end of: {command}", lambda: next(
            (line for line in self.agent.poll() if line.startswith(number + " ")), None), seconds)
        _, status, output = (line + " ").split(" ")[:3]
        return Answer(int(status), base64.b64decode(output).decode(errors="replace").strip())

    def tell(self, command, seconds=BOOT_SECONDS):
        """Runs a command that must succeed; its output."""
        answer = self.ask(command, seconds)
        assert answer.status == 0, f"{command}: status {answer.status}\n{answer.text}"
        return answer.text

    # How it ends.

    def wait_for_end(self, how, seconds=BOOT_SECONDS):
        """Until the machine has ended by itself, in the way that is expected."""
        wait_for(f"the machine to end ({how})", lambda: not self.is_running(), seconds,
                 logs=[self.serial, self.log])
        assert self.how_it_ended == how, (f"the machine ended by {self.how_it_ended}, not {how}\n"
                                          + tail(self.serial, 3000))
        self.close()

    def cut_power(self):
        self.how_it_ended = self.how_it_ended or "cut"
        self.process.kill()
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        if self.process in self.lab.processes:
            self.lab.processes.remove(self.process)
        for end in (self.agent, self.monitor):
            end.close()
