#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the source that a machine can hold: who may include whom, headers that compile
alone, one basename per header, the licence line, the width of lines, the layout of clang-format.

usage: style.py includes|headers|names|licence|width|format SOURCE_ROOT BUILD_ROOT    (prints TAP)
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CODE_FOLDERS = ["common", "partitions", "verity", "locksmith", "updater", "tests"]

# Who may include whom. A folder may always include itself; what is listed last for a path counts
# for everything below it. An entry that ends in .h allows that one header.
ALLOWED = {
    "common": [],
    "partitions": ["common"],
    # What a slot says of itself, held against what is there: slotctl and the updater use it.
    "partitions/slot-verify.c": ["common", "partitions", "verity"],
    "partitions/slot-verify.h": ["common", "partitions", "verity"],
    "verity": ["common"],
    "locksmith": ["common"],  # locksmith-bus.h: the daemon's names on the bus
    "locksmith/window": ["common"],
    "locksmith/lock": ["common"],
    "locksmith/lock/etcd": ["common", "locksmith/lock/lock-store.h",
                            "locksmith/lock/lock-options.h", "locksmith/lock/lock-key.h",
                            "locksmith/lock/tls-files.h"],
    "locksmith/lock/semaphore": ["common", "locksmith/lock/lock-backend.h",
                                 "locksmith/lock/lock-store.h", "locksmith/lock/lock-name.h",
                                 "locksmith/lock/reboot-lock.h"],
    "locksmith/lock/fleet-lock": ["common", "locksmith/lock/lock-backend.h",
                                  "locksmith/lock/lock-options.h"],
    "locksmith/conditions": ["common"],
    "locksmith/conditions/logind": ["common"],
    "locksmith/config": ["common", "locksmith/window", "locksmith/lock/lock-options.h",
                         "locksmith/lock/lock-name.h"],
    # Of the lock its face alone: reboot-lock.h and what it is told with.
    "locksmith/daemon": ["common", "locksmith/config", "locksmith/window",
                         "locksmith/lock/reboot-lock.h", "locksmith/lock/lock-options.h",
                         "locksmith/lock/lock-name.h", "locksmith/conditions",
                         "locksmith/locksmith-bus.h",
                         "updater/engine/bus-names.h"],
    "locksmith/daemon/plan": ["common", "locksmith/window", "locksmith/conditions/approval.h",
                              "locksmith/conditions/logind/logind.h", "locksmith/locksmith-bus.h"],
    "locksmith/daemon/watch": ["common", "updater/engine/bus-names.h"],
    "locksmith/client": ["common", "locksmith/config", "locksmith/window",
                         "locksmith/lock/reboot-lock.h", "locksmith/lock/lock-options.h",
                         "locksmith/lock/lock-name.h", "locksmith/conditions",
                         "locksmith/locksmith-bus.h", "updater/engine/bus-names.h"],
    "locksmith/locksmithd.c": ["common", "locksmith/daemon"],
    "locksmith/locksmithctl.c": ["common", "locksmith/client"],
    "updater": ["common"],  # update-error: the numbers that all of updater/ shares
    "updater/config": ["common", "updater/update-error.h"],
    "updater/omaha": ["common", "updater/update-error.h"],
    "updater/payload": ["common", "verity", "updater/update-error.h"],
    "updater/image": ["common", "verity", "partitions/slot-trailer.h", "partitions/boot-request.h",
                      "updater/payload-writer/output-file.h", "updater/payload-writer/tree-salt.h"],
    "updater/payload-writer": ["common", "verity", "partitions/slot-trailer.h",
                               "partitions/slot-trailer-read.h", "partitions/slot-verify.h",
                               "updater/payload", "updater/update-error.h"],
    "updater/payload-tool": ["common", "verity", "partitions/slot-trailer.h", "updater/payload",
                             "updater/payload-writer", "updater/image", "updater/update-error.h",
                             # estimate plans as the client does
                             "updater/adaptive", "updater/fetch/link-meter.h",
                             "updater/fetch/range-plan.h", "updater/slot/slot-leaves.h"],
    "updater/adaptive": ["common", "verity", "updater/payload", "updater/update-error.h"],
    "updater/fetch": ["common", "updater/update-error.h"],
    "updater/slot": ["common", "partitions", "verity", "updater/payload", "updater/adaptive",
                     "updater/update-error.h"],
    "updater/postinst": ["common", "partitions", "updater/slot/slot-node.h",
                         "updater/update-error.h"],
    "updater/install": ["common", "partitions", "verity", "updater/config", "updater/omaha",
                        "updater/payload", "updater/adaptive", "updater/fetch", "updater/slot",
                        "updater/postinst", "updater/update-error.h"],
    "updater/engine": ["common", "partitions", "verity", "updater/config", "updater/omaha",
                       "updater/payload", "updater/install", "updater/slot",
                       "updater/update-error.h"],
    # What the daemon leaves in its state folder is read without it, too.
    "updater/client": ["common", "partitions", "updater/config", "updater/engine/bus-names.h",
                       "updater/engine/engine-state.h", "updater/engine/history.h",
                       "updater/engine/slot-name.h", "updater/update-error.h"],
    # Of the daemon its names on the bus alone, for it talks to another one, too.
    "updater/old-client": ["common", "updater/engine/bus-names.h"],
    "updater/update-engine.c": ["common", "updater/engine"],
    "updater/update-engine-stub.c": ["common", "updater/config", "updater/omaha",
                                     "updater/engine/system-identity.h"],
    "updater/update-engine-client.c": ["common", "updater/old-client"],
    "updater/flipside.c": ["common", "updater/client"],
    "tests": CODE_FOLDERS,
}

PACKAGES = ["libcurl", "libxml-2.0", "libcrypto", "blkid", "libsystemd", "libprotobuf-c", "jansson",
            "liblzma", "libzstd", "check", "libmicrohttpd"]


class Tap:
    def __init__(self):
        self.n_run = 0
        self.n_failed = 0

    def result(self, name, complaints):
        self.n_run += 1
        self.n_failed += bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {self.n_run} - {name}")
        for line in complaints:
            print(f"# {line}")

    def finish(self):
        print(f"1..{self.n_run}")
        return 1 if self.n_failed or self.n_run == 0 else 0


def sources(root, *suffixes):
    for folder in CODE_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path


def allowed_for(path):
    """The rule of the file itself or of the deepest folder that has one, and whose it is."""
    for parent in [path, *path.parents]:
        if str(parent) in ALLOWED:
            return str(parent), ALLOWED[str(parent)]
    return None, []


def is_allowed(own, rules, target):
    # What lies in a folder of folders itself may use its neighbours there, but no folder below.
    if own in ("updater", "locksmith") and re.fullmatch(own + "/[^/]+", target):
        return True
    if own not in ("updater", "locksmith") and target.startswith(own + "/"):
        return True
    return any(target == rule or target.startswith(rule + "/") for rule in rules)


def test_includes(tap, root, build):
    pattern = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
    for folder in CODE_FOLDERS:
        complaints = []
        for path in sources(root / ".", ".c", ".h"):
            relative = path.relative_to(root)
            if relative.parts[0] != folder:
                continue
            own, rules = allowed_for(relative)
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = pattern.match(line)
                if not match:
                    continue
                target, where = match[1], f"{relative}:{number}"
                if "/" not in target:
                    complaints.append(f'{where}: "{target}" does not name its folder')
                elif not ((root / target).exists() or list(build.rglob(Path(target).name))):
                    complaints.append(f'{where}: there is no "{target}"')
                elif not is_allowed(own, rules, target):
                    complaints.append(f'{where}: {own}/ must not include "{target}"')
        tap.result(f"direction of includes in {folder}/", complaints)


def compiler_flags(root, build):
    flags = ["-std=gnu17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
             "-D_FILE_OFFSET_BITS=64", '-DFLIPSIDE_VERSION="0"', '-DFLIPSIDE_OS="coreos"',
             '-DFLIPSIDE_OS_UPPER="COREOS"', f"-I{root}", f"-I{build}"]
    flags += {f"-I{header.parent}" for header in build.rglob("*.pb-c.h")}
    for package in PACKAGES:
        found = subprocess.run(["pkg-config", "--cflags", package], capture_output=True, text=True)
        if found.returncode == 0:
            flags += found.stdout.split()
    return flags


def test_headers(tap, root, build):
    compiler = os.environ.get("CC", "cc")
    flags = compiler_flags(root, build)

    def complaints_of(header):
        # Twice: a header must also bear being included again.
        text = f'#include "{header.relative_to(root)}"\n' * 2
        done = subprocess.run([compiler, *flags, "-x", "c", "-"], input=text, capture_output=True,
                              text=True, cwd=root)
        return done.stderr.splitlines()[:10] if done.returncode else []

    headers = list(sources(root, ".h"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for header, complaints in zip(headers, pool.map(complaints_of, headers)):
            tap.result(f"{header.relative_to(root)} compiles alone", complaints)


def test_names(tap, root, build):
    by_name = {}
    for header in sources(root, ".h"):
        by_name.setdefault(header.name, []).append(str(header.relative_to(root)))
    tap.result("no two headers share a basename",
               [" and ".join(paths) for paths in by_name.values() if len(paths) > 1])


def test_licence(tap, root, build):
    line = "SPDX-License-Identifier: Apache-2.0"
    complaints = [f"{path.relative_to(root)}: the first line does not say {line}"
                  for path in sources(root, ".c", ".h")
                  if line not in (path.read_text().splitlines() or [""])[0]]
    tap.result("every C file names its licence in its first line", complaints)


def test_width(tap, root, build):
    # clang-format breaks no comment. A line that is one piece of text in quotes stays as it is.
    quotes = re.compile(r'"(\\.|[^"\\])*"')
    complaints = []
    for path in sources(root, ".c", ".h", ".py"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if len(line) > 100 and not quotes.search(line) and "<?xml" not in line:
                complaints.append(f"{path.relative_to(root)}:{number}: {len(line)} columns")
    tap.result("no line is wider than 100 columns", complaints)


def test_format(tap, root, build):
    # The layout differs a little between releases of clang-format; this one is the judge.
    program = shutil.which("clang-format-14")
    if not program:
        print("1..0 # SKIP clang-format-14 is not installed (other releases lay out differently)")
        return
    complaints = []
    files = list(sources(root, ".c", ".h"))
    for path in files:
        done = subprocess.run([program, "--dry-run", "-Werror", str(path)], capture_output=True,
                              text=True, cwd=root)
        if done.returncode:
            first = done.stderr.splitlines()[:1]
            complaints += [line.replace(f"{root}/", "") for line in first]
    tap.result(f"clang-format-14 would change none of {len(files)} files", complaints)


def main():
    what, root, build = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    tap = Tap()
    {"includes": test_includes, "headers": test_headers, "names": test_names,
     "licence": test_licence, "width": test_width, "format": test_format}[what](tap, root, build)
    return tap.finish() if tap.n_run else 0


sys.exit(main())
