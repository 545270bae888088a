#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what a run of `meson test` did, subtest by subtest.

usage: count-results.py TESTLOG.JSON LABEL

Prints the name of each test that failed or was skipped, and last a line "PASSED FAILED SKIPPED".
"""
import json
import re
import sys

TAP_LINE = re.compile(r"^(not )?ok\b\s*(\d*)\s*-?\s*(.*)$")


def subtests(output):
    """The (result, name) of each TAP line, a failed one with the remarks after it; a plan of 0 with
    SKIP counts as one skipped test."""
    found = []
    for line in output.splitlines():
        match = TAP_LINE.match(line)
        if match:
            name, _, directive = match[3].partition(" # ")
            if directive[:4].lower() == "skip":
                found.append(("skipped", f"{name.strip()} ({directive[4:].strip()})"))
            else:
                found.append(("failed" if match[1] else "passed", match[3].strip()))
        elif re.match(r"1\.\.0\s*#\s*skip", line, re.I):
            found.append(("skipped", line.partition("#")[2].strip()[4:].strip()))
        elif line.startswith("#") and found and found[-1][0] == "failed":
            found[-1] = ("failed", f"{found[-1][1]}\n    {line[1:].strip()}")
    return found


def results_of(test):
    found = subtests(test.get("stdout") or "")
    verdict = test["result"]
    if verdict in ("OK", "EXPECTEDFAIL"):
        return found or [("passed", "")]
    if verdict == "SKIP":
        return [r for r in found if r[0] == "skipped"] or [("skipped", "")]
    if not any(result == "failed" for result, _ in found):
        found.append(("failed", verdict.lower()))  # crashed, timed out, or broke off
    return found


def main():
    path, label = sys.argv[1:]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with open(path) as log:
        for line in log:
            test = json.loads(line)
            for result, name in results_of(test):
                counts[result] += 1
                if result != "passed":
                    print(f"{result}: {label}: {test['name'].split(' / ')[-1]}: {name}".rstrip(": "))
    print(counts["passed"], counts["failed"], counts["skipped"])


main()
