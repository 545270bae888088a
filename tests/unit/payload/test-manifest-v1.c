/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "updater/payload/manifest-v1.pb-c.h"
#include "updater/payload/manifest.h"

/* A payload of format 1 as delta_generator makes it: a partition of 10 blocks and 5 bytes in two
 * operations, the last with extents beyond the end, and a kernel. In protobuf-c's structures, to be
 * spoilt field by field. */
typedef struct {
    Wire1__DeltaArchiveManifest manifest;
    Wire1__InstallOperation operations[4]; /* 2 of the partition, the kernel's, the dummy */
    Wire1__InstallOperation *list[4];
    Wire1__Extent dst[4];
    Wire1__Extent src[4];
    Wire1__Extent *dst_list[4];
    Wire1__Extent *src_list[4];
    Wire1__InstallInfo info, old_info, kernel_info;
    Wire1__InstallProcedure procedures[2];
    Wire1__InstallProcedure *procedure_list[20];
    uint8_t hash[33];
} Good;

static void set_info(Good *g, Wire1__InstallInfo *info, uint64_t n_bytes)
{
    wire1__install_info__init(info);
    info->has_size = info->has_hash = true;
    info->size = n_bytes;
    info->hash = (ProtobufCBinaryData){32, g->hash};
}

static void set_extent(Wire1__Extent *extent, uint64_t start_block, uint64_t n_blocks)
{
    wire1__extent__init(extent);
    extent->has_start_block = extent->has_num_blocks = true;
    extent->start_block = start_block;
    extent->num_blocks = n_blocks;
}

static void set_operation(Good *g, size_t i, uint32_t offset, uint32_t n_bytes)
{
    Wire1__InstallOperation *operation = &g->operations[i];
    wire1__install_operation__init(operation);
    operation->type = WIRE1__INSTALL_OPERATION__TYPE__REPLACE_BZ;
    operation->has_data_offset = operation->has_data_length = true;
    operation->data_offset = offset;
    operation->data_length = n_bytes;
    operation->has_data_sha256_hash = true;
    operation->data_sha256_hash = (ProtobufCBinaryData){32, g->hash};
    operation->dst_extents = &g->dst_list[i];
    operation->n_dst_extents = 1;
    operation->src_extents = &g->src_list[i];
    g->list[i] = operation;
}

static void good_init(Good *g)
{
    *g = (Good){.hash = {1, 2, 3}};
    for (size_t i = 0; i < 4; i++) {
        g->dst_list[i] = &g->dst[i];
        g->src_list[i] = &g->src[i];
        set_extent(&g->src[i], i, 1);
    }
    set_extent(&g->dst[0], 0, 8);
    set_extent(&g->dst[1], 8, 8);
    set_extent(&g->dst[2], 0, 2);
    set_extent(&g->dst[3], EXTENT_HOLE, 1);
    set_operation(g, 0, 0, 1000);
    set_operation(g, 1, 1000, 500);
    set_operation(g, 2, 1500, 300);
    set_operation(g, 3, 1800, 267);
    g->operations[3].has_data_sha256_hash = false;
    set_info(g, &g->info, 10 * 4096 + 5);
    set_info(g, &g->old_info, 9 * 4096);
    set_info(g, &g->kernel_info, 8192);

    wire1__delta_archive_manifest__init(&g->manifest);
    g->manifest.partition_operations = g->list;
    g->manifest.n_partition_operations = 2;
    g->manifest.noop_operations = &g->list[3];
    g->manifest.n_noop_operations = 1;
    g->manifest.has_signatures_offset = g->manifest.has_signatures_size = true;
    g->manifest.signatures_offset = 1800;
    g->manifest.signatures_size = 267;
    g->manifest.new_partition_info = &g->info;
    for (size_t i = 0; i < 20; i++)
        g->procedure_list[i] = &g->procedures[0];
    wire1__install_procedure__init(&g->procedures[0]);
    g->procedures[0].has_type = true;
    g->procedures[0].type = WIRE1__INSTALL_PROCEDURE__TYPE__KERNEL;
    g->procedures[0].operations = &g->list[2];
    g->procedures[0].n_operations = 1;
    g->procedures[0].new_info = &g->kernel_info;
    g->manifest.procedures = g->procedure_list;
    g->manifest.n_procedures = 1;
}

/* Operation 1 becomes one that moves or patches two blocks of the partition. */
static void make_delta(Good *g, Wire1__InstallOperation__Type type)
{
    g->manifest.old_partition_info = &g->old_info;
    g->operations[1].type = type;
    g->operations[1].n_src_extents = 2;
    set_extent(&g->dst[1], 8, 3);
    set_extent(&g->src[1], 0, 1);
    set_extent(&g->src[2], 3, 2);
    if (type == WIRE1__INSTALL_OPERATION__TYPE__MOVE) {
        g->operations[1].data_length = 0;
        g->operations[2].data_offset = 1000;
        g->manifest.signatures_offset = 1300;
        return;
    }
    g->operations[1].has_src_length = g->operations[1].has_dst_length = true;
    g->operations[1].src_length = 2 * 4096 + 100;
    g->operations[1].dst_length = 2 * 4096 + 5;
}

static UpdateError parse(const Good *g, Manifest **ret_manifest, ErrorText *error)
{
    size_t n_bytes = wire1__delta_archive_manifest__get_packed_size(&g->manifest);
    uint8_t *data = malloc(n_bytes + 1);
    ck_assert_uint_eq(wire1__delta_archive_manifest__pack(&g->manifest, data), n_bytes);
    *error = (ErrorText){0};
    UpdateError failure = manifest_parse(1, data, n_bytes, ret_manifest, error);
    memset(data, 0xff, n_bytes); /* nothing refers to it */
    free(data);
    return failure;
}

static void assert_refused(const Good *g, UpdateError expected, const char *reason)
{
    Manifest *manifest = NULL;
    ErrorText error;
    ck_assert_int_eq(parse(g, &manifest, &error), expected);
    ck_assert_ptr_null(manifest);
    ck_assert_msg(strstr(error.line, reason) != NULL, "'%s' is not in '%s'", reason, error.line);
}

/* Spoils a copy of the good manifest, `g`, and says what must come of it. */
#define REFUSED(expected, reason, ...)        \
    do {                                      \
        Good g;                               \
        good_init(&g);                        \
        __VA_ARGS__;                          \
        assert_refused(&g, expected, reason); \
    } while (0)

#define TAKEN(manifest, ...)                                                          \
    do {                                                                              \
        Good g;                                                                       \
        ErrorText error;                                                              \
        good_init(&g);                                                                \
        __VA_ARGS__;                                                                  \
        ck_assert_msg(parse(&g, &(manifest), &error) == UPDATE_OK, "%s", error.line); \
    } while (0)

START_TEST(a_good_manifest_is_read)
{
    _cleanup_(manifest_freep) Manifest *manifest = NULL;
    TAKEN(manifest, );
    ck_assert_uint_eq(manifest->format, 1);
    ck_assert_str_eq(manifest->product, "");
    ck_assert_str_eq(manifest->version, "");
    ck_assert_uint_eq(manifest->n_blob_bytes, 1800 + 267);
    ck_assert_uint_eq(manifest->n_partitions, 2);
    ck_assert_uint_eq(manifest->n_operations, 3);
    const PartitionUpdate *slot = &manifest->partitions[0], *kernel = &manifest->partitions[1];
    ck_assert_int_eq(slot->kind, PARTITION_SLOT);
    ck_assert_uint_eq(slot->size_bytes, 10 * 4096 + 5);
    ck_assert_int_eq(slot->hash.bytes[2], 3);
    ck_assert_ptr_eq(slot->operations, manifest->operations);
    ck_assert_uint_eq(slot->n_operations, 2);
    ck_assert(!slot->has_source && !slot->has_verity);
    ck_assert_uint_eq(slot->operations[1].dst_extents[0].start_block, 8);
    ck_assert_uint_eq(slot->operations[1].n_short_bytes, 8 * 4096);
    ck_assert_int_eq(kernel->kind, PARTITION_KERNEL);
    ck_assert_str_eq(kernel->name, "KERNEL");
    ck_assert_uint_eq(kernel->size_bytes, 8192);
    ck_assert_ptr_eq(kernel->operations, &manifest->operations[2]);
    ck_assert_uint_eq(kernel->operations[0].partition, 1);
    ck_assert_uint_eq(kernel->operations[0].data_offset_bytes, 1500);
}
END_TEST

START_TEST(a_procedure_that_is_not_known_is_taken_in)
{
    _cleanup_(manifest_freep) Manifest *manifest = NULL;
    TAKEN(manifest, g.procedures[0].type = (Wire1__InstallProcedure__Type)7;
            g.procedures[0].new_info = NULL; g.operations[2].type = 9;
            g.dst[2].start_block = 1 << 20);
    ck_assert_uint_eq(manifest->n_operations, 3);
    ck_assert_int_eq(manifest->partitions[1].kind, PARTITION_UNKNOWN);
    ck_assert_uint_eq(manifest->n_blob_bytes, 1800 + 267);
}
END_TEST

START_TEST(a_delta_within_the_partition_is_read)
{
    _cleanup_(manifest_freep) Manifest *move = NULL;
    TAKEN(move, make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__MOVE));
    ck_assert(move->partitions[0].has_source);
    ck_assert_uint_eq(move->partitions[0].source_bytes, 9 * 4096);
    ck_assert_int_eq(move->operations[1].type, OPERATION_MOVE);
    ck_assert_uint_eq(move->operations[1].n_src_bytes, 3 * 4096);
    ck_assert_uint_eq(move->operations[1].n_short_bytes, 0);

    _cleanup_(manifest_freep) Manifest *patch = NULL;
    TAKEN(patch, make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__BSDIFF));
    ck_assert_int_eq(patch->operations[1].type, OPERATION_BSDIFF);
    ck_assert_uint_eq(patch->operations[1].n_src_bytes, 2 * 4096 + 100);
    ck_assert_uint_eq(patch->operations[1].n_dst_bytes, 3 * 4096);
    ck_assert_uint_eq(patch->operations[1].n_short_bytes, 4096 - 5);
}
END_TEST

START_TEST(holes_are_blocks_that_are_nowhere)
{
    _cleanup_(manifest_freep) Manifest *manifest = NULL;
    TAKEN(manifest, make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__MOVE);
            g.dst[1].start_block = EXTENT_HOLE; g.src[2].start_block = EXTENT_HOLE);
    ck_assert_uint_eq(manifest->operations[1].dst_extents[0].start_block, EXTENT_HOLE);
}
END_TEST

START_TEST(data_follows_on_data)
{
    REFUSED(UPDATE_ERROR_OPERATION, "operation 2 of the payload has its data at 999, where 1000",
            g.operations[1].data_offset = 999);
    REFUSED(UPDATE_ERROR_OPERATION, "operation 3", g.operations[2].data_offset = 0);
    REFUSED(UPDATE_ERROR_OPERATION, "at 1801, where the data ends at 1800",
            g.manifest.signatures_offset = 1801);
    REFUSED(UPDATE_ERROR_OPERATION_HASH, "no SHA-256",
            g.operations[0].has_data_sha256_hash = false);
    REFUSED(UPDATE_ERROR_OPERATION_HASH, "no SHA-256", g.operations[2].data_sha256_hash.len = 31);
    REFUSED(UPDATE_ERROR_MANIFEST, "more data than one operation may",
            g.operations[0].data_length = (32 << 20) + 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "do not fit", g.operations[0].data_length = 0);
}
END_TEST

START_TEST(no_arithmetic_overflows)
{
    REFUSED(UPDATE_ERROR_MANIFEST, "goes past any partition", g.dst[0].num_blocks = UINT64_MAX);
    REFUSED(UPDATE_ERROR_MANIFEST, "goes past any partition", g.dst[0].num_blocks = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "goes past any partition",
            g.dst[0].start_block = UINT64_MAX - 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "goes past any partition", g.operations[0].n_dst_extents = 4;
            for (size_t i = 0; i < 4; i++) g.dst[i].num_blocks = UINT64_C(1) << 49);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "new size", g.info.size = UINT64_MAX);
    REFUSED(UPDATE_ERROR_MANIFEST, "goes past any partition",
            make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__MOVE);
            g.src[1].start_block = UINT64_C(1) << 52);
}
END_TEST

START_TEST(what_is_written_is_bounded)
{
    REFUSED(UPDATE_ERROR_MANIFEST, "writes block 11 of USR, which has 11",
            g.dst[1].start_block = 11);
    REFUSED(UPDATE_ERROR_MANIFEST, "writes more to USR", g.dst[1].start_block = 3);
    REFUSED(UPDATE_ERROR_MANIFEST, "writes more to USR",
            make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__MOVE);
            g.dst[1].num_blocks = g.src[1].num_blocks = 40; g.operations[1].n_src_extents = 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "KERNEL is said to have",
            g.kernel_info.size = (UINT64_C(1) << 30) + 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "writes block 2 of KERNEL", g.dst[2].start_block = 2);
}
END_TEST

START_TEST(deltas_say_what_they_begin_with)
{
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "does not say what it begins with",
            make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__MOVE);
            g.manifest.old_partition_info = NULL);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "delta of USR",
            make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__MOVE);
            g.old_info.hash.len = 3);
    REFUSED(UPDATE_ERROR_MANIFEST, "do not fit",
            make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__MOVE);
            g.dst[1].num_blocks = 2);
    REFUSED(UPDATE_ERROR_MANIFEST, "do not fit",
            make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__BSDIFF);
            g.operations[1].src_length = 3 * 4096 + 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "do not fit",
            make_delta(&g, WIRE1__INSTALL_OPERATION__TYPE__BSDIFF);
            g.operations[1].dst_length = 2 * 4096);
    REFUSED(UPDATE_ERROR_MANIFEST, "of a type that format 1 does not have",
            g.operations[0].type = (Wire1__InstallOperation__Type)8);
}
END_TEST

START_TEST(what_must_be_there_is_there)
{
    REFUSED(UPDATE_ERROR_NO_SIGNATURE, "no payload signature",
            g.manifest.has_signatures_offset = false);
    REFUSED(UPDATE_ERROR_NO_SIGNATURE, "no payload signature", g.manifest.signatures_size = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "65537", g.manifest.signatures_size = 65537);
    REFUSED(UPDATE_ERROR_MANIFEST, "blocks of 512", g.manifest.has_block_size = true;
            g.manifest.block_size = 512);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "hash of USR", g.manifest.new_partition_info = NULL);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "hash of KERNEL", g.procedures[0].new_info = NULL);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "hash of USR", g.info.hash.len = 33);
    REFUSED(UPDATE_ERROR_MANIFEST, "KERNEL twice", g.manifest.n_procedures = 2;
            g.procedures[1] = g.procedures[0]; g.procedures[1].n_operations = 0;
            g.procedure_list[1] = &g.procedures[1]);
    REFUSED(UPDATE_ERROR_MANIFEST, "16 procedures", g.manifest.n_procedures = 16);
    Manifest *manifest = NULL;
    ck_assert_int_eq(manifest_parse(1, (const uint8_t *)"\xff\xff", 2, &manifest, NULL),
            UPDATE_ERROR_MANIFEST);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("manifest-v1");
    TCase *tcase = unit_case(suite, "manifest-v1");
    tcase_add_test(tcase, a_good_manifest_is_read);
    tcase_add_test(tcase, a_procedure_that_is_not_known_is_taken_in);
    tcase_add_test(tcase, a_delta_within_the_partition_is_read);
    tcase_add_test(tcase, holes_are_blocks_that_are_nowhere);
    tcase_add_test(tcase, data_follows_on_data);
    tcase_add_test(tcase, no_arithmetic_overflows);
    tcase_add_test(tcase, what_is_written_is_bounded);
    tcase_add_test(tcase, deltas_say_what_they_begin_with);
    tcase_add_test(tcase, what_must_be_there_is_there);
    return suite;
}
