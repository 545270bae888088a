/* SPDX-License-Identifier: Apache-2.0 */

/* slotctl boot-slot: what an initrd needs to mount /usr, as lines for a shell to evaluate. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/hex.h"
#include "partitions/boot-slot.h"
#include "partitions/slotctl-verbs.h"

#define POLL_USEC (100 * 1000)

static int fail(int exit_code, const ErrorText *error)
{
    fprintf(stderr, SLOTCTL ": %s\n", error->line);
    return exit_code;
}

static void print_words(const char *key, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./";
    printf("%s=", key);
    if (value[strspn(value, plain)] == '\0') {
        printf("%s\n", value);
        return;
    }
    putchar('\'');
    for (; *value; value++)
        if (*value == '\'')
            fputs("'\\''", stdout); /* a label is whatever the table says */
        else
            putchar(*value);
    puts("'");
}

static void print_verity(const SlotTrailer *trailer)
{
    char salt[2 * SLOT_TRAILER_SALT_MAX_BYTES + 1], root_hash[SHA256_HEX_CHARS + 1];
    hex_encode(trailer->salt, trailer->n_salt_bytes, salt);
    hex_encode(trailer->root_hash.bytes, SHA256_BYTES, root_hash);
    printf("VERITY_HASH_OFFSET=%llu\n"
           "VERITY_DATA_BLOCKS=%llu\n"
           "VERITY_SALT=%s\n"
           "VERITY_ROOT_HASH=%s\n",
            (unsigned long long)trailer->tree_offset,
            (unsigned long long)trailer->fs_bytes / SLOT_TRAILER_ALIGNMENT,
            trailer->n_salt_bytes > 0 ? salt : "-", root_hash);
}

/* Looks until the slot is there, or the time that --wait gives is over. */
static int find_slot(
        const SlotctlOptions *options, const Guid *unique, BootSlot *ret_slot, ErrorText *error)
{
    const Guid *type = options->has_type ? &options->type : NULL;
    uint64_t end_usec = clock_now_usec(CLOCK_MONOTONIC) + options->wait_usec;
    for (;;) {
        int r = boot_slot_find(options->root, type, unique, ret_slot, error);
        bool may_come = r == -ENODEV || r == -ESTALE;
        if (!may_come || clock_now_usec(CLOCK_MONOTONIC) >= end_usec)
            return r;
        nanosleep(&(struct timespec){.tv_nsec = POLL_USEC * 1000}, NULL);
    }
}

int slotctl_boot_slot(int argc, char **argv, void *context)
{
    const SlotctlOptions *options = context;
    BootRequest request;
    BootSlot slot;
    bool is_verified;
    ErrorText error;
    char unique[GUID_TEXT_CHARS + 1];
    (void)argc;
    (void)argv;
    int r = boot_request_read(options->root, &request, &error);
    if (r < 0)
        return fail(r == -ENODATA ? EXIT_NOT_TOLD : EXIT_FAILURE, &error);
    r = find_slot(options, &request.slot, &slot, &error);
    if (r < 0)
        return fail(r == -ENODEV || r == -ESTALE ? EXIT_NOT_THERE : EXIT_FAILURE, &error);
    if (boot_slot_check(&slot, &request, &is_verified, &error) < 0)
        return fail(EXIT_NOT_TRUSTED, &error);

    guid_to_text(&slot.unique, unique);
    print_words("SLOT_LABEL", slot.label);
    print_words("SLOT_PARTUUID", unique);
    print_words("SLOT_DEVICE", slot.device_path);
    if (is_verified)
        print_verity(&slot.trailer);
    return EXIT_SUCCESS;
}
