/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/update-answer.h"

#include <errno.h>
#include <libxml/xmlwriter.h>
#include <stdio.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/base64.h"

/* The writer's calls fail for lack of memory alone, and go on failing then: only the document's end
 * is checked. */

static void start(xmlTextWriter *writer, const char *name)
{
    xmlTextWriterStartElement(writer, (const xmlChar *)name);
}

static void end(xmlTextWriter *writer)
{
    xmlTextWriterFullEndElement(writer);
}

static void attribute(xmlTextWriter *writer, const char *name, const char *value)
{
    xmlTextWriterWriteAttribute(writer, (const xmlChar *)name, (const xmlChar *)value);
}

static void number(xmlTextWriter *writer, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    attribute(writer, name, text);
}

static void element_with_status(xmlTextWriter *writer, const char *name, const char *status)
{
    start(writer, name);
    attribute(writer, "status", status);
    end(writer);
}

static void write_codebase(xmlTextWriter *writer, const char *codebase, const char *version)
{
    static const char placeholder[] = "{version}";
    const char *hole = strstr(codebase, placeholder);
    _cleanup_free_ char *filled = NULL;
    if (hole && asprintf(&filled, "%.*s%s%s", (int)(hole - codebase), codebase, version,
                        hole + strlen(placeholder)) < 0)
        return;
    start(writer, "url");
    attribute(writer, "codebase", filled ? filled : codebase);
    end(writer);
}

/* As updater/omaha/omaha-response.h has it; others pass over it. */
static void write_delta(xmlTextWriter *writer, const Release *delta, const char *from)
{
    char name[RELEASE_NAME_MAX + 8], sha256[SHA256_HEX_CHARS + 1];
    snprintf(name, sizeof(name), "delta-%s", from);
    sha256_to_hex(&delta->sha256, sha256);
    start(writer, "package");
    attribute(writer, "name", name);
    attribute(writer, "delta_from", from);
    attribute(writer, "hash", delta->sha1_base64);
    attribute(writer, "hash_sha256", sha256);
    number(writer, "size", delta->size_bytes);
    attribute(writer, "required", "false");
    end(writer);
}

static void write_manifest(xmlTextWriter *writer, const UpdateAnswer *answer)
{
    const Release *release = answer->release;
    char sha256_base64[4 * ((SHA256_BYTES + 2) / 3) + 1];
    base64_encode(release->sha256.bytes, SHA256_BYTES, sha256_base64);
    start(writer, "manifest");
    attribute(writer, "version", release->version);
    start(writer, "packages");
    start(writer, "package");
    attribute(writer, "name", "payload");
    attribute(writer, "hash", release->sha1_base64);
    number(writer, "size", release->size_bytes);
    attribute(writer, "required", "true");
    end(writer);
    if (answer->delta)
        write_delta(writer, answer->delta, answer->client_version);
    end(writer);
    start(writer, "actions");
    start(writer, "action");
    attribute(writer, "event", "postinstall");
    attribute(writer, "sha256", sha256_base64);
    if (release->metadata_bytes > 0)
        number(writer, "MetadataSize", release->metadata_bytes);
    attribute(writer, "DisablePayloadBackoff", "true");
    end(writer);
    end(writer);
    end(writer);
}

static void write_check(xmlTextWriter *writer, const UpdateAnswer *answer)
{
    start(writer, "updatecheck");
    attribute(writer, "status", answer->check_status);
    if (answer->poll_interval_sec > 0)
        number(writer, "PollInterval", answer->poll_interval_sec);
    start(writer, "urls");
    for (size_t i = 0; answer->release && i < answer->n_codebases; i++)
        write_codebase(writer, answer->codebases[i], answer->release->version);
    end(writer);
    if (answer->release)
        write_manifest(writer, answer);
    end(writer);
}

static int write_document(xmlTextWriter *writer, const UpdateAnswer *answer)
{
    xmlTextWriterStartDocument(writer, NULL, "UTF-8", NULL);
    start(writer, "response");
    attribute(writer, "protocol", "3.0");
    attribute(writer, "server", "omaha-server");
    start(writer, "daystart");
    attribute(writer, "elapsed_seconds", "0");
    end(writer);
    start(writer, "app");
    attribute(writer, "appid", answer->app_id);
    attribute(writer, "status", answer->app_status);
    if (answer->has_ping)
        element_with_status(writer, "ping", "ok");
    if (answer->check_status)
        write_check(writer, answer);
    for (size_t i = 0; i < answer->n_events; i++)
        element_with_status(writer, "event", "ok");
    end(writer);
    end(writer);
    return xmlTextWriterEndDocument(writer) < 0 ? -ENOMEM : 0;
}

int update_answer_write(const UpdateAnswer *answer, char **ret_xml)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlTextWriter *writer = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    int r = writer ? write_document(writer, answer) : -ENOMEM;
    if (writer)
        xmlFreeTextWriter(writer); /* flushes into the buffer */
    if (r >= 0) {
        char *xml = strdup((const char *)xmlBufferContent(buffer));
        if (xml)
            *ret_xml = xml;
        else
            r = -ENOMEM;
    }
    xmlBufferFree(buffer);
    return r;
}
