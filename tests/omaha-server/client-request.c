/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/client-request.h"

#include <errno.h>
#include <libxml/parser.h>
#include <string.h>

static bool is_element(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static const xmlNode *find_child(const xmlNode *parent, const char *name)
{
    for (const xmlNode *node = parent->children; node; node = node->next)
        if (is_element(node, name))
            return node;
    return NULL;
}

/* Sets *ret_text to the attribute or "", new. Returns false for lack of memory. */
static bool take_attribute(const xmlNode *node, const char *name, char **ret_text)
{
    xmlChar *value = xmlGetNoNsProp(node, (const xmlChar *)name);
    *ret_text = strdup(value ? (const char *)value : "");
    xmlFree(value);
    return *ret_text != NULL;
}

static bool take_event(const xmlNode *node, ClientEvent *event)
{
    return take_attribute(node, "eventtype", &event->type) &&
           take_attribute(node, "eventresult", &event->result) &&
           take_attribute(node, "errorcode", &event->error_code) &&
           take_attribute(node, "previousversion", &event->previous_version);
}

static int take_app(const xmlNode *app, ClientRequest *request)
{
    if (!take_attribute(app, "appid", &request->app_id) ||
            !take_attribute(app, "version", &request->version) ||
            !take_attribute(app, "track", &request->track) ||
            !take_attribute(app, "machineid", &request->machine_id) ||
            !take_attribute(app, "board", &request->board))
        return -ENOMEM;
    for (const xmlNode *node = app->children; node; node = node->next) {
        if (is_element(node, "ping"))
            request->has_ping = true;
        else if (is_element(node, "updatecheck"))
            request->has_check = true;
        else if (is_element(node, "event")) {
            if (request->n_events == CLIENT_EVENTS_MAX)
                return -EBADMSG;
            if (!take_event(node, &request->events[request->n_events++]))
                return -ENOMEM;
        }
    }
    return 0;
}

static int take_document(xmlDoc *document, ClientRequest *request)
{
    if (document->intSubset || document->extSubset)
        return -EBADMSG;
    const xmlNode *root = xmlDocGetRootElement(document);
    const xmlNode *app = root && is_element(root, "request") ? find_child(root, "app") : NULL;
    if (!app)
        return -EBADMSG;
    if (!take_attribute(root, "installsource", &request->install_source))
        return -ENOMEM;
    return take_app(app, request);
}

int client_request_parse(const char *data, size_t n_bytes, ClientRequest **ret_request)
{
    if (n_bytes > CLIENT_REQUEST_MAX_BYTES)
        return -EBADMSG;
    _cleanup_(client_request_freep) ClientRequest *request = calloc(1, sizeof(*request));
    if (!request)
        return -ENOMEM;
    xmlDoc *document = xmlReadMemory(data, (int)n_bytes, NULL, NULL,
            XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (!document)
        return -EBADMSG;
    int r = take_document(document, request);
    xmlFreeDoc(document);
    if (r < 0)
        return r;
    *ret_request = TAKE_PTR(request);
    return 0;
}

void client_request_free(ClientRequest *request)
{
    if (!request)
        return;
    for (size_t i = 0; i < request->n_events; i++) {
        free(request->events[i].type);
        free(request->events[i].result);
        free(request->events[i].error_code);
        free(request->events[i].previous_version);
    }
    free(request->install_source);
    free(request->app_id);
    free(request->version);
    free(request->track);
    free(request->machine_id);
    free(request->board);
    free(request);
}
