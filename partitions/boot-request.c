/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/boot-request.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "common/fd-io.h"
#include "common/hex.h"

#define COMMAND_LINE_MAX_BYTES (64 * 1024)
#define VARIABLE_MAX_BYTES 4096
#define ATTRIBUTES_BYTES 4
#define VARIABLE_BYTES (ATTRIBUTES_BYTES + 2 * (GUID_TEXT_CHARS + 1))

/* The end of the word that begins here: a blank outside of quotes, or the end of the text. */
static const char *word_end(const char *word)
{
    bool is_quoted = false;
    for (; *word && (is_quoted || !strchr(" \t\n", *word)); word++)
        if (*word == '"')
            is_quoted = !is_quoted;
    return word;
}

/* Whether the word is KEY=VALUE of this key: then the value, without quotes around it. */
static bool value_of(const char *word, size_t n_word, const char *key, const char **ret_value,
        size_t *ret_n_value)
{
    size_t n_key = strlen(key);
    if (n_word <= n_key || strncmp(word, key, n_key) != 0 || word[n_key] != '=')
        return false;
    const char *value = word + n_key + 1;
    size_t n_value = n_word - n_key - 1;
    if (n_value >= 2 && value[0] == '"' && value[n_value - 1] == '"') {
        value++;
        n_value -= 2;
    }
    *ret_value = value;
    *ret_n_value = n_value;
    return true;
}

static int given_twice(const char *key, ErrorText *error)
{
    return error_say(error, -EBADMSG, "the kernel's command line has %s= twice", key);
}

static int take_slot(BootRequest *request, const char *value, size_t n_value, ErrorText *error)
{
    char text[GUID_TEXT_CHARS + 1] = "";
    if (request->has_slot)
        return given_twice(BOOT_REQUEST_SLOT, error);
    if (n_value == GUID_TEXT_CHARS)
        memcpy(text, value, n_value);
    if (guid_from_text(text, &request->slot) < 0)
        return error_say(error, -EBADMSG,
                "the kernel's command line has " BOOT_REQUEST_SLOT "=%.*s, which is no PARTUUID",
                (int)MIN(n_value, 100U), value);
    request->has_slot = true;
    return 0;
}

static int take_root_hash(BootRequest *request, const char *value, size_t n_value, ErrorText *error)
{
    if (request->has_root_hash)
        return given_twice(BOOT_REQUEST_ROOT_HASH, error);
    if (n_value != SHA256_HEX_CHARS ||
            hex_decode(value, request->root_hash.bytes, SHA256_BYTES) < 0)
        return error_say(error, -EBADMSG,
                "the kernel's command line has " BOOT_REQUEST_ROOT_HASH
                "=%.*s, which is no root hash of %d hexadecimal digits",
                (int)MIN(n_value, 100U), value, SHA256_HEX_CHARS);
    request->has_root_hash = true;
    return 0;
}

int boot_request_parse(const char *command_line, BootRequest *ret_request, ErrorText *error)
{
    BootRequest request = {0};
    for (const char *word = command_line; *word;) {
        const char *end = word_end(word), *value;
        size_t n_word = (size_t)(end - word), n_value;
        int r = 0;
        if (n_word == 2 && memcmp(word, "--", 2) == 0)
            break; /* what follows is for init */
        if (value_of(word, n_word, BOOT_REQUEST_SLOT, &value, &n_value))
            r = take_slot(&request, value, n_value, error);
        else if (value_of(word, n_word, BOOT_REQUEST_ROOT_HASH, &value, &n_value))
            r = take_root_hash(&request, value, n_value, error);
        if (r < 0)
            return r;
        word = *end ? end + 1 : end;
    }
    *ret_request = request;
    return 0;
}

int boot_request_parse_variable(const void *data, size_t n_bytes, Guid *ret_slot, ErrorText *error)
{
    const uint8_t *bytes = data;
    char text[GUID_TEXT_CHARS + 1];
    bool is_text = n_bytes == VARIABLE_BYTES;
    for (size_t i = 0; is_text && i < sizeof(text); i++) {
        const uint8_t *unit = bytes + ATTRIBUTES_BYTES + 2 * i;
        text[i] = (char)unit[0];
        is_text = unit[1] == 0 && (text[i] == '\0') == (i == GUID_TEXT_CHARS);
    }
    if (!is_text || guid_from_text(text, ret_slot) < 0)
        return error_say(error, -EBADMSG,
                "the EFI variable " BOOT_REQUEST_VARIABLE " holds no PARTUUID; the boot chooser "
                "sets it at every start");
    return 0;
}

static int read_variable(const char *root, BootRequest *request, ErrorText *error)
{
    char path[PATH_MAX];
    _cleanup_free_ char *data = NULL;
    size_t n_bytes;
    snprintf(path, sizeof(path), "%s/sys/firmware/efi/efivars/" BOOT_REQUEST_VARIABLE, root);
    int r = fd_read_file(AT_FDCWD, path, VARIABLE_MAX_BYTES, &data, &n_bytes);
    if (r == -ENOENT)
        return error_say(error, -ENODATA,
                "which slot was started is not known: there is neither the EFI variable " BOOT_REQUEST_VARIABLE
                ", which the boot chooser sets (is efivarfs mounted?), nor " BOOT_REQUEST_SLOT
                "= on the kernel's command line");
    if (r == -EFBIG)
        return boot_request_parse_variable("", 0, &request->slot, error);
    if (r < 0)
        return error_say(error, r, "%s cannot be read: %s", path, strerror(-r));
    r = boot_request_parse_variable(data, n_bytes, &request->slot, error);
    if (r < 0)
        return r;
    request->has_slot = true;
    return 0;
}

int boot_request_read(const char *root, BootRequest *ret_request, ErrorText *error)
{
    char path[PATH_MAX];
    _cleanup_free_ char *command_line = NULL;
    size_t n_bytes;
    BootRequest request;
    snprintf(path, sizeof(path), "%s/proc/cmdline", root);
    int r = fd_read_file(AT_FDCWD, path, COMMAND_LINE_MAX_BYTES, &command_line, &n_bytes);
    if (r < 0)
        return error_say(error, r, "%s cannot be read: %s", path, strerror(-r));
    r = boot_request_parse(command_line, &request, error);
    if (r >= 0 && !request.has_slot)
        r = read_variable(root, &request, error);
    if (r < 0)
        return r;
    *ret_request = request;
    return 0;
}
