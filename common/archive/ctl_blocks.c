/* store blocks: what the archive holds, set by set, and what of it does not decode. */
#include "archive/ctl_reading.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/table.h"

#include <inttypes.h>

enum { ENCODINGS = BLOCK_ENCODING_SMALL + 1, UNDECODED_MAX = 1000 };

struct tally {
    uint64_t blocks, rows, samples, payload_bytes, body_bytes;
};

struct undecoded {
    const struct view_set *set;
    struct id128 epoch;
    int64_t time_ns;
    uint64_t seq;
    uint32_t encoding, samples;
    const char *why;
};

struct blocks {
    struct ctl *ctl;
    struct view *view;
    struct table *table;
    struct json *json;
    struct tally of[ENCODINGS]; /* of the set under way; 0: unknown encodings */
    struct undecoded *bad;
    size_t n_bad;
};

static void on_undecoded(void *ctx, const struct view_block *b, const char *why)
{
    struct blocks *all = ctx;

    if (all->n_bad == UNDECODED_MAX)
        return;
    all->bad[all->n_bad++] = (struct undecoded){.set = b->set,
                                                .epoch = b->epoch,
                                                .time_ns = b->key.time_first_ns,
                                                .seq = b->key.seq,
                                                .encoding = b->head.encoding,
                                                .samples = b->head.samples,
                                                .why = why};
}

static int on_block(void *ctx, const struct view_block *b)
{
    struct blocks *all = ctx;
    struct tally *t = &all->of[b->head.encoding < ENCODINGS ? b->head.encoding : 0];
    const struct block *decoded;
    int r;

    t->blocks++;
    t->rows += b->head.rows;
    t->samples += b->head.samples;
    t->payload_bytes += b->payload_bytes;
    t->body_bytes += b->head.body.len;
    if (b->set->group == NULL)
        return 0; /* its descriptor has not come */
    r = view_decode(all->view, b, -1, &decoded);
    return r < 0 ? r : 0;
}

static void tally_json(struct json *j, const struct view_set *set, unsigned encoding, const struct tally *t)
{
    char id[24];

    snprintf(id, sizeof id, "%016" PRIx64, set->id);
    json_object(j);
    json_kstr(j, "site", set->device->site);
    json_kstr(j, "device", set->device->name);
    json_kstr(j, "group", set->group != NULL ? set->group : "");
    json_kstr(j, "set", id);
    json_ku64(j, "channels", set->n_channels);
    json_kstr(j, "encoding", block_encoding_name(encoding));
    json_ku64(j, "blocks", t->blocks);
    json_ku64(j, "rows", t->rows);
    json_ku64(j, "samples", t->samples);
    json_ku64(j, "payload_bytes", t->payload_bytes);
    json_ku64(j, "body_bytes", t->body_bytes);
    json_object_end(j);
}

static void tally_text(struct table *table, const struct view_set *set, unsigned encoding,
                       const struct tally *t)
{
    table_cell(table, set->device->site);
    table_cell(table, set->device->name);
    table_cell(table, set->group != NULL ? set->group : "-");
    table_cellf(table, "%016" PRIx64, set->id);
    table_cell(table, block_encoding_name(encoding));
    table_cellf(table, "%" PRIu64, t->blocks);
    table_cellf(table, "%" PRIu64, t->samples);
    table_cellf(table, "%" PRIu64, t->payload_bytes);
    table_cellf(table, "%.2f", t->samples > 0 ? (double)t->payload_bytes / (double)t->samples : 0.0);
}

static int scan_set(struct blocks *all, const struct view_set *set)
{
    static const struct view_range range = {INT64_MIN, INT64_MAX};
    int r;

    memset(all->of, 0, sizeof all->of);
    r = view_scan(all->view, set, &range, on_block, all);
    for (unsigned e = 0; e < ENCODINGS && r == 0; e++) {
        if (all->of[e].blocks == 0)
            continue;
        if (all->json != NULL)
            tally_json(all->json, set, e, &all->of[e]);
        else
            tally_text(all->table, set, e, &all->of[e]);
    }
    return r;
}

static int scan_all(struct blocks *all, const struct view_device *only)
{
    int r = 0;

    for (size_t i = 0; i < view_n_devices(all->view) && r == 0; i++) {
        const struct view_device *d = view_device_at(all->view, i);

        for (size_t k = 0; k < d->n_sets && r == 0 && (only == NULL || only == d); k++)
            r = scan_set(all, &d->sets[k]);
    }
    return r;
}

static void bad_json(struct json *j, const struct undecoded *b)
{
    char id[24], epoch[ID128_HEX_CHARS + 1], time[48];

    snprintf(id, sizeof id, "%016" PRIx64, b->set->id);
    id128_hex(&b->epoch, epoch);
    json_object(j);
    json_kstr(j, "device", b->set->device->name);
    json_kstr(j, "set", id);
    json_kstr(j, "time", clock_format_utc(b->time_ns, time));
    json_kstr(j, "epoch", epoch);
    json_ku64(j, "seq", seq_count(b->seq));
    json_ku64(j, "samples", b->samples);
    json_kstr(j, "encoding", block_encoding_name(b->encoding));
    json_kstr(j, "why", b->why);
    json_object_end(j);
}

static int print_bad(struct blocks *all)
{
    static const struct table_column columns[] = {{"device", false},   {"set", false}, {"time", false},
                                                  {"epoch", false},    {"seq", true},  {"samples", true},
                                                  {"encoding", false}, {"why", false}};
    owned(table_freep) struct table *t = NULL;
    char epoch[ID128_HEX_CHARS + 1], time[48];

    if (all->n_bad == 0)
        return CTL_OK;
    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) < 0)
        return ctl_fail(all->ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < all->n_bad; i++) {
        const struct undecoded *b = &all->bad[i];

        id128_hex(&b->epoch, epoch);
        table_cell(t, b->set->device->name);
        table_cellf(t, "%016" PRIx64, b->set->id);
        table_cell(t, clock_format_utc(b->time_ns, time));
        table_cell(t, epoch);
        table_cellf(t, "%" PRIu64, seq_count(b->seq));
        table_cellf(t, "%" PRIu32, b->samples);
        table_cell(t, block_encoding_name(b->encoding));
        table_cell(t, b->why);
    }
    fprintf(all->ctl->out, "\nblocks that do not decode\n");
    return table_print(t, all->ctl->out, all->ctl->color) < 0 ? CTL_FAILED : CTL_OK;
}

static int show_json(struct blocks *all, const struct view_device *only, int *ret_r)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(all->ctl, false, &j);

    if (code != CTL_OK)
        return code;
    all->json = j;
    json_object(j);
    json_key(j, "sets");
    json_array(j);
    *ret_r = scan_all(all, only);
    json_array_end(j);
    json_ku64(j, "undecoded_blocks",
              view_faults(all->view)->blocks_damaged + view_faults(all->view)->encodings_unknown);
    json_key(j, "undecoded"); /* the first UNDECODED_MAX of them */
    json_array(j);
    for (size_t i = 0; i < all->n_bad; i++)
        bad_json(j, &all->bad[i]);
    json_array_end(j);
    json_object_end(j);
    return ctl_json_end(all->ctl, j);
}

static int show_text(struct blocks *all, const struct view_device *only, int *ret_r)
{
    static const struct table_column columns[] = {
        {"site", false},  {"device", false}, {"group", false}, {"set", false},        {"encoding", false},
        {"blocks", true}, {"samples", true}, {"bytes", true},  {"bytes/sample", true}};
    owned(table_freep) struct table *t = NULL;

    if (table_new(&t, columns, sizeof columns / sizeof columns[0]) < 0)
        return ctl_fail(all->ctl, CTL_FAILED, "no memory");
    all->table = t;
    *ret_r = scan_all(all, only);
    if (table_print(t, all->ctl->out, all->ctl->color) < 0)
        return CTL_FAILED;
    return print_bad(all);
}

int verb_store_blocks(struct ctl *ctl)
{
    owned(reading_close) struct reading rd = {0};
    owned(free_ptr) struct undecoded *bad = calloc(UNDECODED_MAX, sizeof *bad);
    struct blocks all = {.ctl = ctl, .bad = bad};
    const struct view_device *only = NULL;
    int code = reading_open(ctl, &rd), r = 0;

    if (code != CTL_OK)
        return code;
    if (bad == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    if (ctl->n_args > 0) {
        only = view_find_device(rd.view, ctl->args[0]);
        if (only == NULL)
            return ctl_fail(ctl, CTL_NOT_FOUND, "the store knows no device `%s`", ctl->args[0]);
    }
    all.view = rd.view;
    view_on_undecoded(rd.view, on_undecoded, &all); /* listed here, not named one by one */
    code = ctl->json ? show_json(&all, only, &r) : show_text(&all, only, &r);
    if (r < 0)
        return reading_failed(ctl, r);
    return reading_verdict(ctl, &rd, code);
}
