/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The slot trailer (partitions/slot-trailer.h) at the end of an image that a payload is made of. */

#include "common/error-text.h"
#include "partitions/slot-trailer.h"
#include "updater/payload-writer/payload-writer.h"

/* Reads the last block of an image of n_bytes, and, where that is a trailer, holds the UKI against
 * its hash. Returns 1 with the trailer, 0 when there is none. Blocks. Errors: -EBADMSG when trailer
 * or UKI is damaged, -ENOMEM, errno of read. */
int image_trailer_read(int fd, uint64_t n_bytes, SlotTrailer *ret_trailer, ErrorText *error);

/* Whether a payload of these options may be made of such an image. Returns 1.
 * Errors: -EINVAL for another product, version or salt than the trailer's. */
int image_trailer_check(
        const SlotTrailer *trailer, const PayloadWriterOptions *options, ErrorText *error);
