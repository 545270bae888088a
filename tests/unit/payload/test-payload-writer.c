/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/payload-writer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "tests/unit/payload/test-keys.h"
#include "tests/unit/unit.h"
#include "partitions/slot-trailer.h"
#include "updater/payload/payload-file.h"

#define FILE_MAX_BYTES ((size_t)64 << 20)

static char folder[128];

/* FOLDER/NAME; static until the fourth call after. */
static const char *path_of(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void setup(void)
{
    snprintf(folder, sizeof(folder), "%s", unit_temp_dir());
    test_keys_make(folder, "key", TEST_KEY_ED25519);
}

/* Chance, text and zeros in turns of half a MiB. */
static void make_image(const char *name, size_t n_bytes)
{
    uint8_t *data = malloc(n_bytes);
    uint32_t random = 1;
    for (size_t i = 0; i < n_bytes; i++) {
        random = random * 1103515245 + 12345;
        switch (i >> 19 & 3) {
        case 0:
            data[i] = (uint8_t)(random >> 28);
            break;
        case 1:
            data[i] = (uint8_t)(random >> 24);
            break;
        default:
            data[i] = 0;
        }
    }
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path_of(name), data, n_bytes, 0600), 0);
    free(data);
}

static void read_file(const char *name, char **ret_data, size_t *ret_n_bytes)
{
    ck_assert_int_eq(
            fd_read_file(AT_FDCWD, path_of(name), FILE_MAX_BYTES, ret_data, ret_n_bytes), 0);
}

/* The same image, changed by bytes, by blocks and by an insertion. */
static void make_next_image(const char *name, const char *image, size_t n_insert_bytes)
{
    char *data;
    size_t n_bytes;
    read_file(image, &data, &n_bytes);
    uint8_t *next = calloc(1, n_bytes + n_insert_bytes);
    size_t half = n_bytes / 2;
    memcpy(next, data, half);
    memcpy(next + half + n_insert_bytes, data + half, n_bytes - half);
    for (size_t i = 0; i < n_bytes; i += 300 * 1000)
        next[i] ^= 0x33;
    ck_assert_int_eq(
            atomic_file_write(AT_FDCWD, path_of(name), next, n_bytes + n_insert_bytes, 0600), 0);
    free(next);
    free(data);
}

static const char *old_image; /* what write_payload() makes a delta of; NULL */

static int write_payload(
        const char *out, const char *image, const PayloadWriterOptions *options, ErrorText *error)
{
    PayloadWriterOptions all = *options;
    all.product = all.product ? all.product : "demo";
    all.version = all.version ? all.version : "1.0";
    _cleanup_(signing_key_freep) SigningKey *key = NULL;
    _cleanup_(payload_writer_freep) PayloadWriter *writer = NULL;
    size_t n_padded_bytes;
    ck_assert_int_eq(signing_key_load(test_keys_private(folder, "key"), &key, error), 0);
    int r = payload_writer_new(path_of(out), &all, &writer, error);
    if (r >= 0)
        r = payload_writer_add_key(writer, key, error);
    if (r >= 0)
        r = payload_writer_add_partition(writer, "usr", path_of(image),
                old_image ? path_of(old_image) : NULL, &n_padded_bytes, error);
    return r < 0 ? r : payload_writer_finish(writer, error);
}

static void assert_written(const char *out, const char *image, PayloadWriterOptions options)
{
    ErrorText error = {0};
    ck_assert_msg(write_payload(out, image, &options, &error) == 0, "%s", error.line);
}

static KeyRing *load_ring(void)
{
    KeyRing *ring = NULL;
    ck_assert_int_eq(key_ring_new(&ring), 0);
    ck_assert_int_eq(key_ring_add_file(ring, test_keys_public(folder, "key"), NULL), 0);
    return ring;
}

/* All that `verify` does. */
static UpdateError verify(const char *name, ErrorText *error)
{
    *error = (ErrorText){0};
    _cleanup_(key_ring_freep) KeyRing *ring = load_ring();
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    UpdateError failure = payload_file_open(path_of(name), ring, &file, error);
    if (failure == UPDATE_OK)
        failure = payload_file_verify(file, ring, error);
    if (failure == UPDATE_OK)
        failure = payload_file_check_operations(
                file, &payload_file_manifest(file)->partitions[0], NULL, error);
    return failure;
}

static void extract(const char *name, const char *out)
{
    ErrorText error = {0};
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of(name), NULL, &file, &error), UPDATE_OK);
    _cleanup_close_ int fd = open(path_of(out), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    UpdateError failure = payload_file_extract(
            file, &payload_file_manifest(file)->partitions[0], NULL, fd, 2, &error);
    ck_assert_msg(failure == UPDATE_OK, "%s", error.line);
}

static const size_t image_sizes[] = {
        1, 4096, 5000, 16384 + 4096, 1 << 20, (1 << 20) + 4096, (5 << 20) + 777};

static UpdateError extract_delta(const char *name, const char *old, const char *out)
{
    ErrorText error = {0};
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    _cleanup_(payload_source_freep) PayloadSource *source = NULL;
    ck_assert_int_eq(payload_file_open(path_of(name), NULL, &file, &error), UPDATE_OK);
    const PartitionUpdate *partition = &payload_file_manifest(file)->partitions[0];
    UpdateError failure = payload_source_open(path_of(old), partition, &source, &error);
    if (failure != UPDATE_OK)
        return failure;
    failure = payload_file_check_operations(file, partition, source, &error);
    ck_assert_msg(failure == UPDATE_OK, "%s", error.line);
    _cleanup_close_ int fd = open(path_of(out), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return payload_file_extract(file, partition, source, fd, 2, &error);
}

static const size_t insertions[] = {0, 4096, 77, 1 << 20};

START_TEST(a_delta_comes_out_as_it_went_in)
{
    make_image("old", (3 << 20) + 500);
    make_next_image("new", "old", insertions[_i]);
    old_image = "old";
    assert_written("delta", "new", (PayloadWriterOptions){.n_threads = 1});
    assert_written("again", "new", (PayloadWriterOptions){.n_threads = 3});
    ErrorText error;
    ck_assert_msg(verify("delta", &error) == UPDATE_OK, "%s", error.line);
    ck_assert_int_eq(extract_delta("delta", "new", "out"), UPDATE_ERROR_SOURCE);
    ck_assert_int_eq(extract_delta("delta", "old", "out"), UPDATE_OK);

    char *image, *out, *delta, *again;
    size_t n_image, n_out, n_delta, n_again;
    read_file("new", &image, &n_image);
    read_file("out", &out, &n_out);
    ck_assert_mem_eq(out, image, n_image);
    read_file("delta", &delta, &n_delta);
    read_file("again", &again, &n_again);
    ck_assert_uint_eq(n_delta, n_again);
    ck_assert_mem_eq(delta, again, n_delta);
    ck_assert_uint_lt(n_delta, 20000);
    free(image);
    free(out);
    free(delta);
    free(again);
}
END_TEST

START_TEST(an_image_comes_out_as_it_went_in)
{
    size_t n_image = image_sizes[_i];
    make_image("image", n_image);
    assert_written("payload", "image", (PayloadWriterOptions){0});
    ErrorText error;
    ck_assert_msg(verify("payload", &error) == UPDATE_OK, "%s", error.line);
    extract("payload", "slot");

    _cleanup_free_ char *image = NULL, *slot = NULL;
    size_t n_read, n_slot;
    read_file("image", &image, &n_read);
    read_file("slot", &slot, &n_slot);
    size_t n_data = (n_image + 4095) / 4096 * 4096;
    ck_assert_uint_ge(n_slot, n_data);
    ck_assert_mem_eq(slot, image, n_image);
    for (size_t i = n_image; i < n_data; i++)
        ck_assert_int_eq(slot[i], 0);

    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    const PartitionUpdate *partition = &payload_file_manifest(file)->partitions[0];
    Sha256 hash = sha256_of(slot, n_slot);
    ck_assert(sha256_equal(&hash, &partition->hash));
    ck_assert_uint_eq(partition->size_bytes, n_slot);
    ck_assert_uint_eq(partition->verity.n_data_blocks, n_data / 4096);
    ck_assert_ptr_nonnull(partition->block_index);
}
END_TEST

/* Each power of 2 from a block to 256 KiB. */
START_TEST(frames_of_each_size_come_out_as_they_went_in)
{
    make_image("image", (3 << 20) + 777);
    assert_written("payload", "image", (PayloadWriterOptions){.frame_target_bytes = 4096u << _i});
    ErrorText error;
    ck_assert_msg(verify("payload", &error) == UPDATE_OK, "%s", error.line);
    extract("payload", "slot");
    _cleanup_free_ char *image = NULL, *slot = NULL;
    size_t n_image, n_slot;
    read_file("image", &image, &n_image);
    read_file("slot", &slot, &n_slot);
    ck_assert_mem_eq(slot, image, n_image);

    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    const Manifest *manifest = payload_file_manifest(file);
    ck_assert_uint_eq(manifest->frame_target_bytes, 4096u << _i);
    ck_assert_uint_eq(manifest->operations[0].n_frames, 256u >> _i);
}
END_TEST

/* Content that comes again after 90,000 bytes; each frame of it begins as a dictionary does. */
START_TEST(frames_refer_to_what_lies_before_them)
{
    static const uint8_t magic[] = {0x37, 0xa4, 0x30, 0xec};
    static const size_t prefixes[] = {0, 4096, 65536, 98304, 131072};
    size_t n_bytes = 3 << 20, prefix = prefixes[_i];
    _cleanup_free_ uint8_t *data = malloc(n_bytes);
    uint64_t random = 1;
    for (size_t i = 0; i < n_bytes; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        data[i] = i < 90000 ? (uint8_t)(random >> 60) : data[i - 90000];
    }
    for (size_t i = 0; i < n_bytes; i += 4096)
        memcpy(data + i, magic, sizeof(magic));
    memset(data + n_bytes - 16384, 0, 16384 - 4096); /* the last is one frame and zeros */
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path_of("image"), data, n_bytes, 0600), 0);
    assert_written("payload", "image", (PayloadWriterOptions){.frame_prefix_bytes = prefix});
    ErrorText error;
    ck_assert_msg(verify("payload", &error) == UPDATE_OK, "%s", error.line);
    extract("payload", "slot");
    _cleanup_free_ char *slot = NULL;
    size_t n_slot;
    read_file("slot", &slot, &n_slot);
    ck_assert_mem_eq(slot, data, n_bytes);

    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    const Manifest *manifest = payload_file_manifest(file);
    const Operation *operation = &manifest->operations[0];
    ck_assert_uint_eq(manifest->frame_prefix_bytes, prefix);
    ck_assert_int_eq(
            operation->type, prefix ? OPERATION_REPLACE_ZSTD_PREFIX : OPERATION_REPLACE_ZSTD);
    ck_assert_uint_eq(operation->frame_prefix_bytes, prefix);
    ck_assert_uint_eq(operation->n_frames, 64);
    if (prefix > 90000)
        ck_assert_uint_lt(operation->n_data_bytes, (1 << 20) / 6);
    else
        ck_assert_uint_gt(operation->n_data_bytes, (1 << 20) / 3);
}
END_TEST

/* It has nothing to refer to: any decoder reads it. */
START_TEST(a_single_frame_is_an_ordinary_one)
{
    make_image("image", 12000);
    assert_written("payload", "image", (PayloadWriterOptions){.frame_prefix_bytes = 131072});
    ErrorText error;
    ck_assert_msg(verify("payload", &error) == UPDATE_OK, "%s", error.line);
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    ck_assert_int_eq(payload_file_manifest(file)->operations[0].type, OPERATION_REPLACE_ZSTD);
}
END_TEST

START_TEST(prefixes_of_other_sizes_are_not_made)
{
    static const size_t sizes[] = {1, 4095, 4097, 132 << 10, 1 << 20, SIZE_MAX};
    make_image("image", 5000);
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        ErrorText error = {0};
        PayloadWriterOptions options = {.frame_prefix_bytes = sizes[i]};
        ck_assert_int_eq(write_payload("payload", "image", &options, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.line, "before them"));
    }
}
END_TEST

START_TEST(frames_of_other_sizes_are_not_made)
{
    static const size_t sizes[] = {1, 4095, 8191, 12288, 512 << 10, 1 << 20, SIZE_MAX};
    make_image("image", 5000);
    for (size_t i = 0; i < ELEMENTS(sizes); i++) {
        ErrorText error = {0};
        PayloadWriterOptions options = {.frame_target_bytes = sizes[i]};
        ck_assert_int_eq(write_payload("payload", "image", &options, &error), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.line, "frames"));
    }
}
END_TEST

START_TEST(threads_do_not_show)
{
    _cleanup_free_ char *one = NULL, *many = NULL;
    size_t n_one, n_many;
    make_image("image", (7 << 20) + 5000);
    assert_written(
            "one", "image", (PayloadWriterOptions){.n_threads = 1, .frame_prefix_bytes = 65536});
    assert_written(
            "many", "image", (PayloadWriterOptions){.n_threads = 7, .frame_prefix_bytes = 65536});
    read_file("one", &one, &n_one);
    read_file("many", &many, &n_many);
    ck_assert_uint_eq(n_one, n_many);
    ck_assert_mem_eq(one, many, n_one);
}
END_TEST

START_TEST(each_kind_of_content_has_its_operation)
{
    uint8_t *data = calloc(3, 1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        data[i] = (uint8_t)(i >> 8);
    uint64_t random = 1;
    for (size_t i = 1 << 20; i < 2 << 20; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        data[i] = (uint8_t)(random >> 56);
    }
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path_of("image"), data, 3 << 20, 0600), 0);
    free(data);
    assert_written("payload", "image", (PayloadWriterOptions){0});
    ErrorText error = {0};
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    const Operation *operations = payload_file_manifest(file)->partitions[0].operations;
    ck_assert_uint_eq(payload_file_manifest(file)->partitions[0].n_operations, 3);
    ck_assert_int_eq(operations[0].type, OPERATION_REPLACE_ZSTD);
    ck_assert_uint_eq(operations[0].n_frames, 64);
    ck_assert_int_eq(operations[1].type, OPERATION_REPLACE);
    ck_assert_uint_eq(operations[1].n_data_bytes, 1 << 20);
    ck_assert_uint_eq(operations[1].n_frames, 0);
    ck_assert_int_eq(operations[2].type, OPERATION_ZERO);
}
END_TEST

static void assert_salt(PayloadWriterOptions options, size_t n_bytes, uint8_t *ret_salt)
{
    ErrorText error = {0};
    assert_written("payload", "image", options);
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    const VerityParameters *verity = &payload_file_manifest(file)->partitions[0].verity;
    ck_assert_uint_eq(verity->n_salt_bytes, n_bytes);
    memcpy(ret_salt, verity->salt, n_bytes);
}

START_TEST(the_salt_stays_from_version_to_version)
{
    uint8_t first[32], second[32], other[32];
    make_image("image", 4096);
    assert_salt((PayloadWriterOptions){.version = "1"}, 32, first);
    assert_salt((PayloadWriterOptions){.version = "2"}, 32, second);
    assert_salt((PayloadWriterOptions){.product = "other"}, 32, other);
    ck_assert_mem_eq(first, second, 32);
    ck_assert_mem_ne(first, other, 32);
    assert_salt((PayloadWriterOptions){.has_salt = true}, 0, other);
    assert_salt(
            (PayloadWriterOptions){.has_salt = true, .salt = {7, 8}, .n_salt_bytes = 2}, 2, other);
    ck_assert_int_eq(other[1], 8);
}
END_TEST

START_TEST(an_image_may_have_no_tree)
{
    make_image("image", (1 << 20) + 8192);
    assert_written("payload", "image", (PayloadWriterOptions){.without_verity = true});
    ErrorText error;
    ck_assert_msg(verify("payload", &error) == UPDATE_OK, "%s", error.line);
    extract("payload", "slot");
    _cleanup_free_ char *image = NULL, *slot = NULL;
    size_t n_image, n_slot;
    read_file("image", &image, &n_image);
    read_file("slot", &slot, &n_slot);
    ck_assert_uint_eq(n_slot, n_image);
    ck_assert_mem_eq(slot, image, n_image);
}
END_TEST

static void assert_no_file(const char *name)
{
    ck_assert_int_eq(access(path_of(name), F_OK), -1);
}

static void assert_refused(const char *image, PayloadWriterOptions options, const char *reason)
{
    ErrorText error = {0};
    ck_assert_int_lt(write_payload("payload", image, &options, &error), 0);
    ck_assert_msg(strstr(error.line, reason) != NULL, "'%s' is not in '%s'", reason, error.line);
    assert_no_file("payload");
    assert_no_file(".payload.new");
}

START_TEST(what_cannot_be_packed_is_refused)
{
    make_image("image", 4096);
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path_of("empty"), "", 0, 0600), 0);
    assert_refused("none", (PayloadWriterOptions){0}, "No such file");
    assert_refused("empty", (PayloadWriterOptions){0}, "is empty");
    assert_refused("public", (PayloadWriterOptions){0}, "is no image");
    assert_refused("image", (PayloadWriterOptions){.product = ""}, "product");
    assert_refused("image", (PayloadWriterOptions){.version = "a b"}, "version");
    assert_refused("image", (PayloadWriterOptions){.min_version = "\n"}, "minimum version");
    assert_refused("image", (PayloadWriterOptions){.level = 99}, "level 99");
    assert_refused("image", (PayloadWriterOptions){.n_salt_bytes = 33}, "salt");
}
END_TEST

#define SLOT_DATA_BLOCKS 600
#define SLOT_TREE_BLOCKS 6
#define SLOT_GAP_BLOCKS 2 /* before the tree */
#define SLOT_TREE_START (SLOT_DATA_BLOCKS + SLOT_GAP_BLOCKS)
#define SLOT_UKI_START (SLOT_TREE_START + SLOT_TREE_BLOCKS)
#define SLOT_UKI_BYTES 70000
#define SLOT_BLOCKS (SLOT_UKI_START + 30)

/* An image that describes itself, of product demo in version 1.0. */
static void make_slot_image(const char *name)
{
    make_image("fs", SLOT_DATA_BLOCKS * 4096);
    _cleanup_free_ char *fs = NULL;
    size_t n_fs;
    read_file("fs", &fs, &n_fs);
    SlotTrailer trailer = {
            .fs_bytes = n_fs,
            .tree_offset = SLOT_TREE_START * 4096,
            .tree_bytes = SLOT_TREE_BLOCKS * 4096,
            .uki_offset = SLOT_UKI_START * 4096,
            .uki_bytes = SLOT_UKI_BYTES,
            .n_salt_bytes = 2,
            .salt = {1, 2},
            .uki_sha256 = sha256_of(fs, SLOT_UKI_BYTES),
            .product = "demo",
            .version = "1.0",
    };
    VerityParameters verity = {
            .n_data_blocks = SLOT_DATA_BLOCKS, .n_salt_bytes = 2, .salt = {1, 2}};
    _cleanup_close_ int fd = open(path_of(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(fd_pwrite_full(fd, fs, n_fs, 0), 0);
    ck_assert_int_eq(fd_pwrite_full(fd, fs, SLOT_UKI_BYTES, trailer.uki_offset), 0);
    ck_assert_int_eq(
            verity_tree_build(&verity, (VerityRegion){fd, 0},
                    (VerityRegion){fd, trailer.tree_offset}, NULL, &trailer.root_hash, NULL),
            0);
    uint8_t block[SLOT_TRAILER_BYTES];
    slot_trailer_make(&trailer, block);
    ck_assert_int_eq(fd_pwrite_full(fd, block, sizeof(block), (SLOT_BLOCKS - 1) * 4096), 0);
}

static void flip_byte(const char *name, uint64_t at)
{
    uint8_t byte;
    _cleanup_close_ int fd = open(path_of(name), O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(fd_pread_full(fd, &byte, 1, at), 0);
    byte ^= 1;
    ck_assert_int_eq(fd_pwrite_full(fd, &byte, 1, at), 0);
}

START_TEST(a_slot_image_keeps_its_tree_and_what_follows)
{
    make_slot_image("image");
    assert_written("payload", "image", (PayloadWriterOptions){0});
    ErrorText error;
    ck_assert_msg(verify("payload", &error) == UPDATE_OK, "%s", error.line);
    extract("payload", "slot");
    _cleanup_free_ char *image = NULL, *slot = NULL;
    size_t n_image, n_slot;
    read_file("image", &image, &n_image);
    read_file("slot", &slot, &n_slot);
    ck_assert_uint_eq(n_slot, n_image);
    ck_assert_mem_eq(slot, image, n_image);

    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    const PartitionUpdate *partition = &payload_file_manifest(file)->partitions[0];
    ck_assert_uint_eq(partition->size_bytes, SLOT_BLOCKS * 4096);
    ck_assert(partition->has_verity);
    ck_assert_uint_eq(partition->verity.n_data_blocks, SLOT_DATA_BLOCKS);
    ck_assert_uint_eq(partition->verity.n_salt_bytes, 2);
    ck_assert_uint_eq(partition->tree_start_block, SLOT_TREE_START);
    ck_assert_uint_eq(partition->n_tree_blocks, SLOT_TREE_BLOCKS);
    uint64_t n_sent = 0;
    for (size_t i = 0; i < partition->n_operations; i++)
        n_sent += partition->operations[i].n_dst_bytes;
    ck_assert_uint_eq(n_sent, (SLOT_BLOCKS - SLOT_TREE_BLOCKS) * 4096);
}
END_TEST

START_TEST(a_slot_image_may_be_sent_as_it_is)
{
    make_slot_image("image");
    assert_written("payload", "image", (PayloadWriterOptions){.without_verity = true});
    extract("payload", "slot");
    _cleanup_free_ char *image = NULL, *slot = NULL;
    size_t n_image, n_slot;
    read_file("image", &image, &n_image);
    read_file("slot", &slot, &n_slot);
    ck_assert_uint_eq(n_slot, n_image);
    ck_assert_mem_eq(slot, image, n_image);
}
END_TEST

START_TEST(a_slot_image_that_contradicts_itself_is_refused)
{
    static const struct {
        uint64_t at_block;
        const char *reason;
    } damage[] = {
            {5, "block 5 of the data"},
            {SLOT_TREE_START, "hash"},
            {SLOT_TREE_START + SLOT_TREE_BLOCKS - 1, "hash"},
            {SLOT_UKI_START, "UKI"},
            {SLOT_UKI_START + SLOT_UKI_BYTES / 4096, "UKI"},
    };
    make_slot_image("image");
    for (size_t i = 0; i < ELEMENTS(damage); i++) {
        flip_byte("image", damage[i].at_block * 4096);
        assert_refused("image", (PayloadWriterOptions){0}, damage[i].reason);
        flip_byte("image", damage[i].at_block * 4096);
    }
    flip_byte("image", (SLOT_BLOCKS - 1) * 4096 + 200);
    assert_refused("image", (PayloadWriterOptions){0}, "its trailer has a wrong checksum");
    flip_byte("image", (SLOT_BLOCKS - 1) * 4096 + 200);

    assert_refused("image", (PayloadWriterOptions){.product = "other"}, "it is for demo");
    assert_refused("image", (PayloadWriterOptions){.version = "1.1"}, "it holds version 1.0");
    assert_refused("image", (PayloadWriterOptions){.has_salt = true}, "another salt");
    assert_written("payload", "image",
            (PayloadWriterOptions){.has_salt = true, .n_salt_bytes = 2, .salt = {1, 2}});
}
END_TEST

static int write_v1(const char *out, ErrorText *error)
{
    PayloadWriterOptions options = {.format = 1};
    _cleanup_(signing_key_freep) SigningKey *key = NULL, *other = NULL;
    _cleanup_(payload_writer_freep) PayloadWriter *writer = NULL;
    size_t n = 7;
    test_keys_make(folder, "rsa", TEST_KEY_RSA_2048);
    test_keys_make(folder, "other", TEST_KEY_RSA_2048);
    ck_assert_int_eq(signing_key_load(test_keys_private(folder, "rsa"), &key, error), 0);
    ck_assert_int_eq(signing_key_load(test_keys_private(folder, "other"), &other, error), 0);
    ck_assert_int_eq(payload_writer_new(path_of(out), &options, &writer, error), 0);
    ck_assert_int_eq(payload_writer_add_key(writer, other, error), 0);
    ck_assert_int_eq(payload_writer_add_key(writer, key, error), 0);
    ck_assert_int_eq(
            payload_writer_add_partition(writer, "USR", path_of("image"), NULL, &n, error), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(
            payload_writer_add_partition(writer, "KERNEL", path_of("kernel"), NULL, &n, error), 0);
    return payload_writer_finish(writer, error);
}

START_TEST(format_1_has_an_image_and_a_kernel)
{
    make_image("image", (5 << 20) + 777);
    make_image("kernel", (1 << 20) + 1);
    ErrorText error = {0};
    ck_assert_msg(write_v1("payload", &error) == 0, "%s", error.line);

    _cleanup_(key_ring_freep) KeyRing *ring = NULL;
    ck_assert_int_eq(key_ring_new(&ring), 0);
    ck_assert_int_eq(key_ring_add_file(ring, test_keys_public(folder, "rsa"), NULL), 0);
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), ring, &file, &error), UPDATE_OK);
    ck_assert_int_eq(payload_file_verify(file, ring, &error), UPDATE_OK);
    const Manifest *manifest = payload_file_manifest(file);
    ck_assert_uint_eq(manifest->format, 1);
    ck_assert_uint_eq(manifest->n_partitions, 2);
    ck_assert_uint_eq(manifest->partitions[0].n_operations, 6);
    for (size_t i = 0; i < 2; i++) {
        _cleanup_close_ int fd = open(path_of("out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        UpdateError failure =
                payload_file_extract(file, &manifest->partitions[i], NULL, fd, 2, &error);
        ck_assert_msg(failure == UPDATE_OK, "%s", error.line);
        _cleanup_free_ char *in = NULL, *out = NULL;
        size_t n_in, n_out;
        read_file(i == 0 ? "image" : "kernel", &in, &n_in);
        read_file("out", &out, &n_out);
        ck_assert_uint_eq(n_in, n_out);
        ck_assert_mem_eq(in, out, n_in);
    }
}
END_TEST

/* Clients of format 1 verify the entry of version 2, and the one before is for older keys. */
START_TEST(format_1_numbers_its_signatures)
{
    make_image("image", 4096);
    make_image("kernel", 10);
    ErrorText error = {0};
    ck_assert_msg(write_v1("payload", &error) == 0, "%s", error.line);
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    ck_assert_int_eq(payload_file_open(path_of("payload"), NULL, &file, &error), UPDATE_OK);
    const PayloadSignature signature = payload_file_payload_signature(file);
    /* Twice: entry of 261 bytes; version; 256 bytes of data */
    ck_assert_uint_eq(signature.n_bytes, 2 * 264);
    for (size_t i = 0; i < 2; i++)
        ck_assert_mem_eq(
                signature.blob + i * 264, ((uint8_t[]){10, 133, 2, 8, i + 1, 18, 128, 2}), 8);
}
END_TEST

START_TEST(format_1_refuses_what_it_cannot_hold)
{
    make_image("image", 4096);
    PayloadWriterOptions options = {.format = 1};
    _cleanup_(signing_key_freep) SigningKey *key = NULL;
    PayloadWriter *writer = NULL;
    ErrorText error = {0};
    size_t n;
    ck_assert_int_eq(signing_key_load(test_keys_private(folder, "key"), &key, &error), 0);
    ck_assert_int_eq(payload_writer_new(path_of("payload"), &options, &writer, &error), 0);
    ck_assert_int_eq(payload_writer_add_key(writer, key, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "RSA signatures only"));
    ck_assert_int_eq(payload_writer_add_open_signature(writer, 256, &error), 0);
    ck_assert_int_eq(payload_writer_finish(writer, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "needs an image"));
    const char *image = path_of("image");
    ck_assert_int_eq(
            payload_writer_add_partition(writer, "KERNEL", image, NULL, &n, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "image first"));
    ck_assert_int_eq(
            payload_writer_add_partition(writer, "USR", image, image, &n, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "format 2 only"));
    ck_assert_int_eq(payload_writer_add_partition(writer, "USR", image, NULL, &n, &error), 0);
    ck_assert_int_eq(payload_writer_add_partition(writer, "OEM", image, NULL, &n, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "'OEM' cannot be number 2"));
    payload_writer_free(writer);
    assert_no_file("payload");
}
END_TEST

START_TEST(a_writer_needs_signatures_partitions_and_names)
{
    make_image("image", 4096);
    PayloadWriterOptions options = {.product = "demo", .version = "1"};
    PayloadWriter *writer = NULL;
    ErrorText error = {0};
    size_t n;
    ck_assert_int_eq(payload_writer_new("/nonexistent/x", &options, &writer, &error), -ENOENT);
    ck_assert_int_eq(payload_writer_new(folder, &options, &writer, &error), -EINVAL);
    ck_assert_int_eq(payload_writer_new(path_of("payload"), &options, &writer, &error), 0);
    ck_assert_int_eq(payload_writer_finish(writer, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "needs a key"));
    ck_assert_int_eq(payload_writer_add_open_signature(writer, 513, &error), -EINVAL);
    ck_assert_int_eq(payload_writer_add_open_signature(writer, 256, &error), 0);
    ck_assert_int_eq(payload_writer_finish(writer, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "0 partitions"));
    const char *image = path_of("image");
    ck_assert_int_eq(payload_writer_add_partition(writer, "a/b", image, NULL, &n, &error), -EINVAL);
    ck_assert_int_eq(payload_writer_add_partition(writer, "a", image, NULL, &n, &error), 0);
    ck_assert_int_eq(payload_writer_add_partition(writer, "a", image, NULL, &n, &error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error.line, "given twice"));
    ck_assert_int_eq(payload_writer_add_partition(writer, "b", image, NULL, &n, &error), 0);
    payload_writer_free(writer);
    assert_no_file("payload");
    assert_no_file(".payload.new");
}
END_TEST

/* The payload of the tests below: small, with all of its parts. */
static char *make_payload(size_t *ret_n_bytes)
{
    char *data = NULL;
    make_image("image", 200000);
    assert_written("payload", "image", (PayloadWriterOptions){0});
    read_file("payload", &data, ret_n_bytes);
    ErrorText error;
    ck_assert_msg(verify("payload", &error) == UPDATE_OK, "%s", error.line);
    return data;
}

static void assert_not_verified(const char *data, size_t n_bytes, size_t at)
{
    ErrorText error;
    const char *path = path_of("bad");
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(fd_write_full(fd, data, n_bytes), 0);
    UpdateError failure = verify("bad", &error);
    ck_assert_msg(failure != UPDATE_OK && error.line[0], "verified in spite of byte %zu", at);
}

START_TEST(a_payload_cut_anywhere_is_refused)
{
    size_t n_bytes;
    _cleanup_free_ char *data = make_payload(&n_bytes);
    for (size_t n = 0; n < 40; n++)
        assert_not_verified(data, n, n);
    for (size_t n = 40; n < n_bytes; n += n_bytes / 61)
        assert_not_verified(data, n, n);
    for (size_t n = n_bytes - 100; n < n_bytes; n++)
        assert_not_verified(data, n, n);
    char *longer = malloc(n_bytes + 1);
    memcpy(longer, data, n_bytes);
    longer[n_bytes] = 0;
    assert_not_verified(longer, n_bytes + 1, n_bytes);
    free(longer);
}
END_TEST

static void flip_and_verify(char *data, size_t n_bytes, size_t i)
{
    data[i] = (char)(data[i] ^ (1 << (i % 8)));
    assert_not_verified(data, n_bytes, i);
    data[i] = (char)(data[i] ^ (1 << (i % 8)));
}

START_TEST(a_bit_flipped_anywhere_is_refused)
{
    size_t n_bytes;
    _cleanup_free_ char *data = make_payload(&n_bytes);
    PayloadHeader header;
    ck_assert_int_eq(payload_header_parse((uint8_t *)data, &header, NULL), UPDATE_OK);
    for (size_t i = 0; i < 40; i++)
        flip_and_verify(data, n_bytes, i);
    for (size_t i = 40; i < n_bytes; i += n_bytes / 97)
        flip_and_verify(data, n_bytes, i);
    /* Both signatures, every byte. */
    for (size_t i = header.n_signed_bytes; i < header.n_metadata_bytes; i++)
        flip_and_verify(data, n_bytes, i);
    for (size_t i = n_bytes - 68; i < n_bytes; i++)
        flip_and_verify(data, n_bytes, i);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("payload-writer");
    TCase *tcase = unit_case(suite, "payload-writer");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_loop_test(tcase, an_image_comes_out_as_it_went_in, 0, ELEMENTS(image_sizes));
    tcase_add_loop_test(tcase, frames_of_each_size_come_out_as_they_went_in, 0, 7);
    tcase_add_loop_test(tcase, frames_refer_to_what_lies_before_them, 0, 5);
    tcase_add_test(tcase, a_single_frame_is_an_ordinary_one);
    tcase_add_test(tcase, prefixes_of_other_sizes_are_not_made);
    tcase_add_test(tcase, frames_of_other_sizes_are_not_made);
    tcase_add_test(tcase, threads_do_not_show);
    tcase_add_test(tcase, each_kind_of_content_has_its_operation);
    tcase_add_test(tcase, the_salt_stays_from_version_to_version);
    tcase_add_test(tcase, an_image_may_have_no_tree);
    tcase_add_test(tcase, what_cannot_be_packed_is_refused);
    tcase_add_test(tcase, a_slot_image_keeps_its_tree_and_what_follows);
    tcase_add_test(tcase, a_slot_image_may_be_sent_as_it_is);
    tcase_add_test(tcase, a_slot_image_that_contradicts_itself_is_refused);
    tcase_add_test(tcase, format_1_has_an_image_and_a_kernel);
    tcase_add_test(tcase, format_1_numbers_its_signatures);
    tcase_add_test(tcase, format_1_refuses_what_it_cannot_hold);
    tcase_add_loop_test(tcase, a_delta_comes_out_as_it_went_in, 0, ELEMENTS(insertions));
    tcase_add_test(tcase, a_writer_needs_signatures_partitions_and_names);
    tcase_add_test(tcase, a_payload_cut_anywhere_is_refused);
    tcase_add_test(tcase, a_bit_flipped_anywhere_is_refused);
    return suite;
}
