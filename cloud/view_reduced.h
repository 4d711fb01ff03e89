/* view_reduced.h - samples that devices did not make records of, by policy, as their Health records say.
 *
 * Beside the balance, not in it: they have no numbers. The totals of an epoch never fall, so the last Health
 * of a stream says all; what was said twice, late or not at all before it changes nothing. Threads: the
 * view's owner. */
#ifndef FOGLINE_CLOUD_VIEW_REDUCED_H
#define FOGLINE_CLOUD_VIEW_REDUCED_H

#include "archive/view.h"
#include "cloud/ledger.h"

struct view_reduced {
    uint64_t samples[LEDGER_REASONS];    /* by proto Reason */
    uint64_t sent_later[LEDGER_REASONS]; /* of them, cells after all */
};

/* Adds those of device d, of all its epochs. 0 or negative errno. */
must_check int view_reduced(struct view *v, const struct view_device *d, struct view_reduced *sum);

#endif
