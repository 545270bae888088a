# SPDX-License-Identifier: Apache-2.0
"""tests/bench/run with the smallest pair of images: that it comes to its end, and that the table,
the figures and the picture can be read."""
import json
import shutil
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

from lab import BUILD_ROOT, MIB, SOURCE_ROOT, main, run

BARE, WHOLE, ADAPTIVE = ("curl, zstd -d, dd conv=fsync", "ours, whole (nothing in common)",
                         "ours, adaptive")


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [name for name in ("nginx", "zstd", "mkfs.ext4", "debugfs")
                   if not shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")]
        if missing:
            raise unittest.SkipTest(f"not installed: {' '.join(missing)}")
        cls.folder = Path(tempfile.mkdtemp(prefix="flipside-bench-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        done = run([SOURCE_ROOT / "tests/bench/run", "--size", 24, "--fs", "ext4", "--rounds", 1,
                    "--source", "here", "--no-peers", "--no-slow-link", "--no-host", "--no-install",
                    "--build", BUILD_ROOT, "--folder", cls.folder, "--json", cls.folder / "json",
                    "--svg", cls.folder / "svg"])
        cls.said = done.stdout
        cls.figures = json.loads((cls.folder / "json").read_text())
        cls.rows = {row["name"]: row for row in cls.figures["rows"]}

    def test_the_table_has_a_row_for_each_way(self):
        for name in (BARE, WHOLE, ADAPTIVE):
            self.assertRegex(self.said, rf"\n\| {name.replace('(', '.').replace(')', '.')} \| \d")
        self.assertIn("\nGoals\n", self.said)

    def test_the_figures_are_those_of_an_update(self):
        self.assertGreater(self.rows[WHOLE]["fetched_bytes"], MIB)
        self.assertLess(self.rows[ADAPTIVE]["fetched_bytes"], self.rows[WHOLE]["fetched_bytes"])
        for name in (BARE, WHOLE, ADAPTIVE):
            self.assertGreater(self.rows[name]["wall_seconds"], 0)
            self.assertGreater(self.rows[name]["peak_mib"], 0)

    def test_what_was_not_measured_is_named_with_the_reason(self):
        for skipped in self.figures["skipped"]:
            self.assertIn(f"skipped: {skipped['what']}: {skipped['why']}\n", self.said)
        self.assertTrue(self.figures["skipped"])

    def test_the_picture_is_one(self):
        root = xml.etree.ElementTree.parse(self.folder / "svg").getroot()
        self.assertTrue(root.tag.endswith("svg"))
        names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
        for name in (BARE, WHOLE, ADAPTIVE):
            self.assertIn(name, names)


main()
