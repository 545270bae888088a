/* SPDX-License-Identifier: Apache-2.0 */

/* libxml2's SAX2 interface behind three walls:
 *
 * 1. before parsing: the size, no byte 0 (so no UTF-16 or UTF-32), no document type or entity
 *    declaration anywhere in the text, a bounded number of attributes (libxml2 compares those of
 *    one element with each other in quadratic time);
 * 2. the parser is told that the text is UTF-8 and not to look at the declared encoding, so that
 *    what it reads is what was searched; it has no callbacks that would load or declare anything;
 * 3. should a declaration reach the parser all the same, it stops there. */

#include "updater/omaha/omaha-xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <string.h>

#include "common/cleanup.h"

#define ATTRIBUTES_MAX 4096 /* in the whole document */
#define NAMESPACES_MAX 8    /* declared by one element */

struct XmlAttributes {
    const xmlChar **parts; /* five for each: name, prefix, namespace, start and end of the value */
    size_t n_attributes;
};

typedef struct {
    xmlParserCtxt *parser;
    const XmlHandlers *handlers;
    void *userdata;
    unsigned depth; /* of the next element to begin */
    bool has_root;
    UpdateError result; /* why we stopped, if we did */
    ErrorText *error;
} Reader;

DEFINE_CLEANUP(xmlParserCtxt *, xmlFreeParserCtxt);

static void stop(Reader *reader, UpdateError result, const char *why)
{
    reader->result = error_say(reader->error, result, "the update server's answer %s", why);
    xmlStopParser(reader->parser);
}

static void on_start_element(void *userdata, const xmlChar *name, const xmlChar *prefix,
        const xmlChar *uri, int n_namespaces, const xmlChar **namespaces, int n_attributes,
        int n_defaulted, const xmlChar **parts)
{
    (void)uri;
    (void)namespaces;
    (void)n_defaulted;
    Reader *reader = userdata;
    if (reader->result != UPDATE_OK)
        return;
    if (n_namespaces > NAMESPACES_MAX) {
        stop(reader, UPDATE_ERROR_XML, "has an element with too many namespaces");
        return;
    }
    if (reader->depth >= OMAHA_XML_DEPTH_MAX) {
        stop(reader, UPDATE_ERROR_XML, "is nested too deep");
        return;
    }
    XmlAttributes attributes = {parts, (size_t)n_attributes};
    if (!reader->handlers->on_start(
                reader->depth, prefix ? "" : (const char *)name, &attributes, reader->userdata))
        stop(reader, UPDATE_ERROR_GENERIC, "cannot be read: out of memory");
    reader->has_root = true;
    reader->depth++;
}

static void on_end_element(
        void *userdata, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    (void)name;
    (void)prefix;
    (void)uri;
    Reader *reader = userdata;
    if (reader->result != UPDATE_OK || reader->depth == 0)
        return;
    reader->depth--;
    reader->handlers->on_end(reader->depth, reader->userdata);
}

static void on_document_type(
        void *userdata, const xmlChar *name, const xmlChar *external_id, const xmlChar *system_id)
{
    (void)name;
    (void)external_id;
    (void)system_id;
    Reader *reader = userdata;
    if (reader->result == UPDATE_OK)
        stop(reader, UPDATE_ERROR_ENTITY, "has a document type");
}

static const xmlSAXHandler sax_handler = {
        .initialized = XML_SAX2_MAGIC,
        .startElementNs = on_start_element,
        .endElementNs = on_end_element,
        .internalSubset = on_document_type,
        .externalSubset = on_document_type,
};

static bool is_blank(const char *data, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (!strchr(" \t\r\n", data[i]) || data[i] == '\0')
            return false;
    return true;
}

static bool has_text(const char *data, size_t n_bytes, const char *text)
{
    return memmem(data, n_bytes, text, strlen(text)) != NULL;
}

static UpdateError check_before_parsing(
        const char *data, size_t n_bytes, size_t max_bytes, ErrorText *error)
{
    if (is_blank(data, n_bytes))
        return error_say(error, UPDATE_ERROR_EMPTY_RESPONSE, "the update server's answer is empty");
    if (n_bytes > max_bytes)
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server's answer is longer than %zu bytes", max_bytes);
    if (memchr(data, '\0', n_bytes))
        return error_say(error, UPDATE_ERROR_XML,
                "the update server's answer is no XML in UTF-8: it has zero bytes");
    if (has_text(data, n_bytes, "<!DOCTYPE") || has_text(data, n_bytes, "<!ENTITY"))
        return error_say(error, UPDATE_ERROR_ENTITY,
                "the update server's answer has a document type or declares entities, which no "
                "update server does: see if SERVER is right, or if a proxy answers in its place");
    size_t n_equals = 0;
    for (size_t i = 0; i < n_bytes; i++)
        n_equals += data[i] == '=';
    if (n_equals > ATTRIBUTES_MAX)
        return error_say(
                error, UPDATE_ERROR_XML, "the update server's answer has too many attributes");
    return UPDATE_OK;
}

static UpdateError say_why_not_xml(const xmlParserCtxt *parser, ErrorText *error)
{
    const xmlError *last = &parser->lastError;
    if (last->code == XML_ERR_NO_MEMORY)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    const char *message = last->message ? last->message : "not well-formed";
    return error_say(error, UPDATE_ERROR_XML,
            "the update server's answer is not XML: line %d: %.*s", last->line,
            (int)strcspn(message, "\n"), message);
}

UpdateError omaha_xml_read(const char *data, size_t n_bytes, size_t max_bytes,
        const XmlHandlers *handlers, void *userdata, ErrorText *error)
{
    UpdateError result = check_before_parsing(data, n_bytes, MIN(max_bytes, INT32_MAX), error);
    if (result != UPDATE_OK)
        return result;
    if (n_bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
        data += 3;
        n_bytes -= 3;
    }

    _cleanup_(xmlFreeParserCtxtp) xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
    Reader reader = {
            .parser = parser,
            .handlers = handlers,
            .userdata = userdata,
            .error = error,
    };
    *parser->sax = sax_handler;
    parser->userData = &reader;
    /* NOENT, against its name: resolve &amp; and &#38; in attribute values. There are no entities
     * to declare, see above. */
    xmlDoc *document = xmlCtxtReadMemory(parser, data, (int)n_bytes, NULL, "UTF-8",
            XML_PARSE_NOENT | XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                    XML_PARSE_IGNORE_ENC);
    xmlFreeDoc(document); /* none is built */
    if (reader.result != UPDATE_OK)
        return reader.result;
    bool is_whole = parser->wellFormed && reader.has_root && reader.depth == 0;
    return is_whole ? UPDATE_OK : say_why_not_xml(parser, error);
}

int xml_attribute_copy(const XmlAttributes *attributes, const char *name, char **ret_value)
{
    for (size_t i = 0; i < attributes->n_attributes; i++) {
        const xmlChar **parts = &attributes->parts[5 * i];
        if (parts[1] || strcmp((const char *)parts[0], name) != 0)
            continue;
        char *value = strndup((const char *)parts[3], (size_t)(parts[4] - parts[3]));
        if (!value)
            return -ENOMEM;
        *ret_value = value;
        return 0;
    }
    *ret_value = NULL;
    return 0;
}
