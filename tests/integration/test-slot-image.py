#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""update-payload image: what it makes is read by other code, proven by veritysetup, slotctl and
sbverify, and becomes a payload; what cannot be made is refused in one line."""
import hashlib
import os
import random
import shutil
import stat
import unittest

import pe_file
from lab import MIB, Lab, main, program, run
from machine import SLOT_TYPE
from slot_image import BLOCK, TRAILER, hash_tree, padded

STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
CMDLINE = "root=PARTLABEL=ROOT ro quiet"
FIELDS = ("magic", "format", "n_salt", "fs_bytes", "tree_offset", "tree_bytes", "uki_offset",
          "uki_bytes", "salt", "root_hash", "uki_sha256", "product", "version")

# A ukify that does what it is told with objcopy, or what WRONG says.
UKIFY = """#!/bin/bash
set -eu
printf '%s\\n' "$@" >"$LOG"
[[ ${WRONG-} != failure ]] || { echo "first words" >&2; echo "it is Monday" >&2; exit 3; }
for word in "$@"; do
    case $word in
    --stub=*) stub=${word#*=} ;;
    --linux=*) linux=${word#*=} ;;
    --cmdline=@*) cmdline=${word#*@} ;;
    --output=*) output=${word#*=} ;;
    esac
done
[[ ${WRONG-} != words ]] || { echo -n another >"$LOG.cmdline"; cmdline=$LOG.cmdline; }
[[ ${WRONG-} != garbage ]] || { echo garbage >"$output"; exit 0; }
objcopy --add-section .cmdline="$cmdline" --change-section-vma .cmdline=0x100000 \\
    --add-section .linux="$linux" --change-section-vma .linux=0x200000 "$stub" "$output"
"""


def read_image(path):
    """The trailer's fields, and the parts."""
    content = path.read_bytes()
    block = content[-BLOCK:]
    fields = dict(zip(FIELDS, TRAILER.unpack(block[:TRAILER.size])))
    assert hashlib.sha256(block[:-32]).digest() == block[-32:], "the trailer's checksum"
    fields["salt"] = fields["salt"][:fields["n_salt"]]
    for name in ("product", "version"):
        fields[name] = fields[name].rstrip(b"\0").decode()

    def part(offset, n_bytes):
        return content[offset:offset + n_bytes]
    return (fields, part(0, fields["fs_bytes"]), part(fields["tree_offset"], fields["tree_bytes"]),
            part(fields["uki_offset"], fields["uki_bytes"]))


@unittest.skipUnless(os.path.exists(STUB), f"{STUB} is not there (tests/install-packages tests)")
class SlotImage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        source = random.Random(1)
        cls.fs = cls.file("fs", source.randbytes(MIB) + bytes(MIB) + source.randbytes(MIB))
        # A stub is a UEFI program like a kernel.
        cls.linux = cls.file("linux", open(STUB, "rb").read() + source.randbytes(100_001))
        cls.initrds = [cls.file("initrd-1", source.randbytes(1001)),
                       cls.file("initrd-2", source.randbytes(5000))]

    @classmethod
    def file(cls, name, content):
        path = cls.lab.folder / name
        path.write_bytes(content)
        return path

    def arguments(self, **changed):
        """name=None leaves one out."""
        options = {"fs": self.fs, "stub": STUB, "linux": self.linux, "cmdline": CMDLINE,
                   "product": "demo", "version": "2.0.0", **changed}
        found = []
        for name, value in options.items():
            if value is not None:
                found += ["--" + name.replace("_", "-"), value]
        return found

    def make(self, out="image", *more, check=True, env=None, **changed):
        path = self.lab.folder / out
        done = run([program("update-payload"), "image", *self.arguments(**changed), *more, "-o",
                    path], check=check, env={**os.environ, **(env or {})})
        return path if check else done

    def refused(self, words, *more, code=1, env=None, **changed):
        (self.lab.folder / "refused").unlink(missing_ok=True)
        done = self.make("refused", *more, check=False, env=env, **changed)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertFalse((self.lab.folder / "refused").exists())
        self.assertEqual(list(self.lab.folder.glob(".refused*")), [])

    def initrd_options(self):
        return [word for path in self.initrds for word in ("--initrd", path)]

    def test_every_part_is_where_the_trailer_says(self):
        image = self.make("image", *self.initrd_options())
        fields, fs, tree, uki = read_image(image)
        self.assertEqual(fs, self.fs.read_bytes())
        expected_tree, root = hash_tree(fs, fields["salt"])
        self.assertEqual(tree, expected_tree)
        self.assertEqual(fields["root_hash"], root)
        self.assertEqual((fields["product"], fields["version"]), ("demo", "2.0.0"))
        self.assertEqual(hashlib.sha256(uki).digest(), fields["uki_sha256"])
        end = fields["uki_offset"] + len(padded(uki))
        self.assertEqual(image.stat().st_size, end + BLOCK)

        parts = pe_file.sections(uki)
        self.assertEqual(parts[".cmdline"].rstrip(b"\0").decode(),
                         f"flipside.usrhash={root.hex()} {CMDLINE}")
        self.assertEqual(parts[".linux"], self.linux.read_bytes())
        first, second = (path.read_bytes() for path in self.initrds)
        self.assertEqual(parts[".initrd"], first + bytes(-len(first) % 4) + second)
        self.assertIn(b'PRETTY_NAME="demo 2.0.0"\n', parts[".osrel"])
        places = pe_file.addresses(uki)
        self.assertEqual(places, sorted(places))
        self.assertTrue(all(end <= start for (_, end), (start, _) in zip(places, places[1:])))

    def test_veritysetup_agrees(self):
        image = self.make()
        fields, fs, _, _ = read_image(image)
        run(["veritysetup", "verify", "--no-superblock", "--hash=sha256", "--salt",
             fields["salt"].hex(), f"--data-blocks={len(fs) // BLOCK}",
             f"--hash-offset={fields['tree_offset']}", image, image, fields["root_hash"].hex()])

    def test_the_same_twice(self):
        first = self.make("first", *self.initrd_options())
        os.utime(self.fs)
        self.assertEqual(first.read_bytes(), self.make("again", *self.initrd_options()).read_bytes())

    def test_without_a_kernel_image(self):
        fields, _, _, uki = read_image(self.make(stub=None, linux=None, cmdline=None))
        self.assertEqual((fields["uki_offset"], uki, fields["uki_sha256"]), (0, b"", bytes(32)))

    def test_a_file_system_that_does_not_end_on_a_block(self):
        odd = self.file("odd", b"x" * 9000)
        done = self.make("odd.img", check=False, fs=odd, stub=None, linux=None, cmdline=None)
        self.assertEqual(done.returncode, 0)
        self.assertIn("3288 zeros were added", done.stderr)
        _, fs, _, _ = read_image(self.lab.folder / "odd.img")
        self.assertEqual(fs, padded(b"x" * 9000))

    def test_salts(self):
        self.assertEqual(read_image(self.make("no-salt", "--no-salt"))[0]["n_salt"], 0)
        self.assertEqual(read_image(self.make("salt", salt="00ff"))[0]["salt"], b"\x00\xff")
        # The one that `create` takes for a partition USR, so that a fleet keeps its own.
        text = b"flipside verity salt\ndemo\nUSR\n"
        self.assertEqual(read_image(self.make())[0]["salt"], hashlib.sha256(text).digest())

    def test_as_large_as_the_slot_it_is_written_to_it_as_it_is(self):
        image = self.make("sized", size="8M")
        self.assertEqual(image.stat().st_size, 8 * MIB)
        self.assertLess(image.stat().st_blocks * 512, 5 * MIB, "zeros are holes")
        disk = self.lab.folder / "disk"
        with open(disk, "wb") as file:
            file.truncate(20 * MIB)
        run(["sgdisk", "--clear", "--new=1:0:+8M", f"--typecode=1:{SLOT_TYPE}",
             "--change-name=1:USR-A", "--attributes=1:set:48", "--attributes=1:set:56", disk])
        run(["dd", f"if={image}", f"of={disk}", "bs=1M", "seek=1", "conv=notrunc", "status=none"])
        said = run([program("slotctl"), "--disk", disk, "verify", "USR-A"]).stdout
        self.assertIn("USR-A holds demo 2.0.0 whole", said)

    def test_a_payload_of_it(self):
        image, payload, out = self.make(), self.lab.folder / "payload", self.lab.folder / "out"
        key, public = self.lab.make_key("release", "ed25519")
        create = [program("update-payload"), "create", "--key", key, "-o", payload, "--product",
                  "demo", f"USR={image}"]
        run([*create, "--version", "2.0.0"])
        run([program("update-payload"), "verify", "--full", "--public-key", public, payload])
        run([program("update-payload"), "extract", "--public-key", public, "-o", out, payload])
        self.assertEqual(out.read_bytes(), image.read_bytes())
        done = run([*create, "--version", "2.0.1"], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("holds version 2.0.0", done.stderr)

    @unittest.skipUnless(shutil.which("sbsign"), "sbsign is not installed")
    def test_signed_for_secure_boot(self):
        key, certificate = self.lab.folder / "db.key", self.lab.folder / "db.crt"
        run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db",
             "-keyout", key, "-out", certificate])
        image = self.make("signed", secureboot_key=key, secureboot_certificate=certificate)
        fields, _, _, uki = read_image(image)
        self.assertEqual(hashlib.sha256(uki).digest(), fields["uki_sha256"])
        run(["sbverify", "--cert", certificate, self.file("signed.efi", uki)])
        self.refused("sbsign failed", secureboot_key="/nowhere", secureboot_certificate=certificate)

    # What the tools do wrong.

    def with_ukify(self, wrong=""):
        folder = self.lab.folder / "bin"
        folder.mkdir(exist_ok=True)
        tool = folder / "ukify"
        tool.write_text(UKIFY)
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        return {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(self.lab.folder / "words"),
                "WRONG": wrong}

    def test_ukify_goes_before_objcopy(self):
        image = self.make("by-ukify", *self.initrd_options(), env=self.with_ukify())
        words = (self.lab.folder / "words").read_text().splitlines()
        self.assertEqual(words[:3], ["build", f"--stub={STUB}", f"--linux={self.linux}"])
        self.assertEqual([word.split("=")[0] for word in words[3:]],
                         ["--initrd", "--cmdline", "--os-release", "--output"])
        self.assertFalse(os.path.exists(words[-1].split("=")[1]), "what it made is removed")
        fields, _, _, uki = read_image(image)
        self.assertEqual(hashlib.sha256(uki).digest(), fields["uki_sha256"])

    def test_tools_that_fail(self):
        self.refused("ukify failed: it is Monday", env=self.with_ukify("failure"))
        self.refused("was made is no UEFI program", env=self.with_ukify("garbage"))
        self.refused("another command line", env=self.with_ukify("words"))
        self.refused("neither is installed", env={"PATH": "/nowhere"})
        self.refused("no folder can be made", env={"TMPDIR": "/nowhere"})

    # What is asked for wrongly.

    def test_inputs_that_are_none(self):
        text = self.file("text", b"#!/bin/sh\n" * 1000)
        stub = open(STUB, "rb").read()
        self.refused("cannot be opened: No such file", fs="/nowhere/fs")
        self.refused("is empty", fs=self.file("empty", b""))
        self.refused("neither a file nor a block device", fs=self.lab.folder)
        self.refused("a single block", fs=self.file("block", b"x" * 4096))
        self.refused(f"{text} is no UEFI program", stub=text)
        self.refused(f"{text} is no UEFI program", linux=text)
        self.refused("is no UEFI program", linux=self.file("cut", stub[:300]))
        self.refused("is no UEFI program", linux=self.file("mz", b"MZ" + b"\xff" * 4000))
        self.refused("of different machines",
                     linux=self.file("arm", pe_file.of_machine(self.linux.read_bytes(), 0xAA64)))
        uki = read_image(self.make())[3]
        self.refused("has a kernel in it already", stub=self.file("uki", uki))
        self.refused("cannot be opened", "--initrd", "/nowhere/initrd")

    def test_command_lines_that_would_not_boot(self):
        self.refused("takes 2047", cmdline="x" * 1980)
        self.refused("no slot would boot", cmdline="flipside.usrhash=" + 64 * "0")
        self.refused("the image may lie in any",
                     cmdline="flipside.slot=aaaaaaaa-1111-4111-8111-111111111111")
        fields, _, _, uki = read_image(self.make(cmdline="ro -- 3"))
        self.assertTrue(pe_file.sections(uki)[".cmdline"].startswith(
            b"flipside.usrhash=" + fields["root_hash"].hex().encode() + b" ro -- 3"))

    def test_texts_and_sizes(self):
        self.refused("the product is not", product="")
        self.refused("the product is not", product="dé")
        self.refused("the version is not", version="1" * 128)
        self.refused("does not end on a block", size="1000001")
        self.refused("the image needs", size="1M")
        for size in ("", "0", "-1", "1Q", "1KK", "99999999999999999999", "9999999999T"):
            self.refused("is no size", size=size, code=2)

    def test_wrong_command_lines(self):
        self.refused("needs --fs", fs=None, code=2)
        self.refused("needs --fs", product=None, code=2)
        self.refused("together", stub=None, code=2)
        self.refused("of a kernel image", stub=None, linux=None, code=2)
        self.refused("sign together", secureboot_key="key", code=2)
        self.refused("takes no argument such as 'USR=image'", "USR=image", code=2)
        self.refused("hexadecimal", salt="0", code=2)
        self.refused("at most 8", *["--initrd", self.fs] * 9, code=2)

    def test_an_output_that_is_no_file(self):
        done = run([program("update-payload"), "image", *self.arguments(), "-o", "/dev/full"],
                   check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not a regular file", done.stderr)


if __name__ == "__main__":
    main()
