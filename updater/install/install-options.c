/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/install/install-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/processors.h"

#define THREADS_DEFAULT_MAX 4u

static int copy_text(const char **text)
{
    if (!*text)
        return 0;
    *text = strdup(*text);
    return *text ? 0 : -ENOMEM;
}

/* From here on the copy owns the list and what is in it. */
static int copy_urls(InstallOptions *copy)
{
    const char *const *urls = copy->urls;
    size_t n_urls = copy->n_urls;
    copy->urls = NULL;
    copy->n_urls = 0;
    if (n_urls == 0)
        return 0;
    const char **list = calloc(n_urls, sizeof(*list));
    if (!list)
        return -ENOMEM;
    copy->urls = list;
    for (; copy->n_urls < n_urls; copy->n_urls++) {
        list[copy->n_urls] = strdup(urls[copy->n_urls]);
        if (!list[copy->n_urls])
            return -ENOMEM;
    }
    return 0;
}

int install_options_copy(const InstallOptions *options, InstallOptions **ret_copy)
{
    _cleanup_free_ InstallOptions *copy = malloc(sizeof(*copy));
    if (!copy)
        return -ENOMEM;
    *copy = *options;
    const char **texts[] = {&copy->disk_path, &copy->running_label, &copy->target_label,
            &copy->file_path, &copy->user, &copy->password, &copy->offered_version, &copy->key_dir,
            &copy->product, &copy->running_version, &copy->metadata_signature_base64,
            &copy->kernel_dir, &copy->policy_dir, &copy->policy_url, &copy->extensions,
            &copy->prefs_dir, &copy->app_id};
    int r = copy_urls(copy);
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        /* After a failure the rest is emptied, so that the copy owns all that it names. */
        if (r < 0)
            *texts[i] = NULL;
        else
            r = copy_text(texts[i]);
    }
    if (r < 0) {
        install_options_free(TAKE_PTR(copy));
        return r;
    }
    if (copy->n_threads == 0)
        copy->n_threads = MIN(processors_usable(), THREADS_DEFAULT_MAX);
    *ret_copy = TAKE_PTR(copy);
    return 0;
}

void install_options_free(InstallOptions *copy)
{
    if (!copy)
        return;
    const char *texts[] = {copy->disk_path, copy->running_label, copy->target_label,
            copy->file_path, copy->user, copy->password, copy->offered_version, copy->key_dir,
            copy->product, copy->running_version, copy->metadata_signature_base64, copy->kernel_dir,
            copy->policy_dir, copy->policy_url, copy->extensions, copy->prefs_dir, copy->app_id};
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        free((void *)texts[i]);
    for (size_t i = 0; i < copy->n_urls; i++)
        free((void *)copy->urls[i]);
    free((void *)copy->urls);
    free(copy);
}
