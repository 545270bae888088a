/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/omaha-server/byte-range.h"
#include "tests/omaha-server/exchange.h"
#include "tests/omaha-server/payload-sender.h"
#include "tests/omaha-server/release-folder.h"

/* GET and HEAD of /payload/VERSION/payload and /payload/VERSION/delta-FROM, and of the same below
 * /moved, where the redirect of the faults leads and nothing misbehaves. */

#define MOVED "/moved"
#define PREFIX "/payload/"
#define FULL "payload"
#define DELTA "delta-"

/* Takes VERSION and FROM ("": the full payload) out of the path. Returns false when the path is
 * another. */
static bool read_path(const char *path, char *ret_version, char *ret_from)
{
    if (strncmp(path, PREFIX, strlen(PREFIX)) != 0)
        return false;
    const char *version = path + strlen(PREFIX);
    const char *slash = strchr(version, '/');
    if (!slash || slash - version > RELEASE_NAME_MAX)
        return false;
    bool is_delta = strncmp(slash + 1, DELTA, strlen(DELTA)) == 0;
    const char *from = is_delta ? slash + 1 + strlen(DELTA) : "";
    if (is_delta ? !release_name_is_valid(from) : strcmp(slash + 1, FULL) != 0)
        return false;
    snprintf(ret_from, RELEASE_NAME_MAX + 1, "%s", from);
    snprintf(ret_version, RELEASE_NAME_MAX + 1, "%.*s", (int)(slash - version), version);
    return release_name_is_valid(ret_version);
}

static void add_file_headers(
        struct MHD_Response *response, const Release *release, int fd, bool has_ranges)
{
    char etag[SHA256_HEX_CHARS + 3], hex[SHA256_HEX_CHARS + 1], date[64];
    struct stat st;
    struct tm broken_down;
    sha256_to_hex(&release->sha256, hex);
    snprintf(etag, sizeof(etag), "\"%s\"", hex);
    MHD_add_response_header(response, "ETag", etag);
    if (fstat(fd, &st) >= 0 && gmtime_r(&st.st_mtime, &broken_down) &&
            strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &broken_down) > 0)
        MHD_add_response_header(response, "Last-Modified", date);
    if (has_ranges)
        MHD_add_response_header(response, "Accept-Ranges", "bytes");
    MHD_add_response_header(response, "Content-Type", "application/octet-stream");
}

/* The Range header, unless an If-Range says that the client has another file's start. */
static const char *wanted_range(const Exchange *exchange, const Release *release)
{
    const char *if_range =
            MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "If-Range");
    char hex[SHA256_HEX_CHARS + 1];
    sha256_to_hex(&release->sha256, hex);
    if (if_range && (strlen(if_range) != SHA256_HEX_CHARS + 2 ||
                            strncmp(if_range + 1, hex, SHA256_HEX_CHARS) != 0))
        return NULL;
    return MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Range");
}

static enum MHD_Result refuse_range(Exchange *exchange, const Release *release)
{
    char content_range[64];
    struct MHD_Response *response =
            MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    snprintf(content_range, sizeof(content_range), "bytes */%llu",
            (unsigned long long)release->size_bytes);
    if (response)
        MHD_add_response_header(response, "Content-Range", content_range);
    return exchange_answer(exchange, MHD_HTTP_RANGE_NOT_SATISFIABLE, response);
}

/* fd is consumed. */
static enum MHD_Result send_file(
        Exchange *exchange, const Release *release, int fd, const Behaviour *behaviour)
{
    _cleanup_close_ int owned_fd = fd;
    bool has_ranges = behaviour->payload != PAYLOAD_FAULT_NO_RANGES;
    uint64_t first = 0, last = release->size_bytes - 1;
    ByteRange range = byte_range_parse(has_ranges ? wanted_range(exchange, release) : NULL,
            release->size_bytes, &first, &last);
    if (range == BYTE_RANGE_MALFORMED)
        return exchange_answer_text(exchange, MHD_HTTP_BAD_REQUEST, "Bad range.\n");
    if (range == BYTE_RANGE_UNSATISFIABLE)
        return refuse_range(exchange, release);

    uint64_t n_bytes = release->size_bytes == 0 ? 0 : last - first + 1;
    struct MHD_Response *response =
            payload_sender_respond(exchange, TAKE_FD(owned_fd), first, n_bytes, behaviour);
    if (!response)
        return MHD_NO;
    add_file_headers(response, release, fd, has_ranges);
    if (range == BYTE_RANGE_WHOLE)
        return exchange_answer(exchange, MHD_HTTP_OK, response);

    char content_range[96];
    snprintf(content_range, sizeof(content_range), "bytes %llu-%llu/%llu",
            (unsigned long long)first, (unsigned long long)last,
            (unsigned long long)release->size_bytes);
    MHD_add_response_header(response, "Content-Range", content_range);
    exchange->payload.is_part = true;
    exchange->payload.first_byte = first;
    exchange->payload.last_byte = last;
    return exchange_answer(exchange, MHD_HTTP_PARTIAL_CONTENT, response);
}

static enum MHD_Result answer(Exchange *exchange, const Behaviour *behaviour)
{
    char moved[EXCHANGE_PATH_MAX + sizeof(MOVED)];
    switch (behaviour->payload) {
    case PAYLOAD_FAULT_HTTP_404:
        return exchange_answer_text(exchange, MHD_HTTP_NOT_FOUND, "Not found, as told.\n");
    case PAYLOAD_FAULT_HTTP_500:
        return exchange_answer_text(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, "Broken, as told.\n");
    case PAYLOAD_FAULT_REDIRECT:
        snprintf(moved, sizeof(moved), MOVED "%s", exchange->path);
        return exchange_redirect(exchange, MHD_HTTP_FOUND, moved);
    case PAYLOAD_FAULT_REDIRECT_LOOP:
        return exchange_redirect(exchange, MHD_HTTP_FOUND, exchange->path);
    case PAYLOAD_FAULT_REDIRECT_FILE:
        return exchange_redirect(exchange, MHD_HTTP_FOUND, "file:///etc/hostname");
    case PAYLOAD_FAULT_NONE:
    case PAYLOAD_FAULT_STALL:
    case PAYLOAD_FAULT_CUT:
    case PAYLOAD_FAULT_NO_RANGES:
    case PAYLOAD_FAULT_WRONG_LENGTH:
    case PAYLOAD_FAULT_CORRUPT:
        break;
    }
    Release release;
    int fd;
    const char *from = exchange->payload_from[0] ? exchange->payload_from : NULL;
    int r = release_folder_find(exchange->lab->options.folder_fd, exchange->payload_version, from,
            &release, &fd, &exchange->note);
    if (r == -ENOENT)
        return exchange_answer_text(exchange, MHD_HTTP_NOT_FOUND, "There is no such release.\n");
    if (r < 0)
        return exchange_answer_text(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, exchange->note.line);
    return send_file(exchange, &release, fd, behaviour);
}

enum MHD_Result payload_endpoint(Exchange *exchange)
{
    const char *path = exchange->path;
    bool has_moved = strncmp(path, MOVED "/", strlen(MOVED "/")) == 0;
    if (!read_path(has_moved ? path + strlen(MOVED) : path, exchange->payload_version,
                exchange->payload_from))
        return exchange_answer_text(exchange, MHD_HTTP_NOT_FOUND, "There is nothing here.\n");
    if (strcmp(exchange->method, "GET") != 0 && strcmp(exchange->method, "HEAD") != 0)
        return exchange_answer_text(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "GET and HEAD only.\n");

    const char *range = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Range");
    snprintf(exchange->range_text, sizeof(exchange->range_text), "%s", range ? range : "");
    exchange->is_payload = true;
    exchange->payload = (PayloadReport){
            .method = exchange->method,
            .path = exchange->path,
            .version = exchange->payload_version,
            .range = range ? exchange->range_text : NULL,
    };
    Behaviour behaviour = {};
    if (!has_moved && behaviour_source_next(exchange->lab->options.behaviour, BEHAVIOUR_FOR_PAYLOAD,
                              &behaviour, &exchange->note) < 0)
        return exchange_answer_text(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, exchange->note.line);
    return answer(exchange, &behaviour);
}
