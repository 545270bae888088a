#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whatever a program without options says is in its manual: the words of every line that the sources
say, refuse with, or give as an error.

usage: messages.py PAGE SOURCE [SOURCE]...        (prints TAP)
"""
import re
import sys
from pathlib import Path

CALL = re.compile(r'\b(?:say|refuse|error_say)\(((?:"(?:\\.|[^"\\])*"|[^";])*)\);')
TEXT = re.compile(r'"((?:\\.|[^"\\])*)"')


def lines_of(source):
    """The format of each line, its pieces put together."""
    for call in CALL.finditer(source):
        text = "".join(TEXT.findall(call[1]))
        if text:
            yield text.replace('\\"', '"').replace("\\\\", "\\")


def words_of(line):
    """What stands between the directives."""
    pieces = (piece.strip(" ;:,.()'") for piece in re.split(r"%[a-z]+", line))
    return [piece for piece in pieces if piece]


def plain(page):
    """The page's text in one line."""
    lines = [re.sub(r"^\.[A-Z]+ ?", "", line) for line in page.splitlines()
             if not line.startswith('.\\"')]
    text = re.sub(r"\\f.|\\&", "", " ".join(lines)).replace("\\-", "-").replace("\\e", "\\")
    return re.sub(r"\s+", " ", text)


def main():
    page = plain(Path(sys.argv[1]).read_text())
    n_run = n_failed = 0
    for path in sys.argv[2:]:
        lines = list(lines_of(Path(path).read_text()))
        missing = [line for line in lines if any(words not in page for words in words_of(line))]
        n_run += 1
        n_failed += bool(missing or not lines)
        name = f"{Path(sys.argv[1]).name} has all {len(lines)} lines of {Path(path).name}"
        print(f"{'not ok' if missing or not lines else 'ok'} {n_run} - {name}")
        for line in missing:
            print(f"# {line}")
    print(f"1..{n_run}")
    return 1 if n_failed or not n_run else 0


sys.exit(main())
