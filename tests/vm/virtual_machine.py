# SPDX-License-Identifier: Apache-2.0
"""A machine with a disk: what DESIGN.md asks of one, and no more. Between two boots its disk lies
here as a file, and our slotctl and sgdisk look at it."""
import json

from disk_image import SLOT_MIB, change_byte, n_bytes_allocated, part_start, read_part, write_part
from distribution import KERNEL_ARGUMENTS, OS_NAME
from lab import MIB, program, run
from qemu import Qemu
from slot_image import BLOCK, TRAILER

# How a disk is attached: what comes behind "-drive if=none,id=disk0,...".
DISKS = {"virtio": ["-device", "virtio-blk-pci,drive=disk0,bootindex=1"],
         "nvme": ["-device", "nvme,drive=disk0,serial=1,bootindex=1"],
         "ahci": ["-device", "ide-hd,drive=disk0,bus=ide.0,bootindex=1"]}


class VirtualMachine:
    def __init__(self, lab, distribution, version="1.0.0", name="machine"):
        self.lab, self.folder, self.distribution = lab, lab.folder / name, distribution
        self.folder.mkdir()
        self.disk = self.folder / "disk.img"
        self.boots = []
        run(["cp", "--sparse=always", distribution.disk(version), self.disk])

    # The disk while the machine is off.

    def slotctl(self, *args, check=True):
        return run([program("slotctl"), "--disk", self.disk, *args], check=check)

    def slots(self):
        """Label -> what slotctl says of the slot."""
        status = json.loads(self.slotctl("--json", "status").stdout)
        return {slot["label"]: slot for slot in status["slots"]}

    def bits(self, label):
        slot = self.slots()[label]
        return slot["priority"], slot["tries"], slot["successful"]

    def table_problems(self):
        """What sgdisk thinks of the table; "" when nothing is wrong."""
        text = run(["sgdisk", "-v", self.disk], check=False).stdout
        return "" if "No problems found" in text else text

    def n_bytes_in(self, label):
        """How much was written into a slot that was never written before."""
        return n_bytes_allocated(self.disk, label)

    def rot(self, label, path, version):
        """The disk loses a byte of this file of the /usr that is in the slot."""
        change_byte(self.disk, label, self.distribution.place_of(path, version) + 100)

    def fill(self, label, version):
        """Puts a release into a slot, as an installation whose slot was declared good."""
        write_part(self.disk, label, self.distribution.slot_image(version))
        self.slotctl("prioritize", label)
        self.slotctl("mark-good", label)

    def configure(self, **keys):
        """The machine's update.conf, as its owner leaves it before the first boot."""
        text = "".join(f"{key}={value}\n" for key, value in keys.items())
        self.put(f"etc/{OS_NAME}/update.conf", text)

    def put(self, path, text):
        """A file of the root file system."""
        source = self.folder / "put"
        source.write_text(text)
        image = self.folder / "root.part"
        read_part(self.disk, "ROOT", image)
        folders = path.split("/")[:-1]
        commands = [f"mkdir {'/'.join(folders[:i + 1])}" for i in range(len(folders))]
        commands += [f"rm {path}", f"write {source} {path}", f"sif {path} mode 0100644"]
        script = self.folder / "debugfs"
        script.write_text("\n".join(commands) + "\n")
        run(["/sbin/debugfs", "-w", "-f", script, image])
        write_part(self.disk, "ROOT", image)
        image.unlink()

    # On and off.

    def power_on(self, bus="virtio"):
        """Firmware starts the boot chooser from the disk."""
        return self._start(bus, ())

    def choose(self, bus="virtio"):
        """Instead of firmware and chooser, what a machine without UEFI does: slotctl chooses the
        slot and spends the try, and the kernel is told both."""
        label, partuuid = self.slotctl("next", "--spend").stdout.split()[:2]
        with open(self.disk, "rb") as disk:
            disk.seek(part_start(self.disk, label) + SLOT_MIB * MIB - BLOCK)
            root_hash = TRAILER.unpack(disk.read(TRAILER.size))[9]
        arguments = (f"{KERNEL_ARGUMENTS} flipside.slot={partuuid} "
                     f"flipside.usrhash={root_hash.hex()}")
        distribution = self.distribution
        return self._start(bus, ("-kernel", distribution.kernel_image,
                                 "-initrd", distribution.initramfs, "-append", arguments))

    def _start(self, bus, kernel):
        disk = ["-drive", f"if=none,id=disk0,format=raw,cache=unsafe,file={self.disk}", *DISKS[bus]]
        folder = self.folder / f"boot-{len(self.boots) + 1}"
        self.boots.append(Qemu(self.lab, folder, disk, kernel=kernel))
        return self.boots[-1]
