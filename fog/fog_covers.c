/* What the cloud does not get as it came: the account of it, in the fog's round. */
#include "fog/fog_private.h"

static int make_ledger(void *ctx, struct span ledger, uint64_t *ret_seq)
{
    struct fog *f = ctx;
    struct maker_record r = {.lane = LANE_URGENT,
                             .kind = FOGLINE__V1__KIND__KIND_LEDGER,
                             .payload = ledger,
                             .carries_covers = true};
    int rc = derived_record(f->derived, &r, ret_seq);

    return rc == DERIVED_NO_ROOM ? SPOOL_FULL : rc;
}

int fog_covers_open(struct fog *f, struct errmsg *err)
{
    struct covers_options o = {f->spool, FOG_TABLE_COVERS, f->d->clock, make_ledger, f};
    struct uplink_options u = {f->derived, FOG_TABLE_UPLINK, f->spool, &f->config->uplink,
                               f->d->settings->site};
    int r = covers_new(&f->covers, &o);

    if (r < 0)
        return errmsg_set(err, r, "cannot read the cover account: %s", strerror(-r));
    if (!f->has_trust) {
        if (f->config->uplink.n > 0)
            log_warn("uplink_off",
                     "msg=\"up.keys names no cloud, so this fog can account to nobody for what it "
                     "holds back: all is kept to go up raw\"");
        return 0;
    }
    r = uplink_new(&f->uplink, &u);
    return r < 0 ? errmsg_set(err, r, "no memory") : 0;
}

bool fog_covers_want(const struct fog *f)
{
    return f->has_trust && covers_wants_flush(f->covers, loop_now_ms(f->d->loop));
}

int fog_new_life(struct fog *f)
{
    int r = spool_new_store(f->spool);

    f->wants_new_life = false;
    if (r == 0)
        inbox_new_run(upper_port_inbox(f->upper));
    return r;
}

int fog_covers_flush(struct fog *f)
{
    struct lower_port_status st;
    int r;

    lower_port_status(f->lower, &st);
    covers_link(f->covers, st.link == LOWER_PORT_OPEN);
    r = covers_flush(f->covers, loop_now_ms(f->d->loop), false);
    if (r != 0 || !covers_emptied(f->covers))
        return r;
    log_warn("covers_emptied",
             "msg=\"this fog's own numbers begin anew: what was withheld is asked for again; "
             "devices give again what they hold\"");
    return fog_new_life(f);
}
