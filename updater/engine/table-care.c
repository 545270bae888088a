/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/engine/table-care.h"

#include <errno.h>

/* Two rules keep it from doing harm. Nothing is repaired on the strength of one look: who changes a
 * table without the disk's lock, as partitioning tools do, leaves copies that do not match for a
 * moment. And every repair makes another look, for it writes: so one that failed, or did not last,
 * waits for the next check. */

TableFinding table_care_find(const SlotDisk *disk)
{
    return (TableFinding){
            .health = slot_disk_health(disk),
            .primary = slot_disk_primary_fault(disk),
            .backup = slot_disk_backup_fault(disk),
    };
}

void table_care_on_check(TableCare *care)
{
    care->has_failed = false;
    care->n_repairs = 0;
}

static TableCareStep on_good(TableCare *care, TableHealth before)
{
    care->is_lost = care->has_failed = care->is_failure_told = false;
    return before == TABLE_GOOD ? TABLE_CARE_REST : TABLE_CARE_SAY_BACK;
}

static TableCareStep on_damaged(TableCare *care, bool is_settled)
{
    care->is_lost = false;
    if (care->has_failed || care->n_repairs >= TABLE_CARE_MAX_REPAIRS)
        return TABLE_CARE_REST;
    return is_settled ? TABLE_CARE_REPAIR : TABLE_CARE_LOOK_AGAIN;
}

static TableCareStep on_unreadable(TableCare *care, bool is_settled)
{
    if (care->is_lost)
        return TABLE_CARE_REST;
    care->is_lost = is_settled;
    return is_settled ? TABLE_CARE_SAY_LOST : TABLE_CARE_LOOK_AGAIN;
}

TableCareStep table_care_on_look(TableCare *care, const TableFinding *finding, bool is_settled)
{
    TableHealth before = care->is_known ? care->finding.health : TABLE_GOOD;
    care->is_known = true;
    care->finding = *finding;
    switch (finding->health) {
    case TABLE_GOOD:
        return on_good(care, before);
    case TABLE_PRIMARY_BAD:
    case TABLE_BACKUP_BAD:
    case TABLE_COPIES_DIFFER:
        return on_damaged(care, is_settled);
    case TABLE_UNREADABLE:
        return on_unreadable(care, is_settled);
    }
    return TABLE_CARE_REST;
}

void table_care_on_lost(TableCare *care)
{
    care->is_known = care->is_lost = true;
    care->finding = (TableFinding){.health = TABLE_UNREADABLE};
}

void table_care_on_repaired(TableCare *care)
{
    care->finding = (TableFinding){.health = TABLE_GOOD};
    care->is_failure_told = false;
    care->n_repairs++;
}

bool table_care_on_failed(TableCare *care)
{
    bool is_first = !care->is_failure_told;
    care->has_failed = care->is_failure_told = true;
    return is_first;
}

void table_care_describe(const TableFinding *finding, ErrorText *ret_text)
{
    switch (finding->health) {
    case TABLE_PRIMARY_BAD:
        error_say(ret_text, 0, "the primary copy %s", gpt_fault_text(finding->primary));
        return;
    case TABLE_BACKUP_BAD:
        error_say(ret_text, 0, "the backup copy %s", gpt_fault_text(finding->backup));
        return;
    case TABLE_COPIES_DIFFER:
        error_say(ret_text, 0, "the copies differ");
        return;
    case TABLE_UNREADABLE:
        error_say(ret_text, 0, "neither copy can be read");
        return;
    case TABLE_GOOD:
        break;
    }
    error_say(ret_text, 0, "nothing");
}

const char *table_care_remedy(TableHealth health)
{
    switch (health) {
    case TABLE_PRIMARY_BAD:
        return "it is rebuilt from the backup";
    case TABLE_BACKUP_BAD:
        return "it is rebuilt from the primary";
    case TABLE_COPIES_DIFFER:
        return "the backup is rebuilt from the primary";
    case TABLE_GOOD:
    case TABLE_UNREADABLE:
        break;
    }
    return "nothing is written";
}

const char *table_care_advice(int r)
{
    return r == -ENOMEDIUM || r == -EIO
                   ? " Nothing is written to it. Restore the table before the next reboot, from a "
                     "backup or from what the kernel still knows of the partitions."
                   : "";
}
