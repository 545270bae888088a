/* SPDX-License-Identifier: Apache-2.0 */

/* Each element is recognised by its name and its parent's kind; what is not in the table is passed
 * over with all that it holds. An app is gathered in a draft, kept or thrown away at its end. */

#include "updater/omaha/omaha-app.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "updater/omaha/omaha-xml.h"

typedef enum {
    ELEMENT_OTHER,
    ELEMENT_DOCUMENT,
    ELEMENT_RESPONSE,
    ELEMENT_APP,
    ELEMENT_CHECK,
    ELEMENT_URLS,
    ELEMENT_URL,
    ELEMENT_MANIFEST,
    ELEMENT_PACKAGES,
    ELEMENT_PACKAGE,
    ELEMENT_ACTIONS,
    ELEMENT_ACTION,
} ElementKind;

typedef struct {
    const char *app_id; /* borrowed */
    ElementKind kinds[OMAHA_XML_DEPTH_MAX];
    bool is_response; /* the root is what it should be */
    size_t n_apps;
    OmahaApp *draft; /* the app that is being read */
    OmahaApp *first; /* the first of all, while none has our id */
    OmahaApp *ours;
} Gatherer;

static ElementKind kind_of(ElementKind parent, const char *name)
{
    static const struct {
        ElementKind parent;
        const char *name;
        ElementKind kind;
    } elements[] = {
            {ELEMENT_DOCUMENT, "response", ELEMENT_RESPONSE},
            {ELEMENT_RESPONSE, "app", ELEMENT_APP},
            {ELEMENT_APP, "updatecheck", ELEMENT_CHECK},
            {ELEMENT_CHECK, "urls", ELEMENT_URLS},
            {ELEMENT_URLS, "url", ELEMENT_URL},
            {ELEMENT_CHECK, "manifest", ELEMENT_MANIFEST},
            {ELEMENT_MANIFEST, "packages", ELEMENT_PACKAGES},
            {ELEMENT_PACKAGES, "package", ELEMENT_PACKAGE},
            {ELEMENT_MANIFEST, "actions", ELEMENT_ACTIONS},
            {ELEMENT_ACTIONS, "action", ELEMENT_ACTION},
    };
    for (size_t i = 0; i < ELEMENTS(elements); i++)
        if (elements[i].parent == parent && strcmp(elements[i].name, name) == 0)
            return elements[i].kind;
    return ELEMENT_OTHER;
}

typedef struct {
    const char *attribute;
    char **value;
} Wanted;

static bool copy_attributes(const XmlAttributes *attributes, const Wanted *wanted, size_t n_wanted)
{
    for (size_t i = 0; i < n_wanted; i++)
        if (xml_attribute_copy(attributes, wanted[i].attribute, wanted[i].value) < 0)
            return false;
    return true;
}

static bool begin_app(Gatherer *gatherer, const XmlAttributes *attributes)
{
    OmahaApp *app = gatherer->draft = calloc(1, sizeof(*app));
    if (!app)
        return false;
    const Wanted wanted[] = {{"appid", &app->id}, {"status", &app->status}};
    return copy_attributes(attributes, wanted, ELEMENTS(wanted));
}

static bool begin_check(OmahaApp *app, const XmlAttributes *attributes)
{
    app->has_check = true;
    const Wanted wanted[] = {
            {"status", &app->check_status},
            {"PollInterval", &app->poll_interval},
    };
    return copy_attributes(attributes, wanted, ELEMENTS(wanted));
}

static bool begin_manifest(OmahaApp *app, const XmlAttributes *attributes)
{
    app->has_manifest = true;
    return xml_attribute_copy(attributes, "version", &app->version) >= 0;
}

static bool begin_url(OmahaApp *app, const XmlAttributes *attributes)
{
    if (app->n_urls == OMAHA_URLS_MAX)
        return true;
    return xml_attribute_copy(attributes, "codebase", &app->urls[app->n_urls++]) >= 0;
}

static bool begin_package(OmahaApp *app, const XmlAttributes *attributes)
{
    if (app->n_packages == OMAHA_PACKAGES_MAX)
        return true;
    OmahaAppPackage *package = &app->packages[app->n_packages++];
    const Wanted wanted[] = {
            {"name", &package->name},
            {"size", &package->size},
            {"hash_sha256", &package->hash_sha256},
            {"required", &package->required},
            {"delta_from", &package->delta_from},
    };
    return copy_attributes(attributes, wanted, ELEMENTS(wanted));
}

static bool begin_action(OmahaApp *app, const XmlAttributes *attributes)
{
    _cleanup_free_ char *event = NULL;
    if (xml_attribute_copy(attributes, "event", &event) < 0)
        return false;
    if (app->has_action || !event || strcmp(event, "postinstall") != 0)
        return true;
    app->has_action = true;
    const Wanted wanted[] = {
            {"sha256", &app->sha256},
            {"MetadataSize", &app->metadata_size},
            {"MetadataSignatureRsa", &app->metadata_signature},
            {"IsDeltaPayload", &app->is_delta},
            {"DisablePayloadBackoff", &app->disables_backoff},
            {"MaxFailureCountPerUrl", &app->max_failures},
    };
    return copy_attributes(attributes, wanted, ELEMENTS(wanted));
}

/* Of these the first in an app counts. */
static bool is_repeated(const OmahaApp *app, ElementKind kind)
{
    return (kind == ELEMENT_CHECK && app->has_check) ||
           (kind == ELEMENT_MANIFEST && app->has_manifest);
}

static bool on_start(
        unsigned depth, const char *name, const XmlAttributes *attributes, void *userdata)
{
    Gatherer *gatherer = userdata;
    ElementKind kind = kind_of(depth == 0 ? ELEMENT_DOCUMENT : gatherer->kinds[depth - 1], name);
    if (gatherer->draft && is_repeated(gatherer->draft, kind))
        kind = ELEMENT_OTHER;
    gatherer->kinds[depth] = kind;

    switch (kind) {
    case ELEMENT_RESPONSE:
        gatherer->is_response = true;
        return true;
    case ELEMENT_APP:
        return begin_app(gatherer, attributes);
    case ELEMENT_CHECK:
        return begin_check(gatherer->draft, attributes);
    case ELEMENT_MANIFEST:
        return begin_manifest(gatherer->draft, attributes);
    case ELEMENT_URL:
        return begin_url(gatherer->draft, attributes);
    case ELEMENT_PACKAGE:
        return begin_package(gatherer->draft, attributes);
    case ELEMENT_ACTION:
        return begin_action(gatherer->draft, attributes);
    case ELEMENT_URLS:
    case ELEMENT_PACKAGES:
    case ELEMENT_ACTIONS:
    case ELEMENT_DOCUMENT:
    case ELEMENT_OTHER:
        return true;
    }
    return true;
}

/* Nebraska drops the braces, Windows' servers the case. */
static bool is_same_id(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a >= 2 && a[0] == '{' && a[n_a - 1] == '}') {
        a++;
        n_a -= 2;
    }
    if (n_b >= 2 && b[0] == '{' && b[n_b - 1] == '}') {
        b++;
        n_b -= 2;
    }
    return n_a == n_b && strncasecmp(a, b, n_a) == 0;
}

static void on_end(unsigned depth, void *userdata)
{
    Gatherer *gatherer = userdata;
    if (gatherer->kinds[depth] != ELEMENT_APP)
        return;
    _cleanup_(omaha_app_freep) OmahaApp *app = TAKE_PTR(gatherer->draft);
    gatherer->n_apps++;
    if (!gatherer->ours && app->id && is_same_id(app->id, gatherer->app_id))
        gatherer->ours = TAKE_PTR(app);
    else if (!gatherer->first)
        gatherer->first = TAKE_PTR(app);
}

static UpdateError choose_app(Gatherer *gatherer, OmahaApp **ret_app, ErrorText *error)
{
    if (!gatherer->is_response)
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server's answer is XML, but not from an update server: see if SERVER "
                "is right, or if a proxy answers in its place");
    if (gatherer->ours)
        *ret_app = TAKE_PTR(gatherer->ours);
    else if (gatherer->n_apps == 1)
        *ret_app = TAKE_PTR(gatherer->first);
    else
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server's answer speaks of %zu apps, and none is %.64s",
                gatherer->n_apps, gatherer->app_id);
    return UPDATE_OK;
}

UpdateError omaha_app_read(
        const char *data, size_t n_bytes, const char *app_id, OmahaApp **ret_app, ErrorText *error)
{
    static const XmlHandlers handlers = {.on_start = on_start, .on_end = on_end};
    Gatherer gatherer = {.app_id = app_id};
    UpdateError result =
            omaha_xml_read(data, n_bytes, OMAHA_RESPONSE_MAX_BYTES, &handlers, &gatherer, error);
    if (result == UPDATE_OK)
        result = choose_app(&gatherer, ret_app, error);
    omaha_app_free(gatherer.draft);
    omaha_app_free(gatherer.first);
    omaha_app_free(gatherer.ours);
    return result;
}

void omaha_app_free(OmahaApp *app)
{
    if (!app)
        return;
    free(app->id);
    free(app->status);
    free(app->check_status);
    free(app->poll_interval);
    free(app->version);
    for (size_t i = 0; i < app->n_urls; i++)
        free(app->urls[i]);
    for (size_t i = 0; i < app->n_packages; i++) {
        free(app->packages[i].name);
        free(app->packages[i].size);
        free(app->packages[i].hash_sha256);
        free(app->packages[i].required);
        free(app->packages[i].delta_from);
    }
    free(app->sha256);
    free(app->metadata_size);
    free(app->metadata_signature);
    free(app->is_delta);
    free(app->disables_backoff);
    free(app->max_failures);
    free(app);
}
