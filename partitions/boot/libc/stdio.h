/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

typedef struct File FILE; /* never one: common/cleanup.h names it */
int fclose(FILE *file);

/* As partitions/boot/format.h. */
int snprintf(char *text, size_t n_bytes, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
int vsnprintf(char *text, size_t n_bytes, const char *format, va_list arguments)
        __attribute__((format(printf, 3, 0)));
