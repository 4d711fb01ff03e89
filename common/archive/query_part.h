/* query_part.h - a query over several stores: each folds what it has, and what they give is joined.
 *
 * What one store gives is packed into parts that fit into records; each can be read alone, in any order.
 * Sums, counts, extremes and quantiles come out as if one store had all samples; a time-weighted mean is
 * known where all samples of a line are of one store. A part: u8 1, u8 what its aggregates hold (1 brief, 2
 * sketches), then entries to the end. Entry 1: a group: u8 bits (1 site, 2 device, 4 channel, 8 unit), the
 * names of these, each ended by a 0. Entry 2: a cell of the last group: le64 bucket, varint texts, u8 1 and
 * an aggregate (window/aggregate.h) or u8 0. Pure but for the view. Threads: one owner. */
#ifndef FOGLINE_ARCHIVE_QUERY_PART_H
#define FOGLINE_ARCHIVE_QUERY_PART_H

#include "archive/query.h"

enum { QUERY_PART_BYTES_MAX = 56 * 1024 };

/* Folds what the view has and hands out the parts, one at least. out returns 0, or what ends it and is
 * returned. *ret_again: blocks left out for without_again. */
must_check int query_parts(struct view *v, const struct query_options *options,
                           int (*out)(void *ctx, struct span part), void *ctx, uint64_t *ret_again);

struct query_gather;
must_check int query_gather_new(struct query_gather **ret_g,
                                const struct query_options *options); /* borrows */
struct query_gather *query_gather_free(struct query_gather *g);       /* accepts NULL */
/* Copies. 0; -EINVAL: bytes that query_parts never makes for these options: some of it may be in; -ENOMEM. */
must_check int query_gather_add(struct query_gather *g, struct span part);
/* Names in it borrow from the gather. */
must_check int query_gather_result(const struct query_gather *g, struct query_result *ret_q);

/* The options as text for a command's argument, and back; the pattern borrows from the text. false: it does
 * not fit, or is none. */
bool query_order_format(const struct query_options *o, char *out, size_t out_chars);
bool query_order_parse(const char *text, struct query_options *ret_o);

#endif
