#include "fog/models_config.h"

#include "score/model_use.h"

#include <stdio.h>
#include <string.h>

#define AT(member) CONFIG_AT(struct models_config, member)

static const struct config_row common[] = {
    {"name", CONFIG_NAME, AT(name), .required = true,
     .help = "Name of what it says: the group of its channels, DEVICE.NAME.OUTPUT of this fog."},
    {"select", CONFIG_PATTERN, AT(select), .required = true,
     .help = "SITE/DEVICE, a pattern: each device that it selects has a state of its own."},
    {"inputs", CONFIG_STRINGS, AT(inputs), .min = "1", .max = "64", .item = CONFIG_NAME, .required = true,
     .help = "Channels of the device. A row of the group that holds the first one is a step; of the others "
             "the latest reading counts."},
    {"interval_ms", CONFIG_MS, AT(interval_ms), .max = "30 d", .def = "0",
     .help = "A step is the first row in each multiple of this, by the times of the rows; 0: each row."},
    {"stale_ms", CONFIG_MS, AT(stale_ms), .max = "30 d", .def = "0",
     .help = "A reading of another group that is older than this counts as absent; 0: however old."},
    {NULL},
};

static const struct config_row detector_rows[] = {
    DETECTOR_ROWS(struct models_config, detector),
    {NULL},
};

static const struct config_row model_rows[] = {
    {"file", CONFIG_PATH, AT(file), .required = true, .help = "Model file, as fogline-model writes it."},
    {"keys", CONFIG_STRINGS, AT(keys), .max = "8",
     .help = "Public keys (Ed25519, 64 hexadecimal digits) one of which must have signed the file."},
    {"allow_unsigned", CONFIG_BOOL, AT(allow_unsigned), .def = "false",
     .help = "Files that nobody signed are taken, too."},
    {"arena_bytes", CONFIG_BYTES, AT(arena_bytes), .min = "4 KiB", .max = "256 MiB", .def = "1 MiB",
     .help = "Memory that its computed values may take; a model that needs more is refused."},
    {NULL},
};

const struct config_kind models_kinds[] = {
    [MODELS_DETECTOR] = {"detector", detector_rows, common, sizeof(struct models_config),
                         "Finds anomalies without a model: it learns from the first rows of each device."},
    [MODELS_MODEL] = {"model", model_rows, common, sizeof(struct models_config),
                      "Runs a model file on the readings of each device."},
    {NULL},
};

static void check_select(const struct models_config *m, const char *field, struct config_check *c)
{
    char at[CONFIG_FIELD_CHARS];
    unsigned parts = 1;

    for (const char *s = m->select; *s != '\0'; s++)
        parts += *s == '/';
    snprintf(at, sizeof at, "%s.select", field);
    if (m->select[0] != '\0' && (parts != 2 || strchr(m->select, '=') != NULL))
        config_complain(c, at, "Write SITE/DEVICE, for example \"*/pump-*\".", "\"%s\" names no devices",
                        m->select);
}

static void check_detector(const struct models_config *m, const char *field, struct config_check *c)
{
    struct detector_spec spec;
    struct errmsg err;
    char at[CONFIG_FIELD_CHARS];

    detector_settings_check(&m->detector, m->inputs.n, field, "fogctl config doc", c);
    if (detector_settings_spec(&m->detector, m->inputs.n, &spec, &err) != 0 ||
        detector_state_bytes(&spec) <= MODELS_STATE_MAX_BYTES)
        return;
    snprintf(at, sizeof at, "%s.inputs", field);
    config_complain(c, at, "Name fewer inputs, or choose another method or a shorter window.",
                    "what it learns would take %zu bytes of each device, at most %d are kept",
                    detector_state_bytes(&spec), MODELS_STATE_MAX_BYTES);
}

void models_config_check(const struct config_list *models, bool has_history, struct config_check *c)
{
    for (size_t i = 0; i < models->n; i++) {
        const struct models_config *m = models->at[i].value;
        char field[CONFIG_FIELD_CHARS];

        snprintf(field, sizeof field, "models[%zu]", i);
        check_select(m, field, c);
        if (models->at[i].kind == MODELS_DETECTOR)
            check_detector(m, field, c);
        else
            model_keys_check(&m->keys, m->allow_unsigned, field, c);
    }
    if (models->n > 0 && !has_history)
        config_complain(c, "models", "Raise history.max_age, or take the models away.",
                        "what readings mean is looked up in the history, and none is kept");
}
