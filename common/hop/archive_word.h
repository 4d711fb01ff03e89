/* archive_word.h - the operator's word on which archive counts: a Document of kind "archive".
 *
 * Target empty, version > 0 and growing, body the 16 bytes of the archive id, Ed25519 by the operator over
 * wire_document_input. Whoever holds the operator's public key can check it, and hand it on unchanged. Pure
 * functions. */
#ifndef FOGLINE_HOP_ARCHIVE_WORD_H
#define FOGLINE_HOP_ARCHIVE_WORD_H

#include "base/id.h"
#include "link/keys.h"
#include "wire/wire.h"

#define ARCHIVE_WORD_KIND "archive"

enum { ARCHIVE_WORD_FORGED = 1 };

/* Appends the packed document. 0 or negative errno. */
must_check int archive_word_make(const struct id128 *id, uint64_t version, const struct operator_keys *k,
                                 struct buf *out);
/* 0 and the id; ARCHIVE_WORD_FORGED: of another kind or shape, or not signed by this operator; negative
 * errno. */
must_check int archive_word_check(const Fogline__V1__Document *d, const uint8_t operator_public[KEY_BYTES],
                                  struct id128 *ret_id);
/* Appends the document packed, without what this version does not know. 0 or negative errno. */
must_check int archive_word_pack(const Fogline__V1__Document *d, struct buf *out);
/* The version a Hello says its sender has; 0: none. */
uint64_t archive_word_held(const Fogline__V1__Hello *h);

#endif
