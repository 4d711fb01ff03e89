/* memory.h - what computed sources know, on its way to the store.
 *
 * At the end of a round, when no row is under way, their images are copied here and a mark is put into the
 * ring: what stands before the mark is what the images know, no more and no less. The io thread takes the
 * images when it reads the mark and makes them durable in the transaction of what stood before it
 * (io_memory.c); until then no other mark is made. One for the ring of live sources, where a mark is made
 * now and then; one for that of replayed ones, of which nothing is durable before its mark. Threads:
 * memory_round and memory_finish by the producer of the ring, the rest by its consumer. All memory is taken
 * before the threads start. */
#ifndef FOGLINE_DEVICE_INFER_MEMORY_H
#define FOGLINE_DEVICE_INFER_MEMORY_H

#include "device/feed.h"

struct memory;

struct memory_options {
    struct feed *feed; /* borrowed, as the ring */
    struct ring *ring;
    bool is_replay;   /* of the feed's two rings; a mark is also made after what is urgent */
    int64_t every_ns; /* from the first message after a mark to the next mark */
};

must_check int memory_new(struct memory **ret_m, const struct memory_options *options);
struct memory *memory_free(struct memory *m); /* accepts NULL */
/* An opened source, by its number; `room` bytes are kept at most. Borrowed for the life of the memory. */
must_check int memory_add(struct memory *m, unsigned source, const struct source_kind *kind, const void *self,
                          size_t room);

int64_t memory_round(void *m, int64_t now_ns); /* a hook of the act thread */
void memory_finish(struct memory *m);          /* a mark now, behind the last row */

void memory_want(struct memory *m); /* a mark soon: much waits for one */
/* After a mark was read: the image of the source, empty when it has none, borrowed until memory_release. */
struct span memory_image(const struct memory *m, unsigned source);
/* Likewise: how many bytes the image would have taken that had no room; 0: it had. */
size_t memory_missed(const struct memory *m, unsigned source);
void memory_release(struct memory *m);

#endif
