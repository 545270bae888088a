/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/payload-writer.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/fd-io.h"
#include "updater/payload/manifest-check.h"
#include "updater/payload/manifest-v1.h"
#include "updater/payload-writer/image-packer.h"
#include "updater/payload-writer/manifest-writer.h"
#include "updater/payload-writer/output-file.h"
#include "updater/payload-writer/partition-builder.h"
#include "updater/payload/payload-header.h"
#include "updater/payload/signature-set.h"

/* The manifest stands before the blobs and its size is known only after them: so blobs are spooled,
 * and the end writes header and manifest and copies the spool behind them, hashing for the payload
 * signature on the way. That signature covers everything but the metadata signature and itself. */
#define PIECE_BYTES ((size_t)256 * 1024)

struct PayloadWriter {
    const PayloadWriterOptions *options;
    const char *out_path;
    OutputFile *out;
    int spool_fd;
    uint64_t n_spool_bytes;
    PartitionBuilder *builders[MANIFEST_PARTITIONS_MAX];
    size_t n_builders;
    const SigningKey *keys[SIGNATURE_SET_ENTRIES_MAX];
    size_t n_keys;
    SignatureSet *metadata_signatures;
    SignatureSet *payload_signatures;
};

/* What manifest_write() would refuse only after all the work. */
static int check_options(const PayloadWriterOptions *options, ErrorText *error)
{
    static const char rule[] = "must be 1 to 128 printable characters without blanks";
    static_assert(MANIFEST_TEXT_MAX_CHARS == 128, "the rule says so");
    if (options->format == 1)
        return 0;
    if (!manifest_is_text(options->product))
        return error_say(error, -EINVAL, "the product %s", rule);
    if (!manifest_is_text(options->version))
        return error_say(error, -EINVAL, "the version %s", rule);
    if (options->min_version && options->min_version[0] && !manifest_is_text(options->min_version))
        return error_say(error, -EINVAL, "the minimum version %s", rule);
    if (options->source_version && !manifest_is_text(options->source_version))
        return error_say(error, -EINVAL, "the version that a delta begins with %s", rule);
    if (options->frame_target_bytes != 0 && !manifest_is_frame_size(options->frame_target_bytes))
        return error_say(error, -EINVAL,
                "frames of %zu bytes are not made: a power of 2 from %d to %d",
                options->frame_target_bytes, MANIFEST_BLOCK_BYTES, MANIFEST_FRAME_MAX_BYTES);
    if (options->frame_prefix_bytes != 0 && !manifest_is_frame_prefix(options->frame_prefix_bytes))
        return error_say(error, -EINVAL,
                "frames that refer to %zu bytes before them are not made: a multiple of %d up to "
                "%d",
                options->frame_prefix_bytes, MANIFEST_BLOCK_BYTES, MANIFEST_FRAME_PREFIX_MAX_BYTES);
    if (options->n_salt_bytes > VERITY_SALT_MAX_BYTES)
        return error_say(error, -EINVAL, "a salt has at most %d bytes", VERITY_SALT_MAX_BYTES);
    return 0;
}

int payload_writer_new(const char *out_path, const PayloadWriterOptions *options,
        PayloadWriter **ret_writer, ErrorText *error)
{
    _cleanup_(payload_writer_freep) PayloadWriter *writer = malloc(sizeof(*writer));
    if (!writer)
        return -ENOMEM;
    *writer = (PayloadWriter){.options = options, .out_path = out_path, .spool_fd = -1};
    int r = check_options(options, error);
    if (r >= 0)
        r = signature_set_new(&writer->metadata_signatures);
    if (r >= 0)
        r = signature_set_new(&writer->payload_signatures);
    if (r >= 0)
        r = output_file_new(out_path, &writer->out, error);
    if (r < 0)
        return r;
    writer->spool_fd = output_file_open_scratch(out_path, error);
    if (writer->spool_fd < 0)
        return writer->spool_fd;
    *ret_writer = TAKE_PTR(writer);
    return 0;
}

void payload_writer_free(PayloadWriter *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->n_builders; i++)
        partition_builder_free(writer->builders[i]);
    signature_set_free(writer->payload_signatures);
    signature_set_free(writer->metadata_signatures);
    output_file_free(writer->out);
    safe_close(writer->spool_fd);
    free(writer);
}

int payload_writer_add_open_signature(PayloadWriter *writer, size_t n_bytes, ErrorText *error)
{
    int r = signature_set_add_open(writer->metadata_signatures, n_bytes);
    if (r >= 0)
        r = signature_set_add_open(writer->payload_signatures, n_bytes);
    if (r == -E2BIG)
        return error_say(
                error, r, "a payload has at most %d signatures", SIGNATURE_SET_ENTRIES_MAX);
    if (r < 0)
        return error_say(
                error, r, "a signature has 1 to %d bytes, not %zu", SIGNATURE_MAX_BYTES, n_bytes);
    return 0;
}

int payload_writer_add_key(PayloadWriter *writer, const SigningKey *key, ErrorText *error)
{
    if (writer->options->format == 1 && !signing_key_is_rsa(key))
        return error_say(error, -EINVAL,
                "format 1 has RSA signatures only: its clients know no Ed25519 keys");
    int r = payload_writer_add_open_signature(writer, signing_key_signature_bytes(key), error);
    if (r >= 0)
        writer->keys[writer->n_keys++] = key;
    return r;
}

/* Format 1 has one partition, which is the slot's, and what is installed as files. */
static int check_kind(const PayloadWriter *writer, const char *name, ErrorText *error)
{
    bool is_slot = manifest_v1_kind_of(name) == PARTITION_SLOT;
    if (writer->options->format == 1 && is_slot != (writer->n_builders == 0))
        return error_say(error, -EINVAL,
                "a payload of format 1 is made of the slot's image first, and then KERNEL=FILE and "
                "PCR_POLICY=FILE where they are wanted: '%s' cannot be number %zu",
                name, writer->n_builders + 1);
    return 0;
}

int payload_writer_add_partition(PayloadWriter *writer, const char *name, const char *image_path,
        const char *old_path, size_t *ret_n_padded_bytes, ErrorText *error)
{
    if (writer->n_builders == MANIFEST_PARTITIONS_MAX)
        return error_say(
                error, -EINVAL, "a payload has at most %d partitions", MANIFEST_PARTITIONS_MAX);
    if (!manifest_is_partition_name(name))
        return error_say(error, -EINVAL,
                "'%s' is no name for a partition: 1 to %d letters, digits, '.', '_' and '-' will "
                "do",
                name, MANIFEST_NAME_MAX_CHARS);
    for (size_t i = 0; i < writer->n_builders; i++)
        if (strcmp(partition_builder_partition(writer->builders[i])->name, name) == 0)
            return error_say(error, -EINVAL, "partition %s is given twice", name);
    int r = check_kind(writer, name, error);
    if (r < 0)
        return r;
    if (old_path && writer->options->format == 1)
        return error_say(error, -EINVAL, "deltas are made in format 2 only");
    PartitionBuilder *builder = NULL;
    const PartitionPaths paths = {image_path, old_path, writer->out_path};
    r = partition_builder_run(writer->options, name, &paths, writer->spool_fd,
            &writer->n_spool_bytes, &builder, error);
    if (r < 0)
        return r;
    writer->builders[writer->n_builders++] = builder;
    *ret_n_padded_bytes = partition_builder_n_padded_bytes(builder);
    return 0;
}

/* What the old images hold: all the same, where they say so. */
static int find_source_version(
        const PayloadWriter *writer, const char **ret_version, ErrorText *error)
{
    const char *version = writer->options->source_version;
    *ret_version = version ? version : "";
    for (size_t i = 0; i < writer->n_builders; i++) {
        const char *own = partition_builder_source_version(writer->builders[i]);
        if (own[0] && (*ret_version)[0] && strcmp(own, *ret_version) != 0)
            return error_say(error, -EINVAL, "the old images are of different versions: %s and %s",
                    *ret_version, own);
        if (own[0])
            *ret_version = own;
    }
    return 0;
}

/* Fills the set with every key's signature and writes its blob at offset_bytes. */
static int sign_and_write(PayloadWriter *writer, SignatureSet *set, const Sha256 *digest,
        uint64_t offset_bytes, ErrorText *error)
{
    for (size_t i = 0; i < writer->n_keys; i++) {
        uint8_t signature[SIGNATURE_MAX_BYTES];
        int r = signing_key_sign(writer->keys[i], digest, signature);
        if (r >= 0)
            r = signature_set_fill(set, signature, signing_key_signature_bytes(writer->keys[i]));
        if (r < 0)
            return error_say(error, r, "signing failed");
    }
    size_t n_bytes = signature_set_blob_bytes(set);
    _cleanup_free_ uint8_t *blob = malloc(n_bytes);
    if (!blob)
        return -ENOMEM;
    signature_set_write(set, blob);
    return fd_pwrite_full(output_file_fd(writer->out), blob, n_bytes, offset_bytes);
}

/* Copies the spool to offset_bytes of the output and adds it to the hash. */
static int copy_spool(PayloadWriter *writer, Sha256Stream *hash, uint64_t offset_bytes)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    for (uint64_t at = 0; at < writer->n_spool_bytes;) {
        size_t n = MIN(PIECE_BYTES, writer->n_spool_bytes - at);
        int r = fd_pread_full(writer->spool_fd, piece, n, at);
        if (r < 0)
            return r;
        sha256_stream_add(hash, piece, n);
        r = fd_pwrite_full(output_file_fd(writer->out), piece, n, offset_bytes + at);
        if (r < 0)
            return r;
        at += n;
    }
    return 0;
}

static int assemble(
        PayloadWriter *writer, const uint8_t *manifest, size_t n_manifest_bytes, ErrorText *error)
{
    int fd = output_file_fd(writer->out);
    bool is_v1 = writer->options->format == 1;
    size_t n_signature_bytes = is_v1 ? 0 : signature_set_blob_bytes(writer->metadata_signatures);
    uint8_t header[PAYLOAD_HEADER_BYTES];
    size_t n_header_bytes = payload_header_write(
            is_v1 ? 1 : 2, n_manifest_bytes, (uint32_t)n_signature_bytes, header);
    int r = fd_pwrite_full(fd, header, n_header_bytes, 0);
    if (r >= 0)
        r = fd_pwrite_full(fd, manifest, n_manifest_bytes, n_header_bytes);
    _cleanup_(sha256_stream_freep) Sha256Stream *hash = NULL;
    if (r >= 0)
        r = sha256_stream_new(&hash);
    if (r < 0)
        return r;

    Sha256 digest;
    sha256_stream_add(hash, header, n_header_bytes);
    sha256_stream_add(hash, manifest, n_manifest_bytes);
    sha256_stream_finish(hash, &digest);
    uint64_t at_bytes = n_header_bytes + n_manifest_bytes;
    if (!is_v1)
        r = sign_and_write(writer, writer->metadata_signatures, &digest, at_bytes, error);
    if (r < 0)
        return r;

    at_bytes += n_signature_bytes;
    sha256_stream_reset(hash);
    sha256_stream_add(hash, header, n_header_bytes);
    sha256_stream_add(hash, manifest, n_manifest_bytes);
    r = copy_spool(writer, hash, at_bytes);
    if (r < 0)
        return r;
    sha256_stream_finish(hash, &digest);
    return sign_and_write(
            writer, writer->payload_signatures, &digest, at_bytes + writer->n_spool_bytes, error);
}

int payload_writer_finish(PayloadWriter *writer, ErrorText *error)
{
    if (signature_set_n_entries(writer->payload_signatures) == 0)
        return error_say(error, -EINVAL, "a payload needs a key or room for a signature");
    bool is_v1 = writer->options->format == 1;
    if (is_v1 && writer->n_builders == 0)
        return error_say(error, -EINVAL, "a payload needs an image");
    if (is_v1)
        signature_set_number_entries(writer->payload_signatures);
    const char *source_version;
    int r = find_source_version(writer, &source_version, error);
    if (r < 0)
        return r;
    bool is_delta = false;
    PartitionUpdate partitions[MANIFEST_PARTITIONS_MAX];
    for (size_t i = 0; i < writer->n_builders; i++) {
        partitions[i] = *partition_builder_partition(writer->builders[i]);
        is_delta = is_delta || partitions[i].has_source;
    }
    size_t frame_target_bytes = writer->options->frame_target_bytes;
    Manifest manifest = {
            .minor_version = is_delta ? MANIFEST_MINOR_VERITY : MANIFEST_MINOR_FULL,
            .product = writer->options->product,
            .version = writer->options->version,
            .min_version = writer->options->min_version ? writer->options->min_version : "",
            .source_version = is_delta ? source_version : "",
            .frame_target_bytes =
                    frame_target_bytes ? frame_target_bytes : IMAGE_PACKER_FRAME_BYTES,
            .frame_prefix_bytes = writer->options->frame_prefix_bytes,
            .partitions = partitions,
            .n_partitions = writer->n_builders,
            .signatures_offset_bytes = writer->n_spool_bytes,
            .n_signatures_bytes = signature_set_blob_bytes(writer->payload_signatures),
    };
    _cleanup_free_ uint8_t *data = NULL;
    size_t n_bytes;
    r = is_v1 ? manifest_write_v1(&manifest, &data, &n_bytes, error)
              : manifest_write(&manifest, &data, &n_bytes, error);
    if (r < 0)
        return r;
    if (n_bytes > (is_v1 ? PAYLOAD_MANIFEST_V1_MAX_BYTES : PAYLOAD_MANIFEST_MAX_BYTES))
        return error_say(error, -EFBIG,
                "the images are too large for one payload: its manifest would have %zu bytes",
                n_bytes);
    ErrorText reason = {0};
    r = assemble(writer, data, n_bytes, &reason);
    if (r < 0)
        return error_say(error, r, "%s cannot be written: %s", writer->out_path,
                reason.line[0] ? reason.line : strerror(-r));
    return output_file_commit(writer->out, error);
}
