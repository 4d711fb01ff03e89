#include "cloud/ledger.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

static const char *const reason_names[LEDGER_REASONS] = {
    "unspecified", "evicted", "evicted_stored", "corrupt", "filtered",     "merged",
    "thinned",     "local",   "lost_spool",     "refused", "lost_archive",
};

enum {
    CORRUPT = FOGLINE__V1__REASON__REASON_CORRUPT,
    LOST_SPOOL = FOGLINE__V1__REASON__REASON_LOST_SPOOL,
    LOST_ARCHIVE = FOGLINE__V1__REASON__REASON_LOST_ARCHIVE,
};

const char *ledger_reason_name(unsigned reason)
{
    return reason_names[reason < LEDGER_REASONS ? reason : 0];
}

static unsigned reason_of(const struct ledger_cover *c)
{
    return c->reason < LEDGER_REASONS ? c->reason : 0;
}

void ledger_balance_deinit(struct ledger_balance *b)
{
    interval_set_deinit(&b->holes);
}

static int cover_order(const void *a, const void *b)
{
    const struct ledger_cover *x = *(const struct ledger_cover *const *)a;
    const struct ledger_cover *y = *(const struct ledger_cover *const *)b;

    if (reason_of(x) != reason_of(y))
        return reason_of(x) < reason_of(y) ? -1 : 1;
    if (x->carrier != y->carrier)
        return x->carrier < y->carrier ? -1 : 1;
    if (x->carrier_seq != y->carrier_seq)
        return x->carrier_seq < y->carrier_seq ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* samples * part / whole without overflow. */
static uint64_t share(uint64_t samples, uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (uint64_t)((unsigned __int128)samples * part / whole);
}

/* Takes what one cover explains out of `rest`. */
static int take_cover(const struct ledger_cover *c, struct interval_set *rest, struct ledger_balance *b)
{
    unsigned reason = reason_of(c);
    uint64_t whole = 0, part = 0, samples;

    for (size_t i = 0; i < c->n; i++) {
        uint64_t n = interval_set_count_in(rest, c->at[i].from, c->at[i].to);

        whole += c->at[i].to - c->at[i].from + 1;
        part += n;
        if (n > 0) {
            int r = interval_set_remove(rest, c->at[i].from, c->at[i].to);

            if (r < 0)
                return r;
        }
    }
    samples = share(c->samples, part, whole);
    b->estimated |= part != whole && c->samples != 0 && part != 0;
    b->records.by_reason[reason] += part;
    b->records.explained += part;
    b->samples.by_reason[reason] += samples;
    b->samples.explained += samples;
    return 0;
}

static int take_covers(const struct ledger_lane *in, struct interval_set *rest, struct ledger_balance *b)
{
    owned(free_ptr) const struct ledger_cover **order = NULL;
    int r = 0;

    if (in->n_covers == 0)
        return 0;
    order = calloc(in->n_covers, sizeof *order);
    if (order == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_covers; i++)
        order[i] = &in->covers[i];
    qsort(order, in->n_covers, sizeof *order, cover_order);
    for (size_t i = 0; i < in->n_covers && r == 0; i++)
        if (i == 0 || cover_order(&order[i - 1], &order[i]) != 0)
            r = take_cover(order[i], rest, b);
    return r;
}

/* U - archived. */
static int open_numbers(const struct ledger_lane *in, struct interval_set *rest)
{
    int r = 0;

    if (in->next > 1)
        r = interval_set_add(rest, 1, in->next - 1);
    for (size_t i = 0; i < in->n_covers && r == 0; i++)
        for (size_t k = 0; k < in->covers[i].n && r == 0; k++)
            r = interval_set_add(rest, in->covers[i].at[k].from, in->covers[i].at[k].to);
    return r == 0 ? interval_set_subtract(rest, in->archived) : r;
}

/* What is held leaves `rest`. Of a cut list only the count is known above its end. */
static int take_held(const struct ledger_lane *in, struct interval_set *rest, struct ledger_balance *b)
{
    uint64_t before = interval_set_count(rest), listed = 0, above, extra;
    int r = 0;

    if (in->held_by_relays != NULL)
        r = interval_set_subtract(rest, in->held_by_relays);
    if (r == 0 && !in->lost && in->held != NULL) {
        listed = interval_set_count(in->held);
        r = interval_set_subtract(rest, in->held);
    }
    if (r < 0)
        return r;
    b->records.held = before - interval_set_count(rest);
    if (in->lost || !in->held_cut || in->held_count <= listed)
        return 0;
    above = in->held != NULL && in->held->n > 0 ? in->held->at[in->held->n - 1].to + 1 : 1;
    extra = interval_set_count_in(rest, above, UINT64_MAX - 1);
    if (extra > in->held_count - listed)
        extra = in->held_count - listed;
    b->records.held += extra;
    return extra > 0 ? interval_set_remove(rest, above, UINT64_MAX - 1) : 0;
}

/* Gives `left` samples to (or, negative, takes them from) the reason with the most records, which was
 * estimated. */
static void settle_estimate(struct ledger_balance *b, uint64_t more, uint64_t less)
{
    unsigned best = 0;

    for (unsigned i = 1; i < LEDGER_REASONS; i++)
        if (b->records.by_reason[i] > b->records.by_reason[best])
            best = i;
    if (less > b->samples.by_reason[best])
        less = b->samples.by_reason[best];
    b->samples.by_reason[best] += more - less;
    b->samples.explained += more - less;
    b->estimated = true;
}

static void balance_samples(const struct ledger_lane *in, struct ledger_balance *b)
{
    struct ledger_count *s = &b->samples;
    uint64_t known, left;

    s->archived = in->archived_samples;
    s->produced = in->produced_samples;
    known = s->archived + s->explained;
    if (known > s->produced && b->estimated)
        settle_estimate(b, 0, known - s->produced);
    known = s->archived + s->explained;
    if (s->produced < known)
        s->produced = known; /* more has arrived than was reported last */
    left = s->produced - known;
    if (left == 0)
        return;
    if (b->records.unexplained > 0) {
        s->held = left < in->held_samples ? left : in->held_samples;
        if (b->records.held == 0)
            s->held = 0;
        s->unexplained = left - s->held;
    } else if (b->records.held > 0 && b->records.by_reason[LOST_ARCHIVE] == 0) {
        s->held = left;
    } else if (b->records.by_reason[LOST_ARCHIVE] > 0) {
        if (b->records.held > 0)
            s->held = left < in->held_samples ? left : in->held_samples;
        s->by_reason[LOST_ARCHIVE] += left - s->held;
        s->explained += left - s->held;
    } else if (b->records.by_reason[LOST_SPOOL] > 0) {
        s->by_reason[LOST_SPOOL] += left;
        s->explained += left;
    } else if (b->records.by_reason[CORRUPT] > 0) {
        s->by_reason[CORRUPT] += left; /* its maker could not read how many there were */
        s->explained += left;
    } else if (b->estimated) {
        settle_estimate(b, left, 0);
    } else {
        s->unexplained = left;
    }
}

/* What is left open was lost with the archive as far as it was made before. */
static int take_lost(const struct ledger_lane *in, struct interval_set *rest, struct ledger_balance *b,
                     uint64_t *open)
{
    struct ledger_count *n = &b->records;
    uint64_t below = in->lost_below > 1 ? interval_set_count_in(rest, 1, in->lost_below - 1) : 0;
    int r = below > 0 ? interval_set_remove(rest, 1, in->lost_below - 1) : 0;

    below = below < *open ? below : *open;
    n->by_reason[LOST_ARCHIVE] += below;
    n->explained += below;
    *open -= below;
    if (in->lost) {
        n->by_reason[in->lost_with_archive ? LOST_ARCHIVE : LOST_SPOOL] += *open;
        n->explained += *open;
        *open = 0;
    }
    return r;
}

int ledger_lane_balance(const struct ledger_lane *in, struct ledger_balance *b)
{
    owned(interval_set_deinit) struct interval_set rest = {0};
    struct ledger_count *n = &b->records;
    uint64_t open;
    int r;

    interval_set_clear(&b->holes);
    *b = (struct ledger_balance){.holes = b->holes, .unreported = in->next == 0};
    n->archived = interval_set_count(in->archived);
    r = open_numbers(in, &rest);
    if (r < 0)
        return r;
    n->produced = n->archived + interval_set_count(&rest);
    r = take_covers(in, &rest, b);
    if (r == 0)
        r = take_held(in, &rest, b);
    if (r < 0)
        return r;
    open = n->produced - n->archived - n->explained - n->held;
    r = take_lost(in, &rest, b, &open);
    n->unexplained = open;
    if (r == 0 && open > 0)
        r = interval_set_copy(&b->holes, &rest);
    balance_samples(in, b);
    return r;
}

static void count_add(struct ledger_count *sum, const struct ledger_count *c)
{
    sum->produced += c->produced;
    sum->archived += c->archived;
    sum->held += c->held;
    sum->explained += c->explained;
    sum->unexplained += c->unexplained;
    for (unsigned i = 0; i < LEDGER_REASONS; i++)
        sum->by_reason[i] += c->by_reason[i];
}

void ledger_add(struct ledger_balance *sum, const struct ledger_balance *b)
{
    count_add(&sum->records, &b->records);
    count_add(&sum->samples, &b->samples);
    sum->estimated |= b->estimated;
    sum->unreported |= b->unreported;
}
