/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Why an update failed, with the numbers that update_engine sends to Omaha servers as errorcode;
 * servers and operators know them. */

typedef enum {
    UPDATE_OK = 0,
    UPDATE_ERROR_GENERIC = 1, /* state cannot be written, no memory, ... */
    UPDATE_ERROR_OMAHA_REQUEST = 2,
    UPDATE_ERROR_VERIFIER_IO = 4, /* reading the slot back */
    UPDATE_ERROR_POSTINST = 5,    /* the new image's postinst failed, or could not be run */
    UPDATE_ERROR_OPEN_TARGET = 7, /* no slot, no table, the slot is the running one */
    UPDATE_ERROR_TRANSFER = 9,
    UPDATE_ERROR_PAYLOAD_HASH = 10, /* whole file against the Omaha answer */
    UPDATE_ERROR_PAYLOAD_SIZE = 11,
    UPDATE_ERROR_NO_PARTITION_INFO = 13,
    UPDATE_ERROR_WRITE = 14,
    UPDATE_ERROR_PARTITION_HASH = 15, /* the slot read back: hash or root */
    UPDATE_ERROR_KERNEL_HASH = 16,    /* the kernel of a format 1 payload, read back */
    UPDATE_ERROR_NO_SIGNATURE = 17,
    UPDATE_ERROR_SIGNATURE = 18,         /* payload signature; also: no key installed */
    UPDATE_ERROR_POSTINST_FIRMWARE = 19, /* its exit status 3 */
    UPDATE_ERROR_SOURCE = 20,            /* a delta: the running slot is not what it begins with */
    UPDATE_ERROR_MAGIC = 21,
    UPDATE_ERROR_MANIFEST = 23, /* parse, limits, extents, too large for the slot */
    UPDATE_ERROR_METADATA_SIGNATURE = 26,
    UPDATE_ERROR_OPERATION = 28, /* wrong length after decompression, bad offsets */
    UPDATE_ERROR_OPERATION_HASH = 29,
    UPDATE_ERROR_EMPTY_RESPONSE = 30,
    UPDATE_ERROR_XML = 31,
    UPDATE_ERROR_METADATA_SIZE = 32, /* absurd manifest or signature length */
    UPDATE_ERROR_RESPONSE = 34,
    UPDATE_ERROR_BUDGET = 36, /* DOWNLOAD_BUDGET is too small; "deferred per policy" there */
    UPDATE_ERROR_BACKOFF = 40,
    UPDATE_ERROR_POLICY_HASH = 42,     /* the PCR policy of a format 1 payload, read back */
    UPDATE_ERROR_POLICY_POST = 43,     /* PCR_POLICY_SERVER did not take it */
    UPDATE_ERROR_ROLLED_BACK = 44,     /* the update did not boot; F's number */
    UPDATE_ERROR_VERSION_REFUSED = 45, /* unsupported major or minor version, wrong product */
    UPDATE_ERROR_ENTITY = 46,          /* entity declaration in the XML */
    UPDATE_ERROR_CANCELLED = 48,
    UPDATE_ERROR_DOWNGRADE = 51, /* older than the running system, or below min_version */
    UPDATE_ERROR_FLIP = 52,      /* updated but the table could not be written */
    UPDATE_ERROR_VERITY = 56,
    UPDATE_ERROR_HTTP_BASE = 2000, /* + HTTP status of a failed Omaha request */
} UpdateError;

/* A few words, static: "payload signature does not verify". Never NULL. */
const char *update_error_text(UpdateError error);
