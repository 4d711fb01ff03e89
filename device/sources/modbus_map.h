/* modbus_map.h - registers of a Modbus slave: what the configuration says of them, which requests read them,
 * what their words mean. Pure.
 *
 * Registers of one kind that follow each other without a gap are read in one request, at most
 * MODBUS_WORDS_MAX words or MODBUS_BITS_MAX bits; a register marked `alone` has a request of its own. (Modbus
 * Application Protocol 1.1b3.) */
#ifndef FOGLINE_DEVICE_MODBUS_MAP_H
#define FOGLINE_DEVICE_MODBUS_MAP_H

#include "device/source.h"

enum { MODBUS_REGISTERS_MAX = 128, MODBUS_WORDS_MAX = 125, MODBUS_BITS_MAX = 2000 };

enum modbus_kind { MODBUS_COIL, MODBUS_DISCRETE, MODBUS_INPUT, MODBUS_HOLDING };
enum modbus_type {
    MODBUS_U16,
    MODBUS_I16,
    MODBUS_U32,
    MODBUS_I32,
    MODBUS_U64,
    MODBUS_I64,
    MODBUS_F32,
    MODBUS_F64
};
extern const char *const modbus_kinds[], *const modbus_types[], *const modbus_word_orders[];

struct modbus_register {
    char name[SOURCE_NAME_BYTES], unit[SOURCE_NAME_BYTES];
    int64_t address; /* from 0, as in the protocol */
    int kind, type;  /* of coils and discrete inputs the type is nothing */
    int word_order;  /* 0: the high word first */
    double scale;
    bool alone;
};

/* Words (or bits) that it takes. */
unsigned modbus_register_words(const struct modbus_register *r);
enum column_type modbus_register_column(const struct modbus_register *r);

struct modbus_request {
    int kind;
    unsigned address, words;
    unsigned first, n; /* of its registers, in the order of the plan */
};

struct modbus_plan {
    unsigned n_requests;
    struct modbus_request requests[MODBUS_REGISTERS_MAX];
    uint16_t order[MODBUS_REGISTERS_MAX]; /* numbers of registers */
};

void modbus_plan(const struct modbus_register *registers, unsigned n, struct modbus_plan *ret_plan);
/* words: those of this register, bits as 0 or 1. Beyond what an int64 holds: QUALITY_BAD. */
struct cell modbus_register_cell(const struct modbus_register *r, const uint16_t *words);

#endif
