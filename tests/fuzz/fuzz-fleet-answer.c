/* SPDX-License-Identifier: Apache-2.0 */

/* Two bytes of HTTP status, one of which request it was, and the body. Only a status of success is
 * one, and a lock is full only where one was asked for. */

#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/printable.h"
#include "locksmith/lock/fleet-lock/fleet-answer.h"
#include "tests/fuzz/fuzz.h"

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes < 3)
        return -1;
    unsigned status = (data[0] * 256U + data[1]) % 1000;
    bool is_pre_reboot = data[2] & 1;
    ErrorText error = {""};
    FleetVerdict verdict =
            fleet_answer_judge(status, is_pre_reboot, (const char *)data + 3, n_bytes - 3, &error);
    require((verdict == FLEET_DONE) == (status >= 200 && status <= 299));
    require((verdict == FLEET_DONE) == (error.line[0] == '\0'));
    require(verdict != FLEET_FULL || is_pre_reboot);
    ErrorText clean = error;
    printable_clean(clean.line);
    require(strcmp(clean.line, error.line) == 0);
    return 0;
}
