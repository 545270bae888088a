/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/postinst/extension-offer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "updater/postinst/file-share.h"

#define ANSWER_FILE "full-response"
#define PREVIOUS_FILE "previous-version"

struct ExtensionOffer {
    FileShare *share;
    int folder_fd;
};

/* The packages alone: postinst takes those whose name it knows, by the SHA-256 in hex that newer
 * Omaha servers send, and asks for nothing else here. */
static int print_answer(
        const ExtensionOffer *offer, const Extensions *extensions, char **ret_text, size_t *ret_n)
{
    FILE *stream = open_memstream(ret_text, ret_n);
    if (!stream)
        return -ENOMEM;
    size_t n_files;
    const SharedFile *files = file_share_files(offer->share, &n_files);
    fprintf(stream,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<response protocol=\"3.0\" server=\"flipside\">\n"
            "  <daystart elapsed_seconds=\"0\"></daystart>\n"
            "  <app appid=\"%s\" status=\"ok\">\n"
            "    <updatecheck status=\"ok\">\n"
            "      <urls><url codebase=\"%s\"></url></urls>\n"
            "      <manifest version=\"%s\">\n        <packages>\n",
            extensions->app_id, file_share_url(offer->share), extensions->version);
    for (size_t i = 0; i < n_files; i++) {
        char hex[SHA256_HEX_CHARS + 1];
        sha256_to_hex(&files[i].sha256, hex);
        fprintf(stream,
                "          <package name=\"%s\" size=\"%" PRIu64
                "\" required=\"false\" hash_sha256=\"%s\"></package>\n",
                files[i].name, files[i].size_bytes, hex);
    }
    fputs("        </packages>\n      </manifest>\n    </updatecheck>\n  </app>\n</response>\n",
            stream);
    return fclose(stream) == 0 ? 0 : -ENOMEM;
}

static int write_answer(ExtensionOffer *offer, const Extensions *extensions)
{
    _cleanup_free_ char *text = NULL;
    size_t n;
    int r = print_answer(offer, extensions, &text, &n);
    if (r >= 0)
        r = fd_make_parents(AT_FDCWD, extensions->folder);
    if (r >= 0 && mkdir(extensions->folder, 0755) < 0 && errno != EEXIST)
        r = -errno;
    if (r < 0)
        return r;
    offer->folder_fd = open(extensions->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (offer->folder_fd < 0)
        return -errno;
    _cleanup_close_ int previous_fd =
            openat(offer->folder_fd, PREVIOUS_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (previous_fd < 0)
        return -errno;
    return atomic_file_write(offer->folder_fd, ANSWER_FILE, text, n, 0600);
}

static int share_files(ExtensionOffer *offer, const char *list, ErrorText *error)
{
    const char *paths[FILE_SHARE_MAX + 1]; /* with one too many it refuses */
    size_t n_paths = 0;
    char *rest = NULL;
    _cleanup_free_ char *copy = strdup(list);
    if (!copy)
        return -ENOMEM;
    for (char *path = strtok_r(copy, "\n", &rest); path && n_paths < ELEMENTS(paths);
            path = strtok_r(NULL, "\n", &rest))
        paths[n_paths++] = path;
    return file_share_new(paths, n_paths, &offer->share, error);
}

int extension_offer_new(const Extensions *extensions, ExtensionOffer **ret_offer, ErrorText *error)
{
    _cleanup_(extension_offer_freep) ExtensionOffer *offer = calloc(1, sizeof(*offer));
    if (!offer)
        return -ENOMEM;
    offer->folder_fd = -1;
    int r = share_files(offer, extensions->paths, error);
    if (r < 0)
        return r;
    r = write_answer(offer, extensions);
    if (r < 0)
        return error_say(error, r, "%s/" ANSWER_FILE " cannot be written: %s", extensions->folder,
                strerror(-r));
    *ret_offer = TAKE_PTR(offer);
    return 0;
}

void extension_offer_free(ExtensionOffer *offer)
{
    if (!offer)
        return;
    if (offer->folder_fd >= 0)
        (void)unlinkat(offer->folder_fd, ANSWER_FILE, 0);
    safe_close(offer->folder_fd);
    file_share_free(offer->share);
    free(offer);
}
