/* set_starts.h - from a descriptor set to what the codec needs to read and write its blocks.
 *
 * Everybody who encodes or decodes blocks of a set makes the starts of it, also when it has neither bounds
 * nor start bytes: a body is tied to the starts it was made with. Threads: pure. */
#ifndef FOGLINE_CTL_SET_STARTS_H
#define FOGLINE_CTL_SET_STARTS_H

#include "codec/block.h"
#include "wire/wire.h"

/* set: unpacked and validated. 0; -EINVAL: start bytes that no encoder makes; -ENOMEM. Borrows nothing. */
must_check int set_starts_new(struct block_starts **ret_s, const Fogline__V1__DescriptorSet *set);

#endif
