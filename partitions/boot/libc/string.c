/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

/* Compiled with -fno-builtin, or the loops would become calls of themselves. */

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    for (size_t i = 0; i < n; i++)
        out[i] = in[i];
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if (out <= in)
        return memcpy(to, from, n);
    for (size_t i = n; i > 0; i--)
        out[i - 1] = in[i - 1];
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    uint8_t *out = to;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *left = a, *right = b;
    for (size_t i = 0; i < n; i++)
        if (left[i] != right[i])
            return left[i] < right[i] ? -1 : 1;
    return 0;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

size_t strnlen(const char *text, size_t n_max)
{
    size_t n = 0;
    while (n < n_max && text[n])
        n++;
    return n;
}

size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

char *strerror(int number)
{
    static char other[24];
    switch (number) {
    case EIO:
        return "the device reports an error";
    case ENOMEM:
        return "out of memory";
    case EROFS:
        return "the disk is read-only";
    case ENOMEDIUM:
        return "no medium";
    default:
        snprintf(other, sizeof(other), "error %d", number);
        return other;
    }
}
