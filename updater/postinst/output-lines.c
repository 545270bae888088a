/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/postinst/output-lines.h"

#include <string.h>

#include "common/printable.h"

void output_lines_end(OutputLines *lines)
{
    if (lines->n_bytes == 0)
        return;
    lines->line[lines->n_bytes] = '\0';
    lines->n_bytes = 0;
    printable_clean(lines->line);
    memcpy(lines->last, lines->line, sizeof(lines->last));
    if (lines->on_line)
        lines->on_line(lines->last, lines->userdata);
}

void output_lines_add(OutputLines *lines, const char *data, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++) {
        if (data[i] == '\n' || data[i] == '\r' || data[i] == '\0')
            output_lines_end(lines);
        else if (lines->n_bytes < sizeof(lines->line) - 1)
            lines->line[lines->n_bytes++] = data[i];
    }
}
