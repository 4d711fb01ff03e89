/* codec_csv.h - blocks as lines of CSV that csv_reader reads back as the same cells.
 *
 * Commas; first the time, ISO 8601 in UTC to the nanosecond; doubles in the fewest digits that give the same
 * bits (the bits of a NaN, and qualities, have no place in CSV); nothing where a cell is absent. */
#ifndef FOGLINE_DEVICE_CODEC_CSV_H
#define FOGLINE_DEVICE_CODEC_CSV_H

#include "device/codec_file.h"

#include <stdio.h>

/* Errors stick in out: ask ferror. */
void codec_csv_header(FILE *out, const struct codec_file *f);
void codec_csv_rows(FILE *out, const struct block *b);

#endif
