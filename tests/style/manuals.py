#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each program's manual page and its --help say the same: every option, verb and exit code of one is
in the other. And every program names itself, without its folder, when it is used wrongly.

usage: manuals.py PROGRAM PAGE [PROGRAM PAGE]...        (prints TAP)
"""
import re
import subprocess
import sys
from pathlib import Path

OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]+|-[a-z][a-z_]+|-[a-zA-Z])(?![\w-])")


def plain(page):
    """The page's text without roff's requests and escapes, and without its examples."""
    text = re.sub(r"^\.nf\n.*?^\.fi\n", "", page, flags=re.S | re.M)
    lines = []
    for line in text.splitlines():
        if line.startswith('.\\"'):
            continue
        line = re.sub(r"^\.[A-Z]+ ?", "", line)
        lines.append(re.sub(r"\\f.|\"", "", line).replace("\\-", "-"))
    return "\n".join(lines)


def options_of(text):
    return set(OPTION.findall(text))


def help_options(text):
    """Without the lines that show how another program is called."""
    return options_of("\n".join(line for line in text.splitlines() if "openssl" not in line))


def help_verbs(text):
    return set(re.findall(r"^  ([a-z][a-z-]+) +\S", text, flags=re.M))


def help_codes(text):
    sentence = text[text.index("Exit codes:"):]
    return set(re.findall(r"(?:Exit codes:|;)\s+(\d+) ", sentence))


def page_codes(page):
    section = page[page.index(".SH EXIT STATUS"):]
    return set(re.findall(r"^\.TP\n(\d+)$", section.split("\n.SH ", 1)[0], flags=re.M))


def differences(what, in_help, in_page):
    return ([f"{what} {item} is missing in the page" for item in sorted(in_help - in_page)] +
            [f"{what} {item} is missing in --help" for item in sorted(in_page - in_help)])


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def compare(program, page):
    help_run = run(program, "--help")
    complaints = [] if help_run.returncode == 0 else [f"--help ends with {help_run.returncode}"]
    if run(program, "-h").stdout != help_run.stdout:
        complaints.append("-h is not --help")
    text = plain(page)
    complaints += differences("option", help_options(help_run.stdout), options_of(text))
    complaints += differences("exit code", help_codes(help_run.stdout), page_codes(page))
    words = set(re.findall(r"[a-z][a-z-]+", text.lower()))
    complaints += [f"verb {verb} is missing in the page"
                   for verb in sorted(help_verbs(help_run.stdout) - words)]
    return complaints


def manners(program):
    name = Path(program).name
    complaints = []
    version = run(program, "--version")
    if not re.fullmatch(rf"{name} \d+\.\d+\.\d+\n", version.stdout) or version.returncode != 0:
        complaints.append(f"--version prints {version.stdout!r}")
    wrong = run(program, "--no-such-option")
    if wrong.returncode != 2 or not wrong.stderr.startswith(f"{name}: "):
        complaints.append(f"a wrong option ends with {wrong.returncode}: {wrong.stderr!r}")
    return complaints


def main():
    n_run = n_failed = 0
    pairs = list(zip(sys.argv[1::2], sys.argv[2::2]))
    for program, path in pairs:
        name = Path(program).name
        page = Path(path).read_text()
        for what, complaints in [(f"{name}: --help and manual agree", compare(program, page)),
                                 (f"{name}: --version, wrong options", manners(program))]:
            n_run += 1
            n_failed += bool(complaints)
            print(f"{'not ok' if complaints else 'ok'} {n_run} - {what}")
            for line in complaints:
                print(f"# {line}")
    print(f"1..{n_run}")
    return 1 if n_failed or not pairs else 0


sys.exit(main())
