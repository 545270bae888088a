/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry (https://llvm.org/docs/LibFuzzer.html): returns 0; -1 keeps the input out of
 * the corpus. Must not keep data, leak, or be slow. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);
