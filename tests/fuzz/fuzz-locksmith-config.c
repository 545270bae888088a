/* SPDX-License-Identifier: Apache-2.0 */

/* Each line is a variable of the environment; there are no files. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/http-url.h"
#include "locksmith/config/locksmith-config.h"
#include "tests/fuzz/fuzz.h"

#define MAX_VARIABLES 64

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* What the rest of locksmith relies on. */
static void check_config(const LocksmithConfig *config)
{
    const LockOptions *lock = &config->lock;
    must(reboot_strategy_name(config->strategy) != NULL);
    must(lock->n_endpoints >= 1 && lock->n_endpoints <= LOCK_MAX_ENDPOINTS);
    must(lock->store != LOCK_STORE_FLEET_LOCK || (lock->n_endpoints == 1 && lock->group[0]));
    for (size_t i = 0; i < lock->n_endpoints; i++) {
        HttpUrl url;
        must(http_url_parse(lock->endpoints[i], &url) == 0);
        must(!url.has_credentials);
        http_url_done(&url);
    }
    must(strlen(lock->group) <= LOCK_MAX_ID_CHARS && strlen(config->id) <= LOCK_MAX_ID_CHARS);
    must(!lock->cert_file == !lock->key_file && !lock->user == !lock->password);
    must(config->hook_timeout_usec > 0 && config->reboot_timeout_usec > 0);
    must(config->lock_warning_usec > 0);
    RebootCalendar *calendar = NULL;
    must(reboot_calendar_new(&config->calendar, &calendar, NULL) == 0);
    reboot_calendar_free(calendar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    char *text = malloc(n_bytes + 1);
    if (!text)
        abort();
    memcpy(text, data, n_bytes);
    text[n_bytes] = '\0';
    const char *environment[MAX_VARIABLES + 1];
    size_t n = 0;
    char *rest = text;
    while (rest && n < MAX_VARIABLES)
        environment[n++] = strsep(&rest, "\n");
    environment[n] = NULL;

    int no_folder = open("/dev/null", O_RDONLY | O_CLOEXEC);
    LocksmithConfig *config = NULL;
    ErrorText error = {""};
    int r = locksmith_config_load(no_folder, environment, &config, &error);
    close(no_folder);
    free(text);
    must((r == 0) == (config != NULL));
    must((r == 0) == (error.line[0] == '\0'));
    must(r == 0 || r == -EINVAL);
    if (config)
        check_config(config);
    locksmith_config_free(config);
    return 0;
}
