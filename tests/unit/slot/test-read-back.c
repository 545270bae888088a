/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/slot/read-back.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "tests/unit/install/install-rig.h"
#include "tests/unit/install/payload-maker.h"
#include "tests/unit/unit.h"

/* Whole installs onto a medium that changes what was written before it is read back. */

static InstallRig rig;
static MadePayload payload;
static atomic_uint n_waits; /* for what was written */
static uint64_t spoilt_at;  /* byte of the disk that the medium changes; UINT64_MAX: none */

/* In place of the C library's: who waits for this range has it on the disk, and then it rots. */
int sync_file_range(int fd, off_t offset, off_t n_bytes, unsigned flags)
{
    int r = (int)syscall(SYS_sync_file_range, fd, offset, n_bytes, flags);
    if (!(flags & SYNC_FILE_RANGE_WAIT_AFTER))
        return r;
    atomic_fetch_add(&n_waits, 1);
    if (spoilt_at >= (uint64_t)offset && spoilt_at < (uint64_t)(offset + n_bytes))
        ck_assert_int_eq(pwrite(fd, "spoilt", 6, (off_t)spoilt_at), 6);
    return r;
}

static void setup(void)
{
    rig_init(&rig, true);
    payload = (MadePayload){0};
    spoilt_at = UINT64_MAX;
    atomic_store(&n_waits, 0);
}

static void teardown(void)
{
    payload_unmake(&payload);
    rig_done(&rig);
}

static void install(PayloadPlan plan)
{
    payload_unmake(&payload);
    plan.key = &rig.key;
    plan.has_rest_hash = true;
    payload_make(&plan, &payload);
    rig_install(&rig, rig_options(&rig, rig_save_payload(&payload, payload.n_bytes), NULL));
}

/* Operations that share hash blocks, and those that do not; a tree of one level and of two. */
static const PayloadPlan plans[] = {
        {.n_blocks = 2},
        {.n_blocks = 128, .operation_blocks = 5},
        {.n_blocks = 300, .operation_blocks = 7, .is_compressed = true},
        {.n_blocks = 512, .operation_blocks = 128, .n_tail_blocks = 40},
        {.n_blocks = 512, .ends_in_zeros = true},
};

START_TEST(what_was_written_is_proven)
{
    install(plans[_i]);
    rig_assert_flipped(&rig, &payload);
    ck_assert(rig.content.has_verity);
    ck_assert_uint_gt(atomic_load(&n_waits), 0);
}
END_TEST

START_TEST(what_rots_before_it_is_read_back_is_not_flipped)
{
    const PayloadPlan *plan = &plans[_i];
    uint64_t n_bytes = plan->n_blocks * MADE_BLOCK_BYTES;
    const uint64_t places[] = {0, n_bytes / 2 + 1, n_bytes - 6};
    for (size_t i = 0; i < ELEMENTS(places); i++) {
        spoilt_at = rig_slot(&rig, "USR-B").offset_bytes + places[i];
        install(*plan);
        rig_assert_refused(&rig, UPDATE_ERROR_VERITY, true);
    }
    spoilt_at = UINT64_MAX;
    install(*plan);
    rig_assert_flipped(&rig, &payload);
}
END_TEST

/* Without a hash of the rest, or of a single block, all is read in the end. */
START_TEST(what_cannot_be_proven_on_the_way)
{
    PartitionUpdate partition = {.has_verity = true, .verity.n_data_blocks = 2};
    ck_assert(!read_back_is_possible(&partition));
    partition.has_rest_hash = true;
    ck_assert(read_back_is_possible(&partition));
    partition.verity.n_data_blocks = 1;
    ck_assert(!read_back_is_possible(&partition));
    install((PayloadPlan){.n_blocks = 1});
    rig_assert_flipped(&rig, &payload);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("read-back");
    TCase *tcase = unit_case(suite, "read-back");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_was_written_is_proven, 0, ELEMENTS(plans));
    tcase_add_loop_test(tcase, what_rots_before_it_is_read_back_is_not_flipped, 0, ELEMENTS(plans));
    tcase_add_test(tcase, what_cannot_be_proven_on_the_way);
    return suite;
}
