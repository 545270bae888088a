# SPDX-License-Identifier: Apache-2.0
"""A small distribution for the virtual machine: Debian's kernel, Debian's userland with our build
installed in it, its releases as slot images and signed payloads.

All of it is made once in the build folder (BUILD/vm) and made anew when what goes in has changed;
tests share it, also those that run at the same time. What is there is complete: everything is made
under another name and renamed.
"""
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))
from disk_image import SIZES, make_disk  # noqa: E402
from lab import BUILD_ROOT, OS_NAME, SOURCE_ROOT, program, run  # noqa: E402
from qemu import FIRMWARE  # noqa: E402

HERE = Path(__file__).resolve().parent
STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
CHOOSER = BUILD_ROOT / "partitions/boot/chooserx64.efi"
FOLDER = BUILD_ROOT / "vm"
PRODUCT = "flipside-test"
PACKAGES = ["systemd", "udev", "kmod", "dbus-bin", "cryptsetup-bin"]
# What the machine itself loads; what it needs to find /usr is in the initramfs.
MODULES = ["virtio_net", "virtio_console", "virtio-rng", "softdog", "vfat", "nls_ascii", "nls_cp437",
           "nls_iso8859-1", "nls_utf8", "efivarfs", "autofs4"]
# The root hash is added by `update-payload image`.
KERNEL_ARGUMENTS = ("root=PARTLABEL=ROOT ro console=ttyS0 panic=1 mitigations=off audit=0 apparmor=0 "
                    "tsc=reliable no_timer_check systemd.show_status=0")
# Time is dear in an emulated machine, and none of these has anything to do with a slot.
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "getty@tty1.service",
          "console-getty.service", "serial-getty@ttyS0.service", "systemd-hwdb-update.service",
          "systemd-pstore.service", "systemd-timesyncd.service", "systemd-binfmt.service",
          "systemd-resolved.service", "systemd-networkd-persistent-storage.service",
          "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "systemd-update-utmp.service",
          "systemd-journal-catalog-update.service", "dev-hugepages.mount", "dev-mqueue.mount",
          "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
          "proc-sys-fs-binfmt_misc.automount", "systemd-machine-id-commit.service",
          "systemd-random-seed.service", "modprobe@drm.service", "modprobe@fuse.service"]

JOURNALD = "[Journal]\nStorage=persistent\nForwardToConsole=yes\nMaxLevelConsole=info\n"
NETWORK = "[Match]\nName=e*\n\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n"


class Missing(Exception):
    """What a virtual machine needs is not installed: the test is skipped, with this reason."""


def check_tools():
    for tool in ("qemu-system-x86_64", "nginx", "mkfs.erofs", "mkfs.vfat", "mcopy", "veritysetup",
                 "busybox", "sgdisk", "cpio", "zstd", "objcopy", "udevadm", "mkfs.ext4", "debugfs"):
        if not find_tool(tool):
            raise Missing(f"{tool} is not installed (tests/install-packages vm)")
    for path in map(Path, (FIRMWARE, STUB, CHOOSER)):
        if not path.exists():
            raise Missing(f"{path} is not there (tests/install-packages vm)")
    if os.geteuid() != 0:
        raise Missing("the userland can be made by root only")


def find_tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@contextmanager
def made_new(path):
    """A name to make something under that then becomes path: a file, or a folder."""
    new = path.with_name(path.name + ".new")
    remove(new)
    yield new
    remove(path)
    new.rename(path)


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def alone(make):
    """A method that no other process of these tests runs meanwhile; the same one may be inside."""
    def locked(self, *args, **more):
        if self.lock is not None:
            return make(self, *args, **more)
        with open(self.folder / "lock", "w") as self.lock:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX)
                return make(self, *args, **more)
            finally:
                self.lock = None
    return locked


def fingerprint(*parts):
    """Of texts, of files (by size and time) and of folders."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for path in sorted(part.rglob("*")) if part.is_dir() else [part]:
                status = path.lstat()
                digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
        else:
            digest.update(f"{part}\n".encode())
    return digest.hexdigest()[:16]


class Distribution:
    """Everything that the tests of one build folder share."""

    def __init__(self, folder=FOLDER):
        check_tools()
        self.folder, self.lock = folder, None
        folder.mkdir(parents=True, exist_ok=True)
        self._make_system()

    @alone
    def _make_system(self):
        folder = self.folder
        self.key, self.public_key = folder / "release.pem", folder / "release.pub.pem"
        self._make_key()
        self.kernel = self._kernel()
        self.kernel_version = next((self.kernel / "lib/modules").iterdir()).name
        self.kernel_image = self.kernel / f"boot/vmlinuz-{self.kernel_version}"
        self.tree = self._tree()
        self.initramfs = self._initramfs()
        self.root_image = self._root_image()

    def _make_key(self):
        if self.public_key.exists():
            return
        with made_new(self.key) as new:
            run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
                 "-out", new])
        with made_new(self.public_key) as new:
            run(["openssl", "pkey", "-in", self.key, "-pubout", "-out", new])

    def _kernel(self):
        path = self.folder / "kernel"
        if not path.exists():
            with made_new(path) as new:
                done = run([HERE / "fetch-kernel", new], check=False, seconds=300)
                if done.returncode != 0:
                    raise Missing(f"no kernel: {done.stderr.strip().splitlines()[-1:]}")
        return path

    def _kept(self, name, key, make):
        """The file or folder that make(new) makes, unless it is there and was made from key."""
        path, stamp = self.folder / name, self.folder / f"{name}.key"
        if not path.exists() or not stamp.exists() or stamp.read_text() != key:
            stamp.unlink(missing_ok=True)
            with made_new(path) as new:
                make(new)
            stamp.write_text(key)
        return path

    def _tree(self):
        """The userland: Debian's packages, our build, the test's agent; usr/ and the rest."""
        installed = json.loads(run(["meson", "introspect", "--installed", BUILD_ROOT]).stdout)
        # A link is listed by its own name alone.
        files = [Path(name) for name in sorted(installed) if os.path.isabs(name)]
        key = fingerprint(*files, HERE / "guest", Path(__file__),
                          self.public_key, self.kernel, SOURCE_ROOT / "tests/make-userland")
        return self._kept("tree", key, self._make_tree)

    def _make_tree(self, tree):
        staged = self.folder / "staged"
        remove(staged)
        run(["meson", "install", "-C", BUILD_ROOT, "--no-rebuild", "--quiet", "--strip", "--destdir",
             staged], seconds=300)
        run([SOURCE_ROOT / "tests/make-userland", tree, *PACKAGES], seconds=300)
        run(["cp", "-a", f"{staged}/.", tree])
        add_libraries(tree, staged)
        self._add_modules(tree)
        put(tree, "usr/share/update_engine/keys/release.pub.pem", self.public_key.read_text())
        put(tree, "etc/systemd/journald.conf.d/console.conf", JOURNALD)
        put(tree, "etc/systemd/network/50-test.network", NETWORK)
        put(tree, "etc/fstab", "PARTLABEL=ROOT / ext4 defaults 0 0\n")
        put(tree, "etc/machine-id", hashlib.md5(b"flipside-test").hexdigest() + "\n")
        units = tree / "usr/lib/systemd/system"
        for unit in ("test-agent.service", "test-health.service"):
            shutil.copy(HERE / "guest" / unit, units)
        (tree / "usr/lib/flipside-test").mkdir()
        shutil.copy(HERE / "guest/test-agent", tree / "usr/lib/flipside-test")
        for unit in MASKED:
            (tree / "etc/systemd/system").mkdir(parents=True, exist_ok=True)
            (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
        run(["systemctl", f"--root={tree}", "set-default", "multi-user.target"])
        run(["systemctl", f"--root={tree}", "enable", "test-agent", "test-health",
             "systemd-networkd"])
        # As a distribution's package does it; what is enabled is our presets' choice.
        ours = [unit.name for unit in (staged / "usr/lib/systemd/system").iterdir()]
        run(["systemctl", f"--root={tree}", "preset", *ours])
        run(["ldconfig", "-r", tree])

    def _add_modules(self, tree):
        root = self.kernel
        target = tree / "usr/lib/modules" / self.kernel_version
        target.mkdir(parents=True)
        for module in MODULES:
            shown = run(["/sbin/modprobe", "-d", root, "-S", self.kernel_version, "--show-depends",
                         module], check=False).stdout
            for path in map(Path, re.findall(r"^insmod (\S+)", shown, re.M)):
                shutil.copy(path, target)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            shutil.copy(root / "lib/modules" / self.kernel_version / name, target)
        run(["/sbin/depmod", "-b", tree, self.kernel_version])

    def _initramfs(self):
        script = HERE / "make-initramfs"
        key = fingerprint(script, HERE / "initramfs-init", SOURCE_ROOT / "systemd-units",
                          Path(program("slotctl")), self.kernel_version)
        return self._kept("initramfs", key, lambda new: run(
            [script, self.kernel_version, self.kernel, new],
            env={**os.environ, "MESON_BUILD_ROOT": str(BUILD_ROOT)}))

    @alone
    def dracut_initrd(self):
        """An initrd by dracut with our module, made in a userland with Debian's package of it."""
        def make(new):
            with made_new(self.folder / "dracut-tree") as tree:
                run([SOURCE_ROOT / "tests/make-userland", tree, *PACKAGES, "dracut-core",
                     "libc-bin"], seconds=300)
                run(["cp", "-a", f"{self.folder}/staged/.", tree])
                add_libraries(tree, self.folder / "staged")
                modules = tree / "usr/lib/modules"
                modules.mkdir()
                run(["cp", "-a", self.kernel / "lib/modules" / self.kernel_version, modules])
                put(tree, "etc/dracut.conf.d/flipside.conf", 'add_dracutmodules+=" flipside "\n')
                run(["ldconfig", "-r", tree])
                # What it needs of /dev and /proc, in a name space that goes with it.
                run(["unshare", "--mount", "bash", "-euc",
                     'mount --rbind /dev "$1/dev"; mount --bind /proc "$1/proc"; '
                     'exec chroot "$1" env PATH=/usr/sbin:/usr/bin dracut --quiet --no-hostonly '
                     '--no-early-microcode --zstd --force /initrd.img "$2"',
                     "bash", tree, self.kernel_version], seconds=300)
                shutil.move(tree / "initrd.img", new)
            shutil.rmtree(self.folder / "dracut-tree")
        return self._kept("dracut.img", (self.folder / "tree.key").read_text(), make)

    def _root_image(self):
        """What is not in /usr, as it is before the first boot: an ext4 file system."""
        def make(new):
            with made_new(self.folder / "root-tree") as root:
                run(["cp", "-a", "--one-file-system", f"{self.tree}/.", root])
                remove(root / "usr")
                (root / "usr").mkdir()
                for name in ("tmp", "root", "var/lib/systemd"):
                    (root / name).mkdir(parents=True, exist_ok=True)
            run(["/sbin/mkfs.ext4", "-q", "-b", "4096", "-L", "ROOT", "-d", self.folder / "root-tree",
                 new, f"{SIZES['ROOT'] >> 20}M"])
        return self._kept("root.ext4", fingerprint(self.tree / "etc", self.tree / "var",
                                                   SIZES["ROOT"]), make)

    # Releases.

    @alone
    def usr_image(self, version, **files):
        """An erofs of /usr of that version; files: more files of usr/share/flipside-test."""
        key = fingerprint((self.folder / "tree.key").read_text(), version, sorted(files.items()))

        def make(new):
            upper = OS_NAME.upper()
            added = {f"usr/share/{OS_NAME}/release":
                     f"{upper}_RELEASE_VERSION={version}\n{upper}_RELEASE_BOARD=amd64-usr\n"
                     f"{upper}_RELEASE_PRODUCT={PRODUCT}\n",
                     "usr/share/flipside-test/version": version + "\n"}
            added |= {f"usr/share/flipside-test/{name}": text for name, text in files.items()}
            for path, text in added.items():
                put(self.tree, path, text)
            try:
                run(["mkfs.erofs", "-zlz4hc,5", "-C65536", "-T0", "-U", "00000000-0000-0000-0000-000000000000", new,
                     self.tree / "usr"], seconds=300)
            finally:
                for path in added:
                    (self.tree / path).unlink()
        return self._kept(f"usr-{name_of(version, files)}.erofs", key, make)

    def place_of(self, path, version, **files):
        """Where the file's content begins in that /usr's image, in bytes."""
        image = self.usr_image(version, **files)
        text = run(["dump.erofs", f"--path={path}", "-e", image]).stdout
        return int(re.search(r"^ +0:.*: +(\d+)\.\.", text, re.M)[1])

    def make_image(self, new, version, fs, initrd=None, size=None):
        """What a slot holds, by update-payload: file system, hash tree, kernel image, trailer."""
        run([program("update-payload"), "image", "--fs", fs, "--stub", STUB, "--linux",
             self.kernel_image, "--initrd", initrd or self.initramfs, "--cmdline", KERNEL_ARGUMENTS,
             "--product", PRODUCT, "--version", version, *(["--size", size] if size else []),
             "-o", new])

    @alone
    def image(self, version, size=None, **files):
        usr = self.usr_image(version, **files)
        inputs = [STUB, self.kernel_image, self.initramfs, Path(program("update-payload"))]
        name = name_of(version, files)
        return self._kept(f"slot-{name}.img" if size else f"{name}.img",
                          fingerprint(usr, *inputs, KERNEL_ARGUMENTS, size),
                          lambda new: self.make_image(new, version, usr, size=size))

    def slot_image(self, version, **files):
        """As large as the partition, to be written to it as it is."""
        return self.image(version, size=SIZES["USR-A"], **files)

    @alone
    def payload(self, version, **files):
        """The signed payload of that image."""
        image = self.image(version, **files)
        key = fingerprint(image, Path(program("update-payload")), self.key)
        return self._kept(f"{name_of(version, files)}.payload", key, lambda new: run(
            [program("update-payload"), "create", "--product", PRODUCT, "--version", version,
             "--key", self.key, "-o", new, f"USR={image}"], seconds=300))

    @alone
    def disk(self, version, sector=512):
        """A disk that has never booted, with that release in its first slot."""
        image = self.slot_image(version)
        key = fingerprint(image, self.root_image, CHOOSER, HERE / "disk_image.py",
                          HERE / "gpt_image.py")
        return self._kept(f"disk-{version}-{sector}.img", key, lambda new: make_disk(
            new, CHOOSER, self.root_image, image, sector))


def name_of(version, files):
    return "-".join([version, *sorted(files)])


def put(tree, path, text):
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(text)


def add_libraries(tree, staged):
    """What our programs are linked with and the packages in the tree have not brought."""
    for path in staged.rglob("*"):
        if not path.is_file() or not os.access(path, os.X_OK):
            continue
        for library in re.findall(r"(/\S+) \(0x", run(["ldd", path], check=False).stdout):
            real = Path(library).resolve()
            for name in {Path(library).name, real.name}:
                target = tree / "usr/lib/x86_64-linux-gnu" / name
                if not target.exists() and "ld-linux" not in name:
                    shutil.copy(real, target)


if __name__ == "__main__":
    distribution = Distribution()
    for version_to_make in sys.argv[1:]:
        print(distribution.slot_image(version_to_make))
