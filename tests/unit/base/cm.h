/* cm.h - cmocka with the headers it wants before it. */
#ifndef FOGLINE_TESTS_BASE_CM_H
#define FOGLINE_TESTS_BASE_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
