#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Payloads of format 1, which CoreOS and Flatcar have: made by update-payload and by a second
writer, installed with the kernel that they bring, refused where they are not what was signed, and
gone on with after cuts and kills."""
import base64
import bz2
import hashlib
import os
import random
import threading

import payload_v1 as book
from lab import MIB, OS_NAME, main, program, run, wait_for
from machine_test import MachineTest
from payload import BLOCK, openssl_verifies, sign

# Omaha's error codes, as updater/update-error.h has them.
OPEN_TARGET, PARTITION_HASH, KERNEL_HASH = 7, 15, 16
NO_SIGNATURE, SIGNATURE, MANIFEST, METADATA_SIGNATURE = 17, 18, 23, 26
SOURCE, OPERATION, OPERATION_HASH, METADATA_SIZE = 20, 28, 29, 32
POLICY_HASH, POLICY_POST = 42, 43
VERSION_REFUSED, DOWNGRADE = 45, 51

OLD_KERNEL = b"the kernel of the running slot"
N_KILLS = 20


class FormatOneTest(MachineTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.image = cls.image_b.read_bytes()
        cls.kernel = random.Random(5).randbytes(3 * MIB + 777)
        cls.kernel_file = cls.lab.folder / "vmlinuz"
        cls.kernel_file.write_bytes(cls.kernel)
        cls.other_key, cls.other_public_key = cls.lab.make_key("other")

    def machine(self, **more):
        machine = super().machine(**more)
        machine.boot = machine.root / f"boot/{OS_NAME}"
        machine.boot.mkdir(parents=True)
        (machine.boot / "vmlinuz-a").write_bytes(OLD_KERNEL)
        return machine

    def started(self, **more):
        machine = self.machine(**more)
        machine.start_engine()
        return machine

    def kernel_procedure(self, **more):
        return book.Procedure(book.KERNEL, self.kernel, **more)

    def write(self, payload, *keys, name="v1.payload"):
        return payload.write(self.lab.folder / name, *(keys or [self.key]))

    def install(self, machine, path, *more, check=True):
        return machine.flipside("install", path, *more, check=check)

    def assert_kernel(self, machine, content=None):
        """The new kernel is in its place, whole, and the running slot's is as it was."""
        self.assertEqual((machine.boot / "vmlinuz-b").read_bytes(), content or self.kernel)
        self.assertEqual((machine.boot / "vmlinuz-a").read_bytes(), OLD_KERNEL)
        self.assertEqual(sorted(p.name for p in machine.boot.iterdir()),
                         ["vmlinuz-a", "vmlinuz-b"])

    def assert_no_kernel(self, machine):
        self.assertFalse((machine.boot / "vmlinuz-b").exists())
        self.assertEqual((machine.boot / "vmlinuz-a").read_bytes(), OLD_KERNEL)

    def refuse(self, path, *codes, machine=None, more=()):
        machine = machine or self.machine()
        if machine.engine is None:
            machine.start_engine()
        line = self.assert_refused(machine, self.install(machine, path, *more, check=False), codes)
        self.assert_no_kernel(machine)
        return line


class Tool(FormatOneTest):
    """What update-payload makes, taken apart without our code."""

    def create(self, *more, keys=None, name="made.payload"):
        path = self.lab.folder / name
        keys = keys or [self.key]
        run([program("update-payload"), "create", "--format", "1", "-o", path,
             *(word for key in keys for word in ("--key", key)), f"USR={self.image_b}", *more])
        return path

    def test_it_holds_the_image_and_the_kernel(self):
        reader = book.Reader(self.create(f"KERNEL={self.kernel_file}"))
        self.assertEqual(reader.major, 1)
        self.assertEqual(reader.partition(), self.image)
        self.assertEqual(reader.info,
                         {1: len(self.image), 2: hashlib.sha256(self.image).digest()})
        procedure, = reader.procedures
        self.assertEqual(dict(procedure)[1], book.KERNEL)
        self.assertEqual(reader.content(v for field, v in procedure if field == 2), self.kernel)

    def test_its_blobs_are_the_second_writers(self):
        """Whoever makes the same payload gets the same bytes, as with delta_generator."""
        made = book.Reader(self.create(f"KERNEL={self.kernel_file}"))
        second = book.Reader(self.write(
            book.Payload(self.image, procedures=[self.kernel_procedure()])))
        self.assertEqual(made.blobs, second.blobs)

    def test_an_operation_for_older_clients_covers_the_signature(self):
        reader = book.Reader(self.create())
        noop, = reader.noop
        self.assertEqual((noop[1], noop[2]), (book.REPLACE, len(reader.blobs)))
        self.assertEqual(noop[3], dict(reader.manifest)[5])

    def test_openssl_verifies_each_entry(self):
        reader = book.Reader(self.create(keys=[self.other_key, self.key]))
        self.assertEqual([entry[1] for entry in reader.signatures], [1, 2])
        for entry, key in zip(reader.signatures, (self.other_public_key, self.public_key)):
            self.assertTrue(openssl_verifies(key, reader.signed, entry[2], self.lab.folder))

    def test_signed_in_two_steps(self):
        folder = self.lab.folder
        run([program("update-payload"), "create", "--format", "1", "-o", folder / "open",
             "--signature-size", "256", f"USR={self.image_b}"])
        run([program("update-payload"), "sign", "--payload-digest", folder / "digest",
             folder / "open"])
        run(["openssl", "pkeyutl", "-sign", "-inkey", self.key, "-pkeyopt", "digest:sha256", "-in",
             folder / "digest", "-out", folder / "signature"])
        run([program("update-payload"), "sign", "--payload-signature", folder / "signature",
             "-o", folder / "closed", "--public-key", self.public_key, folder / "open"])
        self.assertEqual((folder / "closed").read_bytes(), self.create().read_bytes())

    def test_verify_and_extract_read_the_second_writers(self):
        path = self.write(book.Payload(self.image + b"tail",
                                       procedures=[self.kernel_procedure()]))
        out = self.lab.folder / "extracted"
        for name, content in {"USR": self.image + b"tail", "KERNEL": self.kernel}.items():
            run([program("update-payload"), "extract", "--public-key", self.public_key, "-p", name,
                 "-o", out, path])
            self.assertEqual(out.read_bytes(), content)
        done = run([program("update-payload"), "verify", "--public-key", self.public_key, path])
        self.assertIn("is good: format 1", done.stdout)
        done = run([program("update-payload"), "verify", "--public-key", self.other_public_key,
                    path], check=False)
        self.assertEqual(done.returncode, 1)

    def test_what_it_cannot_hold(self):
        for words, more in {
                "leave out their options": ["--product", "demo"],
                "is no number from 1 to 2": ["--format", "3"],
        }.items():
            done = run([program("update-payload"), "create", "--format", "1", "-o",
                        self.lab.folder / "none", "--key", self.key, *more,
                        f"USR={self.image_b}"], check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)
        self.assertFalse((self.lab.folder / "none").exists())


class Installs(FormatOneTest):
    def test_a_file_with_a_kernel(self):
        machine = self.started()
        path = self.write(book.Payload(self.image, procedures=[self.kernel_procedure()]))
        self.install(machine, path, "--to-version", "2.0.0")
        self.assert_installed(machine)
        self.assert_kernel(machine)
        self.assertEqual(machine.status()["new_version"], "2.0.0")

    def test_from_a_server_with_a_kernel(self):
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        server.offer(self.write(book.Payload(self.image, procedures=[self.kernel_procedure()])))
        machine.flipside("update")
        self.assert_installed(machine)
        self.assert_kernel(machine)
        self.assertIn(("14", "1", {}), server.events())

    def test_from_a_url_without_a_version(self):
        machine, server = self.started(), self.server()
        path = self.write(book.Payload(self.image))
        server.files[path.name] = path
        done = self.install(machine, server.files_url + path.name)
        self.assertIn("version unknown is installed", done.stdout)
        self.assert_installed(machine)

    def test_an_image_that_ends_inside_a_block(self):
        machine = self.started()
        image = self.image[:-BLOCK - 77]
        file = self.lab.folder / "short.img"
        file.write_bytes(image)
        self.install(machine, self.write(book.Payload(image)))
        self.assert_installed(machine, file)
        with open(machine.disk, "rb") as disk:
            disk.seek(machine.places["USR-B"]["start"] + len(image))
            self.assertEqual(disk.read(-len(image) % BLOCK), bytes(-len(image) % BLOCK))

    def test_procedures_that_are_not_wanted_or_not_known(self):
        machine = self.started()
        unknown = book.Procedure(7, b"what may come", operations=[
            book.Operation(9, b"of a later format", [(1 << 40, 3)])])
        policy = book.Procedure(book.PCR_POLICY, b"a zip file")
        path = self.write(book.Payload(self.image, procedures=[
            policy, unknown, self.kernel_procedure()]))
        self.install(machine, path)
        self.assert_installed(machine)
        self.assert_kernel(machine)

    def test_signatures_of_any_version_with_any_key(self):
        for versions, trusted in {(1, 2): self.key, (2, 1): self.other_key, (7, 9): self.key,
                                  (None, None): self.other_key}.items():
            with self.subTest(versions=versions):
                machine = self.machine()
                for key in machine.keys.iterdir():
                    key.unlink()
                machine.trust(self.public_key if trusted == self.key else self.other_public_key)
                machine.start_engine()
                self.install(machine, self.write(book.Payload(self.image, versions=versions),
                                                 self.key, self.other_key))
                self.assert_installed(machine)

    def test_a_machine_that_began_as_coreos_keeps_its_folder(self):
        machine = self.machine()
        coreos = machine.root / "boot/coreos"
        coreos.mkdir(exist_ok=True)
        (coreos / "vmlinuz-a").write_bytes(OLD_KERNEL)
        machine.start_engine()
        self.install(machine, self.write(book.Payload(
            self.image, procedures=[self.kernel_procedure()])))
        self.assertEqual((coreos / "vmlinuz-b").read_bytes(), self.kernel)

    def test_no_updates_afterwards(self):
        machine = self.machine()
        machine.configure(SERVER="http://127.0.0.1:9/", GROUP="beta")
        machine.start_engine()
        self.install(machine, self.write(book.Payload(self.image)), "--disable-afterwards")
        self.assert_installed(machine)
        self.assertIn("SERVER=disabled\n", machine.update_conf.read_text())
        self.assertIn("GROUP=beta\n", machine.update_conf.read_text())
        self.assertEqual(machine.flipside("update", check=False).returncode, 5)

    def test_updates_go_on_where_it_failed(self):
        machine = self.machine()
        machine.configure(SERVER="http://127.0.0.1:9/")
        machine.start_engine()
        path = self.write(book.Payload(self.image, sha256=bytes(32)))
        self.refuse(path, PARTITION_HASH, machine=machine, more=["--disable-afterwards"])
        self.assertNotIn("disabled", machine.update_conf.read_text())


class Policies(FormatOneTest):
    """The server that seals secrets by what the next slot will measure."""
    policy = b"PK policy " * 999

    def payload_path(self, **more):
        return self.write(book.Payload(self.image, procedures=[
            self.kernel_procedure(), book.Procedure(book.PCR_POLICY, self.policy, **more)]))

    def told(self, answer=b"", status=200):
        machine, server = self.machine(), self.server()
        server.answer, server.answer_status = answer, status
        machine.configure(SERVER="disabled",
                          PCR_POLICY_SERVER=f"http://127.0.0.1:{server.port}/pcrs")
        machine.start_engine()
        return machine, server

    def test_it_is_sent_before_the_flip_and_kept(self):
        machine, server = self.told()
        bootable = []

        def answer(handler):
            bootable.append(machine.slots()["USR-B"].is_bootable)
            handler.send_response(204)
            handler.end_headers()

        server.answer = answer
        self.install(machine, self.payload_path())
        self.assertEqual(server.requests, [self.policy])
        self.assertEqual(bootable, [False])
        self.assertEqual((machine.state / "pcrs-b.zip").read_bytes(), self.policy)
        self.assert_installed(machine)
        self.assert_kernel(machine)

    def test_trouble_of_the_server_is_waited_out(self):
        machine, server = self.told()

        def answer(handler):
            handler.send_response(503 if len(server.requests) < 3 else 200)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        server.answer = answer
        self.install(machine, self.payload_path())
        self.assertEqual(server.requests, [self.policy] * 3)
        self.assert_installed(machine)

    def test_refused(self):
        machine, server = self.told(status=403)
        line = self.refuse(self.payload_path(), POLICY_POST, machine=machine)
        self.assertIn("403", line)
        self.assertEqual(len(server.requests), 1)
        self.assertFalse((machine.state / "pcrs-b.zip").exists())
        server.answer_status = 200
        self.install(machine, self.payload_path())
        self.assert_installed(machine)

    def test_nobody_is_there(self):
        machine, server = self.told()
        server.close()
        self.refuse(self.payload_path(), POLICY_POST, machine=machine)

    def test_one_that_is_another(self):
        machine, server = self.told()
        self.refuse(self.payload_path(sha256=bytes(32)), POLICY_HASH, machine=machine)
        self.assertEqual(server.requests, [])

    def test_cancelled_while_the_server_thinks(self):
        machine, server = self.told()
        server.answer = lambda handler: server.is_closing.wait(30)
        waiting = threading.Thread(target=self.install, daemon=True,
                                   args=[machine, self.payload_path()], kwargs={"check": False})
        waiting.start()
        self.addCleanup(waiting.join, 30)
        wait_for("the policy to be sent", lambda: server.requests, logs=[machine.log])
        machine.flipside("cancel")
        machine.wait_for_phase("idle")
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        self.assert_no_kernel(machine)


class Deltas(FormatOneTest):
    """Operations that read and write one and the same partition, which begins as what runs."""

    def random_delta(self, source):
        """Operations, and what they make of the running slot, done in Python."""
        content = bytearray(self.image_a.read_bytes())
        n_blocks, operations, n_left = len(content) // BLOCK, [], len(content) // BLOCK
        while n_left > 40 and len(operations) < 60:
            n = source.randrange(1, 40)
            n_left -= n
            src, dst = (self.random_extents(source, n, n_blocks) for _ in range(2))
            old = b"".join(content[b * BLOCK:(b + k) * BLOCK] for b, k in src)
            kind = source.choice([book.MOVE, book.BSDIFF, book.REPLACE])
            if kind == book.MOVE:
                new, operation = old, book.Operation(kind, dst=dst, src=src)
            elif kind == book.BSDIFF:
                new = bytes(b if i % 97 else b ^ 5 for i, b in enumerate(old[::-1]))
                operation = book.Operation(kind, book.bsdiff(old, new), dst, src, len(old),
                                           len(new))
            else:
                new = source.randbytes(n * BLOCK)
                operation = book.Operation(kind, new, dst)
            for b, k in dst:
                content[b * BLOCK:(b + k) * BLOCK], new = new[:k * BLOCK], new[k * BLOCK:]
            operations.append(operation)
        return operations, bytes(content)

    @staticmethod
    def random_extents(source, n, n_blocks):
        """Apart from each other, of n blocks together; often near the start, so that they meet."""
        first = source.randrange(n_blocks // 8 if source.random() < 0.7 else n_blocks - n - 9)
        cut = source.randrange(n)
        return [(first, cut), (first + cut + 5, n - cut)] if cut else [(first, n)]

    def delta(self, seed, **more):
        operations, image = self.random_delta(random.Random(seed))
        old = self.image_a.read_bytes()
        return book.Payload(image, operations=operations, old=old, **more), image

    def test_what_they_make(self):
        for seed in range(8):
            with self.subTest(seed=seed):
                machine = self.started()
                payload, image = self.delta(seed)
                self.install(machine, self.write(payload))
                file = self.lab.folder / "new.img"
                file.write_bytes(image)
                self.assert_installed(machine, file)

    def test_with_a_kernel_over_a_server(self):
        patch = book.Operation(book.BSDIFF, book.bsdiff(OLD_KERNEL, self.kernel),
                               [(0, -(-len(self.kernel) // BLOCK))], [(0, 1)], len(OLD_KERNEL),
                               len(self.kernel))
        payload, image = self.delta(99, procedures=[
            book.Procedure(book.KERNEL, self.kernel, operations=[patch], old=OLD_KERNEL)])
        machine, server = self.machine(), self.server()
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        server.offer(self.write(payload))
        machine.flipside("update")
        file = self.lab.folder / "new.img"
        file.write_bytes(image)
        self.assert_installed(machine, file)
        self.assert_kernel(machine)

    def test_another_version_runs(self):
        """Told before the slot is touched, as update_engine's servers know it."""
        machine = self.started()
        before = machine.slot_sha256("USR-B")
        operations, image = self.random_delta(random.Random(1))
        payload = book.Payload(image, operations=operations, old=image)
        line = self.refuse(self.write(payload), SOURCE, machine=machine)
        self.assertIn("full payload", line)
        self.assertEqual(machine.slot_sha256("USR-B"), before)

    def test_another_kernel_runs(self):
        payload, _ = self.delta(1, procedures=[self.kernel_procedure(
            operations=book.operations_of(self.kernel), old=b"the kernel of another slot ...")])
        line = self.refuse(self.write(payload), SOURCE)
        self.assertIn("its kernel", line)

    def test_what_the_tool_can_do_with_it(self):
        path = self.write(self.delta(1)[0])
        run([program("update-payload"), "verify", "--public-key", self.public_key, path])
        for more in ([], ["--from", self.image_a]):
            done = run([program("update-payload"), "extract", "--public-key", self.public_key,
                        "-p", "USR", "-o", self.lab.folder / "no", *more, path], check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("can only be installed", done.stderr)
            self.assertFalse((self.lab.folder / "no").exists())

    def test_killed_and_begun_anew(self):
        payload, image = self.delta(5)
        machine, server = self.machine(), self.server()
        path = self.write(payload)
        server.offer(path, max_failures=100)
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        server.rate_bytes_per_sec = path.stat().st_size // 2
        machine.start_engine()
        for part in (3, 2):
            wait_for("the moment", lambda: sum(n for _, _, n in server.sent[-1:])
                     > path.stat().st_size // part, logs=[machine.log])
            machine.kill_engine()
            self.assertFalse(machine.slots()["USR-B"].is_bootable)
            if part == 2:
                server.rate_bytes_per_sec = 0
            machine.start_engine()
        machine.wait_for_phase("need-reboot")
        file = self.lab.folder / "new.img"
        file.write_bytes(image)
        self.assert_installed(machine, file)

    def test_a_patch_that_lies(self):
        machine = self.started()
        old = self.image_a.read_bytes()
        patch = bytearray(book.bsdiff(old[:BLOCK], old[:BLOCK]))
        patch[24:32] = (BLOCK * 2).to_bytes(8, "little")
        payload = book.Payload(old, old=old, operations=[
            book.Operation(book.BSDIFF, bytes(patch), [(0, 1)], [(0, 1)], BLOCK, BLOCK)])
        self.refuse(self.write(payload), OPERATION, machine=machine)


class Refusals(FormatOneTest):
    def test_no_key(self):
        machine = self.machine()
        for key in machine.keys.iterdir():
            key.unlink()
        line = self.refuse(self.write(book.Payload(self.image)), SIGNATURE, machine=machine)
        self.assertIn("key", line)

    def test_another_key(self):
        path = self.write(book.Payload(self.image, procedures=[self.kernel_procedure()]),
                          self.other_key)
        self.refuse(path, SIGNATURE)

    def test_no_signature(self):
        self.refuse(self.write(book.Payload(self.image, versions=())), NO_SIGNATURE, SIGNATURE)

    def test_a_kernel_that_is_another(self):
        path = self.write(book.Payload(self.image, procedures=[
            self.kernel_procedure(sha256=bytes(32))]))
        machine = self.machine()
        self.refuse(path, KERNEL_HASH, machine=machine)
        self.assertEqual([p.name for p in machine.boot.iterdir()], ["vmlinuz-a"])

    def test_an_image_that_is_another(self):
        self.refuse(self.write(book.Payload(self.image, sha256=bytes(32))), PARTITION_HASH)

    def test_no_folder_for_kernels(self):
        machine = self.machine()
        (machine.boot / "vmlinuz-a").unlink()
        machine.boot.rmdir()
        machine.start_engine()
        path = self.write(book.Payload(self.image, procedures=[self.kernel_procedure()]))
        line = self.assert_refused(machine, self.install(machine, path, check=False),
                                   [OPEN_TARGET])
        self.assertIn(f"boot/{OS_NAME}", line)

    def test_no_room_for_the_kernel(self):
        """A folder on a file system of 2 MiB; known before a byte of the slot is written."""
        machine = self.machine()
        run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", machine.boot])
        self.addCleanup(run, ["umount", machine.boot])
        (machine.boot / "vmlinuz-a").write_bytes(OLD_KERNEL)
        machine.start_engine()
        before = machine.slot_sha256("USR-B")
        path = self.write(book.Payload(self.image, procedures=[self.kernel_procedure()]))
        line = self.refuse(path, OPEN_TARGET, machine=machine)
        self.assertIn("make room there", line)
        self.assertEqual(machine.slot_sha256("USR-B"), before)

    def test_bits_flipped_anywhere(self):
        payload = book.Payload(self.image, procedures=[self.kernel_procedure()])
        path = self.write(payload)
        content = path.read_bytes()
        ends = [20, *payload.boundaries(path)]
        source = random.Random(3)
        places = [30, ends[1] - 7, ends[-2] + 9, len(content) - 30,
                  *(source.randrange(24, len(content)) for _ in range(8))]
        for at in places:
            with self.subTest(offset=at):
                damaged = bytearray(content)
                damaged[at] ^= 0x10
                bad = self.lab.folder / "damaged.payload"
                bad.write_bytes(damaged)
                self.refuse(bad, NO_SIGNATURE, SIGNATURE, MANIFEST, OPERATION, OPERATION_HASH,
                            METADATA_SIZE, PARTITION_HASH, KERNEL_HASH, 11, 13)

    def test_an_older_version_unless_it_is_meant(self):
        machine = self.machine(version="3.0.0")
        path = self.write(book.Payload(self.image))
        line = self.refuse(path, DOWNGRADE, machine=machine, more=["--to-version", "2.0.0"])
        self.assertIn("--allow-downgrade", line)
        self.install(machine, path, "--to-version", "2.0.0", "--allow-downgrade")
        self.assert_installed(machine)

    def test_a_version_that_is_none(self):
        machine = self.started()
        done = self.install(machine, self.write(book.Payload(self.image)), "--to-version", "a b",
                            check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn("'a b' is not a version", done.stderr)

    def test_format_2_of_another_version(self):
        self.refuse(self.payload, VERSION_REFUSED, more=["--to-version", "2.0.1"])

    def test_more_than_it_has_room_for(self):
        """Nothing is signed yet when this is written: what it can do is bounded."""
        operations = book.operations_of(self.image)
        operations.append(book.Operation(book.REPLACE, bytes(MIB), [(0, MIB // BLOCK)]))
        self.refuse(self.write(book.Payload(self.image, operations=operations)), MANIFEST)


class Offers(FormatOneTest):
    """What an Omaha answer says of the metadata is held first."""

    def offer(self, machine, path, size=None, signature=None):
        server = self.server()
        machine.configure(SERVER=server.omaha_url)
        machine.start_engine()
        server.offer(path)
        n_metadata = book.Reader(path).n_metadata
        more = f'MetadataSize="{size or n_metadata}"'
        if signature:
            more += f' MetadataSignatureRsa="{signature}"'
        server.answer = server.answer.replace(b'event="postinstall"',
                                              f'event="postinstall" {more}'.encode())
        return machine.flipside("update", check=False)

    def signature(self, path, key):
        metadata = path.read_bytes()[:book.Reader(path).n_metadata]
        return base64.b64encode(sign(key, metadata, self.lab.folder / "metadata")).decode()

    def test_right(self):
        machine, path = self.machine(), self.write(book.Payload(self.image))
        done = self.offer(machine, path, signature=self.signature(path, self.key))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_installed(machine)

    def test_another_size(self):
        machine, path = self.machine(), self.write(book.Payload(self.image))
        self.assert_refused(machine, self.offer(machine, path, size=77), [METADATA_SIZE])

    def test_another_signature(self):
        machine, path = self.machine(), self.write(book.Payload(self.image))
        before = machine.slot_sha256("USR-B")
        done = self.offer(machine, path, signature=self.signature(path, self.other_key))
        self.assert_refused(machine, done, [METADATA_SIGNATURE])
        self.assertEqual(machine.slot_sha256("USR-B"), before)


class Resumes(FormatOneTest):
    """Slow enough for a checkpoint after each operation."""
    image_mib = 5

    def serve(self, machine):
        server = self.server()
        machine.configure(SERVER=server.omaha_url, FIRST_CHECK=0)
        payload = book.Payload(self.image, procedures=[self.kernel_procedure()])
        path = self.write(payload)
        server.offer(path, max_failures=100)
        return server, path, payload.boundaries(path)

    def checkpoint(self, machine):
        """Up to which operation it says that all is on the disk."""
        file = machine.state / "checkpoint"
        return int.from_bytes(file.read_bytes()[120:128], "little") if file.exists() else 0

    def stop_behind(self, machine, server, end, n_operations):
        """Sends up to `end` and no further, and kills the daemon when that is safe."""
        def send(handler):
            first = int(handler.headers.get("Range", "bytes=0-")[6:].split("-")[0])
            if first >= end:
                handler.send_error(503)
                return
            server.cut_after = [end - first]
            server._serve(handler)

        server.get = send
        machine.start_engine()
        wait_for(f"a checkpoint behind operation {n_operations}",
                 lambda: self.checkpoint(machine) >= n_operations, logs=[machine.log])
        machine.kill_engine()
        server.get = None

    def test_after_every_operation(self):
        machine = self.machine()
        server, path, ends = self.serve(machine)
        for i, end in enumerate(ends):
            self.stop_behind(machine, server, end, i + 1)
            self.assertFalse(machine.slots()["USR-B"].is_bootable)
            self.assert_no_kernel(machine)
        n_before = len(server.sent)
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        self.assert_kernel(machine)
        # Nothing but the payload signature was left to fetch.
        self.assertEqual([(first, n) for _, first, n in server.sent[n_before:]],
                         [(ends[-1], path.stat().st_size - ends[-1])])

    def test_an_altered_manifest_is_not_taken(self):
        """A mirror that serves the genuine start, cuts, and then another manifest of that size
        and blobs to fit: what was signed is what was read first."""
        machine = self.machine()
        server, path, ends = self.serve(machine)
        self.stop_behind(machine, server, ends[2], 3)
        evil = bytes(reversed(self.image))
        forged = self.write(book.Payload(evil, procedures=[self.kernel_procedure()]),
                            self.other_key, name="forged")
        genuine = path.read_bytes()
        content = forged.read_bytes()
        content = content[:len(genuine)].ljust(len(genuine), b"\0")
        path.write_bytes(content)
        machine.start_engine()
        wait_for("the install to fail", lambda: machine.number("LastErrorCode") != 0,
                 logs=[machine.log])
        self.assertFalse(machine.slots()["USR-B"].is_bootable)
        self.assert_no_kernel(machine)

        # With the metadata gone, the new one is not taken for the old.
        path.write_bytes(genuine)
        machine.stop_engine()
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        self.assert_kernel(machine)

    def test_kept_metadata_that_was_altered(self):
        machine = self.machine()
        server, path, ends = self.serve(machine)
        self.stop_behind(machine, server, ends[2], 3)
        kept = machine.state / "metadata"
        content = bytearray(kept.read_bytes())
        content[-3] ^= 1
        kept.write_bytes(content)
        n_before = len(server.sent)
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assertEqual(server.sent[n_before][1], 0)  # all of it anew
        self.assert_installed(machine)
        self.assert_kernel(machine)

    def test_a_kernel_that_is_gone(self):
        machine = self.machine()
        server, path, ends = self.serve(machine)
        self.stop_behind(machine, server, ends[-2], len(ends) - 1)
        (machine.boot / "vmlinuz-b.new").unlink()
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        self.assert_kernel(machine)


class KilledAnywhere(FormatOneTest):
    """kill -9 at random moments of installs with a kernel. FLIPSIDE_SEED repeats a run."""
    slot_mib = 40
    image_mib = 24

    def test_at_twenty_moments(self):
        seed = os.environ.get("FLIPSIDE_SEED") or str(random.SystemRandom().randrange(1 << 32))
        print(f"# FLIPSIDE_SEED={seed}", flush=True)
        source, phases = random.Random(seed), {}
        server = self.server()
        path = self.write(book.Payload(self.image, procedures=[self.kernel_procedure()]))
        server.files[path.name] = path
        server.rate_bytes_per_sec = path.stat().st_size
        for kill in range(N_KILLS):
            with self.subTest(kill=kill + 1):
                self.one(server.files_url + path.name, source, phases)
        print(f"# killed in {phases}")

    def one(self, url, source, phases):
        machine = self.machine()
        machine.configure(SERVER="disabled", FIRST_CHECK=0)
        machine.start_engine()
        machine.call("com.coreos.update1.Flipside.Install", f"string:{url}")
        goal = source.random() * 1.2
        wait_for("the moment", lambda: machine.progress() >= goal, logs=[machine.log])
        phase = machine.phase()
        phases[phase] = phases.get(phase, 0) + 1
        machine.kill_engine()
        self.check(machine)
        machine.start_engine()
        machine.wait_for_phase("need-reboot")
        self.assert_installed(machine)
        self.assert_kernel(machine)
        machine.kill_engine()

    def check(self, machine):
        """At the moment of the kill: a slot that can boot is whole, and so is its kernel."""
        kernel = machine.boot / "vmlinuz-b"
        if machine.slots()["USR-B"].is_bootable:
            self.assert_holds(machine, "USR-B", self.image_b)
            self.assertTrue(kernel.exists())
        if kernel.exists():
            self.assertEqual(kernel.read_bytes(), self.kernel)


if __name__ == "__main__":
    main()
