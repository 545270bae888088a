/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever is read must be what the header promises of it. */

#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "updater/omaha/omaha-response.h"
#include "updater/omaha/version-order.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void require_offer(const OmahaResponse *response)
{
    require(response->version[0] == '\0' || version_is_valid(response->version));
    require(response->n_urls >= 1 && response->n_urls <= OMAHA_URLS_MAX);
    require(response->n_packages >= 1 && response->n_packages <= OMAHA_PACKAGES_MAX);
    for (size_t i = 0; i < response->n_packages; i++) {
        require(response->packages[i].size_bytes > 0);
        require(response->packages[i].size_bytes <= UINT64_C(1) << 40);
        require(strncmp(response->packages[i].name, "../", 3) != 0);
    }
    for (size_t i = 0; i < response->n_urls; i++) {
        require(strncasecmp(response->urls[i], "http", 4) == 0);
        for (const char *c = response->urls[i]; *c != '\0'; c++)
            require(*c > ' ' && *c <= '~');
    }
    require(response->metadata_size_bytes <= response->packages[0].size_bytes);
    require(response->max_failures_per_url > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    _cleanup_(omaha_response_freep) OmahaResponse *response = NULL;
    ErrorText error = {0};
    UpdateError result =
            omaha_response_parse((const char *)data, n_bytes, "{a}", &response, &error);
    require((result == UPDATE_OK) == (response != NULL));
    require((result == UPDATE_OK) == (error.line[0] == '\0'));
    if (!response)
        return 0;
    require(response->app_status && response->check_status);
    if (response->verdict == OMAHA_UPDATE)
        require_offer(response);
    return 0;
}
