/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Key pairs for tests, made anew. */

#include "common/sha256.h"

typedef enum { TEST_KEY_RSA_1024, TEST_KEY_RSA_2048, TEST_KEY_ED25519, TEST_KEY_EC } TestKeyKind;

/* Writes FOLDER/private/NAME.pem and FOLDER/public/NAME.pem; makes the folders. */
void test_keys_make(const char *folder, const char *name, TestKeyKind kind);

/* "FOLDER/private/NAME.pem" or "FOLDER/public/NAME.pem"; static until the fourth call after. */
const char *test_keys_private(const char *folder, const char *name);
const char *test_keys_public(const char *folder, const char *name);
