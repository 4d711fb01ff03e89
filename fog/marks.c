#include "fog/marks.h"

#include <errno.h>
#include <stdlib.h>

enum { MAC_BYTES = 16 };

struct kept {
    struct interval range;
    uint32_t key_id;
    uint8_t mac[MAC_BYTES];
    uint8_t *body;
    size_t body_len;
};

struct lane_marks {
    char origin[SPOOL_NAME_BYTES];
    struct id128 epoch;
    unsigned lane;
    uint64_t changed; /* counts puts: who was changed longest ago makes room */
    struct kept *at;  /* newest first */
    unsigned n;
};

struct marks {
    struct lane_marks **at; /* sorted */
    size_t n, alloc;
    uint64_t n_puts;
};

int marks_new(struct marks **ret_m)
{
    struct marks *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return -ENOMEM;
    *ret_m = m;
    return 0;
}

static void lane_free(struct lane_marks *l)
{
    for (unsigned i = 0; i < l->n; i++)
        free(l->at[i].body);
    free(l->at);
    free(l);
}

void marks_clear(struct marks *m)
{
    for (size_t i = 0; i < m->n; i++)
        lane_free(m->at[i]);
    m->n = 0;
}

struct marks *marks_free(struct marks *m)
{
    if (m == NULL)
        return NULL;
    marks_clear(m);
    free(m->at);
    free(m);
    return NULL;
}

static int order(const struct lane_marks *l, const char *origin, const struct id128 *epoch, unsigned lane)
{
    int r = strcmp(l->origin, origin);

    if (r == 0)
        r = memcmp(l->epoch.bytes, epoch->bytes, ID128_BYTES);
    return r != 0 ? r : (l->lane > lane) - (l->lane < lane);
}

static size_t place_of(const struct marks *m, const char *origin, const struct id128 *epoch, unsigned lane)
{
    size_t low = 0, high = m->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (order(m->at[mid], origin, epoch, lane) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct lane_marks *find(const struct marks *m, const char *origin, const struct id128 *epoch,
                               unsigned lane)
{
    size_t i = place_of(m, origin, epoch, lane);

    return i < m->n && order(m->at[i], origin, epoch, lane) == 0 ? m->at[i] : NULL;
}

static void drop_at(struct marks *m, size_t i)
{
    lane_free(m->at[i]);
    memmove(&m->at[i], &m->at[i + 1], (m->n - i - 1) * sizeof(struct lane_marks *));
    m->n--;
}

static void drop_oldest(struct marks *m)
{
    size_t oldest = 0;

    for (size_t i = 1; i < m->n; i++)
        if (m->at[i]->changed < m->at[oldest]->changed)
            oldest = i;
    drop_at(m, oldest);
}

static struct lane_marks *make(struct marks *m, const char *origin, const struct id128 *epoch, unsigned lane)
{
    struct lane_marks *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return NULL;
    if (m->n == MARKS_STREAMS_MAX)
        drop_oldest(m);
    if (m->n == m->alloc) {
        size_t alloc = m->alloc == 0 ? 64 : 2 * m->alloc;
        struct lane_marks **at = reallocarray(m->at, alloc, sizeof(struct lane_marks *));
        if (at == NULL) {
            free(l);
            return NULL;
        }
        m->at = at;
        m->alloc = alloc;
    }
    memcpy(l->origin, origin, strlen(origin) + 1);
    l->epoch = *epoch;
    l->lane = lane;
    size_t i = place_of(m, origin, epoch, lane);
    memmove(&m->at[i + 1], &m->at[i], (m->n - i) * sizeof(struct lane_marks *));
    m->at[i] = l;
    m->n++;
    return l;
}

/* Those within the new one's range say nothing it does not say; then the oldest, when the lane is full. */
static void make_room(struct lane_marks *l, struct interval range)
{
    unsigned n = 0;

    for (unsigned i = 0; i < l->n; i++) {
        if (l->at[i].range.from >= range.from && l->at[i].range.to <= range.to)
            free(l->at[i].body);
        else
            l->at[n++] = l->at[i];
    }
    l->n = n;
    if (l->n == MARKS_PER_LANE)
        free(l->at[--l->n].body);
}

int marks_put(struct marks *m, const Fogline__V1__MarkBody *body, const Fogline__V1__Mark *mark)
{
    struct kept k = {.range = {body->from, body->to}, .key_id = mark->key_id, .body_len = mark->body.len};
    struct lane_marks *l;
    struct id128 epoch;

    if (!wire_id128(body->epoch, &epoch) || mark->mac.len != MAC_BYTES ||
        strlen(body->origin) >= SPOOL_NAME_BYTES)
        return 0; /* the wire checks these; such a one is of no use to anybody */
    k.body = malloc(mark->body.len + 1);
    if (k.body == NULL)
        return -ENOMEM;
    memcpy(k.body, mark->body.data, mark->body.len);
    memcpy(k.mac, mark->mac.data, MAC_BYTES);
    l = find(m, body->origin, &epoch, body->lane);
    if (l == NULL)
        l = make(m, body->origin, &epoch, body->lane);
    struct kept *at = l == NULL ? NULL : reallocarray(l->at, l->n + 1, sizeof(*at));
    if (at == NULL) {
        free(k.body);
        return -ENOMEM;
    }
    l->at = at;
    make_room(l, k.range);
    memmove(&l->at[1], &l->at[0], l->n * sizeof(l->at[0]));
    l->at[0] = k;
    l->n++;
    l->changed = ++m->n_puts;
    return 0;
}

static Fogline__V1__Mark *copy_of(const struct kept *k, struct wire_arena *a)
{
    Fogline__V1__Mark *m = wire_arena_alloc(a, sizeof(*m));
    uint8_t *bytes = wire_arena_alloc(a, k->body_len + MAC_BYTES);

    if (m == NULL || bytes == NULL)
        return NULL;
    memcpy(bytes, k->mac, MAC_BYTES);
    memcpy(bytes + MAC_BYTES, k->body, k->body_len);
    fogline__v1__mark__init(m);
    m->key_id = k->key_id;
    m->mac = wire_bytes(span_of(bytes, MAC_BYTES));
    m->body = wire_bytes(span_of(bytes + MAC_BYTES, k->body_len));
    return m;
}

size_t marks_get(const struct marks *m, const struct spool_stream *s, unsigned lane, struct interval range,
                 struct wire_arena *a, Fogline__V1__Mark **out, size_t max)
{
    const struct lane_marks *l = find(m, s->origin, &s->epoch, lane);
    size_t n = 0;

    for (unsigned i = 0; l != NULL && i < l->n && n < max; i++) {
        if (l->at[i].range.to < range.from || l->at[i].range.from > range.to)
            continue;
        out[n] = copy_of(&l->at[i], a);
        if (out[n] == NULL)
            break;
        n++;
    }
    return n;
}

void marks_drop(struct marks *m, const struct spool_stream *s)
{
    for (unsigned lane = 0; lane < SPOOL_LANES; lane++) {
        size_t i = place_of(m, s->origin, &s->epoch, lane);
        if (i < m->n && order(m->at[i], s->origin, &s->epoch, lane) == 0)
            drop_at(m, i);
    }
}

size_t marks_count(const struct marks *m)
{
    return m->n;
}
