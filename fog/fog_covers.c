/* The cover account in the fog's round. */
#include "fog/fog_private.h"

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
