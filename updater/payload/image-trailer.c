/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/image-trailer.h"

#include <errno.h>
#include <string.h>

#include "common/fd-io.h"

#define PIECE_BYTES ((size_t)256 * 1024)

static int hash_uki(int fd, const SlotTrailer *trailer, Sha256 *ret_hash)
{
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece || sha256_stream_new(&stream) < 0)
        return -ENOMEM;
    for (uint64_t at = 0; at < trailer->uki_bytes;) {
        size_t n = MIN(PIECE_BYTES, trailer->uki_bytes - at);
        int r = fd_pread_full(fd, piece, n, trailer->uki_offset + at);
        if (r < 0)
            return r;
        sha256_stream_add(stream, piece, n);
        at += n;
    }
    sha256_stream_finish(stream, ret_hash);
    return 0;
}

static int check_uki(int fd, const SlotTrailer *trailer, ErrorText *error)
{
    if (trailer->uki_bytes == 0)
        return 0;
    Sha256 hash;
    int r = hash_uki(fd, trailer, &hash);
    if (r < 0)
        return r;
    if (!sha256_equal(&hash, &trailer->uki_sha256))
        return error_say(error, -EBADMSG,
                "its kernel image (UKI) does not have the hash that its trailer gives: make the "
                "image anew");
    return 0;
}

int image_trailer_read(int fd, uint64_t n_bytes, SlotTrailer *ret_trailer, ErrorText *error)
{
    if (n_bytes < SLOT_TRAILER_BYTES)
        return 0;
    uint8_t block[SLOT_TRAILER_BYTES];
    int r = fd_pread_full(fd, block, sizeof(block), n_bytes - sizeof(block));
    if (r < 0)
        return error_say(error, r, "the image cannot be read: %s", strerror(-r));
    SlotTrailer trailer;
    TrailerFault fault = slot_trailer_parse(block, n_bytes, &trailer);
    if (fault == TRAILER_ABSENT)
        return 0;
    if (fault != TRAILER_VALID)
        return error_say(error, -EBADMSG, "its trailer %s: make the image anew",
                slot_trailer_fault_text(fault));
    r = check_uki(fd, &trailer, error);
    if (r < 0)
        return r;
    *ret_trailer = trailer;
    return 1;
}

static bool has_salt(const SlotTrailer *trailer, const PayloadWriterOptions *options)
{
    return trailer->n_salt_bytes == options->n_salt_bytes &&
           memcmp(trailer->salt, options->salt, trailer->n_salt_bytes) == 0;
}

int image_trailer_check(
        const SlotTrailer *trailer, const PayloadWriterOptions *options, ErrorText *error)
{
    if (strcmp(trailer->product, options->product) != 0)
        return error_say(error, -EINVAL,
                "its trailer says that it is for %s, and the payload is to be for %s",
                trailer->product, options->product);
    if (strcmp(trailer->version, options->version) != 0)
        return error_say(error, -EINVAL,
                "its trailer says that it holds version %s, and the payload is to be version %s",
                trailer->version, options->version);
    if (trailer->tree_bytes > 0 && !options->without_verity && options->has_salt &&
            !has_salt(trailer, options))
        return error_say(error, -EINVAL, "its hash tree was made with another salt than asked for");
    return 1;
}
