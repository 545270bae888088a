/* SPDX-License-Identifier: Apache-2.0 */

/* The document is written straight into a string, for it is flat and its attributes have a fixed
 * order that servers' logs and filters know. What comes from outside goes through write_escaped()
 * alone. */

#include "updater/omaha/omaha-request.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "common/cleanup.h"

#define PROTOCOL_CLIENT "update_engine-0.4.10" /* whose behaviour a server may expect */
#define UPDATER_CLIENT "flipside-" FLIPSIDE_VERSION
#define REPLACEMENT_CHARACTER "\xef\xbf\xbd" /* U+FFFD */

/* The length of the UTF-8 sequence (RFC 3629) at text, which ends with a NUL, and its character;
 * 0 when there is none. */
static size_t utf8_decode(const char *text, uint32_t *ret_character)
{
    static const struct {
        uint8_t mask, lead;
        uint32_t min;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t n = 1; n <= ELEMENTS(forms); n++) {
        if ((bytes[0] & forms[n - 1].mask) != forms[n - 1].lead)
            continue;
        uint32_t character = bytes[0] & (uint8_t)~forms[n - 1].mask;
        for (size_t i = 1; i < n; i++) {
            if ((bytes[i] & 0xc0) != 0x80)
                return 0;
            character = character << 6 | (bytes[i] & 0x3f);
        }
        if (character < forms[n - 1].min || character > 0x10ffff)
            return 0;
        *ret_character = character;
        return n;
    }
    return 0;
}

/* XML 1.0, production 2. */
static bool is_xml_character(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0xd800) ||
           (c >= 0xe000 && c != 0xfffe && c != 0xffff);
}

/* For an attribute's value in double quotes. White space other than the blank would be read back
 * as a blank, so it is written by its number. */
static void write_escaped(FILE *out, const char *text)
{
    while (*text != '\0') {
        uint32_t c;
        size_t n_bytes = utf8_decode(text, &c);
        if (n_bytes == 0 || !is_xml_character(c))
            fputs(REPLACEMENT_CHARACTER, out);
        else if (c == '&')
            fputs("&amp;", out);
        else if (c == '<')
            fputs("&lt;", out);
        else if (c == '>')
            fputs("&gt;", out);
        else if (c == '"')
            fputs("&quot;", out);
        else if (c < 0x20)
            fprintf(out, "&#%u;", (unsigned)c);
        else
            fwrite(text, 1, n_bytes, out);
        text += MAX(n_bytes, (size_t)1);
    }
}

static void write_attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    write_escaped(out, value);
    fputc('"', out);
}

static void write_head(FILE *out, const OmahaIdentity *identity)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<request protocol=\"3.0\"", out);
    write_attribute(out, "version", PROTOCOL_CLIENT);
    write_attribute(out, "updaterversion", UPDATER_CLIENT);
    write_attribute(
            out, "installsource", identity->is_interactive ? "ondemandupdate" : "scheduler");
    fputs(" ismachine=\"1\">\n    <os version=\"Chateau\" platform=\"CoreOS\" sp=\"", out);
    write_escaped(out, identity->version);
    fputc('_', out);
    write_escaped(out, identity->architecture);
    fputs("\"></os>\n", out);
}

static void write_app_start(FILE *out, const OmahaIdentity *identity)
{
    fputs("    <app", out);
    write_attribute(out, "appid", identity->app_id);
    write_attribute(out, "version", identity->version);
    write_attribute(out, "track", identity->track);
    fputs(" bootid=\"{", out);
    write_escaped(out, identity->boot_id);
    fputs("}\"", out);
    write_attribute(out, "oem", identity->oem);
    write_attribute(out, "oemversion", identity->oem_version);
    write_attribute(out, "alephversion", identity->aleph_version);
    write_attribute(out, "machineid", identity->machine_id);
    write_attribute(out, "machinealias", identity->machine_alias);
    write_attribute(out, "lang", "en-US");
    write_attribute(out, "board", identity->board);
    fputs(" hardware_class=\"\" delta_okay=\"false\">\n", out);
}

static void write_event(FILE *out, const OmahaEvent *event)
{
    fprintf(out, "        <event eventtype=\"%d\" eventresult=\"%d\"", (int)event->type,
            (int)event->result);
    if (event->result == OMAHA_RESULT_ERROR || event->result == OMAHA_RESULT_DEFERRED)
        fprintf(out, " errorcode=\"%u\"", event->error_code);
    if (event->result == OMAHA_RESULT_SUCCESS_REBOOT)
        write_attribute(out, "previousversion", event->previous_version);
    fputs("></event>\n", out);
}

static int write_request(const OmahaIdentity *identity, const char *body, const OmahaEvent *events,
        size_t n_events, char **ret_xml)
{
    _cleanup_free_ char *xml = NULL;
    size_t n_bytes = 0;
    FILE *out = open_memstream(&xml, &n_bytes);
    if (!out)
        return -ENOMEM;
    write_head(out, identity);
    write_app_start(out, identity);
    fputs(body, out);
    for (size_t i = 0; i < n_events; i++)
        write_event(out, &events[i]);
    fputs("    </app>\n</request>\n", out);
    bool is_whole = !ferror(out);
    if (fclose(out) != 0 || !is_whole)
        return -ENOMEM;
    *ret_xml = TAKE_PTR(xml);
    return 0;
}

int omaha_request_check(
        const OmahaIdentity *identity, const OmahaEvent *events, size_t n_events, char **ret_xml)
{
    static const OmahaEvent steady_state = {
            .type = OMAHA_EVENT_UPDATE_COMPLETE,
            .result = OMAHA_RESULT_SUCCESS_REBOOT,
    };
    return write_request(identity,
            "        <ping active=\"1\"></ping>\n"
            "        <updatecheck></updatecheck>\n",
            n_events > 0 ? events : &steady_state, MAX(n_events, (size_t)1), ret_xml);
}

int omaha_request_events(
        const OmahaIdentity *identity, const OmahaEvent *events, size_t n_events, char **ret_xml)
{
    return write_request(identity, "", events, n_events, ret_xml);
}
