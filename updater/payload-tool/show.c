/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/hex.h"
#include "updater/payload-tool/payload-tool.h"
#include "updater/payload/signature-set.h"

/* The facts are put into JSON once; the text for a person is made of the same object. */

enum { OPTION_JSON = 256 };

static const struct option option_table[] = {
        {"json", no_argument, NULL, OPTION_JSON},
        {0},
};

static const struct {
    OperationType type;
    const char *name;
} operation_names[] = {
        {OPERATION_REPLACE, "REPLACE"},
        {OPERATION_REPLACE_BZ, "REPLACE_BZ"},
        {OPERATION_MOVE, "MOVE"},
        {OPERATION_BSDIFF, "BSDIFF"},
        {OPERATION_SOURCE_COPY, "SOURCE_COPY"},
        {OPERATION_SOURCE_BSDIFF, "SOURCE_BSDIFF"},
        {OPERATION_REPLACE_XZ, "REPLACE_XZ"},
        {OPERATION_REPLACE_ZSTD, "REPLACE_ZSTD"},
        {OPERATION_REPLACE_ZSTD_PREFIX, "REPLACE_ZSTD_PREFIX"},
        {OPERATION_ZERO, "ZERO"},
        {OPERATION_DISCARD, "DISCARD"},
};

static json_t *hex_value(const void *data, size_t n_bytes)
{
    char hex[2 * 64 + 1] = "";
    hex_encode(data, MIN(n_bytes, (size_t)64), hex);
    return json_string(hex);
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *signature_value(PayloadSignature signature)
{
    json_t *lengths = json_array();
    bool is_signed = false;
    _cleanup_(signature_set_freep) SignatureSet *set = NULL;
    if (signature_set_parse(signature.blob, signature.n_bytes, &set) >= 0)
        for (size_t i = 0; i < signature_set_n_entries(set); i++) {
            json_array_append_new(lengths, number(signature_set_get(set, i).n_bytes));
            is_signed = is_signed || !signature_set_is_open(set, i);
        }
    return json_pack("{s:o, s:o, s:b, s:o}", "offset_bytes", number(signature.offset_bytes),
            "size_bytes", number(signature.n_bytes), "signed", (int)is_signed, "signature_bytes",
            lengths);
}

static json_t *operations_value(const PartitionUpdate *partition)
{
    json_t *counts = json_object();
    for (size_t t = 0; t < ELEMENTS(operation_names); t++) {
        uint64_t n = 0;
        for (size_t i = 0; i < partition->n_operations; i++)
            n += partition->operations[i].type == operation_names[t].type;
        if (n > 0)
            json_object_set_new(counts, operation_names[t].name, number(n));
    }
    return counts;
}

static json_t *verity_value(const PartitionUpdate *partition)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "algorithm", "sha256", "root_hash",
            hex_value(partition->root_hash.bytes, SHA256_BYTES), "salt",
            hex_value(partition->verity.salt, partition->verity.n_salt_bytes), "data_blocks",
            number(partition->verity.n_data_blocks), "tree_start_block",
            number(partition->tree_start_block), "tree_blocks", number(partition->n_tree_blocks),
            "has_block_index", (int)(partition->block_index != NULL));
}

static json_t *source_value(const PartitionUpdate *partition)
{
    return json_pack("{s:o, s:o}", "size_bytes", number(partition->source_bytes), "sha256",
            hex_value(partition->source_hash.bytes, SHA256_BYTES));
}

static json_t *partition_value(const PartitionUpdate *partition)
{
    uint64_t n_data_bytes = 0;
    for (size_t i = 0; i < partition->n_operations; i++)
        n_data_bytes += partition->operations[i].n_data_bytes;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", partition->name, "size_bytes",
            number(partition->size_bytes), "sha256", hex_value(partition->hash.bytes, SHA256_BYTES),
            "data_bytes", number(n_data_bytes), "source",
            partition->has_source ? source_value(partition) : json_null(), "operations",
            operations_value(partition), "verity",
            partition->has_verity ? verity_value(partition) : json_null());
}

static json_t *payload_value(const PayloadFile *file)
{
    const Manifest *manifest = payload_file_manifest(file);
    const PayloadHeader *header = payload_file_header(file);
    json_t *partitions = json_array();
    for (size_t i = 0; i < manifest->n_partitions; i++)
        json_array_append_new(partitions, partition_value(&manifest->partitions[i]));
    return json_pack("{s:i, s:i, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
            "format", (int)manifest->format, "minor_version", (int)manifest->minor_version,
            "product", manifest->product, "version", manifest->version, "min_version",
            manifest->min_version, "source_version", manifest->source_version, "frame_size_bytes",
            manifest->format == 1 ? json_null() : number(manifest->frame_target_bytes),
            "frame_prefix_bytes",
            manifest->format == 1 ? json_null() : number(manifest->frame_prefix_bytes),
            "size_bytes", number(payload_file_size_bytes(file)), "manifest_bytes",
            number(header->n_manifest_bytes), "metadata_signed_bytes",
            number(header->n_signed_bytes), "data_offset_bytes", number(header->n_metadata_bytes),
            "metadata_signature",
            manifest->format == 1 ? json_null()
                                  : signature_value(payload_file_metadata_signature(file)),
            "payload_signature", signature_value(payload_file_payload_signature(file)),
            "partitions", partitions);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void print_signature(const char *title, const json_t *signature)
{
    printf("%s", title);
    size_t i;
    json_t *length;
    json_array_foreach (json_object_get(signature, "signature_bytes"), i, length)
        printf("%s%" PRId64 " bytes", i > 0 ? ", " : "", (int64_t)json_integer_value(length));
    printf("%s\n", json_is_true(json_object_get(signature, "signed")) ? "" : " (not signed yet)");
}

static void print_partition(const json_t *partition)
{
    printf("partition %s\n", text_of(partition, "name"));
    printf("  size:               %" PRId64 " bytes\n", number_of(partition, "size_bytes"));
    printf("  sha256:             %s\n", text_of(partition, "sha256"));
    const json_t *source = json_object_get(partition, "source");
    if (!json_is_null(source)) {
        printf("  delta from:         %" PRId64 " bytes\n", number_of(source, "size_bytes"));
        printf("  of sha256:          %s\n", text_of(source, "sha256"));
    }
    const json_t *verity = json_object_get(partition, "verity");
    if (!json_is_null(verity)) {
        printf("  root hash:          %s\n", text_of(verity, "root_hash"));
        printf("  salt:               %s\n", text_of(verity, "salt"));
        printf("  data and tree:      %" PRId64 " and %" PRId64 " blocks of 4096 bytes\n",
                number_of(verity, "data_blocks"), number_of(verity, "tree_blocks"));
        printf("  block index:        %s\n",
                json_is_true(json_object_get(verity, "has_block_index")) ? "yes" : "no");
    }
    printf("  compressed:         %" PRId64 " bytes\n", number_of(partition, "data_bytes"));
    printf("  operations:        ");
    const char *name;
    json_t *count;
    json_object_foreach (json_object_get(partition, "operations"), name, count) {
        printf(" %s %" PRId64, name, (int64_t)json_integer_value(count));
    }
    printf("\n");
}

static void print_names(const json_t *payload)
{
    const char *min_version = text_of(payload, "min_version");
    printf("product:              %s\n", text_of(payload, "product"));
    printf("version:              %s\n", text_of(payload, "version"));
    printf("installs from:        %s\n", min_version[0] ? min_version : "any version");
    if (number_of(payload, "minor_version") == MANIFEST_MINOR_FULL)
        return;
    const char *source = text_of(payload, "source_version");
    printf("delta from:           %s (minor version %" PRId64 ")\n",
            source[0] ? source : "an image, see its hash", number_of(payload, "minor_version"));
}

static void print_frames(const json_t *payload)
{
    int64_t n_prefix_bytes = number_of(payload, "frame_prefix_bytes");
    printf("frames:               of %" PRId64 " bytes of target",
            number_of(payload, "frame_size_bytes"));
    if (n_prefix_bytes > 0)
        printf(", which refer to up to %" PRId64 " before them", n_prefix_bytes);
    printf("\n");
}

static void print_text(const json_t *payload)
{
    bool is_v1 = number_of(payload, "format") == 1;
    printf("format:               %s\n", is_v1 ? "1, which names no product and no version" : "2");
    if (!is_v1)
        print_names(payload);
    printf("size:                 %" PRId64 " bytes\n", number_of(payload, "size_bytes"));
    printf("manifest:             %" PRId64 " bytes\n", number_of(payload, "manifest_bytes"));
    if (!is_v1)
        print_frames(payload);
    if (!is_v1)
        print_signature("metadata signatures:  ", json_object_get(payload, "metadata_signature"));
    print_signature("payload signatures:   ", json_object_get(payload, "payload_signature"));
    size_t i;
    json_t *partition;
    json_array_foreach (json_object_get(payload, "partitions"), i, partition)
        print_partition(partition);
}

static int take_option(void *userdata, int option)
{
    bool *is_json = userdata;
    if (option != OPTION_JSON)
        return EXIT_USAGE; /* getopt_long() said why */
    *is_json = true;
    return 0;
}

int update_payload_show(int argc, char **argv, void *context)
{
    (void)context;
    bool is_json = false;
    int r = payload_tool_take_options(argc, argv, "", option_table, take_option, &is_json);
    if (r != 0)
        return r;
    if (argc - optind != 1)
        return payload_tool_usage_error("show takes one payload");

    ErrorText error = {0};
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    UpdateError failure = payload_file_open(argv[optind], NULL, &file, &error);
    if (failure != UPDATE_OK)
        return payload_tool_fail_update(failure, &error);
    json_t *payload = payload_value(file);
    if (!payload)
        return payload_tool_fail_update(UPDATE_ERROR_GENERIC, &error);
    if (is_json) {
        json_dumpf(payload, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        print_text(payload);
    }
    json_decref(payload);
    return EXIT_SUCCESS;
}
