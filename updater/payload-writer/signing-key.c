/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload-writer/signing-key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "common/fd-io.h"
#include "updater/payload/key-kind.h"

#define KEY_FILE_MAX_BYTES (64 * 1024)

struct SigningKey {
    EVP_PKEY *key;
};

bool signing_key_is_rsa(const SigningKey *key)
{
    return EVP_PKEY_get_base_id(key->key) == EVP_PKEY_RSA;
}

/* Takes the place of OpenSSL's prompt on the terminal. */
static int no_passphrase(char *buffer, int n_bytes, int is_writing, void *userdata)
{
    (void)buffer;
    (void)n_bytes;
    (void)is_writing;
    (void)userdata;
    return -1;
}

static EVP_PKEY *read_key(const char *text, size_t n_bytes)
{
    BIO *bio = BIO_new_mem_buf(text, (int)n_bytes);
    if (!bio)
        return NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return key;
}

static int check_key(const EVP_PKEY *key, const char *path, ErrorText *error)
{
    if (!key)
        return error_say(error, -EINVAL,
                "key %s is no private key in PEM without a passphrase; for a key that is kept "
                "elsewhere see 'sign'",
                path);
    return key_kind_check(key, path, error);
}

int signing_key_load(const char *path, SigningKey **ret_key, ErrorText *error)
{
    char *text = NULL;
    size_t n_bytes;
    int r = fd_read_file(AT_FDCWD, path, KEY_FILE_MAX_BYTES, &text, &n_bytes);
    if (r < 0)
        return error_say(error, r, "key %s cannot be read: %s", path, strerror(-r));
    _cleanup_(signing_key_freep) SigningKey *key = calloc(1, sizeof(*key));
    if (key)
        key->key = read_key(text, n_bytes);
    OPENSSL_cleanse(text, n_bytes);
    free(text);
    if (!key)
        return -ENOMEM;
    r = check_key(key->key, path, error);
    if (r < 0)
        return r;
    *ret_key = TAKE_PTR(key);
    return 0;
}

void signing_key_free(SigningKey *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key);
}

size_t signing_key_signature_bytes(const SigningKey *key)
{
    return (size_t)EVP_PKEY_get_size(key->key);
}

static bool sign_rsa(EVP_PKEY *key, const Sha256 *digest, uint8_t *ret_signature, size_t *n_bytes)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool is_signed =
            context && EVP_PKEY_sign_init(context) == 1 &&
            EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
            EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
            EVP_PKEY_sign(context, ret_signature, n_bytes, digest->bytes, SHA256_BYTES) == 1;
    EVP_PKEY_CTX_free(context);
    return is_signed;
}

static bool sign_ed25519(
        EVP_PKEY *key, const Sha256 *digest, uint8_t *ret_signature, size_t *n_bytes)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_signed =
            context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
            EVP_DigestSign(context, ret_signature, n_bytes, digest->bytes, SHA256_BYTES) == 1;
    EVP_MD_CTX_free(context);
    return is_signed;
}

int signing_key_sign(const SigningKey *key, const Sha256 *digest, uint8_t *ret_signature)
{
    size_t n_bytes = signing_key_signature_bytes(key);
    bool is_signed = EVP_PKEY_get_base_id(key->key) == EVP_PKEY_ED25519
                             ? sign_ed25519(key->key, digest, ret_signature, &n_bytes)
                             : sign_rsa(key->key, digest, ret_signature, &n_bytes);
    ERR_clear_error();
    return is_signed && n_bytes == signing_key_signature_bytes(key) ? 0 : -EIO;
}
