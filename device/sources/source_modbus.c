/* source_modbus.c - registers of one Modbus slave, RTU or TCP, by a map in the configuration.
 *
 * A thread of its own (reader.h) reads all of them at each interval, as few requests as their addresses
 * allow, into one row. A register that the slave refuses costs its cell and one event that names it; a slave
 * that does not answer gives rows of bad quality, one event, and is connected again with backoff. Limits:
 * MODBUS_REGISTERS_MAX registers. */
#include "base/backoff.h"
#include "base/clock.h"
#include "device/sources/modbus_link.h"
#include "device/sources/modbus_map.h"
#include "device/sources/reader.h"
#include "wire/wire.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 500 };

struct modbus_config {
    struct source_config common;
    char host[256], serial[256];
    int64_t port, baud, stop_bits, unit_id, interval_ms, timeout_ms, reconnect_ms, reconnect_max_ms;
    int parity;
    struct config_list registers; /* items: struct modbus_register */
};

/* All of the reader's thread, but what is fixed in open. */
struct slave {
    struct modbus_link *link;
    char where[300]; /* "pump:502, unit 3" */
    unsigned n;
    struct modbus_register registers[MODBUS_REGISTERS_MAX];
    struct source_channel channels[MODBUS_REGISTERS_MAX];
    struct modbus_plan plan;
    struct cell cells[MODBUS_REGISTERS_MAX];
    bool refused[MODBUS_REGISTERS_MAX]; /* told of */
    uint16_t words[MODBUS_BITS_MAX];
    struct backoff backoff;
    int64_t retry_ns;
    bool is_connected, is_failed; /* failed: told of */
};

static const char *const parities[] = {"none", "even", "odd", NULL};

#define REGISTER(member) CONFIG_AT(struct modbus_register, member)
static const struct config_row register_rows[] = {
    {"name", CONFIG_NAME, REGISTER(name), .required = true, .help = "The channel."},
    {"kind", CONFIG_ENUM, REGISTER(kind), .choices = modbus_kinds, .def = "holding",
     .help = "Which of the slave's four tables it stands in."},
    {"address", CONFIG_I64, REGISTER(address), .max = "65535", .required = true,
     .help = "From 0, as the protocol has it: what a manual calls 40001 is holding register 0."},
    {"type", CONFIG_ENUM, REGISTER(type), .choices = modbus_types, .def = "u16",
     .help = "What its words mean; of no account for coils and discrete inputs."},
    {"word_order", CONFIG_ENUM, REGISTER(word_order), .choices = modbus_word_orders, .def = "high_first",
     .help = "Which of several words comes first."},
    {"scale", CONFIG_DOUBLE, REGISTER(scale), .min = "-1e300", .max = "1e300", .def = "1",
     .help = "What is read is multiplied by this; an integer becomes a double."},
    {"unit", CONFIG_STRING, REGISTER(unit), .help = "UCUM unit."},
    {0},
};

static const struct config_kind register_kinds[] = {
    {.rows = register_rows, .size = sizeof(struct modbus_register), .help = "Registers and their channels."},
    {0},
};

#define AT(member) CONFIG_AT(struct modbus_config, member)
static const struct config_row rows[] = {
    {"host", CONFIG_STRING, AT(host), .help = "Name or address of the slave, for Modbus TCP."},
    {"port", CONFIG_I64, AT(port), .min = "1", .max = "65535", .def = "502", .help = "Its port."},
    {"serial", CONFIG_PATH, AT(serial), .help = "Serial device, for Modbus RTU: /dev/ttyUSB0."},
    {"baud", CONFIG_I64, AT(baud), .min = "300", .max = "4000000", .def = "19200", .help = "Its speed."},
    {"parity", CONFIG_ENUM, AT(parity), .choices = parities, .def = "even", .help = "Its parity."},
    {"stop_bits", CONFIG_I64, AT(stop_bits), .min = "1", .max = "2", .def = "1", .help = "Its stop bits."},
    {"unit_id", CONFIG_I64, AT(unit_id), .max = "247", .def = "1", .help = "Number of the slave."},
    {"interval_ms", CONFIG_MS, AT(interval_ms), .min = "10 ms", .max = "1 d", .def = "1 s",
     .help = "Time between two readings."},
    {"timeout_ms", CONFIG_MS, AT(timeout_ms), .max = "1 min",
     .help = "An answer that takes longer is taken for none; 0: 500 ms, or interval_ms if that is shorter."},
    {"reconnect_ms", CONFIG_MS, AT(reconnect_ms), .min = "10 ms", .max = "1 h", .def = "1 s",
     .help = "Wait before it is connected again; doubled each time, with jitter."},
    {"reconnect_max_ms", CONFIG_MS, AT(reconnect_max_ms), .min = "10 ms", .max = "1 d", .def = "1 min",
     .help = "The longest such wait."},
    {"registers", CONFIG_LIST, AT(registers), .kinds = register_kinds, .unique = "name", .min = "1",
     .max = "128", .required = true,
     .help = "What is read. Registers of one kind that follow each other take one request."},
    {0},
};

static void modbus_check(const void *config, const char *field, struct config_check *c)
{
    const struct modbus_config *m = config;
    char at[CONFIG_FIELD_CHARS];

    snprintf(at, sizeof at, "%s.type", field);
    if (modbus_link_lacks() != NULL)
        config_complain(c, at, NULL, "%s", modbus_link_lacks());
    snprintf(at, sizeof at, "%s.host", field);
    if ((m->host[0] != '\0') == (m->serial[0] != '\0'))
        config_complain(c, at, "Give host for Modbus TCP, or serial for Modbus RTU.",
                        "one of host and serial is needed");
    /* The wait for it would be told as a read that hangs, and its end as another failure. */
    snprintf(at, sizeof at, "%s.timeout_ms", field);
    if (m->timeout_ms > m->interval_ms)
        config_complain(c, at, "Make it at most as long, or interval_ms longer.",
                        "is longer than interval_ms, %" PRId64 " ms", m->interval_ms);
    snprintf(at, sizeof at, "%s.reconnect_max_ms", field);
    source_waits_check(m->reconnect_ms, m->reconnect_max_ms, at, c);
    for (size_t i = 0; i < m->registers.n; i++) {
        const struct modbus_register *r = m->registers.at[i].value;

        snprintf(at, sizeof at, "%s.registers[%zu]", field, i);
        channel_unit_check(r->unit, at, c);
        snprintf(at, sizeof at, "%s.registers[%zu].address", field, i);
        if (r->address + modbus_register_words(r) > 65536)
            config_complain(c, at, "The last address is 65535.", "its %u words reach beyond the table",
                            modbus_register_words(r));
        snprintf(at, sizeof at, "%s.registers[%zu].scale", field, i);
        if (r->scale == 0)
            config_complain(c, at, "Leave it out for 1.", "is 0: every reading would be 0");
    }
}

/* ---- the reader's thread ---- */

static void set_bad(struct slave *s, unsigned no)
{
    struct cell *cell = &s->cells[no];

    /* Of a channel that is no double the last value stays, absent before the first. */
    if (s->channels[no].type == COLUMN_DOUBLE)
        cell->f64 = NAN;
    cell->quality = QUALITY_BAD;
}

static void on_lost(struct slave *s, struct source_reader *r, const char *doing, const char *why)
{
    modbus_link_close(s->link);
    s->is_connected = false;
    s->retry_ns = clock_mono_ns(&clock_real) + backoff_next_ms(&s->backoff) * NS_PER_MS;
    for (unsigned i = 0; i < s->n; i++)
        set_bad(s, i);
    if (!s->is_failed)
        s->is_failed = source_reader_event(r, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, 2, NULL,
                                           "slave %.60s, %.80s: %.50s", s->where, doing, why);
}

static void on_refused(struct slave *s, struct source_reader *r, unsigned no, const char *why)
{
    const struct modbus_register *reg = &s->registers[no];

    if (!s->refused[no])
        s->refused[no] =
            source_reader_event(r, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_FAILED, 2, reg->name,
                                "%s register %" PRId64 ": %s; look at kind, address and type in its map",
                                modbus_kinds[reg->kind], reg->address, why);
}

static void take(struct slave *s, struct source_reader *r, const struct modbus_request *q)
{
    const uint16_t *at = s->words;

    for (unsigned i = q->first; i < q->first + q->n; i++) {
        unsigned no = s->plan.order[i];

        s->cells[no] = modbus_register_cell(&s->registers[no], at);
        at += modbus_register_words(&s->registers[no]);
        if (s->refused[no])
            s->refused[no] = !source_reader_event(r, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED, 0,
                                                  s->registers[no].name, "can be read again");
    }
}

/* false: the slave is lost. */
static bool read_one(struct slave *s, struct source_reader *r, const struct modbus_request *q,
                     bool *ret_split)
{
    const struct modbus_register *first = &s->registers[s->plan.order[q->first]];
    struct errmsg err = {""};
    char doing[128];
    int rc = modbus_link_read(s->link, q->kind, q->address, q->words, s->words, &err);

    if (rc == 0) {
        take(s, r, q);
        return true;
    }
    if (rc < 0) {
        snprintf(doing, sizeof doing, "%s register %u (%s)", modbus_kinds[q->kind], q->address, first->name);
        on_lost(s, r, doing, err.text);
        return false;
    }
    /* Which of several it was shows when each is read by itself, from the next time on. */
    for (unsigned i = q->first; i < q->first + q->n; i++) {
        set_bad(s, s->plan.order[i]);
        s->registers[s->plan.order[i]].alone = true;
        if (q->n == 1)
            on_refused(s, r, s->plan.order[i], err.text);
    }
    *ret_split |= q->n > 1;
    return true;
}

static void read_all(struct slave *s, struct source_reader *r)
{
    bool split = false;

    for (unsigned i = 0; i < s->plan.n_requests; i++)
        if (source_reader_is_stopping(r) || !read_one(s, r, &s->plan.requests[i], &split))
            return;
    if (split)
        modbus_plan(s->registers, s->n, &s->plan);
    backoff_reset(&s->backoff);
    if (s->is_failed)
        s->is_failed = !source_reader_event(r, FOGLINE__V1__EVENT_TYPE__EVENT_TYPE_SOURCE_RECOVERED, 0, NULL,
                                            "slave %.60s answers again", s->where);
}

static void slave_read(void *ctx, struct source_reader *r, const struct source_now *tick)
{
    struct slave *s = ctx;
    struct errmsg err = {""};

    if (!s->is_connected && tick->mono_ns >= s->retry_ns) {
        s->is_connected = modbus_link_connect(s->link, &err) == 0;
        if (!s->is_connected)
            on_lost(s, r, "connecting", err.text);
    }
    if (s->is_connected)
        read_all(s, r);
    source_reader_row(r, 0, s->cells);
}

static void slave_shape(const void *ctx, uint32_t group, struct source_group *ret_group)
{
    const struct slave *s = ctx;

    (void)group;
    *ret_group = (struct source_group){s->channels, s->n};
}

static void slave_free(void *ctx)
{
    struct slave *s = ctx;

    modbus_link_free(s->link);
    free(s);
}

/* ---- the table ---- */

static int64_t timeout_ms(const struct modbus_config *c)
{
    if (c->timeout_ms != 0)
        return c->timeout_ms;
    return c->interval_ms < TIMEOUT_MS ? c->interval_ms : TIMEOUT_MS;
}

static int slave_new(struct slave **ret_s, const struct modbus_config *c, struct errmsg *err)
{
    static const char parity_letters[] = {'N', 'E', 'O'};
    struct slave *s = calloc(1, sizeof *s);
    char port[24];
    struct modbus_link_options o = {.host = c->host,
                                    .port = port,
                                    .serial = c->serial,
                                    .baud = (int)c->baud,
                                    .stop_bits = (int)c->stop_bits,
                                    .parity = parity_letters[c->parity],
                                    .unit_id = (int)c->unit_id,
                                    .timeout_ms = timeout_ms(c)};
    int rc;

    if (s == NULL)
        return -ENOMEM;
    snprintf(port, sizeof port, "%" PRId64, c->port);
    snprintf(s->where, sizeof s->where, "%.200s%s%s, unit %" PRId64, c->host[0] != '\0' ? c->host : c->serial,
             c->host[0] != '\0' ? ":" : "", c->host[0] != '\0' ? port : "", c->unit_id);
    for (; s->n < c->registers.n; s->n++) {
        s->registers[s->n] = *(const struct modbus_register *)c->registers.at[s->n].value;
        s->channels[s->n] = (struct source_channel){s->registers[s->n].name, s->registers[s->n].unit,
                                                    modbus_register_column(&s->registers[s->n])};
        s->cells[s->n].absent = s->channels[s->n].type != COLUMN_DOUBLE;
    }
    modbus_plan(s->registers, s->n, &s->plan);
    backoff_init(&s->backoff, c->reconnect_ms, c->reconnect_max_ms, c->reconnect_ms / 4,
                 (uint64_t)clock_mono_ns(&clock_real));
    rc = modbus_link_new(&s->link, &o, err);
    if (rc != 0) {
        slave_free(s);
        return rc;
    }
    *ret_s = s;
    return 0;
}

static int modbus_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    const struct modbus_config *config = o->config;
    struct source_reader_options options = {.interval_ns = config->interval_ms * NS_PER_MS,
                                            .n_groups = 1,
                                            .cells_max = MODBUS_REGISTERS_MAX,
                                            .read = slave_read,
                                            .shape = slave_shape,
                                            .free = slave_free};
    struct source_reader *r;
    struct slave *s;
    int rc = slave_new(&s, config, err);

    if (rc != 0)
        return rc;
    options.ctx = s;
    options.what = s->where;
    rc = source_reader_new(&r, &options);
    if (rc != 0) {
        slave_free(s);
        return rc;
    }
    rc = source_reader_start(r);
    if (rc != 0) {
        source_reader_close(r);
        return errmsg_set(err, rc, "no thread for it: %s", strerror(-rc));
    }
    *ret_self = r;
    return 0;
}

static void modbus_source_close(void *self)
{
    source_reader_close(self);
}

static int modbus_declare(void *self, const struct source_sink *sink)
{
    return source_reader_declare(self, 0, sink);
}

static int modbus_step(void *self, const struct source_sink *sink, const struct source_now *now,
                       int64_t *ret_next_ns)
{
    source_reader_step(self, sink, now, ret_next_ns);
    return 0;
}

static int modbus_fd(const void *self)
{
    return source_reader_fd(self);
}

const struct source_kind source_modbus = {
    .name = "modbus",
    .help = "Reads registers of a Modbus slave, RTU or TCP.",
    .rows = rows,
    .config_bytes = sizeof(struct modbus_config),
    .check = modbus_check,
    .open = modbus_open,
    .close = modbus_source_close,
    .declare = modbus_declare,
    .step = modbus_step,
    .fd = modbus_fd,
};
