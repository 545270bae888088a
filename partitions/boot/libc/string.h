/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
int strcmp(const char *a, const char *b);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t n_max);

/* The names of the errors that devices of the firmware return; "error N" else. One buffer. */
char *strerror(int number);
