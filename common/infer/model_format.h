/* model_format.h - the bytes of a model file, version 1.0. Private to common/infer.
 *
 * Little-endian, flat, no pointers; offsets are from the first byte of the file unless said. README.md has
 * the whole as a table. A change that old readers may ignore is a new section and a greater minor; any other
 * is a greater major. Files of version 1 are readable for ever (tests/golden/v1/model). */
#ifndef FOGLINE_INFER_MODEL_FORMAT_H
#define FOGLINE_INFER_MODEL_FORMAT_H

#include "infer/tensor.h"

#define MODEL_MAGIC "FOGMODEL"
#define MODEL_SIGNATURE_MAGIC "FOGSIGN1"

enum {
    MODEL_MAJOR = 1,
    MODEL_MINOR = 0,
    MODEL_ALIGN = 64, /* of sections and constants */

    /* magic 8, major u16, minor u16, sections u32, body bytes u64, 8 bytes of 0 */
    MODEL_HEADER_BYTES = 32,
    /* kind u32, 4 bytes of 0, offset u64, bytes u64 */
    MODEL_SECTION_BYTES = 24,
    MODEL_SECTIONS_MAX = 64,
    /* type u8, rank u8, constant u8 (0 or 1), 5 bytes of 0, 6 dimensions u32, offset in CONSTANTS u64 */
    MODEL_TENSOR_BYTES = 40,
    /* The last bytes of the body: BLAKE2b-256 of all before. */
    MODEL_CHECKSUM_BYTES = 32,
    /* Behind the body of a signed file: magic 8, public key 32, Ed25519 64 over all before the 64. */
    MODEL_TRAILER_BYTES = 8 + 32 + 64,

    MODEL_FILE_MAX_BYTES = 64 << 20,
    MODEL_ARENA_MAX_BYTES = 16 << 20,
    MODEL_NAME_CHARS = 63,
    MODEL_TEXT_MAX_BYTES = 1 << 20,
    MODEL_TEXTS_MAX = 256,
};

#define MODEL_OPERATIONS_MAX (UINT64_C(1) << 34)

/* Each stands once at most, in this order. */
enum model_section {
    MODEL_TENSORS = 1, /* count u32, records */
    /* count u32; each: op u16, inputs u8, outputs u8, ints u8, floats u8, then inputs u16, outputs u16, ints
     * i32, floats f32; ints and floats that are not there are 0 */
    MODEL_NODES = 2,
    /* inputs u8, outputs u8; each: tensor u16, length u8, name */
    MODEL_PORTS = 3,
    MODEL_CONSTANTS = 4,
    /* count u16; each: length u8, key, length u32, text */
    MODEL_TEXTS = 5,
    MODEL_RECIPE = 6,
    MODEL_SECTION_KINDS = 7, /* below this are those that are known */
};

/* The grammar of port names and keys: [A-Za-z0-9._/:-]{1,63}. */
bool model_name_ok(const char *name, size_t len);
/* BLAKE2b-256 */
void model_hash(const void *data, size_t len, uint8_t ret_hash[MODEL_CHECKSUM_BYTES]);

static inline size_t model_align(size_t n)
{
    return (n + MODEL_ALIGN - 1) & ~(size_t)(MODEL_ALIGN - 1);
}

#endif
