#include "device/source.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* The kinds of sources, in the order in which the configuration's reference lists them. */
const struct source_kind *const source_kinds[] = {
    &source_csv,     &source_detector, &source_exec,   &source_gpio,   &source_host,
    &source_hwmon,   &source_iio,      &source_model,  &source_modbus, &source_mqtt,
    &source_onewire, &source_plant,    &source_socket, NULL,
};

const char *const source_encodings[] = {"small", "fast", "raw", NULL};

const struct config_row source_config_rows[] = {
    {"name", CONFIG_NAME, CONFIG_AT(struct source_config, name), .required = true,
     .help = "Name of the source, unique on this device. Its read position is kept under it."},
    {"encoding", CONFIG_ENUM, CONFIG_AT(struct source_config, encoding), .choices = source_encodings,
     .def = "small",
     .help =
         "How its readings are written, on disk and on every link. small: fewest bytes; fast: a few more, a "
         "tenth of the time; raw: readable without the rules of the others."},
    {"channels", CONFIG_LIST, CONFIG_AT(struct source_config, channels), .kinds = channel_kinds,
     .unique = "name", .max = "256",
     .help = "What is said of single channels. All others are taken as the source gives them, and exact."},
    {0},
};

const char *source_refusal(int error)
{
    switch (error) {
    case -ENOSPC:
        return "the device has as many groups of channels as it can have, 128";
    case -EMSGSIZE:
        return "its channels are too many, or named too long, for the ring; raise ring.bytes, 256 KiB takes "
               "any";
    case -EUSERS:
        return "the device has 4096 channels with settings or `keep`; let fewer match an entry of `channels`";
    case -EDOM:
    case -EEXIST:
    case -ENAMETOOLONG:
        return "keep: aggregate finds no columns for one of its channels";
    default:
        return strerror(-error);
    }
}

enum block_encoding source_encoding(const struct source_config *c)
{
    static const enum block_encoding encodings[] = {BLOCK_ENCODING_SMALL, BLOCK_ENCODING_FAST,
                                                    BLOCK_ENCODING_RAW};

    return encodings[c->encoding];
}

void source_waits_check(int64_t first_ms, int64_t max_ms, const char *field, struct config_check *c)
{
    if (max_ms < first_ms)
        config_complain(c, field, "Make it at least as long, or the first wait shorter.",
                        "is shorter than the first wait, %" PRId64 " ms", first_ms);
}
