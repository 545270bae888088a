# SPDX-License-Identifier: Apache-2.0
#
# What every scene of the demo uses: showing commands, starting and ending what runs beside them.
# Sourced by ./demo; $run is this run's folder.

if [[ -t 1 ]]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
die() {
    printf '\nThe demo failed: %s\n' "$*" >&2
    local log
    for log in "$run"/{update-engine,locksmithd}.log; do
        [[ ! -s $log ]] || { echo "--- ${log##*/} ---"; tail -15 "$log"; } >&2
    done
    exit 1
}
# Shows a command as a person would type it, then runs it.
show() {
    printf '%s$ %s%s\n' "$dim" "$*" "$plain"
    "$@" || die "'$*' ended with status $?"
}
# usage: wait_for SECONDS WHAT COMMAND...
wait_for() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        ((SECONDS < end)) || die "waited in vain for $what"
        sleep 0.2
    done
}

pids=() bus_folder=
# Starts a server or daemon in the background; its output goes to a file named like it.
start() {
    printf '%s$ %s &%s\n' "$dim" "$*" "$plain"
    "$@" >>"$run/$1.log" 2>&1 </dev/null &
    pids+=($!)
}
# A bus of its own, so that the system's is left alone. usage: start_bus NAME: $bus_folder/NAME
start_bus() {
    [[ -n $bus_folder ]] || bus_folder=$(mktemp -d) # a socket's path must be short
    cat >"$run/bus-$1.conf" <<END
<busconfig><type>system</type><listen>unix:path=$bus_folder/$1</listen><auth>EXTERNAL</auth>
<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>
END
    start dbus-daemon --config-file="$run/bus-$1.conf" --nofork --nopidfile
    wait_for 20 "the bus" is_bus_up "$bus_folder/$1"
}
# Its socket is there a moment before it takes anyone.
is_bus_up() {
    busctl --address="unix:path=$1" list >/dev/null 2>&1
}
end_process() {
    kill "$1" 2>/dev/null || return 0
    wait "$1" 2>/dev/null || true
}
clean_up() {
    local pid
    for pid in "${pids[@]}"; do end_process "$pid"; done
    rm -rf "$run" "$bus_folder"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
