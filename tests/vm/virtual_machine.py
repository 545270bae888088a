# SPDX-License-Identifier: Apache-2.0
"""A machine with a disk: what BOOT.md asks of one, and no more. Between two boots its disk lies
here as a file, and our slotctl and code of the tests' own look at it."""
import json

import gpt_image
from disk_image import change_byte, n_bytes_allocated, read_part, table_bytes, write_part
from distribution import OS_NAME
from lab import program, run
from qemu import Qemu

# How a disk is attached.
DISKS = {"virtio": ["virtio-blk-pci,drive=disk0,bootindex=1"],
         "4096": ["virtio-blk-pci,drive=disk0,bootindex=1,logical_block_size=4096,"
                  "physical_block_size=4096"]}


class VirtualMachine:
    def __init__(self, lab, distribution, version="1.0.0", name="machine", sector=512):
        self.lab, self.folder, self.distribution = lab, lab.folder / name, distribution
        self.sector = sector
        self.folder.mkdir()
        self.disk = self.folder / "disk.img"
        self.write_log = None  # where the next boots note what is written
        self.boots = []
        run(["cp", "--sparse=always", distribution.disk(version, sector), self.disk])

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
        """What others think of the table; "" when nothing is wrong."""
        found = gpt_image.table_problems(self.disk, self.sector)
        if found or self.sector != 512:
            return found
        text = run(["sgdisk", "-v", self.disk], check=False).stdout
        return "" if "No problems found" in text and "Caution" not in text else text

    def table_bytes(self):
        return table_bytes(self.disk, self.sector)

    def n_bytes_in(self, label):
        """How much was written into a slot that was never written before."""
        return n_bytes_allocated(self.disk, label, self.sector)

    def rot(self, label, path, version, **files):
        """The disk loses a byte of this file of the /usr that is in the slot."""
        place = self.distribution.place_of(path, version, **files)
        change_byte(self.disk, label, place + 100, self.sector)

    def write(self, label, image):
        """Puts an image of the slot's size into the slot, and makes the slot the next one."""
        write_part(self.disk, label, image, self.sector)
        self.slotctl("prioritize", label)

    def fill(self, label, version):
        """Puts a release into a slot, as an installation whose slot was declared good."""
        self.write(label, self.distribution.slot_image(version))
        self.slotctl("mark-good", label)

    def configure(self, **keys):
        """The machine's update.conf, as its owner leaves it before the first boot."""
        self.put({f"etc/{OS_NAME}/update.conf":
                  "".join(f"{key}={value}\n" for key, value in keys.items())})

    def put(self, files):
        """Files of the root file system: path -> text."""
        image, source = self.folder / "root.part", self.folder / "put"
        read_part(self.disk, "ROOT", image, self.sector)
        for path, text in files.items():
            source.write_text(text)
            folders = path.split("/")[:-1]
            script = self.folder / "debugfs"
            script.write_text("".join(
                [f"mkdir {'/'.join(folders[:i + 1])}\n" for i in range(len(folders))]
                + [f"rm {path}\n", f"write {source} {path}\n", f"sif {path} mode 0100644\n"]))
            run(["/sbin/debugfs", "-w", "-f", script, image])
        write_part(self.disk, "ROOT", image, self.sector)
        image.unlink()

    # On.

    def power_on(self):
        """Firmware starts the boot chooser from the disk."""
        bus = "virtio" if self.sector == 512 else "4096"
        folder = self.folder / f"boot-{len(self.boots) + 1}"
        self.boots.append(Qemu(self.lab, folder, [*self._drive(), "-device", *DISKS[bus]]))
        return self.boots[-1]

    def _drive(self):
        if not self.write_log:
            return ["-drive", f"if=none,id=disk0,format=raw,cache=unsafe,file={self.disk}"]
        self.write_log.touch()
        return ["-blockdev", f"driver=raw,node-name=plain,file.driver=file,file.filename={self.disk}",
                "-blockdev", f"driver=file,node-name=log,filename={self.write_log}",
                "-blockdev", "driver=blklogwrites,node-name=disk0,file=plain,log=log,"
                f"log-sector-size={self.sector},log-super-update-interval=1"]
