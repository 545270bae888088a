/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/postinst/file-share.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/atomic-file.h"
#include "tests/unit/unit.h"

static char path[256], answer[65536];
static const char *const paths[] = {path};
static FileShare *share;
static ErrorText error;

static void setup(void)
{
    snprintf(path, sizeof(path), "%s/oem-x_1.0+2.gz", unit_temp_dir());
    ck_assert_int_eq(atomic_file_write(AT_FDCWD, path, "some content", 12, 0600), 0);
    error = (ErrorText){};
    ck_assert_msg(file_share_new(paths, 1, &share, &error) == 0, "%s", error.line);
}

static void teardown(void)
{
    file_share_free(TAKE_PTR(share));
}

static int connect_to_share(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    unsigned port = 0;
    ck_assert_int_eq(sscanf(file_share_url(share), "http://127.0.0.1:%u/", &port), 1);
    address.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static const char *secret(void)
{
    return strchr(file_share_url(share) + strlen("http://"), '/');
}

/* Sends what is printed and reads to the end of the answer. */
static _printf_(1, 2) const char *ask(const char *format, ...)
{
    char request[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(request, sizeof(request), format, arguments);
    va_end(arguments);
    _cleanup_close_ int fd = connect_to_share();
    ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (int)strlen(request));
    size_t n = 0;
    for (ssize_t n_read; (n_read = read(fd, answer + n, sizeof(answer) - 1 - n)) > 0;)
        n += (size_t)n_read;
    answer[n] = '\0';
    return answer;
}

START_TEST(a_file_is_served)
{
    size_t n_files;
    const SharedFile *files = file_share_files(share, &n_files);
    Sha256 expected = sha256_of("some content", 12);
    ck_assert_uint_eq(n_files, 1);
    ck_assert_str_eq(files[0].name, "oem-x_1.0+2.gz");
    ck_assert_uint_eq(files[0].size_bytes, 12);
    ck_assert(sha256_equal(&files[0].sha256, &expected));
    for (unsigned i = 0; i < 3; i++) {
        ask("GET %s%s HTTP/1.1\r\nHost: x\r\n\r\n", secret(), files[0].name);
        ck_assert_msg(strncmp(answer, "HTTP/1.1 200 ", 13) == 0, "%s", answer);
        ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Length: 12\r\n"));
        ck_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\nsome content");
    }
}
END_TEST

START_TEST(nothing_else_is_served)
{
    static const char not_found[] = "HTTP/1.1 404 ";
    const char *const requests[] = {
            "GET %s HTTP/1.1\r\n\r\n",
            "GET %soem-x_1.0+2.g HTTP/1.1\r\n\r\n",
            "GET %soem-x_1.0+2.gzz HTTP/1.1\r\n\r\n",
            "GET %s../oem-x_1.0+2.gz HTTP/1.1\r\n\r\n",
            "POST %soem-x_1.0+2.gz HTTP/1.1\r\n\r\n",
            "GET /%soem-x_1.0+2.gz HTTP/1.1\r\n\r\n",
            "\r\n\r\n%s",
    };
    for (size_t i = 0; i < ELEMENTS(requests); i++) {
        _cleanup_free_ char *request = NULL;
        /* %s stands for the secret alone. */
        const char *mark = strstr(requests[i], "%s");
        ck_assert_int_ge(asprintf(&request, "%.*s%s%s", (int)(mark - requests[i]), requests[i],
                                 secret(), mark + 2),
                0);
        ck_assert_msg(strncmp(ask("%s", request), not_found, 13) == 0, "%s: %s", request, answer);
    }
    ck_assert_msg(
            strncmp(ask("GET /oem-x_1.0+2.gz HTTP/1.1\r\n\r\n"), not_found, 13) == 0, "%s", answer);
}
END_TEST

START_TEST(a_head_without_end_is_no_request)
{
    char head[8000];
    memset(head, 'x', sizeof(head) - 1);
    head[sizeof(head) - 1] = '\0';
    ck_assert_str_eq(ask("%s", head), "");
}
END_TEST

START_TEST(who_says_nothing_does_not_keep_it)
{
    _cleanup_close_ int fd = connect_to_share();
    ck_assert_int_ge(fd, 0);
    file_share_free(TAKE_PTR(share)); /* or the test's time is over */
}
END_TEST

START_TEST(what_cannot_be_shared)
{
    char other[300];
    const char *const twice[] = {path, path}, *const one[] = {other};
    FileShare *none = NULL;
    ck_assert_int_eq(file_share_new(twice, 2, &none, &error), -EINVAL);
    static const struct {
        const char *name;
        int r;
    } names[] = {{"missing.gz", -ENOENT}, {"a b", -EINVAL}, {"a\"b", -EINVAL}, {"..", -EINVAL},
            {".hidden", -EINVAL}, {"", -EINVAL}};
    for (size_t i = 0; i < ELEMENTS(names); i++) {
        snprintf(other, sizeof(other), "%s/%s", unit_temp_dir(), names[i].name);
        ck_assert_msg(file_share_new(one, 1, &none, &error) == names[i].r, "'%s'", names[i].name);
        ck_assert(error.line[0]);
    }
    ck_assert_ptr_null(none);
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("file-share");
    TCase *tcase = unit_case(suite, "file-share");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_file_is_served);
    tcase_add_test(tcase, nothing_else_is_served);
    tcase_add_test(tcase, a_head_without_end_is_no_request);
    tcase_add_test(tcase, who_says_nothing_does_not_keep_it);
    tcase_add_test(tcase, what_cannot_be_shared);
    return suite;
}
