/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/fetch/multipart-ranges.h"

#include <stdarg.h>
#include <stdarg.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

#define TYPE "multipart/byteranges; boundary=B"
#define PART(range, body) "\r\n--B\r\nContent-Range: bytes " range "\r\n\r\n" body
#define GOOD                                                                         \
    "\r\n--B\r\nContent-Type: x/y\r\nContent-Range: bytes 0-2/100\r\n\r\nabc"        \
    "\r\n--B \t\r\ncontent-range:bytes 5-9/100 \r\nContent-Type: x/y\r\n\r\n\r\n--B" \
    "\r\n--B--\r\n"

/* Reads text in pieces and writes down what happens: "[0-3/100]abc...END" or "BAD". */
static MultipartRanges multipart;
static char seen[4096];

static void say(const char *format, ...) _printf_(1, 2);
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t n = strlen(seen);
    vsnprintf(seen + n, sizeof(seen) - n, format, arguments);
    va_end(arguments);
}

/* Returns false at the end. */
static bool read_piece(const char *data, size_t n_bytes, size_t n_most_taken)
{
    size_t at = 0;
    while (true) {
        size_t n;
        MultipartEvent event =
                multipart_ranges_next(&multipart, (const uint8_t *)data + at, n_bytes - at, &n);
        ck_assert_uint_le(n, n_bytes - at);
        at += n;
        uint64_t total;
        FetchRange part;
        switch (event) {
        case MULTIPART_MORE:
            ck_assert_uint_eq(at, n_bytes);
            return true;
        case MULTIPART_PART:
            part = multipart_ranges_part(&multipart, &total);
            say("[%llu-%llu/%llu]", (unsigned long long)part.first_bytes,
                    (unsigned long long)part.end_bytes, (unsigned long long)total);
            break;
        case MULTIPART_BODY:
            ck_assert_uint_lt(at, n_bytes);
            n = MIN(n_bytes - at, n_most_taken);
            n = (size_t)MIN((uint64_t)n, multipart_ranges_n_left(&multipart));
            ck_assert_uint_gt(n, 0);
            say("%.*s", (int)n, data + at);
            multipart_ranges_take(&multipart, n);
            at += n;
            break;
        case MULTIPART_END:
            say("END");
            return false;
        case MULTIPART_BAD:
            ck_assert_ptr_nonnull(multipart_ranges_error(&multipart));
            say("BAD");
            return false;
        }
    }
}

static const char *read_split(const char *text, size_t n_bytes, size_t n_first, size_t n_piece)
{
    seen[0] = '\0';
    ck_assert_int_eq(multipart_ranges_init(&multipart, TYPE), 0);
    for (size_t at = 0; at < n_bytes;) {
        size_t n = MIN(at == 0 ? n_first : n_piece, n_bytes - at);
        if (!read_piece(text + at, n, n_piece))
            break;
        at += n;
    }
    return seen;
}

static const char *read_all(const char *text)
{
    return read_split(text, strlen(text), SIZE_MAX, SIZE_MAX);
}

START_TEST(split_anywhere)
{
    static const char expected[] = "[0-3/100]abc[5-10/100]\r\n--BEND";
    ck_assert_str_eq(read_all(GOOD), expected);
    for (size_t i = 1; i < strlen(GOOD); i++) {
        ck_assert_str_eq(read_split(GOOD, strlen(GOOD), i, SIZE_MAX), expected);
        ck_assert_str_eq(read_split(GOOD, strlen(GOOD), i, i), expected);
    }
}
END_TEST

START_TEST(cut_anywhere)
{
    for (size_t i = 1; i < strlen(GOOD) - 2; i++) {
        const char *got = read_split(GOOD, i, SIZE_MAX, SIZE_MAX);
        ck_assert_ptr_null(strstr(got, "END"));
        ck_assert_ptr_null(strstr(got, "BAD"));
    }
}
END_TEST

static const struct {
    const char *what, *text, *expected;
} bodies[] = {
        {"no line before", "--B\r\nContent-Range: bytes 0-0/1\r\n\r\nx\r\n--B--", "[0-1/1]xEND"},
        {"preamble", "hello\r\n-\r\r\n" PART("0-0/1", "x") "\r\n--B--", "[0-1/1]xEND"},
        {"epilogue", PART("0-0/1", "x") "\r\n--B--\r\nwhatever", "[0-1/1]xEND"},
        {"total not told", PART("7-8/*", "xy") "\r\n--B--", "[7-9/0]xyEND"},
        {"nothing in it", "--B--", "END"},
        {"another boundary first", "\r\n--BC\r\nContent-Range: bytes 0-0/1\r\n\r\nx", "BAD"},
        {"another boundary then", PART("0-0/1", "x") "\r\n--C\r\n", "[0-1/1]xBAD"},
        {"a body that is longer", PART("0-0/1", "xyz") "\r\n--B--", "[0-1/1]xBAD"},
        {"a body that is shorter", PART("0-5/9", "xyz") "\r\n--B--", "[0-6/9]xyz\r\n-BAD"},
        {"no range", "--B\r\nContent-Type: x/y\r\n\r\nx", "BAD"},
        {"no header", "--B\r\n\r\nx", "BAD"},
        {"two ranges", "--B\r\nContent-Range: bytes 0-0/1\r\nContent-Range: bytes 0-0/1\r\n\r\n",
                "BAD"},
        {"turned", PART("5-4/9", ""), "BAD"},
        {"beyond the end", PART("5-9/9", ""), "BAD"},
        {"unsatisfied", PART("*/9", ""), "BAD"},
        {"another unit", "--B\r\nContent-Range: lines 0-0/1\r\n\r\n", "BAD"},
        {"the last number there is", PART("0-18446744073709551615/*", ""), "BAD"},
        {"too large a number", PART("0-18446744073709551616/*", ""), "BAD"},
        {"folded", "--B\r\nContent-Range:\r\n bytes 0-0/1\r\n\r\nx", "BAD"},
        {"no name", "--B\r\n: x\r\n\r\nx", "BAD"},
        {"LF alone", "--B\nContent-Range: bytes 0-0/1\n\nx\n--B--", "BAD"},
        {"CR alone", "--B\r\nContent-Range: bytes 0-0/1\r\r\n\r\nx", "BAD"},
        {"text behind the boundary", "--B x\r\n", "BAD"},
};

START_TEST(bodies_of_all_kinds)
{
    const char *expected = bodies[_i].expected;
    ck_assert_msg(
            strcmp(read_all(bodies[_i].text), expected) == 0, "%s: %s", bodies[_i].what, seen);
    const char *got = read_split(bodies[_i].text, strlen(bodies[_i].text), 1, 1);
    ck_assert_msg(strcmp(got, expected) == 0, "%s, in bytes: %s", bodies[_i].what, seen);
}
END_TEST

START_TEST(nul_in_a_header)
{
    static const char text[] = "--B\r\nContent-Range: bytes 0-0/1\0\r\n\r\nx";
    ck_assert_str_eq(read_split(text, sizeof(text) - 1, SIZE_MAX, SIZE_MAX), "BAD");
}
END_TEST

/* What is repeated without an end is given up. */
static void assert_gives_up(const char *start, const char *again, size_t n_most_bytes)
{
    ck_assert_int_eq(multipart_ranges_init(&multipart, TYPE), 0);
    seen[0] = '\0';
    ck_assert(read_piece(start, strlen(start), SIZE_MAX));
    for (size_t n = 0; read_piece(again, strlen(again), SIZE_MAX); n += strlen(again))
        ck_assert_uint_le(n, n_most_bytes);
    ck_assert_str_eq(seen, "BAD");
}

START_TEST(all_is_bounded)
{
    assert_gives_up("", "x", MULTIPART_HEADER_BYTES);
    assert_gives_up("", "\r\n--", MULTIPART_HEADER_BYTES);
    assert_gives_up("--B", " ", MULTIPART_LINE_BYTES);
    assert_gives_up("--B\r\n", "a: b\r\n", MULTIPART_HEADER_BYTES);
    assert_gives_up("--B\r\n", "a", MULTIPART_LINE_BYTES);
}
END_TEST

START_TEST(excess)
{
    ck_assert_str_eq(read_all("--B--\r\n"), "END");
    ck_assert(!multipart_ranges_has_excess(&multipart));
    for (size_t i = 0; i <= MULTIPART_EPILOGUE_BYTES; i++)
        ck_assert(!read_piece("x", 1, 1));
    ck_assert(multipart_ranges_has_excess(&multipart));
}
END_TEST

#define CHARS_70 "0123456789012345678901234567890123456789012345678901234567890123456789"

static const struct {
    const char *type, *delimiter; /* NULL: refused */
} types[] = {
        {"multipart/byteranges; boundary=B", "\r\n--B"},
        {"Multipart/ByteRanges;BOUNDARY=a'()+_,-./:=?", NULL}, /* a token has none of these */
        {"multipart/byteranges; boundary=\"a'()+_,-./:=? z\"", "\r\n--a'()+_,-./:=? z"},
        {"multipart/byteranges; charset=\"a;b\\\"\"; boundary=B ; x=y", "\r\n--B"},
        {"multipart/byteranges; boundary=\"\\B\"", "\r\n--B"},
        {"multipart/byteranges; boundary=" CHARS_70, "\r\n--" CHARS_70},
        {"multipart/byteranges; boundary=" CHARS_70 "0", NULL},
        {"multipart/byteranges; boundary=B; boundary=C", NULL},
        {"multipart/byteranges; boundary=", NULL},
        {"multipart/byteranges; boundary=\"B", NULL},
        {"multipart/byteranges; boundary=\"B \"", NULL},
        {"multipart/byteranges; boundary=\"B\\", NULL},
        {"multipart/byteranges; boundary=B{", NULL},
        {"multipart/byteranges; boundary", NULL},
        {"multipart/byteranges; xboundary=B", NULL},
        {"multipart/byteranges", NULL},
        {"multipart/byterangesX; boundary=B", NULL},
        {"multipart/mixed; boundary=B", NULL},
        {"", NULL},
};

START_TEST(types_of_all_kinds)
{
    int r = multipart_ranges_init(&multipart, types[_i].type);
    ck_assert_msg((r == 0) == (types[_i].delimiter != NULL), "%s", types[_i].type);
    if (r == 0)
        ck_assert_str_eq(multipart.delimiter, types[_i].delimiter);
    else
        ck_assert_int_eq(r, -EINVAL);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("multipart-ranges");
    TCase *tcase = unit_case(suite, "multipart-ranges");
    tcase_add_test(tcase, split_anywhere);
    tcase_add_test(tcase, cut_anywhere);
    tcase_add_loop_test(tcase, bodies_of_all_kinds, 0, ELEMENTS(bodies));
    tcase_add_test(tcase, nul_in_a_header);
    tcase_add_test(tcase, all_is_bounded);
    tcase_add_test(tcase, excess);
    tcase_add_loop_test(tcase, types_of_all_kinds, 0, ELEMENTS(types));
    return suite;
}
