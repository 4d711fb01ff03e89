/* keys.h - who a node is: key files, the texts people pass around, fingerprints, and what is derived from
 * keys.
 *
 * A node has two X25519 pairs: `transport` for CURVE on its links and `end` for what it and the cloud say to
 * each other past the fog. The operator has an Ed25519 pair that no daemon holds. Nothing expires and nothing
 * needs a clock. Key files: text, mode 0400, owner = effective user, regular file, opened with O_NOFOLLOW;
 * anything else is refused with the command to run. Its folder must not be writable by others. Secrets are
 * wiped when their owner ends. Threads: values. */
#ifndef FOGLINE_LINK_KEYS_H
#define FOGLINE_LINK_KEYS_H

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    KEY_BYTES = 32,
    KEY_MAC_BYTES = 16,
    KEY_SIGNATURE_BYTES = 64,
    KEY_FINGERPRINT_CHARS = 19, /* "ab12-cd34-ef56-7890": first 8 bytes of BLAKE2b-256 of the transport key */
    KEY_TEXT_CHARS = 160,       /* room for any text below, with its NUL */
    KEY_TOPIC_BYTES = 16,
};

struct node_keys {
    uint8_t transport_public[KEY_BYTES], transport_secret[KEY_BYTES];
    uint8_t end_public[KEY_BYTES], end_secret[KEY_BYTES];
};

/* What others must know of a node, as text "fn1-<base64url of transport, end, 4 check bytes>": for `enroll
 * accept`. */
struct node_public {
    uint8_t transport[KEY_BYTES], end[KEY_BYTES];
};

/* What a lower node must know to trust the side above it and the cloud, as text "fl1-<base64url of transport
 * of the upper side, end of the cloud, operator's signing key, 4 check bytes>": for `init --up-key`. */
struct link_key {
    uint8_t upper_transport[KEY_BYTES], cloud_end[KEY_BYTES], operator_public[KEY_BYTES];
};

struct operator_keys {
    uint8_t public_key[KEY_BYTES], secret_key[64];
};

must_check int keys_init(void); /* sodium_init; call first in every program */
/* No core files and no ptrace by others (PR_SET_DUMPABLE 0, RLIMIT_CORE 0): for programs that hold secrets.
 */
must_check int keys_harden_process(void);

void node_keys_generate(struct node_keys *ret_k);
must_check int node_keys_save(const char *path, const struct node_keys *k,
                              struct errmsg *err); /* never overwrites */
must_check int node_keys_load(const char *path, struct node_keys *ret_k, struct errmsg *err);
void node_keys_wipe(struct node_keys *k);

void operator_keys_generate(struct operator_keys *ret_k);
must_check int operator_keys_save(const char *path, const struct operator_keys *k, struct errmsg *err);
must_check int operator_keys_load(const char *path, struct operator_keys *ret_k, struct errmsg *err);
/* The same for a pair that signs models, of which the operator may have several (`fogline-model keygen`). */
must_check int model_keys_save(const char *path, const struct operator_keys *k, struct errmsg *err);
must_check int model_keys_load(const char *path, struct operator_keys *ret_k, struct errmsg *err);
void operator_keys_wipe(struct operator_keys *k);
void operator_sign(const struct operator_keys *k, struct span message,
                   uint8_t ret_signature[KEY_SIGNATURE_BYTES]);
bool operator_verify(const uint8_t public_key[KEY_BYTES], struct span message, struct span signature);

void node_public_format(const struct node_public *p, char out[KEY_TEXT_CHARS]);
must_check int node_public_parse(const char *text, struct node_public *ret_p, struct errmsg *err);
void link_key_format(const struct link_key *k, char out[KEY_TEXT_CHARS]);
must_check int link_key_parse(const char *text, struct link_key *ret_k, struct errmsg *err);
void key_fingerprint(const uint8_t transport_public[KEY_BYTES], char out[KEY_FINGERPRINT_CHARS + 1]);
/* Subscription topic of a node on the down side: BLAKE2b-128 of its transport key. */
void key_topic(const uint8_t transport_public[KEY_BYTES], uint8_t out[KEY_TOPIC_BYTES]);

/* Keys a node and the cloud share: X25519 of the end pairs, then BLAKE2b-256 keyed with it over
 * "fogline/key/<purpose>/v1\0", the node's and the cloud's end public keys. */
struct end_keys {
    uint8_t mark[KEY_BYTES]; /* cloud -> node: MAC of marks */
    uint8_t tag[KEY_BYTES];  /* node -> cloud: MAC of records */
    uint8_t seal[KEY_BYTES]; /* cloud -> node: secretbox of documents */
};
/* own_is_node: which of the two we are. -EINVAL when the other key is of low order. */
must_check int end_keys_derive(const uint8_t own_secret[KEY_BYTES], const uint8_t own_public[KEY_BYTES],
                               const uint8_t other_public[KEY_BYTES], bool own_is_node,
                               struct end_keys *ret_k);
void end_keys_wipe(struct end_keys *k);
/* BLAKE2b-128 keyed, over head then body. */
void end_mac(const uint8_t key[KEY_BYTES], struct span head, struct span body,
             uint8_t ret_mac[KEY_MAC_BYTES]);
bool end_mac_ok(const uint8_t key[KEY_BYTES], struct span head, struct span body,
                struct span mac); /* constant time */
/* nonce 24 + secretbox; appended to out / opened into out. -EBADMSG when it does not open. */
void end_seal(const uint8_t key[KEY_BYTES], struct span plain, struct buf *out);
must_check int end_open(const uint8_t key[KEY_BYTES], struct span sealed, struct buf *out);

#endif
