# SPDX-License-Identifier: Apache-2.0
"""A whole machine, its update server and its release engineer in one temporary folder.

A test makes a Lab; from it come Machines (a root folder, a disk image, a bus, the daemon and the
tools), Servers (omaha-server) and releases. Everything that was started ends with the lab, by its
process id, also when the test fails. Nothing here sleeps and hopes: what takes time is polled until
it is so, or until a deadline fails the test with the log of the one that was late.

Only the standard library, and the tools that tests/install-packages lists.
"""
import atexit
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
from pathlib import Path

SOURCE_ROOT = Path(__file__).resolve().parents[2]
BUILD_ROOT = Path(os.environ.get("MESON_BUILD_ROOT", SOURCE_ROOT / "build")).resolve()
MIB = 1 << 20
DEADLINE = 60 * (4 if "asan" in str(BUILD_ROOT) or os.environ.get("SLOW") else 1)


def build_option(name):
    """What the build folder was configured with."""
    options = json.loads((BUILD_ROOT / "meson-info/intro-buildoptions.json").read_text())
    return next(option["value"] for option in options if option["name"] == name)


OS_NAME = build_option("os")
RUNS_POSTINST = (build_option("postinst").replace("auto", "enabled" if OS_NAME == "flatcar" else "")
                 == "enabled")
OPERATOR = build_option("operator").replace("auto", "core" if OS_NAME == "flatcar" else "")


def program(name):
    """The path of a program of ours in the build folder."""
    for path in BUILD_ROOT.rglob(name):
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise FileNotFoundError(f"{name} is not in {BUILD_ROOT}: build first (ninja -C {BUILD_ROOT})")


def wait_for(what, condition, seconds=None, logs=()):
    """Returns the first true answer of condition(), polled; fails after the deadline."""
    seconds = seconds or DEADLINE
    end = time.monotonic() + seconds
    pause = 0.005
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            tails = "".join(f"\n--- {log} ---\n{tail(log)}" for log in logs)
            raise AssertionError(f"after {seconds} s still waiting for: {what}{tails}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def is_listening(path):
    """Whether somebody listens at this Unix socket; it is there a moment before it takes anyone."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def tail(path, n_bytes=4000):
    with contextlib.suppress(OSError):
        return Path(path).read_bytes()[-n_bytes:].decode(errors="replace")
    return "(nothing)"


def sha256_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()


class Lab:
    """The temporary folder, and the processes that were started from it."""

    def __init__(self, folder=None):
        self.folder = Path(folder or tempfile.mkdtemp(prefix="flipside-lab-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.processes = []
        self.undo = []
        self.keep = folder is not None or bool(os.environ.get("KEEP_LAB"))
        atexit.register(self.close)

    def start(self, args, log, **more):
        """Starts a process whose output goes to the file log."""
        with open(log, "ab") as output:
            process = subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=subprocess.STDOUT, **more)
        self.processes.append(process)
        return process

    def end(self, process, how=signal.SIGTERM):
        """Ends one process and returns its exit status."""
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process in self.processes:
            self.processes.remove(process)
        return process.returncode

    def close(self):
        for process in reversed(self.processes[:]):
            if process.poll() is None:
                process.kill()
                process.wait()
        self.processes.clear()
        while self.undo:
            self.undo.pop()()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # What a release engineer does.

    def make_image(self, name, n_mib, seed, based_on=None):
        """A slot's content of pseudo-random bytes with some zeros and some text in it; with
        based_on, that image with every 16th MiB changed."""
        path = self.folder / name
        source = random.Random(seed)
        if based_on:
            shutil.copyfile(based_on, path)
            with open(path, "r+b") as file:
                for i in range(0, n_mib, 16):
                    file.seek(i * MIB + source.randrange(0, 200) * 4096)
                    file.write(source.randbytes(64 * 1024))
            return path
        with open(path, "wb") as file:
            for i in range(n_mib):
                if i % 8 == 3:
                    file.write(bytes(MIB))
                elif i % 8 == 5:
                    file.write((f"line of text {seed} {i}\n" * (MIB // 16)).encode()[:MIB])
                else:
                    file.write(source.randbytes(MIB))
        return path

    def make_key(self, name, kind="rsa"):
        """A key pair; returns the paths of the private and the public half."""
        private, public = self.folder / f"{name}.pem", self.folder / f"{name}.pub.pem"
        kinds = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ed25519": ["ed25519"]}
        run(["openssl", "genpkey", "-quiet", "-algorithm", *kinds[kind], "-out", private]
            if "3.2" <= openssl_version() else
            ["openssl", "genpkey", "-algorithm", *kinds[kind], "-out", private])
        run(["openssl", "pkey", "-in", private, "-pubout", "-out", public])
        return private, public


def openssl_version():
    return run(["openssl", "version"]).stdout.split()[1]


def run(args, check=True, seconds=None, **more):
    """Runs a tool to its end; with check, a status other than 0 fails the test."""
    done = subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=seconds or DEADLINE * 2, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(str(a) for a in args)}: status {done.returncode}\n"
                             f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


# TAP, so that every test counts by itself.


def explain(err):
    """The failure and where our own code met it."""
    report = traceback.TracebackException(*err)
    frames = [f"{Path(f.filename).name}:{f.lineno}: {f.line}" for f in report.stack
              if "unittest" not in f.filename]
    return "\n".join(frames) + "\n" + "".join(report.format_exception_only())


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n_run = 0

    def say(self, ok, test, more="", detail=""):
        self.n_run += 1
        name = str(test).split(" ")[0].removeprefix("test_").replace("_", " ")
        print(f"{'' if ok else 'not '}ok {self.n_run} - {name}{more}", flush=True)
        for line in detail.splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test):
        self.say(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say(False, test, detail=explain(err))

    def addError(self, test, err):
        super().addError(test, err)
        self.say(False, test, detail=explain(err))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say(True, test, more=f" # SKIP {reason}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.say(False, test, more=f" {subtest._subDescription()}",
                     detail=explain(err))


def main():
    """Runs the tests of the calling file, those named in the arguments or all, as TAP."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    loader = unittest.TestLoader()
    module = sys.modules["__main__"]
    names = sys.argv[1:]
    suite = (loader.loadTestsFromNames(names, module) if names
             else loader.loadTestsFromModule(module))
    result = TapResult()
    suite.run(result)
    print(f"1..{result.n_run}")
    sys.exit(0 if result.wasSuccessful() and result.n_run else 1)
