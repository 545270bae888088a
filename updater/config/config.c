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
    free(config->policy_server);
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

/* Where a line is, for what is said of it. */
typedef struct {
    ConfigLayer layer;
    char text[256]; /* "/etc/OS/update.conf:3: " */
} Place;

static Place place_of(ConfigLayer layer, unsigned line)
{
    Place place = {.layer = layer};
    snprintf(place.text, sizeof(place.text), "%s:%u: ", layer_name(layer), line);
    return place;
}

/* One that is not kept is counted. */
static void warn(Config *config, const ErrorText *warning)
{
    if (config->n_warnings < CONFIG_WARNINGS_MAX)
        config->warnings[config->n_warnings] = *warning;
    config->n_warnings++;
}

static int leave_out(Config *config, ErrorText *why)
{
    size_t n_chars = strlen(why->line);
    snprintf(why->line + n_chars, sizeof(why->line) - n_chars, "; the line is left out");
    warn(config, why);
    return 0;
}

static int apply_value(Config *config, const Place *place, const ConfigKey *key, const char *value,
        ErrorText *error)
{
    ErrorText why = {};
    int r = config_key_read(key, value, place->text, config, &why);
    if (r == -EINVAL && key->is_label)
        return leave_out(config, &why);
    if (r < 0)
        return error_say(error, r, "%s", why.line);
    if (key->origin_offset > 0)
        *(const char **)((char *)config + key->origin_offset) = layer_name(place->layer);
    return 0;
}

static int apply_assignment(
        Config *config, ConfigLayer layer, const EnvAssignment *assignment, ErrorText *error)
{
    Place place = place_of(layer, assignment->line);
    const ConfigKey *key = config_key_find(assignment->key);
    if (key)
        return apply_value(config, &place, key, assignment->value, error);
    /* An image may tell more about itself than we ask for. */
    if (layer == CONFIG_RELEASE)
        return 0;
    ErrorText why = {};
    (void)config_key_say_unknown(assignment->key, place.text, &why);
    return leave_out(config, &why);
}

static int apply_fault(Config *config, ConfigLayer layer, const EnvFault *fault, ErrorText *error)
{
    Place place = place_of(layer, fault->line);
    const ConfigKey *key = fault->key ? config_key_find(fault->key) : NULL;
    if (key && key->read && fault->is_assigned && !key->is_label)
        return error_say(error, -EINVAL, "%s%s", place.text, fault->what);
    ErrorText why;
    error_say(&why, 0, "%s%s", place.text, fault->what);
    return leave_out(config, &why);
}

/* In the order of the lines, so that the first that is wrong is the one that is told. */
static int apply_file(Config *config, ConfigLayer layer, const EnvFile *file, ErrorText *error)
{
    size_t n, n_faults, next_fault = 0;
    const EnvAssignment *assignments = env_file_assignments(file, &n);
    const EnvFault *faults = env_file_faults(file, &n_faults);
    int r = 0;
    for (size_t i = 0; r >= 0 && i <= n; i++) {
        while (r >= 0 && next_fault < n_faults &&
                (i == n || faults[next_fault].line < assignments[i].line))
            r = apply_fault(config, layer, &faults[next_fault++], error);
        if (r >= 0 && i < n)
            r = apply_assignment(config, layer, &assignments[i], error);
    }
    return r;
}

static int apply_layer(Config *config, ConfigLayer layer, const ConfigText *text, ErrorText *error)
{
    _cleanup_(env_file_freep) EnvFile *file = NULL;
    int r = env_file_parse_leniently(layer_name(layer), text->text, text->n_bytes, &file, error);
    if (r < 0)
        return r == -EFBIG ? -EINVAL : r;
    return apply_file(config, layer, file, error);
}

/* Values of earlier layers are read over by later ones: the machine's comes last. All are checked,
 * also those that do not count. */
int config_parse(
        const ConfigText texts[static CONFIG_N_LAYERS], Config **ret_config, ErrorText *error)
{
    _cleanup_(config_freep) Config *config = NULL;
    int r = config_new(&config);
    for (int i = CONFIG_N_LAYERS; r >= 0 && i > 0; i--)
        r = apply_layer(config, (ConfigLayer)(i - 1), &texts[i - 1], error);
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

ErrorText config_warning(const Config *config)
{
    ErrorText text = {};
    if (config->n_warnings == 1)
        return config->warnings[0];
    if (config->n_warnings > 1)
        error_say(&text, 0, "%.440s (and %zu more in the journal)", config->warnings[0].line,
                config->n_warnings - 1);
    return text;
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
