/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/conditions/child-output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/printable.h"

static void tell_left_out(ChildOutput *output)
{
    char line[64];
    snprintf(line, sizeof(line), "(%" PRIu64 " lines left out)", output->n_left_out);
    output->n_left_out = 0;
    output->on_line(line, output->userdata);
}

static void tell_line(ChildOutput *output, uint64_t now_usec)
{
    if (output->n_lines == 0 || now_usec - output->window_usec >= CHILD_OUTPUT_WINDOW_USEC) {
        output->window_usec = now_usec;
        output->n_lines = 0;
    }
    if (output->n_lines >= CHILD_OUTPUT_MAX_LINES) {
        output->n_left_out++;
        return;
    }
    if (output->n_left_out > 0)
        tell_left_out(output);
    output->n_lines++;
    output->on_line(output->line, output->userdata);
}

static void end_line(ChildOutput *output, uint64_t now_usec)
{
    memcpy(output->line + output->n_chars, output->is_cut ? "..." : "", output->is_cut ? 4 : 1);
    bool is_blank = output->line[strspn(output->line, " \t\r")] == '\0';
    size_t n_chars = strlen(output->line);
    while (n_chars > 0 && output->line[n_chars - 1] == '\r')
        output->line[--n_chars] = '\0';
    for (char *tab = strchr(output->line, '\t'); tab; tab = strchr(tab, '\t'))
        *tab = ' ';
    printable_clean(output->line);
    output->n_chars = 0;
    output->is_cut = false;
    if (!is_blank)
        tell_line(output, now_usec);
}

void child_output_add(ChildOutput *output, const char *data, size_t n_bytes, uint64_t now_usec)
{
    for (size_t i = 0; i < n_bytes; i++) {
        if (data[i] == '\n')
            end_line(output, now_usec);
        else if (output->n_chars < CHILD_OUTPUT_MAX_CHARS)
            output->line[output->n_chars++] = data[i] == '\0' ? '?' : data[i];
        else
            output->is_cut = true;
    }
}

void child_output_end(ChildOutput *output, uint64_t now_usec)
{
    if (output->n_chars > 0)
        end_line(output, now_usec);
    if (output->n_left_out > 0)
        tell_left_out(output);
}
