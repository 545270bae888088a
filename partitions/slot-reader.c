/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/cleanup.h"
#include "common/fd-io.h"

#define BLOCK_BYTES 4096
#define CHUNK_BYTES (1024 * 1024)

/* Whether the descriptor can be read as it was opened: O_DIRECT may be refused at the read only. */
static int probe(int fd, uint64_t offset_bytes)
{
    _cleanup_free_ void *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    if (!block)
        return -ENOMEM;
    return fd_pread_full(fd, block, BLOCK_BYTES, offset_bytes);
}

static int open_cached(const SlotDisk *disk, size_t slot, int *ret_fd, uint64_t *ret_offset_bytes,
        ErrorText *error)
{
    int r = slot_disk_open_slot(disk, slot, O_RDONLY, ret_fd, ret_offset_bytes, error);
    if (r < 0)
        return r;
    size_t n_slots;
    (void)posix_fadvise(*ret_fd, (off_t)*ret_offset_bytes,
            (off_t)slot_disk_slots(disk, &n_slots)[slot].size_bytes, POSIX_FADV_DONTNEED);
    return 0;
}

int slot_reader_open(const SlotDisk *disk, size_t slot, int *ret_fd, uint64_t *ret_offset_bytes,
        ErrorText *error)
{
    _cleanup_close_ int fd = -1;
    uint64_t offset_bytes;
    int r = slot_disk_open_slot(disk, slot, O_RDONLY | O_DIRECT, &fd, &offset_bytes, error);
    if (r == 0)
        r = probe(fd, offset_bytes);
    if (r == -EINVAL)
        return open_cached(disk, slot, ret_fd, ret_offset_bytes, error);
    if (r < 0)
        return r;
    *ret_fd = TAKE_FD(fd);
    *ret_offset_bytes = offset_bytes;
    return 0;
}

int slot_reader_hash(int fd, uint64_t offset_bytes, uint64_t n_bytes, Sha256Stream *stream,
        _Atomic uint64_t *n_bytes_done, const atomic_bool *is_cancelled)
{
    _cleanup_free_ void *chunk = aligned_alloc(BLOCK_BYTES, CHUNK_BYTES);
    if (!chunk)
        return -ENOMEM;
    while (n_bytes > 0) {
        if (is_cancelled && atomic_load(is_cancelled))
            return -ECANCELED;
        size_t n = (size_t)MIN(n_bytes, (uint64_t)CHUNK_BYTES);
        size_t n_read = (size_t)u64_div_round_up(n, BLOCK_BYTES) * BLOCK_BYTES;
        int r = fd_pread_full(fd, chunk, n_read, offset_bytes);
        if (r < 0)
            return r;
        sha256_stream_add(stream, chunk, n);
        if (n_bytes_done)
            atomic_fetch_add(n_bytes_done, n);
        offset_bytes += n;
        n_bytes -= n;
    }
    return 0;
}
