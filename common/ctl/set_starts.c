#include "ctl/set_starts.h"

int set_starts_new(struct block_starts **ret_s, const Fogline__V1__DescriptorSet *set)
{
    enum column_type types[BLOCK_COLUMNS_MAX];
    double bounds[BLOCK_COLUMNS_MAX];
    struct span columns[BLOCK_COLUMNS_MAX];
    struct block_start_bytes bytes = {bounds, columns, wire_span(set->time_start)};
    uint32_t n = set->n_channels < BLOCK_COLUMNS_MAX ? (uint32_t)set->n_channels : BLOCK_COLUMNS_MAX;

    for (uint32_t i = 0; i < n; i++) {
        types[i] = (enum column_type)set->channels[i]->type;
        bounds[i] = set->channels[i]->error_bound;
        columns[i] = wire_span(set->channels[i]->start);
    }
    return block_starts_new(ret_s, types, n, &bytes);
}
