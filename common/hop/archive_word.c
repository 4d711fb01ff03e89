#include "hop/archive_word.h"

#include "base/cleanup.h"

int archive_word_pack(const Fogline__V1__Document *d, struct buf *out)
{
    Fogline__V1__Document known = FOGLINE__V1__DOCUMENT__INIT;

    known.kind = (char *)ARCHIVE_WORD_KIND;
    known.version = d->version;
    known.body = d->body;
    known.signature = d->signature;
    wire_pack(out, &known.base);
    return out->error;
}

int archive_word_make(const struct id128 *id, uint64_t version, const struct operator_keys *k,
                      struct buf *out)
{
    owned(buf_deinit) struct buf input = {0};
    Fogline__V1__Document d = FOGLINE__V1__DOCUMENT__INIT;
    uint8_t signature[KEY_SIGNATURE_BYTES];

    d.version = version;
    d.body = wire_bytes(span_of(id->bytes, ID128_BYTES));
    wire_document_input(&input, ARCHIVE_WORD_KIND, "", version, wire_span(d.body));
    if (input.error != 0)
        return input.error;
    operator_sign(k, span_of(input.data, input.len), signature);
    d.signature = wire_bytes(span_of(signature, sizeof signature));
    return archive_word_pack(&d, out);
}

int archive_word_check(const Fogline__V1__Document *d, const uint8_t operator_public[KEY_BYTES],
                       struct id128 *ret_id)
{
    owned(buf_deinit) struct buf input = {0};

    if (strcmp(d->kind, ARCHIVE_WORD_KIND) != 0 || d->target[0] != '\0' || d->version == 0 ||
        !wire_id128(d->body, ret_id))
        return ARCHIVE_WORD_FORGED;
    wire_document_input(&input, d->kind, d->target, d->version, wire_span(d->body));
    if (input.error != 0)
        return input.error;
    return operator_verify(operator_public, span_of(input.data, input.len), wire_span(d->signature))
               ? 0
               : ARCHIVE_WORD_FORGED;
}

uint64_t archive_word_held(const Fogline__V1__Hello *h)
{
    for (size_t i = 0; h != NULL && i < h->n_documents; i++)
        if (strcmp(h->documents[i]->kind, ARCHIVE_WORD_KIND) == 0)
            return h->documents[i]->version;
    return 0;
}
