# SPDX-License-Identifier: Apache-2.0
#
# The second scene: three hosts of a cluster have an update at the same time and reboot one after
# another, because they share a lock in etcd. Each host is a locksmithd with a folder and a bus of
# its own; logind, systemd and the update engine are played. Sourced by ./demo.

fleet=$run/fleet
mkdir -p "$fleet"

etcd_is_healthy() { curl -sf --max-time 2 "$etcd/health" | grep -q true; }

# On ports that are free at this moment; another try where somebody was faster.
start_etcd() {
    local try port end
    for try in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 10000))
        etcd=http://127.0.0.1:$port
        start etcd --name demo --data-dir "$fleet/etcd-$try" --logger zap \
            --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
            --listen-peer-urls "http://127.0.0.1:$((port + 10000))" \
            --initial-advertise-peer-urls "http://127.0.0.1:$((port + 10000))" \
            --initial-cluster "demo=http://127.0.0.1:$((port + 10000))"
        end=$((SECONDS + 15))
        while kill -0 "${pids[-1]}" 2>/dev/null && ((SECONDS < end)); do
            etcd_is_healthy && return
            sleep 0.1
        done
        end_process "${pids[-1]}"
    done
    die "etcd does not start: $(tail -3 "$run/etcd.log")"
}

address_of() { echo "unix:path=$bus_folder/$1"; }
declare -A locksmithd_of fake_of

# usage: boot_host NAME STATUS VERSION: its daemons start; STATUS is the update engine's
boot_host() {
    local name=$1 folder=$fleet/$1
    cat /proc/sys/kernel/random/uuid >"$folder/proc/sys/kernel/random/boot_id"
    start_fake_host "$(address_of "$name")" "$folder" --update-engine
    fake_of[$name]=$fake_host
    tell_fake_host "$(address_of "$name")" update "$2" "$3"
    DBUS_SYSTEM_BUS_ADDRESS=$(address_of "$name") locksmithd --root "$folder" \
        --bus "$(address_of "$name")" >>"$folder/locksmithd.log" 2>&1 </dev/null &
    pids+=($!)
    locksmithd_of[$name]=$!
}
shut_down_host() {
    end_process "${locksmithd_of[$1]}"
    end_process "${fake_of[$1]}"
}
has_asked() {
    local name
    for name in "${waiting[@]}"; do
        is_reboot_asked "$fleet/$name" && asked=$name && return
    done
    return 1
}
holders() { locksmithctl --root "$fleet/host-a" status | sed '1,/^MACHINE ID$/d'; }
is_released() { ! holders | grep -qx "$1"; }

say "8. A cluster: three hosts, one lock in etcd"
shut_down
start_etcd
waiting=(host-a host-b host-c)
for host in "${waiting[@]}"; do
    mkdir -p "$fleet/$host"/{etc/coreos,proc/sys/kernel/random,run,var/lib}
    echo "$host" >"$fleet/$host/etc/machine-id"
    printf 'REBOOT_STRATEGY=etcd-lock\nLOCKSMITHD_ENDPOINT=%s\nLOCKSMITHD_LOGIN_GRACE=0\n' \
        "$etcd" >"$fleet/$host/etc/coreos/update.conf"
    start_bus "$host"
done
export DBUS_SYSTEM_BUS_ADDRESS # of the host that a person sits at
DBUS_SYSTEM_BUS_ADDRESS=$(address_of host-a)
show cat "$fleet/host-a/etc/coreos/update.conf"
show locksmithctl --root "$fleet/host-a" status

say "9. All three have an update, at the same time"
for host in "${waiting[@]}"; do boot_host "$host" UPDATE_STATUS_UPDATED_NEED_REBOOT 2.0.0; done
order=()
while [[ ${#waiting[@]} -gt 0 ]]; do
    wait_for 60 "the next reboot" has_asked
    host=$asked
    order+=("$host")
    echo "$host reboots; nobody else may until it is back:"
    show locksmithctl --root "$fleet/host-a" status
    [[ $(holders) == "$host" ]] || die "the lock should be held by $host alone"
    for other in "${waiting[@]}"; do
        [[ $other == "$host" ]] || ! is_reboot_asked "$fleet/$other" || die "$other reboots, too"
    done
    shut_down_host "$host"
    boot_host "$host" UPDATE_STATUS_IDLE 0.0.0
    echo "$host is back; it gives the lock back when its boot is declared good (boot-complete.target)."
    tell_fake_host "$(address_of "$host")" unit boot-complete.target active
    wait_for 60 "$host to give the lock back" is_released "$host"
    mapfile -t waiting < <(printf '%s\n' "${waiting[@]}" | grep -vx "$host")
done
show locksmithctl --root "$fleet/host-a" status
echo "They rebooted in this order, one at a time: ${order[*]}."
