#include "fog/uplink_private.h"

#include "archive/block_head.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 4 << 20 };

const struct counter_info uplink_counter_info[UPLINK_COUNTERS] = {
    [UPLINK_BLOCKS_RAW] = {"blocks_raw", COUNTER_TOTAL, "records", "Blocks that went up as they came."},
    [UPLINK_BLOCKS_CHANGES] = {"blocks_changes", COUNTER_TOTAL, "records", "Blocks of which changes go up."},
    [UPLINK_BLOCKS_AGGREGATES] = {"blocks_aggregates", COUNTER_TOTAL, "records",
                                  "Blocks of which only aggregates go up."},
    [UPLINK_BLOCKS_LOCAL] = {"blocks_local", COUNTER_TOTAL, "records", "Blocks that stay at the site."},
    [UPLINK_BLOCKS_MIXED] = {"blocks_mixed", COUNTER_TOTAL, "records",
                             "Of those that went up, blocks with channels that need not: others in the same "
                             "record do."},
    [UPLINK_BLOCKS_AGAIN] = {"blocks_again", COUNTER_TOTAL, "records",
                             "Blocks that went up whatever `uplink` says: another fog may have them, too."},
    [UPLINK_BLOCKS_NOT_KEPT] = {"blocks_not_kept", COUNTER_TOTAL, "records",
                                "Blocks that went up whatever `uplink` says: the history had no room, or had "
                                "them before."},
    [UPLINK_BLOCKS_REFUSED] = {"blocks_refused", COUNTER_TOTAL, "records",
                               "Blocks that went up whatever `uplink` says: the cloud's reduce_sites does "
                               "not allow less."},
    [UPLINK_BLOCKS_NO_SET] = {"blocks_no_set", COUNTER_TOTAL, "records",
                              "Blocks that went up whatever `uplink` says: their descriptor set has not "
                              "come."},
    [UPLINK_BLOCKS_UNREADABLE] = {"blocks_unreadable", COUNTER_TOTAL, "records",
                                  "Blocks that went up whatever `uplink` says: they do not decode."},
    [UPLINK_NO_ROOM] = {"no_room", COUNTER_TOTAL, "records",
                        "Blocks that went up whatever `uplink` says: their changes had no room."},
    [UPLINK_READINGS] = {"readings", COUNTER_TOTAL, "samples", "Readings looked at for changes."},
    [UPLINK_READINGS_SENT] = {"readings_sent", COUNTER_TOTAL, "samples", "Of these, those that go up."},
    [UPLINK_BYTES_STAY] = {"bytes_stay", COUNTER_TOTAL, "bytes", "Payload of blocks that did not go up."},
};

int uplink_new(struct uplink **ret_u, const struct uplink_options *options)
{
    struct uplink *u = calloc(1, sizeof *u);
    int r;

    if (u == NULL)
        return -ENOMEM;
    u->o = *options;
    r = wire_arena_new(&u->arena, ARENA_BYTES);
    if (r == 0)
        r = block_store_new(&u->store);
    if (r < 0) {
        uplink_free(u);
        return r;
    }
    *ret_u = u;
    return 0;
}

struct uplink *uplink_free(struct uplink *u)
{
    if (u == NULL)
        return NULL;
    uplink_sets_empty(u);
    block_store_free(u->store);
    wire_arena_free(u->arena);
    free(u);
    return NULL;
}

void uplink_renew(struct uplink *u)
{
    uplink_sets_empty(u);
}

const uint64_t *uplink_counters(const struct uplink *u)
{
    return u->counters;
}

/* Why it goes up although the list would have it here, or UPLINK_COUNTERS. */
static enum uplink_counter exception(const struct uplink_record *r)
{
    if ((r->record->flags & RECORD_FLAG_AGAIN) != 0)
        return UPLINK_BLOCKS_AGAIN;
    if (!r->is_new)
        return UPLINK_BLOCKS_NOT_KEPT;
    return r->is_refused ? UPLINK_BLOCKS_REFUSED : UPLINK_COUNTERS;
}

static void note_run(struct uplink *u, const struct uplink_record *r)
{
    unsigned lane = seq_lane(r->record->seq);
    uint64_t count = seq_count(r->record->seq);

    if (u->run_stream == r->stream->no && u->run_lane == lane && count == u->run.to + 1) {
        u->run.to = count;
        return;
    }
    u->run_stream = r->stream->no;
    u->run_lane = lane;
    u->run = (struct interval){count, count};
}

int uplink_judge(struct uplink *u, const struct uplink_record *r, enum uplink_way *ret_way)
{
    static const enum uplink_counter by_way[UPLINK_WAYS] = {[UPLINK_RAW] = UPLINK_BLOCKS_RAW,
                                                            [UPLINK_CHANGES] = UPLINK_BLOCKS_CHANGES,
                                                            [UPLINK_AGGREGATES] = UPLINK_BLOCKS_AGGREGATES,
                                                            [UPLINK_LOCAL] = UPLINK_BLOCKS_LOCAL};
    const struct uplink_set *set;
    struct block_head head;
    enum uplink_counter why;
    int rc;

    *ret_way = UPLINK_RAW;
    note_run(u, r);
    if (u->o.rules->n == 0 || r->record->kind != FOGLINE__V1__KIND__KIND_BLOCK ||
        !block_head_read(r->record->payload, &head))
        return 0;
    rc = uplink_set_of(u, r->record->origin, head.set_id, &set);
    if (rc == UPLINK_SET_UNKNOWN)
        u->counters[UPLINK_BLOCKS_NO_SET]++;
    if (rc != 0)
        return rc == UPLINK_SET_UNKNOWN ? 0 : rc;
    why = set->way == UPLINK_RAW ? UPLINK_COUNTERS : exception(r);
    if (why != UPLINK_COUNTERS) {
        u->counters[why]++;
        return uplink_changes_forget(u, set);
    }
    *ret_way = set->way;
    u->counters[by_way[set->way]]++;
    u->counters[UPLINK_BLOCKS_MIXED] += set->is_mixed;
    if (set->way != UPLINK_RAW)
        u->counters[UPLINK_BYTES_STAY] += r->record->payload.len;
    return 0;
}
