/* Texts people copy from one screen to another: a prefix that names the kind and the version, base64url, and
 * 4 check bytes over prefix and keys, so that a typo or one kind in the place of the other is told at once.
 */
#include "link/keys.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { PREFIX_CHARS = 4, CHECK_BYTES = 4, BODY_MAX_BYTES = 3 * KEY_BYTES };

static const char node_prefix[] = "fn1-", link_prefix[] = "fl1-";

static void check_bytes(const char *prefix, const uint8_t *body, size_t len, uint8_t out[CHECK_BYTES])
{
    uint8_t hash[16]; /* the shortest digest libsodium makes; its first bytes are taken */
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    crypto_generichash_update(&state, (const uint8_t *)prefix, PREFIX_CHARS);
    crypto_generichash_update(&state, body, len);
    crypto_generichash_final(&state, hash, sizeof hash);
    memcpy(out, hash, CHECK_BYTES);
}

static void format(const char *prefix, const uint8_t *body, size_t len, char out[KEY_TEXT_CHARS])
{
    uint8_t raw[BODY_MAX_BYTES + CHECK_BYTES];
    memcpy(raw, body, len);
    check_bytes(prefix, body, len, raw + len);
    memcpy(out, prefix, PREFIX_CHARS);
    sodium_bin2base64(out + PREFIX_CHARS, KEY_TEXT_CHARS - PREFIX_CHARS, raw, len + CHECK_BYTES,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Blanks around the text are what copy and paste leaves behind. */
static struct span trim(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    return span_of(text, len);
}

static int parse(const char *text, const char *prefix, const char *what, uint8_t *body, size_t len,
                 struct errmsg *err)
{
    struct span t = trim(text);
    const char *other = prefix == node_prefix ? link_prefix : node_prefix;
    if (t.len >= PREFIX_CHARS && memcmp(t.data, other, PREFIX_CHARS) == 0)
        return errmsg_set(err, -EINVAL, "this is a %s; a %s is wanted here, it begins with \"%s\"",
                          other == node_prefix ? "node key (\"fn1-\")" : "link key (\"fl1-\")", what, prefix);
    if (t.len < PREFIX_CHARS || memcmp(t.data, prefix, PREFIX_CHARS) != 0)
        return errmsg_set(err, -EINVAL, "not a %s: it begins with \"%s\"; copy the whole text again", what,
                          prefix);

    uint8_t raw[BODY_MAX_BYTES + CHECK_BYTES], check[CHECK_BYTES];
    size_t want_chars = (4 * (len + CHECK_BYTES) + 2) / 3, raw_len = 0;
    if (t.len != PREFIX_CHARS + want_chars)
        return errmsg_set(err, -EINVAL,
                          "the %s has %zu characters, %zu are wanted; copy the whole text again", what, t.len,
                          PREFIX_CHARS + want_chars);
    /* Refuses non-canonical text too, so each key has exactly one text. */
    if (sodium_base642bin(raw, sizeof raw, (const char *)t.data + PREFIX_CHARS, want_chars, NULL, &raw_len,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        raw_len != len + CHECK_BYTES)
        return errmsg_set(err, -EINVAL,
                          "the %s holds a character that does not belong there; copy the whole text again",
                          what);
    check_bytes(prefix, raw, len, check);
    if (memcmp(check, raw + len, CHECK_BYTES) != 0)
        return errmsg_set(err, -EINVAL,
                          "the %s has a typing error (its check bytes do not fit); copy the whole text again",
                          what);
    memcpy(body, raw, len);
    return 0;
}

void node_public_format(const struct node_public *p, char out[KEY_TEXT_CHARS])
{
    uint8_t body[2 * KEY_BYTES];
    memcpy(body, p->transport, KEY_BYTES);
    memcpy(body + KEY_BYTES, p->end, KEY_BYTES);
    format(node_prefix, body, sizeof body, out);
}

int node_public_parse(const char *text, struct node_public *ret_p, struct errmsg *err)
{
    uint8_t body[2 * KEY_BYTES];
    int r = parse(text, node_prefix, "node key", body, sizeof body, err);
    if (r < 0)
        return r;
    memcpy(ret_p->transport, body, KEY_BYTES);
    memcpy(ret_p->end, body + KEY_BYTES, KEY_BYTES);
    return 0;
}

void link_key_format(const struct link_key *k, char out[KEY_TEXT_CHARS])
{
    uint8_t body[3 * KEY_BYTES];
    memcpy(body, k->upper_transport, KEY_BYTES);
    memcpy(body + KEY_BYTES, k->cloud_end, KEY_BYTES);
    memcpy(body + 2 * KEY_BYTES, k->operator_public, KEY_BYTES);
    format(link_prefix, body, sizeof body, out);
}

int link_key_parse(const char *text, struct link_key *ret_k, struct errmsg *err)
{
    uint8_t body[3 * KEY_BYTES];
    int r = parse(text, link_prefix, "link key", body, sizeof body, err);
    if (r < 0)
        return r;
    memcpy(ret_k->upper_transport, body, KEY_BYTES);
    memcpy(ret_k->cloud_end, body + KEY_BYTES, KEY_BYTES);
    memcpy(ret_k->operator_public, body + 2 * KEY_BYTES, KEY_BYTES);
    return 0;
}
