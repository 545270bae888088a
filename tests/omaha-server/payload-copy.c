/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/omaha-server/payload-copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/cleanup.h"
#include "common/fd-io.h"
#include "common/base64.h"
#include "updater/payload/manifest.h"
#include "updater/payload/payload-header.h"

#define PIECE_BYTES ((size_t)1 << 20)
#define SHA1_BYTES 20

static int copy_bytes(int from_fd, int to_fd)
{
    if (ioctl(to_fd, FICLONE, from_fd) >= 0)
        return 0;
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    for (;;) {
        ssize_t n = read(from_fd, piece, PIECE_BYTES);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
        int r = n > 0 ? fd_write_full(to_fd, piece, (size_t)n) : 0;
        if (r < 0)
            return r;
    }
}

static int hash_with(EVP_MD_CTX *sha256, EVP_MD_CTX *sha1, int fd, PayloadDigests *ret_digests)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    uint8_t sha1_bytes[SHA1_BYTES];
    uint64_t size_bytes;
    int r = piece ? fd_size_bytes(fd, &size_bytes) : -ENOMEM;
    if (r < 0)
        return r;
    if (!EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) ||
            !EVP_DigestInit_ex(sha1, EVP_sha1(), NULL))
        return -ENOMEM;
    for (uint64_t at = 0; at < size_bytes;) {
        size_t n = (size_t)MIN(size_bytes - at, (uint64_t)PIECE_BYTES);
        r = fd_pread_full(fd, piece, n, at);
        if (r < 0)
            return r;
        EVP_DigestUpdate(sha256, piece, n);
        EVP_DigestUpdate(sha1, piece, n);
        at += n;
    }
    EVP_DigestFinal_ex(sha256, ret_digests->sha256.bytes, NULL);
    EVP_DigestFinal_ex(sha1, sha1_bytes, NULL);
    base64_encode(sha1_bytes, sizeof(sha1_bytes), ret_digests->sha1_base64);
    ret_digests->size_bytes = size_bytes;
    return 0;
}

int payload_copy(int payload_fd, int folder_fd, const char *name, PayloadDigests *ret_digests)
{
    _cleanup_close_ int fd = openat(folder_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int r = copy_bytes(payload_fd, fd);
    if (r < 0)
        return r;
    if (fsync(fd) < 0)
        return -errno;
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new(), *sha1 = EVP_MD_CTX_new();
    r = sha256 && sha1 ? hash_with(sha256, sha1, fd, ret_digests) : -ENOMEM;
    EVP_MD_CTX_free(sha256);
    EVP_MD_CTX_free(sha1);
    return r;
}

static int read_header(int payload_fd, PayloadHeader *ret_header, ErrorText *error)
{
    uint8_t start[PAYLOAD_HEADER_BYTES];
    int r = fd_pread_full(payload_fd, start, sizeof(start), 0);
    if (r < 0)
        return error_say(error, -EINVAL, "the payload is shorter than a payload's header");
    return payload_header_parse(start, ret_header, error) == UPDATE_OK ? 0 : -EINVAL;
}

uint64_t payload_read_metadata_bytes(int payload_fd)
{
    PayloadHeader header;
    ErrorText ignored;
    return read_header(payload_fd, &header, &ignored) < 0 ? 0 : header.n_signed_bytes;
}

int payload_read_version(int payload_fd, char **ret_version, ErrorText *error)
{
    PayloadHeader header;
    int r = read_header(payload_fd, &header, error);
    if (r < 0)
        return r;

    _cleanup_free_ uint8_t *data = malloc(header.n_manifest_bytes + 1);
    if (!data)
        return error_say(error, -ENOMEM, "out of memory");
    r = fd_pread_full(payload_fd, data, header.n_manifest_bytes, header.n_header_bytes);
    if (r < 0)
        return error_say(error, -EINVAL, "the payload ends before its manifest does");
    _cleanup_(manifest_freep) Manifest *manifest = NULL;
    if (manifest_parse(header.format, data, header.n_manifest_bytes, &manifest, error) != UPDATE_OK)
        return -EINVAL;
    *ret_version = strdup(manifest->version);
    return *ret_version ? 0 : error_say(error, -ENOMEM, "out of memory");
}
