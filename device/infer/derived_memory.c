/* derived_memory.c - what outlives the process: of the source itself the latest reading of each input, then
 * what its kind knows. Little-endian as the machine is; whatever comes back is checked. */
#include "device/infer/derived.h"

#include <stdio.h>
#include <string.h>

#define MEMORY_MAGIC 0x31524644u /* "DFR1" */

struct kept_head {
    uint32_t magic, has_step;
    uint64_t inputs; /* hash of their names and the interval */
    int64_t step_no;
};

struct kept_input {
    double value;
    int64_t time_ns;
    uint64_t is_present;
};

static uint64_t hash_text(uint64_t h, const char *text)
{
    do
        h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    while (*text++ != '\0');
    return h;
}

static struct kept_head head_of(const struct derived *d)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)d->interval_ns;

    for (unsigned i = 0; i < d->n_inputs; i++)
        h = hash_text(hash_text(h, d->inputs[i].source_name), d->inputs[i].channel);
    return (struct kept_head){MEMORY_MAGIC, d->has_step, h, d->step_no};
}

size_t derived_remember(const void *self, uint8_t *out, size_t room)
{
    const struct derived *d = self;
    size_t own = sizeof(struct kept_head) + d->n_inputs * sizeof(struct kept_input);
    size_t all = own + (d->save != NULL ? d->save(d->ctx, NULL, 0) : 0);
    struct kept_head head = head_of(d);

    if (d->n_outputs == 0)
        return 0;
    if (all > room)
        return all;
    memcpy(out, &head, sizeof head);
    for (unsigned i = 0; i < d->n_inputs; i++) {
        const struct derived_input *in = &d->inputs[i];
        struct kept_input kept = {in->value, in->time_ns, in->is_present};

        memcpy(out + sizeof head + i * sizeof kept, &kept, sizeof kept);
    }
    if (d->save != NULL)
        d->save(d->ctx, out + own, room - own);
    return all;
}

void derived_recall(struct derived *d, struct span kept)
{
    size_t own = sizeof(struct kept_head) + d->n_inputs * sizeof(struct kept_input);
    struct kept_head head, mine = head_of(d);
    struct errmsg why = {"what it knew is of other inputs: it begins anew"};

    if (kept.len == 0 || d->n_outputs == 0)
        return;
    if (kept.len >= own)
        memcpy(&head, kept.data, sizeof head);
    if (kept.len < own || head.magic != mine.magic || head.inputs != mine.inputs ||
        (d->restore != NULL && d->restore(d->ctx, span_of(kept.data + own, kept.len - own), &why) != 0)) {
        snprintf(d->note, sizeof d->note, "%.190s", why.text);
        return;
    }
    d->has_step = head.has_step != 0;
    d->step_no = head.step_no;
    for (unsigned i = 0; i < d->n_inputs; i++) {
        struct kept_input in;

        memcpy(&in, kept.data + sizeof head + i * sizeof in, sizeof in);
        d->inputs[i].value = in.value;
        d->inputs[i].time_ns = in.time_ns;
        d->inputs[i].is_present = in.is_present != 0;
    }
}
