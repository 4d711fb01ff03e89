/* source_socket.c - readings sent by other programs, as lines in datagrams: run_dir/send.sock.
 *
 * A datagram: `channel=value [channel=value ...] [@unix_time]`. Values: a number (double), true or false
 * (bool), else text; "in quotes" is always text, with \" and \\. The time is in seconds, with a fraction if
 * need be; without it, now. Answer, when the sender's socket has an address: "ok N" once the N samples are
 * durable, or "error ...". Each new set of channels and types becomes a group of its own. Limits: a datagram
 * of LINE_BYTES, SET_CHANNELS_MAX channels, SETS_MAX sets until the next start. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/numfmt.h"
#include "device/source.h"
#include "device/sources/csv_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { LINE_BYTES = 4096, SET_CHANNELS_MAX = 32, SETS_MAX = 64, DATAGRAMS_A_STEP = 64 };

struct socket_config {
    struct source_config common;
    char path[512];
};

struct reading {
    char name[SOURCE_NAME_BYTES];
    enum column_type type;
    struct cell cell;
};

struct set {
    uint32_t group, n;
    char names[SET_CHANNELS_MAX][SOURCE_NAME_BYTES];
    enum column_type types[SET_CHANNELS_MAX];
};

struct source_socket_self {
    int fd;
    struct sockaddr_un address;
    uint32_t n_sets;
    struct set sets[SETS_MAX];
    char line[LINE_BYTES + 1];
    struct reading readings[SET_CHANNELS_MAX];
    uint32_t n;
    int64_t time_ns;
    bool has_time;
};

static const struct config_row rows[] = {
    {"path", CONFIG_PATH, CONFIG_AT(struct socket_config, path),
     .help = "Where the socket is made; empty: send.sock in run_dir, where `devicectl send` looks for it."},
    {0},
};

static void socket_close(void *self)
{
    struct source_socket_self *s = self;

    if (s->fd >= 0) {
        close(s->fd);
        unlink(s->address.sun_path);
    }
    free(s);
}

/* Is it one that somebody listens at? */
static bool is_used(const struct sockaddr_un *address)
{
    owned(close_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd >= 0 &&
           (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EPROTOTYPE);
}

static int bind_it(struct source_socket_self *s)
{
    struct stat st;

    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        return -errno;
    if (is_used(&s->address))
        return -EADDRINUSE;
    /* One that a process left behind when it was killed. */
    if (stat(s->address.sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(s->address.sun_path);
    return bind(s->fd, (const struct sockaddr *)&s->address, sizeof s->address) == 0 ? 0 : -errno;
}

static int socket_open(const struct source_open *o, void **ret_self, struct errmsg *err)
{
    const struct socket_config *config = o->config;
    struct source_socket_self *s = calloc(1, sizeof *s);
    size_t room = sizeof s->address.sun_path;
    int n, rc;

    if (s == NULL)
        return -ENOMEM;
    s->fd = -1;
    s->address.sun_family = AF_UNIX;
    n = config->path[0] != '\0' ? snprintf(s->address.sun_path, room, "%s", config->path)
                                : snprintf(s->address.sun_path, room, "%s/send.sock", o->run_dir);
    rc = n >= 0 && (size_t)n < room ? bind_it(s) : -ENAMETOOLONG;
    if (rc == 0) {
        *ret_self = s;
        return 0;
    }
    errmsg_set(err, rc, "socket %s: %s%s", s->address.sun_path, strerror(-rc),
               rc == -EADDRINUSE ? "; each source needs a path of its own" : "");
    close_fd(&s->fd);
    free(s);
    return rc;
}

/* ---- a line ---- */

static bool word_end(char c)
{
    return c == '\0' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* A quoted text from behind its opening quote on, unescaped in place. NULL: no closing quote. */
static char *take_quoted(char *at, struct span *ret_text)
{
    char *out = at, *start = at;

    for (; *at != '"'; at++) {
        if (*at == '\0')
            return NULL;
        if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
            at++;
        *out++ = *at;
    }
    *ret_text = span_of(start, (size_t)(out - start));
    return at + 1;
}

static const char *take_value(char **at, struct reading *r)
{
    char *start = *at, *end = start;
    size_t len;

    r->cell = (struct cell){0};
    r->type = COLUMN_TEXT;
    if (*start == '"') {
        end = take_quoted(start + 1, &r->cell.text);
        if (end == NULL || !word_end(*end))
            return "a quote is not closed";
    } else {
        while (!word_end(*end))
            end++;
        len = (size_t)(end - start);
        if (numfmt_parse_double(start, len, &r->cell.f64)) {
            r->type = COLUMN_DOUBLE;
        } else if ((len == 4 && memcmp(start, "true", 4) == 0) ||
                   (len == 5 && memcmp(start, "false", 5) == 0)) {
            r->type = COLUMN_BOOL;
            r->cell.i64 = len == 4;
        } else {
            r->cell.text = span_of(start, len);
        }
    }
    *at = end;
    if (r->type == COLUMN_TEXT && (r->cell.text.len == 0 || r->cell.text.len > BLOCK_TEXT_MAX_BYTES))
        return "a text has 1 to 255 bytes";
    return NULL;
}

/* Keeps the readings sorted by name, so that their order in the line makes no other set. */
static const char *take_reading(struct source_socket_self *s, char **at)
{
    char *equals = *at;
    struct reading r;
    const char *why;
    uint32_t i;

    while (!word_end(*equals) && *equals != '=')
        equals++;
    if (*equals != '=')
        return "not of the form channel=value";
    if (!name_part_ok(*at, (size_t)(equals - *at)))
        return "a channel is named with letters, digits, '.', '_' and '-', at most 64";
    if (s->n == SET_CHANNELS_MAX)
        return "more than 32 channels";
    memcpy(r.name, *at, (size_t)(equals - *at));
    r.name[equals - *at] = '\0';
    *at = equals + 1;
    why = take_value(at, &r);
    if (why != NULL)
        return why;
    for (i = s->n; i > 0 && strcmp(s->readings[i - 1].name, r.name) > 0; i--)
        s->readings[i] = s->readings[i - 1];
    if (i > 0 && strcmp(s->readings[i - 1].name, r.name) == 0)
        return "a channel is named twice";
    s->readings[i] = r;
    s->n++;
    return NULL;
}

/* NULL, or what is wrong. */
static const char *parse_line(struct source_socket_self *s)
{
    char *at = s->line;

    s->n = 0;
    s->has_time = false;
    for (;;) {
        const char *why;

        while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
            at++;
        if (*at == '\0')
            return s->n > 0 ? NULL : "no reading in it";
        if (*at == '@') {
            char *end = at + 1;

            while (!word_end(*end))
                end++;
            if (!csv_number_ns(at + 1, (size_t)(end - at - 1), NS_PER_S, &s->time_ns))
                return "@ is followed by a time in seconds since 1970";
            s->has_time = true;
            at = end;
            continue;
        }
        why = take_reading(s, &at);
        if (why != NULL)
            return why;
    }
}

/* ---- sets ---- */

static bool is_set(const struct source_socket_self *s, const struct set *set)
{
    if (set->n != s->n)
        return false;
    for (uint32_t i = 0; i < s->n; i++)
        if (set->types[i] != s->readings[i].type || strcmp(set->names[i], s->readings[i].name) != 0)
            return false;
    return true;
}

static const char *find_set(struct source_socket_self *s, const struct source_sink *sink,
                            struct set **ret_set)
{
    struct source_channel channels[SET_CHANNELS_MAX];
    struct source_group group = {channels, s->n};
    struct set *set;
    int rc;

    for (uint32_t i = 0; i < s->n_sets; i++)
        if (is_set(s, &s->sets[i])) {
            *ret_set = &s->sets[i];
            return NULL;
        }
    if (s->n_sets == SETS_MAX)
        return "too many different sets of channels since the start";
    set = &s->sets[s->n_sets];
    set->n = s->n;
    for (uint32_t i = 0; i < s->n; i++) {
        memcpy(set->names[i], s->readings[i].name, SOURCE_NAME_BYTES);
        set->types[i] = s->readings[i].type;
        channels[i] = (struct source_channel){set->names[i], "", set->types[i]};
    }
    rc = sink->group(sink->ctx, &group, &set->group);
    if (rc != 0)
        return rc == SINK_FULL ? "no room now" : source_refusal(rc);
    s->n_sets++;
    *ret_set = set;
    return NULL;
}

static const char *take_line(struct source_socket_self *s, const struct source_sink *sink,
                             const struct source_now *now)
{
    struct cell cells[SET_CHANNELS_MAX];
    struct source_row row = {.mono_ns = (uint64_t)now->mono_ns, .cells = cells, .n_cells = 0};
    struct set *set = NULL;
    const char *why = parse_line(s);

    if (why == NULL)
        why = find_set(s, sink, &set);
    if (why != NULL)
        return why;
    for (uint32_t i = 0; i < s->n; i++)
        cells[i] = s->readings[i].cell;
    row.group = set->group;
    row.n_cells = s->n;
    row.time_ns = s->has_time ? s->time_ns : now->wall_unix_ns;
    return sink->row(sink->ctx, &row) == 0 ? NULL : "no room now";
}

static void answer_error(struct source_socket_self *s, const struct sockaddr_un *to, socklen_t to_bytes,
                         const char *why)
{
    char text[160];
    int n = snprintf(text, sizeof text, "error %s", why);

    if (to_bytes > sizeof(sa_family_t) &&
        sendto(s->fd, text, (size_t)n, MSG_DONTWAIT, (const struct sockaddr *)to, to_bytes) < 0)
        return; /* the sender is gone */
}

static int socket_step(void *self, const struct source_sink *sink, const struct source_now *now,
                       int64_t *ret_next_ns)
{
    struct source_socket_self *s = self;

    for (unsigned i = 0; i < DATAGRAMS_A_STEP; i++) {
        struct sockaddr_un from = {0};
        socklen_t from_bytes = sizeof from;
        ssize_t n = recvfrom(s->fd, s->line, LINE_BYTES + 1, 0, (struct sockaddr *)&from, &from_bytes);
        struct source_receipt receipt = {.fd = s->fd, .address = &from};
        const char *why;

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n < 0) {
            *ret_next_ns = INT64_MAX;
            return 0;
        }
        if (n > LINE_BYTES) {
            answer_error(s, &from, from_bytes, "longer than 4096 bytes");
            continue;
        }
        s->line[n] = '\0';
        why = memchr(s->line, '\0', (size_t)n) != NULL ? "a NUL byte in it" : take_line(s, sink, now);
        receipt.samples = s->n;
        receipt.address_bytes = from_bytes;
        if (why != NULL)
            answer_error(s, &from, from_bytes, why);
        else if (from_bytes > sizeof(sa_family_t) && sink->receipt(sink->ctx, &receipt) != 0)
            answer_error(s, &from, from_bytes, "taken, but there is no room to say when it is durable");
    }
    *ret_next_ns = now->mono_ns;
    return 0;
}

static int socket_fd(const void *self)
{
    const struct source_socket_self *s = self;

    return s->fd;
}

const struct source_kind source_socket = {
    .name = "socket",
    .help = "Takes lines channel=value [channel=value ...] [@unix_time] from a UNIX datagram socket.",
    .rows = rows,
    .config_bytes = sizeof(struct socket_config),
    .open = socket_open,
    .close = socket_close,
    .step = socket_step,
    .rows_are_partial = true,
    .fd = socket_fd,
};
