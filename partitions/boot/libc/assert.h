/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define static_assert _Static_assert
#define assert(condition) ((condition) ? (void)0 : __builtin_trap())
