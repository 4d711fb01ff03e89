/* pack_private.h - a pack, for pack.c (rows and blocks) and pack_set.c (the descriptor sets they name) only.
 */
#ifndef FOGLINE_PACK_PACK_PRIVATE_H
#define FOGLINE_PACK_PACK_PRIVATE_H

#include "pack/pack.h"

struct pack {
    struct packer *packer;
    uint32_t n_channels, max_rows;
    size_t max_bytes;
    enum block_encoding encoding;
    struct pack_tools *tools;
    struct learner *learner;
    struct block_starts *starts;
    struct buf descriptor;
    uint64_t set_id, cold_id, mono_first_ns;
    int64_t since_mono_ns, now_mono_ns;
    int64_t time_low_ns, time_high_ns; /* of the rows in it */
    char group[PACK_NAME_BYTES];
    struct pack_channel *channels;
    double *error_bounds, *deadbands;
    uint32_t *silences_ms;
    const char *const *const *tags; /* borrowed */
    uint8_t *policies;              /* enum keep_policy */
    bool has_changes;               /* a channel is sent by change */
};

/* pack_set.c */
/* The set without starts, for a pack that is new, and a learner of better ones. 0; -EINVAL, -ENOMEM. */
must_check int pack_begin_sets(struct pack *p);

#endif
