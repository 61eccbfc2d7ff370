/* See sha1.h. The algorithm is looked up once: OpenSSL takes longer for that than for the digest of a short text. */
#include "base/sha1.h"
#include <assert.h>
#include <openssl/evp.h>

void sha1_digest(struct slice bytes, uint8_t digest[SHA1_BYTES]) {
    static EVP_MD *algorithm;
    static EVP_MD_CTX *state;
    if (!state) {
        algorithm = EVP_MD_fetch(NULL, "SHA1", NULL);
        state = EVP_MD_CTX_new();
        assert(algorithm && state);
    }
    int ok = EVP_DigestInit_ex2(state, algorithm, NULL) && EVP_DigestUpdate(state, bytes.ptr, bytes.len) &&
             EVP_DigestFinal_ex(state, digest, NULL);
    assert(ok);
    (void)ok;
}

void sha1_hex(struct slice bytes, char digits[SHA1_DIGITS]) {
    uint8_t digest[SHA1_BYTES];
    sha1_digest(bytes, digest);
    for (int i = 0; i < SHA1_BYTES; i++) {
        digits[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        digits[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
}
