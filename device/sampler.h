/* sampler.h - between a source and the feed: what is done to readings before they are decided on and kept.
 *
 * Each source writes into a sink of the sampler, which passes rows on in this order: scale, offset, unit and
 * valid range of its channels (channel.h), then who listens (the rules), who hear every reading, then the
 * keeper, which leaves out what is not to be sent, and the feed. A source without settings is passed through
 * as it is. Listeners hear a live row even when the feed has no room for it: a
 * full ring stops no decision; a replayed row is heard once, when the feed has room for it and for what
 * listeners put there before it.
 * A listener may say rows of sources of its own while it hears one (infer/derived.h): they go to the feed
 * before it. Threads: sampler_new and sampler_free on the main thread, the sinks on the act thread; counters
 * are atomic. Limits: all memory is taken in sampler_new; SAMPLER_CHANNELS_MAX channels with settings on a
 * device. */
#ifndef FOGLINE_DEVICE_SAMPLER_H
#define FOGLINE_DEVICE_SAMPLER_H

#include "device/channel.h"
#include "device/keep/keeper.h"

enum { SAMPLER_CHANNELS_MAX = 4096 };

/* Hears of every group and row as they go to the feed. ctx is borrowed for the life of the sampler. */
struct sampler_listener {
    void *ctx;
    /* 0 or negative errno, which the source gets. */
    int (*group)(void *ctx, unsigned source, uint32_t group, const struct source_group *g);
    void (*row)(void *ctx, unsigned source, const struct source_row *r);
    /* Bytes that it may put into the ring of that source while it hears one row; NULL: none. */
    size_t (*ring_bytes)(void *ctx, unsigned source);
};

struct sampler_counters {
    _Atomic uint64_t out_of_range; /* values kept with QUALITY_BAD */
};

struct sampler;

struct sampler_options {
    struct feed *feed; /* borrowed */
    unsigned n_sources;
    const struct sampler_listener *listeners; /* copied; may be NULL */
    unsigned n_listeners;                     /* at most SAMPLER_LISTENERS_MAX */
    size_t history_bytes;                     /* of the keeper */
};
enum { SAMPLER_LISTENERS_MAX = SOURCES_MAX + 2 };

must_check int sampler_new(struct sampler **ret_s, const struct sampler_options *options);
struct sampler *sampler_free(struct sampler *s); /* accepts NULL */
/* Sink of source no, whose settings are `channels` (borrowed; items: struct channel_config). Borrowed for the
 * life of the sampler. */
const struct source_sink *sampler_sink(struct sampler *s, unsigned source, bool replayable,
                                       const struct config_list *channels);
/* What of a source's rows is sent: for alarms, at the end, and to say that its rows are partial before its
 * sink is used. Borrowed for the life of the sampler. */
struct keeper *sampler_keeper(struct sampler *s);
const struct sampler_counters *sampler_counters(const struct sampler *s);

#endif
