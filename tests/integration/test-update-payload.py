#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""update-payload as a release engineer runs it: payloads are made, signed in two steps, shown,
verified and unpacked; openssl alone verifies both signatures, and veritysetup the slot."""
import hashlib
import json
import os
import random
import unittest

from lab import MIB, Lab, main, program, run

BLOCK = 4096


def update_payload(*args, check=True, **more):
    return run([program("update-payload"), *args], check=check, **more)


def show(payload):
    return json.loads(update_payload("show", "--json", payload).stdout)


def signatures(blob):
    """The entries of a Signatures message, read without our code: 0A len { 12 len data }."""
    def varint(at):
        value = shift = 0
        while True:
            value |= (blob[at] & 0x7f) << shift
            shift += 7
            at += 1
            if not blob[at - 1] & 0x80:
                return value, at
    entries, at = [], 0
    while at < len(blob):
        assert blob[at] == 0x0a
        _, at = varint(at + 1)
        assert blob[at] == 0x12
        n, at = varint(at + 1)
        entries.append(blob[at:at + n])
        at += n
    return entries


class UpdatePayload(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.rsa = cls.lab.make_key("rsa", "rsa")
        cls.ed25519 = cls.lab.make_key("ed25519", "ed25519")
        cls.stranger = cls.lab.make_key("stranger", "ed25519")
        cls.image = cls.lab.make_image("image", 9, 1)
        cls.payload = cls.path("payload")
        cls.create(cls.payload, f"usr={cls.image}")

    @classmethod
    def path(cls, name):
        return cls.lab.folder / name

    @classmethod
    def create(cls, out, *args, keys=None, check=True):
        keys = keys if keys is not None else ["--key", cls.rsa[0], "--key", cls.ed25519[0]]
        return update_payload("create", "--product", "demo", "--version", "1.2", "-o", out, *keys,
                              *args, check=check)

    def refused(self, words, *args, code=1):
        done = update_payload(*args, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(words, done.stderr)

    def verify_args(self):
        return ["--public-key", self.rsa[1]]

    def test_openssl_alone_verifies(self):
        facts = show(self.payload)
        whole = self.payload.read_bytes()
        n_metadata = facts["metadata_signed_bytes"]
        metadata, payload = facts["metadata_signature"], facts["payload_signature"]
        data_end = payload["offset_bytes"]
        self.assertEqual(whole[:4], b"CrAU")
        self.assertEqual(data_end + payload["size_bytes"], len(whole))
        parts = {
            "metadata": (whole[:n_metadata],
                         whole[n_metadata:n_metadata + metadata["size_bytes"]]),
            "payload": (whole[:n_metadata] + whole[facts["data_offset_bytes"]:data_end],
                        whole[data_end:]),
        }
        for name, (signed, blob) in parts.items():
            with self.subTest(name):
                by_rsa, by_ed25519 = signatures(blob)
                self.path("signed").write_bytes(signed)
                self.path("signature").write_bytes(by_rsa)
                run(["openssl", "dgst", "-sha256", "-verify", self.rsa[1], "-signature",
                     self.path("signature"), self.path("signed")])
                run(["openssl", "dgst", "-sha256", "-binary", "-out", self.path("digest"),
                     self.path("signed")])
                self.path("signature").write_bytes(by_ed25519)
                run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.ed25519[1], "-rawin",
                     "-in", self.path("digest"), "-sigfile", self.path("signature")])

    def test_signing_elsewhere(self):
        """Digests out, openssl signs, signatures in: the same bytes as with the keys at hand."""
        unsigned = self.path("unsigned")
        self.create(unsigned, f"usr={self.image}",
                    keys=["--signature-size", "256", "--signature-size", "64"])
        self.refused("still empty", "verify", *self.verify_args(), unsigned)
        self.assertIn("not signed yet", update_payload("show", unsigned).stdout)
        digests = {part: self.path(f"{part}.digest") for part in ("metadata", "payload")}
        update_payload("sign", "--metadata-digest", digests["metadata"], "--payload-digest",
                       digests["payload"], unsigned)
        for part, digest in digests.items():
            self.assertEqual(digest.stat().st_size, 32)
            self.assertEqual(digest.stat().st_mode & 0o022, 0, "others choose what is signed")
            run(["openssl", "pkeyutl", "-sign", "-inkey", self.rsa[0], "-pkeyopt", "digest:sha256",
                 "-in", digest, "-out", self.path(f"{part}.rsa")])
            run(["openssl", "pkeyutl", "-sign", "-inkey", self.ed25519[0], "-rawin", "-in", digest,
                 "-out", self.path(f"{part}.ed25519")])

        def sign(kind, source, out, *keys, part="payload"):
            return ["sign", "--metadata-signature", self.path(f"metadata.{kind}"),
                    "--payload-signature", self.path(f"{part}.{kind}"), "-o", out, *keys, source]
        half, signed = self.path("half"), self.path("signed-later")
        update_payload(*sign("rsa", unsigned, half))
        update_payload("verify", "--public-key", self.rsa[1], half)
        self.refused("none of the 1 installed keys", "verify", "--public-key", self.ed25519[1],
                     half)
        self.refused("payload signature verifies with none", *sign(
            "ed25519", half, self.path("x"), "--public-key", self.ed25519[1], part="metadata"))
        self.assertFalse(self.path("x").exists())
        update_payload(*sign("ed25519", half, signed, "--public-key", self.ed25519[1]))
        self.assertEqual(signed.read_bytes(), self.payload.read_bytes())
        self.refused("no room left", *sign("rsa", signed, self.path("x")))
        self.path("metadata.odd").write_bytes(b"x" * 100)
        self.path("payload.odd").write_bytes(b"x" * 100)
        self.refused("--signature-size 100", *sign("odd", unsigned, self.path("x")))

    def test_frames_of_each_size(self):
        """Larger frames make a smaller payload of what can be compressed, and the same slot."""
        source = random.Random(6)
        words = [source.randbytes(source.randrange(4, 12)) for _ in range(3000)]
        text = b" ".join(source.choices(words, k=300000))
        self.path("text").write_bytes(text)
        n_before, slots = None, set()
        for name in ("4K", "8K", "16384", "32K", "65536", "128K", "256K"):
            with self.subTest(name):
                payload, slot = self.path(f"frames-{name}"), self.path("frames.slot")
                self.create(payload, "--frame-size", name, f"usr={self.path('text')}")
                n_bytes = int(name.rstrip("K")) * (1024 if name.endswith("K") else 1)
                self.assertEqual(show(payload)["frame_size_bytes"], n_bytes)
                self.assertIn(f"of {n_bytes} bytes", update_payload("show", payload).stdout)
                update_payload("verify", *self.verify_args(), "--full", payload)
                update_payload("extract", *self.verify_args(), "-o", slot, payload)
                slots.add(hashlib.sha256(slot.read_bytes()).digest())
                self.assertEqual(slot.read_bytes()[:len(text)], text)
                n_data = show(payload)["partitions"][0]["data_bytes"]
                self.assertLess(n_data, n_before or len(text))
                n_before = n_data
        self.assertEqual(len(slots), 1)
        self.assertEqual(show(self.payload)["frame_size_bytes"], 16384)

    def test_frames_that_refer_back(self):
        """The further, the smaller a payload of what comes again, and the same slot."""
        source = random.Random(7)
        part = source.randbytes(50000)
        content = b"".join(part[:source.randrange(20000, 50000)] for _ in range(40))
        self.path("again").write_bytes(content)
        sizes, slots = [], set()
        for name, n_bytes in (("0", 0), ("32K", 32768), ("65536", 65536), ("128K", 131072),
                              (None, 131072)):
            with self.subTest(name):
                payload, slot = self.path(f"prefix-{name}"), self.path("prefix.slot")
                self.create(payload, *(["--frame-prefix", name] if name else []),
                            f"usr={self.path('again')}")
                shown = show(payload)
                self.assertEqual(shown["frame_prefix_bytes"], n_bytes)
                kinds = set(shown["partitions"][0]["operations"])
                self.assertEqual("REPLACE_ZSTD_PREFIX" in kinds, n_bytes > 0)
                self.assertEqual(f"to {n_bytes} before" in update_payload("show", payload).stdout,
                                 n_bytes > 0)
                update_payload("verify", *self.verify_args(), "--full", payload)
                update_payload("extract", *self.verify_args(), "-o", slot, payload)
                slots.add(hashlib.sha256(slot.read_bytes()).digest())
                self.assertEqual(slot.read_bytes()[:len(content)], content)
                n_data = shown["partitions"][0]["data_bytes"]
                sizes.append(n_data)
        self.assertEqual(len(slots), 1)
        self.assertLess(sizes[1], sizes[0] * 1.01)  # it comes again further away, mostly
        self.assertLess(sizes[2], sizes[0] * 0.8)
        self.assertLessEqual(sizes[3], sizes[2])
        self.assertEqual(sizes[4], sizes[3])

    def test_prefixes_of_no_size_that_is_made(self):
        for name in ("1", "4095", "4097", "2K", "130K", "132K", "1M", "-4K", "4k", "K", "", "00",
                     "99999999999999999999"):
            done = self.create(self.path("x"), "--frame-prefix", name, f"usr={self.image}",
                               check=False)
            self.assertEqual(done.returncode, 2, name)
            self.assertIn("--frame-prefix", done.stderr)
            self.assertFalse(self.path("x").exists())

    def test_frames_of_no_size_that_is_made(self):
        for name in ("0", "1", "4095", "4097", "12K", "2K", "512K", "1M", "4G", "-16K", "16k", "K",
                     "", "16KiB", "18014398509481984K", "99999999999999999999"):
            done = self.create(self.path("x"), "--frame-size", name, f"usr={self.image}",
                               check=False)
            self.assertEqual(done.returncode, 2, name)
            self.assertIn("--frame-size", done.stderr)
            self.assertFalse(self.path("x").exists())

    def test_frames_belong_to_format_2(self):
        for option in (("--frame-size", "16K"), ("--frame-prefix", "128K"),
                       ("--frame-prefix", "0")):
            self.refused("leave out their options", "create", "--format", "1", *option,
                         "--key", self.rsa[0], "-o", self.path("x"), f"USR={self.image}", code=2)

    def test_the_slot_is_what_veritysetup_accepts(self):
        for name, n_bytes in (("whole", 9 * MIB), ("odd", 5 * MIB + 777), ("small", 1)):
            with self.subTest(name):
                image = self.path(f"{name}.image")
                image.write_bytes(self.image.read_bytes()[:n_bytes])
                payload, slot = self.path(f"{name}.payload"), self.path(f"{name}.slot")
                made = self.create(payload, f"usr={image}")
                self.assertEqual("zeros were added" in made.stderr, n_bytes % BLOCK != 0)
                update_payload("verify", "--full", *self.verify_args(), payload)
                update_payload("extract", *self.verify_args(), "-o", slot, payload)
                facts = show(payload)["partitions"][0]
                self.assertEqual(hashlib.sha256(slot.read_bytes()).hexdigest(), facts["sha256"])
                self.assertEqual(slot.stat().st_size, facts["size_bytes"])
                verity = facts["verity"]
                if verity["tree_blocks"]:
                    run(["veritysetup", "verify", "--no-superblock", "--salt", verity["salt"],
                         "--hash", "sha256", "--data-block-size", str(BLOCK), "--hash-block-size",
                         str(BLOCK), "--data-blocks", str(verity["data_blocks"]), "--hash-offset",
                         str(verity["tree_start_block"] * BLOCK), slot, slot, verity["root_hash"]])

    def test_several_partitions(self):
        payload, slot = self.path("two"), self.path("two.slot")
        second = self.lab.make_image("second", 2, 7)
        self.create(payload, f"usr={self.image}", f"boot={second}", "--min-version", "1.0",
                    "--no-verity")
        facts = show(payload)
        self.assertEqual([p["name"] for p in facts["partitions"]], ["usr", "boot"])
        self.assertEqual(facts["min_version"], "1.0")
        text = update_payload("show", payload).stdout
        for words in ("demo", "1.2", "partition boot", facts["partitions"][1]["sha256"]):
            self.assertIn(words, text)
        update_payload("verify", "--full", *self.verify_args(), payload)
        self.refused("which partition", "extract", *self.verify_args(), "-o", slot, payload)
        self.refused("it has usr, boot", "extract", *self.verify_args(), "-p", "efi", "-o", slot,
                     payload)
        update_payload("extract", *self.verify_args(), "-p", "boot", "-o", slot, payload)
        self.assertEqual(slot.read_bytes(), second.read_bytes())

    def test_keys(self):
        keys = self.path("keys")
        keys.mkdir()
        self.refused("no key is installed", "verify", "--key-dir", keys, self.payload)
        (keys / "stranger.pem").write_bytes(self.stranger[1].read_bytes())
        self.refused("none of the 1 installed keys", "verify", "--key-dir", keys, self.payload)
        self.refused("none of the 1 installed keys", "extract", "--key-dir", keys, "-o",
                     self.path("x"), self.payload)
        self.assertFalse(self.path("x").exists())
        (keys / "ours.pem").write_bytes(self.ed25519[1].read_bytes())
        update_payload("verify", "--key-dir", keys, self.payload)
        (keys / "damaged.pem").write_bytes(self.rsa[1].read_bytes()[:200])
        self.refused("damaged.pem", "verify", "--key-dir", keys, self.payload)
        self.refused("no private key", "create", "--product", "p", "--version", "1", "--key",
                     self.rsa[1], "-o", self.path("x"), f"usr={self.image}")

    def test_damage(self):
        """A payload cut at any place, and a bit flipped in each of its parts."""
        facts = show(self.payload)
        whole = bytearray(self.payload.read_bytes())
        damaged = self.path("damaged")
        n_metadata, data = facts["metadata_signed_bytes"], facts["data_offset_bytes"]
        end = facts["payload_signature"]["offset_bytes"]
        for n in (0, 3, 23, 24, 100, n_metadata, data - 1, data, data + MIB, end, len(whole) - 1):
            with self.subTest(cut=n):
                damaged.write_bytes(whole[:n])
                self.refused("update-payload: the payload is cut", "verify", *self.verify_args(),
                             damaged)
        damaged.write_bytes(whole + b"x")
        self.refused("1 bytes behind its end", "verify", *self.verify_args(), damaged)
        for at in (0, 5, 13, 21, 24, n_metadata // 2, n_metadata - 1, n_metadata + 20, data,
                   (data + end) // 2, end - 1, end + 20):
            with self.subTest(flipped=at):
                whole[at] ^= 4
                damaged.write_bytes(whole)
                whole[at] ^= 4
                self.refused("payload", "verify", *self.verify_args(), damaged)
                self.refused("payload", "extract", *self.verify_args(), "-o", self.path("x"),
                             damaged)
                self.assertFalse(self.path("x").exists())

    def test_command_line(self):
        for args in ([], ["frobnicate"], ["verify"], ["verify", self.payload], ["show"],
                     ["show", "--yaml", self.payload], ["extract", *self.verify_args(),
                                                        self.payload],
                     ["sign", self.payload], ["sign", "--metadata-digest", "x", self.payload],
                     ["create", "-o", "x", "usr=x"],
                     ["create", "--product", "p", "--version", "1", "-o", "x", "usr=x"],
                     ["create", "--product", "p", "--version", "1", "--key", "k", "-o", "x"],
                     ["create", "--product", "p", "--version", "1", "--key", "k", "-o", "x", "x"],
                     ["create", "--level", "0", "-o", "x"], ["create", "--threads", "-1"],
                     ["create", "--salt", "xyz"], ["create", "--signature-size", "513"]):
            with self.subTest(args=args):
                self.refused("update-payload", *args, code=2)
        text = update_payload("--help").stdout
        for words in ("create", "sign", "show", "verify", "extract", "Exit codes"):
            self.assertIn(words, text)
        self.refused("cannot be opened", "show", self.path("none"))
        self.refused("not a payload", "show", self.image)

    def test_a_full_disk_leaves_nothing(self):
        out = self.path("full")
        done = run(["bash", "-c", 'ulimit -f 1024; trap "" XFSZ; exec "$@"', "-",
                    program("update-payload"), "create", "--product", "p", "--version", "1",
                    "--key", self.ed25519[0], "-o", out, f"usr={self.image}"], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("File too large", done.stderr)
        self.assertEqual([f for f in os.listdir(self.lab.folder) if "full" in f], [])


if __name__ == "__main__":
    main()
