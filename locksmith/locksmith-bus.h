/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* locksmithd on D-Bus: one object, one interface, com.coreos.locksmith1.Manager.
 *
 *   Pause(t until_usec, s why) -> ()  no reboot before (CLOCK_REALTIME); over restarts and boots
 *   Resume() -> ()                    ends it; NothingToDo where there is none
 *   RebootNow(t flags) -> ()          reboots for the update that waits, past pause, window,
 *                                     approval, uptime and logged-in users, but not past lock,
 *                                     inhibitors and hooks; NothingToDo where nothing waits.
 *                                     flags: LOCKSMITH_FLAG_*
 *   SendNeedReboot() -> ()            from now on as if an update waited (Trigger "person", Version
 *                                     ""), until the reboot or the daemon's end; every condition
 *                                     counts. Asked for already or an update waits: nothing changes
 *   Approve(t until_usec, s version)  approval.h's word, and looks at it at once; 0: without an
 *     -> ()                           end; "": any version
 *   WithdrawApproval() -> ()          NothingToDo where there is none
 *   Reload() -> ()                    reads the configuration again; an error names what is wrong,
 *                                     and the old one stays
 *   properties, with PropertiesChanged:
 *     State s           LOCKSMITH_STATE_*: the one thing that it waits for
 *     Text s            the same for a person, one line
 *     SinceUsec t       since when (CLOCK_REALTIME)
 *     NextUsec t        when it can go on by itself at the earliest; 0: when something happens
 *     Strategy s        as configured
 *     Decision s        what it comes to ("reboot", "etcd-lock", "fleet-lock", "off") and, for
 *                       best-effort, why; "" before it was decided
 *     Group s, Store s  of the lock ("etcd-v3", "etcd-v2", "fleet-lock", "" without)
 *     Holds s           "no", "yes", "unknown": whether this host holds the lock
 *     Release s         LOCKSMITH_RELEASE_*: after the boot, with ReleaseText s
 *     Version s         that waits for the reboot, "" none
 *     Trigger s         "update-engine", "reboot-required", "person", "" none
 *     PausedUntilUsec t 0: not paused
 *     LastError s, LastErrorUsec t
 *     Conditions a(sbst)  name, whether it holds, text, when it may change by itself (0: unknown);
 *                       in the order in which they are looked at
 *
 * RebootNow and SendNeedReboot fail while the strategy is off. Reading is free; the methods need
 * privilege (CAP_SYS_ADMIN or the daemon's own user). */

#define LOCKSMITH_BUS_NAME "com.coreos.locksmith1"
#define LOCKSMITH_BUS_PATH "/com/coreos/locksmith1"
#define LOCKSMITH_BUS_INTERFACE "com.coreos.locksmith1.Manager"

#define LOCKSMITH_BUS_ERROR_NOTHING_TO_DO "com.coreos.locksmith1.Error.NothingToDo"
#define LOCKSMITH_BUS_ERROR_FAILED "com.coreos.locksmith1.Error.Failed"

#define LOCKSMITH_FLAG_SKIP_HOOKS UINT64_C(1) /* reboot-check.d and pre-reboot.d are not run */

#define LOCKSMITH_STATE_OFF "off"
#define LOCKSMITH_STATE_IDLE "idle" /* nothing to reboot for */
#define LOCKSMITH_STATE_PAUSED "paused"
#define LOCKSMITH_STATE_UPTIME "waiting-for-uptime"
#define LOCKSMITH_STATE_APPROVAL "waiting-for-approval"
#define LOCKSMITH_STATE_WINDOW "waiting-for-window"
#define LOCKSMITH_STATE_INHIBITOR "waiting-for-inhibitor"
#define LOCKSMITH_STATE_USERS "waiting-for-users"
#define LOCKSMITH_STATE_CHECK "waiting-for-check" /* reboot-check.d */
#define LOCKSMITH_STATE_LOCK "waiting-for-lock"
#define LOCKSMITH_STATE_HOOKS "running-hooks" /* pre-reboot.d */
#define LOCKSMITH_STATE_REBOOTING "rebooting"
#define LOCKSMITH_STATE_BACKING_OUT "backing-out" /* gives the lock back, runs post-boot.d */

#define LOCKSMITH_RELEASE_WAITING "waiting-for-boot" /* not declared good yet */
#define LOCKSMITH_RELEASE_CHECK "running-check"
#define LOCKSMITH_RELEASE_HOOKS "running-hooks"
#define LOCKSMITH_RELEASE_RETRYING "retrying"
#define LOCKSMITH_RELEASE_DONE "done" /* this host holds nothing from before */
