/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/image/slot-image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "common/bytes.h"
#include "common/fd-io.h"
#include "partitions/boot-request.h"
#include "partitions/slot-trailer.h"
#include "updater/payload-writer/output-file.h"
#include "updater/payload-writer/tree-salt.h"

#define PIECE_BYTES ((size_t)256 * 1024)
#define SALT_PARTITION "USR" /* the name that slots' partitions have in payloads */
#define CMDLINE_BYTES (2 * UKI_CMDLINE_MAX)

typedef struct {
    const SlotImageOptions *options;
    int out_fd;         /* borrowed */
    uint64_t end_bytes; /* of what is written */
    VerityParameters verity;
    SlotTrailer trailer;
} Maker;

static uint64_t align(uint64_t n)
{
    return u64_div_round_up(n, SLOT_TRAILER_ALIGNMENT) * SLOT_TRAILER_ALIGNMENT;
}

/* Copies to the end of the image, which then ends on a block; zeros stay holes. ret_stream may be
 * NULL. */
static int append(Maker *maker, int from_fd, const char *name, uint64_t n_bytes,
        Sha256Stream *stream, ErrorText *error)
{
    _cleanup_free_ uint8_t *piece = malloc(PIECE_BYTES);
    if (!piece)
        return -ENOMEM;
    for (uint64_t at = 0; at < n_bytes;) {
        size_t n = MIN(PIECE_BYTES, n_bytes - at);
        int r = fd_pread_full(from_fd, piece, n, at);
        if (r < 0)
            return error_say(error, r, "%s cannot be read: %s", name, strerror(-r));
        if (!bytes_are_zero(piece, n))
            r = fd_pwrite_full(maker->out_fd, piece, n, maker->end_bytes + at);
        if (r < 0)
            return error_say(error, r, "the image cannot be written: %s", strerror(-r));
        if (stream)
            sha256_stream_add(stream, piece, n);
        at += n;
    }
    maker->end_bytes = align(maker->end_bytes + n_bytes);
    return ftruncate(maker->out_fd, (off_t)maker->end_bytes) < 0 ? -errno : 0;
}

static int add_file_system(Maker *maker, SlotImageReport *report, ErrorText *error)
{
    const char *path = maker->options->fs_path;
    uint64_t n_bytes;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, -errno, "%s cannot be opened: %m", path);
    int r = fd_size_bytes(fd, &n_bytes);
    if (r < 0)
        return error_say(error, r, "%s is no image: neither a file nor a block device", path);
    if (n_bytes == 0)
        return error_say(error, -EINVAL, "%s is empty", path);
    r = append(maker, fd, path, n_bytes, NULL, error);
    report->n_padded_bytes = (size_t)(maker->end_bytes - n_bytes);
    maker->trailer.fs_bytes = maker->end_bytes;
    return r;
}

static int add_tree(Maker *maker, ErrorText *error)
{
    const SlotImageOptions *options = maker->options;
    SlotTrailer *trailer = &maker->trailer;
    VerityParameters *verity = &maker->verity;
    VerityLayout layout;
    verity->n_data_blocks = maker->end_bytes / VERITY_BLOCK_BYTES;
    if (options->has_salt) {
        memcpy(verity->salt, options->salt, options->n_salt_bytes);
        verity->n_salt_bytes = options->n_salt_bytes;
    } else {
        tree_salt_derive(options->product, SALT_PARTITION, verity);
    }
    int r = verity_layout_compute(verity, &layout);
    if (r < 0)
        return r;
    if (layout.n_tree_blocks == 0)
        return error_say(
                error, -EINVAL, "%s is no file system: it is a single block", options->fs_path);
    VerityRegion data = {maker->out_fd, 0}, tree = {maker->out_fd, maker->end_bytes};
    VerityRun run = {.n_threads = options->n_threads};
    r = verity_tree_build(verity, data, tree, &run, &trailer->root_hash, error);
    if (r < 0)
        return r;
    memcpy(trailer->salt, verity->salt, sizeof(trailer->salt));
    trailer->n_salt_bytes = verity->n_salt_bytes;
    trailer->tree_offset = maker->end_bytes;
    trailer->tree_bytes = layout.n_tree_blocks * VERITY_BLOCK_BYTES;
    maker->end_bytes += trailer->tree_bytes;
    return 0;
}

/* The hash first: what is behind a "--" is not the kernel's. Then it is read as the initrd will. */
static int make_cmdline(const Maker *maker, char *ret_cmdline, size_t n_room, ErrorText *error)
{
    const SlotImageOptions *options = maker->options;
    char hex[SHA256_HEX_CHARS + 1];
    BootRequest request;
    ErrorText reason;
    sha256_to_hex(&maker->trailer.root_hash, hex);
    int n = snprintf(ret_cmdline, n_room, BOOT_REQUEST_ROOT_HASH "=%s%s%s", hex,
            options->cmdline[0] ? " " : "", options->cmdline);
    if ((size_t)n >= n_room || n > UKI_CMDLINE_MAX)
        return error_say(error, -EINVAL,
                "with the root hash the command line has %d characters, "
                "and a kernel takes %d",
                n, UKI_CMDLINE_MAX);
    int r = boot_request_parse(ret_cmdline, &request, &reason);
    if (r < 0)
        return error_say(
                error, -EINVAL, "no slot would boot with this command line: %s", reason.line);
    if (request.has_slot)
        return error_say(error, -EINVAL,
                "the command line names a slot (" BOOT_REQUEST_SLOT
                "=), and the image may lie in any");
    return 0;
}

static int add_uki(Maker *maker, ErrorText *error)
{
    char cmdline[CMDLINE_BYTES];
    UkiOptions options = maker->options->uki;
    SlotTrailer *trailer = &maker->trailer;
    _cleanup_close_ int fd = -1;
    _cleanup_(sha256_stream_freep) Sha256Stream *stream = NULL;
    options.product = maker->options->product;
    options.version = maker->options->version;
    int r = make_cmdline(maker, cmdline, sizeof(cmdline), error);
    if (r == 0)
        r = uki_make(&options, cmdline, &fd, error);
    if (r == 0)
        r = fd_size_bytes(fd, &trailer->uki_bytes);
    if (r == 0)
        r = sha256_stream_new(&stream);
    if (r < 0)
        return r;
    if (trailer->uki_bytes > SLOT_TRAILER_UKI_MAX_BYTES)
        return error_say(error, -EINVAL, "the kernel image has %" PRIu64 " bytes, more than %u",
                trailer->uki_bytes, SLOT_TRAILER_UKI_MAX_BYTES);
    trailer->uki_offset = maker->end_bytes;
    r = append(maker, fd, "the kernel image", trailer->uki_bytes, stream, error);
    sha256_stream_finish(stream, &trailer->uki_sha256);
    return r;
}

static int add_trailer(Maker *maker, uint64_t *ret_size_bytes, ErrorText *error)
{
    uint8_t block[SLOT_TRAILER_BYTES];
    SlotTrailer parsed;
    uint64_t needed = maker->end_bytes + sizeof(block);
    uint64_t size = maker->options->size_bytes > 0 ? maker->options->size_bytes : needed;
    if (size < needed)
        return error_say(error, -ENOSPC,
                "the image needs %" PRIu64 " bytes, and %" PRIu64 " were asked for", needed, size);
    slot_trailer_make(&maker->trailer, block);
    TrailerFault fault = slot_trailer_parse(block, size, &parsed);
    if (fault != TRAILER_VALID)
        return error_say(
                error, -EINVAL, "the trailer that was made %s", slot_trailer_fault_text(fault));
    int r = fd_pwrite_full(maker->out_fd, block, sizeof(block), size - sizeof(block));
    if (r < 0)
        return error_say(error, r, "the image cannot be written: %s", strerror(-r));
    *ret_size_bytes = size;
    return 0;
}

/* The trailer is shown on consoles as it is. */
static int set_text(char *ret_text, const char *what, const char *text, ErrorText *error)
{
    size_t n = 0;
    while (n < SLOT_TRAILER_TEXT_BYTES - 1 && text[n] >= 0x20 && text[n] <= 0x7e)
        n++;
    if (n == 0 || text[n] != '\0')
        return error_say(error, -EINVAL, "the %s is not 1 to %d characters of printable ASCII",
                what, SLOT_TRAILER_TEXT_BYTES - 1);
    memcpy(ret_text, text, n + 1);
    return 0;
}

/* What can be said before the work begins. */
static int check_options(const SlotImageOptions *options, SlotTrailer *trailer, ErrorText *error)
{
    int r = set_text(trailer->product, "product", options->product, error);
    if (r == 0)
        r = set_text(trailer->version, "version", options->version, error);
    if (r == 0 && options->size_bytes % SLOT_TRAILER_ALIGNMENT != 0)
        return error_say(error, -EINVAL,
                "a slot of %" PRIu64 " bytes does not end on a block of %d", options->size_bytes,
                SLOT_TRAILER_ALIGNMENT);
    return r;
}

int slot_image_make(const SlotImageOptions *options, const char *out_path,
        SlotImageReport *ret_report, ErrorText *error)
{
    Maker maker = {.options = options};
    SlotImageReport report = {0};
    _cleanup_(output_file_freep) OutputFile *file = NULL;
    int r = check_options(options, &maker.trailer, error);
    if (r == 0)
        r = output_file_new(out_path, &file, error);
    if (r < 0)
        return r;
    maker.out_fd = output_file_fd(file);
    r = add_file_system(&maker, &report, error);
    if (r == 0)
        r = add_tree(&maker, error);
    if (r == 0 && options->has_uki)
        r = add_uki(&maker, error);
    if (r == 0)
        r = add_trailer(&maker, &report.size_bytes, error);
    if (r == 0)
        r = output_file_commit(file, error);
    if (r < 0)
        return r;
    report.root_hash = maker.trailer.root_hash;
    *ret_report = report;
    return 0;
}
