# SPDX-License-Identifier: Apache-2.0
#
# What stands for a host's logind and systemd, so that a reboot is asked for and none takes place.
# Sourced by ./demo.

# usage: start_fake_host ADDRESS FOLDER [OPTION...]: reports to FOLDER/logind.jsonl
start_fake_host() {
    local address=$1 folder=$2
    shift 2
    rm -f "$folder/logind.jsonl"
    fake-logind --bus "$address" --systemd --report "$folder/logind.jsonl" "$@" \
        >>"$folder/fake-logind.log" 2>&1 </dev/null &
    pids+=($!)
    fake_host=$!
    wait_for 20 "logind" test -s "$folder/logind.jsonl"
}
# usage: tell_fake_host ADDRESS WORD...
tell_fake_host() {
    busctl "--address=$1" call flipside.Fake /control flipside.Fake Do as $(($# - 1)) "${@:2}"
}
# usage: is_reboot_asked FOLDER: whether logind took a reboot
is_reboot_asked() {
    grep -q '"what":"reboot".*"detail":"accepted"' "$1/logind.jsonl"
}
