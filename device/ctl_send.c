#include "device/ctl_device.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, ANSWER_BYTES = 256 };

static int make_line(struct ctl *ctl, struct buf *line)
{
    for (unsigned i = 0; i < ctl->n_args; i++) {
        if (ctl->args[i][0] != '@' && strchr(ctl->args[i], '=') == NULL)
            return ctl_fail(ctl, CTL_USAGE, "`%s` is not channel=value", ctl->args[i]);
        buf_printf(line, "%s%s", i > 0 ? " " : "", ctl->args[i]);
    }
    if (line->error != 0)
        return ctl_fail(ctl, CTL_FAILED, "no memory");
    return line->len <= LINE_BYTES ? CTL_OK
                                   : ctl_fail(ctl, CTL_USAGE, "more than %d bytes in one line", LINE_BYTES);
}

/* A datagram socket with an address of the kernel's choice (autobind, unix(7)), so that it can be answered.
 */
static int connect_to(struct ctl *ctl, const char *path, int *ret_fd)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX}, own = {.sun_family = AF_UNIX};
    owned(close_fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof to.sun_path)
        return ctl_fail(ctl, CTL_FAILED, "%s: too long for a socket", path);
    strcpy(to.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own.sun_family) != 0)
        return ctl_fail(ctl, CTL_FAILED, "no socket: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return ctl_fail(
                ctl, CTL_UNREACHABLE,
                "%s: nobody listens there. Is fogline-device running with this configuration, and has it a "
                "source of type socket?",
                path);
        return ctl_fail(ctl, errno == EACCES ? CTL_UNAUTHORISED : CTL_FAILED, "%s: %s", path,
                        strerror(errno));
    }
    *ret_fd = fd;
    fd = -1;
    return CTL_OK;
}

static int report(struct ctl *ctl, const char *answer)
{
    owned(json_freep) struct json *j = NULL;
    int code;

    if (strncmp(answer, "ok ", 3) != 0)
        return ctl_fail(ctl, CTL_FAILED, "refused: %s",
                        strncmp(answer, "error ", 6) == 0 ? answer + 6 : answer);
    if (!ctl->json) {
        fprintf(ctl->out, "%s\n", answer);
        return CTL_OK;
    }
    code = ctl_json(ctl, false, &j);
    if (code != CTL_OK)
        return code;
    json_object(j);
    json_ki64(j, "samples", atoi(answer + 3));
    json_object_end(j);
    return ctl_json_end(ctl, j);
}

static int run_send(struct ctl *ctl)
{
    owned(buf_deinit) struct buf line = {0};
    owned(close_fd) int fd = -1;
    struct pollfd p = {.events = POLLIN};
    char answer[ANSWER_BYTES];
    int64_t timeout_ms;
    ssize_t n;
    int code = ctl_option_i64(ctl, "timeout", 1, 3600000, 5000, &timeout_ms);

    if (code == CTL_OK)
        code = make_line(ctl, &line);
    if (code == CTL_OK)
        code = ctl_load(ctl);
    if (code == CTL_OK)
        code = connect_to(
            ctl, ctl_option(ctl, "socket") != NULL ? ctl_option(ctl, "socket") : ctl->paths.send_sock, &fd);
    if (code != CTL_OK)
        return code;
    if (send(fd, line.data, line.len, 0) < 0)
        return ctl_fail(ctl, CTL_UNREACHABLE, "cannot send: %s", strerror(errno));
    p.fd = fd;
    if (poll(&p, 1, (int)timeout_ms) == 0)
        return ctl_fail(ctl, CTL_TIMEOUT, "no answer within %d ms: the reading may still become durable",
                        (int)timeout_ms);
    n = recv(fd, answer, sizeof answer - 1, 0);
    if (n < 0)
        return ctl_fail(ctl, CTL_UNREACHABLE, "the device went away: %s", strerror(errno));
    answer[n] = '\0';
    return report(ctl, answer);
}

static const struct cmd_option options[] = {
    {"timeout", 't', "MS", "wait so long for the answer (5000)"},
    {"socket", 0, "PATH", "the socket, when its source has a path of its own"},
    {0},
};

const struct cmd ctl_device_send[] = {
    {"send", "CHANNEL=VALUE... [@TIME]", 1, 33, "hand readings to the running device",
     "devicectl send temperature=21.5 door=true state=\"\\\"on hold\\\"\" @1700000000.25\n\n"
     "Returns once they are durable on this device. Numbers, true and false, else text; @TIME in seconds "
     "since 1970.\n"
     "Exit codes: 3 nobody listens, 5 no answer in time.",
     options, run_send},
    {0},
};
