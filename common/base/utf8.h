/* utf8.h - which bytes are characters. */
#ifndef FOGLINE_BASE_UTF8_H
#define FOGLINE_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { UTF8_MAX_BYTES = 4 };

/* Length of the valid UTF-8 character at s, of which `left` bytes are there; 0 when there is none (RFC 3629:
 * no surrogates, no overlong forms). left > 0. */
size_t utf8_char(const uint8_t *s, size_t left);

#endif
