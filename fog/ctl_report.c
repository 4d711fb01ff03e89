/* report devices, queues, links: from the store and, of what only a running fog knows, from its last status.
 */
#include "archive/ctl_reading.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/jtree.h"
#include "ctl/status.h"
#include "ctl/store_walk.h"
#include "fog/covers_walk.h"
#include "fog/fog_ctl.h"
#include "fog/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a report is made of; zero is empty. */
struct source {
    struct reading reading;
    struct walk_streams streams;
    struct covers_tallies covers;
    struct jtree *status; /* NULL: there is none */
    const struct jnode *facts;
    bool is_running;
};

static void source_close(struct source *s)
{
    covers_tallies_deinit(&s->covers);
    walk_streams_deinit(&s->streams);
    reading_close(&s->reading);
    jtree_free(s->status);
}

static int source_open(struct ctl *ctl, struct source *s)
{
    int code = reading_open(ctl, &s->reading), r;

    if (code != CTL_OK)
        return code;
    r = walk_streams_read(s->reading.db, &s->streams);
    if (r == 0)
        r = covers_tallies_read(s->reading.db, &s->covers);
    if (r < 0)
        return reading_failed(ctl, r);
    if (jtree_read(ctl->paths.status, &s->status) == 0)
        s->facts = jnode_get(jtree_root(s->status), "facts");
    s->is_running = status_running(ctl->paths.status, clock_wall_unix_ns(&clock_real), NULL);
    return CTL_OK;
}

/* ---- devices ---- */

struct device {
    char name[SPOOL_NAME_BYTES];
    uint64_t held_records, held_bytes;
    struct covers_tally covers;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct device *)a)->name, ((const struct device *)b)->name);
}

static struct device *device_of(struct device *devices, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(devices[i].name, name) == 0)
            return &devices[i];
    snprintf(devices[*n].name, sizeof devices[*n].name, "%s", name);
    return &devices[(*n)++];
}

static const struct jnode *linked(const struct source *s, const char *name)
{
    const struct jnode *list = jnode_get(s->facts, "devices");

    for (size_t i = 0; i < jnode_n(list); i++)
        if (strcmp(jnode_text(jnode_get(jnode_at(list, i), "device")), name) == 0)
            return jnode_at(list, i);
    return NULL;
}

static int note_newest(void *ctx, const struct view_block *b)
{
    int64_t *newest = ctx, last = b->key.time_first_ns + (int64_t)b->head.time_span_ns;

    if (last > *newest)
        *newest = last;
    return 1;
}

/* Of the readings here; INT64_MIN: there are none. */
static int64_t newest_of(const struct source *s, const char *name)
{
    const struct view_device *d = view_find_device(s->reading.view, name);
    int64_t newest = INT64_MIN;

    for (size_t i = 0; d != NULL && i < d->n_sets; i++)
        if (view_scan_back(s->reading.view, &d->sets[i], note_newest, &newest) < 0)
            break;
    return newest;
}

static void put_device(struct report *report, const struct source *s, const struct device *d)
{
    const struct jnode *now = s->is_running ? linked(s, d->name) : NULL;
    int64_t newest = newest_of(s, d->name),
            heard = now != NULL ? jnode_i64(jnode_get(now, "last_heard_ms")) : -1;

    report_text(report, d->name);
    report_text(report, now != NULL ? jnode_text(jnode_get(now, "state")) : NULL);
    if (heard >= 0)
        report_number(report, heard);
    else
        report_unknown(report);
    if (newest != INT64_MIN)
        report_number(report, newest);
    else
        report_unknown(report);
    report_number(report, (int64_t)d->held_records);
    report_number(report, (int64_t)d->held_bytes);
    report_number(report, (int64_t)d->covers.waiting);
    report_number(report, (int64_t)d->covers.covered);
    report_number(report, (int64_t)d->covers.said);
}

/* Those with a stream in the store, and those that the running fog knows of. */
static size_t gather(const struct source *s, struct device *devices)
{
    const struct jnode *list = s->is_running ? jnode_get(s->facts, "devices") : NULL;
    size_t n = 0;

    for (size_t i = 0; i < s->streams.n; i++) {
        const struct walk_stream *w = &s->streams.at[i];
        const struct covers_tally *t = covers_tally_of(&s->covers, w->no);
        struct device *d;

        if (w->own)
            continue;
        d = device_of(devices, &n, w->origin);
        for (unsigned l = 0; l < SPOOL_LANES; l++) {
            d->held_records += w->lane[l].held_records;
            d->held_bytes += w->lane[l].held_bytes;
        }
        covers_tally_add(&d->covers, t);
    }
    for (size_t i = 0; i < jnode_n(list); i++)
        (void)device_of(devices, &n, jnode_text(jnode_get(jnode_at(list, i), "device")));
    qsort(devices, n, sizeof devices[0], by_name);
    return n;
}

static int verb_devices(struct ctl *ctl)
{
    static const struct report_column columns[] = {
        {"device", "DEVICE", REPORT_TEXT},
        {"state", "STATE", REPORT_TEXT},
        {"last_heard_ms", "LAST HEARD", REPORT_MS},
        {"newest_unix_ns", "NEWEST READING", REPORT_UNIX_NS},
        {"held_records", "HELD", REPORT_COUNT},
        {"held_bytes", "BYTES", REPORT_BYTES},
        {"waiting_records", "FOR AGGREGATES", REPORT_COUNT},
        {"covered_records", "TO BE TOLD", REPORT_COUNT},
        {"said_records", "TOLD", REPORT_COUNT},
    };
    owned(report_freep) struct report *report = NULL;
    owned(source_close) struct source s = {0};
    owned(free_ptr) struct device *devices = NULL;
    size_t n;
    int code = source_open(ctl, &s);

    if (code == CTL_OK)
        code = report_new(&report, ctl, "devices", columns, sizeof columns / sizeof columns[0]);
    if (code != CTL_OK)
        return code;
    devices = calloc(s.streams.n + jnode_n(jnode_get(s.facts, "devices")) + 1, sizeof *devices);
    if (devices == NULL)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    n = gather(&s, devices);
    for (size_t i = 0; i < n; i++)
        put_device(report, &s, &devices[i]);
    return reading_verdict(ctl, &s.reading, report_end(report, "no device has been here yet"));
}

/* ---- queues ---- */

static void put_queue(struct report *report, const char *name, const char *what, uint64_t records,
                      int64_t bytes)
{
    report_text(report, name);
    report_number(report, (int64_t)records);
    if (bytes >= 0)
        report_number(report, bytes);
    else
        report_unknown(report);
    report_text(report, what);
}

static int verb_queues(struct ctl *ctl)
{
    static const struct report_column columns[] = {{"queue", "QUEUE", REPORT_TEXT},
                                                   {"records", "RECORDS", REPORT_COUNT},
                                                   {"bytes", "BYTES", REPORT_BYTES},
                                                   {"what", "WHAT", REPORT_TEXT}};
    owned(report_freep) struct report *report = NULL;
    owned(source_close) struct source s = {0};
    uint64_t records[2][SPOOL_LANES] = {{0}}, bytes[2][SPOOL_LANES] = {{0}};
    struct covers_tally covers = {0};
    int code = source_open(ctl, &s);

    if (code == CTL_OK)
        code = report_new(&report, ctl, "queues", columns, sizeof columns / sizeof columns[0]);
    if (code != CTL_OK)
        return code;
    for (size_t i = 0; i < s.streams.n; i++) {
        const struct walk_stream *w = &s.streams.at[i];

        for (unsigned l = 0; l < SPOOL_LANES; l++) {
            records[w->own][l] += w->lane[l].held_records;
            bytes[w->own][l] += w->lane[l].held_bytes;
        }
        covers_tally_add(&covers, covers_tally_of(&s.covers, w->no));
    }
    put_queue(report, "urgent", "alarms and events of devices", records[0][1], (int64_t)bytes[0][1]);
    put_queue(report, "urgent_own", "alarms, events and ledger of this fog", records[1][1],
              (int64_t)bytes[1][1]);
    put_queue(report, "ordinary", "readings and reports of devices", records[0][0], (int64_t)bytes[0][0]);
    put_queue(report, "ordinary_own", "aggregates and reports of this fog", records[1][0],
              (int64_t)bytes[1][0]);
    put_queue(report, "waiting", "withheld, waiting for what stands for them", covers.waiting, -1);
    put_queue(report, "covered", "withheld, to be told to the cloud", covers.covered, -1);
    put_queue(report, "said", "withheld and told, not confirmed yet", covers.said, -1);
    return reading_verdict(ctl, &s.reading, report_end(report, ""));
}

/* ---- links ---- */

static void put_link(struct report *report, const struct jnode *l, bool up)
{
    report_text(report, up ? "up" : "down");
    report_text(report, jnode_text(jnode_get(l, up ? "upstream" : "device")));
    report_text(report, jnode_text(jnode_get(l, up ? "link" : "state")));
    report_number(report, jnode_i64(jnode_get(l, up ? "since_ms" : "last_heard_ms")));
    if (up) {
        report_unknown(report);
        report_unknown(report);
    } else {
        report_number(report, jnode_i64(jnode_get(l, "records")));
        report_number(report, jnode_i64(jnode_get(l, "record_bytes")));
    }
    report_text(report, up ? NULL : jnode_text(jnode_get(l, "software")));
}

static int verb_links(struct ctl *ctl)
{
    static const struct report_column columns[] = {
        {"way", "WAY", REPORT_TEXT},          {"peer", "PEER", REPORT_TEXT},
        {"state", "STATE", REPORT_TEXT},      {"since_ms", "SINCE", REPORT_MS},
        {"records", "RECORDS", REPORT_COUNT}, {"bytes", "BYTES", REPORT_BYTES},
        {"software", "SOFTWARE", REPORT_TEXT}};
    owned(report_freep) struct report *report = NULL;
    owned(jtree_freep) struct jtree *status = NULL;
    const struct jnode *facts, *devices;
    int code = ctl_load(ctl);

    if (code != CTL_OK)
        return code;
    if (!status_running(ctl->paths.status, clock_wall_unix_ns(&clock_real), NULL) ||
        jtree_read(ctl->paths.status, &status) != 0)
        return ctl_fail(ctl, CTL_UNREACHABLE, "%s is not running, and has no links; see `%s status`",
                        ctl->tier->daemon, ctl->tier->cli);
    code = report_new(&report, ctl, "links", columns, sizeof columns / sizeof columns[0]);
    if (code != CTL_OK)
        return code;
    facts = jnode_get(jtree_root(status), "facts");
    devices = jnode_get(facts, "devices");
    put_link(report, jnode_get(facts, "up"), true);
    for (size_t i = 0; i < jnode_n(devices); i++)
        if (jnode_i64(jnode_get(jnode_at(devices, i), "last_heard_ms")) >= 0)
            put_link(report, jnode_at(devices, i), false);
    return report_end(report, "");
}

static const struct cmd_option bytes_options[] = {
    {"months", 'm', NULL, "by month, not by day"},
    {"last", 'n', "N", "so many days (7) or months (12)"},
    {NULL},
};
static const struct cmd_option why_options[] = {
    {"epoch", 0, "HEX", "the epoch that begins with these digits; else the newest that has it"},
    {"lane", 0, "LANE", "0 ordinary (default), 1 urgent"},
    {NULL},
};

const struct cmd fog_ctl_report[] = {
    {"report devices", NULL, 0, 0, "each device: when it was heard, and what of it is here",
     "HELD waits for the cloud. Of what does not go up as it came: FOR AGGREGATES waits for what will stand "
     "for "
     "it, TO BE TOLD is told to the cloud soon, TOLD waits for its answer.",
     NULL, verb_devices},
    {"report queues", NULL, 0, 0, "what waits here, and for what", NULL, NULL, verb_queues},
    {"report links", NULL, 0, 0, "the links upwards and to the devices, as they are now", NULL, NULL,
     verb_links},
    {"report bytes", NULL, 0, 0, "what went over the links upwards, and what budgets leave",
     "Messages as they were handed to the socket, encrypted; TCP and IP come on top. DOUBTFUL: leased when "
     "the fog "
     "was killed; it may have gone.\n\nExample: fogctl report bytes --months",
     bytes_options, verb_report_bytes},
    {"why", "DEVICE SEQ", 2, 2, "what each stage did with a record",
     "DEVICE and SEQ as `fogctl store ls`, `export` and the cloud's `gaps` name records.\n\n"
     "Example: fogctl why pump-3 1207",
     why_options, verb_why},
    {NULL},
};
