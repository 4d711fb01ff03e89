/* codec_file_private.h - what reading and writing share. Not for others. */
#ifndef FOGLINE_DEVICE_CODEC_FILE_PRIVATE_H
#define FOGLINE_DEVICE_CODEC_FILE_PRIVATE_H

#include "device/codec_file.h"

#include <sodium.h>

enum { CODEC_FILE_CHECK_BYTES = 8, CODEC_FILE_FRAME_CHECK_AT = 32 };

extern const uint8_t codec_file_magic[CODEC_FILE_MAGIC_BYTES];

/* The first out_bytes (at most 16) of BLAKE2b-128; key: CODEC_FILE_KEY_BYTES or NULL. */
void codec_file_check(struct span bytes, const uint8_t *key, uint8_t *out, size_t out_bytes);

#endif
