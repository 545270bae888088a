/* SPDX-License-Identifier: Apache-2.0 */

/* The free count that is stored is not believed: Go locksmith counts it up and down beside the
 * holders, and once it has drifted, it hands out more than max. What counts is who holds. */

#include "locksmith/lock/semaphore/semaphore.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/json-bound.h"
#include "common/utf8.h"
#include "locksmith/lock/lock-name.h"

#define MAX_JSON_MARKS (2 * SEMAPHORE_MAX_HOLDERS)

struct Semaphore {
    int64_t max;
    char **holders; /* sorted bytewise, each once */
    size_t n_holders;
    bool is_fresh; /* nobody has held it yet: holders is written as null */
};

int semaphore_new(Semaphore **ret_semaphore)
{
    Semaphore *semaphore = malloc(sizeof(*semaphore));
    if (!semaphore)
        return -ENOMEM;
    *semaphore = (Semaphore){.max = 1, .is_fresh = true};
    *ret_semaphore = semaphore;
    return 0;
}

void semaphore_free(Semaphore *semaphore)
{
    if (!semaphore)
        return;
    for (size_t i = 0; i < semaphore->n_holders; i++)
        free(semaphore->holders[i]);
    free(semaphore->holders);
    free(semaphore);
}

/* parsing */

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_holders(Semaphore *semaphore)
{
    size_t n_kept = 0;
    char **ids = semaphore->holders;
    qsort(ids, semaphore->n_holders, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < semaphore->n_holders; i++) {
        if (n_kept > 0 && strcmp(ids[n_kept - 1], ids[i]) == 0)
            free(ids[i]);
        else
            ids[n_kept++] = ids[i];
    }
    semaphore->n_holders = n_kept;
}

static int take_holders(Semaphore *semaphore, const json_t *ids, ErrorText *error)
{
    size_t n = json_array_size(ids);
    if (n > SEMAPHORE_MAX_HOLDERS)
        return error_say(error, -EINVAL,
                "the lock's document names %zu holders, more than the %d that it may have", n,
                SEMAPHORE_MAX_HOLDERS);
    if (n == 0)
        return 0;
    semaphore->holders = calloc(n, sizeof(*semaphore->holders));
    if (!semaphore->holders)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        if (!id)
            return error_say(error, -EINVAL,
                    "the lock's document has a holder that is no text: look at the store's key");
        semaphore->holders[i] = strdup(id);
        if (!semaphore->holders[i])
            return -ENOMEM;
        semaphore->n_holders++;
    }
    sort_holders(semaphore);
    return 0;
}

/* Bad JSON and no memory look the same to jansson. */
static int load_object(const char *text, size_t n_bytes, json_t **ret_json, ErrorText *error)
{
    json_error_t reason;
    if (n_bytes > SEMAPHORE_MAX_BYTES)
        return error_say(
                error, -EINVAL, "the lock's document has more than %d bytes", SEMAPHORE_MAX_BYTES);
    if (!json_bound_holds(text, n_bytes, MAX_JSON_MARKS))
        return error_say(error, -EINVAL,
                "the lock's document has more than %d values: look at the store's key",
                MAX_JSON_MARKS);
    json_t *json = json_loadb(text, n_bytes, 0, &reason);
    if (!json && json_error_code(&reason) == json_error_out_of_memory)
        return -ENOMEM;
    if (!json)
        return error_say(error, -EINVAL,
                "the lock's document is no JSON (%.100s): look at the store's key", reason.text);
    if (!json_is_object(json)) {
        json_decref(json);
        return error_say(
                error, -EINVAL, "the lock's document is no JSON object: look at the store's key");
    }
    *ret_json = json;
    return 0;
}

int semaphore_parse(const char *text, size_t n_bytes, Semaphore **ret_semaphore, ErrorText *error)
{
    _cleanup_(json_decrefp) json_t *json = NULL;
    int r = load_object(text, n_bytes, &json, error);
    if (r < 0)
        return r;
    const json_t *max = json_object_get(json, "max");
    const json_t *free_count = json_object_get(json, "semaphore");
    const json_t *holders = json_object_get(json, "holders");
    if (!json_is_integer(max) || !json_is_integer(free_count))
        return error_say(error, -EINVAL,
                "the lock's document lacks \"max\" or \"semaphore\" as whole numbers: "
                "look at the store's key");
    bool is_fresh = !holders || json_is_null(holders);
    if (!is_fresh && !json_is_array(holders))
        return error_say(error, -EINVAL,
                "\"holders\" of the lock's document is no array: look at the store's key");

    _cleanup_(semaphore_freep) Semaphore *semaphore = NULL;
    r = semaphore_new(&semaphore);
    if (r < 0)
        return r;
    semaphore->max = json_integer_value(max);
    semaphore->is_fresh = is_fresh;
    r = take_holders(semaphore, holders, error);
    if (r < 0)
        return r;
    *ret_semaphore = TAKE_PTR(semaphore);
    return 0;
}

/* formatting */

/* As Go's encoding/json: what HTML or JavaScript would misread is escaped, too. */
static size_t write_character(FILE *file, const char *text)
{
    size_t n_bytes = utf8_char_bytes(text);
    unsigned char c = (unsigned char)text[0];
    if (c == '"' || c == '\\')
        fprintf(file, "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
        fprintf(file, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c < 0x20 || c == '<' || c == '>' || c == '&')
        fprintf(file, "\\u%04x", c);
    else if (strncmp(text, "\xe2\x80\xa8", 3) == 0 || strncmp(text, "\xe2\x80\xa9", 3) == 0)
        fprintf(file, "\\u202%c", text[2] == '\xa8' ? '8' : '9');
    else
        fwrite(text, 1, MAX(n_bytes, (size_t)1), file); /* 0: U+FFFE or U+FFFF, byte by byte */
    return MAX(n_bytes, (size_t)1);
}

static void write_holders(FILE *file, const Semaphore *semaphore)
{
    if (semaphore->is_fresh) {
        fputs("null", file);
        return;
    }
    fputc('[', file);
    for (size_t i = 0; i < semaphore->n_holders; i++) {
        fputs(i == 0 ? "\"" : ",\"", file);
        for (const char *c = semaphore->holders[i]; *c != '\0';)
            c += write_character(file, c);
        fputc('"', file);
    }
    fputc(']', file);
}

int semaphore_format(const Semaphore *semaphore, char **ret_text, size_t *ret_n_bytes)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes = 0;
    FILE *file = open_memstream(&text, &n_bytes);
    if (!file)
        return -ENOMEM;
    fprintf(file, "{\"semaphore\":%" PRId64 ",\"max\":%" PRId64 ",\"holders\":",
            semaphore_available(semaphore), semaphore->max);
    write_holders(file, semaphore);
    fputc('}', file);
    bool is_whole = !ferror(file);
    if (fclose(file) != 0 || !is_whole)
        return -ENOMEM;
    *ret_text = TAKE_PTR(text);
    *ret_n_bytes = n_bytes;
    return 0;
}

/* changing */

/* Where id is, or where it belongs. */
static size_t find_place(const Semaphore *semaphore, const char *id, bool *ret_is_there)
{
    size_t low = 0, high = semaphore->n_holders;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(semaphore->holders[middle], id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_is_there = low < semaphore->n_holders && strcmp(semaphore->holders[low], id) == 0;
    return low;
}

static int insert_holder(Semaphore *semaphore, size_t place, const char *id)
{
    char *copy = strdup(id);
    if (!copy)
        return -ENOMEM;
    size_t n = semaphore->n_holders;
    char **holders = reallocarray(semaphore->holders, n + 1, sizeof(*holders));
    if (!holders) {
        free(copy);
        return -ENOMEM;
    }
    memmove(holders + place + 1, holders + place, (n - place) * sizeof(*holders));
    holders[place] = copy;
    semaphore->holders = holders;
    semaphore->n_holders++;
    semaphore->is_fresh = false;
    return 0;
}

int semaphore_acquire(Semaphore *semaphore, const char *id, SemaphoreResult *ret_result)
{
    bool is_there;
    if (!lock_name_is_id(id))
        return -EINVAL;
    size_t place = find_place(semaphore, id, &is_there);
    SemaphoreResult result = SEMAPHORE_CHANGED;
    if (is_there) {
        result = SEMAPHORE_UNCHANGED;
    } else if (semaphore_available(semaphore) <= 0) {
        result = SEMAPHORE_FULL;
    } else {
        if (semaphore->n_holders >= SEMAPHORE_MAX_HOLDERS)
            return -E2BIG;
        int r = insert_holder(semaphore, place, id);
        if (r < 0)
            return r;
    }
    *ret_result = result;
    return 0;
}

SemaphoreResult semaphore_release(Semaphore *semaphore, const char *id)
{
    bool is_there;
    size_t place = find_place(semaphore, id, &is_there);
    if (!is_there)
        return SEMAPHORE_UNCHANGED;
    char **holders = semaphore->holders;
    free(holders[place]);
    semaphore->n_holders--;
    memmove(holders + place, holders + place + 1,
            (semaphore->n_holders - place) * sizeof(*holders));
    return SEMAPHORE_CHANGED;
}

SemaphoreResult semaphore_set_max(Semaphore *semaphore, int64_t max)
{
    if (semaphore->max == max)
        return SEMAPHORE_UNCHANGED;
    semaphore->max = max;
    return SEMAPHORE_CHANGED;
}

/* reading */

bool semaphore_holds(const Semaphore *semaphore, const char *id)
{
    bool is_there;
    find_place(semaphore, id, &is_there);
    return is_there;
}

int64_t semaphore_max(const Semaphore *semaphore)
{
    return semaphore->max;
}

int64_t semaphore_available(const Semaphore *semaphore)
{
    int64_t available;
    if (__builtin_sub_overflow(semaphore->max, (int64_t)semaphore->n_holders, &available))
        return INT64_MIN;
    return available;
}

size_t semaphore_n_holders(const Semaphore *semaphore)
{
    return semaphore->n_holders;
}

const char *semaphore_holder(const Semaphore *semaphore, size_t i)
{
    return semaphore->holders[i];
}
