/* SPDX-License-Identifier: Apache-2.0 */

/* The text is each of the three files in turn; then one key is set in it, as config_set would. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/env-file.h"
#include "tests/fuzz/fuzz.h"
#include "updater/config/config.h"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_edit(const char *text, size_t n_bytes)
{
    char *edited;
    size_t n_edited_bytes;
    if (env_file_edit(text, n_bytes, "MACHINE_ALIAS", " it's", &edited, &n_edited_bytes) < 0)
        return;
    ConfigText texts[CONFIG_N_LAYERS] = {
            [CONFIG_MACHINE] = {.text = edited, .n_bytes = n_edited_bytes}};
    _cleanup_(config_freep) Config *config = NULL;
    /* What could be read before can be read after, unless it grew too long. */
    int r = config_parse(texts, &config, NULL);
    must(n_edited_bytes > ENV_FILE_MAX_BYTES ||
            (r == 0 && strcmp(config->machine_alias, " it's") == 0));
    free(edited);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const char *text = (const char *)data;
    for (int layer = 0; layer < CONFIG_N_LAYERS; layer++) {
        ConfigText texts[CONFIG_N_LAYERS] = {
                [CONFIG_MACHINE] = {NULL, 0},
        };
        texts[layer] = (ConfigText){.text = text, .n_bytes = n_bytes};
        _cleanup_(config_freep) Config *config = NULL;
        ErrorText error = {""};
        int r = config_parse(texts, &config, &error);
        must((r == 0) == (config != NULL));
        must((r == 0) == (error.line[0] == '\0'));
        if (r == 0 && layer == CONFIG_MACHINE)
            check_edit(text, n_bytes);
    }
    return 0;
}
