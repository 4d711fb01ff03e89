#include "link/gate_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_key(const void *a, const void *b)
{
    return memcmp(((const struct gate_node *)a)->transport, ((const struct gate_node *)b)->transport,
                  KEY_BYTES);
}

static int compare_id(const void *a, const void *b, void *nodes)
{
    const struct gate_node *at = nodes;
    return strcmp(at[*(const size_t *)a].id, at[*(const size_t *)b].id);
}

static bool nodes_ok(const struct gate_node *sorted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sorted[i].id[0] == '\0' || memchr(sorted[i].id, '\0', GATE_NAME_BYTES) == NULL)
            return false;
        if (i > 0 && compare_key(&sorted[i - 1], &sorted[i]) == 0)
            return false;
    }
    return true;
}

int gate_list_init(struct gate_list *ret_l, const struct gate_node *nodes, size_t n)
{
    struct gate_list l = {.n = n};
    if (n == 0) {
        *ret_l = l;
        return 0;
    }
    l.by_key = calloc(n, sizeof *l.by_key);
    l.by_id = calloc(n, sizeof *l.by_id);
    if (l.by_key == NULL || l.by_id == NULL) {
        gate_list_deinit(&l);
        return -ENOMEM;
    }
    memcpy(l.by_key, nodes, n * sizeof *nodes);
    qsort(l.by_key, n, sizeof *l.by_key, compare_key);
    if (!nodes_ok(l.by_key, n)) {
        gate_list_deinit(&l);
        return -EINVAL;
    }
    for (size_t i = 0; i < n; i++)
        l.by_id[i] = i;
    qsort_r(l.by_id, n, sizeof *l.by_id, compare_id, l.by_key);
    *ret_l = l;
    return 0;
}

void gate_list_deinit(struct gate_list *l)
{
    free(l->by_key);
    free(l->by_id);
    *l = (struct gate_list){0};
}

const struct gate_node *gate_list_find(const struct gate_list *l, const uint8_t transport[KEY_BYTES])
{
    struct gate_node wanted;
    memcpy(wanted.transport, transport, KEY_BYTES);
    return l->n == 0 ? NULL : bsearch(&wanted, l->by_key, l->n, sizeof *l->by_key, compare_key);
}

bool gate_list_allows(const struct gate_list *l, const char *id)
{
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(l->by_key[l->by_id[middle]].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < l->n && strcmp(l->by_key[l->by_id[low]].id, id) == 0; low++)
        if (!l->by_key[l->by_id[low]].revoked)
            return true;
    return false;
}

void gate_ring_add(struct gate_ring *r, const uint8_t transport[KEY_BYTES], const char *address, bool revoked,
                   int64_t now_unix_ns)
{
    struct gate_refusal row = {.first_unix_ns = now_unix_ns};
    memcpy(row.transport, transport, KEY_BYTES);
    size_t i = 0;
    while (i < r->n && memcmp(r->at[i].transport, transport, KEY_BYTES) != 0)
        i++;
    if (i < r->n)
        row = r->at[i];
    else if (r->n < GATE_REFUSED_MAX)
        r->n++;
    else
        i--; /* the oldest one goes */
    memmove(r->at + 1, r->at, i * sizeof r->at[0]);
    row.count++;
    row.revoked = revoked;
    row.last_unix_ns = now_unix_ns;
    snprintf(row.address, sizeof row.address, "%s", address);
    r->at[0] = row;
}
