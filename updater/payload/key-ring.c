/* SPDX-License-Identifier: Apache-2.0 */
#include "updater/payload/key-ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base64.h"
#include "common/fd-io.h"
#include "updater/payload/key-kind.h"
#include "updater/payload/signature-set.h"

#define KEY_FILE_MAX_BYTES (64 * 1024)
#define KEYS_MAX 64
#define ED25519_SIGNATURE_BYTES 64

struct KeyRing {
    EVP_PKEY *keys[KEYS_MAX];
    size_t n_keys;
};

int key_ring_new(KeyRing **ret_ring)
{
    KeyRing *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    *ret_ring = ring;
    return 0;
}

void key_ring_free(KeyRing *ring)
{
    if (!ring)
        return;
    for (size_t i = 0; i < ring->n_keys; i++)
        EVP_PKEY_free(ring->keys[i]);
    free(ring);
}

size_t key_ring_n_keys(const KeyRing *ring)
{
    return ring->n_keys;
}

/* Reads the next PEM block. 0 at the end of the text. Errors: -EINVAL. */
static int read_key(BIO *bio, const char *path, EVP_PKEY **ret_key, ErrorText *error)
{
    char *name = NULL;
    char *header = NULL;
    unsigned char *data = NULL;
    long n_bytes = 0;
    if (PEM_read_bio(bio, &name, &header, &data, &n_bytes) != 1) {
        unsigned long reason = ERR_peek_last_error();
        if (ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE)
            return 0;
        return error_say(error, -EINVAL, "key %s is damaged", path);
    }
    const unsigned char *at = data;
    EVP_PKEY *key = strcmp(name, PEM_STRING_PUBLIC) == 0 ? d2i_PUBKEY(NULL, &at, n_bytes) : NULL;
    int r = 1;
    if (strcmp(name, PEM_STRING_PUBLIC) != 0)
        r = error_say(error, -EINVAL, "key %s holds a %s where a PUBLIC KEY is wanted", path, name);
    else if (!key)
        r = error_say(error, -EINVAL, "key %s is damaged", path);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    *ret_key = key;
    return r;
}

/* Adds every key of the PEM text in bio; *ret_n_found counts them. */
static int add_keys(
        KeyRing *ring, BIO *bio, const char *path, size_t *ret_n_found, ErrorText *error)
{
    size_t n_found = 0;
    for (;; n_found++) {
        EVP_PKEY *key = NULL;
        int r = read_key(bio, path, &key, error);
        if (r == 0)
            break;
        if (r > 0)
            r = key_kind_check(key, path, error);
        if (r >= 0 && ring->n_keys == KEYS_MAX)
            r = error_say(error, -EINVAL, "key %s is one too many: at most %d keys are read", path,
                    KEYS_MAX);
        if (r < 0) {
            EVP_PKEY_free(key);
            return r;
        }
        ring->keys[ring->n_keys++] = key;
    }
    *ret_n_found = n_found;
    return 0;
}

static int add_file(KeyRing *ring, int dir_fd, const char *name, const char *path, ErrorText *error)
{
    _cleanup_free_ char *text = NULL;
    size_t n_bytes;
    int r = fd_read_file(dir_fd, name, KEY_FILE_MAX_BYTES, &text, &n_bytes);
    if (r < 0)
        return error_say(error, r, "key %s cannot be read: %s", path, strerror(-r));
    BIO *bio = BIO_new_mem_buf(text, (int)n_bytes);
    if (!bio)
        return -ENOMEM;
    size_t n_found = 0;
    ERR_clear_error();
    r = add_keys(ring, bio, path, &n_found, error);
    ERR_clear_error();
    BIO_free(bio);
    if (r >= 0 && n_found == 0)
        return error_say(error, -EINVAL,
                "key %s is no public key: it must hold PEM that begins with "
                "-----BEGIN PUBLIC KEY-----",
                path);
    return r;
}

int key_ring_add_file(KeyRing *ring, const char *path, ErrorText *error)
{
    return add_file(ring, AT_FDCWD, path, path, error);
}

/* A key that everybody may write is everybody's key. */
static int check_writers(int dir_fd, const char *name, const char *path, ErrorText *error)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, 0) < 0)
        return error_say(error, -errno, "%s cannot be read: %s", path, strerror(errno));
    if (st.st_mode & S_IWOTH)
        return error_say(error, -EINVAL,
                "%s can be changed by everybody, so its keys cannot be trusted: chmod o-w %s", path,
                path);
    return 0;
}

static bool is_key_name(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > 4 && strcmp(name + n - 4, ".pem") == 0;
}

static int load_entries(KeyRing *ring, DIR *dir, const char *folder_path, ErrorText *error)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return errno == 0 ? 0
                              : error_say(error, -errno, "key folder %s cannot be read: %s",
                                        folder_path, strerror(errno));
        if (!is_key_name(entry->d_name))
            continue;
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%s/%s", folder_path, entry->d_name) < 0)
            return -ENOMEM;
        int r = check_writers(dirfd(dir), entry->d_name, path, error);
        if (r >= 0)
            r = add_file(ring, dirfd(dir), entry->d_name, path, error);
        if (r < 0)
            return r;
    }
}

int key_ring_add_folder(KeyRing *ring, const char *folder_path, ErrorText *error)
{
    DIR *dir = opendir(folder_path);
    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return error_say(
                error, -errno, "key folder %s cannot be read: %s", folder_path, strerror(errno));
    int r = check_writers(dirfd(dir), ".", folder_path, error);
    if (r >= 0)
        r = load_entries(ring, dir, folder_path, error);
    closedir(dir);
    return r;
}

int key_ring_load(const char *folder_path, KeyRing **ret_ring, ErrorText *error)
{
    _cleanup_(key_ring_freep) KeyRing *ring = NULL;
    int r = key_ring_new(&ring);
    if (r >= 0)
        r = key_ring_add_folder(ring, folder_path, error);
    if (r < 0)
        return r;
    *ret_ring = TAKE_PTR(ring);
    return 0;
}

static bool rsa_verifies(EVP_PKEY_CTX *context, const Sha256 *digest, Signature signature)
{
    return EVP_PKEY_verify_init(context) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()) == 1 &&
           EVP_PKEY_verify(
                   context, signature.data, signature.n_bytes, digest->bytes, SHA256_BYTES) == 1;
}

static bool ed25519_verifies(EVP_PKEY *key, const Sha256 *digest, Signature signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool verifies = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                    EVP_DigestVerify(context, signature.data, signature.n_bytes, digest->bytes,
                            SHA256_BYTES) == 1;
    EVP_MD_CTX_free(context);
    return verifies;
}

static bool key_verifies(EVP_PKEY *key, const Sha256 *digest, Signature signature)
{
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
        return signature.n_bytes == ED25519_SIGNATURE_BYTES &&
               ed25519_verifies(key, digest, signature);
    if (signature.n_bytes != (size_t)EVP_PKEY_get_size(key))
        return false;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool verifies = context && rsa_verifies(context, digest, signature);
    EVP_PKEY_CTX_free(context);
    return verifies;
}

static bool is_unsigned(const SignatureSet *set)
{
    for (size_t i = 0; i < signature_set_n_entries(set); i++)
        if (!signature_set_is_open(set, i))
            return false;
    return true;
}

static bool any_key_verifies(const KeyRing *ring, const Sha256 *digest, const SignatureSet *set)
{
    for (size_t i = 0; i < signature_set_n_entries(set); i++)
        for (size_t k = 0; k < ring->n_keys; k++)
            if (key_verifies(ring->keys[k], digest, signature_set_get(set, i)))
                return true;
    return false;
}

UpdateError key_ring_verify_base64(const KeyRing *ring, const Sha256 *digest, const char *text,
        UpdateError failure, ErrorText *error)
{
    uint8_t data[SIGNATURE_MAX_BYTES];
    bool verifies = false;
    ERR_clear_error();
    /* The text does not say its length but by its padding: each key asks for its own. */
    for (size_t i = 0; !verifies && i < ring->n_keys; i++) {
        Signature signature = {data, (size_t)EVP_PKEY_get_size(ring->keys[i])};
        verifies = signature.n_bytes <= sizeof(data) &&
                   base64_decode(text, data, signature.n_bytes) >= 0 &&
                   key_verifies(ring->keys[i], digest, signature);
    }
    ERR_clear_error();
    if (verifies)
        return UPDATE_OK;
    return error_say(error, failure,
            "the signature that the update server gives of the payload's metadata verifies with "
            "none of the %zu installed keys",
            ring->n_keys);
}

UpdateError key_ring_verify(const KeyRing *ring, const Sha256 *digest, const uint8_t *blob,
        size_t n_blob_bytes, UpdateError failure, ErrorText *error)
{
    const char *what = failure == UPDATE_ERROR_METADATA_SIGNATURE ? "metadata" : "payload";
    if (ring->n_keys == 0)
        return error_say(error, failure,
                "no key is installed that the %s signature could be held against: install the "
                "public key of whoever makes the payloads",
                what);
    _cleanup_(signature_set_freep) SignatureSet *set = NULL;
    int r = signature_set_parse(blob, n_blob_bytes, &set);
    if (r < 0)
        return error_say(error, failure, "the %s signature is damaged", what);
    if (is_unsigned(set))
        return error_say(error, failure,
                "the %s signature is still empty: sign the payload with update-payload sign", what);
    ERR_clear_error();
    bool verifies = any_key_verifies(ring, digest, set);
    ERR_clear_error();
    if (!verifies)
        return error_say(error, failure,
                "the %s signature verifies with none of the %zu installed keys: the payload is "
                "damaged or was signed with another key",
                what, ring->n_keys);
    return UPDATE_OK;
}
