/* nodes_private.h - between nodes.c and nodes_file.c only. */
#ifndef FOGLINE_CTL_NODES_PRIVATE_H
#define FOGLINE_CTL_NODES_PRIVATE_H

#include "base/name.h"
#include "ctl/nodes.h"

#include <stdio.h>

/* -EBADMSG when the body is no node list. */
must_check int nodes_of_body(struct wire_arena *a, struct span body, struct nodes *ret_l);
/* -EFBIG over NODES_BODY_MAX_BYTES. out is empty before. */
must_check int nodes_to_body(const struct nodes *l, uint64_t version, struct buf *out);

#endif
