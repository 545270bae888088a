/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Scope-bound release of what a function owns: a variable declared with one of these attributes is
 * released when it leaves its scope, unless TAKE_PTR or TAKE_FD handed it on before. */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))

/* Defines `func##p(type *)` that calls func(type) unless the value is NULL. */
#define DEFINE_CLEANUP(type, func)      \
    static inline void func##p(type *p) \
    {                                   \
        if (*p)                         \
            func(*p);                   \
    }                                   \
    struct cleanup_needs_a_semicolon

/* Gives the pointer away: the variable is NULL afterwards. */
#define TAKE_PTR(p)                 \
    ({                              \
        __typeof__(p) *_p = &(p);   \
        __typeof__(p) _taken = *_p; \
        *_p = NULL;                 \
        _taken;                     \
    })

/* Gives the file descriptor away: the variable is -1 afterwards. */
#define TAKE_FD(fd)        \
    ({                     \
        int *_fd = &(fd);  \
        int _taken = *_fd; \
        *_fd = -1;         \
        _taken;            \
    })

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Closes fd if it is not negative, keeps errno. Returns -1, to be assigned back. */
static inline int safe_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
    return -1;
}

static inline void freep(void *p)
{
    free(*(void **)p);
}

static inline void closep(int *fd)
{
    safe_close(*fd);
}

static inline void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)
