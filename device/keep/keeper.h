/* keeper.h - between the sampler and the feed: what of a source's rows is sent.
 *
 * Judges each cell by the policy of its channel (keep.h). What is not sent becomes absent, and a row of which
 * nothing is left is no row; a group with aggregates has four channels more for each, NAME.count, .min, .max
 * and .mean, in rows of their own whose time is the begin of a window. A window is sent with the first row at
 * or after its end, or when the device stops: what comes after that is another row of the same time, to be
 * added to the first. A group without policies is passed through.
 *
 * Nothing is remembered of a row that the feed did not take, so a replayed source may bring it again. What
 * was not sent is counted, and the counts travel with the rows, so that they are durable with the read
 * position; of a live source without rows to send they follow within KEEPER_TELL_NS of the next reading.
 *
 * keeper_alarm: what was not sent in the time before is sent now, as rows with their old times, and
 * everything for as long after (channel.h, around_alarm_ms). A crash forgets windows that are open, and what
 * was sent last. Threads: keeper_new and keeper_free on the main thread, the rest on the act thread, and
 * keeper_finish by whoever ended it. Limits: all memory is taken in keeper_new; KEEPER_CHANNELS_MAX channels
 * of groups with policies. */
#ifndef FOGLINE_DEVICE_KEEPER_H
#define FOGLINE_DEVICE_KEEPER_H

#include "device/feed.h"
#include "device/keep/history.h"

#include <stdatomic.h>

#define KEEPER_TELL_NS NS_PER_S
enum { KEEPER_CHANNELS_MAX = 4096 };

struct keeper_counters {
    _Atomic uint64_t reduced[KEEP_REASONS]; /* samples not sent */
    _Atomic uint64_t sent_later;            /* of them, around alarms */
    _Atomic uint64_t derived;               /* cells of windows */
};

struct keeper;

struct keeper_options {
    struct feed *feed; /* borrowed */
    unsigned n_sources;
    size_t history_bytes; /* 0: none, or too few to hold a sample */
};
must_check int keeper_new(struct keeper **ret_k, const struct keeper_options *options);
struct keeper *keeper_free(struct keeper *k); /* accepts NULL */

/* Sink of source no, whose settings are `channels` (borrowed; items: struct channel_config). Borrowed for the
 * life of the keeper. */
const struct source_sink *keeper_sink(struct keeper *k, unsigned source, bool replayable,
                                      const struct config_list *channels);
/* Of a source whose absent cells mean nothing; before its groups. */
void keeper_rows_are_partial(struct keeper *k, unsigned source);

/* Something happened to this channel of the source (NULL: to all of it) at this time: see above. Called from
 * a listener of the sampler, after the row that it heard. */
void keeper_alarm(struct keeper *k, unsigned source, const char *channel, int64_t time_ns);

/* After the act thread has ended: sends what windows of group no hold, and its counts. false: there is no
 * such group. */
bool keeper_finish(struct keeper *k, uint32_t group);

const struct keeper_counters *keeper_counters(const struct keeper *k);

/* Is this the channel of a window, by the names of its group? */
bool keeper_is_derived(const struct pack_channel *channels, uint32_t no, const struct config_list *config);

#endif
