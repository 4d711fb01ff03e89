#include "fog/letters.h"

#include "base/name.h"

#include <errno.h>
#include <stdlib.h>

struct letter {
    char kind[NAME_PART_CHARS + 1], target[NAME_PART_CHARS + 1];
    uint64_t version;
    size_t body_len, signature_len;
    uint8_t *bytes; /* body, then signature */
};

void letters_deinit(struct letters *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->at[i].bytes);
    free(l->at);
    *l = (struct letters){0};
}

static bool known(const struct letters *l, const Fogline__V1__Document *d)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->at[i].version == d->version && strcmp(l->at[i].target, d->target) == 0 &&
            strcmp(l->at[i].kind, d->kind) == 0)
            return true;
    return false;
}

int letters_put(struct letters *l, const Fogline__V1__Document *d)
{
    struct letter one = {.version = d->version, .body_len = d->body.len, .signature_len = d->signature.len};

    if (strlen(d->kind) >= sizeof(one.kind) || strlen(d->target) >= sizeof(one.target) || known(l, d))
        return 0;
    if (l->at == NULL) {
        l->at = calloc(LETTERS_MAX, sizeof(*l->at));
        if (l->at == NULL)
            return -ENOMEM;
    }
    one.bytes = malloc(one.body_len + one.signature_len + 1);
    if (one.bytes == NULL)
        return -ENOMEM;
    memcpy(one.kind, d->kind, strlen(d->kind));
    memcpy(one.target, d->target, strlen(d->target));
    if (d->body.len > 0)
        memcpy(one.bytes, d->body.data, d->body.len);
    if (d->signature.len > 0)
        memcpy(one.bytes + d->body.len, d->signature.data, d->signature.len);
    if (l->n == LETTERS_MAX) {
        free(l->at[0].bytes);
        memmove(&l->at[0], &l->at[1], (--l->n) * sizeof(l->at[0]));
    }
    /* By version: a device carries out a command only above the last counter, so a later one must not
     * overtake. */
    size_t i = l->n++;
    for (; i > 0 && l->at[i - 1].version > one.version; i--)
        l->at[i] = l->at[i - 1];
    l->at[i] = one;
    return 0;
}

static uint64_t held_version(const Fogline__V1__Hello *hello, const char *kind)
{
    for (size_t i = 0; hello != NULL && i < hello->n_documents; i++)
        if (strcmp(hello->documents[i]->kind, kind) == 0)
            return hello->documents[i]->version;
    return 0;
}

static Fogline__V1__Document *copy_of(const struct letter *one, struct wire_arena *a)
{
    Fogline__V1__Document *d = wire_arena_alloc(a, sizeof(*d));
    size_t n = one->body_len + one->signature_len;
    char *text = wire_arena_alloc(a, sizeof(one->kind) + sizeof(one->target) + n + 1);

    if (d == NULL || text == NULL)
        return NULL;
    char *target = text + sizeof(one->kind);
    uint8_t *bytes = (uint8_t *)target + sizeof(one->target);
    memcpy(text, one->kind, sizeof(one->kind));
    memcpy(target, one->target, sizeof(one->target));
    memcpy(bytes, one->bytes, n);
    fogline__v1__document__init(d);
    d->kind = text;
    d->target = target;
    d->version = one->version;
    d->body = wire_bytes(span_of(bytes, one->body_len));
    d->signature = wire_bytes(span_of(bytes + one->body_len, one->signature_len));
    return d;
}

size_t letters_for(const struct letters *l, const char *device, const Fogline__V1__Hello *hello,
                   struct wire_arena *a, Fogline__V1__Document **out, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n && n < max; i++) {
        const struct letter *one = &l->at[i];
        if (strcmp(one->target, device) != 0 || one->version <= held_version(hello, one->kind))
            continue;
        out[n] = copy_of(one, a);
        if (out[n] == NULL)
            break;
        n++;
    }
    return n;
}
