/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/status-report.h"
#include "locksmith/window/duration.h"

/* status for people. */

/* Text that another host wrote, fit for a terminal. */
static ErrorText clean(const char *text)
{
    ErrorText cleaned;
    error_say(&cleaned, 0, "%s", text ? text : "");
    return cleaned;
}

static void print_figures(const LockStatus *lock)
{
    printf("Available: %" PRId64 "\nMax: %" PRId64 "\n", lock->available, lock->max);
}

void status_report_print(const StatusReport *report)
{
    print_figures(report->lock);
    if (report->lock->n_holders == 0)
        return;
    printf("\nMACHINE ID\n");
    for (size_t i = 0; i < report->lock->n_holders; i++)
        printf("%s\n", clean(report->lock->holders[i].id).line);
}

static void print_holder(const StatusReport *report, const LockHolder *holder)
{
    const HolderFacts *facts = holder->facts;
    bool has_time = facts && facts->since_usec > 0;
    uint64_t since_usec = has_time ? MIN(facts->since_usec, report->now_usec) : 0;
    bool is_this = strcmp(holder->id, report->host.machine_id) == 0;
    bool is_other_boot = is_this && facts && facts->boot_id && facts->boot_id[0] &&
                         report->host.boot_id[0] &&
                         strcmp(facts->boot_id, report->host.boot_id) != 0;
    printf("%-33s %-20s %-24s %s%s\n", clean(holder->id).line,
            facts && facts->host && facts->host[0] ? clean(facts->host).line : "unknown",
            has_time ? ctl_show_time(facts->since_usec).text : "unknown",
            has_time ? duration_show(report->now_usec - since_usec).text : "unknown",
            is_other_boot ? "  this host, since before its last boot"
            : is_this     ? "  this host"
                          : "");
}

static void print_lock(const StatusReport *report)
{
    print_figures(report->lock);
    printf("%-11s %s%s%s%s\n", "Store:", report->store, report->group[0] ? ", group " : "",
            clean(report->group).line, report->lock->exists ? "" : ", not used so far");
    if (report->lock->n_holders == 0)
        return;
    printf("\n%-33s %-20s %-24s %s\n", "MACHINE ID", "HOST", "SINCE", "FOR");
    for (size_t i = 0; i < report->lock->n_holders; i++)
        print_holder(report, &report->lock->holders[i]);
}

static void print_time_line(const char *name, uint64_t usec, const char *more)
{
    if (usec > 0)
        printf("%-11s %s%s\n", name, ctl_show_time(usec).text, more);
}

static void print_daemon(const StatusReport *report)
{
    const DaemonView *daemon = &report->daemon;
    printf("%-11s %s%s%s\n", "Strategy:", daemon->strategy, daemon->decision[0] ? ", now " : "",
            daemon->decision);
    printf("%-11s %s%s%s\n", "State:", daemon->state, daemon->text[0] ? ": " : "", daemon->text);
    print_time_line("Since:", daemon->since_usec, "");
    print_time_line("Next:", daemon->next_usec, " at the earliest");
    print_time_line("Paused:", daemon->paused_until_usec, " is its end");
    if (daemon->trigger[0])
        printf("%-11s %s%s%s%s\n", "Waits:", daemon->version[0] ? "version " : "", daemon->version,
                daemon->version[0] ? ", from " : "from ", daemon->trigger);
    if (daemon->store[0])
        printf("%-11s %s\n", "Holds lock:", daemon->holds);
    if (daemon->release_text[0])
        printf("%-11s %s: %s\n", "Release:", daemon->release, daemon->release_text);
    if (daemon->last_error[0])
        printf("%-11s %s (%s)\n", "Last error:", daemon->last_error,
                ctl_show_time(daemon->last_error_usec).text);
    if (daemon->n_conditions > 0)
        printf("\n%-14s %-6s %s\n", "CONDITION", "HOLDS", "");
    for (size_t i = 0; i < daemon->n_conditions; i++)
        printf("%-14s %-6s %s\n", daemon->conditions[i].name,
                daemon->conditions[i].holds ? "yes" : "no", daemon->conditions[i].text);
}

void status_report_print_long(const StatusReport *report)
{
    if (report->lock) {
        print_lock(report);
        putchar('\n');
    }
    if (report->has_daemon) {
        print_daemon(report);
        return;
    }
    printf("%-11s %s\n", "Strategy:", report->strategy[0] ? report->strategy : "unknown");
    printf("%-11s %s\n", "State:", report->daemon_error.line);
}
