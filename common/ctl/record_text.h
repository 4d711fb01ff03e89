/* record_text.h - a record of any kind, decoded, as lines for people or as JSON.
 *
 * A block needs its descriptor set for names and types: found through the function given; without it only the
 * header is shown. */
#ifndef FOGLINE_CTL_RECORD_TEXT_H
#define FOGLINE_CTL_RECORD_TEXT_H

#include "base/json.h"
#include "wire/wire.h"

#include <stdio.h>

const char *
record_kind_name(uint32_t kind); /* "block", "event" ...; "kind-99" lives in a static buffer of the thread */
bool record_kind_parse(const char *name, uint32_t *ret_kind);

struct record_view {
    const struct record *record;
    /* Packed descriptor set of this origin by id, borrowed until the call returns; false: not known. May be
     * NULL. */
    bool (*descriptors)(void *ctx, const struct record *r, uint64_t set_id, struct span *ret_packed);
    void *ctx;
    unsigned max_rows; /* of a block; 0: all */
};

/* 0; RECORD_TEXT_DAMAGED: the payload does not decode (what is known is still written); -ENOMEM. */
enum { RECORD_TEXT_DAMAGED = 1 };
must_check int record_text(const struct record_view *v, FILE *out);
/* Writes one object into j. */
must_check int record_json(const struct record_view *v, struct json *j);
/* One line: time-less summary, "block set 1a2b... rows 100 2026-..": for ls and tail. out is cut. */
void record_summary(const struct record *r, char *out, size_t out_bytes);

#endif
