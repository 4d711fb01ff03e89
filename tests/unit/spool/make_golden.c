/* Writes the golden spool of the present format: make_golden_spool FOLDER. Never over an existing one. */
#include "golden.h"

#include <stdio.h>
#include <sys/stat.h>

static int fill(struct spool *sp)
{
    struct spool_account_row row;
    struct spool_stream *s;
    struct spool_record r;
    uint64_t seq;
    unsigned i;
    int rc = 0;

    for (i = 0; i < GOLDEN_ORDINARY + GOLDEN_URGENT && rc == 0; i++) {
        unsigned lane = i >= GOLDEN_ORDINARY;

        r = helper_record(spool_next_seq(sp, lane), lane == 0 ? 100 : 2500);
        rc = spool_append(sp, lane, &r, &seq);
    }
    row = (struct spool_account_row){
        .stream = spool_own(sp), .reason = 2, .range = {1, 3}, .samples = 6, .store = golden_relayed_epoch};
    if (rc == 0)
        rc = spool_remove(sp, spool_own(sp), 0, row.range, NULL);
    if (rc == 0)
        rc = spool_account_add(sp, &row);
    if (rc == 0)
        rc = spool_stream_make(sp, GOLDEN_RELAYED_ORIGIN, &golden_relayed_epoch, &s);
    if (rc == 0)
        rc = spool_seen_add(sp, s, 0, (struct interval){1, 9});
    if (rc == 0)
        rc = spool_seen_add(sp, s, 0, (struct interval){12, 12});
    r = helper_record(12, 40);
    if (rc == 0)
        rc = spool_put(sp, s, 12, &r);
    if (rc == 0)
        rc = spool_fact_put_u64(sp, "session", GOLDEN_SESSION);
    return rc == 0 ? spool_commit(sp) : rc;
}

int main(int argc, char **argv)
{
    struct errmsg err = {""};
    struct spool_options o;
    struct stat st;
    struct spool *sp;
    int r;

    if (argc != 2 || stat(argv[1], &st) == 0) {
        fprintf(stderr, "usage: %s FOLDER   (a new one: golden stores are never written again)\n", argv[0]);
        return 2;
    }
    o = golden_options(argv[1]);
    r = spool_open(&sp, &o, &err);
    if (r == 0) {
        r = fill(sp);
        spool_close(sp);
    }
    if (r != 0)
        fprintf(stderr, "%s: %d %s\n", argv[1], r, err.text);
    return r != 0;
}
