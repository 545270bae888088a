/* SPDX-License-Identifier: Apache-2.0 */

/* Reading gathers the three texts; config_parse alone decides. A change is made on the text of the
 * machine's file and must pass config_parse before it is written. */

#include "updater/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/env-file.h"
#include "common/fd-io.h"
#include "updater/config/config-keys.h"

static const char *const layer_paths[CONFIG_N_LAYERS] = {
        [CONFIG_MACHINE] = CONFIG_MACHINE_FILE,
        [CONFIG_IMAGE] = CONFIG_IMAGE_FILE,
        [CONFIG_RELEASE] = CONFIG_RELEASE_FILE,
};

/* What messages and people call the file. */
static const char *layer_name(ConfigLayer layer)
{
    static const char *const names[CONFIG_N_LAYERS] = {
            [CONFIG_MACHINE] = "/" CONFIG_MACHINE_FILE,
            [CONFIG_IMAGE] = "/" CONFIG_IMAGE_FILE,
            [CONFIG_RELEASE] = "/" CONFIG_RELEASE_FILE,
    };
    return names[layer];
}

void config_free(Config *config)
{
    if (!config)
        return;
    free(config->group);
    free(config->server);
    free(config->machine_alias);
    free(config->download_user);
    free(config->download_password);
    free(config->version);
    free(config->board);
    free(config->app_id);
    free(config->product);
    free(config);
}

/* Every key's default; they are read like any value, so a bad one is found by the first test. */
static int config_new(Config **ret_config)
{
    _cleanup_(config_freep) Config *config = calloc(1, sizeof(*config));
    if (!config)
        return -ENOMEM;
    for (const ConfigKey *key = config_keys(); key->name; key++) {
        int r = key->default_value ? config_key_read(key, key->default_value, "", config, NULL) : 0;
        if (r < 0)
            return r;
    }
    *ret_config = TAKE_PTR(config);
    return 0;
}

static int apply_assignment(
        Config *config, ConfigLayer layer, const EnvAssignment *assignment, ErrorText *error)
{
    char place[256];
    snprintf(place, sizeof(place), "%s:%u: ", layer_name(layer), assignment->line);
    const ConfigKey *key = config_key_find(assignment->key);
    if (!key) {
        /* An image may tell more about itself than we ask for. */
        size_t n_chars = strlen(CONFIG_RELEASE_PREFIX);
        bool is_fact = strncmp(assignment->key, CONFIG_RELEASE_PREFIX, n_chars) == 0;
        return layer == CONFIG_RELEASE && is_fact
                       ? 0
                       : config_key_say_unknown(assignment->key, place, error);
    }
    int r = config_key_read(key, assignment->value, place, config, error);
    if (r < 0)
        return r;
    if (key->origin_offset > 0)
        *(const char **)((char *)config + key->origin_offset) = layer_name(layer);
    return 0;
}

/* Values of earlier layers are read over by later ones: the machine's comes last. All are checked,
 * also those that do not count. */
int config_parse(
        const ConfigText texts[static CONFIG_N_LAYERS], Config **ret_config, ErrorText *error)
{
    _cleanup_(config_freep) Config *config = NULL;
    int r = config_new(&config);
    for (int i = CONFIG_N_LAYERS; r >= 0 && i > 0; i--) {
        ConfigLayer layer = (ConfigLayer)(i - 1);
        _cleanup_(env_file_freep) EnvFile *file = NULL;
        r = env_file_parse(
                layer_name(layer), texts[layer].text, texts[layer].n_bytes, &file, error);
        if (r == -EFBIG)
            r = -EINVAL;
        if (r < 0)
            break;
        size_t n;
        const EnvAssignment *assignments = env_file_assignments(file, &n);
        for (size_t k = 0; r >= 0 && k < n; k++)
            r = apply_assignment(config, layer, &assignments[k], error);
    }
    if (r < 0)
        return r;
    *ret_config = TAKE_PTR(config);
    return 0;
}

/* The three files' texts, "" for one that is not there. */
typedef struct {
    char *owned[CONFIG_N_LAYERS];
    ConfigText texts[CONFIG_N_LAYERS];
} Layers;

static void layers_done(Layers *layers)
{
    for (int i = 0; i < CONFIG_N_LAYERS; i++)
        free(layers->owned[i]);
}

static int layers_read_one(Layers *layers, int root_fd, ConfigLayer layer, ErrorText *error)
{
    size_t n_bytes = 0;
    int r = fd_read_file(
            root_fd, layer_paths[layer], ENV_FILE_MAX_BYTES, &layers->owned[layer], &n_bytes);
    if (r == -ENOENT || r == -ENOTDIR)
        return 0;
    if (r == -EFBIG)
        return error_say(error, -EINVAL, "%s: the file is larger than %d KiB; shorten it",
                layer_name(layer), ENV_FILE_MAX_BYTES / 1024);
    if (r == -EISDIR)
        return error_say(error, r, "%s: this is a folder; put a file of KEY=value lines there",
                layer_name(layer));
    if (r < 0)
        return error_say(error, r, "%s: cannot be read: %s", layer_name(layer), strerror(-r));
    layers->texts[layer] = (ConfigText){.text = layers->owned[layer], .n_bytes = n_bytes};
    return 0;
}

static int layers_read(Layers *layers, int root_fd, ErrorText *error)
{
    for (int i = 0; i < CONFIG_N_LAYERS; i++) {
        int r = layers_read_one(layers, root_fd, (ConfigLayer)i, error);
        if (r < 0)
            return r;
    }
    return 0;
}

int config_load(int root_fd, Config **ret_config, ErrorText *error)
{
    _cleanup_(layers_done) Layers layers = {.owned = {NULL}};
    int r = layers_read(&layers, root_fd, error);
    return r < 0 ? r : config_parse(layers.texts, ret_config, error);
}

/* Checked on its own first: a message about a line of a file that is not written yet would send
 * people to a line that is not there. */
static int check_value(const char *name, const char *value, ErrorText *error)
{
    const ConfigKey *key = config_key_find(name);
    if (!key)
        return config_key_say_unknown(name, "", error);
    _cleanup_(config_freep) Config *scratch = calloc(1, sizeof(*scratch));
    return scratch ? config_key_read(key, value, "", scratch, error) : -ENOMEM;
}

/* Makes the folder of the machine's file, so that it is there after a power cut, too. */
static int make_folder(int root_fd)
{
    static const char *const folders[] = {"etc", CONFIG_MACHINE_FOLDER};
    for (size_t i = 0; i < ELEMENTS(folders); i++) {
        if (mkdirat(root_fd, folders[i], 0755) < 0) {
            if (errno == EEXIST)
                continue;
            return -errno;
        }
        _cleanup_close_ int parent =
                openat(root_fd, i == 0 ? "." : folders[i - 1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0 || fsync(parent) < 0)
            return -errno;
    }
    return 0;
}

static int write_machine_file(int root_fd, const char *text, size_t n_bytes, ErrorText *error)
{
    int r = make_folder(root_fd);
    if (r >= 0)
        r = atomic_file_write(root_fd, CONFIG_MACHINE_FILE, text, n_bytes, 0644);
    if (r < 0)
        return error_say(
                error, r, "%s: cannot be written: %s", layer_name(CONFIG_MACHINE), strerror(-r));
    return 0;
}

int config_set(int root_fd, const char *key, const char *value, ErrorText *error)
{
    int r = check_value(key, value, error);
    if (r < 0)
        return r;
    _cleanup_(layers_done) Layers layers = {.owned = {NULL}};
    r = layers_read(&layers, root_fd, error);
    if (r < 0)
        return r;

    ConfigText *machine = &layers.texts[CONFIG_MACHINE];
    char *edited;
    size_t n_bytes;
    r = env_file_edit(machine->text, machine->n_bytes, key, value, &edited, &n_bytes);
    if (r == -EINVAL)
        return error_say(error, r,
                "%.64s: this value cannot be written into %s; it mixes both "
                "kinds of quotes or holds control characters",
                key, layer_name(CONFIG_MACHINE));
    if (r < 0)
        return r;
    free(layers.owned[CONFIG_MACHINE]);
    layers.owned[CONFIG_MACHINE] = edited;
    *machine = (ConfigText){.text = edited, .n_bytes = n_bytes};

    _cleanup_(config_freep) Config *config = NULL;
    r = config_parse(layers.texts, &config, error);
    return r < 0 ? r : write_machine_file(root_fd, edited, n_bytes, error);
}
