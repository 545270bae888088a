# SPDX-License-Identifier: Apache-2.0
"""README.md's pages, whose commands tests run as they stand there."""
import re

from lab import SOURCE_ROOT


def commands(title):
    """The shell's part of a page, block by block."""
    text = (SOURCE_ROOT / "README.md").read_text()
    page = text[text.index(f"\n## {title}\n"):]
    page = page[:page.index("\n## ", 1)]
    return re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
