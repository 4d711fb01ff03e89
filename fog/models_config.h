/* models_config.h - what the configuration says of detectors and models on readings of devices: `models`.
 *
 * Tables and their struct; the cross-checks. Values; no hidden state. */
#ifndef FOGLINE_FOG_MODELS_CONFIG_H
#define FOGLINE_FOG_MODELS_CONFIG_H

#include "base/name.h"
#include "score/detector_config.h"

enum { MODELS_MAX = 32, MODELS_INPUTS_MAX = 64, MODELS_STATE_MAX_BYTES = 60 * 1024 };

enum models_kind { MODELS_DETECTOR, MODELS_MODEL };

struct models_config {
    char name[NAME_PART_CHARS + 1];
    char select[256];
    struct config_strings inputs; /* channels of each device */
    int64_t interval_ms, stale_ms;
    struct detector_settings detector;
    char file[512];
    struct config_strings keys;
    bool allow_unsigned;
    uint64_t arena_bytes;
};

extern const struct config_kind models_kinds[]; /* by enum models_kind */

void models_config_check(const struct config_list *models, bool has_history, struct config_check *c);

#endif
