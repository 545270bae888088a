/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/engine-private.h"

#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/random.h"

/* Events for the server wait in the outbox, on the disk, until one answer took them. They travel
 * with every check; here they also go by themselves, soon after they happened, and again with
 * back-off when the server was not reached. One request is under way at a time. */

#define REPORT_WAIT_MIN_USEC (30 * USEC_PER_SEC)
#define REPORT_WAIT_MAX_USEC USEC_PER_HOUR

OmahaIdentity engine_omaha_identity(const Engine *engine, bool is_interactive)
{
    const Config *config = engine->config;
    return (OmahaIdentity){
            .app_id = config->app_id,
            .version = config->version,
            .track = config->group,
            .boot_id = engine->identity.boot_id,
            .oem = engine->identity.oem,
            .oem_version = engine->identity.oem_version,
            .aleph_version = engine->state->aleph_version,
            .machine_id = engine->identity.machine_id,
            .machine_alias = config->machine_alias,
            .board = config->board,
            .architecture = engine->identity.architecture,
            .is_interactive = is_interactive,
    };
}

void engine_reports_delivered(Engine *engine, size_t n_events)
{
    ErrorText error = {};
    if (n_events > 0 && event_outbox_delivered(engine->outbox, n_events, &error) < 0)
        log_warning("%s", error.line);
}

static int on_report_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    engine_send_reports(userdata);
    return 0;
}

static void retry_later(Engine *engine)
{
    uint64_t wait =
            backoff_usec(++engine->n_report_failures, REPORT_WAIT_MIN_USEC, REPORT_WAIT_MAX_USEC);
    wait = backoff_jitter_usec(wait, wait / 4, random_uint64());
    sd_event_source_disable_unref(engine->report_timer);
    engine->report_timer = NULL;
    int r = sd_event_add_time_relative(
            engine->event, &engine->report_timer, CLOCK_BOOTTIME, wait, 0, on_report_timer, engine);
    if (r < 0)
        log_warning("cannot plan to send events: %s", strerror(-r));
}

static void on_report_done(OmahaExchange *exchange, const OmahaOutcome *outcome, void *userdata)
{
    (void)exchange;
    Engine *engine = userdata;
    if (outcome->code == UPDATE_OK) {
        engine->n_report_failures = 0;
        engine_reports_delivered(engine, engine->n_report_events);
    } else if (engine->n_report_failures == 0) {
        log_info("events could not be sent (%s); they are kept and sent again", outcome->error);
    }
    bool failed = outcome->code != UPDATE_OK;
    omaha_exchange_free(TAKE_PTR(engine->report));
    if (failed)
        retry_later(engine);
    else
        engine_send_reports(engine);
}

void engine_send_reports(Engine *engine)
{
    size_t n_events;
    const OmahaEvent *events = event_outbox_peek(engine->outbox, &n_events);
    /* A check that is under way has taken them along. */
    bool is_taken = engine->exchange && !engine->offer && engine->n_events_sent > 0;
    if (n_events == 0 || engine->report || is_taken || !engine->config || !engine->config->server)
        return;
    OmahaIdentity identity = engine_omaha_identity(engine, false);
    _cleanup_free_ char *xml = NULL;
    int r = omaha_request_events(&identity, events, n_events, &xml);
    if (r == 0)
        r = omaha_exchange_new(engine->http, engine->config->server, xml, identity.app_id, false,
                on_report_done, engine, &engine->report);
    engine->n_report_events = n_events;
    if (r < 0) {
        log_warning("events cannot be sent: %s", strerror(-r));
        retry_later(engine);
    }
}

void engine_report(Engine *engine, OmahaEventType type, OmahaEventResult result,
        unsigned error_code, const char *previous_version)
{
    OmahaEvent event = {.type = type, .result = result, .error_code = error_code};
    snprintf(event.previous_version, sizeof(event.previous_version), "%s", previous_version);
    ErrorText error = {};
    size_t n_before, n_after;
    (void)event_outbox_peek(engine->outbox, &n_before);
    if (event_outbox_add(engine->outbox, &event, &error) < 0)
        log_warning("event %d/%d: %s", (int)type, (int)result, error.line);
    /* A full outbox gave one up, perhaps one that is on its way: rather send the last of those
     * twice than take this one for delivered. */
    (void)event_outbox_peek(engine->outbox, &n_after);
    if (n_after == n_before) {
        engine->n_events_sent -= engine->n_events_sent > 0;
        engine->n_report_events -= engine->n_report_events > 0;
    }
    engine_send_reports(engine);
}
