/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

int close(int fd); /* never called: common/cleanup.h names it */
