/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* Out of the firmware's pool (efi-memory.c). */
void *malloc(size_t n_bytes);
void *calloc(size_t n, size_t n_bytes);
void free(void *memory);
