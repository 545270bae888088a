/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/private-bus.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/bus-connect.h"
#include "common/clock.h"
#include "tests/unit/unit.h"

struct PrivateBus {
    pid_t pid;
    char address[512];
};

static const char configuration[] =
        "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' "
        "'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>\n"
        "<busconfig><type>session</type><listen>unix:dir=%s</listen><auth>EXTERNAL</auth>\n"
        "<policy context='default'><allow send_destination='*' eavesdrop='true'/>\n"
        "<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>\n";

PrivateBus *private_bus_new(void)
{
    char path[256];
    char option[300];
    int pipe_fds[2];
    const char *folder = unit_temp_dir();
    snprintf(path, sizeof(path), "%s/bus.conf", folder);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_gt(fprintf(file, configuration, folder), 0);
    ck_assert_int_eq(fclose(file), 0);

    PrivateBus *bus = calloc(1, sizeof(*bus));
    ck_assert_ptr_nonnull(bus);
    ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
    snprintf(option, sizeof(option), "--config-file=%s", path);
    char name[] = "dbus-daemon", print[] = "--print-address=1", no_fork[] = "--nofork",
         no_pid[] = "--nopidfile";
    char *arguments[] = {name, option, print, no_fork, no_pid, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
    ck_assert_int_eq(posix_spawnp(&bus->pid, name, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fds[1]);

    FILE *output = fdopen(pipe_fds[0], "re");
    ck_assert_ptr_nonnull(fgets(bus->address, sizeof(bus->address), output));
    bus->address[strcspn(bus->address, "\n")] = '\0';
    fclose(output);
    return bus;
}

void private_bus_free(PrivateBus *bus)
{
    if (!bus)
        return;
    kill(bus->pid, SIGKILL);
    waitpid(bus->pid, NULL, 0);
    free(bus);
}

sd_bus *private_bus_connect(const PrivateBus *bus, sd_event *event)
{
    sd_bus *connection;
    ck_assert_int_ge(bus_connect(bus->address, &connection), 0);
    ck_assert_int_ge(sd_bus_attach_event(connection, event, SD_EVENT_PRIORITY_NORMAL), 0);
    return connection;
}

static int on_pong(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)message;
    (void)error;
    *(bool *)userdata = true;
    return 0;
}

static bool is_true(void *userdata)
{
    return *(bool *)userdata;
}

void private_bus_settle(sd_event *event, sd_bus *connection)
{
    bool is_answered = false;
    ck_assert_int_ge(sd_bus_call_method_async(connection, NULL, "org.freedesktop.DBus",
                             "/org/freedesktop/DBus", "org.freedesktop.DBus.Peer", "Ping", on_pong,
                             &is_answered, NULL),
            0);
    private_bus_run_until(event, is_true, &is_answered);
    while (sd_event_run(event, 5000) > 0) /* what follows at once, such as timers for now */
        ;
}

void private_bus_run_until(sd_event *event, bool (*is_so)(void *userdata), void *userdata)
{
    while (!is_so(userdata))
        ck_assert_int_gt(sd_event_run(event, 20 * USEC_PER_SEC), 0);
}

void private_bus_own(sd_bus *connection, const char *name)
{
    ck_assert_int_ge(sd_bus_request_name(connection, name, 0), 0);
}
