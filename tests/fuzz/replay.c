/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a fuzzer's entry over every file of a corpus folder: TAP, one test a file. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "tests/fuzz/fuzz.h"

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 2;
    }
    struct dirent **entries;
    int n_entries = scandir(argv[1], &entries, is_file, alphasort);
    if (n_entries <= 0) {
        printf("Bail out! no corpus in %s\n", argv[1]);
        return 1;
    }
    printf("1..%d\n", n_entries);
    for (int i = 0; i < n_entries; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
        _cleanup_free_ char *data = NULL;
        size_t n_bytes = 0;
        int r = fd_read_file(AT_FDCWD, path, 16 << 20, &data, &n_bytes);
        if (r >= 0) {
            /* A copy of exactly this size, so that a read past its end is seen. */
            _cleanup_free_ uint8_t *exact = malloc(n_bytes ? n_bytes : 1);
            if (!exact)
                abort();
            memcpy(exact, data, n_bytes);
            LLVMFuzzerTestOneInput(exact, n_bytes);
        }
        printf("%sok %d %s\n", r >= 0 ? "" : "not ", i + 1, entries[i]->d_name);
        fflush(stdout);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
