/* SPDX-License-Identifier: Apache-2.0 */

/* With files as openssl(1) makes them. */

#include "locksmith/lock/tls-files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static char folder[256];

static void run(const char *command)
{
    char line[1024];
    snprintf(line, sizeof(line), "cd %s && { %s; } 2>/dev/null", folder, command);
    ck_assert_int_eq(system(line), 0);
}

static void make_files(void)
{
    snprintf(folder, sizeof(folder), "%s", unit_temp_dir());
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem "
        "-out cert.pem -days 2 -subj /O=nodes");
    run("openssl ecparam -name prime256v1 -genkey -noout -out other.pem");
    run("openssl pkey -in key.pem -aes256 -passout pass:x -out locked.pem");
    run("echo no certificate >junk.pem");
}

static const struct {
    const char *ca, *cert, *key;
    int result;
    const char *word;
} cases[] = {
        {NULL, NULL, NULL, 0, ""},
        {"cert.pem", NULL, NULL, 0, ""}, /* an authority alone will do */
        {"cert.pem", "cert.pem", "key.pem", 0, ""},
        {NULL, "cert.pem", "key.pem", 0, ""},
        {NULL, "cert.pem", NULL, -EINVAL, "only the certificate"},
        {NULL, NULL, "key.pem", -EINVAL, "only the key"},
        {"none.pem", NULL, NULL, -ENOENT, "none.pem"},
        {"junk.pem", NULL, NULL, -EINVAL, "holds no certificate"},
        {"key.pem", NULL, NULL, -EINVAL, "holds no certificate"},
        {NULL, "none.pem", "key.pem", -ENOENT, "none.pem"},
        {NULL, "junk.pem", "key.pem", -EINVAL, "junk.pem"},
        {NULL, "cert.pem", "none.pem", -ENOENT, "none.pem"},
        {NULL, "cert.pem", "junk.pem", -EINVAL, "holds no private key"},
        {NULL, "cert.pem", "cert.pem", -EINVAL, "holds no private key"},
        {NULL, "cert.pem", "locked.pem", -EINVAL, "needs a password"},
        {NULL, "cert.pem", "other.pem", -EINVAL, "does not belong"},
};

static const char *path_of(const char *name, char *ret_path, size_t n_bytes)
{
    if (!name)
        return NULL;
    snprintf(ret_path, n_bytes, "%s/%s", folder, name);
    return ret_path;
}

START_TEST(files_are_judged)
{
    make_files();
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        char ca[512], cert[512], key[512];
        ErrorText error = {0};
        LockOptions options = {
                .ca_file = path_of(cases[i].ca, ca, sizeof(ca)),
                .cert_file = path_of(cases[i].cert, cert, sizeof(cert)),
                .key_file = path_of(cases[i].key, key, sizeof(key)),
        };
        ck_assert_msg(
                tls_files_check(&options, &error) == cases[i].result, "%zu: %s", i, error.line);
        ck_assert_msg(strstr(error.line, cases[i].word) != NULL, "%zu: %s", i, error.line);
    }
}
END_TEST

Suite *unit_suite(void)
{
    Suite *suite = suite_create("tls-files");
    tcase_add_test(unit_case(suite, "tls-files"), files_are_judged);
    return suite;
}
