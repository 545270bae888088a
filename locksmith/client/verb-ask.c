/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/client/ctl-verbs.h"
#include "locksmith/client/daemon-proxy.h"
#include "locksmith/locksmith-bus.h"

/* reboot-now and send-need-reboot: what only locksmithd can do. */

static int end(int exit_code, const ErrorText *error)
{
    return exit_code == CTL_DONE ? exit_code : ctl_complain(exit_code, LOCKSMITHCTL, error);
}

int verb_reboot_now(int argc, char **argv, void *context)
{
    const CtlOptions *options = context;
    bool skips_hooks = false;
    const GoFlag flags[] = {{"skip-hooks", FLAG_BOOL, &skips_hooks}, {}};
    if (ctl_arguments(argc, argv, flags, 0) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    uint64_t bus_flags = skips_hooks ? LOCKSMITH_FLAG_SKIP_HOOKS : 0;
    return end(daemon_proxy_ask(options->bus, "RebootNow", &error, "t", bus_flags), &error);
}

int verb_send_need_reboot(int argc, char **argv, void *context)
{
    const CtlOptions *options = context;
    if (ctl_arguments(argc, argv, NULL, 0) < 0)
        return EXIT_USAGE;
    ErrorText error = {};
    return end(daemon_proxy_ask(options->bus, "SendNeedReboot", &error, ""), &error);
}
