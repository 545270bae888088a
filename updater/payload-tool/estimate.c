/* SPDX-License-Identifier: Apache-2.0 */

/* What a client that runs an older image would fetch of a payload: found out by what the client
 * itself plans with. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd-io.h"
#include "updater/adaptive/adaptive-plan.h"
#include "updater/fetch/link-meter.h"
#include "updater/fetch/range-plan.h"
#include "updater/slot/slot-leaves.h"
#include "updater/payload-tool/payload-tool.h"
#include "verity/block-index.h"

enum { OPTION_JSON = 256 };

static const struct option option_table[] = {
        {"from", required_argument, NULL, PAYLOAD_TOOL_FROM},
        {"json", no_argument, NULL, OPTION_JSON},
        {0},
};

typedef struct {
    PayloadToolSources sources;
    bool is_json;
    const char *path;
} EstimateOptions;

/* How what is lacking is asked for, of one kind of server. */
typedef struct {
    uint64_t n_requests;
    uint64_t n_ranges;
    uint64_t n_bytes; /* with what lies in gaps that are not worth another range */
} Asking;

typedef struct {
    uint64_t n_payload_bytes;
    uint64_t n_metadata_bytes;
    uint64_t n_index_bytes; /* of the metadata */
    uint64_t n_lacking_bytes;
    bool is_adaptive; /* else all is fetched in one request */
    Asking several;   /* of a server that answers with several parts */
    Asking single;    /* of one that does not */
} Estimate;

static int take_option(void *userdata, int option)
{
    EstimateOptions *options = userdata;
    switch (option) {
    case PAYLOAD_TOOL_FROM:
        return payload_tool_take_source(&options->sources);
    case OPTION_JSON:
        options->is_json = true;
        return 0;
    default:
        return EXIT_USAGE; /* getopt_long() said why */
    }
}

static int parse(EstimateOptions *options, int argc, char **argv)
{
    int r = payload_tool_take_options(argc, argv, "", option_table, take_option, options);
    if (r != 0)
        return r;
    if (argc - optind != 1)
        return payload_tool_usage_error("estimate takes one payload");
    if (options->sources.n_arguments != 1)
        return payload_tool_usage_error(
                "estimate needs --from, once: the image that a client runs");
    options->path = argv[optind];
    return 0;
}

/* The partition of which --from names an older image, if a client can do with parts of it. */
static int find_partition(const EstimateOptions *options, const Manifest *manifest,
        const PartitionUpdate **ret_partition, const char **ret_path, ErrorText *error)
{
    if (manifest->format == 1)
        return error_say(error, -EINVAL,
                "%s is of format 1, which has no block index: all of it is fetched", options->path);
    const char *paths[MANIFEST_PARTITIONS_MAX];
    int r = payload_tool_assign_payload_sources(&options->sources, manifest, paths, error);
    if (r < 0)
        return r;
    size_t i = 0;
    while (!paths[i])
        i++;
    const PartitionUpdate *partition = &manifest->partitions[i];
    if (partition->has_source)
        return error_say(error, -EINVAL,
                "%s is a delta, which one version alone can install: all of it is fetched",
                options->path);
    if (!partition->has_verity || !partition->block_index)
        return error_say(error, -EINVAL,
                "partition %s has no block index: all of the payload is fetched", partition->name);
    *ret_partition = partition;
    *ret_path = paths[i];
    return 0;
}

/* What the older image holds of the partition. */
static int match_image(const PartitionUpdate *partition, const char *path, BlockMatch **ret_match,
        ErrorText *error)
{
    _cleanup_(block_match_freep) BlockMatch *match = NULL;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_say(error, -errno, "%s cannot be opened: %s", path, strerror(errno));
    SlotLeaves leaves = {.region = {.fd = fd}, .verity = &partition->verity};
    int r = fd_size_bytes(fd, &leaves.n_bytes);
    if (r < 0)
        return error_say(error, r, "%s is no image: it is neither a file nor a block device", path);
    r = block_match_new(partition, &match);
    if (r < 0)
        return r;
    ErrorText reason = {0};
    r = slot_leaves_take(&leaves, block_match_add_source, match, &reason);
    if (r < 0)
        return error_say(error, r, "%s cannot be read: %s", path,
                reason.line[0] ? reason.line : strerror(-r));
    *ret_match = TAKE_PTR(match);
    return 0;
}

/* Lists what is lacking as the client does: runs of frames, which meet where operations do. */
typedef struct {
    FetchRange *ranges; /* of the file */
    size_t n_ranges;
    size_t n_room;
} RangeList;

static void range_list_done(RangeList *list)
{
    free(list->ranges);
}

static int add_range(RangeList *list, uint64_t first_bytes, uint64_t n_bytes)
{
    if (list->n_ranges > 0 && list->ranges[list->n_ranges - 1].end_bytes == first_bytes) {
        list->ranges[list->n_ranges - 1].end_bytes += n_bytes;
        return 0;
    }
    if (list->n_ranges == list->n_room) {
        size_t n_room = 2 * list->n_room + 64;
        FetchRange *ranges = reallocarray(list->ranges, n_room, sizeof(*ranges));
        if (!ranges)
            return -ENOMEM;
        list->ranges = ranges;
        list->n_room = n_room;
    }
    list->ranges[list->n_ranges++] = (FetchRange){first_bytes, first_bytes + n_bytes};
    return 0;
}

static int list_ranges(const AdaptivePlan *plan, const Manifest *manifest,
        uint64_t n_metadata_bytes, RangeList *list)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < manifest->n_operations; i++)
        for (uint64_t at = 0; r == 0 && at < adaptive_plan_n_bytes(plan, i);) {
            AdaptivePiece piece = adaptive_plan_piece(plan, i, at);
            r = add_range(list, n_metadata_bytes + piece.offset_bytes, piece.n_bytes);
            at += piece.n_bytes;
        }
    return r;
}

static Asking ask(const RangeList *list, uint64_t gap_bytes, size_t n_most)
{
    Asking asking = {0};
    uint64_t end_bytes = list->n_ranges > 0 ? list->ranges[list->n_ranges - 1].end_bytes : 0;
    for (uint64_t at_bytes = 0; at_bytes < end_bytes;) {
        RangeSlice slice;
        range_plan_next(list->ranges, list->n_ranges, at_bytes, gap_bytes, n_most, &slice);
        asking.n_requests++;
        asking.n_ranges += slice.n_ranges;
        asking.n_bytes += range_slice_n_bytes(&slice);
        at_bytes = range_slice_end(&slice);
    }
    return asking;
}

static int count_fetched(const PayloadFile *file, const AdaptivePlan *plan, Estimate *estimate)
{
    static const LinkMeter nothing_known;
    estimate->n_lacking_bytes = adaptive_plan_n_all_bytes(plan);
    estimate->is_adaptive = adaptive_plan_is_worthwhile(plan);
    if (!estimate->is_adaptive) {
        estimate->several = estimate->single = (Asking){
                .n_requests = 1,
                .n_ranges = 1,
                .n_bytes = estimate->n_payload_bytes - estimate->n_metadata_bytes,
        };
        return 0;
    }
    _cleanup_(range_list_done) RangeList list = {0};
    int r = list_ranges(plan, payload_file_manifest(file), estimate->n_metadata_bytes, &list);
    if (r < 0)
        return r;
    estimate->several = ask(&list, RANGE_PLAN_PART_BYTES, RANGE_SLICE_RANGES_MAX);
    estimate->single = ask(&list, link_meter_gap_bytes(&nothing_known, 1), 1);
    return 0;
}

static int make_estimate(const EstimateOptions *options, Estimate *ret_estimate, ErrorText *error)
{
    _cleanup_(payload_file_freep) PayloadFile *file = NULL;
    _cleanup_(block_match_freep) BlockMatch *match = NULL;
    _cleanup_(adaptive_plan_freep) AdaptivePlan *plan = NULL;
    UpdateError failure = payload_file_open(options->path, NULL, &file, error);
    if (failure != UPDATE_OK)
        return error->line[0] ? -EINVAL
                              : error_say(error, -EINVAL, "%s", update_error_text(failure));
    const Manifest *manifest = payload_file_manifest(file);
    const PartitionUpdate *partition = NULL;
    const char *old_path = NULL;
    int r = find_partition(options, manifest, &partition, &old_path, error);
    if (r >= 0)
        r = match_image(partition, old_path, &match, error);
    if (r >= 0)
        r = adaptive_plan_new(manifest, partition, match, &plan);
    if (r < 0)
        return r;
    *ret_estimate = (Estimate){
            .n_payload_bytes = payload_file_size_bytes(file),
            .n_metadata_bytes = payload_file_header(file)->n_metadata_bytes,
            .n_index_bytes = partition->verity.n_data_blocks * BLOCK_INDEX_ENTRY_BYTES,
    };
    return count_fetched(file, plan, ret_estimate);
}

static double percent_of(const Estimate *estimate, uint64_t n_bytes)
{
    return 100.0 * (double)n_bytes / (double)estimate->n_payload_bytes;
}

static void print_line(const char *name, const Estimate *estimate, uint64_t n_bytes)
{
    printf("%-22s%12" PRIu64 " bytes %6.2f %%", name, n_bytes, percent_of(estimate, n_bytes));
}

static void print_asking(const char *name, const Estimate *estimate, const Asking *asking)
{
    print_line(name, estimate, estimate->n_metadata_bytes + asking->n_bytes);
    printf("  %" PRIu64 " requests for %" PRIu64 " ranges\n", asking->n_requests, asking->n_ranges);
}

static void print_text(const Estimate *estimate)
{
    print_line("payload:", estimate, estimate->n_payload_bytes);
    printf("\n");
    print_line("metadata:", estimate, estimate->n_metadata_bytes);
    printf("\n");
    print_line("  its block index:", estimate, estimate->n_index_bytes);
    printf("\n");
    print_line("data that is lacking:", estimate, estimate->n_lacking_bytes);
    printf("%s\n", estimate->is_adaptive ? "" : "  so much that all is fetched");
    print_asking("fetched, by parts:", estimate, &estimate->several);
    print_asking("fetched, one by one:", estimate, &estimate->single);
}

static json_t *asking_value(const Estimate *estimate, const Asking *asking)
{
    return json_pack("{s:I, s:I, s:I}", "size_bytes",
            (json_int_t)(estimate->n_metadata_bytes + asking->n_bytes), "requests",
            (json_int_t)asking->n_requests, "ranges", (json_int_t)asking->n_ranges);
}

static int print_json(const Estimate *estimate)
{
    json_t *value = json_pack("{s:I, s:I, s:I, s:I, s:b, s:o, s:o}", "payload_bytes",
            (json_int_t)estimate->n_payload_bytes, "metadata_bytes",
            (json_int_t)estimate->n_metadata_bytes, "block_index_bytes",
            (json_int_t)estimate->n_index_bytes, "lacking_bytes",
            (json_int_t)estimate->n_lacking_bytes, "adaptive", (int)estimate->is_adaptive,
            "fetched_by_parts", asking_value(estimate, &estimate->several), "fetched_one_by_one",
            asking_value(estimate, &estimate->single));
    if (!value)
        return -ENOMEM;
    json_dumpf(value, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(value);
    return 0;
}

int update_payload_estimate(int argc, char **argv, void *context)
{
    (void)context;
    EstimateOptions options = {0};
    int r = parse(&options, argc, argv);
    if (r != 0)
        return r;
    ErrorText error = {0};
    Estimate estimate = {0};
    r = make_estimate(&options, &estimate, &error);
    if (r >= 0 && options.is_json)
        r = print_json(&estimate);
    else if (r >= 0)
        print_text(&estimate);
    return r < 0 ? payload_tool_fail(r, &error) : EXIT_SUCCESS;
}
