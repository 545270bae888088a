/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/slot-task.h"

#include <string.h>

#include "partitions/slot-disk.h"
#include "partitions/slot-reader.h"
#include "partitions/slot-trailer-read.h"
#include "partitions/slot-verify.h"
#include "updater/engine/thread-job.h"
#include "updater/slot/slot-proof.h"

struct SlotTask {
    ThreadJob *job;
    void (*on_done)(SlotTask *task, int r, const ErrorText *error, void *userdata);
    void *userdata;
    SlotTaskKind kind;
    char *disk_path;
    char label[SLOT_LABEL_BYTES];
    unsigned tries;
    bool has_trailer;
    SlotTrailer trailer;
    SlotContent content; /* RECORD: the thread's until the job is done */
    TableFinding finding;
    _Atomic uint64_t n_bytes_done;
    ErrorText error; /* the thread's until the job is done */
};

static int open_slot(SlotTask *task, bool writable, SlotDisk **ret_disk, size_t *ret_slot)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(task->disk_path, writable, NULL, 0, &disk, &task->error);
    if (r < 0)
        return r;
    size_t slot = slot_disk_find(disk, task->label);
    if (slot == SLOT_NONE)
        return error_say(&task->error, -ENOENT, "%s has no slot %s", task->disk_path, task->label);
    *ret_disk = TAKE_PTR(disk);
    *ret_slot = slot;
    return 0;
}

/* What the trailer vouches for: file system and hash tree, and the kernel. It is read once more, as
 * what lies there now is what will boot. */
static int prove_by_trailer(SlotTask *task, const atomic_bool *is_cancelled)
{
    const VerityRun run = {.is_cancelled = is_cancelled, .n_bytes_done = &task->n_bytes_done};
    const SlotTrailer *trailer = &task->trailer;
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    _cleanup_close_ int fd = -1;
    uint64_t offset_bytes;
    size_t slot;
    TrailerFault fault;
    SlotTrailer now;
    ErrorText reason = {0};
    int r = open_slot(task, false, &disk, &slot);
    if (r == 0)
        r = slot_trailer_read(disk, slot, &fault, &now, &task->error);
    if (r == 0)
        r = slot_reader_open(disk, slot, &fd, &offset_bytes, &task->error);
    if (r < 0)
        return r;
    if (fault != TRAILER_VALID || !sha256_equal(&now.root_hash, &trailer->root_hash) ||
            !sha256_equal(&now.uki_sha256, &trailer->uki_sha256))
        return error_say(&task->error, -EBADMSG, "%s was changed meanwhile", task->label);
    r = slot_verify_tree(fd, offset_bytes, trailer, &run, &reason);
    if (r == 0)
        r = slot_verify_uki(fd, offset_bytes, trailer, is_cancelled, &reason);
    if (r < 0 && reason.line[0])
        error_say(&task->error, r, "%s no longer holds version %s whole: %s", task->label,
                trailer->version, reason.line);
    return r;
}

static int record(SlotTask *task, const atomic_bool *is_cancelled)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    size_t slot, n_slots;
    int r = open_slot(task, false, &disk, &slot);
    if (r < 0)
        return r;
    task->content.size_bytes = slot_disk_slots(disk, &n_slots)[slot].size_bytes;
    _cleanup_close_ int fd = -1;
    uint64_t offset_bytes;
    r = slot_reader_open(disk, slot, &fd, &offset_bytes, &task->error);
    if (r < 0)
        return r;
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    r = sha256_stream_new(&stream);
    if (r < 0)
        return r;
    r = slot_reader_hash(
            fd, offset_bytes, task->content.size_bytes, stream, &task->n_bytes_done, is_cancelled);
    if (r < 0)
        return error_say(&task->error, r, "cannot read slot %s: %s", task->label, strerror(-r));
    sha256_stream_finish(stream, &task->content.sha256);
    return 0;
}

static int look(SlotTask *task)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    int r = slot_disk_open(task->disk_path, false, NULL, 0, &disk, &task->error);
    if (r < 0)
        return r;
    task->finding = table_care_find(disk);
    return 0;
}

static int repair(SlotTask *task)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    size_t slot;
    int r = task->label[0] ? open_slot(task, true, &disk, &slot)
                           : slot_disk_open(task->disk_path, true, NULL, 0, &disk, &task->error);
    if (r < 0)
        return r;
    task->finding = table_care_find(disk);
    return slot_disk_repair(disk, &task->error);
}

static int change_table(SlotTask *task)
{
    _cleanup_(slot_disk_freep) SlotDisk *disk = NULL;
    size_t slot;
    int r = open_slot(task, true, &disk, &slot);
    if (r < 0)
        return r;
    if (task->kind == SLOT_TASK_PRIORITIZE)
        return slot_disk_prioritize(disk, slot, task->tries, &task->error);
    return slot_disk_mark_bad(disk, slot, &task->error);
}

static int work(const atomic_bool *is_cancelled, void *userdata)
{
    SlotTask *task = userdata;
    switch (task->kind) {
    case SLOT_TASK_PROVE:
        return task->has_trailer ? prove_by_trailer(task, is_cancelled)
                                 : slot_proof_check(task->disk_path, task->label, &task->content,
                                           &task->n_bytes_done, is_cancelled, &task->error);
    case SLOT_TASK_RECORD:
        return record(task, is_cancelled);
    case SLOT_TASK_PRIORITIZE:
    case SLOT_TASK_MARK_BAD:
        return change_table(task);
    case SLOT_TASK_LOOK:
        return look(task);
    case SLOT_TASK_REPAIR:
        return repair(task);
    }
    return -EINVAL;
}

static void on_job_done(ThreadJob *job, int result, void *userdata)
{
    (void)job;
    SlotTask *task = userdata;
    if (result < 0 && task->error.line[0] == '\0')
        error_say(&task->error, result, "slot %s: %s", task->label, strerror(-result));
    task->on_done(task, result, &task->error, task->userdata);
}

static void set_trailer(SlotTask *task, const SlotTrailer *trailer)
{
    SlotContent *content = &task->content;
    task->has_trailer = true;
    task->trailer = *trailer;
    *content = (SlotContent){.size_bytes = trailer->fs_bytes};
    snprintf(content->product, sizeof(content->product), "%s", trailer->product);
    snprintf(content->version, sizeof(content->version), "%s", trailer->version);
}

int slot_task_new(sd_event *event, const SlotTaskOptions *options,
        void (*on_done)(SlotTask *task, int r, const ErrorText *error, void *userdata),
        void *userdata, SlotTask **ret_task)
{
    _cleanup_(slot_task_freep) SlotTask *task = malloc(sizeof(*task));
    if (!task)
        return -ENOMEM;
    *task = (SlotTask){
            .on_done = on_done,
            .userdata = userdata,
            .kind = options->kind,
            .tries = options->tries,
            .disk_path = strdup(options->disk_path),
    };
    if (!task->disk_path)
        return -ENOMEM;
    snprintf(task->label, sizeof(task->label), "%s", options->label);
    if (options->content)
        task->content = *options->content;
    if (options->trailer)
        set_trailer(task, options->trailer);
    int r = thread_job_new(event, work, on_job_done, task, &task->job);
    if (r < 0)
        return r;
    *ret_task = TAKE_PTR(task);
    return 0;
}

void slot_task_free(SlotTask *task)
{
    if (!task)
        return;
    thread_job_free(task->job);
    free(task->disk_path);
    free(task);
}

const SlotContent *slot_task_content(const SlotTask *task)
{
    return &task->content;
}

TableFinding slot_task_finding(const SlotTask *task)
{
    return task->finding;
}

uint64_t slot_task_bytes_done(const SlotTask *task)
{
    return atomic_load(&task->n_bytes_done);
}
