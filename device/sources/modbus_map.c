#include "device/sources/modbus_map.h"

#include <math.h>
#include <string.h>

const char *const modbus_kinds[] = {"coil", "discrete", "input", "holding", NULL};
const char *const modbus_types[] = {"u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", NULL};
const char *const modbus_word_orders[] = {"high_first", "low_first", NULL};

static bool is_bit(int kind)
{
    return kind == MODBUS_COIL || kind == MODBUS_DISCRETE;
}

unsigned modbus_register_words(const struct modbus_register *r)
{
    static const uint8_t words[] = {1, 1, 2, 2, 4, 4, 2, 4};

    return is_bit(r->kind) ? 1 : words[r->type];
}

enum column_type modbus_register_column(const struct modbus_register *r)
{
    if (is_bit(r->kind))
        return COLUMN_BOOL;
    return r->type == MODBUS_F32 || r->type == MODBUS_F64 || r->scale != 1 ? COLUMN_DOUBLE : COLUMN_INT64;
}

static bool is_before(const struct modbus_register *a, const struct modbus_register *b)
{
    return a->kind != b->kind ? a->kind < b->kind : a->address < b->address;
}

static bool joins(const struct modbus_request *q, const struct modbus_register *r)
{
    return q->kind == r->kind && q->address + q->words == r->address && !r->alone &&
           q->words + modbus_register_words(r) <= (is_bit(r->kind) ? MODBUS_BITS_MAX : MODBUS_WORDS_MAX);
}

void modbus_plan(const struct modbus_register *registers, unsigned n, struct modbus_plan *ret_plan)
{
    struct modbus_plan *p = ret_plan;
    bool last_is_alone = true;

    p->n_requests = 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned k = i;

        for (; k > 0 && is_before(&registers[i], &registers[p->order[k - 1]]); k--)
            p->order[k] = p->order[k - 1];
        p->order[k] = (uint16_t)i;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct modbus_register *r = &registers[p->order[i]];

        if (last_is_alone || !joins(&p->requests[p->n_requests - 1], r))
            p->requests[p->n_requests++] =
                (struct modbus_request){.kind = r->kind, .address = (unsigned)r->address, .first = i};
        p->requests[p->n_requests - 1].words += modbus_register_words(r);
        p->requests[p->n_requests - 1].n++;
        last_is_alone = r->alone;
    }
}

static struct cell of_integer(const struct modbus_register *r, uint64_t bits, bool is_signed)
{
    if (r->scale != 1)
        return (struct cell){.f64 = (is_signed ? (double)(int64_t)bits : (double)bits) * r->scale};
    if (!is_signed && bits > INT64_MAX)
        return (struct cell){.quality = QUALITY_BAD, .i64 = INT64_MAX};
    return (struct cell){.i64 = (int64_t)bits};
}

static struct cell of_number(const struct modbus_register *r, double v)
{
    return (struct cell){.f64 = v * r->scale, .quality = isfinite(v) ? QUALITY_GOOD : QUALITY_BAD};
}

struct cell modbus_register_cell(const struct modbus_register *r, const uint16_t *words)
{
    unsigned n = modbus_register_words(r);
    uint64_t bits = 0;
    float f32;
    double f64;

    if (is_bit(r->kind))
        return (struct cell){.i64 = words[0] != 0};
    for (unsigned i = 0; i < n; i++)
        bits = bits << 16 | words[r->word_order == 0 ? i : n - 1 - i];
    switch ((enum modbus_type)r->type) {
    case MODBUS_I16:
        return of_integer(r, (uint64_t)(int64_t)(int16_t)bits, true);
    case MODBUS_I32:
        return of_integer(r, (uint64_t)(int64_t)(int32_t)bits, true);
    case MODBUS_I64:
        return of_integer(r, bits, true);
    case MODBUS_F32:
        memcpy(&f32, &(uint32_t){(uint32_t)bits}, sizeof f32);
        return of_number(r, (double)f32);
    case MODBUS_F64:
        memcpy(&f64, &bits, sizeof f64);
        return of_number(r, f64);
    case MODBUS_U16:
    case MODBUS_U32:
    case MODBUS_U64:
        break;
    }
    return of_integer(r, bits, false);
}
