/* SPDX-License-Identifier: Apache-2.0 */

/* The text is an approval, then a pause; what was understood is written and read back. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "locksmith/conditions/approval-text.h"
#include "tests/fuzz/fuzz.h"

#define NOW_USEC UINT64_C(1763892000000000)

static void must(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    PersonsWord word = {.state = WORD_MISSING};
    ErrorText error = {""};
    int r = approval_text_parse(
            "run/locksmith/approved", (const char *)data, n_bytes, NOW_USEC, &word, &error);
    must((r == 0) == (error.line[0] == '\0'));
    if (r < 0)
        return 0;
    must(word.state == WORD_GIVEN || word.state == WORD_EXPIRED);
    must((word.state == WORD_EXPIRED) == (word.until_usec != 0 && word.until_usec <= NOW_USEC));

    char *text;
    size_t n_text_bytes;
    PersonsWord again;
    must(approval_text_format(&word, &text, &n_text_bytes) == 0);
    must(approval_text_parse("again", text, n_text_bytes, NOW_USEC, &again, NULL) == 0);
    must(again.state == word.state && again.until_usec == word.until_usec);
    free(text);
    return 0;
}
