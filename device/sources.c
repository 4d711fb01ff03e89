#include "device/source.h"

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

enum block_encoding source_encoding(const struct source_config *c)
{
    static const enum block_encoding encodings[] = {BLOCK_ENCODING_SMALL, BLOCK_ENCODING_FAST,
                                                    BLOCK_ENCODING_RAW};

    return encodings[c->encoding];
}
