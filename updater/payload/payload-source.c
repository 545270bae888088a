/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/payload-source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"

#define PIECE_BYTES ((size_t)256 * 1024)

struct PayloadSource {
    int fd;
    uint64_t n_bytes; /* of the file */
    OperationSource operations;
};

/* The manifest's bounds may go into the block that the file fills in part. */
static int read_source(uint64_t offset_bytes, uint8_t *ret_data, size_t n_bytes, void *userdata)
{
    const PayloadSource *source = userdata;
    size_t n = 0;
    if (offset_bytes < source->n_bytes)
        n = (size_t)MIN((uint64_t)n_bytes, source->n_bytes - offset_bytes);
    memset(ret_data + n, 0, n_bytes - n);
    return n > 0 ? fd_pread_full(source->fd, ret_data, n, offset_bytes) : 0;
}

static int hash_source(PayloadSource *source, uint64_t n_bytes, Sha256 *ret_hash)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece || sha256_stream_new(&stream) < 0)
        return -ENOMEM;
    for (uint64_t at = 0; at < n_bytes;) {
        size_t n = (size_t)MIN((uint64_t)PIECE_BYTES, n_bytes - at);
        int r = read_source(at, piece, n, source);
        if (r < 0)
            return r;
        sha256_stream_add(stream, piece, n);
        at += n;
    }
    sha256_stream_finish(stream, ret_hash);
    return 0;
}

static UpdateError refuse(
        const char *path, const PartitionUpdate *partition, const char *why, ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_SOURCE, "%s is not what the delta of %s begins with: %s",
            path, partition->name, why);
}

static UpdateError check(
        PayloadSource *source, const char *path, const PartitionUpdate *partition, ErrorText *error)
{
    int r = fd_size_bytes(source->fd, &source->n_bytes);
    uint64_t n_blocks = u64_div_round_up(source->n_bytes, MANIFEST_BLOCK_BYTES);
    Sha256 hash;
    if (r == 0 && n_blocks < partition->source_bytes / MANIFEST_BLOCK_BYTES)
        return refuse(path, partition, "it is too short", error);
    if (r == 0)
        r = hash_source(source, partition->source_bytes, &hash);
    if (r < 0)
        return error_say(error, UPDATE_ERROR_GENERIC, "%s cannot be read: %s", path, strerror(-r));
    return sha256_equal(&hash, &partition->source_hash)
                   ? UPDATE_OK
                   : refuse(path, partition, "its hash is another", error);
}

UpdateError payload_source_open(const char *path, const PartitionUpdate *partition,
        PayloadSource **ret_source, ErrorText *error)
{
    if (!partition->has_source)
        return error_say(error, UPDATE_ERROR_SOURCE,
                "partition %s of the payload is not a delta: it begins with no image",
                partition->name);
    _cleanup_(payload_source_freep) PayloadSource *source = malloc(sizeof(*source));
    if (!source)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    *source = (PayloadSource){.fd = open(path, O_RDONLY | O_CLOEXEC)};
    source->operations = (OperationSource){read_source, source};
    if (source->fd < 0)
        return error_say(
                error, UPDATE_ERROR_GENERIC, "%s cannot be opened: %s", path, strerror(errno));
    UpdateError failure = check(source, path, partition, error);
    if (failure != UPDATE_OK)
        return failure;
    *ret_source = TAKE_PTR(source);
    return UPDATE_OK;
}

void payload_source_free(PayloadSource *source)
{
    if (!source)
        return;
    safe_close(source->fd);
    free(source);
}

const OperationSource *payload_source_operations(const PayloadSource *source)
{
    return &source->operations;
}
