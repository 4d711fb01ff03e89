/* value_text.c - texts with a grammar: endpoints, names, paths, patterns. */
#include "config/text.h"
#include "config/value.h"

#include "base/name.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { HOST_CHARS = 253 };

static int wrong(struct value_error *e, const char *remedy, const char *message)
{
    text_cut(e->message, sizeof(e->message), "%s", message);
    text_cut(e->remedy, sizeof(e->remedy), "%s", remedy);
    return CONFIG_BAD;
}

static int too_long(struct value_error *e, size_t len, size_t max)
{
    text_cut(e->message, sizeof(e->message), "is too long: %zu bytes, at most %zu fit", len, max);
    text_cut(e->remedy, sizeof(e->remedy), "shorten it");
    return CONFIG_BAD;
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool host_ok(const char *host)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    struct in_addr ip4;
    struct in6_addr ip6;
    size_t len = strlen(host);
    char inside[INET6_ADDRSTRLEN];

    if (strcmp(host, "*") == 0)
        return true;
    if (host[0] == '[') {
        if (len < 4 || host[len - 1] != ']' || len - 2 >= sizeof(inside))
            return false;
        memcpy(inside, host + 1, len - 2);
        inside[len - 2] = '\0';
        return inet_pton(AF_INET6, inside, &ip6) == 1;
    }
    if (len == 0 || len > HOST_CHARS || strspn(host, letters) != len || host[0] == '-' || host[0] == '.')
        return false;
    /* Digits and dots alone are meant as an address; "10.0.0.256" is a mistake, not a name. */
    return strspn(host, "0123456789.") != len || inet_pton(AF_INET, host, &ip4) == 1;
}

static bool port_ok(const char *port)
{
    size_t len = strlen(port);
    long v;

    if (strcmp(port, "*") == 0)
        return true;
    if (len == 0 || len > 5 || strspn(port, "0123456789") != len)
        return false;
    v = strtol(port, NULL, 10);
    return v >= 1 && v <= 65535;
}

static int parse_endpoint(const struct value_text *v, const char *text, struct value_error *e)
{
    static const char scheme[] = "tcp://", remedy[] = "write tcp://HOST:PORT, like tcp://192.168.1.10:7001";
    const char *rest = strncmp(text, scheme, 6) == 0 ? text + 6 : text;
    const char *colon = strrchr(rest, ':');
    char host[HOST_CHARS + 3];
    size_t host_len, len = strlen(rest) + 6;

    if (strstr(rest, "://") != NULL)
        return wrong(e, remedy, "only tcp:// endpoints are known");
    if (colon == NULL || colon[1] == ']' || strchr(colon, ']') != NULL)
        return wrong(e, remedy, "has no port");
    host_len = (size_t)(colon - rest);
    if (host_len >= sizeof(host))
        return too_long(e, host_len, HOST_CHARS);
    memcpy(host, rest, host_len);
    host[host_len] = '\0';
    if (!host_ok(host))
        return wrong(e, "write a host name, an IPv4 address, an IPv6 address in [ ], or *",
                     "the host is not a name or an address");
    if (!port_ok(colon + 1))
        return wrong(e, "choose a port in 1..65535, or * for any free one", "the port must be 1..65535 or *");
    if (len >= v->out_bytes)
        return too_long(e, len, v->out_bytes - 1);
    text_cut(v->out, v->out_bytes, "%s%s", scheme, rest);
    return 0;
}

static int parse_path(const struct value_text *v, const char *text, struct value_error *e)
{
    bool relative = text[0] != '/' && v->folder != NULL;
    size_t folder_len = relative ? strlen(v->folder) : 0;
    bool slash = folder_len > 0 && v->folder[folder_len - 1] != '/';
    size_t len;

    if (has_control(text))
        return wrong(e, "remove line breaks and other control characters", "has control characters");
    if (text[0] == '~')
        return wrong(e, "write the folder in full", "~ is not replaced by a home folder");
    while (relative && strncmp(text, "./", 2) == 0 && text[2] != '\0' && text[2] != '/')
        text += 2;
    len = folder_len + slash + strlen(text);
    if (len >= v->out_bytes)
        return too_long(e, len, v->out_bytes - 1);
    text_cut(v->out, v->out_bytes, "%s%s%s", relative ? v->folder : "", slash ? "/" : "", text);
    return 0;
}

int value_parse_text(const struct value_text *v, const char *text, struct value_error *e)
{
    struct errmsg err;

    switch (v->type) {
    case CONFIG_ENDPOINT:
        return parse_endpoint(v, text, e);
    case CONFIG_PATH:
        return parse_path(v, text, e);
    case CONFIG_NAME:
        if (!name_part_ok(text, strlen(text)))
            return wrong(e, "use 1 to 64 of the characters A-Z a-z 0-9 . _ -, but not . or .. alone",
                         "is not a valid name");
        break;
    case CONFIG_PATTERN:
        if (pattern_check(text, &err) < 0) {
            text_cut(e->message, sizeof(e->message), "is not a pattern: %.200s", err.text);
            text_cut(e->remedy, sizeof(e->remedy), "write site/device/channel with *, ** or {a,b}");
            return CONFIG_BAD;
        }
        break;
    default:
        break;
    }
    if (strlen(text) >= v->out_bytes)
        return too_long(e, strlen(text), v->out_bytes - 1);
    memcpy(v->out, text, strlen(text) + 1);
    return 0;
}
