#include "act/output.h"

#include "base/cleanup.h"
#include "gpio/gpio_line.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct output {
    struct gpio_line *line; /* NULL: a file */
    int fd;
};

static int open_line(struct output *o, const struct output_config *c, bool active, struct errmsg *err)
{
    struct gpio_line_options options = {.chip = c->chip,
                                        .line = c->line,
                                        .consumer = "fogline",
                                        .use = GPIO_OUTPUT,
                                        .active_low = c->active_low,
                                        .initial = active};
    struct errmsg why = {""};
    int rc = gpio_line_open(&o->line, &options, &why);

    return rc == 0 ? 0 : errmsg_set(err, rc, "output %s: %s", c->name, why.text);
}

/* What is there already takes a value at its begin: no pipe, socket or folder does. */
static bool takes_values(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 || S_ISREG(st.st_mode) || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
}

static int open_file(struct output *o, const struct output_config *c, bool active, struct errmsg *err)
{
    int rc;

    if (!takes_values(c->path))
        return errmsg_set(
            err, -EINVAL,
            "output %s: %s is a pipe, a socket or a folder; name a file that takes 1 and 0, or let "
            "a program write there, with an action of type exec",
            c->name, c->path);
    o->fd = open(c->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
    rc = o->fd < 0 ? -errno : output_set(o, active);
    return rc == 0 ? 0
                   : errmsg_set(err, rc, "output %s: %s: %s; see that the daemon's user may write there",
                                c->name, c->path, strerror(-rc));
}

int output_open(struct output **ret_o, enum output_kind kind, const struct output_config *c, bool active,
                struct errmsg *err)
{
    struct output *o = calloc(1, sizeof *o);
    int rc;

    if (o == NULL)
        return errmsg_set(err, -ENOMEM, "no memory");
    o->fd = -1;
    rc = kind == OUTPUT_GPIO ? open_line(o, c, active, err) : open_file(o, c, active, err);
    if (rc != 0) {
        output_close(o);
        return rc;
    }
    *ret_o = o;
    return 0;
}

struct output *output_close(struct output *o)
{
    if (o == NULL)
        return NULL;
    gpio_line_close(o->line);
    close_fd(&o->fd);
    free(o);
    return NULL;
}

int output_set(struct output *o, bool active)
{
    if (o->line != NULL)
        return gpio_line_set(o->line, active);
    /* Each write of a file in sysfs is a value of its own, wherever it stands. */
    return pwrite(o->fd, active ? "1\n" : "0\n", 2, 0) == 2 ? 0 : -errno;
}
