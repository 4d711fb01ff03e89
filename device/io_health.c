#include "device/io.h"

#include <math.h>

/* Taken and not durable: in the packs, in the batch. What is between the threads is younger, or the io thread
 * is behind and its age is that of its last look. */
static double exposure_ms(const struct io *io, int64_t now_ns)
{
    int64_t oldest_ns = io_oldest_pack_ns(io);

    if (io->batch_oldest_ns < oldest_ns)
        oldest_ns = io->batch_oldest_ns;
    return oldest_ns > now_ns ? 0 : (double)(now_ns - oldest_ns) / NS_PER_MS;
}

static size_t exposure_bytes(const struct io *io)
{
    size_t n = ring_used(io->live) + batch_bytes(io->batch);

    for (uint32_t i = 0; i < io->n_groups; i++)
        if (io->groups[i].pack != NULL)
            n += pack_bytes(io->groups[i].pack);
    return n;
}

static void measure_pipeline(struct io *io, int64_t now_ns)
{
    const struct histogram *late = act_lateness_us(io->act);
    double *m = io->measures, round_trip_ms = outbox_round_trip_ms(io->outbox);
    struct lower_port_status link;

    lower_port_status(io->port, &link);
    m[HEALTH_LINK_UP] = link.link == LOWER_PORT_OPEN;
    m[HEALTH_ROUND_TRIP_MS] = round_trip_ms > 0 ? round_trip_ms : NAN;
    m[HEALTH_SPOOL_USED_PERCENT] =
        health_percent(100 * (double)spool_held_bytes(io->spool) / (double)spool_quota_bytes(io->spool));
    m[HEALTH_EXPOSURE_MS] = exposure_ms(io, now_ns);
    m[HEALTH_EXPOSURE_BYTES] = (double)exposure_bytes(io);
    if (histogram_count(late) > 0) {
        m[HEALTH_TICK_LATE_P50_US] = (double)histogram_quantile(late, 0.5);
        m[HEALTH_TICK_LATE_P99_US] = (double)histogram_quantile(late, 0.99);
        m[HEALTH_TICK_LATE_MAX_US] = (double)histogram_max(late);
    }
    m[HEALTH_CLOCK_STATE] = io->clock.state;
    m[HEALTH_CLOCK_ERROR_US] = io->clock.error_us;
}

void io_measure(struct io *io, bool with_machine)
{
    int64_t now_ns = clock_mono_ns(&io->daemon->clock);

    if (with_machine)
        health_read(io->health, now_ns, io->measures);
    measure_pipeline(io, now_ns);
}
