/* ledger.h - the balance of a lane: produced = archived + held + explained + unexplained, by set arithmetic.
 *
 * Pure. Numbers are a lane's counts 1, 2, 3 ...; nothing here is a running sum, so statements may come twice,
 * late and in any order and give the same balance. What wins over what: archived over explained over held.
 * Numbers at or above the last reported `next` count only when they are archived or explained: nobody has
 * spoken of the others yet.
 *
 *   U           = [1, next) + archived + explained
 *   explained   = (union of covers in force) - archived, each number under the lowest reason that covers it
 *   held        = (what the owner and the relays say they hold) - archived - explained
 *   unexplained = U - archived - explained - held
 *   lost spool  : an epoch its owner no longer lists and nobody holds: unexplained becomes explained as
 * LOST_SPOOL lost archive: what the archive that was put back from a copy does not have, and nobody holds:
 * unexplained numbers made before the owner knew become explained as LOST_ARCHIVE
 *
 * Samples follow the records: archived exactly; explained as the covers say, in proportion where a cover
 * counts in part
 * (`estimated`); held is what is left of the produced ones when every record is accounted for. */
#ifndef FOGLINE_CLOUD_LEDGER_H
#define FOGLINE_CLOUD_LEDGER_H

#include "base/interval.h"
#include "wire/wire.h"

enum { LEDGER_REASONS = 11 }; /* proto Reason, 0 .. 10; higher ones count as 0 */

const char *ledger_reason_name(unsigned reason); /* "evicted", "merged" ...; "unspecified" */

/* A cover in force. key orders covers whatever order they are given in; equal keys are the same cover said
 * twice. */
struct ledger_cover {
    uint64_t carrier, carrier_seq;
    uint32_t index;
    unsigned reason;
    const struct interval *at; /* ascending, disjoint */
    size_t n;
    uint64_t samples;
};

struct ledger_lane {
    const struct interval_set *archived;
    uint64_t archived_samples;
    const struct ledger_cover *covers;
    size_t n_covers;
    /* The owner's last report. next 0: none. */
    uint64_t next, held_count, produced_samples, held_samples;
    const struct interval_set *held; /* as listed */
    bool held_cut; /* held_count is more than what is listed: the rest is above the listed */
    const struct interval_set *held_by_relays; /* may be NULL */
    bool lost;                                 /* the owner no longer lists this epoch */
    /* The archive was put back from a copy, or made anew: numbers below this were made before its owner knew
     * (0: none). */
    uint64_t lost_below;
    bool lost_with_archive; /* with `lost`: its owner has not listed it since */
};

struct ledger_count {
    uint64_t produced, archived, held, explained, unexplained;
    uint64_t by_reason[LEDGER_REASONS];
};

struct ledger_balance {
    struct ledger_count records, samples;
    struct interval_set holes; /* the unexplained numbers, as far as they are known one by one */
    bool estimated;            /* some samples under a reason are an estimate */
    bool unreported;           /* at least one lane has no report: produced is "at least" */
};

void ledger_balance_deinit(struct ledger_balance *b);
/* Replaces *b. 0 or -ENOMEM. */
must_check int ledger_lane_balance(const struct ledger_lane *in, struct ledger_balance *b);
/* Adds counts and flags of b to sum; holes are left alone. */
void ledger_add(struct ledger_balance *sum, const struct ledger_balance *b);

#endif
