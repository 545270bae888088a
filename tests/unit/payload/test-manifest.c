/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/manifest.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "tests/unit/payload/good-manifest.h"
#include "tests/unit/unit.h"
#include "updater/payload-writer/manifest-writer.h"

static UpdateError parse(const uint8_t *data, size_t n_bytes, ErrorText *error)
{
    Manifest *manifest = NULL;
    UpdateError failure = manifest_parse(2, data, n_bytes, &manifest, error);
    ck_assert_int_eq(failure == UPDATE_OK, manifest != NULL);
    ck_assert_int_eq(failure == UPDATE_OK, error->line[0] == '\0');
    manifest_free(manifest);
    return failure;
}

static void assert_refused(const GoodManifest *good, UpdateError expected, const char *reason)
{
    uint8_t *data;
    size_t n_bytes = good_manifest_pack(good, &data);
    ErrorText error = {0};
    ck_assert_int_eq(parse(data, n_bytes, &error), expected);
    ck_assert_msg(strstr(error.line, reason) != NULL, "'%s' is not in '%s'", reason, error.line);
    free(data);
}

static void assert_taken(const GoodManifest *good)
{
    uint8_t *data;
    size_t n_bytes = good_manifest_pack(good, &data);
    ErrorText error = {0};
    ck_assert_msg(parse(data, n_bytes, &error) == UPDATE_OK, "%s", error.line);
    free(data);
}

/* Spoils a copy of the good manifest, `g`, and says what must come of it. */
#define REFUSED(expected, reason, ...) REFUSED_AFTER((void)0, expected, reason, __VA_ARGS__)
#define REFUSED_AFTER(prepare, expected, reason, ...) \
    do {                                              \
        GoodManifest g;                               \
        good_manifest_init(&g);                       \
        prepare;                                      \
        __VA_ARGS__;                                  \
        assert_refused(&g, expected, reason);         \
    } while (0)

START_TEST(a_good_manifest_is_read)
{
    GoodManifest good;
    good_manifest_init(&good);
    uint8_t *data;
    size_t n_bytes = good_manifest_pack(&good, &data);
    Manifest *manifest = NULL;
    ErrorText error = {0};
    ck_assert_msg(
            manifest_parse(2, data, n_bytes, &manifest, &error) == UPDATE_OK, "%s", error.line);
    memset(data, 0xff, n_bytes); /* nothing refers to it */
    free(data);

    ck_assert_str_eq(manifest->product, "demo");
    ck_assert_str_eq(manifest->version, "1.2.3");
    ck_assert_str_eq(manifest->min_version, "1.0.0");
    ck_assert_uint_eq(manifest->n_blob_bytes, 64 * 100 + 100 * 4096 + 267);
    ck_assert_uint_eq(manifest->n_partitions, 1);
    const PartitionUpdate *partition = &manifest->partitions[0];
    ck_assert_str_eq(partition->name, "usr");
    ck_assert_uint_eq(partition->size_bytes, 606 * 4096);
    ck_assert_uint_eq(partition->hash.bytes[0], 1);
    ck_assert(partition->has_verity);
    ck_assert_uint_eq(partition->verity.n_data_blocks, 600);
    ck_assert_uint_eq(partition->verity.n_salt_bytes, 32);
    ck_assert_uint_eq(partition->verity.salt[0], 2);
    ck_assert_uint_eq(partition->tree_start_block, 600);
    ck_assert_uint_eq(partition->n_tree_blocks, 6);
    ck_assert_uint_eq(partition->block_index[0], 3);
    ck_assert_uint_eq(partition->n_operations, 3);
    const Operation *operation = &partition->operations[0];
    ck_assert_int_eq(operation->type, OPERATION_REPLACE_ZSTD);
    ck_assert_uint_eq(operation->n_dst_extents, 2);
    ck_assert_uint_eq(operation->dst_extents[1].start_block, 300);
    ck_assert_uint_eq(operation->n_dst_bytes, 256 * 4096);
    ck_assert_uint_eq(manifest->frame_target_bytes, 16384); /* which it does not say */
    ck_assert_uint_eq(operation->n_frames, 64);
    ck_assert_uint_eq(operation->frame_bytes[63], 100);
    ck_assert_uint_eq(partition->operations[1].n_data_bytes, 0);
    ck_assert_uint_eq(partition->operations[2].data_offset_bytes, 6400);
    manifest_free(manifest);
}
END_TEST

START_TEST(what_is_read_is_written_the_same)
{
    GoodManifest good;
    good_manifest_init(&good);
    uint8_t *first, *second;
    size_t n_first = good_manifest_pack(&good, &first);
    Manifest *manifest = NULL;
    ErrorText error = {0};
    ck_assert_int_eq(manifest_parse(2, first, n_first, &manifest, &error), UPDATE_OK);
    size_t n_second;
    ck_assert_int_eq(manifest_write(manifest, &second, &n_second, &error), 0);
    manifest_free(manifest);
    /* The writer says block size and minor version, which the good one leaves to the default. */
    ck_assert_uint_eq(n_second, n_first + 3 + 2);
    ck_assert_int_eq(manifest_parse(2, second, n_second, &manifest, &error), UPDATE_OK);
    ck_assert_uint_eq(manifest->partitions[0].operations[0].n_frames, 64);
    uint8_t *third;
    size_t n_third;
    ck_assert_int_eq(manifest_write(manifest, &third, &n_third, &error), 0);
    ck_assert_uint_eq(n_third, n_second);
    ck_assert_mem_eq(third, second, n_second);
    ((Manifest *)manifest)->product = "";
    ck_assert_int_eq(manifest_write(manifest, &third, &n_third, &error), -EINVAL);
    manifest_free(manifest);
    free(first);
    free(second);
    free(third);
}
END_TEST

START_TEST(optional_fields_may_be_absent)
{
    GoodManifest good;
    good_manifest_init(&good);
    good.manifest.min_version = NULL;
    good.partition.has_block_index = 0;
    good.partition.has_hash_tree_salt = 0;
    good.operations[0].n_frame_bytes = 0;
    assert_taken(&good);
    good.operations[1].type = WIRE__INSTALL_OPERATION__TYPE__DISCARD;
    good.operations[0].type = WIRE__INSTALL_OPERATION__TYPE__REPLACE_BZ;
    good.operations[2].type = WIRE__INSTALL_OPERATION__TYPE__REPLACE_XZ;
    assert_taken(&good);
    good.partition.hash_tree_extent = NULL; /* no verity */
    good.info.size = GOOD_DATA_BLOCKS * 4096;
    assert_taken(&good);
}
END_TEST

START_TEST(formats_that_are_not_ours_are_refused)
{
    for (uint32_t minor = 1; minor < 20; minor = minor == 1 ? 7 : minor + 1)
        REFUSED(UPDATE_ERROR_VERSION_REFUSED, "of the minor version",
                g.manifest.has_minor_version = 1, g.manifest.minor_version = minor);
    REFUSED(UPDATE_ERROR_MANIFEST, "blocks of 512 bytes", g.manifest.has_block_size = 1,
            g.manifest.block_size = 512);
    REFUSED(UPDATE_ERROR_MANIFEST, "format 1", g.manifest.install_operations = g.operation_list,
            g.manifest.n_install_operations = 1);
    REFUSED(UPDATE_ERROR_NO_SIGNATURE, "no payload signature",
            g.manifest.has_signatures_offset = 0);
    REFUSED(UPDATE_ERROR_NO_SIGNATURE, "no payload signature", g.manifest.signatures_size = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "program of its own", g.partition.has_run_postinstall = 1,
            g.partition.run_postinstall = 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "error correction", g.partition.fec_extent = &g.extents[0]);
    REFUSED(UPDATE_ERROR_MANIFEST, "type 9", g.operations[1].type = 9);
    REFUSED(UPDATE_ERROR_MANIFEST, "type -1", g.operations[1].type = -1);
}
END_TEST

#define DELTA_REFUSED(...) REFUSED_AFTER(good_manifest_make_delta(&g), __VA_ARGS__)

START_TEST(a_delta_is_read_and_written)
{
    GoodManifest good;
    good_manifest_init(&good);
    good_manifest_make_delta(&good);
    uint8_t *data, *written;
    size_t n_bytes = good_manifest_pack(&good, &data), n_written;
    Manifest *manifest = NULL;
    ErrorText error = {0};
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(
                manifest_parse(2, data, n_bytes, &manifest, &error) == UPDATE_OK, "%s", error.line);
        ck_assert_uint_eq(manifest->minor_version, 6);
        ck_assert_str_eq(manifest->source_version, "1.2.2");
        const PartitionUpdate *partition = &manifest->partitions[0];
        ck_assert(partition->has_source);
        ck_assert_uint_eq(partition->source_bytes, GOOD_OLD_BLOCKS * 4096);
        ck_assert_uint_eq(partition->source_hash.bytes[0], 1);
        const Operation *copy = &partition->operations[1];
        ck_assert_int_eq(copy->type, OPERATION_SOURCE_COPY);
        ck_assert_uint_eq(copy->n_src_bytes, 244 * 4096);
        ck_assert_uint_eq(copy->src_extents[1].start_block, 100);
        ck_assert(copy->has_src_sha256);
        ck_assert_uint_eq(copy->src_sha256.bytes[0], 1);
        ck_assert_int_eq(partition->operations[2].type, OPERATION_SOURCE_BSDIFF);
        ck_assert_uint_eq(partition->operations[2].n_src_extents, 1);
        ck_assert_int_eq(manifest_write(manifest, &written, &n_written, &error), 0);
        manifest_free(manifest);
        free(data);
        data = written;
        n_bytes = n_written;
    }
    free(data);
}
END_TEST

START_TEST(each_known_minor_version_is_a_delta)
{
    GoodManifest good;
    good_manifest_init(&good);
    good_manifest_make_delta(&good);
    for (good.manifest.minor_version = 2; good.manifest.minor_version <= 6;
            good.manifest.minor_version++)
        assert_taken(&good);
}
END_TEST

START_TEST(a_full_payload_reads_nothing)
{
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "does not say what it begins with",
            g.manifest.has_minor_version = 1, g.manifest.minor_version = 6);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "not that it is a delta", g.manifest.minor_version = 0);
    DELTA_REFUSED(
            UPDATE_ERROR_NO_PARTITION_INFO, "begins with", g.partition.old_partition_info = NULL);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "reads what the partition held before",
            g.partition.old_partition_info = NULL, g.manifest.minor_version = 0);
    DELTA_REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "SHA-256", g.old_info.has_hash = 0);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "source, which its type does not read",
            g.operations[1].type = WIRE__INSTALL_OPERATION__TYPE__ZERO);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "source, which its type does not read",
            g.operations[2].type = WIRE__INSTALL_OPERATION__TYPE__REPLACE);
    DELTA_REFUSED(
            UPDATE_ERROR_MANIFEST, "source version", g.manifest.source_version = (char *)"1\n");
}
END_TEST

START_TEST(sources_lie_inside_what_was_held)
{
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "not a multiple", g.old_info.size = 0);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "not a multiple", g.old_info.size += 512);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "not a multiple", g.old_info.size = UINT64_C(1) << 63);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "beyond the 299", g.old_info.size -= 4096);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "beyond the 300", g.src_extents[1].start_block++);
    DELTA_REFUSED(
            UPDATE_ERROR_MANIFEST, "beyond the 300", g.src_extents[1].start_block = UINT64_MAX);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "beyond the 300",
            g.src_extents[0].start_block = UINT64_MAX - 43);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "an extent has 0 blocks", g.src_extents[0].num_blocks = 0);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "copies 995328 bytes to", g.src_extents[0].num_blocks--);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "reads 0 bytes", g.operations[1].n_src_extents = 0);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "reads 8392704 bytes", g.src_extents[0].num_blocks = 2049,
            g.operations[1].n_src_extents = 1);
    DELTA_REFUSED(UPDATE_ERROR_OPERATION_HASH, "no SHA-256 hash of it",
            g.operations[1].has_src_sha256_hash = 0);
    DELTA_REFUSED(UPDATE_ERROR_OPERATION_HASH, "no SHA-256 hash of it",
            g.operations[2].src_sha256_hash.len = 31);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "0 bytes of data",
            g.operations[1].type = WIRE__INSTALL_OPERATION__TYPE__SOURCE_BSDIFF);
    DELTA_REFUSED(UPDATE_ERROR_MANIFEST, "copies, but has data",
            g.operations[2].type = WIRE__INSTALL_OPERATION__TYPE__SOURCE_COPY,
            g.operations[1].type = WIRE__INSTALL_OPERATION__TYPE__ZERO,
            g.operations[1].n_src_extents = 0, g.src_extents[0].num_blocks = 100);
}
END_TEST

START_TEST(names_are_checked)
{
    static char long_text[130] = {[0 ... 128] = 'x'};
    REFUSED(UPDATE_ERROR_MANIFEST, "product", g.manifest.product = NULL);
    REFUSED(UPDATE_ERROR_MANIFEST, "version", g.manifest.version = NULL);
    REFUSED(UPDATE_ERROR_MANIFEST, "product", g.manifest.product = (char *)"");
    REFUSED(UPDATE_ERROR_MANIFEST, "version", g.manifest.version = (char *)"1 0");
    REFUSED(UPDATE_ERROR_MANIFEST, "version", g.manifest.version = long_text);
    REFUSED(UPDATE_ERROR_MANIFEST, "minimum version", g.manifest.min_version = (char *)"1\n0");
    REFUSED(UPDATE_ERROR_MANIFEST, "name of partition 1", g.partition.partition_name = (char *)"");
    REFUSED(UPDATE_ERROR_MANIFEST, "name of partition 1",
            g.partition.partition_name = (char *)"../usr");
    REFUSED(UPDATE_ERROR_MANIFEST, "name of partition 1",
            g.partition.partition_name = (char *)".usr");
    REFUSED(UPDATE_ERROR_MANIFEST, "two partitions of the name usr", g.manifest.n_partitions = 2);
    REFUSED(UPDATE_ERROR_MANIFEST, "0 partitions", g.manifest.n_partitions = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "17 partitions", g.manifest.n_partitions = 17);
}
END_TEST

START_TEST(what_the_slot_must_hold_is_said)
{
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "new size", g.partition.new_partition_info = NULL);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "new size", g.info.has_size = 0);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "new size", g.info.has_hash = 0);
    REFUSED(UPDATE_ERROR_NO_PARTITION_INFO, "new size", g.info.hash.len = 31);
    REFUSED(UPDATE_ERROR_MANIFEST, "multiple of 4096", g.info.size = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "multiple of 4096", g.info.size += 512);
    REFUSED(UPDATE_ERROR_MANIFEST, "multiple of 4096", g.info.size = UINT64_C(1) << 63);
}
END_TEST

START_TEST(blobs_follow_one_another)
{
    REFUSED(UPDATE_ERROR_OPERATION_HASH, "no SHA-256", g.operations[0].has_data_sha256_hash = 0);
    REFUSED(UPDATE_ERROR_OPERATION_HASH, "no SHA-256", g.operations[0].data_sha256_hash.len = 20);
    REFUSED(UPDATE_ERROR_MANIFEST, "has its data at 6401", g.operations[2].data_offset++);
    REFUSED(UPDATE_ERROR_MANIFEST, "has its data at 6399", g.operations[2].data_offset--);
    REFUSED(UPDATE_ERROR_MANIFEST, "has its data at 1", g.operations[0].data_offset = 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "0 bytes of data", g.operations[0].has_data_length = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "bytes of data", g.operations[0].data_length = (8 << 20) + 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "bytes of data", g.operations[0].data_length = UINT64_MAX);
    REFUSED(UPDATE_ERROR_MANIFEST, "writes zeros, but has data",
            g.operations[2].type = WIRE__INSTALL_OPERATION__TYPE__ZERO);
    REFUSED(UPDATE_ERROR_MANIFEST, "the data ends at 416000", g.manifest.signatures_offset++);
    REFUSED(UPDATE_ERROR_MANIFEST, "the data ends at 416000",
            g.manifest.signatures_offset = UINT64_MAX);
    REFUSED(UPDATE_ERROR_MANIFEST, "at most 65536", g.manifest.signatures_size = 65537);
    REFUSED(UPDATE_ERROR_MANIFEST, "at most 65536", g.manifest.signatures_size = UINT64_MAX);
}
END_TEST

START_TEST(extents_cover_the_partition_once)
{
    REFUSED(UPDATE_ERROR_MANIFEST, "an extent has 0 blocks", g.extents[0].num_blocks = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "an extent has", g.extents[1].num_blocks = UINT64_MAX);
    REFUSED(UPDATE_ERROR_MANIFEST, "past any partition",
            g.extents[2].num_blocks = UINT64_C(1) << 60);
    REFUSED(UPDATE_ERROR_MANIFEST, "bytes; 4096 to", g.extents[2].num_blocks = 2049);
    REFUSED(UPDATE_ERROR_MANIFEST, "bytes; 4096 to", g.operations[1].n_dst_extents = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 600 is written twice", g.extents[2].num_blocks++);
    REFUSED(UPDATE_ERROR_MANIFEST, "beyond its 606 blocks", g.extents[2].num_blocks = 251);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 356 is never written",
            g.extents[2].start_block = UINT64_MAX);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 356 is never written", g.extents[2].start_block = 357,
            g.extents[2].num_blocks--);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 599 is never written", g.extents[2].num_blocks--);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 0 is never written", g.extents[0].start_block++,
            g.extents[0].num_blocks--, g.operations[0].n_frame_bytes = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 299 is written twice", g.extents[1].start_block--,
            g.extents[1].num_blocks++, g.operations[0].n_frame_bytes = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 0 is written twice", g.extents[3].start_block = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "is never written", g.partition.n_operations = 2,
            g.manifest.signatures_offset = 6400);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 600 is never written", g.partition.has_block_index = 0,
            g.partition.hash_tree_extent = NULL); /* without a tree all of it must be written */
}
END_TEST

/* What follows the tree (a kernel, a slot's trailer), and a gap before it, are operations. */
START_TEST(the_tree_may_lie_amid_the_partition)
{
    GoodManifest good;
    good_manifest_init(&good);
    good.data_extent.num_blocks = good.tree_extent.start_block = 356;
    good.tree_extent.num_blocks = 4;
    good.partition.block_index.len = 356 * 8;
    good.extents[2].start_block = 360;
    good.info.size = 604 * 4096;
    assert_taken(&good);
    good.data_extent.num_blocks = 350; /* blocks 350 to 355 belong to nothing, and are sent */
    good.partition.block_index.len = 350 * 8;
    assert_taken(&good);

    good.info.size += 4096;
    assert_refused(&good, UPDATE_ERROR_MANIFEST, "block 604 is never written");
    good.info.size -= 2 * 4096;
    assert_refused(&good, UPDATE_ERROR_MANIFEST, "beyond its 603 blocks");
    good.info.size += 4096;
    good.extents[2].start_block = 359;
    assert_refused(&good, UPDATE_ERROR_MANIFEST, "block 359 is written twice");
}
END_TEST

START_TEST(frames_add_up)
{
    REFUSED(UPDATE_ERROR_MANIFEST, "frames", g.frame_bytes[5]++);
    REFUSED(UPDATE_ERROR_MANIFEST, "frames", g.frame_bytes[5] = 0, g.frame_bytes[6] = 200);
    REFUSED(UPDATE_ERROR_MANIFEST, "frames", g.operations[0].n_frame_bytes = 63,
            g.frame_bytes[0] = 200);
    REFUSED(UPDATE_ERROR_MANIFEST, "frames",
            g.operations[0].type = WIRE__INSTALL_OPERATION__TYPE__REPLACE_XZ);
}
END_TEST

/* The good one's first operation has 256 blocks. */
START_TEST(frames_are_of_the_size_that_is_said)
{
    static uint32_t sizes[256];
    GoodManifest good;
    good_manifest_init(&good);
    ErrorText error = {0};
    for (uint32_t n_frames = 256; n_frames >= 4; n_frames /= 2) {
        for (size_t i = 0; i < n_frames; i++)
            sizes[i] = 6400 / n_frames;
        good.manifest.has_frame_size = 1;
        good.manifest.frame_size = 256 * 4096 / n_frames;
        good.operations[0].frame_bytes = sizes;
        good.operations[0].n_frame_bytes = n_frames;
        assert_taken(&good);
        uint8_t *data, *again;
        size_t n_bytes = good_manifest_pack(&good, &data), n_again;
        Manifest *manifest = NULL;
        ck_assert_int_eq(manifest_parse(2, data, n_bytes, &manifest, &error), UPDATE_OK);
        ck_assert_uint_eq(manifest->frame_target_bytes, good.manifest.frame_size);
        ck_assert_int_eq(manifest_write(manifest, &again, &n_again, &error), 0);
        manifest_free(manifest);
        ck_assert_int_eq(manifest_parse(2, again, n_again, &manifest, &error), UPDATE_OK);
        ck_assert_uint_eq(manifest->frame_target_bytes, good.manifest.frame_size);
        manifest_free(manifest);
        free(data);
        free(again);
        good.manifest.frame_size *= 2;
        assert_refused(&good, UPDATE_ERROR_MANIFEST, n_frames == 4 ? "powers of 2" : "frames");
    }
}
END_TEST

START_TEST(frames_of_no_size_that_is_made)
{
    static const uint32_t sizes[] = {
            0, 1, 2048, 4095, 4097, 12288, 16383, 40960, 512 * 1024, 1 << 20, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < ELEMENTS(sizes); i++)
        REFUSED(UPDATE_ERROR_MANIFEST, "powers of 2 from 4096 to 262144",
                g.manifest.has_frame_size = 1, g.manifest.frame_size = sizes[i],
                g.operations[0].n_frame_bytes = 0);
}
END_TEST

static void let_frames_refer_back(GoodManifest *good)
{
    good->operations[0].type = WIRE__INSTALL_OPERATION__TYPE__REPLACE_ZSTD_PREFIX;
    good->manifest.has_frame_prefix = 1;
    good->manifest.frame_prefix = 128 * 1024;
}

START_TEST(frames_may_refer_to_what_lies_before_them)
{
    static const uint32_t sizes[] = {4096, 16384, 20480, 131072};
    GoodManifest good;
    good_manifest_init(&good);
    let_frames_refer_back(&good);
    ErrorText error = {0};
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        good.manifest.frame_prefix = sizes[i];
        uint8_t *data, *again;
        size_t n_bytes = good_manifest_pack(&good, &data), n_again;
        Manifest *manifest = NULL;
        ck_assert_int_eq(manifest_parse(2, data, n_bytes, &manifest, &error), UPDATE_OK);
        ck_assert_int_eq(manifest_write(manifest, &again, &n_again, &error), 0);
        manifest_free(manifest);
        ck_assert_int_eq(manifest_parse(2, again, n_again, &manifest, &error), UPDATE_OK);
        ck_assert_uint_eq(manifest->frame_prefix_bytes, sizes[i]);
        const Operation *operations = manifest->operations;
        ck_assert_int_eq(operations[0].type, OPERATION_REPLACE_ZSTD_PREFIX);
        ck_assert_uint_eq(operations[0].frame_prefix_bytes, sizes[i]);
        ck_assert_uint_eq(operations[0].frame_target_bytes, 16384);
        ck_assert_uint_eq(operations[2].frame_prefix_bytes, 0);
        ((Operation *)operations)[0].frame_prefix_bytes += 4096;
        uint8_t *never;
        ck_assert_int_eq(manifest_write(manifest, &never, &n_bytes, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.line, "another kind"));
        error = (ErrorText){0};
        manifest_free(manifest);
        free(data);
        free(again);
    }
    good.operations[0].type = WIRE__INSTALL_OPERATION__TYPE__REPLACE_ZSTD;
    assert_taken(&good); /* and need not */
}
END_TEST

START_TEST(frames_that_refer_to_what_is_not_said)
{
    static const uint32_t sizes[] = {
            1, 4095, 4097, 6144, 131071, 131073, 128 * 1024 + 4096, 1u << 31, UINT32_MAX};
    for (size_t i = 0; i < ELEMENTS(sizes); i++)
        REFUSED_AFTER(let_frames_refer_back(&g), UPDATE_ERROR_MANIFEST,
                "multiples of 4096 up to 131072", g.manifest.frame_prefix = sizes[i]);
    REFUSED(UPDATE_ERROR_MANIFEST, "multiples of 4096", g.manifest.has_frame_prefix = 1,
            g.manifest.frame_prefix = 1); /* even where no frame refers to anything */
#define BACK_REFUSED(reason, ...) \
    REFUSED_AFTER(let_frames_refer_back(&g), UPDATE_ERROR_MANIFEST, reason, __VA_ARGS__)
    BACK_REFUSED("does not say how far", g.manifest.has_frame_prefix = 0);
    BACK_REFUSED("does not say how far", g.manifest.frame_prefix = 0);
    BACK_REFUSED("no list of them", g.operations[0].n_frame_bytes = 0);
    BACK_REFUSED("do not add up", g.operations[0].n_frame_bytes = 63);
    BACK_REFUSED("do not add up", g.operations[0].n_frame_bytes = 63, g.frame_bytes[0] = 200);
    BACK_REFUSED("do not add up", g.operations[0].n_frame_bytes = 65, g.frame_bytes[64] = 100);
    BACK_REFUSED("do not add up", g.frame_bytes[5]++);
    BACK_REFUSED("do not add up", g.frame_bytes[5] = 0, g.frame_bytes[6] = 200);
    BACK_REFUSED("do not add up", g.frame_bytes[5] = UINT32_MAX);
    BACK_REFUSED("1 to 8388608 are allowed", g.operations[0].has_data_length = 0,
            g.operations[0].data_length = 0);
    REFUSED_AFTER(let_frames_refer_back(&g), UPDATE_ERROR_OPERATION_HASH, "no SHA-256 hash",
            g.operations[0].has_data_sha256_hash = 0);
    REFUSED_AFTER((good_manifest_make_delta(&g), let_frames_refer_back(&g)), UPDATE_ERROR_MANIFEST,
            "has a source", g.operations[0].src_extents = g.src_list,
            g.operations[0].n_src_extents = 1);
    BACK_REFUSED("of the type 1001, which is not known",
            g.operations[0].type = (Wire__InstallOperation__Type)1001);
}
END_TEST

START_TEST(the_tree_fits_its_data)
{
    REFUSED(UPDATE_ERROR_MANIFEST, "sha256", g.partition.hash_tree_algorithm = NULL);
    REFUSED(UPDATE_ERROR_MANIFEST, "sha256", g.partition.hash_tree_algorithm = (char *)"sha1");
    REFUSED(UPDATE_ERROR_MANIFEST, "from the start", g.data_extent.start_block = 1);
    REFUSED(UPDATE_ERROR_MANIFEST, "from the start", g.partition.hash_tree_data_extent = NULL);
    REFUSED(UPDATE_ERROR_MANIFEST, "33 bytes of salt", g.partition.hash_tree_salt.len = 33);
    REFUSED(UPDATE_ERROR_MANIFEST, "root hash", g.partition.has_root_hash = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "root hash", g.partition.root_hash.len = 20);
    REFUSED(UPDATE_ERROR_MANIFEST, "follows a partition's data",
            (g.partition.has_rest_hash = 1, g.partition.rest_hash = g.partition.root_hash,
                    g.partition.rest_hash.len = 31));
    REFUSED(UPDATE_ERROR_MANIFEST, "behind its data", g.tree_extent.start_block--);
    REFUSED(UPDATE_ERROR_MANIFEST, "behind its data", g.tree_extent.start_block = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "inside the partition", g.tree_extent.start_block++);
    REFUSED(UPDATE_ERROR_MANIFEST, "inside the partition", g.tree_extent.start_block = UINT64_MAX);
    REFUSED(UPDATE_ERROR_MANIFEST, "inside the partition", g.tree_extent.num_blocks++);
    REFUSED(UPDATE_ERROR_MANIFEST, "inside the partition", g.info.size -= 4096);
    REFUSED(UPDATE_ERROR_MANIFEST, "block 606 is never written", g.info.size += 4096);
    REFUSED(UPDATE_ERROR_MANIFEST, "said to cover", g.data_extent.num_blocks = 0,
            g.partition.has_block_index = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "said to cover", g.data_extent.num_blocks = UINT64_MAX,
            g.partition.has_block_index = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "block index", g.partition.block_index.len += 8);
    REFUSED(UPDATE_ERROR_MANIFEST, "block index", g.partition.block_index.len--);
    REFUSED(UPDATE_ERROR_MANIFEST, "block index", g.partition.block_index.len = 0);
    REFUSED(UPDATE_ERROR_MANIFEST, "block index", g.partition.hash_tree_extent = NULL);
}
END_TEST

START_TEST(garbage_is_refused)
{
    static const uint8_t group[] = {0x0b, 0x0b, 0x0b, 0x0b};
    static const uint8_t absurd_length[] = {0x6a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    ErrorText error = {0};
    ck_assert_int_eq(parse(group, sizeof(group), &error), UPDATE_ERROR_MANIFEST);
    error.line[0] = '\0';
    ck_assert_int_eq(parse(absurd_length, sizeof(absurd_length), &error), UPDATE_ERROR_MANIFEST);
    error.line[0] = '\0';
    ck_assert_int_eq(parse(group, 0, &error), UPDATE_ERROR_MANIFEST);

    GoodManifest good;
    good_manifest_init(&good);
    good.manifest.min_version = NULL; /* the last field, and one that may be cut off */
    uint8_t *data;
    size_t n_bytes = good_manifest_pack(&good, &data);
    for (size_t n = 0; n < n_bytes; n++) {
        /* A copy of its length, so that a sanitizer sees a read behind it. */
        uint8_t *cut = malloc(n + 1);
        memcpy(cut + 1, data, n);
        error.line[0] = '\0';
        ck_assert_int_ne(parse(cut + 1, n, &error), UPDATE_OK);
        free(cut);
    }
    free(data);
}
END_TEST

/* The fuzzer's corpus says in its names what is good. */
START_TEST(the_corpus_means_what_it_says)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s", unit_data_path("../../fuzz/corpus/manifest"));
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    size_t n_good = 0, n_bad = 0;
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        char *data;
        size_t n_bytes;
        ck_assert_int_eq(fd_read_file(dirfd(dir), entry->d_name, 1 << 20, &data, &n_bytes), 0);
        bool is_good = strncmp(entry->d_name, "good", 4) == 0;
        ErrorText error = {0};
        UpdateError failure = parse((uint8_t *)data, n_bytes, &error);
        ck_assert_msg((failure == UPDATE_OK) == is_good, "%s: %s", entry->d_name, error.line);
        n_good += is_good;
        n_bad += !is_good;
        free(data);
    }
    closedir(dir);
    ck_assert_uint_ge(n_good, 5);
    ck_assert_uint_ge(n_bad, 20);
}
END_TEST

/* 4 MiB of unknown fields of 2 bytes, which protobuf-c keeps as 30 times as much. */
START_TEST(memory_is_bounded)
{
    size_t n_bytes = 4 << 20;
    uint8_t *data = malloc(n_bytes);
    for (size_t i = 0; i < n_bytes; i += 2) {
        data[i] = 0x38; /* field 7, varint */
        data[i + 1] = 0;
    }
    ErrorText error = {0};
    ck_assert_int_eq(parse(data, n_bytes, &error), UPDATE_ERROR_MANIFEST);
    ck_assert_ptr_nonnull(strstr(error.line, "more than a manifest of its size may"));
    free(data);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("manifest");
    TCase *tcase = unit_case(suite, "manifest");
    tcase_add_test(tcase, a_good_manifest_is_read);
    tcase_add_test(tcase, what_is_read_is_written_the_same);
    tcase_add_test(tcase, optional_fields_may_be_absent);
    tcase_add_test(tcase, formats_that_are_not_ours_are_refused);
    tcase_add_test(tcase, a_delta_is_read_and_written);
    tcase_add_test(tcase, each_known_minor_version_is_a_delta);
    tcase_add_test(tcase, a_full_payload_reads_nothing);
    tcase_add_test(tcase, sources_lie_inside_what_was_held);
    tcase_add_test(tcase, names_are_checked);
    tcase_add_test(tcase, what_the_slot_must_hold_is_said);
    tcase_add_test(tcase, blobs_follow_one_another);
    tcase_add_test(tcase, extents_cover_the_partition_once);
    tcase_add_test(tcase, the_tree_may_lie_amid_the_partition);
    tcase_add_test(tcase, frames_add_up);
    tcase_add_test(tcase, frames_are_of_the_size_that_is_said);
    tcase_add_test(tcase, frames_of_no_size_that_is_made);
    tcase_add_test(tcase, frames_may_refer_to_what_lies_before_them);
    tcase_add_test(tcase, frames_that_refer_to_what_is_not_said);
    tcase_add_test(tcase, the_tree_fits_its_data);
    tcase_add_test(tcase, garbage_is_refused);
    tcase_add_test(tcase, the_corpus_means_what_it_says);
    tcase_add_test(tcase, memory_is_bounded);
    return suite;
}
