# SPDX-License-Identifier: Apache-2.0
#
# The first scene: a machine on a disk image updates itself, switches its channel, rolls back.
# Sourced by ./demo, which has set $keep, $run and the path to the programs.

slot_mib=384
slot_type=5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6
esp_type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
recipe=1              # a change of what is kept needs a new number

# The release engineer: three versions of a system, signed payloads.

# Files of this machine's own /usr, in a fixed order, as many as a real system's tree has.
make_tree() {
    local tree=$1 folder mib
    mkdir -p "$tree/share/coreos"
    while read -r folder mib; do
        (cd /usr && find "$folder" -xdev \( -type f -o -type l \) -readable -size -8M \
            ! -path 'share/coreos/*' -printf '%s %p\n') | LC_ALL=C sort -k2 |
            LC_ALL=C awk -v limit=$((mib << 20)) \
                '{ sum += $1 + 2048 } sum <= limit { sub(/^[0-9]+ /, ""); print }'
    done >"$keep/files" <<<$'bin 60\nsbin 10\nlib 120\nshare 60'
    tar -C /usr -cf - --no-recursion -T "$keep/files" | tar -C "$tree" -xf - --no-same-owner
    [[ $(du -sm --apparent-size "$tree" | cut -f1) -ge 200 ]] || die "/usr is too small for a tree of 200 MiB"
}
# usage: change_tree TREE VERSION: every 20th file is a newer one, and one is new
change_tree() {
    local tree=$1 version=$2
    awk -v first="${version%%.*}" 'NR % 20 == first % 20' "$keep/files" | while IFS= read -r file; do
        [[ -L $tree/$file ]] && continue
        chmod u+w "$tree/$file"
        printf 'changed in %s\n' "$version" >>"$tree/$file"
    done
    printf 'What is new in %s.\n' "$version" >"$tree/share/news-$version"
}
# usage: make_image TREE VERSION IMAGE
make_image() {
    local tree=$1 version=$2 image=$3
    printf 'COREOS_RELEASE_VERSION=%s\nCOREOS_RELEASE_BOARD=amd64-usr\nCOREOS_RELEASE_PRODUCT=demo\n' \
        "$version" >"$tree/share/coreos/release"
    rm -f "$image"
    truncate -s $((slot_mib - 8))M "$image"
    SOURCE_DATE_EPOCH=1700000000 mkfs.ext4 -q -F -b 4096 -m 0 -O ^has_journal -L "usr-$version" \
        -d "$tree" "$image"
}

# Where a partition lies, and what its number is. usage: start_of LABEL; number_of LABEL
number_of() { sgdisk -p "$run/disk.img" | awk -v label="$1" '$NF == label { print $1 }'; }
start_of() { echo $(($(sgdisk -i "$(number_of "$1")" "$run/disk.img" | awk '/^First/ { print $3 }') * 512)); }
# What a booted system would find under /usr: the version in the slot's own file system.
version_in() {
    debugfs -R 'cat share/coreos/release' "$run/disk.img?offset=$(start_of "$1")" 2>/dev/null |
        sed -n 's/^COREOS_RELEASE_VERSION=//p'
}

say "1. The release engineer: three versions of a system, a key, two signed payloads"
if [[ $(cat "$keep/made" 2>/dev/null) != "$recipe" ]]; then
    rm -rf "$keep"
    mkdir -p "$keep"
    echo "Making three file systems of this machine's own /usr (only the first time) ..."
    make_tree "$keep/tree"
    make_image "$keep/tree" 1.0.0 "$keep/usr-1.0.0.img"
    for version in 2.0.0 3.0.0; do
        change_tree "$keep/tree" "$version"
        make_image "$keep/tree" "$version" "$keep/usr-$version.img"
    done
    echo "A tree of $(du -sm --apparent-size "$keep/tree" | cut -f1) MiB in $(wc -l <"$keep/files") files; 5 % of them change with each version."
    rm -rf "$keep/tree"
    show openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out "$keep/release.pem" 2>"$keep/openssl.log"
    show openssl pkey -in "$keep/release.pem" -pubout -out "$keep/release.pub.pem"
    echo "$recipe" >"$keep/made"
fi
for version in 2.0.0 3.0.0; do
    payload=$keep/demo-$version.payload
    if [[ ! -e $payload || $(command -v update-payload) -nt $payload ]]; then
        show update-payload create --product demo --version "$version" --key "$keep/release.pem" \
            --output "$payload" "USR=$keep/usr-$version.img"
    fi
done
show update-payload verify --public-key "$keep/release.pub.pem" "$keep/demo-2.0.0.payload"

say "2. The update server: 2.0.0 in the channel stable, 3.0.0 in beta"
rm -rf "$run"
mkdir -p "$run"
show omaha-server add "$run/releases" "$keep/demo-2.0.0.payload" stable
show omaha-server add "$run/releases" "$keep/demo-3.0.0.payload" beta
start omaha-server serve "$run/releases" --listen 127.0.0.1:0 --port-file "$run/port" --report "$run/report.jsonl"
wait_for 20 "omaha-server" test -s "$run/port"
server=http://127.0.0.1:$(cat "$run/port")/v1/update/

say "3. The machine: a disk with two slots, 1.0.0 in the first"
truncate -s $((2 * slot_mib + 80))M "$run/disk.img"
show sgdisk --clear \
    --new=1:0:+32M --typecode=1:$esp_type --change-name=1:EFI-SYSTEM \
    --new=2:0:+${slot_mib}M --typecode=2:$slot_type --change-name=2:USR-A \
    --new=3:0:+${slot_mib}M --typecode=3:$slot_type --change-name=3:USR-B \
    --new=4:0:+32M --typecode=4:8300 --change-name=4:ROOT "$run/disk.img" >"$run/sgdisk.log"
dd if="$keep/usr-1.0.0.img" of="$run/disk.img" bs=1M oflag=seek_bytes seek="$(start_of USR-A)" \
    conv=notrunc,sparse status=none
show slotctl --disk "$run/disk.img" mark-good USR-A
root=$run/root
mkdir -p "$root"/{etc/coreos,usr/share/coreos,usr/share/update_engine/keys,proc/sys/kernel/random}
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
cp "$keep/release.pub.pem" "$root/usr/share/update_engine/keys/"
cat >"$root/etc/coreos/update.conf" <<END
GROUP=stable
SERVER=$server
# Soon, because nobody wants to wait in a demo; otherwise some minutes after the start.
FIRST_CHECK=2
# Otherwise people who are logged in get five minutes.
LOCKSMITHD_LOGIN_GRACE=0
END
show cat "$root/etc/coreos/update.conf"
if (exec 3<>/dev/tcp/127.0.0.1/2379) 2>/dev/null; then
    # Best-effort would ask it for the lock: not ours to take.
    echo "Something listens on etcd's port here, so this machine's strategy is 'reboot'."
    echo REBOOT_STRATEGY=reboot >>"$root/etc/coreos/update.conf"
fi
start_bus machine
show export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$bus_folder/machine"

# Starts the machine in the slot that the partition table names, as a boot loader does.
# usage: boot LABEL VERSION: what must come up
running=
boot() {
    local chosen version
    [[ -z $running ]] || shut_down
    show slotctl --disk "$run/disk.img" next --spend | tee "$run/next"
    chosen=$(awk '/^USR/ { print $1 }' "$run/next")
    version=$(version_in "$chosen")
    echo "The machine starts from $chosen, which holds version $version."
    [[ $chosen == "$1" && $version == "$2" ]] || die "that should have been $1 with $2"
    running=$chosen
    debugfs -R "dump share/coreos/release $root/usr/share/coreos/release" \
        "$run/disk.img?offset=$(start_of "$chosen")" 2>/dev/null
    cat /proc/sys/kernel/random/uuid >"$root/proc/sys/kernel/random/boot_id"
    start update-engine --root "$root" --disk "$run/disk.img" --slot "$running" \
        --bus "$DBUS_SYSTEM_BUS_ADDRESS"
    engine=$!
    wait_for 30 "the daemon" engine_answers
    start_fake_host "$DBUS_SYSTEM_BUS_ADDRESS" "$run"
    start locksmithd --root "$root" --bus "$DBUS_SYSTEM_BUS_ADDRESS"
    locksmithd=$!
    wait_for 30 "locksmithd" locksmithd_answers
}
locksmithd_answers() {
    kill -0 "$locksmithd" 2>/dev/null || die "locksmithd ended by itself"
    locksmithctl --root "$root" status --long >"$run/status" 2>&1
}
shut_down() {
    end_process "$locksmithd"
    end_process "$engine"
    end_process "$fake_host"
}
# Waits until locksmithd has asked logind for the reboot.
await_reboot() {
    wait_for 60 "the reboot" is_reboot_asked "$run"
    show locksmithctl --root "$root" status --long
}
engine_answers() {
    kill -0 "$engine" 2>/dev/null || die "update-engine ended by itself"
    flipside status >/dev/null 2>&1
}
# The system is up and works: what boot-complete.target stands for on a real machine.
mark_good() {
    show slotctl --disk "$run/disk.img" mark-good "$running"
    tell_fake_host "$DBUS_SYSTEM_BUS_ADDRESS" unit boot-complete.target active
}
# usage: expect_next LABEL VERSION
expect_next() {
    local chosen
    chosen=$(slotctl --disk "$run/disk.img" next | cut -d' ' -f1)
    [[ $chosen == "$1" ]] || die "$chosen boots next instead of $1"
    cmp -n "$(stat -c %s "$keep/usr-$2.img")" -i "$(start_of "$1"):0" "$run/disk.img" "$keep/usr-$2.img" ||
        die "$1 does not hold the image of $2"
    sgdisk -v "$run/disk.img" >"$run/sgdisk.log" 2>&1
    grep -q 'No problems found' "$run/sgdisk.log" && ! grep -qE 'Caution|Warning|ERROR' "$run/sgdisk.log" ||
        die "sgdisk does not accept the table: $(cat "$run/sgdisk.log")"
    echo "$1 boots next and holds the image of $2 byte for byte; sgdisk accepts the partition table."
}
needs_reboot() { [[ $(flipside status --json) == *need-reboot* ]]; }
# usage: reported TYPE RESULT: whether the server heard of this event
reported() { tr -d ' ' <"$run/report.jsonl" | grep -q "\"type\":$1,\"result\":$2,"; }

boot USR-A 1.0.0
tell_fake_host "$DBUS_SYSTEM_BUS_ADDRESS" unit boot-complete.target active

say "4. The update comes by itself"
show slotctl --disk "$run/disk.img" status
echo "Nobody asks for it; the daemon does, and a second window would show:"
printf '%s$ flipside watch%s\n' "$dim" "$plain"
flipside watch &
watch=$!
pids+=("$watch")
wait_for 300 "the update" needs_reboot
end_process "$watch"
show flipside status
show slotctl --disk "$run/disk.img" status
expect_next USR-B 2.0.0
for event in 13 14 3; do
    wait_for 30 "the report of event $event" reported "$event" 1
done
echo "The server heard of the download's start (13), its end (14) and the installed update (3)."

say "5. locksmithd takes it to the reboot"
echo "Its strategy is best-effort: no cluster is configured and no etcd runs here, so no lock is needed."
await_reboot
boot USR-B 2.0.0
mark_good

say "6. Another channel"
show flipside --root "$root" channel beta
show flipside update
show slotctl --disk "$run/disk.img" status
expect_next USR-A 3.0.0
await_reboot
boot USR-A 3.0.0
mark_good

say "7. Back to the version before"
show flipside rollback
expect_next USR-B 2.0.0
await_reboot
boot USR-B 2.0.0
mark_good
show flipside --root "$root" history
show flipside status
