/* cloudctl ask: one query over the histories of all sites, joined here. */
#include "cloud/ctl_desk.h"
#include "cloud/ctl_private.h"

#include "archive/ctl_query.h"
#include "archive/query_part.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/name.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 50, WAIT_S = 15, WAIT_MAX_S = 600, PARTS_MAX = 1024, TEXT_CHARS = 256 };

/* A fog that was asked. */
struct asked {
    const struct upper_port_node *fog;
    uint64_t counter;
    bool is_settled, is_good; /* its reply is here; ... and says something */
    int64_t ms;               /* until then */
    char text[TEXT_CHARS];    /* of the reply */
    struct buf parts[PARTS_MAX];
    uint32_t n_parts, n_here; /* 0: no part is here */
};

struct asking {
    struct ctl *ctl;
    struct query_ask ask;
    struct desk desk;
    struct asked *at;
    size_t n, n_settled, n_good;
    struct query_gather *gather;
    struct wire_arena *arena;
    struct asked *looked_for;
};

static void asking_deinit(struct asking *a)
{
    for (size_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < a->at[i].n_parts; k++)
            buf_deinit(&a->at[i].parts[k]);
    free(a->at);
    query_gather_free(a->gather);
    wire_arena_free(a->arena);
    desk_deinit(&a->desk);
}

/* ---- asking ---- */

/* The first part of a pattern that is no condition names sites. */
static bool site_is_meant(const char *pattern, const char *site)
{
    while (*pattern != '\0') {
        size_t n = strcspn(pattern, "/");
        char part[512];

        if (memchr(pattern, '=', n) == NULL && n < sizeof part) {
            snprintf(part, sizeof part, "%.*s", (int)n, pattern);
            return pattern_match(part, site, "", "", NULL);
        }
        pattern += n + (pattern[n] == '/');
    }
    return true;
}

static unsigned fogs_of(const struct desk *d, const char *site)
{
    unsigned n = 0;

    for (size_t i = 0; i < d->nodes.n; i++)
        n += desk_is_fog(&d->nodes.at[i]) && strcmp(d->nodes.at[i].site, site) == 0;
    return n;
}

/* Where a site has several fogs a reading may stand in two of them: it is flagged in the one that got it
 * later. */
static int ask_one(struct asking *a, const struct upper_port_node *fog)
{
    struct command c = {.type = FOGLINE__V1__COMMAND_TYPE__COMMAND_TYPE_QUERY};
    struct query_options o = a->ask.q;
    int code;

    o.without_again = fogs_of(&a->desk, fog->site) > 1;
    if (!query_order_format(&o, c.argument, sizeof c.argument))
        return ctl_fail(a->ctl, CTL_USAGE, "the pattern is too long for a command");
    code = desk_issue(a->ctl, &a->desk, fog, &c);
    if (code == CTL_OK)
        a->at[a->n++] = (struct asked){.fog = fog, .counter = c.counter};
    return code;
}

static int ask_all(struct asking *a)
{
    int code = CTL_OK;

    a->at = calloc(a->desk.nodes.n + 1, sizeof *a->at);
    if (a->at == NULL)
        return ctl_fail(a->ctl, CTL_FAILED, "no memory");
    for (size_t i = 0; i < a->desk.nodes.n && code == CTL_OK; i++) {
        const struct upper_port_node *n = &a->desk.nodes.at[i];

        if (desk_is_fog(n) && site_is_meant(a->ask.q.pattern, n->site))
            code = ask_one(a, n);
    }
    if (code == CTL_OK && a->n == 0)
        code = ctl_fail(a->ctl, CTL_NOT_FOUND,
                        "no fog of a site that `%s` means is on the list; see `cloudctl enroll list`",
                        a->ask.q.pattern);
    return code;
}

/* ---- gathering ---- */

static int on_reply(void *ctx, const struct view_other *o)
{
    struct asking *a = ctx;
    struct asked *one = a->looked_for;
    Fogline__V1__Reply *m;

    wire_arena_reset(a->arena);
    if (wire_reply_unpack(a->arena, o->record.payload, &m) != 0 || m->counter != one->counter)
        return 0;
    snprintf(one->text, sizeof one->text, "%s", m->text);
    if (!m->ok || m->parts == 0 || m->parts > PARTS_MAX) {
        one->is_settled = true;
        return 0;
    }
    one->n_parts = m->parts;
    if (one->parts[m->part].len == 0) {
        buf_append(&one->parts[m->part], m->result.data, m->result.len);
        one->n_here++;
    }
    return one->parts[m->part].error;
}

static int join(struct asking *a, struct asked *one)
{
    int r = 0;

    if (one->n_parts == 0 || one->n_here < one->n_parts)
        return 0;
    for (uint32_t i = 0; i < one->n_parts && r == 0; i++)
        r = query_gather_add(a->gather, span_of(one->parts[i].data, one->parts[i].len));
    if (r == -EINVAL)
        return ctl_fail(a->ctl, CTL_FAILED, "what %s gave is no answer to this: another version?",
                        one->fog->id);
    if (r < 0)
        return ctl_fail(a->ctl, CTL_FAILED, "no memory");
    one->is_settled = one->is_good = true;
    return CTL_OK;
}

/* The daemon takes a command away when a reply to it is archived: until then there is nothing to look for. */
static bool may_have_replied(const struct asking *a, const struct asked *one)
{
    char path[CTL_FILE_CHARS + 128];

    snprintf(path, sizeof path, "%s/%s-%" PRIu64 ".doc", a->ctl->paths.commands, one->fog->id, one->counter);
    return access(path, F_OK) != 0;
}

static int look_at(struct asking *a, struct reading *rd, struct asked *one, int64_t began_ms)
{
    const struct view_device *d;
    int r = view_reload(rd->view), code;

    if (r < 0)
        return reading_failed(a->ctl, r);
    d = view_find_device(rd->view, one->fog->id);
    if (d == NULL)
        return CTL_OK;
    a->looked_for = one;
    r = view_others(rd->view, d, FOGLINE__V1__KIND__KIND_REPLY, on_reply, a);
    if (r < 0)
        return reading_failed(a->ctl, r);
    code = join(a, one);
    if (code != CTL_OK || !one->is_settled)
        return code;
    one->ms = clock_mono_ms(&clock_real) - began_ms;
    a->n_settled++;
    a->n_good += one->is_good;
    return CTL_OK;
}

static int gather(struct asking *a, struct reading *rd, int64_t wait_s)
{
    const struct timespec pause = {0, LOOK_MS * NS_PER_MS};
    int64_t began_ms = clock_mono_ms(&clock_real);

    while (a->n_settled < a->n && clock_mono_ms(&clock_real) - began_ms < wait_s * 1000) {
        for (size_t i = 0; i < a->n; i++) {
            int code = CTL_OK;

            if (!a->at[i].is_settled && may_have_replied(a, &a->at[i]))
                code = look_at(a, rd, &a->at[i], began_ms);
            if (code != CTL_OK)
                return code;
        }
        if (a->n_settled < a->n)
            (void)nanosleep(&pause, NULL);
    }
    return CTL_OK;
}

/* Nobody waits for these any more: a site that comes back later is not asked. */
static void withdraw(const struct asking *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (!a->at[i].is_settled &&
            commands_remove(a->ctl->paths.commands, a->at[i].fog->id, a->at[i].counter) < 0)
            ctl_note(a->ctl, "the question to %s could not be withdrawn", a->at[i].fog->id);
}

/* ---- showing ---- */

static const char *outcome(const struct asked *one)
{
    return one->is_good ? "answered" : one->is_settled ? "refused" : "silent";
}

static int show_json(struct asking *a, const struct query_result *res)
{
    owned(json_freep) struct json *j = NULL;
    int code = ctl_json(a->ctl, false, &j);

    if (code != CTL_OK)
        return code;
    json_object(j);
    json_key(j, "rows");
    query_ask_rows(j, &a->ask, res);
    json_key(j, "fogs");
    json_array(j);
    for (size_t i = 0; i < a->n; i++) {
        json_object(j);
        json_kstr(j, "site", a->at[i].fog->site);
        json_kstr(j, "fog", a->at[i].fog->id);
        json_kstr(j, "outcome", outcome(&a->at[i]));
        if (a->at[i].is_settled) {
            json_ki64(j, "after_ms", a->at[i].ms);
            json_kstr(j, "text", a->at[i].text);
        }
        json_object_end(j);
    }
    json_array_end(j);
    json_ku64(j, "left_out_blocks", query_gather_left_out(a->gather));
    json_object_end(j);
    return ctl_json_end(a->ctl, j);
}

static int show(struct asking *a, int64_t wait_s)
{
    struct query_result res = {0};
    int code, r = query_gather_result(a->gather, &res);

    if (r < 0)
        return ctl_fail(a->ctl, CTL_FAILED, "no memory");
    code = a->ctl->json ? show_json(a, &res) : query_ask_text(a->ctl, &a->ask, &res);
    query_result_deinit(&res);
    for (size_t i = 0; i < a->n && !a->ctl->json; i++)
        if (!a->at[i].is_settled)
            ctl_note(a->ctl, "no answer within %" PRId64 " s: site %s (%s); its readings are not in this",
                     wait_s, a->at[i].fog->site, a->at[i].fog->id);
        else if (!a->at[i].is_good)
            ctl_note(a->ctl, "not answered: site %s (%s): %s", a->at[i].fog->site, a->at[i].fog->id,
                     a->at[i].text);
    if (query_gather_left_out(a->gather) > 0 && !a->ctl->json)
        ctl_note(a->ctl,
                 "left out: %" PRIu64 " blocks of sites with several fogs that may stand in two of them",
                 query_gather_left_out(a->gather));
    if (code != CTL_OK || a->n_good == a->n)
        return code;
    return a->n_settled < a->n ? CTL_TIMEOUT : CTL_FAILED;
}

int verb_ask(struct ctl *ctl)
{
    owned(asking_deinit) struct asking a = {.ctl = ctl};
    owned(reading_close) struct reading rd = {0};
    int64_t wait_s;
    int code = query_ask_read(ctl, &a.ask);

    if (code == CTL_OK)
        code = ctl_option_i64(ctl, "wait", 1, WAIT_MAX_S, WAIT_S, &wait_s);
    if (code == CTL_OK)
        code = reading_open(ctl, &rd);
    if (code == CTL_OK)
        code = desk_open(ctl, &a.desk);
    if (code != CTL_OK)
        return code;
    if (query_gather_new(&a.gather, &a.ask.q) < 0 || wire_arena_new(&a.arena, 512 * 1024) < 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    code = ask_all(&a);
    if (code == CTL_OK)
        code = gather(&a, &rd, wait_s);
    withdraw(&a);
    return code == CTL_OK ? show(&a, wait_s) : code;
}
