/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The daemon on D-Bus: one object, two interfaces.
 *
 * com.coreos.update1.Manager is update_engine's, member by member (locksmith and others use it):
 *
 *   AttemptUpdate() -> ()           starts a check and install when idle; returns at once
 *   ResetStatus() -> ()             forgets the pending reboot: the target slot is made unbootable;
 *                                   an error while something is under way
 *   GetStatus() -> (x d s s x)      last check (Unix s), progress 0-1, status, new version, bytes
 *   StatusUpdate(x d s s x)         signal, the same tuple: at every change of status, and while
 *                                   downloading at each percent or 10 s
 *
 * com.coreos.update1.Flipside has what that lacks:
 *
 *   Check() -> (s s)                asks the server now, installs nothing. Returns a verdict
 *                                   ("update", "no-update", "not-now") and the version offered or
 *                                   the reason in words. Busy, disabled or failed: an error
 *   Update() -> ()                  as AttemptUpdate, but an error (Busy, Disabled) where it
 *                                   cannot start
 *   UpdateWithFlags(t flags) -> ()  the same; flags: BUS_FLAG_*
 *   Install(s source) -> ()         a local file (absolute path) or an http(s) URL
 *   InstallWithFlags(s source, s version, t flags) -> ()
 *                                   version: what the payload must hold, or counts as where its
 *                                   format does not say; "" for any
 *   InstallWithExtensions(s source, s version, t flags, s extensions) -> ()
 *                                   extensions: local files for the new image's postinst, absolute
 *                                   paths with newlines between; "" for none
 *   Rollback() -> (s version, s text)
 *                                   verifies the other slot, then flips to it; where an update
 *                                   waits for its reboot, that is withdrawn and the running
 *                                   version stays. Which of them, text says in words
 *   Cancel() -> ()                  ends what is under way; an error when nothing is
 *   Reload() -> ()                  reads the configuration again; an error names what is wrong
 *   GetSlots() -> a(sssuubbb)       label, version ("" unknown), product, priority, tries,
 *                                   successful, is running, is next
 *   Finished(s what, s result, u code, s text)
 *                                   signal: what ("update", "install", "rollback", "check") ended
 *                                   with result "done", "no-update", "not-now", "cancelled" or
 *                                   "failed"; code is 0 or Omaha's error code; text says it in
 *                                   words ("" when there is nothing to add). Each of them that was
 *                                   asked for or started by itself ends with exactly one, unless
 *                                   the daemon goes away; an "update" that goes on after a restart
 *                                   ends with one then
 *   properties, all with PropertiesChanged where they change at phases:
 *     Phase s ("idle", "checking", "starting", "preparing", "downloading", "verifying",
 *     "committing", "rolling-back", "need-reboot"), LastError s, LastErrorCode u, ConfigWarning s
 *     (what was left out of update.conf, with file and line; ""),
 *     FetchWay s (how the payload comes: "whole", "adaptive": what this machine lacks of it,
 *     "delta": it holds the difference to the running version, "file"; "" before that is known),
 *     FetchText s (the same in words, with the reason, and at the end what came of it) - both of
 *     what is under way, else of the last install since the daemon's start -, Deferred s (why the
 *     version that is offered is not fetched by itself; ""),
 *     BytesDone t, BytesTotal t, BytesFetched t, BytesToFetch t (as planned, of the network),
 *     BytesWhole t (of the full payload), Requests t (no change signals: polled), Channel s,
 *     Server s ("" when disabled), Product s, Version s, NewVersion s (under way or waiting for its
 *     reboot, else ""), RunningSlot s, TargetSlot s, TableHealth s (of the partition table:
 *     "good", "primary-damaged", "backup-damaged", "copies-differ", "unreadable"; "" while the disk
 *     is not known; changes at any time), LastCheckedUsec t, NextCheckUsec t (CLOCK_REALTIME, 0:
 *     none)
 *
 * Reading is free; every method that changes something needs privilege (CAP_SYS_ADMIN or the
 * daemon's own user), but for AttemptUpdate and ResetStatus of the build's operator. Methods that
 * wait answer later; the loop stays free. */

#define BUS_NAME "com.coreos.update1"
#define BUS_PATH "/com/coreos/update1"
#define BUS_INTERFACE_MANAGER "com.coreos.update1.Manager"
#define BUS_INTERFACE_FLIPSIDE "com.coreos.update1.Flipside"

/* For the methods with flags; unknown bits are an error. */
#define BUS_FLAG_ALLOW_DOWNGRADE UINT64_C(1) /* this once, an older version is welcome */
#define BUS_FLAGS_ALL BUS_FLAG_ALLOW_DOWNGRADE

#define BUS_ERROR_BUSY "com.coreos.update1.Error.Busy"
#define BUS_ERROR_DISABLED "com.coreos.update1.Error.Disabled"
#define BUS_ERROR_NOTHING_TO_DO "com.coreos.update1.Error.NothingToDo"
#define BUS_ERROR_FAILED "com.coreos.update1.Error.Failed"
#define BUS_ERROR_REFUSED "com.coreos.update1.Error.Refused"
#define BUS_ERROR_CANCELLED "com.coreos.update1.Error.Cancelled"

/* What ended, and how, in Finished. */
#define BUS_WHAT_CHECK "check"
#define BUS_WHAT_UPDATE "update"
#define BUS_WHAT_INSTALL "install"
#define BUS_WHAT_ROLLBACK "rollback"
#define BUS_RESULT_DONE "done"
#define BUS_RESULT_NO_UPDATE "no-update"
#define BUS_RESULT_NOT_NOW "not-now"
#define BUS_RESULT_CANCELLED "cancelled"
#define BUS_RESULT_FAILED "failed"

/* The verdicts of Check. */
#define BUS_VERDICT_UPDATE "update"
#define BUS_VERDICT_NO_UPDATE "no-update"
#define BUS_VERDICT_NOT_NOW "not-now"

/* The status strings of com.coreos.update1.Manager. */
#define BUS_STATUS_IDLE "UPDATE_STATUS_IDLE"
#define BUS_STATUS_CHECKING "UPDATE_STATUS_CHECKING_FOR_UPDATE"
#define BUS_STATUS_AVAILABLE "UPDATE_STATUS_UPDATE_AVAILABLE"
#define BUS_STATUS_DOWNLOADING "UPDATE_STATUS_DOWNLOADING"
#define BUS_STATUS_VERIFYING "UPDATE_STATUS_VERIFYING"
#define BUS_STATUS_FINALIZING "UPDATE_STATUS_FINALIZING"
#define BUS_STATUS_NEED_REBOOT "UPDATE_STATUS_UPDATED_NEED_REBOOT"
#define BUS_STATUS_REPORTING_ERROR "UPDATE_STATUS_REPORTING_ERROR_EVENT"
