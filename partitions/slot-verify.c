/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-verify.h"

#include <errno.h>
#include <string.h>

#include "partitions/slot-reader.h"

VerityParameters slot_verify_parameters(const SlotTrailer *trailer)
{
    static_assert(SLOT_TRAILER_SALT_MAX_BYTES == VERITY_SALT_MAX_BYTES, "one salt");
    VerityParameters parameters = {
            .n_salt_bytes = trailer->n_salt_bytes,
            .n_data_blocks = trailer->fs_bytes / VERITY_BLOCK_BYTES,
    };
    memcpy(parameters.salt, trailer->salt, sizeof(parameters.salt));
    return parameters;
}

int slot_verify_tree(int fd, uint64_t offset_bytes, const SlotTrailer *trailer,
        const VerityRun *run, ErrorText *error)
{
    if (trailer->tree_bytes == 0)
        return 0;
    VerityParameters parameters = slot_verify_parameters(trailer);
    VerityRegion data = {fd, offset_bytes}, tree = {fd, offset_bytes + trailer->tree_offset};
    return verity_tree_verify(&parameters, data, tree, &trailer->root_hash, run, error);
}

int slot_verify_uki(int fd, uint64_t offset_bytes, const SlotTrailer *trailer,
        const atomic_bool *is_cancelled, ErrorText *error)
{
    if (trailer->uki_bytes == 0)
        return 0;
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    int r = sha256_stream_new(&stream);
    if (r == 0)
        r = slot_reader_hash(fd, offset_bytes + trailer->uki_offset, trailer->uki_bytes, stream,
                NULL, is_cancelled);
    if (r < 0)
        return error_say(error, r, "the kernel image cannot be read: %s", strerror(-r));
    Sha256 digest;
    sha256_stream_finish(stream, &digest);
    if (!sha256_equal(&digest, &trailer->uki_sha256))
        return error_say(error, -EBADMSG, "the kernel image does not match its digest");
    return 0;
}
