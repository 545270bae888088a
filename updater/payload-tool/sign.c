/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/atomic-file.h"
#include "common/fd-io.h"
#include "updater/payload-tool/payload-tool.h"
#include "updater/payload-writer/output-file.h"
#include "updater/payload/signature-set.h"

/* Two steps, so that the key can be somewhere else: digests out, signatures in. The payload is not
 * verified unless a public key is given: it has no signature yet that it could be held against. */
#define PIECE_BYTES ((size_t)256 * 1024)

/* Files with signatures of one kind. */
typedef struct {
    const char *paths[SIGNATURE_SET_ENTRIES_MAX];
    size_t n_paths;
} SignatureFiles;

typedef struct {
    PayloadToolKeys keys;
    const char *metadata_digest_path;
    const char *payload_digest_path;
    SignatureFiles metadata_signatures;
    SignatureFiles payload_signatures;
    const char *out_path;
    const char *path;
} SignOptions;

enum {
    OPTION_METADATA_DIGEST = 256,
    OPTION_PAYLOAD_DIGEST,
    OPTION_METADATA_SIGNATURE,
    OPTION_PAYLOAD_SIGNATURE,
};

static const struct option option_table[] = {
        {"public-key", required_argument, NULL, PAYLOAD_TOOL_PUBLIC_KEY},
        {"key-dir", required_argument, NULL, PAYLOAD_TOOL_KEY_DIR},
        {"metadata-digest", required_argument, NULL, OPTION_METADATA_DIGEST},
        {"payload-digest", required_argument, NULL, OPTION_PAYLOAD_DIGEST},
        {"metadata-signature", required_argument, NULL, OPTION_METADATA_SIGNATURE},
        {"payload-signature", required_argument, NULL, OPTION_PAYLOAD_SIGNATURE},
        {"output", required_argument, NULL, 'o'},
        {0},
};

static int add_file(SignatureFiles *files)
{
    if (files->n_paths == SIGNATURE_SET_ENTRIES_MAX)
        return payload_tool_usage_error(
                "a payload has at most %d signatures", SIGNATURE_SET_ENTRIES_MAX);
    files->paths[files->n_paths++] = optarg;
    return 0;
}

static int take_option(void *userdata, int option)
{
    SignOptions *options = userdata;
    switch (option) {
    case OPTION_METADATA_DIGEST:
        options->metadata_digest_path = optarg;
        return 0;
    case OPTION_PAYLOAD_DIGEST:
        options->payload_digest_path = optarg;
        return 0;
    case OPTION_METADATA_SIGNATURE:
        return add_file(&options->metadata_signatures);
    case OPTION_PAYLOAD_SIGNATURE:
        return add_file(&options->payload_signatures);
    case 'o':
        options->out_path = optarg;
        return 0;
    default:
        return payload_tool_take_key(&options->keys, option);
    }
}

static int parse(SignOptions *options, int argc, char **argv)
{
    int r = payload_tool_take_options(argc, argv, "o:", option_table, take_option, options);
    if (r != 0)
        return r;
    if (argc - optind != 1)
        return payload_tool_usage_error("sign takes one payload");
    options->path = argv[optind];
    bool has_digests = options->metadata_digest_path || options->payload_digest_path;
    size_t n_signatures = options->metadata_signatures.n_paths;
    if (has_digests == (n_signatures + options->payload_signatures.n_paths > 0))
        return payload_tool_usage_error("sign writes digests or takes signatures: give either");
    if (!has_digests && !options->out_path)
        return payload_tool_usage_error("sign needs -o to put signatures in");
    return 0;
}

/* Format 2 has two signatures, format 1 only that of the payload. */
static int check_format(const SignOptions *options, unsigned format)
{
    size_t n_metadata = options->metadata_signatures.n_paths;
    size_t n_payload = options->payload_signatures.n_paths;
    bool has_digests = n_metadata + n_payload == 0;
    if (format == 1) {
        if (options->metadata_digest_path || n_metadata > 0)
            return payload_tool_usage_error("%s has format 1, which has no metadata signature: "
                                            "give --payload-digest or --payload-signature alone",
                    options->path);
        return 0;
    }
    if (has_digests && (!options->metadata_digest_path || !options->payload_digest_path))
        return payload_tool_usage_error("sign needs --metadata-digest and --payload-digest");
    if (n_metadata != n_payload)
        return payload_tool_usage_error(
                "sign needs as many --metadata-signature as --payload-signature");
    return 0;
}

static int write_digest(const char *path, const Sha256 *digest, ErrorText *error)
{
    int r = atomic_file_write(AT_FDCWD, path, digest->bytes, SHA256_BYTES, 0644);
    return r < 0 ? error_say(error, r, "%s cannot be written: %s", path, strerror(-r)) : 0;
}

static int write_digests(const SignOptions *options, const PayloadFile *file, ErrorText *error)
{
    Sha256 payload_digest;
    if (payload_file_payload_digest(file, &payload_digest, error) != UPDATE_OK)
        return -EIO;
    int r = 0;
    if (options->metadata_digest_path)
        r = write_digest(options->metadata_digest_path, payload_file_metadata_digest(file), error);
    return r < 0 ? r : write_digest(options->payload_digest_path, &payload_digest, error);
}

static int fill_set(SignatureSet *set, const SignatureFiles *files, ErrorText *error)
{
    for (size_t i = 0; i < files->n_paths; i++) {
        _cleanup_free_ char *signature = NULL;
        size_t n_bytes;
        int r = fd_read_file(AT_FDCWD, files->paths[i], SIGNATURE_MAX_BYTES, &signature, &n_bytes);
        if (r < 0)
            return error_say(error, r, "signature %s cannot be read: %s", files->paths[i],
                    r == -EFBIG ? "it is too long for a signature" : strerror(-r));
        r = signature_set_fill(set, (const uint8_t *)signature, n_bytes);
        if (r < 0)
            return error_say(error, r,
                    "the payload has no room left for signature %s of %zu bytes: make it with "
                    "create --signature-size %zu",
                    files->paths[i], n_bytes, n_bytes);
    }
    return 0;
}

/* The blob of `old` with the files' signatures in it; *ret_blob is new and as long. */
static int make_blob(const PayloadSignature *old, const SignatureFiles *files, uint8_t **ret_blob,
        ErrorText *error)
{
    _cleanup_(signature_set_freep) SignatureSet *set = NULL;
    int r = signature_set_parse(old->blob, old->n_bytes, &set);
    if (r >= 0 && signature_set_blob_bytes(set) != old->n_bytes)
        r = -EINVAL;
    if (r < 0)
        return error_say(error, r, "the payload has no room for signatures as create leaves it");
    r = fill_set(set, files, error);
    if (r < 0)
        return r;
    uint8_t *blob = malloc(old->n_bytes);
    if (!blob)
        return -ENOMEM;
    signature_set_write(set, blob);
    *ret_blob = blob;
    return 0;
}

static int copy_payload(const PayloadFile *file, int out_fd)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    for (uint64_t at = 0; at < payload_file_size_bytes(file);) {
        size_t n = MIN(PIECE_BYTES, payload_file_size_bytes(file) - at);
        int r = fd_pread_full(payload_file_fd(file), piece, n, at);
        if (r >= 0)
            r = fd_pwrite_full(out_fd, piece, n, at);
        if (r < 0)
            return r;
        at += n;
    }
    return 0;
}

static int verify_blobs(const PayloadFile *file, const KeyRing *ring, const uint8_t *metadata_blob,
        const uint8_t *payload_blob, ErrorText *error)
{
    Sha256 payload_digest;
    UpdateError failure = UPDATE_OK;
    if (metadata_blob)
        failure = key_ring_verify(ring, payload_file_metadata_digest(file), metadata_blob,
                payload_file_metadata_signature(file).n_bytes, UPDATE_ERROR_METADATA_SIGNATURE,
                error);
    if (failure == UPDATE_OK)
        failure = payload_file_payload_digest(file, &payload_digest, error);
    if (failure == UPDATE_OK)
        failure = key_ring_verify(ring, &payload_digest, payload_blob,
                payload_file_payload_signature(file).n_bytes, UPDATE_ERROR_SIGNATURE, error);
    return failure == UPDATE_OK ? 0 : -EBADMSG;
}

static int insert_signatures(const SignOptions *options, const PayloadFile *file, ErrorText *error)
{
    PayloadSignature metadata = payload_file_metadata_signature(file);
    PayloadSignature payload = payload_file_payload_signature(file);
    _cleanup_free_ uint8_t *metadata_blob = NULL;
    _cleanup_free_ uint8_t *payload_blob = NULL;
    int r = 0;
    if (metadata.n_bytes > 0)
        r = make_blob(&metadata, &options->metadata_signatures, &metadata_blob, error);
    if (r >= 0)
        r = make_blob(&payload, &options->payload_signatures, &payload_blob, error);
    if (r >= 0 && options->keys.ring)
        r = verify_blobs(file, options->keys.ring, metadata_blob, payload_blob, error);
    if (r < 0)
        return r;

    _cleanup_(output_file_freep) OutputFile *out = NULL;
    r = output_file_new(options->out_path, &out, error);
    if (r < 0)
        return r;
    int fd = output_file_fd(out);
    r = copy_payload(file, fd);
    if (r >= 0 && metadata_blob)
        r = fd_pwrite_full(fd, metadata_blob, metadata.n_bytes, metadata.offset_bytes);
    if (r >= 0)
        r = fd_pwrite_full(fd, payload_blob, payload.n_bytes, payload.offset_bytes);
    if (r < 0)
        return error_say(error, r, "%s cannot be written: %s", options->out_path, strerror(-r));
    return output_file_commit(out, error);
}

static int sign(const SignOptions *options)
{
    ErrorText error = {0};
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    UpdateError failure = payload_file_open(options->path, NULL, &file, &error);
    if (failure != UPDATE_OK)
        return payload_tool_fail_update(failure, &error);
    int r = check_format(options, payload_file_header(file)->format);
    if (r != 0)
        return r;
    r = options->payload_digest_path ? write_digests(options, file, &error)
                                     : insert_signatures(options, file, &error);
    return r < 0 ? payload_tool_fail(r, &error) : EXIT_SUCCESS;
}

int update_payload_sign(int argc, char **argv, void *context)
{
    (void)context;
    SignOptions options = {0};
    int r = parse(&options, argc, argv);
    if (r == 0)
        r = sign(&options);
    payload_tool_keys_done(&options.keys);
    return r;
}
