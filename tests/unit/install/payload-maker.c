/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/install/payload-maker.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"
#include "verity/hash-tree.h"

#define FRAME_BYTES 16384
#define ED25519_BYTES 64
#define MAX_OPERATIONS 1024

void key_make(MadeKey *ret_key)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ck_assert_ptr_nonnull(pkey);
    snprintf(ret_key->folder, sizeof(ret_key->folder), "%s", unit_temp_dir());
    char path[512];
    snprintf(path, sizeof(path), "%s/key.pem", ret_key->folder);
    FILE *file = fopen(path, "we");
    ck_assert_int_eq(PEM_write_PUBKEY(file, pkey), 1);
    fclose(file);
    ret_key->pkey = pkey;
}

void key_unmake(MadeKey *key)
{
    EVP_PKEY_free(key->pkey);
}

/* A Signatures message with one entry, over a digest. */
static size_t sign(const MadeKey *key, const Sha256 *digest, uint8_t *ret_blob)
{
    uint8_t bytes[ED25519_BYTES];
    size_t n = sizeof(bytes);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ck_assert_int_eq(EVP_DigestSignInit(context, NULL, NULL, NULL, key->pkey), 1);
    ck_assert_int_eq(EVP_DigestSign(context, bytes, &n, digest->bytes, SHA256_BYTES), 1);
    EVP_MD_CTX_free(context);
    Wire__Signatures__Signature entry = WIRE__SIGNATURES__SIGNATURE__INIT;
    entry.has_data = 1;
    entry.data.data = bytes;
    entry.data.len = n;
    Wire__Signatures__Signature *entries[] = {&entry};
    Wire__Signatures message = WIRE__SIGNATURES__INIT;
    message.n_signatures = 1;
    message.signatures = entries;
    return wire__signatures__pack(&message, ret_blob);
}

/* Half of each block is noise, so that it compresses a little. */
static void fill_content(uint8_t *data, size_t n_bytes, unsigned seed)
{
    uint64_t x = 88172645463325252u + seed * 7919u;
    for (size_t i = 0; i < n_bytes; i++) {
        if (i % 64 < 32) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        data[i] = i % 64 < 32 ? (uint8_t)x : (uint8_t)(i >> 12);
    }
}

/* Puts the tree behind the data; sets digests of the data blocks for the index. */
static void add_tree(MadePayload *payload, size_t n_blocks, Sha256 *ret_root, uint8_t *ret_index)
{
    VerityParameters parameters = {.n_data_blocks = n_blocks, .n_salt_bytes = 1, .salt = {7}};
    VerityLayout layout;
    ck_assert_int_eq(verity_layout_compute(&parameters, &layout), 0);
    size_t n_data_bytes = n_blocks * MADE_BLOCK_BYTES;
    size_t n_bytes = n_data_bytes + (size_t)layout.n_tree_blocks * MADE_BLOCK_BYTES;
    int fd = memfd_create("content", MFD_CLOEXEC);
    ck_assert_int_eq(write(fd, payload->content, n_data_bytes), (ssize_t)n_data_bytes);
    VerityRegion data = {.fd = fd}, tree = {.fd = fd, .offset_bytes = n_data_bytes};
    ck_assert_int_eq(verity_tree_build(&parameters, data, tree, NULL, ret_root, NULL), 0);
    payload->content = realloc(payload->content, n_bytes);
    ck_assert_int_eq(pread(fd, payload->content, n_bytes, 0), (ssize_t)n_bytes);
    close(fd);
    payload->n_content_bytes = n_bytes;
    for (size_t i = 0; i < n_blocks; i++) {
        Sha256 digest;
        ck_assert_int_eq(verity_hash_blocks(
                                 &parameters, payload->content + i * MADE_BLOCK_BYTES, 1, &digest),
                0);
        memcpy(ret_index + i * 8, digest.bytes, 8);
    }
}

/* Everything that the manifest points to until it is packed. */
typedef struct {
    const PayloadPlan *plan;
    MadePayload *payload;
    uint8_t *blobs;
    size_t n_blob_bytes;
    Wire__DeltaArchiveManifest manifest;
    Wire__PartitionUpdate partition;
    Wire__PartitionUpdate *partitions[1];
    Wire__PartitionInfo info;
    Wire__Extent data_extent, tree_extent;
    Wire__InstallOperation operations[MAX_OPERATIONS];
    Wire__InstallOperation *operation_list[MAX_OPERATIONS];
    Wire__Extent extents[MAX_OPERATIONS];
    Wire__Extent *extent_list[MAX_OPERATIONS];
    Sha256 blob_digests[MAX_OPERATIONS];
    uint32_t frame_bytes[MAX_OPERATIONS][64];
    Sha256 hash, root, rest_hash;
    uint8_t salt;
    uint8_t *index;
} Making;

static size_t add_blob(Making *making, size_t i, const uint8_t *data, size_t n_bytes)
{
    uint8_t *to = making->blobs + making->n_blob_bytes;
    if (!making->plan->is_compressed) {
        memcpy(to, data, n_bytes);
        return n_bytes;
    }
    size_t n = 0;
    for (size_t at = 0; at < n_bytes; at += FRAME_BYTES) {
        size_t n_frame = ZSTD_compress(
                to + n, FRAME_BYTES * 2, data + at, MIN(n_bytes - at, (size_t)FRAME_BYTES), 3);
        ck_assert(!ZSTD_isError(n_frame));
        making->frame_bytes[i][at / FRAME_BYTES] = (uint32_t)n_frame;
        n += n_frame;
    }
    making->operations[i].frame_bytes = making->frame_bytes[i];
    making->operations[i].n_frame_bytes = (n_bytes + FRAME_BYTES - 1) / FRAME_BYTES;
    return n;
}

static void add_operation(Making *making, size_t i, size_t start_block, size_t n_blocks)
{
    Wire__InstallOperation *operation = &making->operations[i];
    wire__install_operation__init(operation);
    wire__extent__init(&making->extents[i]);
    making->extents[i] = (Wire__Extent){.base = making->extents[i].base,
            .has_start_block = 1,
            .start_block = start_block,
            .has_num_blocks = 1,
            .num_blocks = n_blocks};
    making->extent_list[i] = &making->extents[i];
    operation->n_dst_extents = 1;
    operation->dst_extents = &making->extent_list[i];
    making->operation_list[i] = operation;
    uint8_t *data = making->payload->content + start_block * MADE_BLOCK_BYTES;
    if (making->plan->ends_in_zeros && data[0] == 0 &&
            start_block + n_blocks == making->data_extent.num_blocks) {
        operation->type = WIRE__INSTALL_OPERATION__TYPE__ZERO;
        return;
    }
    operation->type = making->plan->is_compressed ? WIRE__INSTALL_OPERATION__TYPE__REPLACE_ZSTD
                                                  : WIRE__INSTALL_OPERATION__TYPE__REPLACE;
    size_t n = add_blob(making, i, data, n_blocks * MADE_BLOCK_BYTES);
    making->blob_digests[i] = sha256_of(making->blobs + making->n_blob_bytes, n);
    operation->has_data_offset = operation->has_data_length = 1;
    operation->data_offset = making->n_blob_bytes;
    operation->data_length = n;
    operation->has_data_sha256_hash = 1;
    operation->data_sha256_hash.data = making->blob_digests[i].bytes;
    operation->data_sha256_hash.len = SHA256_BYTES;
    making->n_blob_bytes += n;
}

static void set_extent(Wire__Extent *extent, uint64_t start_block, uint64_t n_blocks)
{
    wire__extent__init(extent);
    extent->has_start_block = extent->has_num_blocks = 1;
    extent->start_block = start_block;
    extent->num_blocks = n_blocks;
}

static void add_verity(Making *making, size_t n_blocks)
{
    Wire__PartitionUpdate *partition = &making->partition;
    making->index = malloc(n_blocks * 8);
    add_tree(making->payload, n_blocks, &making->root, making->index);
    set_extent(&making->tree_extent, n_blocks,
            making->payload->n_content_bytes / MADE_BLOCK_BYTES - n_blocks);
    partition->hash_tree_data_extent = &making->data_extent;
    partition->hash_tree_extent = &making->tree_extent;
    static char algorithm[] = "sha256";
    partition->hash_tree_algorithm = algorithm;
    making->salt = 7;
    partition->has_hash_tree_salt = partition->has_root_hash = partition->has_block_index = 1;
    partition->hash_tree_salt = (ProtobufCBinaryData){.data = &making->salt, .len = 1};
    partition->root_hash = (ProtobufCBinaryData){.data = making->root.bytes, .len = SHA256_BYTES};
    partition->block_index = (ProtobufCBinaryData){.data = making->index, .len = n_blocks * 8};
}

static void add_trailer(const Making *making, size_t n_blocks)
{
    const PayloadPlan *plan = making->plan;
    MadePayload *payload = making->payload;
    SlotTrailer trailer = {.fs_bytes = n_blocks * MADE_BLOCK_BYTES};
    snprintf(
            trailer.product, sizeof(trailer.product), "%s", plan->product ? plan->product : "acme");
    snprintf(trailer.version, sizeof(trailer.version), "%s", plan->version ? plan->version : "2.0");
    if (!plan->has_no_verity) {
        trailer.tree_offset = making->tree_extent.start_block * MADE_BLOCK_BYTES;
        trailer.tree_bytes = making->tree_extent.num_blocks * MADE_BLOCK_BYTES;
        trailer.salt[0] = making->salt;
        trailer.n_salt_bytes = 1;
        trailer.root_hash = making->root;
    }
    if (plan->change_trailer)
        plan->change_trailer(&trailer);
    slot_trailer_make(&trailer, payload->content + payload->n_content_bytes - SLOT_TRAILER_BYTES);
}

static void add_tail(const Making *making, size_t n_blocks)
{
    const PayloadPlan *plan = making->plan;
    MadePayload *payload = making->payload;
    size_t n_bytes = plan->n_tail_blocks * MADE_BLOCK_BYTES;
    payload->content = realloc(payload->content, payload->n_content_bytes + n_bytes + 1);
    fill_content(payload->content + payload->n_content_bytes, n_bytes, plan->seed + 1);
    payload->n_content_bytes += n_bytes;
    if (plan->has_trailer)
        add_trailer(making, n_blocks);
}

/* [from, to) in operations. */
static void add_operations(Making *making, size_t from, size_t to)
{
    size_t step = making->plan->operation_blocks ? making->plan->operation_blocks : 16;
    for (size_t at = from; at < to; at += step)
        add_operation(making, making->partition.n_operations++, at, MIN(step, to - at));
}

static void describe(Making *making, size_t n_blocks)
{
    const PayloadPlan *plan = making->plan;
    Wire__PartitionUpdate *partition = &making->partition;
    wire__partition_update__init(partition);
    static char name[] = "usr";
    partition->partition_name = name;
    set_extent(&making->data_extent, 0, n_blocks);
    if (!plan->has_no_verity)
        add_verity(making, n_blocks);
    size_t tail_start = making->payload->n_content_bytes / MADE_BLOCK_BYTES;
    add_tail(making, n_blocks);
    wire__partition_info__init(&making->info);
    making->hash = sha256_of(making->payload->content, making->payload->n_content_bytes);
    making->info.has_size = making->info.has_hash = 1;
    making->info.size = making->payload->n_content_bytes;
    making->info.hash = (ProtobufCBinaryData){.data = making->hash.bytes, .len = SHA256_BYTES};
    size_t n_data_bytes = n_blocks * MADE_BLOCK_BYTES;
    making->rest_hash = sha256_of(making->payload->content + n_data_bytes,
            making->payload->n_content_bytes - n_data_bytes);
    partition->has_rest_hash = plan->has_rest_hash;
    partition->rest_hash =
            (ProtobufCBinaryData){.data = making->rest_hash.bytes, .len = SHA256_BYTES};
    partition->new_partition_info = &making->info;
    add_operations(making, 0, n_blocks);
    add_operations(making, tail_start, tail_start + plan->n_tail_blocks);
    partition->operations = making->operation_list;

    Wire__DeltaArchiveManifest *manifest = &making->manifest;
    wire__delta_archive_manifest__init(manifest);
    making->partitions[0] = partition;
    manifest->n_partitions = 1;
    manifest->partitions = making->partitions;
    manifest->has_block_size = 1;
    manifest->product = (char *)(plan->product ? plan->product : "acme");
    manifest->version = (char *)(plan->version ? plan->version : "2.0");
    manifest->min_version = (char *)plan->min_version;
    manifest->has_signatures_offset = manifest->has_signatures_size = 1;
    manifest->signatures_offset = making->n_blob_bytes;
    uint8_t blob[256];
    manifest->signatures_size = sign(plan->key, &making->hash, blob);
}

static void put_be(uint8_t *at, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        at[i] = (uint8_t)(value >> (8 * (n_bytes - 1 - i)));
}

static void assemble(Making *making)
{
    MadePayload *payload = making->payload;
    size_t n_manifest = wire__delta_archive_manifest__get_packed_size(&making->manifest);
    size_t n_signature = (size_t)making->manifest.signatures_size;
    uint8_t *data = malloc(24 + n_manifest + making->n_blob_bytes + 1024);
    memcpy(data, "CrAU", 4);
    put_be(data + 4, 2, 8);
    put_be(data + 12, n_manifest, 8);
    put_be(data + 20, n_signature, 4);
    wire__delta_archive_manifest__pack(&making->manifest, data + 24);
    Sha256 digest = sha256_of(data, 24 + n_manifest);
    uint8_t blob[256];
    ck_assert_uint_eq(sign(making->plan->key, &digest, blob), n_signature);

    /* The payload signature covers neither the metadata signature nor itself. */
    memcpy(data + 24 + n_manifest, making->blobs, making->n_blob_bytes);
    digest = sha256_of(data, 24 + n_manifest + making->n_blob_bytes);
    payload->n_manifest_bytes = n_manifest;
    payload->n_metadata_bytes = 24 + n_manifest + n_signature;
    memcpy(data + 24 + n_manifest, blob, n_signature);
    memcpy(data + payload->n_metadata_bytes, making->blobs, making->n_blob_bytes);
    payload->signatures_at = payload->n_metadata_bytes + making->n_blob_bytes;
    sign(making->plan->key, &digest, data + payload->signatures_at);
    payload->data = data;
    payload->n_bytes = payload->signatures_at + n_signature;
    payload->sha256 = sha256_of(payload->data, payload->n_bytes);
}

void payload_make(const PayloadPlan *plan, MadePayload *ret_payload)
{
    *ret_payload = (MadePayload){0};
    Making *making = calloc(1, sizeof(*making));
    making->plan = plan;
    making->payload = ret_payload;
    size_t n_blocks = plan->n_blocks ? plan->n_blocks : 512;
    ret_payload->n_content_bytes = n_blocks * MADE_BLOCK_BYTES;
    ret_payload->content = malloc(ret_payload->n_content_bytes);
    fill_content(ret_payload->content, ret_payload->n_content_bytes, plan->seed);
    if (plan->ends_in_zeros) {
        size_t n = (plan->operation_blocks ? plan->operation_blocks : 16) * MADE_BLOCK_BYTES;
        memset(ret_payload->content + ret_payload->n_content_bytes - n, 0, n);
    }
    making->blobs = malloc((n_blocks + plan->n_tail_blocks) * MADE_BLOCK_BYTES * 2 + 65536);
    describe(making, n_blocks);
    if (plan->damage)
        plan->damage(&making->manifest);
    assemble(making);
    free(making->blobs);
    free(making->index);
    free(making);
}

void payload_unmake(MadePayload *payload)
{
    free(payload->data);
    free(payload->content);
}
