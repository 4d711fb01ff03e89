#include "ctl/drill_order.h"

#include "base/name.h"
#include "base/numfmt.h"

#include <inttypes.h>
#include <stdio.h>

void drill_order_format(const struct drill_order *d, char out[COMMAND_ARGUMENT_CHARS])
{
    snprintf(out, COMMAND_ARGUMENT_CHARS, "%s %" PRId64 " %" PRId64 " %" PRIu64, d->device, d->from_ns,
             d->to_ns, d->max_bytes);
}

/* The next word; false when there is none. */
static bool word(const char **at, const char **ret_word, size_t *ret_len)
{
    *ret_word = *at;
    *ret_len = strcspn(*at, " ");
    *at += *ret_len;
    if (**at == ' ')
        (*at)++;
    return *ret_len > 0;
}

bool drill_order_parse(const char *argument, struct drill_order *ret_d)
{
    int64_t number[3];
    const char *at = argument, *w;
    size_t n;

    if (!word(&at, &w, &n) || !name_part_ok(w, n))
        return false;
    *ret_d = (struct drill_order){.max_bytes = 0};
    memcpy(ret_d->device, w, n);
    for (unsigned i = 0; i < 3; i++)
        if (!word(&at, &w, &n) || !numfmt_parse_i64(w, n, &number[i]))
            return false;
    ret_d->from_ns = number[0];
    ret_d->to_ns = number[1];
    ret_d->max_bytes = (uint64_t)number[2];
    return *at == '\0' && number[0] < number[1] && number[2] >= 0;
}
