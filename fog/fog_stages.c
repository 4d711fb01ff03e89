/* What stages have in memory: made at the start, and in step with the transaction. */
#include "fog/fog_private.h"

#include <stdlib.h>

int fog_stages_open(struct fog *f, struct errmsg *err)
{
    struct site_rules_options o = {.spool = f->spool,
                                   .derived = f->derived,
                                   .clock = &f->d->clock,
                                   .rules = &f->config->rules,
                                   .site = f->d->settings->site,
                                   .table = FOG_TABLE_RULES};
    int r = stage_reader_new(&f->reader);

    if (r < 0)
        return errmsg_set(err, r, "no memory");
    o.reader = f->reader;
    o.user = stage_reader_join(f->reader, free);
    return site_rules_new(&f->rules, &o, err);
}

void fog_stages_close(struct fog *f)
{
    f->rules = site_rules_free(f->rules);
    f->reader = stage_reader_free(f->reader);
}

int fog_stages_flush(struct fog *f)
{
    return site_rules_flush(f->rules);
}

int fog_stages_reload(struct fog *f)
{
    return site_rules_reload(f->rules);
}

int fog_stages_round(struct fog *f)
{
    return site_rules_round(f->rules);
}
