/* schema.h - walking rows and structs. Inside common/config only. */
#ifndef FOGLINE_CONFIG_SCHEMA_H
#define FOGLINE_CONFIG_SCHEMA_H

#include "config/config.h"

/* The rows of a struct: those shared by the kinds, then its own. */
struct row_table {
    const struct config_row *common, *rows;
    size_t n_common, n;
};

struct row_table table_of_schema(const struct config_schema *s);
struct row_table table_of_kind(const struct config_kind *k);
static inline const struct config_row *table_row(const struct row_table *t, size_t i)
{
    return i < t->n_common ? &t->common[i] : &t->rows[i - t->n_common];
}
const struct config_row *table_find(const struct row_table *t, const char *path);

/* Gives the row's default to its field (zeroed memory). 0 or -ENOMEM; a default that does not parse leaves it
 * zero. */
must_check int row_default(const struct config_row *row, const char *folder, void *values);
void table_free_values(const struct row_table *t, void *values);

static inline void *row_field(const struct config_row *row, void *values)
{
    return (char *)values + row->offset;
}

static inline const void *row_field_const(const struct config_row *row, const void *values)
{
    return (const char *)values + row->offset;
}

#endif
