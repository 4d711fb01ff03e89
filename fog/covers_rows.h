/* covers_rows.h - the rows of the open cover account, for its own files and for tools that read it.
 *
 *   key    u8 state, be32 stream, u8 lane, u8 reason, be64 first
 *   value  u8 1, le64 last, le64 samples, le32 parts, le32 asked, le64 ledger, le64 needs...
 *
 * samples: of each record while it waits, of all of them once covered. A crash leaves what the last commit
 * held. Pure. */
#ifndef FOGLINE_FOG_COVERS_ROWS_H
#define FOGLINE_FOG_COVERS_ROWS_H

#include "archive/rows.h"
#include "fog/covers.h"

enum covers_state { COVERS_STATE_WAITING = 1, COVERS_STATE_COVERED = 2, COVERS_STATE_SAID = 3 };

struct covers_row {
    enum covers_state state;
    uint32_t stream;
    unsigned lane;
    uint8_t reason;
    uint64_t first, last;
    uint64_t samples;
    uint32_t parts;  /* waiting: still to come */
    uint32_t asked;  /* said: how often the device asked since the cloud has it, up to COVERS_ASKED_MAX */
    uint64_t ledger; /* said: the own record that says so */
    size_t n_needs;
    uint64_t needs[COVERS_NEEDS_MAX]; /* ascending */
};

void covers_key_put(struct row_key *k, const struct covers_row *r);
void covers_value_put(struct buf *b, const struct covers_row *r); /* appends */
/* false: no row of this format. */
bool covers_row_get(struct span key, struct span value, struct covers_row *ret_r);

/* false: no room for one more. */
bool covers_needs_add(struct covers_row *r, uint64_t need);
bool covers_needs_unite(struct covers_row *r, const struct covers_row *with, size_t max);

#endif
