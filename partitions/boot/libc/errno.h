/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Linux' numbers. */

extern int errno;

#define EPERM 1
#define ENOENT 2
#define EIO 5
#define ENXIO 6
#define ENOMEM 12
#define EBUSY 16
#define EINVAL 22
#define ENOSPC 28
#define EROFS 30
#define ERANGE 34
#define ENOTUNIQ 76
#define EOPNOTSUPP 95
#define ESTALE 116
#define ENOMEDIUM 123
