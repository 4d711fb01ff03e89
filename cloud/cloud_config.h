/* cloud_config.h - the collector's configuration. */
#ifndef FOGLINE_CLOUD_CLOUD_CONFIG_H
#define FOGLINE_CLOUD_CLOUD_CONFIG_H

#include "ctl/settings.h"

struct cloud_config {
    struct ctl_settings common; /* without site and up */
    struct config_strings reduce_sites;
    uint64_t store_map_max_bytes;
};

extern const struct config_schema cloud_schema;

#endif
