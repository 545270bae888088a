/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The two stores of etcd: its v3 JSON gateway and its v2 keys. Never one instead of the other: they
 * do not see each other's keys. */

#include <systemd/sd-event.h>

#include "common/error-text.h"
#include "common/http-client.h"
#include "locksmith/lock/lock-options.h"
#include "locksmith/lock/lock-store.h"

/* client is borrowed for the store's life; options for the call. Certificate files are read and
 * checked here, for a message at the start.
 * Errors: -EINVAL with `error`, -ENOMEM, errno of the files with `error`. */
int etcd_v3_store_new(sd_event *event, HttpClient *client, const LockOptions *options,
        LockStore **ret_store, ErrorText *error);
int etcd_v2_store_new(sd_event *event, HttpClient *client, const LockOptions *options,
        LockStore **ret_store, ErrorText *error);
