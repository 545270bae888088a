#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""openssl alone judges what update-payload signs: metadata and payload signature, one key and two,
signed at once or in two steps by a key that lives elsewhere."""
import hashlib
import json
import shutil

import payload as book
from lab import main, program, run
from machine_test import MachineTest, create_payload


class Signatures(MachineTest):
    def verdicts(self, path, public_key):
        """How many metadata and payload signatures openssl accepts under this key."""
        content = path.read_bytes()
        layout = book.Layout(content)
        metadata, blobs = content[slice(*layout.metadata)], content[slice(*layout.blobs)]
        return tuple(
            sum(book.openssl_verifies(public_key, signed, signature, self.lab.folder)
                for signature in book.signatures_in(content[slice(*part)]))
            for signed, part in ((metadata, layout.metadata_signature),
                                 (metadata + blobs, layout.payload_signature)))

    def test_openssl_accepts_both_signatures(self):
        self.assertEqual(self.verdicts(self.payload, self.public_key), (1, 1))

    def test_openssl_accepts_neither_under_another_key(self):
        _, other = self.lab.make_key("stranger")
        self.assertEqual(self.verdicts(self.payload, other), (0, 0))

    def test_two_keys(self):
        second, second_public = self.lab.make_key("second")
        path = create_payload(self.lab.folder / "two.payload", self.image_b, self.key, second)
        self.assertEqual(self.verdicts(path, self.public_key), (1, 1))
        self.assertEqual(self.verdicts(path, second_public), (1, 1))
        machine = self.machine()
        for key in machine.keys.iterdir():
            key.unlink()
        machine.trust(second_public)
        machine.start_engine()
        machine.flipside("install", path)
        self.assert_installed(machine)

    def test_the_same_input_gives_the_same_bytes(self):
        again = create_payload(self.lab.folder / "again.payload", self.image_b, self.key)
        self.assertEqual(hashlib.sha256(again.read_bytes()).digest(),
                         hashlib.sha256(self.payload.read_bytes()).digest())

    def test_ed25519(self):
        private, public = self.lab.make_key("edward", "ed25519")
        path = create_payload(self.lab.folder / "edward.payload", self.image_b, private)
        machine = self.machine()
        for key in machine.keys.iterdir():
            key.unlink()
        machine.trust(public)
        machine.start_engine()
        machine.flipside("install", path)
        self.assert_installed(machine)

    def test_two_steps_with_a_key_that_lives_elsewhere(self):
        tool, folder = program("update-payload"), self.lab.folder
        unsigned, signed = folder / "unsigned.payload", folder / "signed.payload"
        run([tool, "create", "--product", "demo", "--version", "2.0.0", "--signature-size", "256",
             "--output", unsigned, f"USR={self.image_b}"])
        run([tool, "sign", "--metadata-digest", folder / "m", "--payload-digest", folder / "p",
             unsigned])
        for name in "mp":  # elsewhere
            run(["openssl", "pkeyutl", "-sign", "-inkey", self.key, "-pkeyopt", "digest:sha256",
                 "-in", folder / name, "-out", folder / f"{name}.signature"])
        run([tool, "sign", "--metadata-signature", folder / "m.signature", "--payload-signature",
             folder / "p.signature", "--output", signed, "--public-key", self.public_key, unsigned])
        self.assertEqual(self.verdicts(signed, self.public_key), (1, 1))
        self.assertEqual(signed.read_bytes(), self.payload.read_bytes())
        machine = self.machine()
        machine.start_engine()
        self.assert_refused(machine, machine.flipside("install", unsigned, check=False))
        machine.flipside("install", signed)
        self.assert_installed(machine)

    def test_show_verify_extract(self):
        tool, image = program("update-payload"), self.lab.folder / "extracted.img"
        self.assertIn("2.0.0", run([tool, "show", self.payload]).stdout)
        self.assertEqual(json.loads(run([tool, "show", "--json", self.payload]).stdout)["version"],
                         "2.0.0")
        run([tool, "verify", "--public-key", self.public_key, "--full", self.payload])
        run([tool, "extract", "--public-key", self.public_key, "-o", image, self.payload])
        self.assertEqual(image.read_bytes()[:self.image_b.stat().st_size],
                         self.image_b.read_bytes())
        _, other = self.lab.make_key("nobody")
        done = run([tool, "verify", "--public-key", other, self.payload], check=False)
        self.assertEqual(done.returncode, 1)

    def test_the_tree_is_the_one_of_veritysetup(self):
        if not shutil.which("veritysetup"):
            self.skipTest("veritysetup is not installed")
        tool, image = program("update-payload"), self.lab.folder / "tree.img"
        run([tool, "extract", "--public-key", self.public_key, "-o", image, self.payload])
        facts = json.loads(run([tool, "show", "--json", self.payload]).stdout)["partitions"][0]
        n_bytes = self.image_b.stat().st_size
        run(["veritysetup", "verify", "--no-superblock", "--data-block-size=4096",
             "--hash-block-size=4096", f"--data-blocks={n_bytes // 4096}",
             f"--hash-offset={n_bytes}", f"--salt={facts['verity']['salt'] or '-'}", image, image,
             facts["verity"]["root_hash"]])


if __name__ == "__main__":
    main()
