#include "device/keep/history.h"

#include <errno.h>
#include <stdlib.h>

struct history {
    struct history_sample *at;
    size_t room, first, n;
};

int history_new(struct history **ret_h, size_t bytes)
{
    struct history *h = calloc(1, sizeof *h);

    if (h == NULL)
        return -ENOMEM;
    h->room = bytes / sizeof *h->at;
    h->at = calloc(h->room + 1, sizeof *h->at);
    if (h->at == NULL || h->room == 0) {
        history_free(h);
        return -ENOMEM;
    }
    *ret_h = h;
    return 0;
}

struct history *history_free(struct history *h)
{
    if (h == NULL)
        return NULL;
    free(h->at);
    free(h);
    return NULL;
}

size_t history_n(const struct history *h)
{
    return h->n;
}

struct history_sample *history_at(struct history *h, size_t i)
{
    size_t at = h->first + i;

    return &h->at[at < h->room ? at : at - h->room];
}

void history_add(struct history *h, const struct history_sample *s)
{
    if (h->n < h->room)
        h->n++;
    else
        h->first = h->first + 1 < h->room ? h->first + 1 : 0;
    *history_at(h, h->n - 1) = *s;
}
