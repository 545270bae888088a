/* SPDX-License-Identifier: Apache-2.0 */

/* The judgement of what omaha-app.c gathered: first whether there is an offer at all, then whether
 * each part of it will do. */

#include "updater/omaha/omaha-response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base64.h"
#include "common/http-url.h"
#include "updater/omaha/omaha-app.h"
#include "updater/omaha/version-order.h"

#define PAYLOAD_MAX_BYTES (UINT64_C(1) << 40)
#define URL_MAX_CHARS 2048
#define NAME_MAX_CHARS 512
#define STATUS_MAX_CHARS 128
#define SIGNATURE_MAX_CHARS 8192
#define FAILURES_DEFAULT 10
#define FAILURES_MAX 100 /* at a minute each, of 32 URLs: two days in which nothing else is asked */

static UpdateError out_of_memory(ErrorText *error)
{
    return error_say(error, UPDATE_ERROR_GENERIC, "out of memory");
}

/* Digits alone, at most max. */
static bool number_from_text(const char *text, uint64_t max, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (!text || text[0] == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

/* Printable ASCII without the blank and without the characters in but_not. */
static bool is_plain(const char *text, size_t max_chars, const char *but_not)
{
    size_t n = strnlen(text, max_chars + 1);
    if (n > max_chars)
        return false;
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~' || strchr(but_not, text[i]))
            return false;
    return true;
}

/* ChromeOS servers list values for several payloads with colons between; the first is ours. */
static bool first_is_true(const char *list)
{
    return list && strncmp(list, "true", 4) == 0 && (list[4] == '\0' || list[4] == ':');
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

static bool codebase_is_usable(const char *url)
{
    size_t n_scheme = has_prefix(url, "http://") ? 7 : has_prefix(url, "https://") ? 8 : 0;
    return n_scheme > 0 && is_plain(url, URL_MAX_CHARS, "\"<>\\#") && url[n_scheme] != '\0' &&
           !strchr("/?:@", url[n_scheme]);
}

/* A path below the URL, perhaps with a query: no segment may be empty, "." or "..". */
static bool package_name_is_usable(const char *name)
{
    if (!is_plain(name, NAME_MAX_CHARS, "\"<>\\#"))
        return false;
    const char *end = name + strcspn(name, "?");
    for (const char *at = name;; at++) {
        size_t n = strcspn(at, "/?");
        if (n == 0 || (n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += n;
        if (at >= end)
            return true;
    }
}

static UpdateError copy_status(const char *status, const char **ret_status, ErrorText *error)
{
    if (!status)
        status = "";
    if (!is_plain(status, STATUS_MAX_CHARS, ""))
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server's answer has a status that is none: \"%.40s\"", status);
    *ret_status = strdup(status);
    return *ret_status ? UPDATE_OK : out_of_memory(error);
}

static UpdateError judge(const OmahaApp *app, OmahaResponse *response, ErrorText *error)
{
    UpdateError result = copy_status(app->status, &response->app_status, error);
    if (result == UPDATE_OK)
        result = copy_status(app->check_status, &response->check_status, error);
    if (result != UPDATE_OK)
        return result;
    number_from_text(app->poll_interval, UINT32_MAX, &response->poll_interval_sec);

    const char *status = response->check_status;
    bool app_is_ok = response->app_status[0] == '\0' || strcmp(response->app_status, "ok") == 0;
    if (!app_is_ok)
        response->verdict = OMAHA_NOT_NOW;
    else if (!app->has_check)
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server's answer does not say whether there is an update");
    else if (strcmp(status, "ok") == 0)
        response->verdict = OMAHA_UPDATE;
    else if (strcmp(status, "noupdate") == 0)
        response->verdict = OMAHA_NO_UPDATE;
    else if (has_prefix(status, "error-"))
        response->verdict = OMAHA_NOT_NOW;
    else
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server's answer has the unknown updatecheck status \"%s\"", status);
    return UPDATE_OK;
}

static UpdateError read_version(const OmahaApp *app, OmahaResponse *response, ErrorText *error)
{
    const char *version = app->version ? app->version : "";
    if (version[0] != '\0' && !version_is_valid(version))
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server offers \"%.40s\", which is no version", version);
    response->version = strdup(version);
    return response->version ? UPDATE_OK : out_of_memory(error);
}

typedef enum { PACKAGE_READ, PACKAGE_NOT_USABLE, PACKAGE_NO_MEMORY } PackageResult;

static PackageResult read_package(
        const OmahaAppPackage *raw, OmahaPackage *ret_package, ErrorText *error)
{
    OmahaPackage package = {.is_required = first_is_true(raw->required)};
    const char *name = raw->name ? raw->name : "";
    if (!package_name_is_usable(name))
        return error_say(error, PACKAGE_NOT_USABLE,
                "the update server offers a package whose name will not do: \"%.80s\"", name);
    if (!number_from_text(raw->size, PAYLOAD_MAX_BYTES, &package.size_bytes) ||
            package.size_bytes == 0)
        return error_say(error, PACKAGE_NOT_USABLE,
                "the update server offers \"%.80s\" with a size of \"%.32s\": it must be 1 byte to "
                "1 TiB",
                name, raw->size ? raw->size : "");
    if (raw->hash_sha256 && raw->hash_sha256[0] != '\0') {
        if (sha256_from_hex(raw->hash_sha256, &package.sha256) < 0)
            return error_say(error, PACKAGE_NOT_USABLE,
                    "the update server offers \"%.80s\" with a hash_sha256 that is none", name);
        package.has_sha256 = true;
    }
    package.name = strdup(name);
    if (!package.name)
        return PACKAGE_NO_MEMORY;
    *ret_package = package;
    return PACKAGE_READ;
}

/* What a further package says of being a delta. full is the first one. */
static PackageResult read_delta(
        const OmahaAppPackage *raw, const OmahaPackage *full, OmahaPackage *package)
{
    if (!raw->delta_from)
        return PACKAGE_READ;
    if (!version_is_valid(raw->delta_from) || !package->has_sha256 ||
            package->size_bytes >= full->size_bytes)
        return PACKAGE_NOT_USABLE;
    package->delta_from = strdup(raw->delta_from);
    return package->delta_from ? PACKAGE_READ : PACKAGE_NO_MEMORY;
}

static PackageResult read_further_package(
        const OmahaAppPackage *raw, const OmahaPackage *full, OmahaPackage *ret_package)
{
    PackageResult result = read_package(raw, ret_package, NULL);
    if (result != PACKAGE_READ)
        return result;
    result = read_delta(raw, full, ret_package);
    if (result != PACKAGE_READ) {
        free((char *)ret_package->name);
        *ret_package = (OmahaPackage){};
    }
    return result;
}

static UpdateError read_packages(const OmahaApp *app, OmahaResponse *response, ErrorText *error)
{
    if (app->n_packages == 0)
        return error_say(
                error, UPDATE_ERROR_RESPONSE, "the update server offers an update of no package");
    OmahaPackage *packages = calloc(app->n_packages, sizeof(*packages));
    if (!packages)
        return out_of_memory(error);
    response->packages = packages;
    for (size_t i = 0; i < app->n_packages; i++) {
        OmahaPackage *package = &packages[response->n_packages];
        switch (i == 0 ? read_package(&app->packages[0], package, error)
                       : read_further_package(&app->packages[i], &packages[0], package)) {
        case PACKAGE_READ:
            response->n_packages++;
            break;
        case PACKAGE_NOT_USABLE:
            if (i == 0)
                return UPDATE_ERROR_RESPONSE;
            break;
        case PACKAGE_NO_MEMORY:
            return out_of_memory(error);
        }
    }
    return UPDATE_OK;
}

/* Where a package lies. *ret_urls is new, and so are its strings; on failure as well. */
static UpdateError join_urls(
        const OmahaApp *app, const char *name, const char *const **ret_urls, ErrorText *error)
{
    char **urls = calloc(app->n_urls, sizeof(*urls));
    if (!urls)
        return out_of_memory(error);
    *ret_urls = (const char *const *)urls;
    for (size_t i = 0; i < app->n_urls; i++) {
        const char *base = app->urls[i];
        const char *slash = base[strlen(base) - 1] == '/' ? "" : "/";
        if (asprintf(&urls[i], "%s%s%s", base, slash, name) < 0) {
            urls[i] = NULL;
            return out_of_memory(error);
        }
    }
    return UPDATE_OK;
}

static void free_urls(const char *const *urls, size_t n_urls)
{
    for (size_t i = 0; urls && i < n_urls; i++)
        free((char *)urls[i]);
    free((char **)urls);
}

static UpdateError read_urls(const OmahaApp *app, OmahaResponse *response, ErrorText *error)
{
    if (app->n_urls == 0)
        return error_say(
                error, UPDATE_ERROR_RESPONSE, "the update server offers an update without a URL");
    for (size_t i = 0; i < app->n_urls; i++) {
        const char *base = app->urls[i] ? app->urls[i] : "";
        if (!codebase_is_usable(base))
            return error_say(error, UPDATE_ERROR_RESPONSE,
                    "the update server offers \"%.80s\", which is no http:// or https:// URL",
                    http_url_show(base).text);
    }
    response->n_urls = app->n_urls;
    UpdateError result = join_urls(app, response->packages[0].name, &response->urls, error);
    OmahaPackage *packages = (OmahaPackage *)response->packages;
    for (size_t i = 1; result == UPDATE_OK && i < response->n_packages; i++)
        if (packages[i].delta_from)
            result = join_urls(app, packages[i].name, &packages[i].urls, error);
    return result;
}

static UpdateError read_hash(const OmahaApp *app, OmahaResponse *response, ErrorText *error)
{
    const OmahaPackage *payload = &response->packages[0];
    if (!app->sha256 || app->sha256[0] == '\0') {
        if (!payload->has_sha256)
            return error_say(error, UPDATE_ERROR_RESPONSE,
                    "the update server offers an update without its SHA-256");
        response->payload_sha256 = payload->sha256;
        return UPDATE_OK;
    }
    if (base64_decode(app->sha256, response->payload_sha256.bytes, SHA256_BYTES) < 0)
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server offers an update with a sha256 that is none in base64");
    if (payload->has_sha256 && !sha256_equal(&payload->sha256, &response->payload_sha256))
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server offers an update with two different SHA-256");
    return UPDATE_OK;
}

static bool is_base64(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
           strlen(text);
}

static UpdateError read_metadata(const OmahaApp *app, OmahaResponse *response, ErrorText *error)
{
    if (app->metadata_size && app->metadata_size[0] != '\0') {
        app->metadata_size[strcspn(app->metadata_size, ":")] = '\0';
        if (!number_from_text(app->metadata_size, response->packages[0].size_bytes,
                    &response->metadata_size_bytes))
            return error_say(error, UPDATE_ERROR_RESPONSE,
                    "the update server offers an update with a MetadataSize of \"%.32s\"",
                    app->metadata_size);
    }
    char *signature = strdup(app->metadata_signature ? app->metadata_signature : "");
    if (!signature)
        return out_of_memory(error);
    response->metadata_signature_base64 = signature;
    signature[strcspn(signature, ":")] = '\0';
    if (strnlen(signature, SIGNATURE_MAX_CHARS + 1) > SIGNATURE_MAX_CHARS || !is_base64(signature))
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server offers an update with a MetadataSignatureRsa that is none");
    return UPDATE_OK;
}

static UpdateError read_offer(const OmahaApp *app, OmahaResponse *response, ErrorText *error)
{
    if (!app->has_manifest)
        return error_say(error, UPDATE_ERROR_RESPONSE,
                "the update server offers an update without a manifest");
    UpdateError (*const steps[])(const OmahaApp *, OmahaResponse *, ErrorText *) = {
            read_version, read_packages, read_urls, read_hash, read_metadata};
    for (size_t i = 0; i < ELEMENTS(steps); i++) {
        UpdateError result = steps[i](app, response, error);
        if (result != UPDATE_OK)
            return result;
    }

    response->is_delta = first_is_true(app->is_delta);
    response->disables_backoff = first_is_true(app->disables_backoff);
    uint64_t max_failures = 0;
    number_from_text(app->max_failures, FAILURES_MAX, &max_failures);
    response->max_failures_per_url = max_failures > 0 ? (unsigned)max_failures : FAILURES_DEFAULT;
    return UPDATE_OK;
}

UpdateError omaha_response_parse(const char *data, size_t n_bytes, const char *app_id,
        OmahaResponse **ret_response, ErrorText *error)
{
    _cleanup_(omaha_app_freep) OmahaApp *app = NULL;
    UpdateError result = omaha_app_read(data, n_bytes, app_id, &app, error);
    if (result != UPDATE_OK)
        return result;
    _cleanup_(omaha_response_freep) OmahaResponse *response = calloc(1, sizeof(*response));
    if (!response)
        return out_of_memory(error);
    result = judge(app, response, error);
    if (result == UPDATE_OK && response->verdict == OMAHA_UPDATE)
        result = read_offer(app, response, error);
    if (result != UPDATE_OK)
        return result;
    *ret_response = TAKE_PTR(response);
    return UPDATE_OK;
}

void omaha_response_free(OmahaResponse *response)
{
    if (!response)
        return;
    free((char *)response->app_status);
    free((char *)response->check_status);
    free((char *)response->version);
    free_urls(response->urls, response->n_urls);
    for (size_t i = 0; i < response->n_packages; i++) {
        free_urls(response->packages[i].urls, response->n_urls);
        free((char *)response->packages[i].name);
        free((char *)response->packages[i].delta_from);
    }
    free((OmahaPackage *)response->packages);
    free((char *)response->metadata_signature_base64);
    free(response);
}
