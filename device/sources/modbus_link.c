#include "device/sources/modbus_link.h"

#include "device/sources/modbus_lib.h"
#include "device/sources/modbus_map.h"

#include <fcntl.h>
#include <stdlib.h>

struct modbus_link {
    modbus_t *m;
    bool is_serial;
    uint8_t bits[MODBUS_BITS_MAX];
};

const char *modbus_link_lacks(void)
{
    return modbus_lib_load();
}

int modbus_link_new(struct modbus_link **ret_l, const struct modbus_link_options *o, struct errmsg *err)
{
    const char *lacks = modbus_link_lacks();
    struct modbus_link *l;
    uint32_t s = (uint32_t)(o->timeout_ms / 1000), us = (uint32_t)(o->timeout_ms % 1000 * 1000);

    if (lacks != NULL)
        return errmsg_set(err, -ENOSYS, "%s", lacks);
    l = calloc(1, sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    l->is_serial = o->host[0] == '\0';
    l->m = !l->is_serial ? modbus_lib.new_tcp_pi(o->host, o->port)
                         : modbus_lib.new_rtu(o->serial, o->baud, o->parity, 8, o->stop_bits);
    if (l->m == NULL || modbus_lib.set_slave(l->m, o->unit_id) != 0 ||
        modbus_lib.set_response_timeout(l->m, s, us) != 0) {
        int rc = errmsg_set(err, -EINVAL, "modbus: %s", modbus_lib.strerror(errno));

        modbus_link_free(l);
        return rc;
    }
    *ret_l = l;
    return 0;
}

struct modbus_link *modbus_link_free(struct modbus_link *l)
{
    if (l != NULL && l->m != NULL) {
        modbus_lib.close(l->m);
        modbus_lib.free(l->m);
    }
    free(l);
    return NULL;
}

/* A positive errno or one of the library's own. */
static int failure(int error, struct errmsg *err)
{
    return errmsg_set(err, error > 0 && error < MODBUS_ENOBASE ? -error : -EIO, "%s",
                      modbus_lib.strerror(error));
}

int modbus_link_connect(struct modbus_link *l, struct errmsg *err)
{
    if (modbus_lib.connect(l->m) != 0)
        return failure(errno, err);
    /* The library leaves it open for programs that are started. */
    return fcntl(modbus_lib.get_socket(l->m), F_SETFD, FD_CLOEXEC) == 0 ? 0 : failure(errno, err);
}

void modbus_link_close(struct modbus_link *l)
{
    modbus_lib.close(l->m);
}

int modbus_link_read(struct modbus_link *l, int kind, unsigned address, unsigned n, uint16_t *words,
                     struct errmsg *err)
{
    int got = -1;

    /* On a serial line an answer does not say what it answers: one that came too late is not taken for the
     * next one. */
    if (l->is_serial && modbus_lib.flush(l->m) < 0)
        return failure(errno, err);
    if (kind == MODBUS_COIL)
        got = modbus_lib.read_bits(l->m, (int)address, (int)n, l->bits);
    else if (kind == MODBUS_DISCRETE)
        got = modbus_lib.read_input_bits(l->m, (int)address, (int)n, l->bits);
    else if (kind == MODBUS_INPUT)
        got = modbus_lib.read_input_registers(l->m, (int)address, (int)n, words);
    else
        got = modbus_lib.read_registers(l->m, (int)address, (int)n, words);
    if (got == (int)n) {
        for (unsigned i = 0; i < n && (kind == MODBUS_COIL || kind == MODBUS_DISCRETE); i++)
            words[i] = l->bits[i];
        return 0;
    }
    if (errno >= EMBXILFUN && errno <= EMBXGTAR) {
        errmsg_set(err, 0, "%s", modbus_lib.strerror(errno));
        return MODBUS_REFUSED;
    }
    return failure(errno, err);
}
