/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One install: fetch -> verify metadata -> invalidate the target -> apply -> read back -> commit.
 * An operation on the event loop: network in the loop, disk and CPU work in worker threads, so the
 * loop stays free. What went before (a killed install of the same payload) is taken up again. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/http-client.h"
#include "common/sha256.h"
#include "updater/install/install-way.h"
#include "updater/slot/slot-proof.h" /* SlotContent */
#include "updater/update-error.h"
#include "verity/hash-tree.h"

typedef struct Install Install;

typedef enum {
    INSTALL_STARTING,    /* metadata: header, signature, manifest; what of it lies here */
    INSTALL_PREPARING,   /* the target is made unbootable, the running slot recorded */
    INSTALL_DOWNLOADING, /* fetch and apply */
    INSTALL_VERIFYING,   /* the tree is built, the slot read back, the image's postinst run */
    INSTALL_COMMITTING,  /* the flip */
} InstallPhase;

typedef struct {
    InstallPhase phase;
    /* Of the payload in STARTING and DOWNLOADING, of the slot in VERIFYING. */
    uint64_t n_bytes_done;
    uint64_t n_bytes_total;   /* 0 while unknown */
    uint64_t n_bytes_fetched; /* over the network or out of the file, in this run */
    uint64_t n_requests;      /* over the network, in this run */
    InstallPlan plan;         /* undecided in STARTING */
    const char *version;      /* of the payload; "" before the manifest is known */
    const char *warning;      /* what goes wrong without stopping the install (the checkpoint cannot
                                 be written): one line, "" for none; once set it stays */
} InstallProgress;

typedef struct {
    UpdateError code;           /* UPDATE_OK: the slot is flipped */
    const char *error;          /* one line; "" when OK; borrowed */
    bool is_url_fault;          /* another copy of the payload might do */
    const SlotContent *content; /* of the target; NULL unless OK; borrowed */
    uint64_t n_bytes_fetched;
    uint64_t n_requests;
    InstallPlan plan; /* undecided when it ended before */
} InstallResult;

/* All are called in the loop's thread; only inside on_done may the install be freed. */
typedef struct {
    /* At every change of phase and five times a second; may be NULL. */
    void (*on_progress)(Install *install, const InstallProgress *progress, void *userdata);
    /* The metadata holds, and what is to be fetched is known: called once, before the target is
     * touched. A negative errno refuses the install (UPDATE_ERROR_GENERIC with error). May be
     * NULL. */
    int (*on_accepted)(Install *install, const char *version, const InstallPlan *plan,
            void *userdata, ErrorText *error);
    /* The slot is proven and the image's postinst is next, which may flip by itself (postinst.h):
     * as on_commit, which follows when the program succeeded. May be NULL. */
    int (*on_postinst)(
            Install *install, const SlotContent *content, void *userdata, ErrorText *error);
    /* The slot is proven and the flip is next: the last moment to put on the disk what must be
     * known after it (promise 8). A negative errno stops the flip. May be NULL. */
    int (*on_commit)(
            Install *install, const SlotContent *content, void *userdata, ErrorText *error);
    /* Exactly once, never from inside _new, last; freeing the install inside is allowed. */
    void (*on_done)(Install *install, const InstallResult *result, void *userdata);
} InstallHandlers;

typedef struct {
    const char *disk_path; /* block device or image */
    const char
            *running_label;   /* this slot is never written; NULL only when none runs from disk_path
                                  and target_label says which one to write */
    const char *target_label; /* NULL: the one slot of the disk that does not run */
    /* Either urls or file_path. */
    const char *const *urls; /* tried in order from first_url on, each again after cuts */
    size_t n_urls;
    size_t first_url;
    unsigned max_failures_per_url; /* 0: 10 */
    const char *file_path;         /* a local payload */
    const char *user, *password;   /* for https downloads; may be NULL */
    uint64_t payload_bytes;        /* as Omaha said; 0: not known */
    bool has_payload_sha256;
    Sha256 payload_sha256; /* as Omaha said */
    /* As Omaha or a person said: the payload's must be the same, and where the format has none,
     * this is its version; NULL: any. */
    const char *offered_version;
    uint64_t metadata_bytes;               /* as Omaha said (MetadataSize); 0: not known */
    const char *metadata_signature_base64; /* as Omaha said (MetadataSignatureRsa); NULL: none */
    const char *kernel_dir;                /* InstallFilePlaces of a payload of format 1; may be */
    const char *policy_dir;                /* NULL */
    const char *policy_url;                /* of the PCR policy server; NULL: none is told */
    uint64_t postinst_limit_usec;          /* of the image's postinst; 0: it is not run */
    const char *extensions; /* for it: full paths with newlines between; NULL: none */
    const char *prefs_dir;  /* extension_offer_new()'s folder and app_id; with extensions */
    const char *app_id;
    const char *key_dir;
    const char *product;
    const char *running_version;
    bool allow_downgrade;
    unsigned boot_tries;
    int state_fd;       /* folder for the checkpoint and the kept metadata (borrowed) */
    unsigned n_threads; /* 0: one per processor, at most 4 */
    /* What is still to be fetched may not cost more, its metadata included: else the install ends
     * with UPDATE_ERROR_BUDGET before the target is touched. 0: whatever it costs. */
    uint64_t budget_bytes;
    uint64_t rate_bytes_per_second; /* of the payload's download; 0: as fast as it comes */
    uint64_t retry_delay_usec;      /* between tries of a URL; 0: 2 s, doubled up to 60 s */
} InstallOptions;

/* options and its strings are copied. event and http outlive the install.
 * Errors: -EINVAL when neither a file nor a URL is given, -ENOMEM, errno of threads and
 * descriptors; everything else through on_done. */
int install_new(sd_event *event, HttpClient *http, const InstallOptions *options,
        const InstallHandlers *handlers, void *userdata, Install **ret_install);

/* Cancels: returns when the worker threads have stopped (bounded by one operation, or one chunk of
 * the read-back). What was written is kept for the next try; the target stays unbootable, unless
 * COMMITTING was told: a flip that has begun is finished. */
void install_free(Install *install);
DEFINE_CLEANUP(Install *, install_free);
