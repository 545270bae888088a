/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/image-trailer.h"

#include <errno.h>
#include <string.h>

#include "partitions/slot-trailer-read.h"
#include "partitions/slot-verify.h"

int image_trailer_read(int fd, uint64_t n_bytes, SlotTrailer *ret_trailer, ErrorText *error)
{
    SlotTrailer trailer;
    TrailerFault fault;
    int r = slot_trailer_read_at(fd, 0, n_bytes, &fault, &trailer);
    if (r < 0)
        return error_say(error, r, "the image cannot be read: %s", strerror(-r));
    if (fault == TRAILER_ABSENT)
        return 0;
    if (fault != TRAILER_VALID)
        return error_say(error, -EBADMSG, "its trailer %s: make the image anew",
                slot_trailer_fault_text(fault));
    r = slot_verify_uki(fd, 0, &trailer, NULL, error);
    if (r == -EBADMSG)
        error_say(error, r,
                "its kernel image (UKI) does not have the hash that its trailer gives: make the "
                "image anew");
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
