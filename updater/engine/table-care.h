/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is known of the partition table's health, and what is to be done about it. Pure. */

#include <stdbool.h>

#include "common/error-text.h"
#include "partitions/slot-disk.h"

/* What somebody who read the table saw. */
typedef struct {
    TableHealth health;
    GptFault primary, backup; /* GPT_VALID for both when they differ; unless unreadable */
} TableFinding;

/* So many repairs between two checks: a disk that does not keep what is written to it must not be
 * written for ever. */
#define TABLE_CARE_MAX_REPAIRS 10

typedef struct {
    bool is_known; /* somebody has looked */
    TableFinding finding;
    bool is_lost;         /* neither copy could be read, which has been said */
    bool has_failed;      /* a repair, since the last check */
    bool is_failure_told; /* of a repair, since the table was good */
    unsigned n_repairs;   /* since the last check */
} TableCare;

typedef enum {
    TABLE_CARE_REST,
    TABLE_CARE_LOOK_AGAIN, /* when nobody has written for a while: it may be a writer at work */
    TABLE_CARE_REPAIR,
    TABLE_CARE_SAY_LOST, /* neither copy can be read; told once */
    TABLE_CARE_SAY_BACK, /* it is good again, and not by our repair */
} TableCareStep;

/* How the disk's table was when it was opened. */
TableFinding table_care_find(const SlotDisk *disk);

/* It is time for a check: what failed may be tried again. */
void table_care_on_check(TableCare *care);

/* Somebody has looked; is_settled: and nobody had written for a while. */
TableCareStep table_care_on_look(TableCare *care, const TableFinding *finding, bool is_settled);

/* Who looked could read neither copy and has said so. */
void table_care_on_lost(TableCare *care);

/* The repair has come to its end. */
void table_care_on_repaired(TableCare *care);

/* The same when it failed; returns whether that is to be remembered: the first time. */
bool table_care_on_failed(TableCare *care);

/* What is wrong: "the primary copy has no GPT signature". */
void table_care_describe(const TableFinding *finding, ErrorText *ret_text);

/* What a repair does: "it is rebuilt from the backup"; static. */
const char *table_care_remedy(TableHealth health);

/* What a person can do when opening the disk failed with r, a sentence behind the error's line; ""
 * when that says all; static. */
const char *table_care_advice(int r);
