/* many_devices.c - many devices that are connected and silent: what a link costs the fog.
 *
 * Usage: many_devices keys N FILE             makes N keys into FILE and prints `NAME fn1-...` lines for
 * enrolment many_devices link N FILE HOST PORT FL1-KEY [SECONDS] connects all at once; prints {"connected",
 * "seconds"} when the last handshake is done or after SECONDS (30), then holds them until standard input ends
 */
#include "base/clock.h"
#include "link/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int make_keys(size_t n, const char *path)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        return perror(path), 1;
    for (size_t i = 0; i < n; i++) {
        struct node_public p;
        struct node_keys k;
        char text[KEY_TEXT_CHARS];

        node_keys_generate(&k);
        memcpy(p.transport, k.transport_public, KEY_BYTES);
        memcpy(p.end, k.end_public, KEY_BYTES);
        node_public_format(&p, text);
        printf("many-%zu %s\n", i, text);
        if (fwrite(&k, sizeof k, 1, f) != 1)
            return perror(path), 1;
    }
    return fclose(f) == 0 ? 0 : (perror(path), 1);
}

static int fail(const char *what, int rc)
{
    fprintf(stderr, "many_devices: %s: %s\n", what, strerror(-rc));
    return 1;
}

static int hold_links(size_t n, char **argv, double patience_s)
{
    struct node_keys *keys = calloc(n, sizeof *keys);
    struct link_lower **links = calloc(n, sizeof(*links));
    struct link_key up;
    struct errmsg err = {""};
    FILE *f = fopen(argv[0], "r");
    int64_t began_ns, ended_ns;
    size_t connected = 0;
    void *ctx;
    char c;
    int rc = link_context_new(&ctx);

    if (rc != 0 || keys == NULL || links == NULL || f == NULL || fread(keys, sizeof *keys, n, f) != n)
        return fail("keys", rc != 0 ? rc : -EIO);
    fclose(f);
    if (link_key_parse(argv[3], &up, &err) != 0)
        return fprintf(stderr, "%s\n", err.text), 2;
    began_ns = clock_mono_ns(&clock_real);
    for (size_t i = 0; i < n; i++) {
        struct link_lower_options o = {
            .zmq_ctx = ctx, .keys = &keys[i], .host = argv[1], .port = (uint16_t)atoi(argv[2])};

        memcpy(o.upper_transport, up.upper_transport, KEY_BYTES);
        rc = link_lower_new(&links[i], &o, &err);
        if (rc != 0)
            return fail(err.text, rc);
    }
    do {
        connected = 0;
        for (size_t i = 0; i < n; i++)
            connected += link_lower_phase(links[i]) == LINK_UP;
        ended_ns = clock_mono_ns(&clock_real);
        poll(NULL, 0, 1);
    } while (connected < n && (double)(ended_ns - began_ns) / 1e9 < patience_s);
    printf("{\"connected\": %zu, \"seconds\": %.3f}\n", connected, (double)(ended_ns - began_ns) / 1e9);
    fflush(stdout);
    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
    for (size_t i = 0; i < n; i++)
        link_lower_free(links[i]);
    link_context_free(ctx);
    free(links);
    free(keys);
    return 0;
}

int main(int argc, char **argv)
{
    if (keys_init() != 0)
        return 1;
    if (argc == 4 && strcmp(argv[1], "keys") == 0)
        return make_keys(strtoul(argv[2], NULL, 10), argv[3]);
    if (argc >= 7 && strcmp(argv[1], "link") == 0)
        return hold_links(strtoul(argv[2], NULL, 10), argv + 3, argc > 7 ? atof(argv[7]) : 30);
    fprintf(stderr, "usage: many_devices keys N FILE | link N FILE HOST PORT FL1-KEY [SECONDS]\n");
    return 2;
}
