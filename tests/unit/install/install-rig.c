/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/install/install-rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/unit/partitions/disk-maker.h"
#include "tests/unit/unit.h"

#define RIG_SECTORS (2048 + 2 * (RIG_SLOT_BYTES / 512) + 64)

static void fill(uint8_t *data, size_t n_bytes, unsigned seed)
{
    for (size_t i = 0; i < n_bytes; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 12) + seed);
}

/* A folder that rig_done() removes; without /dev/shm, one of the test program's. */
static const char *make_folder(InstallRig *rig)
{
    snprintf(rig->folder, sizeof(rig->folder), "/dev/shm/flipside-unit-XXXXXX");
    if (!mkdtemp(rig->folder)) {
        rig->folder[0] = '\0';
        return unit_temp_dir();
    }
    return rig->folder;
}

static void save_disk_quickly(InstallRig *rig)
{
    snprintf(rig->disk_path, sizeof(rig->disk_path), "%s/disk", make_folder(rig));
    _cleanup_close_ int fd = open(rig->disk_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_eq(fd_write_full(fd, rig->before, rig->n_disk_bytes), 0);
}

static void make_disk(InstallRig *rig, bool is_quick)
{
    const DiskPlan plan = {
            .n_sectors = RIG_SECTORS,
            .parts = {{.label = "PAD", .is_other_type = true, .n_sectors = 2048 - 34},
                    {.label = "USR-A",
                            .priority = 2,
                            .successful = true,
                            .n_sectors = RIG_SLOT_BYTES / 512},
                    {.label = "USR-B",
                            .priority = 1,
                            .tries = 1,
                            .successful = true,
                            .n_sectors = RIG_SLOT_BYTES / 512}},
    };
    MadeDisk disk;
    disk_make(&plan, &disk);
    fill(disk.data + 2048 * 512, 2 * RIG_SLOT_BYTES, 1);
    rig->n_disk_bytes = disk.n_bytes;
    rig->before = malloc(disk.n_bytes);
    memcpy(rig->before, disk.data, disk.n_bytes);
    if (is_quick)
        save_disk_quickly(rig);
    else
        snprintf(rig->disk_path, sizeof(rig->disk_path), "%s", disk_save(&disk));
    disk_unmake(&disk);
}

void rig_init(InstallRig *rig, bool is_quick)
{
    *rig = (InstallRig){0};
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    ck_assert_int_eq(sd_event_new(&rig->event), 0);
    ck_assert_int_eq(http_client_new(rig->event, "test/1", &rig->http), 0);
    key_make(&rig->key);
    make_disk(rig, is_quick);
    if (rig->folder[0]) {
        snprintf(rig->state_path, sizeof(rig->state_path), "%s/state", rig->folder);
        ck_assert_int_eq(mkdir(rig->state_path, 0700), 0);
    } else {
        snprintf(rig->state_path, sizeof(rig->state_path), "%s", unit_temp_dir());
    }
    rig->state_fd = open(rig->state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void rig_done(InstallRig *rig)
{
    http_client_free(rig->http);
    sd_event_unref(rig->event);
    key_unmake(&rig->key);
    (void)unlinkat(rig->state_fd, "checkpoint", 0);
    (void)unlinkat(rig->state_fd, "metadata", 0);
    close(rig->state_fd);
    if (rig->folder[0]) {
        rmdir(rig->state_path);
        unlink(rig->disk_path);
        rmdir(rig->folder);
    }
    free(rig->before);
}

const InstallOptions *rig_options(InstallRig *rig, const char *file_path, const char *url)
{
    static InstallOptions options;
    static const char *urls[1];
    urls[0] = url;
    options = (InstallOptions){
            .disk_path = rig->disk_path,
            .running_label = "USR-A",
            .urls = urls,
            .n_urls = url ? 1 : 0,
            .file_path = file_path,
            .key_dir = rig->key.folder,
            .product = "acme",
            .running_version = "1.0",
            .boot_tries = 3,
            .state_fd = rig->state_fd,
            .n_threads = 2,
            .retry_delay_usec = 1000,
    };
    return &options;
}

static void on_progress(Install *install, const InstallProgress *progress, void *userdata)
{
    (void)install;
    InstallRig *rig = userdata;
    rig->phases_seen |= 1u << progress->phase;
    if (progress->n_bytes_total)
        ck_assert_uint_le(progress->n_bytes_done, progress->n_bytes_total);
    snprintf(rig->warning, sizeof(rig->warning), "%s", progress->warning);
    if (rig->at_progress)
        rig->at_progress(rig, progress);
}

static int on_accepted(Install *install, const char *version, const InstallPlan *plan,
        void *userdata, ErrorText *error)
{
    (void)install;
    (void)plan;
    InstallRig *rig = userdata;
    rig->n_accepted++;
    snprintf(rig->accepted_version, sizeof(rig->accepted_version), "%s", version);
    return rig->accept_r < 0 ? error_say(error, rig->accept_r, "not accepted") : 0;
}

static int on_commit(Install *install, const SlotContent *content, void *userdata, ErrorText *error)
{
    (void)install;
    InstallRig *rig = userdata;
    rig->n_commits++;
    rig->content = *content;
    if (rig->at_commit)
        rig->at_commit(rig);
    return rig->commit_r < 0 ? error_say(error, rig->commit_r, "not committed") : 0;
}

static void on_done(Install *install, const InstallResult *result, void *userdata)
{
    InstallRig *rig = userdata;
    ck_assert_ptr_eq(install, rig->install);
    rig->n_done++;
    rig->code = result->code;
    snprintf(rig->error, sizeof(rig->error), "%s", result->error);
    rig->is_url_fault = result->is_url_fault;
    rig->has_content = result->content != NULL;
    if (result->content)
        rig->content = *result->content;
    rig->n_bytes_fetched = result->n_bytes_fetched;
    if (rig->is_kept)
        return;
    install_free(install);
    rig->install = NULL;
}

void rig_install(InstallRig *rig, const InstallOptions *options)
{
    static const InstallHandlers handlers = {.on_progress = on_progress,
            .on_accepted = on_accepted,
            .on_commit = on_commit,
            .on_done = on_done};
    rig->n_done = rig->n_accepted = rig->n_commits = rig->phases_seen = 0;
    rig->code = UPDATE_OK;
    rig->is_stopping = false;
    ck_assert_int_eq(install_new(rig->event, rig->http, options, &handlers, rig, &rig->install), 0);
    ck_assert_uint_eq(rig->n_done, 0);
    for (unsigned i = 0; rig->n_done == 0 && !rig->is_stopping; i++) {
        ck_assert_uint_lt(i, 100000);
        ck_assert_int_gt(sd_event_run(rig->event, 10 * 1000 * 1000), 0);
    }
    for (unsigned i = 0; rig->is_kept && i < 3; i++)
        ck_assert_int_ge(sd_event_run(rig->event, 50 * 1000), 0);
    if (rig->is_stopping || rig->is_kept) {
        install_free(rig->install);
        rig->install = NULL;
    }
}

const char *rig_save_payload(const MadePayload *payload, size_t n_bytes)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/payload", unit_temp_dir());
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ck_assert_int_eq(fd_write_full(fd, payload->data, n_bytes), 0);
    return path;
}

Slot rig_slot(const InstallRig *rig, const char *label)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    ErrorText error = {0};
    ck_assert_msg(
            slot_disk_open(rig->disk_path, false, NULL, 0, &disk, &error) == 0, "%s", error.line);
    size_t n_slots, i = slot_disk_find(disk, label);
    ck_assert_uint_ne(i, SLOT_NONE);
    return slot_disk_slots(disk, &n_slots)[i];
}

uint8_t *rig_read_slot(const InstallRig *rig, const char *label)
{
    Slot slot = rig_slot(rig, label);
    uint8_t *data = malloc(RIG_SLOT_BYTES);
    _cleanup_close_ int fd = open(rig->disk_path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(fd_pread_full(fd, data, RIG_SLOT_BYTES, slot.offset_bytes), 0);
    return data;
}

void rig_assert_running_untouched(const InstallRig *rig)
{
    _cleanup_free_ uint8_t *data = rig_read_slot(rig, "USR-A");
    ck_assert_int_eq(memcmp(data, rig->before + 2048 * 512, RIG_SLOT_BYTES), 0);
    Slot slot = rig_slot(rig, "USR-A");
    ck_assert(slot.successful);
    ck_assert_uint_eq(slot.tries, 0);
    ck_assert_uint_ge(slot.priority, 1);
}

void rig_assert_refused(const InstallRig *rig, UpdateError code, bool is_touched)
{
    ck_assert_uint_eq(rig->n_done, 1);
    ck_assert_msg(
            rig->code == code, "%d (%s) instead of %d", (int)rig->code, rig->error, (int)code);
    ck_assert_str_ne(rig->error, "");
    ck_assert(!rig->has_content);
    Slot slot = rig_slot(rig, "USR-B");
    if (is_touched) {
        ck_assert_uint_eq(slot.priority, 0);
        ck_assert_uint_eq(slot.tries, 0);
        ck_assert(!slot.successful);
    } else {
        _cleanup_free_ uint8_t *data = rig_read_slot(rig, "USR-B");
        ck_assert_int_eq(
                memcmp(data, rig->before + 2048 * 512 + RIG_SLOT_BYTES, RIG_SLOT_BYTES), 0);
        ck_assert_uint_eq(slot.priority, 1);
    }
    rig_assert_running_untouched(rig);
}

void rig_assert_flipped(const InstallRig *rig, const MadePayload *payload)
{
    ck_assert_uint_eq(rig->n_done, 1);
    ck_assert_msg(rig->code == UPDATE_OK, "%d: %s", (int)rig->code, rig->error);
    ck_assert(rig->has_content);
    _cleanup_free_ uint8_t *data = rig_read_slot(rig, "USR-B");
    ck_assert_int_eq(memcmp(data, payload->content, payload->n_content_bytes), 0);
    Slot target = rig_slot(rig, "USR-B");
    ck_assert_uint_gt(target.priority, rig_slot(rig, "USR-A").priority);
    ck_assert_uint_eq(target.tries, 3);
    ck_assert(!target.successful);
    ck_assert_int_eq(faccessat(rig->state_fd, "checkpoint", F_OK, 0), -1);
    ck_assert_int_eq(faccessat(rig->state_fd, "metadata", F_OK, 0), -1);
    rig_assert_running_untouched(rig);
}
