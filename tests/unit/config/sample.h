/* sample.h - a schema with every type, for the tests and the fuzzer of the config module. */
#ifndef FOGLINE_TESTS_CONFIG_SAMPLE_H
#define FOGLINE_TESTS_CONFIG_SAMPLE_H

#include "config/config.h"

struct sample_channel {
    char name[65], unit[16];
    double low;
};

struct sample_source {
    char name[65];
    int64_t period_ms;
};

struct sample_csv {
    struct sample_source source;
    char path[128];
    bool loop;
    struct config_list channels; /* struct sample_channel */
};

struct sample_sine {
    struct sample_source source;
    double amplitude, frequency_hz;
};

enum sample_order { SAMPLE_OLDEST, SAMPLE_NEWEST };
enum { SAMPLE_CSV, SAMPLE_SINE };

struct sample {
    char site[65], node[65], note[32];
    enum sample_order order;
    char up_endpoint[128];
    int64_t connect_timeout_ms, offset;
    uint64_t batch_samples, spool_bytes;
    double ratio, alarm;
    char state_path[128], select[64];
    struct config_strings tags, listen;
    struct config_list sources;
    bool verbose;
};

extern const struct config_schema sample_schema;

#endif
