/* place.h - where the steps of a bounded column stand. Private to common/codec.
 *
 * Readings that hover between two steps keep jumping from one to the other. With the steps a part of one
 * higher, most of a block is a single integer. Threads: pure; integers decide, so all processors choose
 * alike. */
#ifndef FOGLINE_CODEC_PLACE_H
#define FOGLINE_CODEC_PLACE_H

#include "codec/number.h"

/* Below, steps come near to the smallest doubles and have no parts. */
#define PLACE_BOUND_MIN 1e-290

/* The exponent for NUMBER_BOUNDED. usual: of the start, else 0. Cells that all stand in one place stay there:
 * what was bounded once loses nothing when it is bounded again. With a cell within a step of zero the place
 * is 0, so that zero stays zero and no sign changes. thorough: looks for the cheapest place, else the usual
 * one will do. scratch: n. */
uint8_t place_of(const double *values, size_t n, double error_bound, uint8_t usual, bool thorough,
                 int64_t *scratch);

#endif
