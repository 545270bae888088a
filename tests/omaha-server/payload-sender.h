/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The body of a payload's answer: a piece of the file, as fast, as whole and as true as the
 * behaviour says. */

#include "tests/omaha-server/exchange.h"

/* Makes the response for bytes first to first + n_bytes - 1 of the file at fd (consumed, in every
 * case). exchange is borrowed and counts what is sent. NULL for lack of memory. */
struct MHD_Response *payload_sender_respond(Exchange *exchange, int fd, uint64_t first_byte,
        uint64_t n_bytes, const Behaviour *behaviour);
