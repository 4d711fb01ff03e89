/* plant.h - a fog between a device and a cloud of the tests, all on one loop and real sockets of this
 * machine.
 *
 * The device and the cloud are the ports of common/hop over real spools, without the rest of their tiers: the
 * device makes records and counts what it is told, the cloud keeps what comes and vouches for it. */
#ifndef FOGLINE_TEST_FOG_PLANT_H
#define FOGLINE_TEST_FOG_PLANT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/commands.h"
#include "fog/fog_private.h"
#include "fog/fog_tier.h"

struct plant_device {
    struct node_keys keys;
    struct end_keys end_keys;
    struct spool *spool;
    struct lower_port *port;
    struct command command; /* the last one opened */
    unsigned n_commands;
};

struct plant_cloud {
    struct node_keys keys;
    struct spool *spool;
    struct upper_port *port;
    struct operator_keys operator;
    struct id128 archive_id;
    struct buf nodes_doc, command_doc; /* handed down when not empty */
    uint64_t n_records, n_bad_tags;
};

struct plant {
    char folder[256];
    struct link_key link; /* of the cloud, for the fog */
    void *zmq_ctx;
    struct daemon d;
    struct fog *fog;
    struct plant_device device;
    struct plant_cloud cloud;
    struct loop_timer *step;
    bool (*done)(struct plant *p);
    int64_t deadline_ms;
    uint64_t quota_bytes; /* of the fog's store; 0: as large as it is */
    bool timed_out;
};

int plant_setup(void **state);
int plant_teardown(void **state);

/* Parts of the plant, in this order. with_cloud: the fog is given an endpoint and a link key of it. */
void plant_start_cloud(struct plant *p);
void plant_start_fog(struct plant *p, bool with_cloud);
void plant_stop_fog(struct plant *p); /* fog, device and loop */
void plant_start_device(struct plant *p);

void plant_make_records(struct plant *p, unsigned n, size_t bytes); /* of the device, committed */
struct upper_port_node plant_node(struct plant *p, bool of_fog);
void plant_path(const struct plant *p, char out[CTL_FILE_CHARS], const char *name);

/* Runs the fog until done() says so; fails after 20 s. Once per loop. */
void plant_run(struct plant *p, bool (*done)(struct plant *p));

#endif
