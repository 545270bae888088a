/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The firmware's memory, for malloc(3) and its kin. */

#include "partitions/boot/uefi.h"

/* Comes before the first allocation. boot_services is borrowed for good. */
void efi_memory_begin(EfiBootServices *boot_services);
