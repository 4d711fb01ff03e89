#include "base/log.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_BYTES = 1024,
    QUOTE_BYTES = 512,
    N_QUOTES = 4,
};

#define LATCH_NS (60 * NS_PER_S)

static int level_now = LOG_LEVEL_INFO;
static const char *tag_now;

void log_set_level(enum log_level level)
{
    __atomic_store_n(&level_now, (int)level, __ATOMIC_RELAXED);
}

void log_set_tag(const char *tag)
{
    __atomic_store_n(&tag_now, tag, __ATOMIC_RELEASE);
}

/* "2026-11-20T22:30:26.123Z" */
static void format_ts(char out[40])
{
    int64_t unix_ms = clock_wall_unix_ns(&clock_real) / NS_PER_MS;
    size_t n;

    clock_format_utc(unix_ms / 1000 * NS_PER_S, out);
    n = strlen(out) - 1;
    snprintf(out + n, 40 - n, ".%03dZ", (int)(unix_ms % 1000));
}

/* Length of the character at s that may stand in a log; 0: a control character, also of those beyond ASCII,
 * or a byte of no character. */
static size_t printable(const char *s, size_t left)
{
    const uint8_t *u = (const uint8_t *)s;
    size_t n = utf8_char(u, left);

    if (u[0] < ' ' || u[0] == 0x7f || (n == 2 && u[0] == 0xc2 && u[1] < 0xa0))
        return 0;
    return n;
}

/* Length after snprintf has written (or cut) n more bytes. */
static size_t longer(size_t len, int n)
{
    if (n < 0)
        return len;
    return len + (size_t)n < LINE_BYTES - 1 ? len + (size_t)n : LINE_BYTES - 1;
}

void log_line(enum log_level level, const char *event, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    const char *tag = __atomic_load_n(&tag_now, __ATOMIC_ACQUIRE);
    char line[LINE_BYTES + 1], ts[40];
    int saved_errno = errno;
    size_t i, n, len = 0;
    va_list ap;

    if ((int)level > __atomic_load_n(&level_now, __ATOMIC_RELAXED))
        return;
    format_ts(ts);
    len = longer(len, snprintf(line, LINE_BYTES, "ts=%s level=%s %s%sevent=%s", ts, names[level],
                               tag != NULL ? tag : "", tag != NULL ? " " : "", event));
    errno = saved_errno; /* for %m */
    if (fmt != NULL && fmt[0] != '\0') {
        len = longer(len, snprintf(line + len, LINE_BYTES - len, " "));
        va_start(ap, fmt);
        len = longer(len, vsnprintf(line + len, LINE_BYTES - len, fmt, ap));
        va_end(ap);
    }
    while (len > 0 && line[len - 1] == ' ')
        len--;
    /* One event is one line, whatever a peer's text holds. */
    for (i = 0; i < len; i += n) {
        n = printable(line + i, len - i);
        if (n == 0) {
            line[i] = ' ';
            n = 1;
        }
    }
    line[len++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    if (write(STDERR_FILENO, line, len) < 0) {
    }
    errno = saved_errno;
}

const char *log_quote(const char *value)
{
    static __thread char buffers[N_QUOTES][QUOTE_BYTES];
    static __thread unsigned next;
    char *out = buffers[next++ % N_QUOTES], *at = out;
    const char *end = out + QUOTE_BYTES - 6; /* room for "\xff" or a character, the quote and the NUL */

    if (value == NULL)
        value = "";
    *at++ = '"';
    while (*value != '\0' && at < end) {
        unsigned char c = (unsigned char)*value;
        size_t n = printable(value, strnlen(value, UTF8_MAX_BYTES));

        if (c == '"' || c == '\\') {
            *at++ = '\\';
            *at++ = (char)c;
        } else if (c == '\n') {
            *at++ = '\\';
            *at++ = 'n';
        } else if (n == 0) {
            at += snprintf(at, 5, "\\x%02x", c);
        } else {
            memcpy(at, value, n);
            at += n;
        }
        value += n > 0 ? n : 1;
    }
    *at++ = '"';
    *at = '\0';
    return out;
}

bool log_latch_open(struct log_latch *l, int64_t now_mono_ns, uint64_t *ret_held_back)
{
    if (l->last_mono_ns != 0 && now_mono_ns - l->last_mono_ns < LATCH_NS) {
        l->held_back++;
        return false;
    }
    if (ret_held_back != NULL)
        *ret_held_back = l->held_back;
    l->held_back = 0;
    l->last_mono_ns = now_mono_ns != 0 ? now_mono_ns : 1; /* 0 stands for "never" */
    return true;
}
