#include "device/source.h"

/* The kinds of sources, in the order in which the configuration's reference lists them. */
const struct source_kind *const source_kinds[] = {
    &source_csv, &source_host, &source_plant, &source_socket, NULL,
};

const struct config_row source_config_rows[] = {
    {"name", CONFIG_NAME, CONFIG_AT(struct source_config, name), .required = true,
     .help = "Name of the source, unique on this device. Its read position is kept under it."},
    {0},
};
