/* SPDX-License-Identifier: Apache-2.0 */
#include "partitions/slot-report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "partitions/slot-content.h"
#include "partitions/slot-trailer-read.h"

static void format_size(uint64_t size_bytes, char *ret_text, size_t n_bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)size_bytes;
    size_t unit = 0;
    while (size >= 1024 && unit + 1 < ELEMENTS(units)) {
        size /= 1024;
        unit++;
    }
    snprintf(ret_text, n_bytes, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}

static const char *remark(const SlotReport *report, size_t slot)
{
    bool is_running = slot == report->running, is_next = slot == slot_disk_next(report->disk);
    if (is_running && is_next)
        return "running, boots next";
    return is_running ? "running" : is_next ? "boots next" : "";
}

/* What a slot holds. What cannot be read is shown as unknown: the report is about the table. */
typedef struct {
    SlotContentKind kind;
    bool is_unreadable; /* the trailer */
    TrailerFault fault;
    SlotTrailer trailer; /* product and version are "" unless it is valid */
} Content;

static Content look_into(const SlotReport *report, size_t slot)
{
    Content content = {.fault = TRAILER_ABSENT};
    (void)slot_content_probe(report->disk, slot, &content.kind);
    content.is_unreadable =
            slot_trailer_read(report->disk, slot, &content.fault, &content.trailer, NULL) < 0;
    return content;
}

static const char *describe_trailer(const Content *content)
{
    if (content->is_unreadable)
        return "cannot be read";
    if (content->fault == TRAILER_VALID)
        return "valid";
    return content->fault == TRAILER_ABSENT ? "absent" : slot_trailer_fault_text(content->fault);
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

/* Of the columns whose text somebody else has chosen. */
typedef struct {
    int product, version;
} Widths;

static void print_slot(const SlotReport *report, const Slot *slot, size_t index,
        const Content *content, Widths widths)
{
    char unique[GUID_TEXT_CHARS + 1], size[32];
    guid_to_text(&slot->unique, unique);
    format_size(slot->size_bytes, size, sizeof(size));
    printf("%-12s %8u %5u %10s %10s  %-8s  %-*s  %-*s  %s%s%s\n", slot->label, slot->priority,
            slot->tries, slot->successful ? "yes" : "no", size, or_dash(content->kind.type),
            widths.product, or_dash(content->trailer.product), widths.version,
            or_dash(content->trailer.version), unique, remark(report, index)[0] ? "  " : "",
            remark(report, index));
    if (content->is_unreadable ||
            (content->fault != TRAILER_VALID && content->fault != TRAILER_ABSENT))
        printf("%-12s its trailer %s\n", "", describe_trailer(content));
}

int slot_report_print_text(const SlotReport *report)
{
    size_t n_slots;
    const Slot *slots = slot_disk_slots(report->disk, &n_slots);
    Widths widths = {(int)strlen("PRODUCT"), (int)strlen("VERSION")};
    _cleanup_free_ Content *contents = calloc(n_slots, sizeof(*contents));
    if (!contents)
        return -ENOMEM;
    for (size_t i = 0; i < n_slots; i++) {
        contents[i] = look_into(report, i);
        widths.product = MAX(widths.product, (int)strlen(contents[i].trailer.product));
        widths.version = MAX(widths.version, (int)strlen(contents[i].trailer.version));
    }
    printf("%s: partition table %s\n", report->path,
            gpt_disk_health_text(slot_disk_health(report->disk)));
    printf("%-12s %8s %5s %10s %10s  %-8s  %-*s  %-*s  %s\n", "SLOT", "PRIORITY", "TRIES",
            "SUCCESSFUL", "SIZE", "CONTENT", widths.product, "PRODUCT", widths.version, "VERSION",
            "PARTUUID");
    for (size_t i = 0; i < n_slots; i++)
        if (report->only == SLOT_NONE || report->only == i)
            print_slot(report, &slots[i], i, &contents[i], widths);
    return 0;
}

static json_t *label_or_null(const Slot *slots, size_t slot)
{
    return slot == SLOT_NONE ? json_null() : json_string(slots[slot].label);
}

static json_t *slot_to_json(const SlotReport *report, size_t index)
{
    size_t n_slots;
    const Slot *slot = &slot_disk_slots(report->disk, &n_slots)[index];
    Content content = look_into(report, index);
    char unique[GUID_TEXT_CHARS + 1];
    guid_to_text(&slot->unique, unique);
    json_t *json =
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:b, s:i, s:s, s:s, s:s, s:s, s:s}",
                    "label", slot->label, "partuuid", unique, "partition",
                    (json_int_t)slot->entry + 1, "offset_bytes", (json_int_t)slot->offset_bytes,
                    "size_bytes", (json_int_t)slot->size_bytes, "priority", (int)slot->priority,
                    "tries", (int)slot->tries, "successful", (int)slot->successful, "starts",
                    (int)slot->starts, "content", content.kind.type, "content_label",
                    content.kind.label, "trailer", describe_trailer(&content), "product",
                    content.trailer.product, "version", content.trailer.version);
    if (json && index == report->verified &&
            json_object_set_new(json, "verified", json_string(report->verdict)) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* Prints and releases it. */
static int print_json(json_t *json)
{
    if (!json)
        return -ENOMEM;
    int r = json_dumpf(json, stdout, JSON_INDENT(2));
    json_decref(json);
    printf("\n");
    return r < 0 ? -ENOMEM : 0;
}

static const char *describe_copy(GptFault fault)
{
    return fault == GPT_VALID ? "valid" : gpt_fault_text(fault);
}

int slot_report_print_json(const SlotReport *report)
{
    size_t n_slots;
    const Slot *slots = slot_disk_slots(report->disk, &n_slots);
    json_t *list = json_array();
    for (size_t i = 0; list && i < n_slots; i++)
        if (report->only == SLOT_NONE || report->only == i)
            if (json_array_append_new(list, slot_to_json(report, i)) < 0) {
                json_decref(list);
                return -ENOMEM;
            }
    return print_json(json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:o, s:o}", "disk", report->path,
            "sector_bytes", (int)slot_disk_sector_bytes(report->disk), "table",
            gpt_disk_health_text(slot_disk_health(report->disk)), "primary",
            describe_copy(slot_disk_primary_fault(report->disk)), "backup",
            describe_copy(slot_disk_backup_fault(report->disk)), "next",
            label_or_null(slots, slot_disk_next(report->disk)), "running",
            label_or_null(slots, report->running), "slots", list));
}

int slot_report_print_slot(const Slot *slot, bool as_json)
{
    char unique[GUID_TEXT_CHARS + 1];
    guid_to_text(&slot->unique, unique);
    if (as_json)
        return print_json(json_pack("{s:s, s:s}", "label", slot->label, "partuuid", unique));
    printf("%s %s\n", slot->label, unique);
    return 0;
}
