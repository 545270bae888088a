/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/payload-sender.h"

#include <stdlib.h>
#include <time.h>

#include "common/clock.h"

#define BLOCK_BYTES ((size_t)256 * 1024)
#define LIE_BYTES 65536       /* announced and never sent */
#define PIECES_PER_SECOND 100 /* of a throttled body */

typedef struct {
    Exchange *exchange;
    int fd;
    uint64_t first_byte;
    uint64_t n_bytes;
    Behaviour behaviour;
    uint64_t start_usec;
} PayloadSender;

/* Waits until n_bytes, counted from the start, may have been sent. */
static ExchangeWait wait_for_rate(const PayloadSender *sender, uint64_t n_bytes)
{
    uint64_t rate = sender->behaviour.bytes_per_second;
    uint64_t due_usec = sender->start_usec + n_bytes / rate * USEC_PER_SEC +
                        n_bytes % rate * USEC_PER_SEC / rate;
    uint64_t now = clock_now_usec(CLOCK_MONOTONIC);
    return due_usec <= now ? EXCHANGE_TIME_PASSED : exchange_wait(sender->exchange, due_usec - now);
}

static ssize_t read_piece(void *userdata, uint64_t at, char *ret_data, size_t max)
{
    PayloadSender *sender = userdata;
    const Behaviour *behaviour = &sender->behaviour;
    bool is_cut = behaviour->payload == PAYLOAD_FAULT_CUT;
    bool stalls = behaviour->payload == PAYLOAD_FAULT_STALL;
    uint64_t end = sender->n_bytes;
    if (is_cut || stalls)
        end = MIN(end, behaviour->after_bytes);
    if (at >= end) {
        if (stalls)
            exchange_wait(sender->exchange, UINT64_MAX);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }

    size_t n = (size_t)MIN(end - at, (uint64_t)max);
    if (behaviour->bytes_per_second > 0) {
        n = (size_t)MIN(n, behaviour->bytes_per_second / PIECES_PER_SECOND + 1);
        if (wait_for_rate(sender, at + n) == EXCHANGE_IS_OVER)
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    ssize_t n_read = pread(sender->fd, ret_data, n, (off_t)(sender->first_byte + at));
    if (n_read <= 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    uint64_t corrupt_at = behaviour->offset_bytes - sender->first_byte - at;
    if (behaviour->payload == PAYLOAD_FAULT_CORRUPT && corrupt_at < (uint64_t)n_read)
        ret_data[corrupt_at] ^= 1;
    sender->exchange->payload.n_bytes_sent += (uint64_t)n_read;
    return n_read;
}

static void sender_free(void *userdata)
{
    PayloadSender *sender = userdata;
    safe_close(sender->fd);
    free(sender);
}

struct MHD_Response *payload_sender_respond(Exchange *exchange, int fd, uint64_t first_byte,
        uint64_t n_bytes, const Behaviour *behaviour)
{
    PayloadSender *sender = malloc(sizeof(*sender));
    if (!sender) {
        safe_close(fd);
        return NULL;
    }
    *sender = (PayloadSender){
            .exchange = exchange,
            .fd = fd,
            .first_byte = first_byte,
            .n_bytes = n_bytes,
            .behaviour = *behaviour,
            .start_usec = clock_now_usec(CLOCK_MONOTONIC),
    };
    uint64_t n_announced = n_bytes;
    if (behaviour->payload == PAYLOAD_FAULT_WRONG_LENGTH)
        n_announced += LIE_BYTES;
    struct MHD_Response *response = MHD_create_response_from_callback(
            n_announced, BLOCK_BYTES, read_piece, sender, sender_free);
    if (!response)
        sender_free(sender);
    return response;
}
