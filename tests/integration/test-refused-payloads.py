#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Payloads that must not be installed. Each is refused in one line and with its code; the running
slot keeps every byte, and the target cannot boot."""
import hashlib

import payload as book
from lab import MIB, main
from machine_test import MachineTest, create_payload

# Omaha's error codes, as updater/update-error.h has them.
GENERIC, OPEN_TARGET, TRANSFER, PAYLOAD_SIZE, NO_INFO, PARTITION_HASH = 1, 7, 9, 11, 13, 15
NO_SIGNATURE, SIGNATURE, MAGIC, MANIFEST, METADATA_SIGNATURE = 17, 18, 21, 23, 26
OPERATION, OPERATION_HASH, METADATA_SIZE = 28, 29, 32
OTHER_PRODUCT, DOWNGRADE = 45, 51


class RefusedPayloads(MachineTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.content = cls.payload.read_bytes()
        cls.layout = book.Layout(cls.content)
        cls.image = cls.image_b.read_bytes()

    def install(self, machine, path):
        return machine.flipside("install", path, check=False)

    def refuse(self, content, *codes, machine=None):
        """content: bytes of a payload file, or the path of one."""
        machine = machine or self.machine()
        if isinstance(content, bytes):
            path = machine.folder / "bad.payload"
            path.write_bytes(content)
        else:
            path = content
        if machine.engine is None:
            machine.start_engine()
        return self.assert_refused(machine, self.install(machine, path), codes)

    def hostile(self, **more):
        """A payload by the second writer, and the path to write it to."""
        return book.Payload(self.image, **more).write(self.lab.folder / "hostile.payload", self.key)

    # The second writer itself: what it makes when it is told nothing bad is taken.

    def test_a_payload_of_the_second_writer_is_installed(self):
        machine = self.machine()
        machine.start_engine()
        machine.flipside("install", self.hostile())
        self.assert_installed(machine)

    # Cut, and flipped bits.

    def test_cut_anywhere(self):
        machine = self.machine()
        layout = self.layout
        cuts = {0, 1, 23, 24, layout.manifest[1] - 1, layout.manifest[1],
                layout.metadata_signature[1] - 1, layout.metadata_signature[1],
                layout.blobs[0] + 1, sum(layout.blobs) // 2, layout.blobs[1] - 1,
                layout.payload_signature[0], layout.payload_signature[1] - 1}
        for cut in sorted(cuts):
            with self.subTest(cut=cut):
                self.refuse(self.content[:cut], TRANSFER, PAYLOAD_SIZE, MAGIC, NO_SIGNATURE,
                            SIGNATURE, machine=machine)

    def flip(self, at):
        content = bytearray(self.content)
        content[at] ^= 0x10
        return bytes(content)

    def flips_in(self, part, *codes):
        first, end = part
        for at in sorted({first, first + (end - first) // 3, (first + end) // 2, end - 1}):
            with self.subTest(offset=at):
                # On a new machine: what an attempt before has proven would not be read again.
                self.refuse(self.flip(at), *codes)

    def test_bits_flipped_in_the_header(self):
        machine = self.machine()
        for at, codes in {0: [MAGIC], 11: [OTHER_PRODUCT], 13: [METADATA_SIZE],
                          17: [METADATA_SIZE, METADATA_SIGNATURE, TRANSFER, PAYLOAD_SIZE],
                          22: [METADATA_SIZE, METADATA_SIGNATURE]}.items():
            with self.subTest(offset=at):
                self.refuse(self.flip(at), *codes, machine=machine)

    def test_bits_flipped_in_the_manifest(self):
        self.flips_in(self.layout.manifest, METADATA_SIGNATURE)

    def test_bits_flipped_in_the_metadata_signature(self):
        machine = self.machine()
        first = self.content.index(next(book.signatures_in(
            self.content[slice(*self.layout.metadata_signature)])))
        for at in (first, first + 100, first + 255):
            with self.subTest(offset=at):
                self.refuse(self.flip(at), METADATA_SIGNATURE, machine=machine)

    def test_bits_flipped_in_the_blobs(self):
        self.flips_in(self.layout.blobs, OPERATION_HASH)

    def test_bits_flipped_in_the_payload_signature(self):
        machine = self.machine()
        first = self.layout.payload_signature[0] + 20
        for at in (first, first + 200):
            with self.subTest(offset=at):
                self.refuse(self.flip(at), SIGNATURE, machine=machine)

    # Who signed it, and for what.

    def test_signed_with_another_key(self):
        other, _ = self.lab.make_key("other")
        path = create_payload(self.lab.folder / "other.payload", self.image_b, other)
        self.refuse(path, METADATA_SIGNATURE)

    def test_no_key_installed(self):
        machine = self.machine()
        for key in machine.keys.iterdir():
            key.unlink()
        line = self.refuse(self.payload, METADATA_SIGNATURE, SIGNATURE, machine=machine)
        self.assertIn("key", line)

    def test_another_product(self):
        path = create_payload(self.lab.folder / "product.payload", self.image_b, self.key,
                              product="toaster")
        self.assertIn("toaster", self.refuse(path, OTHER_PRODUCT))

    def test_older_than_the_running_system(self):
        path = create_payload(self.lab.folder / "old.payload", self.image_b, self.key,
                              version="0.9.0")
        self.refuse(path, DOWNGRADE)

    def test_older_is_installed_where_the_administrator_allows_it(self):
        machine = self.machine()
        machine.configure(SERVER="disabled", ALLOW_DOWNGRADE="yes")
        machine.start_engine()
        machine.flipside("install", create_payload(
            self.lab.folder / "allowed.payload", self.image_b, self.key, version="0.9.0"))
        self.assert_installed(machine)

    def test_running_system_older_than_the_payload_demands(self):
        path = create_payload(self.lab.folder / "min.payload", self.image_b, self.key,
                              version="3.0.0", min_version="2.0.0")
        self.assertIn("2.0.0", self.refuse(path, DOWNGRADE))

    # Right signatures over wrong contents: a release engineer's broken tool, or a stolen key.

    def test_manifest_length_of_2_to_the_63(self):
        payload = book.Payload(self.image)
        payload.n_manifest_bytes = 1 << 63
        self.refuse(payload.write(self.lab.folder / "hostile.payload", self.key), METADATA_SIZE)

    def test_another_major_version(self):
        payload = book.Payload(self.image)
        payload.major = 3
        self.refuse(payload.write(self.lab.folder / "hostile.payload", self.key), OTHER_PRODUCT)

    def operations_with(self, last):
        return book.operations_of(self.image)[:-1] + [last]

    def test_extents_outside_the_partition(self):
        block = self.image[-MIB:]
        n_blocks = len(self.image) // book.BLOCK
        for start in (n_blocks - 255, n_blocks, 1 << 40, (1 << 52) - 256, (1 << 64) - 257):
            with self.subTest(start=start):
                self.refuse(self.hostile(operations=self.operations_with(
                    book.Operation(block, 0, extents=[(start, 256)]))), MANIFEST)

    def test_extents_that_overlap(self):
        block = self.image[-MIB:]
        n_blocks = len(self.image) // book.BLOCK
        for extents in ([(n_blocks - 512, 256)], [(n_blocks - 256, 200), (n_blocks - 100, 56)]):
            with self.subTest(extents=extents):
                self.refuse(self.hostile(operations=self.operations_with(
                    book.Operation(block, 0, extents=extents))), MANIFEST)

    def test_blocks_that_nothing_writes(self):
        self.refuse(self.hostile(operations=book.operations_of(self.image)[:-1]), MANIFEST,
                    PARTITION_HASH)

    def test_an_operation_that_yields_more_than_its_extents(self):
        n_blocks = len(self.image) // book.BLOCK
        long = book.Operation(self.image[-MIB:] + bytes(book.BLOCK), n_blocks - 256,
                              kind=book.REPLACE_BZ, extents=[(n_blocks - 256, 256)])
        self.refuse(self.hostile(operations=self.operations_with(long)), OPERATION)

    def test_an_operation_that_yields_less_than_its_extents(self):
        n_blocks = len(self.image) // book.BLOCK
        short = book.Operation(self.image[-MIB:-book.BLOCK], n_blocks - 256, kind=book.REPLACE_BZ,
                               extents=[(n_blocks - 256, 256)])
        self.refuse(self.hostile(operations=self.operations_with(short)), OPERATION)

    def test_a_slot_hash_that_is_not_the_content_s(self):
        self.refuse(self.hostile(sha256=hashlib.sha256(b"other").digest()), PARTITION_HASH)

    def test_larger_than_the_slot(self):
        image = self.lab.make_image("large.img", self.slot_mib + 1, seed=3)
        path = create_payload(self.lab.folder / "large.payload", image, self.key)
        line = self.refuse(path, MANIFEST)
        self.assertRegex(line, "slot|USR-B")

    # Wrong files.

    def test_no_payload_at_all(self):
        machine = self.machine()
        self.refuse(bytes(1 << 16), MAGIC, machine=machine)
        self.refuse(b"<html>not found</html>" * 100, MAGIC, machine=machine)

    def test_a_file_that_is_not_there(self):
        machine = self.machine()
        machine.start_engine()
        self.assert_refused(machine, self.install(machine, machine.folder / "missing"))

    def test_a_refused_payload_does_not_hinder_the_next(self):
        machine = self.machine()
        self.refuse(self.flip(sum(self.layout.blobs) // 2), OPERATION_HASH, machine=machine)
        machine.flipside("install", self.payload)
        self.assert_installed(machine)


if __name__ == "__main__":
    main()
