/* fog_config.h - the configuration of a fog: one row per key in fog_config.c. Threads: values. */
#ifndef FOGLINE_FOG_FOG_CONFIG_H
#define FOGLINE_FOG_FOG_CONFIG_H

#include "ctl/settings.h"
#include "fog/meter_config.h"
#include "fog/uplink_config.h"

struct fog_config {
    struct ctl_settings common;
    int64_t health_s;
    uint64_t history_max_bytes;   /* 0: a quarter of the map */
    int64_t history_max_age_ms;   /* 0: no history */
    uint64_t drill_bytes_per_day; /* 0: none */
    struct config_list outputs;   /* items: struct output_config */
    struct config_list rules;     /* items: struct site_rule_config */
    struct config_list models;    /* items: struct models_config */
    struct config_list uplink, budgets;
};

extern const struct config_schema fog_schema;

#endif
