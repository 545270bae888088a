/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "tests/omaha-server/client-request.h"
#include "tests/omaha-server/exchange.h"
#include "tests/omaha-server/update-answer.h"

/* POST /v1/update/: the request is read, the verdict found, told to the report and then to the
 * client, or one of the faults in its stead. */

#define HUGE_XML_BYTES (UINT64_C(100) << 20)
#define HUGE_XML_BLOCK_BYTES ((size_t)256 * 1024)
#define STATUS_UNKNOWN_APP "error-failedToRetrieveUpdatePackageInfo" /* Nebraska's word */
#define STATUS_RATE_LIMIT "error-maxUpdatesPerPeriodLimitReached"

static const char entity_bomb[] =
        "<?xml version=\"1.0\"?>\n<!DOCTYPE response [\n"
        "<!ENTITY a \"boom boom boom boom boom boom boom boom boom boom\">\n"
        "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">\n"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">\n"
        "<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\">\n"
        "<!ENTITY e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\">\n"
        "<!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;\">\n"
        "<!ENTITY g \"&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;\">\n"
        "<!ENTITY h \"&g;&g;&g;&g;&g;&g;&g;&g;&g;&g;\">\n"
        "]>\n<response protocol=\"3.0\" server=\"&h;\"><app appid=\"&h;\" status=\"ok\">&h;"
        "<updatecheck status=\"ok\"/></app></response>\n";
static const char garbage_xml[] = "<response <<< protocol=3.0 \x01\x02 &nosuch; ]]> </app> %PDF\n";

/* What the answer says. */
typedef struct {
    const char *verdict;
    const char *app_status;
    const char *check_status; /* NULL: there was no check */
    bool is_known;            /* unknown clients do not get their ping answered */
    bool has_release;
    Release release;
    bool has_delta; /* to it from what the client runs */
    Release delta;
} Decision;

static void decline(Decision *decision, const char *verdict, const char *app_status)
{
    decision->verdict = verdict;
    decision->app_status = app_status;
    decision->check_status = "error-internal";
}

/* Errors: what a broken folder gives, with error. */
static int offer(
        Exchange *exchange, const ClientRequest *request, Decision *decision, ErrorText *error)
{
    char version[RELEASE_NAME_MAX + 1];
    int folder_fd = exchange->lab->options.folder_fd;
    int r = release_folder_find_channel(folder_fd, request->track, version, error);
    if (r == -ENOENT) {
        decision->is_known = false;
        decline(decision, "unknown-app", STATUS_UNKNOWN_APP);
        return 0;
    }
    if (r < 0)
        return r;
    if (strcmp(version, request->version) == 0) {
        decision->verdict = "no-update";
        decision->check_status = "noupdate";
        return 0;
    }
    r = release_folder_find(folder_fd, version, NULL, &decision->release, NULL, error);
    if (r < 0)
        return r;
    r = release_folder_find(folder_fd, version, request->version, &decision->delta, NULL, error);
    if (r < 0 && r != -ENOENT)
        return r;
    decision->has_delta = r >= 0;
    decision->verdict = "update";
    decision->check_status = "ok";
    decision->has_release = true;
    return 0;
}

static int decide(Exchange *exchange, const ClientRequest *request, const Behaviour *behaviour,
        Decision *decision, ErrorText *error)
{
    const char *only_app_id = exchange->lab->options.app_id;
    *decision = (Decision){.verdict = "report", .app_status = "ok", .is_known = true};
    if (only_app_id && strcasecmp(only_app_id, request->app_id) != 0) {
        decision->is_known = false;
        decline(decision, "unknown-app", STATUS_UNKNOWN_APP);
        return 0;
    }
    if (!request->has_check)
        return 0;
    if (behaviour->app_status[0]) {
        decline(decision, "not-now", behaviour->app_status);
        return 0;
    }
    if (behaviour->omaha == OMAHA_FAULT_RATE_LIMIT) {
        decline(decision, "rate-limit", STATUS_RATE_LIMIT);
        return 0;
    }
    if (behaviour->omaha == OMAHA_FAULT_NO_UPDATE) {
        decision->verdict = "no-update";
        decision->check_status = "noupdate";
        return 0;
    }
    return offer(exchange, request, decision, error);
}

/* HOST:PORT as the client knows us, when what it says can stand in a URL. */
static const char *own_address(const Exchange *exchange)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".:-[]";
    const char *host = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "Host");
    if (host && host[0] && strlen(host) < 256 && strspn(host, allowed) == strlen(host))
        return host;
    return exchange->lab->address;
}

static int write_answer(const Exchange *exchange, const ClientRequest *request,
        const Behaviour *behaviour, const Decision *decision, char **ret_xml)
{
    const LabOptions *options = &exchange->lab->options;
    Release release = decision->release;
    if (behaviour->lies_about_size)
        release.size_bytes += 4096;
    if (behaviour->lies_about_hash)
        release.sha256.bytes[0] ^= 1;

    char own_codebase[320];
    snprintf(own_codebase, sizeof(own_codebase), "http://%s/payload/{version}/",
            own_address(exchange));
    const char *const own_codebases[] = {own_codebase};
    bool has_manifest = decision->has_release && behaviour->omaha != OMAHA_FAULT_NO_MANIFEST;
    UpdateAnswer answer = {
            .app_id = request->app_id,
            .app_status = decision->app_status,
            .has_ping = request->has_ping && decision->is_known,
            .n_events = decision->is_known ? request->n_events : 0,
            .check_status = decision->check_status,
            .poll_interval_sec = behaviour->poll_interval_sec,
            .release = has_manifest ? &release : NULL,
            .delta = decision->has_delta ? &decision->delta : NULL,
            .client_version = request->version,
            .codebases = options->n_payload_urls > 0 ? options->payload_urls : own_codebases,
            .n_codebases = options->n_payload_urls > 0 ? options->n_payload_urls : 1,
    };
    return update_answer_write(&answer, ret_xml);
}

static enum MHD_Result answer_xml(Exchange *exchange, const char *xml, size_t n_bytes)
{
    struct MHD_Response *response =
            MHD_create_response_from_buffer(n_bytes, (void *)(uintptr_t)xml, MHD_RESPMEM_MUST_COPY);
    if (response)
        MHD_add_response_header(response, "Content-Type", "text/xml");
    return exchange_answer(exchange, MHD_HTTP_OK, response);
}

/* One endless comment, made as it is sent. */
static ssize_t read_huge_xml(void *userdata, uint64_t at, char *ret_data, size_t max)
{
    static const char head[] =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><response protocol=\"3.0\">"
            "<!-- ";
    (void)userdata;
    memset(ret_data, 'x', max);
    if (at < strlen(head))
        memcpy(ret_data, head + at, MIN(max, strlen(head) - (size_t)at));
    return (ssize_t)max;
}

static enum MHD_Result answer_huge_xml(Exchange *exchange)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
            HUGE_XML_BYTES, HUGE_XML_BLOCK_BYTES, read_huge_xml, NULL, NULL);
    if (response)
        MHD_add_response_header(response, "Content-Type", "text/xml");
    return exchange_answer(exchange, MHD_HTTP_OK, response);
}

static enum MHD_Result answer(Exchange *exchange, OmahaFault fault, const char *xml)
{
    switch (fault) {
    case OMAHA_FAULT_HTTP_404:
        return exchange_answer_text(exchange, MHD_HTTP_NOT_FOUND, "Not found, as told.\n");
    case OMAHA_FAULT_HTTP_500:
        return exchange_answer_text(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, "Broken, as told.\n");
    case OMAHA_FAULT_HTTP_503:
        return exchange_answer_text(exchange, MHD_HTTP_SERVICE_UNAVAILABLE, "Busy, as told.\n");
    case OMAHA_FAULT_STALL:
        exchange_wait(exchange, UINT64_MAX);
        return MHD_NO;
    case OMAHA_FAULT_EMPTY:
        return answer_xml(exchange, "", 0);
    case OMAHA_FAULT_GARBAGE_XML:
        return answer_xml(exchange, garbage_xml, strlen(garbage_xml));
    case OMAHA_FAULT_TRUNCATED_XML:
        return answer_xml(exchange, xml, strlen(xml) / 2);
    case OMAHA_FAULT_ENTITY_BOMB:
        return answer_xml(exchange, entity_bomb, strlen(entity_bomb));
    case OMAHA_FAULT_HUGE_XML:
        return answer_huge_xml(exchange);
    case OMAHA_FAULT_REDIRECT_LOOP:
        return exchange_redirect(exchange, MHD_HTTP_TEMPORARY_REDIRECT, exchange->path);
    case OMAHA_FAULT_REDIRECT_FILE:
        return exchange_redirect(exchange, MHD_HTTP_TEMPORARY_REDIRECT, "file:///etc/hostname");
    case OMAHA_FAULT_NONE:
    case OMAHA_FAULT_NO_UPDATE:
    case OMAHA_FAULT_RATE_LIMIT:
    case OMAHA_FAULT_NO_MANIFEST:
        break;
    }
    return answer_xml(exchange, xml, strlen(xml));
}

static enum MHD_Result answer_broken(Exchange *exchange, const ErrorText *error)
{
    exchange->note = *error;
    return exchange_answer_text(exchange, MHD_HTTP_INTERNAL_SERVER_ERROR, error->line);
}

static enum MHD_Result answer_request(Exchange *exchange, const ClientRequest *request)
{
    Behaviour behaviour;
    Decision decision;
    ErrorText error = {};
    int r = behaviour_source_next(exchange->lab->options.behaviour,
            request->has_check ? BEHAVIOUR_FOR_CHECK : BEHAVIOUR_FOR_REPORT, &behaviour, &error);
    if (r >= 0)
        r = decide(exchange, request, &behaviour, &decision, &error);
    if (r < 0)
        return answer_broken(exchange, &error);
    _cleanup_free_ char *xml = NULL;
    if (write_answer(exchange, request, &behaviour, &decision, &xml) < 0)
        return MHD_NO;

    const char *fault = behaviour_omaha_fault_name(behaviour.omaha);
    const char *verdict = fault[0] ? fault : decision.verdict;
    const char *offered = decision.has_release ? decision.release.version : NULL;
    r = report_client(exchange->lab->options.report, request, verdict, offered);
    if (r < 0) {
        error_say(&error, r, "cannot write the report: %s", strerror(-r));
        return answer_broken(exchange, &error);
    }
    error_say(&exchange->note, 0, "%.40s on %.40s: %s%s%s", request->version, request->track,
            verdict, offered ? " " : "", offered ? offered : "");
    return answer(exchange, behaviour.omaha, xml);
}

enum MHD_Result update_endpoint(Exchange *exchange)
{
    _cleanup_(client_request_freep) ClientRequest *request = NULL;
    if (strcmp(exchange->method, "POST") != 0)
        return exchange_answer_text(exchange, MHD_HTTP_METHOD_NOT_ALLOWED, "POST only.\n");
    if (exchange->is_body_too_large)
        return exchange_answer_text(exchange, MHD_HTTP_CONTENT_TOO_LARGE, "Request too large.\n");
    if (!exchange->body ||
            client_request_parse(exchange->body, exchange->n_body_bytes, &request) < 0)
        return exchange_answer_text(exchange, MHD_HTTP_BAD_REQUEST, "Bad Omaha Request\n");
    return answer_request(exchange, request);
}
