#include "gpio/gpio_name.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int is_chip(const struct dirent *entry)
{
    return strncmp(entry->d_name, "gpiochip", 8) == 0;
}

/* A link to a chip that is listed is no second chip. */
static bool is_listed(const struct gpio_chips *chips, const char *path)
{
    struct stat own, other;

    if (stat(path, &own) != 0 || !S_ISCHR(own.st_mode))
        return false;
    for (size_t i = 0; i < chips->n; i++)
        if (stat(chips->path[i], &other) == 0 && S_ISCHR(other.st_mode) && other.st_rdev == own.st_rdev)
            return true;
    return false;
}

static int list_one(struct gpio_chips *chips, const char *name)
{
    char *path;

    if (asprintf(&path, "/dev/%s", name) < 0)
        return -ENOMEM;
    if (is_listed(chips, path))
        free(path);
    else
        chips->path[chips->n++] = path;
    return 0;
}

int gpio_chips_list(struct gpio_chips *ret_chips)
{
    struct dirent **entries;
    int n = scandir("/dev", &entries, is_chip, versionsort), rc = 0;

    *ret_chips = (struct gpio_chips){0};
    if (n < 0)
        return errno == ENOMEM ? -ENOMEM : 0;
    ret_chips->path = calloc((size_t)n + 1, sizeof *ret_chips->path);
    if (ret_chips->path == NULL)
        rc = -ENOMEM;
    for (int i = 0; i < n; i++) {
        if (rc == 0)
            rc = list_one(ret_chips, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (rc != 0)
        gpio_chips_free(ret_chips);
    return rc;
}

void gpio_chips_free(struct gpio_chips *chips)
{
    for (size_t i = 0; i < chips->n; i++)
        free(chips->path[i]);
    free(chips->path);
    *chips = (struct gpio_chips){0};
}

bool gpio_chip_matches(const char *asked, const char *name, const char *label)
{
    return asked == NULL || asked[0] == '\0' || strcmp(asked, name) == 0 || strcmp(asked, label) == 0;
}

int gpio_chips_find(const struct gpio_chips *chips, const struct gpio_line_options *o,
                    int (*look)(const struct gpio_line_options *o, const char *path), const char **ret_path,
                    char who[GPIO_WHO_BYTES])
{
    bool any = o->chip == NULL || o->chip[0] == '\0';
    int none = any ? -ENOENT : -ENODEV, failed = 0;
    const char *found = NULL;

    for (size_t i = 0; i < chips->n; i++) {
        int rc = look(o, chips->path[i]);

        if (rc == 0 && found != NULL) {
            snprintf(who, GPIO_WHO_BYTES, "%s and %s", found, chips->path[i]);
            return -ENOTUNIQ;
        }
        if (rc == 0)
            found = chips->path[i];
        else if (rc == -ENOENT)
            none = rc;
        else if (rc != -ENODEV)
            failed = rc;
    }
    if (found != NULL) {
        *ret_path = found;
        return 0;
    }
    /* What is asked for may be on the chip that could not be opened. */
    return failed != 0 && (any || none == -ENODEV) ? failed : none;
}

bool gpio_line_number(const char *line, unsigned *ret_number)
{
    unsigned long number;

    if (line[0] == '\0' || line[strspn(line, "0123456789")] != '\0' || strlen(line) > 9)
        return false;
    number = strtoul(line, NULL, 10);
    *ret_number = (unsigned)number;
    return true;
}

int gpio_line_options_check(const struct gpio_line_options *o, struct errmsg *err)
{
    unsigned number;

    if (o->line == NULL || o->line[0] == '\0')
        return errmsg_set(
            err, -EINVAL,
            "a GPIO line without a name: set `line` to its name or number; `gpioinfo` lists both");
    if ((o->chip == NULL || o->chip[0] == '\0') && gpio_line_number(o->line, &number))
        return errmsg_set(
            err, -EINVAL,
            "GPIO line %s: a number says nothing without its chip: set `chip` too; `gpiodetect` or "
            "`devicectl probe` lists the chips",
            o->line);
    return 0;
}

#define LACKS "this program was built without libgpiod: install libgpiod-dev and build with -Dgpio=enabled"

const char *gpio_lacks(void)
{
    return strcmp(gpio_backend(), "none") == 0 ? LACKS : NULL;
}

/* Cause and remedy. */
static const char *why(int code)
{
    switch (-code) {
    case ENODEV:
        return "there is no such chip: `gpiodetect` or `devicectl probe` lists those that are there";
    case ENOENT:
        return "there is no such line: `gpioinfo` or `devicectl probe` lists those that are there";
    case EACCES:
    case EPERM:
        return "it may not be opened: put the user of this process into the group that owns /dev/gpiochip*";
    case EINVAL:
        return "the chip's driver does not offer this use of it: try bias as_is, or a line that `gpioinfo` "
               "shows "
               "as unused";
    case ENXIO:
        return "the line has no interrupt, so its edges cannot be seen: use mode level or another line";
    case ENOTSUP:
        return LACKS;
    default:
        return NULL;
    }
}

int gpio_line_explain(struct errmsg *err, int code, const struct gpio_line_options *o, const char *who)
{
    const char *chip = o->chip == NULL || o->chip[0] == '\0' ? "any" : o->chip;
    const char *text = why(code);

    if (code == -EBUSY)
        return errmsg_set(
            err, code,
            "GPIO chip %s, line %s: in use by \"%s\": end that, or choose another line (`gpioinfo`)", chip,
            o->line, who != NULL && who[0] != '\0' ? who : "another program");
    if (code == -ENOTUNIQ)
        return errmsg_set(err, code, "GPIO chip %s, line %s: %s have it: set `chip` to one of them", chip,
                          o->line, who);
    return errmsg_set(err, code, "GPIO chip %s, line %s: %s", chip, o->line,
                      text != NULL ? text : strerror(-code));
}
