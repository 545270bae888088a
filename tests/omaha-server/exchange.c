/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/exchange.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

enum MHD_Result exchange_answer(Exchange *exchange, unsigned status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    exchange->status = status;
    enum MHD_Result result = MHD_queue_response(exchange->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *make_text(const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
            strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response)
        MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8");
    return response;
}

enum MHD_Result exchange_answer_text(Exchange *exchange, unsigned status, const char *text)
{
    return exchange_answer(exchange, status, make_text(text));
}

enum MHD_Result exchange_redirect(Exchange *exchange, unsigned status, const char *location)
{
    struct MHD_Response *response = make_text("");
    if (response)
        MHD_add_response_header(response, "Location", location);
    return exchange_answer(exchange, status, response);
}

ExchangeWait exchange_wait(const Exchange *exchange, uint64_t timeout_usec)
{
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd fds[] = {
            {.fd = exchange->lab->stop_fd, .events = POLLIN},
            {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP},
    };
    struct timespec timeout = {
            .tv_sec = (time_t)(timeout_usec / USEC_PER_SEC),
            .tv_nsec = (long)(timeout_usec % USEC_PER_SEC) * 1000,
    };
    int n = ppoll(fds, ELEMENTS(fds), timeout_usec == UINT64_MAX ? NULL : &timeout, NULL);
    return n > 0 ? EXCHANGE_IS_OVER : EXCHANGE_TIME_PASSED;
}
