#include "link/keys.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

_Static_assert(KEY_BYTES == crypto_box_PUBLICKEYBYTES && KEY_BYTES == crypto_box_SECRETKEYBYTES, "X25519");
_Static_assert(KEY_BYTES == crypto_scalarmult_BYTES && KEY_BYTES == crypto_secretbox_KEYBYTES,
               "derived keys");
_Static_assert(KEY_BYTES == crypto_sign_PUBLICKEYBYTES && KEY_SIGNATURE_BYTES == crypto_sign_BYTES,
               "Ed25519");

int keys_init(void)
{
    return sodium_init() < 0 ? -EIO : 0;
}

int keys_harden_process(void)
{
    const struct rlimit no_core = {0, 0};
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0)
        return -errno;
    return 0;
}

void node_keys_generate(struct node_keys *ret_k)
{
    crypto_box_keypair(ret_k->transport_public, ret_k->transport_secret);
    crypto_box_keypair(ret_k->end_public, ret_k->end_secret);
}

void node_keys_wipe(struct node_keys *k)
{
    sodium_memzero(k, sizeof *k);
}

void operator_keys_generate(struct operator_keys *ret_k)
{
    crypto_sign_keypair(ret_k->public_key, ret_k->secret_key);
}

void operator_keys_wipe(struct operator_keys *k)
{
    sodium_memzero(k, sizeof *k);
}

void operator_sign(const struct operator_keys *k, struct span message,
                   uint8_t ret_signature[KEY_SIGNATURE_BYTES])
{
    crypto_sign_detached(ret_signature, NULL, message.data, message.len, k->secret_key);
}

bool operator_verify(const uint8_t public_key[KEY_BYTES], struct span message, struct span signature)
{
    return signature.len == KEY_SIGNATURE_BYTES &&
           crypto_sign_verify_detached(signature.data, message.data, message.len, public_key) == 0;
}

void key_fingerprint(const uint8_t transport_public[KEY_BYTES], char out[KEY_FINGERPRINT_CHARS + 1])
{
    uint8_t hash[32];
    crypto_generichash(hash, sizeof hash, transport_public, KEY_BYTES, NULL, 0);
    snprintf(out, KEY_FINGERPRINT_CHARS + 1, "%02x%02x-%02x%02x-%02x%02x-%02x%02x", hash[0], hash[1], hash[2],
             hash[3], hash[4], hash[5], hash[6], hash[7]);
}

void key_topic(const uint8_t transport_public[KEY_BYTES], uint8_t out[KEY_TOPIC_BYTES])
{
    crypto_generichash(out, KEY_TOPIC_BYTES, transport_public, KEY_BYTES, NULL, 0);
}

/* `context` goes in with its NUL, so that no context is the beginning of another one. */
static void derive(const uint8_t shared[KEY_BYTES], const char *context, const uint8_t node_public[KEY_BYTES],
                   const uint8_t cloud_public[KEY_BYTES], uint8_t out[KEY_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, shared, KEY_BYTES, KEY_BYTES);
    crypto_generichash_update(&state, (const uint8_t *)context, strlen(context) + 1);
    crypto_generichash_update(&state, node_public, KEY_BYTES);
    crypto_generichash_update(&state, cloud_public, KEY_BYTES);
    crypto_generichash_final(&state, out, KEY_BYTES);
    sodium_memzero(&state, sizeof state);
}

int end_keys_derive(const uint8_t own_secret[KEY_BYTES], const uint8_t own_public[KEY_BYTES],
                    const uint8_t other_public[KEY_BYTES], bool own_is_node, struct end_keys *ret_k)
{
    uint8_t shared[KEY_BYTES];
    if (crypto_scalarmult(shared, own_secret, other_public) != 0) {
        sodium_memzero(shared, sizeof shared);
        return -EINVAL;
    }
    const uint8_t *node = own_is_node ? own_public : other_public;
    const uint8_t *cloud = own_is_node ? other_public : own_public;
    derive(shared, "fogline/key/mark/v1", node, cloud, ret_k->mark);
    derive(shared, "fogline/key/tag/v1", node, cloud, ret_k->tag);
    derive(shared, "fogline/key/seal/v1", node, cloud, ret_k->seal);
    sodium_memzero(shared, sizeof shared);
    return 0;
}

void end_keys_wipe(struct end_keys *k)
{
    sodium_memzero(k, sizeof *k);
}

void end_mac(const uint8_t key[KEY_BYTES], struct span head, struct span body, uint8_t ret_mac[KEY_MAC_BYTES])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, key, KEY_BYTES, KEY_MAC_BYTES);
    crypto_generichash_update(&state, head.data, head.len);
    crypto_generichash_update(&state, body.data, body.len);
    crypto_generichash_final(&state, ret_mac, KEY_MAC_BYTES);
    sodium_memzero(&state, sizeof state);
}

bool end_mac_ok(const uint8_t key[KEY_BYTES], struct span head, struct span body, struct span mac)
{
    if (mac.len != KEY_MAC_BYTES)
        return false;
    uint8_t want[KEY_MAC_BYTES];
    end_mac(key, head, body, want);
    return sodium_memcmp(want, mac.data, KEY_MAC_BYTES) == 0;
}

void end_seal(const uint8_t key[KEY_BYTES], struct span plain, struct buf *out)
{
    uint8_t *at = buf_grow(out, crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + plain.len);
    if (at == NULL)
        return;
    randombytes_buf(at, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(at + crypto_secretbox_NONCEBYTES, plain.data, plain.len, at, key);
}

int end_open(const uint8_t key[KEY_BYTES], struct span sealed, struct buf *out)
{
    if (sealed.len < crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)
        return -EBADMSG;
    size_t before = out->len;
    uint8_t *at = buf_grow(out, sealed.len - crypto_secretbox_NONCEBYTES - crypto_secretbox_MACBYTES);
    if (at == NULL)
        return out->error;
    if (crypto_secretbox_open_easy(at, sealed.data + crypto_secretbox_NONCEBYTES,
                                   sealed.len - crypto_secretbox_NONCEBYTES, sealed.data, key) != 0) {
        out->len = before;
        return -EBADMSG;
    }
    return 0;
}
