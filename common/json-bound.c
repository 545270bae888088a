/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json-bound.h"

bool json_bound_holds(const char *text, size_t n_bytes, size_t max_marks)
{
    bool is_string = false;
    size_t n_marks = 0;
    for (size_t i = 0; i < n_bytes && n_marks <= max_marks; i++) {
        if (text[i] == '"')
            is_string = !is_string;
        else if (is_string)
            i += text[i] == '\\';
        else
            n_marks += text[i] == '{' || text[i] == '[' || text[i] == ',';
    }
    return n_marks <= max_marks;
}
