/* SPDX-License-Identifier: Apache-2.0 */
#include "locksmith/lock/tls-files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>

static void x509_freep(X509 **certificate)
{
    X509_free(*certificate);
}

static void pkey_freep(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* A key that needs a password is one that nobody can type in here. */
static int no_password(char *buffer, int n_bytes, int is_writing, void *userdata)
{
    (void)buffer;
    (void)n_bytes;
    (void)is_writing;
    bool *is_encrypted = userdata;
    *is_encrypted = true;
    return -1;
}

static int open_file(const char *path, const char *what, FILE **ret_file, ErrorText *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_say(
                error, -errno, "the %s %.300s cannot be opened: %s", what, path, strerror(errno));
    *ret_file = file;
    return 0;
}

static int read_certificate(
        const char *path, const char *what, X509 **ret_certificate, ErrorText *error)
{
    _cleanup_fclose_ FILE *file = NULL;
    int r = open_file(path, what, &file, error);
    if (r < 0)
        return r;
    *ret_certificate = PEM_read_X509(file, NULL, NULL, NULL);
    if (!*ret_certificate)
        return error_say(error, -EINVAL, "the %s %.300s holds no certificate in PEM", what, path);
    return 0;
}

static int read_key(const char *path, EVP_PKEY **ret_key, ErrorText *error)
{
    _cleanup_fclose_ FILE *file = NULL;
    bool is_encrypted = false;
    int r = open_file(path, "key file", &file, error);
    if (r < 0)
        return r;
    *ret_key = PEM_read_PrivateKey(file, NULL, no_password, &is_encrypted);
    if (is_encrypted)
        return error_say(error, -EINVAL,
                "the key in %.300s needs a password: store it without (openssl pkey)", path);
    if (!*ret_key)
        return error_say(error, -EINVAL, "the key file %.300s holds no private key in PEM", path);
    return 0;
}

static int check_pair(const char *cert_file, const char *key_file, ErrorText *error)
{
    _cleanup_(x509_freep) X509 *certificate = NULL;
    _cleanup_(pkey_freep) EVP_PKEY *key = NULL;
    int r = read_certificate(cert_file, "certificate file", &certificate, error);
    if (r >= 0)
        r = read_key(key_file, &key, error);
    if (r < 0)
        return r;
    if (X509_check_private_key(certificate, key) != 1)
        return error_say(error, -EINVAL,
                "the key in %.200s does not belong to the certificate in "
                "%.200s",
                key_file, cert_file);
    return 0;
}

int tls_files_check(const LockOptions *options, ErrorText *error)
{
    _cleanup_(x509_freep) X509 *authority = NULL;
    int r = 0;
    if (!options->cert_file != !options->key_file)
        return error_say(error, -EINVAL,
                "a client certificate and its key come together: only the %s is given",
                options->cert_file ? "certificate" : "key");
    if (options->ca_file)
        r = read_certificate(options->ca_file, "CA file", &authority, error);
    if (r >= 0 && options->cert_file)
        r = check_pair(options->cert_file, options->key_file, error);
    ERR_clear_error();
    return r;
}
