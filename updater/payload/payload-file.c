/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/payload-file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "common/fd-io.h"

#define PIECE_BYTES ((size_t)256 * 1024)

struct PayloadFile {
    int fd;
    uint64_t size_bytes;
    PayloadHeader header;
    Sha256 metadata_digest;
    Manifest *manifest;
    uint8_t *metadata_signature;
    uint8_t *payload_signature;
};

void payload_file_free(PayloadFile *file)
{
    if (!file)
        return;
    safe_close(file->fd);
    manifest_free(file->manifest);
    free(file->metadata_signature);
    free(file->payload_signature);
    free(file);
}

static UpdateError refuse_read(int r, ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_GENERIC, "the payload cannot be read: %s", strerror(-r));
}

static UpdateError refuse_cut(const PayloadFile *file, uint64_t n_wanted_bytes, ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_PAYLOAD_SIZE,
            "the payload is cut: it has %" PRIu64 " bytes and must have %" PRIu64, file->size_bytes,
            n_wanted_bytes);
}

/* Reads n_bytes at offset_bytes; *ret_data is new. */
static UpdateError read_part(const PayloadFile *file, uint64_t offset_bytes, size_t n_bytes,
        uint8_t **ret_data, ErrorText *error)
{
    _cleanup_free_ uint8_t *data = malloc(n_bytes);
    if (!data)
        return refuse_read(-ENOMEM, error);
    int r = fd_pread_full(file->fd, data, n_bytes, offset_bytes);
    if (r < 0)
        return refuse_read(r, error);
    *ret_data = TAKE_PTR(data);
    return UPDATE_OK;
}

static UpdateError open_file(PayloadFile *file, const char *path, ErrorText *error)
{
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (file->fd < 0)
        return error_say(
                error, UPDATE_ERROR_GENERIC, "%s cannot be opened: %s", path, strerror(errno));
    int r = fd_size_bytes(file->fd, &file->size_bytes);
    if (r < 0)
        return error_say(error, UPDATE_ERROR_GENERIC, "%s is not a file", path);
    return UPDATE_OK;
}

static UpdateError read_header(PayloadFile *file, ErrorText *error)
{
    uint8_t data[PAYLOAD_HEADER_BYTES];
    if (file->size_bytes < sizeof(data))
        return refuse_cut(file, sizeof(data), error);
    int r = fd_pread_full(file->fd, data, sizeof(data), 0);
    if (r < 0)
        return refuse_read(r, error);
    UpdateError failure = payload_header_parse(data, &file->header, error);
    if (failure != UPDATE_OK)
        return failure;
    if (file->size_bytes < file->header.n_metadata_bytes)
        return refuse_cut(file, file->header.n_metadata_bytes, error);
    return UPDATE_OK;
}

static UpdateError read_metadata(PayloadFile *file, const KeyRing *ring, ErrorText *error)
{
    const PayloadHeader *header = &file->header;
    _cleanup_free_ uint8_t *metadata = NULL;
    UpdateError failure = read_part(file, 0, (size_t)header->n_signed_bytes, &metadata, error);
    if (failure == UPDATE_OK)
        failure = read_part(file, header->n_signed_bytes, header->n_metadata_signature_bytes,
                &file->metadata_signature, error);
    if (failure != UPDATE_OK)
        return failure;
    file->metadata_digest = sha256_of(metadata, (size_t)header->n_signed_bytes);
    if (ring && header->format != 1)
        failure = key_ring_verify(ring, &file->metadata_digest, file->metadata_signature,
                header->n_metadata_signature_bytes, UPDATE_ERROR_METADATA_SIGNATURE, error);
    if (failure != UPDATE_OK)
        return failure;
    return manifest_parse(header->format, metadata + header->n_header_bytes,
            (size_t)header->n_manifest_bytes, &file->manifest, error);
}

static UpdateError read_payload_signature(PayloadFile *file, ErrorText *error)
{
    uint64_t n_blob_bytes = file->manifest->n_blob_bytes;
    uint64_t n_blob_bytes_there = file->size_bytes - file->header.n_metadata_bytes;
    if (n_blob_bytes_there < n_blob_bytes)
        return error_say(error, UPDATE_ERROR_PAYLOAD_SIZE,
                "the payload is cut: %" PRIu64 " bytes are missing at its end",
                n_blob_bytes - n_blob_bytes_there);
    if (n_blob_bytes_there > n_blob_bytes)
        return error_say(error, UPDATE_ERROR_PAYLOAD_SIZE,
                "the payload has %" PRIu64 " bytes behind its end",
                n_blob_bytes_there - n_blob_bytes);
    return read_part(file, file->header.n_metadata_bytes + file->manifest->signatures_offset_bytes,
            (size_t)file->manifest->n_signatures_bytes, &file->payload_signature, error);
}

UpdateError payload_file_open(
        const char *path, const KeyRing *ring, PayloadFile **ret_file, ErrorText *error)
{
    _cleanup_(payload_file_freep) PayloadFile *file = calloc(1, sizeof(*file));
    if (!file)
        return refuse_read(-ENOMEM, error);
    file->fd = -1;
    UpdateError failure = open_file(file, path, error);
    if (failure == UPDATE_OK)
        failure = read_header(file, error);
    if (failure == UPDATE_OK)
        failure = read_metadata(file, ring, error);
    if (failure == UPDATE_OK)
        failure = read_payload_signature(file, error);
    if (failure != UPDATE_OK)
        return failure;
    *ret_file = TAKE_PTR(file);
    return UPDATE_OK;
}

const PayloadHeader *payload_file_header(const PayloadFile *file)
{
    return &file->header;
}

const Manifest *payload_file_manifest(const PayloadFile *file)
{
    return file->manifest;
}

int payload_file_fd(const PayloadFile *file)
{
    return file->fd;
}

uint64_t payload_file_size_bytes(const PayloadFile *file)
{
    return file->size_bytes;
}

const Sha256 *payload_file_metadata_digest(const PayloadFile *file)
{
    return &file->metadata_digest;
}

PayloadSignature payload_file_metadata_signature(const PayloadFile *file)
{
    return (PayloadSignature){
            .blob = file->metadata_signature,
            .n_bytes = file->header.n_metadata_signature_bytes,
            .offset_bytes = file->header.n_signed_bytes,
    };
}

PayloadSignature payload_file_payload_signature(const PayloadFile *file)
{
    return (PayloadSignature){
            .blob = file->payload_signature,
            .n_bytes = (size_t)file->manifest->n_signatures_bytes,
            .offset_bytes = file->header.n_metadata_bytes + file->manifest->signatures_offset_bytes,
    };
}

static int hash_range(
        const PayloadFile *file, Sha256Stream *hash, uint64_t first_bytes, uint64_t end_bytes)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    while (first_bytes < end_bytes) {
        size_t n = MIN(PIECE_BYTES, end_bytes - first_bytes);
        int r = fd_pread_full(file->fd, piece, n, first_bytes);
        if (r < 0)
            return r;
        sha256_stream_add(hash, piece, n);
        first_bytes += n;
    }
    return 0;
}

UpdateError payload_file_payload_digest(
        const PayloadFile *file, Sha256 *ret_digest, ErrorText *error)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *hash = NULL;
    int r = sha256_stream_new(&hash);
    if (r >= 0)
        r = hash_range(file, hash, 0, file->header.n_signed_bytes);
    if (r >= 0)
        r = hash_range(file, hash, file->header.n_metadata_bytes,
                file->header.n_metadata_bytes + file->manifest->signatures_offset_bytes);
    if (r < 0)
        return refuse_read(r, error);
    sha256_stream_finish(hash, ret_digest);
    return UPDATE_OK;
}

UpdateError payload_file_verify(const PayloadFile *file, const KeyRing *ring, ErrorText *error)
{
    Sha256 digest;
    UpdateError failure = payload_file_payload_digest(file, &digest, error);
    if (failure != UPDATE_OK)
        return failure;
    return key_ring_verify(ring, &digest, file->payload_signature,
            (size_t)file->manifest->n_signatures_bytes, UPDATE_ERROR_SIGNATURE, error);
}
