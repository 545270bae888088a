/* SPDX-License-Identifier: Apache-2.0 */

/* The text up to the first NUL is a document; then each two bytes change it. What comes of it must
 * be what Go's encoding/json would write, which is worked out here once more, from what jansson
 * reads in it. */

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "locksmith/lock/semaphore/semaphore.h"
#include "tests/fuzz/fuzz.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

static uint32_t take_rune(const unsigned char **text)
{
    const unsigned char *p = *text;
    unsigned n_more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0x80 ? 1 : 0;
    uint32_t rune = n_more == 0 ? p[0] : p[0] & (0x3fU >> n_more);
    for (unsigned i = 1; i <= n_more; i++)
        rune = rune << 6 | (p[i] & 0x3f);
    *text += n_more + 1;
    return rune;
}

static void write_go_string(FILE *file, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    fputc('"', file);
    while (*p != '\0') {
        const unsigned char *begin = p;
        uint32_t rune = take_rune(&p);
        if (rune == '"' || rune == '\\')
            fprintf(file, "\\%c", (int)rune);
        else if (rune == '\n' || rune == '\r' || rune == '\t')
            fprintf(file, "\\%c", rune == '\n' ? 'n' : rune == '\r' ? 'r' : 't');
        else if (rune < 0x20 || rune == '<' || rune == '>' || rune == '&' || rune == 0x2028 ||
                 rune == 0x2029)
            fprintf(file, "\\u%04x", rune);
        else
            fwrite(begin, 1, (size_t)(p - begin), file);
    }
    fputc('"', file);
}

static void require_go_form(const char *text, size_t n_bytes)
{
    char *expected = NULL;
    size_t n_expected = 0;
    json_t *json = json_loadb(text, n_bytes, 0, NULL);
    json_t *holders = json_object_get(json, "holders");
    FILE *file = open_memstream(&expected, &n_expected);
    require(json && holders && file && json_object_size(json) == 3);
    fprintf(file, "{\"semaphore\":%" JSON_INTEGER_FORMAT ",\"max\":%" JSON_INTEGER_FORMAT,
            json_integer_value(json_object_get(json, "semaphore")),
            json_integer_value(json_object_get(json, "max")));
    fputs(json_is_null(holders) ? ",\"holders\":null" : ",\"holders\":[", file);
    for (size_t i = 0; i < json_array_size(holders); i++) {
        fputs(i > 0 ? "," : "", file);
        write_go_string(file, json_string_value(json_array_get(holders, i)));
    }
    fputs(json_is_null(holders) ? "}" : "]}", file);
    fclose(file);
    require(n_expected == n_bytes && memcmp(expected, text, n_bytes) == 0);
    free(expected);
    json_decref(json);
}

static void require_sound(const Semaphore *semaphore)
{
    size_t n = semaphore_n_holders(semaphore);
    int64_t available;
    require(n <= SEMAPHORE_MAX_HOLDERS);
    if (__builtin_sub_overflow(semaphore_max(semaphore), (int64_t)n, &available))
        available = INT64_MIN;
    require(semaphore_available(semaphore) == available);
    for (size_t i = 0; i < n; i++)
        require(semaphore_holds(semaphore, semaphore_holder(semaphore, i)));
    for (size_t i = 1; i < n; i++)
        require(strcmp(semaphore_holder(semaphore, i - 1), semaphore_holder(semaphore, i)) < 0);

    char *text = NULL, *again_text = NULL;
    size_t n_bytes, n_again_bytes;
    require(semaphore_format(semaphore, &text, &n_bytes) == 0);
    require(strlen(text) == n_bytes);
    require_go_form(text, n_bytes);
    _cleanup_(semaphore_freep) Semaphore *again = NULL;
    if (n_bytes <= SEMAPHORE_MAX_BYTES) { /* escapes can make it longer than what was read */
        require(semaphore_parse(text, n_bytes, &again, NULL) == 0);
        require(semaphore_format(again, &again_text, &n_again_bytes) == 0);
        require(n_again_bytes == n_bytes && memcmp(text, again_text, n_bytes) == 0);
    }
    free(text);
    free(again_text);
}

static void change(Semaphore *semaphore, uint8_t what, uint8_t which)
{
    char id[] = {'m', (char)('0' + which % 10), '\0'};
    bool held = semaphore_holds(semaphore, id);
    int64_t available = semaphore_available(semaphore);
    SemaphoreResult result = SEMAPHORE_UNCHANGED;
    switch (what % 3) {
    case 0:
        require(semaphore_acquire(semaphore, id, &result) == 0 || available > 0);
        require(!held || result == SEMAPHORE_UNCHANGED);
        require(held || available > 0 || result == SEMAPHORE_FULL);
        require(semaphore_holds(semaphore, id) == (held || result == SEMAPHORE_CHANGED));
        require(held || result == SEMAPHORE_FULL || semaphore_available(semaphore) >= 0);
        break;
    case 1:
        result = semaphore_release(semaphore, id);
        require((result == SEMAPHORE_CHANGED) == held && !semaphore_holds(semaphore, id));
        break;
    default:
        semaphore_set_max(semaphore, which);
        require(semaphore_max(semaphore) == which);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    const uint8_t *end = memchr(data, 0, n_bytes);
    size_t n_text = end ? (size_t)(end - data) : n_bytes;
    _cleanup_(semaphore_freep) Semaphore *semaphore = NULL;
    ErrorText error = {""};
    int r = semaphore_parse((const char *)data, n_text, &semaphore, &error);
    require((r == 0) == (semaphore != NULL));
    require((r == 0) == (error.line[0] == '\0'));
    if (r < 0)
        return 0;
    require_sound(semaphore);
    for (size_t i = n_text + 1; i + 1 < n_bytes && i < n_text + 200; i += 2)
        change(semaphore, data[i], data[i + 1]);
    require_sound(semaphore);
    return 0;
}
